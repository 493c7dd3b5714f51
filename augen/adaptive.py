"""What adaptive stopping saves and what it costs, from samples that were drawn without it.

The stopping rule is run again on what is recorded: a question that the rule ends early leaves the rest of its samples
unread. So one file of samples tells, for every number of voters, the accuracy and the samples per question with the
rule and without it, and no model is asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from augen import metrics
from augen.entries import LETTERS, letter_of
from augen.metrics import Estimate, Floats
from augen.sample_file import Questions, Samples
from augen.voting import Method, Resample, Sample, decide, next_draws

ORDERS = 6  # of the slots, averaged over: which slot is the first is arbitrary

Recorded = Mapping[tuple[int, int], Sample]  # a question's samples by slot and round


@dataclass(frozen=True)
class Knobs:
    """How the samples are drawn again, as in params.yaml."""

    voters: int
    max_resample: int
    threshold: float
    resample: Resample
    method: Method


@dataclass(frozen=True)
class Outcome:
    """What every question got, (Q,): samples, and whether the vote over them is right (nothing parsed: it is not)."""

    samples: Floats
    right: Floats


@dataclass(frozen=True)
class Savings:
    """Adaptive stopping against all votes, at the number of voters of params.yaml."""

    samples: float  # per question
    all_samples: float
    difference: Estimate  # of the accuracies, paired by question

    @property
    def numbers(self) -> dict[str, float]:
        """For reports/metrics.json."""
        return {
            "samples_per_question": self.samples,
            "samples_per_question_without": self.all_samples,
            "times_fewer": self.all_samples / self.samples,
            "difference": self.difference.value,
            "difference_se": self.difference.se,
        }


def replay(recorded: Recorded, knobs: Knobs, adaptive: bool, order: Sequence[int]) -> list[Sample] | None:
    """The samples that the round loop would have drawn; None where it wants one that is not recorded.

    The loop's slot 1 is the recorded slot ``order[0]``, its slot 2 ``order[1]``, and so on.

    Of three votes two are enough when they agree; beginning with the second slot they do not.

    >>> knobs = Knobs(voters=3, max_resample=0, threshold=0.5, resample="slot", method="majority")
    >>> recorded = {(slot, 0): Sample(letter, 0.9, slot) for slot, letter in ((1, "A"), (2, "A"), (3, "B"))}
    >>> len(replay(recorded, knobs, False, [1, 2, 3])), len(replay(recorded, knobs, True, [1, 2, 3]))
    (3, 2)
    >>> len(replay(recorded, knobs, True, [2, 3, 1]))
    3
    >>> replay({(1, 0): Sample("A", 0.9)}, knobs, False, [1, 2, 3]) is None
    True
    """
    history: list[Sample] = []
    while draws := next_draws(
        history, knobs.voters, knobs.max_resample, knobs.threshold, knobs.resample, adaptive=adaptive
    ):
        for slot, round_ in draws:
            sample = recorded.get((order[slot - 1], round_))
            if sample is None:
                return None
            history.append(Sample(sample.answer, sample.score, slot, round_))
    return history


def outcome(
    questions: Sequence[Recorded], truth: Sequence[str], knobs: Knobs, adaptive: bool, order: Sequence[int]
) -> Outcome | None:
    """What all questions get; None where one of them wants a sample that is not recorded."""
    counts, right = [], []
    for recorded, letter in zip(questions, truth, strict=True):
        history = replay(recorded, knobs, adaptive, order)
        if history is None:
            return None
        decision = decide(history, knobs.method, "", knobs.threshold)
        counts.append(len(history))
        right.append(decision.answer == letter)
    return Outcome(np.array(counts, dtype=np.float64), np.array(right, dtype=np.float64))


def recorded_of(samples: Samples) -> Sequence[Recorded]:
    """The samples of each question."""
    questions: list[dict[tuple[int, int], Sample]] = [{} for _ in samples.ids]
    for row in samples.rows:
        answer = LETTERS[row["answer"]] if row["answer"] >= 0 else None
        score = None if isnan(row["score"]) else float(row["score"])
        slot, round_ = int(row["slot"]), int(row["round"])
        questions[row["question"]][slot, round_] = Sample(answer, score, slot, round_)
    return questions


def curves(samples: Samples, questions: Questions, knobs: Knobs) -> dict[str, list[dict[str, Any]]]:
    """Accuracy over samples per question, for 1…`voters` voters: ``all_votes``, and ``adaptive``.

    Each point is the mean over up to `ORDERS` orders of the slots. What the samples cannot tell is left out: if they
    were drawn adaptively, that is nearly everything. With ``resample: question`` only round 0 is looked at, because
    which redraws fewer voters would have asked for is not known.
    """
    recorded = recorded_of(samples)
    truth = [letter_of(code) for code in questions.truth]
    slots = range(1, knobs.voters + 1)
    orders = [[*slots[first:], *slots[:first]] for first in range(0, knobs.voters, -(-knobs.voters // ORDERS))]
    found: dict[str, list[dict[str, Any]]] = {"all_votes": [], "adaptive": []}
    for name, points in found.items():
        for voters in slots:
            fewer = _with_voters(knobs, voters)
            outcomes = [outcome(recorded, truth, fewer, name == "adaptive", order) for order in orders]
            if told := [each for each in outcomes if each]:
                drawn = float(np.mean([each.samples for each in told]))
                accuracy = float(np.mean([each.right for each in told]))
                points.append({"voters": voters, "samples": drawn, "accuracy": accuracy})
    return found


def savings(samples: Samples, questions: Questions, knobs: Knobs) -> Savings | None:
    """What the rule saves at `knobs.voters`, and the accuracy that it costs; None where the samples cannot tell."""
    recorded = recorded_of(samples)
    truth = [letter_of(code) for code in questions.truth]
    knobs, slots = _with_voters(knobs, knobs.voters), range(1, knobs.voters + 1)
    every, some = (outcome(recorded, truth, knobs, stops, slots) for stops in (False, True))
    if every is None or some is None:
        return None
    clusters = np.unique(questions.problems, return_inverse=True)[1]
    difference = metrics.paired_difference(some.right, every.right, clusters)
    return Savings(float(some.samples.mean()), float(every.samples.mean()), difference)


def _with_voters(knobs: Knobs, voters: int) -> Knobs:
    redraws = knobs.max_resample if knobs.resample == "slot" else 0
    return Knobs(voters, redraws, knobs.threshold, knobs.resample, knobs.method)
