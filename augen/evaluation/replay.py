"""What adaptive stopping saves and what it costs, from samples that were drawn without it.

The stopping rule is run again on what is recorded: a question that the rule ends early leaves the rest of its samples
unread. So one file of samples tells, for every number of voters, the accuracy and the samples per question with the
rule and without it, and no model is asked.

The rule is that of `augen.voting.scalar.next_draws`, here for all questions at once; a test holds the two together.
Shapes: Q questions, V slots, R rounds. Letters are codes (0 for A), -1 where a sample has no answer or is not recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from augen.core.arrays import Bools, Floats, Ints
from augen.metrics.stats import Estimate, paired_difference
from augen.voting.samples import Questions, Samples, accepted_at
from augen.voting.scalar import votes_to_decide
from augen.voting.vote import Method, Resample, accepted_or_all, weights_of, winners

ORDERS = 6  # of the slots, averaged over: which slot is the first is arbitrary


@dataclass(frozen=True)
class Knobs:
    """How the samples are drawn again, as in params.yaml."""

    voters: int
    max_resample: int
    threshold: float
    resample: Resample
    method: Method
    certainty: float


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


@dataclass(frozen=True)
class Recorded:
    """The samples of all questions by slot and round, (Q, V, R): letter codes, vote weights, and so on."""

    answers: Ints
    weights: Ints
    confidences: Ints  # -1 where none is known
    accepted: Bools
    known: Bools  # False where nothing is recorded

    @property
    def votes(self) -> tuple[Ints, Ints, Bools]:
        """What the stopping rule looks at: answers, confidences, and which are accepted."""
        return self.answers, self.confidences, self.accepted

    def ordered(self, order: Sequence[int], knobs: Knobs) -> "Recorded":
        """Slot ``order[0]`` as slot 1, ``order[1]`` as slot 2, …: as many slots and rounds as `knobs` have."""
        place = slice(None), np.array(order[: knobs.voters]) - 1, slice(knobs.max_resample + 1)
        return Recorded(*(grid[place] for grid in vars(self).values()))


def recorded_of(samples: Samples, knobs: Knobs) -> Recorded:
    """`samples` by question, slot and round: the slots and rounds that `knobs` have."""
    rows = samples.rows
    rows = rows[(rows["slot"] <= knobs.voters) & (rows["round"] <= knobs.max_resample)]
    place = rows["question"], rows["slot"] - 1, rows["round"]
    shape = len(samples.ids), knobs.voters, knobs.max_resample + 1
    answers, weights, confidences = np.full(shape, -1, np.int8), np.zeros(shape, np.int64), np.full(shape, -1, np.int8)
    accepted, known = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    answers[place] = rows["answer"]
    weights[place] = weights_of(rows["score"])
    confidences[place] = rows["confidence"]
    accepted[place] = accepted_at(rows, knobs.threshold)
    known[place] = True
    return Recorded(answers, weights, confidences, accepted, known)


def replay(recorded: Recorded, knobs: Knobs, adaptive: bool) -> Bools | None:
    """(Q, V, R) which samples the round loop would have drawn; None where it wants one that is not recorded.

    Of three votes two are enough when they agree; beginning with the second slot they do not.

    >>> knobs = Knobs(voters=3, max_resample=0, threshold=0.5, resample="slot", method="majority", certainty=0.95)
    >>> grid = np.array([[[0], [0], [1]]])  # one question, slots A, A, B, no redraws
    >>> recorded = Recorded(grid, np.ones_like(grid), np.full_like(grid, -1), grid >= 0, grid >= 0)
    >>> [int(replay(recorded, knobs, adaptive).sum()) for adaptive in (False, True)]
    [3, 2]
    >>> int(replay(recorded.ordered([2, 3, 1], knobs), knobs, True).sum())
    3
    >>> replay(Recorded(grid, grid, grid, grid >= 0, grid > 0), knobs, False) is None
    True
    """
    drawn = np.zeros(recorded.known.shape, np.bool_)
    running = np.arange(len(drawn))
    while running.size:
        answers, confidences, accepted = (grid[running] for grid in recorded.votes)
        now = next_slots(answers, confidences, accepted, drawn[running], knobs, adaptive)
        question, slot = np.nonzero(now)
        question = running[question]
        place = question, slot, np.count_nonzero(drawn[question, slot], axis=1)
        if not recorded.known[place].all():
            return None
        drawn[place] = True
        running = running[now.any(axis=1)]
    return drawn


def next_slots(answers: Ints, confidences: Ints, accepted: Bools, drawn: Bools, knobs: Knobs, adaptive: bool) -> Bools:
    """(Q, V) the slots of each question to draw now, as `next_draws`, after those `drawn` (Q, V, R).

    `answers`, `confidences` and `accepted` (Q, V, R) are read only where `drawn`.
    """
    times = np.count_nonzero(drawn, axis=2)
    accepted = drawn & accepted
    if knobs.resample == "slot":
        wanted = ~accepted.any(axis=2)
    else:
        lowest = np.where(accepted.any(axis=(1, 2)), 0, times.min(axis=1))
        wanted = times == lowest[:, None]
    wanted &= times <= knobs.max_resample
    if adaptive:
        confidence = np.where(times.any(axis=1), _mean_confidence(confidences, accepted), 100)
        needed = _votes_to_decide(answers, accepted, confidence, np.count_nonzero(wanted, axis=1), knobs.certainty)
        wanted &= np.cumsum(wanted, axis=1) <= needed[:, None]
    return wanted


def _mean_confidence(confidences: Ints, accepted: Bools) -> Ints:
    """(Q,) `augen.voting.scalar.mean_confidence` of the `accepted` (Q, V, R), -1 where none is known."""
    told = accepted & (confidences >= 0)
    count = np.count_nonzero(told, axis=(1, 2))
    total = np.where(told, confidences, 0).sum(axis=(1, 2), dtype=np.int64)
    return np.where(count, total // np.maximum(count, 1), -1)


def _votes_to_decide(answers: Ints, accepted: Bools, confidence: Ints, left: Ints, certainty: float) -> Ints:
    """(Q,) `votes_to_decide` for the `accepted` of `answers` (Q, V, R), each question's `confidence` and
    the votes that are `left`, both (Q,).
    """
    question, slot, round_ = np.nonzero(accepted)
    letters = max(2, int(answers.max(initial=0)) + 1)
    key = question * letters + answers[question, slot, round_]
    votes = np.bincount(key, minlength=len(left) * letters).reshape(-1, letters)
    votes.partition(letters - 2, axis=1)
    size = int(max(votes.max(), left.max())) + 1
    # One number for each question, because rows of several take much longer to sort.
    keys = ((votes[:, -1] * size + votes[:, -2]) * size + left) * 102 + confidence + 1
    cases, case = np.unique(keys, return_inverse=True)
    facts = cases // 102 // size**2, cases // 102 // size % size, cases // 102 % size, cases % 102 - 1
    needed = [
        votes_to_decide(top, second, more, certainty, None if sure < 0 else sure)
        for top, second, more, sure in zip(*(fact.tolist() for fact in facts), strict=True)
    ]
    return np.array(needed)[case]


def outcome(recorded: Recorded, truth: Ints, knobs: Knobs, adaptive: bool, order: Sequence[int]) -> Outcome | None:
    """What all questions get, the slots taken in `order`; None where one wants a sample that is not recorded."""
    recorded = recorded.ordered(order, knobs)
    drawn = replay(recorded, knobs, adaptive)
    if drawn is None:
        return None
    answers, weights, accepted = (
        grid.reshape(len(drawn), -1)
        for grid in (np.where(drawn, recorded.answers, -1), recorded.weights, drawn & recorded.accepted)
    )
    voted = winners(accepted_or_all(answers, accepted), weights, knobs.method)
    samples = np.count_nonzero(drawn, axis=(1, 2))
    return Outcome(samples.astype(np.float64), (voted == truth).astype(np.float64))


def curves(samples: Samples, questions: Questions, knobs: Knobs) -> dict[str, list[dict[str, Any]]]:
    """Accuracy over samples per question, for 1…`voters` voters: ``all_votes``, and ``adaptive``.

    Each point is the mean over up to `ORDERS` orders of the slots. What the samples cannot tell is left out: if they
    were drawn adaptively, that is nearly everything. With ``resample: question`` only round 0 is looked at, because
    which redraws fewer voters would have asked for is not known.
    """
    recorded = recorded_of(samples, knobs)
    slots = range(1, knobs.voters + 1)
    orders = [[*slots[first:], *slots[:first]] for first in range(0, knobs.voters, -(-knobs.voters // ORDERS))]
    found: dict[str, list[dict[str, Any]]] = {"all_votes": [], "adaptive": []}
    for name, points in found.items():
        for voters in slots:
            fewer = _with_voters(knobs, voters)
            outcomes = [outcome(recorded, questions.truth, fewer, name == "adaptive", order) for order in orders]
            if told := [each for each in outcomes if each]:
                drawn = float(np.mean([each.samples for each in told]))
                accuracy = float(np.mean([each.right for each in told]))
                points.append({"voters": voters, "samples": drawn, "accuracy": accuracy})
    return found


def savings(samples: Samples, questions: Questions, knobs: Knobs) -> Savings | None:
    """What the rule saves at `knobs.voters`, and the accuracy that it costs; None where the samples cannot tell."""
    recorded = recorded_of(samples, knobs)
    knobs, slots = _with_voters(knobs, knobs.voters), range(1, knobs.voters + 1)
    every, some = (outcome(recorded, questions.truth, knobs, stops, slots) for stops in (False, True))
    if every is None or some is None:
        return None
    clusters = np.unique(questions.problems, return_inverse=True)[1]
    difference = paired_difference(some.right, every.right, clusters)
    return Savings(float(some.samples.mean()), float(every.samples.mean()), difference)


def _with_voters(knobs: Knobs, voters: int) -> Knobs:
    redraws = knobs.max_resample if knobs.resample == "slot" else 0
    return replace(knobs, voters=voters, max_resample=redraws)
