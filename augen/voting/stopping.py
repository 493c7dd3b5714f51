"""Which samples to draw next, and when a question is settled: for all questions of a grid at once.

The rules for one question, with examples, are in tests/oracles.py; a test holds the two together.
"""

from functools import cache
from math import exp, lgamma
from typing import NamedTuple

import numpy as np

from augen.core.arrays import Bools, Floats, Ints
from augen.voting.grid import SampleGrid
from augen.voting.settings import VotingSettings

RANK_VOTES = 4  # what the generator's own certainty is worth, in votes
UNKNOWN_CERTAINTY = 0.95  # at least, where no log-probability is known
SURE = 100  # the highest rank
MOST_VOTES = 20  # that one program counts as
TENTHS = 10  # of a vote: generators' weights are rounded to one
ROUNDING = 1e-6


def next_slots(grid: SampleGrid, drawn: Bools, settings: VotingSettings) -> Bools:
    """(Q, V) the slots of each question to draw now, after those `drawn` (Q, V, R); none where a question is finished.

    ``resample: slot``: a slot closes with its first accepted sample; until then it is drawn again, up to `max_resample`
    times. ``resample: question``: all slots are drawn again, and only while no sample of the question is accepted.
    Programs and reasonings do not look at each other there: with other programs, the reasonings are the same.

    With `adaptive` a question stops as soon as its accepted samples have `decided` it. Until then, draw only as many of
    the slots above, from the first on, as would settle the question if they all agreed with the leader. The very first
    sample of a question is taken to be as sure as can be: one slot is drawn, and its rank says how many more. A program
    counts as `program_votes` and comes first, so reasonings are drawn only where programs do not settle the question.
    Where programs are known to be right often enough (`VotingSettings.programs_settle`), the first that answers does.

    Where several generators share the slots, a reasoning counts as many votes as its generator is worth, in tenths.

    `grid` is read only where `drawn`.
    """
    times = np.count_nonzero(drawn, axis=2)
    accepted = drawn & grid.accepted
    first = grid.program_slots
    if settings.resample == "slot":
        wanted = ~accepted.any(axis=2)
    else:
        modes = slice(None, first), slice(first, None)
        wanted = np.hstack([_lowest(times[:, mode], accepted[:, mode]) for mode in modes])
    wanted &= times <= settings.max_resample
    if settings.adaptive:
        votes, worth = _votes(grid, settings)
        wanted &= votes > 0
        rank = np.where(times.any(axis=1), _mean_rank(grid.ranks, accepted), SURE)
        more = wanted * worth
        left = Left((wanted * votes).sum(axis=1), more.sum(axis=1))
        needed = _needed(grid.answers, accepted * worth[:, None], rank, left, settings.certainty)
        wanted &= np.cumsum(more, axis=1) - more < needed[:, None]
        if settings.programs_settle:
            wanted[accepted[:, :first].any(axis=(1, 2))] = False
    return wanted


def _votes(grid: SampleGrid, settings: VotingSettings) -> tuple[Ints, Ints]:
    """(V,) as how many votes each slot counts, and what they are worth together, in `TENTHS` of a vote."""
    votes = np.ones(grid.drawn.shape[1], np.int64)
    votes[: grid.program_slots] = program_votes(settings.program_weight)
    worth = TENTHS * votes
    if settings.generator_weights:
        own = np.array(settings.generator_weights)[np.array(grid.generators[grid.program_slots :], dtype=int) - 1]
        worth[grid.program_slots :] = np.maximum(1, np.rint(TENTHS * own))
    return votes, worth


def program_votes(weight: float) -> int:
    """As how many votes a program counts here that is worth `weight` of them: a whole number up to `MOST_VOTES`.

    >>> program_votes(3.4), program_votes(0.2), program_votes(0), program_votes(77)
    (3, 1, 0, 20)
    """
    return min(MOST_VOTES, max(1, round(weight))) if weight else 0


def _lowest(times: Ints, accepted: Bools) -> Bools:
    """Which slots of those drawn `times` (Q, V) are next: each again only after all had the same number of chances."""
    lowest = np.where(accepted.any(axis=(1, 2)), 0, times.min(axis=1, initial=np.iinfo(times.dtype).max))
    return np.asarray(times == lowest[:, None])


def _mean_rank(ranks: Ints, accepted: Bools) -> Ints:
    """(Q,) the mean rank of the `accepted` samples (Q, V, R), rounded down; -1 where none is known."""
    known = accepted & (ranks >= 0)
    count = np.count_nonzero(known, axis=(1, 2))
    total = np.where(known, ranks, 0).sum(axis=(1, 2), dtype=np.int64)
    return np.where(count, total // np.maximum(count, 1), -1)


class Left(NamedTuple):
    """The votes still to come of each question, (Q,): how many, and what they are worth together, in tenths."""

    votes: Ints
    worth: Ints


def _needed(answers: Ints, worth: Ints, rank: Ints, left: Left, certainty: float) -> Floats:
    """(Q,) the tenths that the leader needs by `votes_to_decide`, where `answers` (Q, V, R) are `worth` so many."""
    place = np.nonzero(worth)
    letters = max(2, int(answers.max(initial=0)) + 1)
    key = place[0] * letters + answers[place]
    counted = np.bincount(key, weights=worth[place], minlength=len(rank) * letters)
    votes = counted.astype(np.int64).reshape(-1, letters)
    votes.partition(letters - 2, axis=1)
    facts = votes[:, -1], votes[:, -2], left.votes, left.worth, rank + 1
    # One number for each question, because rows of several take much longer to sort.
    sizes = [int(fact.max()) + 1 for fact in facts]
    keys = np.ravel_multi_index(facts, sizes)
    cases, case = np.unique(keys, return_inverse=True)
    needed = []
    for top, second, more, together, known in zip(*np.unravel_index(cases, sizes), strict=True):
        each = float(together / more / TENTHS) if more else 1.0
        votes_needed = votes_to_decide(
            int(top) / TENTHS, int(second) / TENTHS, int(more), certainty, int(known) - 1 if known else None, each
        )
        needed.append(votes_needed * each * TENTHS)
    return np.array(needed)[case] - ROUNDING


@cache
def votes_to_decide(
    top: float, second: float, left: int, certainty: float = UNKNOWN_CERTAINTY, rank: int | None = None, each: float = 1
) -> int:
    """How many of the `left` votes the leading letter needs, given one after the other, until it has `decided`.

    All of them, where even that does not decide it. The rank is taken to stay as it is.

    >>> votes_to_decide(0, 0, left=5, certainty=0.8), votes_to_decide(0, 0, left=5, certainty=0.8, rank=100)
    (2, 1)
    >>> votes_to_decide(1, 0, left=4, certainty=0.8, rank=5), votes_to_decide(2, 2, left=1, certainty=0.8)
    (2, 1)
    """
    return next(
        (more for more in range(left) if decided(top + more * each, second, left - more, certainty, rank, each)), left
    )


def decided(
    top: float, second: float, left: int, certainty: float = UNKNOWN_CERTAINTY, rank: int | None = None, each: float = 1
) -> bool:
    """Whether the letter that leads with `top` votes against `second` wins in the end with P ≥ `certainty`.

    At most `left` votes are to come, which on average count as `each`. As in Adaptive-Consistency (Aggarwal et al.
    2023, https://arxiv.org/abs/2305.11860) the leader's share of the two letters' votes has a Beta distribution. The
    rule of that paper begins with Beta(1, 1) and asks whether the letter would lead after endless votes. This one asks
    what the votes still to come can change: the fewer they are, the less. And it begins with how easy the question is
    to the generator. `rank` is the mean `logprob_rank` of the samples, whatever they answer, and counts as `RANK_VOTES`
    votes:

        a = 1 + 4 · rank / 100 + top,  b = 1 + 4 · (1 - rank / 100) + second

    How many of the votes to come, x, go to the second letter is beta-binomial,

        P(x) = C(left, x) · B(a + left - x, b + x) / B(a, b)

    and the leader wins if second + x · each < top + (left - x) · each. Without a rank: Beta(1, 1), and a certainty of
    at least 0.95; for endless `left` that is the rule of the paper.

    Two against none of five votes, so three are left: x = 0, 1, 2, 3 weigh 10, 6, 3, 1. Only three for the other
    letter turn the vote: P = 19/20.

    >>> decided(2, 0, left=3, certainty=0.95), decided(1, 0, left=4, certainty=0.95)
    (True, False)

    Where the generator is surer than it was of most questions, one vote of five is enough; elsewhere it is not:

    >>> decided(1, 0, left=4, certainty=0.8, rank=70), decided(1, 0, left=4, certainty=0.8, rank=30)
    (True, False)

    With no votes left nothing can change; a tie is never decided:

    >>> decided(3, 2, left=0, certainty=0.95), decided(2, 1, left=1, certainty=0.8), decided(2, 2, 0, certainty=0.8)
    (True, False, False)
    """
    if rank is None:
        prior, certainty = (0.0, 0.0), max(certainty, UNKNOWN_CERTAINTY)
    else:
        prior = RANK_VOTES * rank / 100, RANK_VOTES * (1 - rank / 100)
    a, b = 1 + prior[0] + top, 1 + prior[1] + second
    wins = sum(
        exp(_log_beta(a + left - x, b + x) - _log_beta(a, b) - _log_beta(left - x + 1, x + 1)) / (left + 1)
        for x in range(left + 1)
        if second + x * each < top + (left - x) * each - ROUNDING
    )
    return top > second + ROUNDING and wins >= certainty - 1e-9  # 19/20 is 0.95, whatever rounding makes of it


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
