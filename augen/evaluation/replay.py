"""What adaptive stopping saves and what it costs, from samples that were drawn without it.

The stopping rule is run again on what is recorded: where it ends a question early, the rest of its samples is left
unread. So one file of samples tells, for every number of voters, the accuracy and the samples per question with the
rule and without it, and no model is asked.

Slots of programs are replayed with the slots of reasonings: all of them, before any reasoning, at the weight that they
had. Only the number of reasonings varies. What samples that were drawn adaptively do not tell is left out: a number is
of all questions, or there is none.

Shapes: Q questions, V slots, R rounds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from augen.core.arrays import Bools, Floats, Ints
from augen.metrics.stats import Estimate, numbered, paired_difference, with_error
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions, Samples
from augen.voting.settings import VotingSettings
from augen.voting.stopping import next_slots
from augen.voting.vote import blocks

ORDERS = 6  # of the slots, averaged over: which slot is the first is arbitrary


@dataclass(frozen=True)
class Outcome:
    """What every question got, (Q,): samples, and whether the vote over them is right (nothing parsed: it is not)."""

    samples: Floats
    right: Floats


def replay(recorded: SampleGrid, settings: VotingSettings) -> Bools | None:
    """(Q, V, R) which samples the round loop would have drawn; None where it wants one that is not recorded.

    Of three votes two are enough when they agree; beginning with the second slot they do not.

    >>> all_votes = VotingSettings(voters=3)
    >>> adaptive = replace(all_votes, adaptive=True)
    >>> letters = np.array([[[0], [0], [1]]])  # one question, slots A, A, B, no redraws
    >>> recorded = SampleGrid(letters, np.ones_like(letters), np.full_like(letters, -1), letters >= 0, letters >= 0)
    >>> [int(replay(recorded, settings).sum()) for settings in (all_votes, adaptive)]
    [3, 2]
    >>> int(replay(recorded[:, [1, 2, 0]], adaptive).sum())
    3
    >>> replay(SampleGrid(letters, letters, letters, letters >= 0, letters > 0), all_votes) is None
    True
    """
    drawn = np.zeros(recorded.drawn.shape, np.bool_)
    for block in blocks(len(drawn)):
        if not _replay(recorded[block], drawn[block], settings):
            return None
    return drawn


def _replay(recorded: SampleGrid, drawn: Bools, settings: VotingSettings) -> bool:
    """As `replay`, into `drawn`; False where a sample is not recorded."""
    running = np.arange(len(drawn))
    while running.size:
        now = next_slots(recorded[running], drawn[running], settings)
        question, slot = np.nonzero(now)
        question = running[question]
        place = question, slot, np.count_nonzero(drawn[question, slot], axis=1)
        if not recorded.drawn[place].all():
            return False
        drawn[place] = True
        running = running[now.any(axis=1)]
    return True


def outcome(recorded: SampleGrid, truth: Ints, settings: VotingSettings, order: Sequence[int]) -> Outcome | None:
    """What all questions get if reasonings are taken in `order`: ``order[0]`` as slot 1, …, as many as `settings` has.

    The slots of programs stay as they are. None where a question wants a sample that is not recorded.
    """
    first = recorded.program_slots
    slots = [*range(first), *(first + slot - 1 for slot in order[: settings.voters])]
    recorded = recorded[:, slots, : settings.max_resample + 1]
    drawn = replay(recorded, settings)
    if drawn is None:
        return None
    voted = recorded.only(drawn).voted(settings)
    samples = np.count_nonzero(drawn, axis=(1, 2))
    return Outcome(samples.astype(np.float64), (voted == truth).astype(np.float64))


def curves(samples: Samples, questions: DevQuestions, settings: VotingSettings) -> dict[str, list[dict[str, Any]]]:
    """Accuracy over samples per question, for 1…`voters` voters: ``all_votes``, and ``adaptive``.

    Each point is the mean over up to `ORDERS` orders of the slots. What the samples cannot tell is left out: if they
    were drawn adaptively, that is nearly everything. With ``resample: question`` only round 0 is looked at, because
    which redraws fewer voters would have asked for is not known. Samples are counted with those of programs.
    """
    recorded = SampleGrid.of(samples, settings)
    slots = range(1, settings.voters + 1)
    orders = [[*slots[first:], *slots[:first]] for first in range(0, settings.voters, -(-settings.voters // ORDERS))]
    found: dict[str, list[dict[str, Any]]] = {"all_votes": [], "adaptive": []}
    for name, points in found.items():
        for voters in slots:
            fewer = _replayed(settings, voters, adaptive=name == "adaptive")
            outcomes = [outcome(recorded, questions.truth, fewer, order) for order in orders]
            if told := [each for each in outcomes if each]:
                drawn = float(np.mean([each.samples for each in told]))
                accuracy = float(np.mean([each.right for each in told]))
                points.append({"voters": voters, "samples": drawn, "accuracy": accuracy})
    return found


def savings(samples: Samples, questions: DevQuestions, settings: VotingSettings) -> dict[str, float] | None:
    """Adaptive stopping against all votes at `settings.voters`: what it saves, and the accuracy that it costs.

    The difference of the accuracies is paired by question. None where the samples cannot tell.
    """
    recorded, slots = SampleGrid.of(samples, settings), range(1, settings.voters + 1)
    every, some = (
        outcome(recorded, questions.truth, _replayed(settings, settings.voters, adaptive), slots)
        for adaptive in (False, True)
    )
    if every is None or some is None:
        return None
    fewer, all_votes = float(some.samples.mean()), float(every.samples.mean())
    difference = paired_difference(some.right, every.right, questions.clusters)
    return {
        "samples_per_question": fewer,
        "samples_per_question_without": all_votes,
        "times_fewer": all_votes / fewer,
        "difference": difference.value,
        "difference_se": difference.se,
    }


def second_vote(samples: Samples, questions: DevQuestions, settings: VotingSettings) -> dict[str, float] | None:
    """What it buys that adaptive stopping goes on with the questions that their first samples did not settle.

    ``questions`` went on, ``unanswered`` of them since their first samples had no answer; ``first`` and ``last`` are
    their accuracies by the first samples and in the end, ``gain`` is the difference. ``every`` is the accuracy of the
    same questions by all votes and ``difference`` what stopping early adds to it, where the samples tell that. None
    where they do not tell the rest, or where no question went on.
    """
    rule = _replayed(settings, settings.voters, adaptive=True)
    recorded = SampleGrid.of(samples, rule)
    drawn = replay(recorded, rule)
    if drawn is None:
        return None
    first = np.zeros_like(drawn)
    first[:, :, 0] = next_slots(recorded, first, rule)
    on = np.flatnonzero((drawn & ~first).any(axis=(1, 2)))
    if not on.size:
        return None
    voted = [recorded.only(part).voted(rule)[on] for part in (first, drawn)]
    before, after = ((answers == questions.truth[on]).astype(np.float64) for answers in voted)
    clusters = np.unique(questions.clusters[on], return_inverse=True)[1]
    found: dict[str, float] = {"questions": len(on), "unanswered": int(np.count_nonzero(voted[0] < 0))}
    found |= {"first": float(before.mean()), "last": float(after.mean())}
    found |= numbered("gain", paired_difference(after, before, clusters))
    slots, every = range(1, settings.voters + 1), _replayed(settings, settings.voters, adaptive=False)
    if all_votes := outcome(recorded, questions.truth, every, slots):
        right = all_votes.right[on]
        found |= {"every": float(right.mean())} | numbered("difference", paired_difference(after, right, clusters))
    return found


def second_vote_sentence(found: Mapping[str, float] | None, asked: int) -> str:
    """What `second_vote` found, of so many questions `asked`, for a reader; empty where it found nothing."""
    if not found:
        return ""
    gain = with_error(Estimate(found["gain"], found["gain_se"]), "+")
    unanswered = f", {found['unanswered']:,} of them since these have no answer" if found["unanswered"] else ""
    every = ""
    if "every" in found:
        cost = with_error(Estimate(found["difference"], found["difference_se"]), "+")
        every = f" All votes, without infer.adaptive, get {found['every']:.3f} of them right: stopping early is {cost}."
    return (
        f"A second vote where the first is not sure: with infer.adaptive {found['questions']:,} of {asked:,} questions "
        f"go on after their first samples{unanswered}. By these {found['first']:.3f} of them are right, in the end "
        f"{found['last']:.3f} ({gain}).{every}"
    )


def _replayed(settings: VotingSettings, voters: int, adaptive: bool) -> VotingSettings:
    redraws = settings.max_resample if settings.resample == "slot" else 0
    return replace(settings, voters=voters, max_resample=redraws, adaptive=adaptive)
