"""From several samples of one question to one answer, and which samples to draw next.

Pure functions of the parsed and scored samples of *one* question; nothing here knows a model or a file.
`augen.answering.rounds` runs the round loop with `next_draws` and closes it with `decide`::

    history = []
    while draws := next_draws(history, 5, 2, threshold=0.5, resample="slot", adaptive=False):
        history += [sample_of(slot, round) for slot, round in draws]
    decide(history, "weighted", fallback="A", threshold=0.5).answer

Ties never depend on the order of the samples: the higher score sum wins, then the earlier letter. So that
sums do not depend on the order either, scores are counted in whole billionths (`SCORE_UNITS`), which makes
0.1 + 0.2 equal to 0.3.

`augen.voting.vote.winners` is `decide` without the fallback for a whole array of questions; a test holds the
two together.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, lgamma
from typing import Literal

from augen.voting.vote import SCORE_UNITS, Method, Resample


@dataclass(frozen=True)
class Sample:
    """What a vote needs to know of one sample.

    `answer` is the parsed letter, None where nothing was parsed; `score` the scorer's probability that the
    reasoning is right (0…1), None where there is no scorer; `slot` counts from 1, `round` from 0 (a slot's
    first sample). `confidence` says how sure the generator was of its words (`answering.rounds.confidence_of`): its
    rank among the first samples of all questions (0…100), None where it is not known. Raises ValueError for a score
    that is no probability.
    """

    answer: str | None
    score: float | None = None
    slot: int = 1
    round: int = 0
    confidence: int | None = None

    def __post_init__(self) -> None:
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"slot {self.slot}, round {self.round}: score {self.score} is not within 0…1")

    def accepted(self, threshold: float) -> bool:
        """Whether the sample has an answer and its score reaches `threshold` (no scorer: has an answer).

        >>> Sample("B", 0.5).accepted(0.5), Sample("B", 0.49).accepted(0.5), Sample(None, 0.9).accepted(0.5)
        (True, False, False)
        >>> Sample("B").accepted(0.5)
        True
        """
        return self.answer is not None and (self.score is None or self.score >= threshold)

    @property
    def weight(self) -> int:
        """The score in billionths. Without a scorer every sample weighs the same: 1.

        >>> Sample("B", 0.25).weight, Sample("B").weight
        (250000000, 1000000000)
        """
        return SCORE_UNITS if self.score is None else round(self.score * SCORE_UNITS)


@dataclass(frozen=True)
class Vote:
    """The winning letter (None if no sample had one) and what each letter got, the winner first."""

    answer: str | None
    tally: dict[str, float]


@dataclass(frozen=True)
class Decision:
    """The answer that is handed in, what each letter got, and which samples were asked.

    `basis` is ``accepted`` (the normal case), ``parsed`` (nothing was accepted) or ``fallback`` (nothing was
    even parsed: `answer` is the fallback letter and `tally` is empty).
    """

    answer: str
    tally: dict[str, float]
    basis: Literal["accepted", "parsed", "fallback"]


def _vote(samples: Sequence[Sample], total: Callable[[list[int]], int], unit: int) -> Vote:
    """The letter whose weights have the highest `total`; tallies are totals divided by `unit`."""
    weights: dict[str, list[int]] = {}
    for sample in samples:
        if sample.answer is not None:
            weights.setdefault(sample.answer, []).append(sample.weight)
    ranked = sorted(weights, key=lambda letter: (-total(weights[letter]), -sum(weights[letter]), letter))
    tally = {letter: total(weights[letter]) / unit for letter in ranked}
    return Vote(next(iter(ranked), None), tally)


def majority(samples: Sequence[Sample]) -> Vote:
    """The most frequent letter (self-consistency, Wang et al. 2022, https://arxiv.org/abs/2203.11171).

    >>> majority([Sample("A", 0.9), Sample("B", 0.2), Sample("B", 0.3), Sample(None)])
    Vote(answer='B', tally={'B': 2.0, 'A': 1.0})

    One each: the higher score sum wins; equal sums too: the earlier letter.

    >>> majority([Sample("A", 0.2), Sample("C", 0.3)]).answer
    'C'
    >>> majority([Sample("C", 0.3), Sample("A", 0.3)]).answer
    'A'
    >>> majority([Sample(None, 0.9)])
    Vote(answer=None, tally={})
    """
    return _vote(samples, len, unit=1)


def weighted(samples: Sequence[Sample]) -> Vote:
    """The letter with the highest sum of scores (weighted best-of-n, Li et al. 2023,
    https://arxiv.org/abs/2206.02336).

    >>> weighted([Sample("A", 0.9), Sample("B", 0.2), Sample("B", 0.3)])
    Vote(answer='A', tally={'A': 0.9, 'B': 0.5})

    Equal sums (0.1 + 0.2 is 0.3 here): the earlier letter.

    >>> weighted([Sample("B", 0.3), Sample("A", 0.1), Sample("A", 0.2)]).answer
    'A'

    Without scores it is the majority.

    >>> weighted([Sample("B"), Sample("A"), Sample("B")]).answer
    'B'
    """
    return _vote(samples, sum, unit=SCORE_UNITS)


def best(samples: Sequence[Sample]) -> Vote:
    """The letter of the highest single score (best-of-n, Cobbe et al. 2021,
    https://arxiv.org/abs/2110.14168).

    >>> best([Sample("A", 0.7), Sample("B", 0.6), Sample("B", 0.6)])
    Vote(answer='A', tally={'A': 0.7, 'B': 0.6})

    Equal highest scores: the higher score sum, then the earlier letter.

    >>> best([Sample("A", 0.7), Sample("B", 0.7), Sample("B", 0.1)]).answer
    'B'
    """
    return _vote(samples, max, unit=SCORE_UNITS)


VOTES: dict[Method, Callable[[Sequence[Sample]], Vote]] = {
    "majority": majority,
    "weighted": weighted,
    "best": best,
}


def decide(samples: Sequence[Sample], method: Method, fallback: str, threshold: float) -> Decision:
    """Vote over the accepted samples of a question, of all its slots and rounds.

    >>> decide([Sample("A", 0.9), Sample("B", 0.4), Sample("B", 0.4)], "majority", "A", threshold=0.5)
    Decision(answer='A', tally={'A': 1.0}, basis='accepted')

    Nothing accepted: all parsed samples vote.

    >>> decide([Sample("C", 0.1), Sample("B", 0.4), Sample(None, 0.4)], "weighted", "A", threshold=0.5)
    Decision(answer='B', tally={'B': 0.4, 'C': 0.1}, basis='parsed')

    Nothing parsed: the fallback letter, marked as such.

    >>> decide([Sample(None, 0.9)], "weighted", "A", threshold=0.5)
    Decision(answer='A', tally={}, basis='fallback')
    """
    accepted = [sample for sample in samples if sample.accepted(threshold)]
    vote = VOTES[method](accepted or samples)
    if vote.answer is None:
        return Decision(fallback, {}, "fallback")
    return Decision(vote.answer, vote.tally, "accepted" if accepted else "parsed")


CONFIDENCE_VOTES = 4  # as many votes as the generator's own confidence is worth
UNKNOWN_CERTAINTY = 0.95  # at least, where no confidence is known


def decided(
    top: int, second: int, left: int, certainty: float = UNKNOWN_CERTAINTY, confidence: int | None = None
) -> bool:
    """Whether the letter that leads with `top` votes against `second` wins at the end: P ≥ `certainty`.

    At most `left` votes are to come. As in Adaptive-Consistency (Aggarwal et al. 2023,
    https://arxiv.org/abs/2305.11860) the share of the leading letter among the two has a Beta distribution. That rule
    begins with Beta(1, 1) and asks whether the letter would lead after endless votes; this one asks what the votes
    that are still to come can change, which is less the fewer they are, and begins with how easy the question is to
    the generator: its mean `confidence` in the samples (0…100), whatever they answer, counted as `CONFIDENCE_VOTES`:

        a = 1 + 4 · confidence / 100 + top,  b = 1 + 4 · (1 - confidence / 100) + second

    How many of the votes to come, x, go to the second letter is beta-binomial,

        P(x) = C(left, x) · B(a + left - x, b + x) / B(a, b)

    and the leader wins if second + x < top + left - x. Without a confidence, Beta(1, 1) and a certainty of at least
    0.95; for endless `left` that is the rule of the paper.

    Two against none of five votes, so three are left: x = 0, 1, 2, 3 weigh 10, 6, 3, 1. Only three for the other
    letter turn the vote: P = 19/20.

    >>> decided(2, 0, left=3, certainty=0.95), decided(1, 0, left=4, certainty=0.95)
    (True, False)

    Where the generator is surer than it was of most questions, one vote of five is enough, and elsewhere it is not:

    >>> decided(1, 0, left=4, certainty=0.8, confidence=70), decided(1, 0, left=4, certainty=0.8, confidence=30)
    (True, False)

    Nothing is left to change it, but a tie never is decided:

    >>> decided(3, 2, left=0, certainty=0.95), decided(2, 1, left=1, certainty=0.8), decided(2, 2, 0, certainty=0.8)
    (True, False, False)
    """
    if confidence is None:
        trust, certainty = (0.0, 0.0), max(certainty, UNKNOWN_CERTAINTY)
    else:
        trust = CONFIDENCE_VOTES * confidence / 100, CONFIDENCE_VOTES * (1 - confidence / 100)
    a, b = 1 + trust[0] + top, 1 + trust[1] + second
    wins = sum(
        exp(_log_beta(a + left - x, b + x) - _log_beta(a, b) - _log_beta(left - x + 1, x + 1)) / (left + 1)
        for x in range(left + 1)
        if second + x < top + left - x
    )
    return top > second and wins >= certainty - 1e-9  # 19/20 is 0.95, whatever rounding makes of it


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


@cache
def votes_to_decide(
    top: int, second: int, left: int, certainty: float = UNKNOWN_CERTAINTY, confidence: int | None = None
) -> int:
    """How many of the `left` votes the leading letter needs, if it gets them one after the other, until `decided`.

    All of them, where even that does not decide it. The confidence is taken to stay as it is.

    >>> votes_to_decide(0, 0, left=5, certainty=0.8), votes_to_decide(0, 0, left=5, certainty=0.8, confidence=100)
    (2, 1)
    >>> votes_to_decide(1, 0, left=4, certainty=0.8, confidence=5), votes_to_decide(2, 2, left=1, certainty=0.8)
    (2, 1)
    """
    return next((more for more in range(left) if decided(top + more, second, left - more, certainty, confidence)), left)


def mean_confidence(samples: Sequence[Sample]) -> int | None:
    """The mean of the confidences that are known, rounded down.

    >>> mean_confidence([Sample("A", confidence=50), Sample("B", confidence=81), Sample("B")])
    65
    """
    known = [sample.confidence for sample in samples if sample.confidence is not None]
    return sum(known) // len(known) if known else None


def next_draws(
    history: Sequence[Sample],
    voters: int,
    max_resample: int,
    threshold: float,
    resample: Resample,
    adaptive: bool,
    certainty: float = UNKNOWN_CERTAINTY,
) -> list[tuple[int, int]]:
    """The (slot, round) of every sample to draw now, given all samples of the question so far.

    In slot order; empty when the question is finished. `history` holds only slots 1…`voters`. Whatever the
    answers are, a question ends after at most ``voters * (max_resample + 1)`` samples.

    **resample="slot"**: a slot closes with its first accepted sample; every other slot is drawn again, at
    most `max_resample` times.

    >>> plain = dict(voters=3, max_resample=1, threshold=0.5, resample="slot", adaptive=False)
    >>> next_draws([], **plain)
    [(1, 0), (2, 0), (3, 0)]
    >>> first = [Sample("A", 0.9, slot=1), Sample("B", 0.2, slot=2), Sample(None, slot=3)]
    >>> next_draws(first, **plain)
    [(2, 1), (3, 1)]
    >>> next_draws([*first, Sample("B", 0.3, 2, 1), Sample("A", 0.4, 3, 1)], **plain)
    []

    A slot does not look at its neighbours, so that more voters only add slots:

    >>> next_draws(first, **(plain | {"voters": 5}))
    [(2, 1), (3, 1), (4, 0), (5, 0)]

    **resample="question"**: all slots are drawn again, and only if no sample of the question was accepted.

    >>> whole = plain | {"resample": "question"}
    >>> next_draws(first, **whole)
    []
    >>> next_draws([Sample("A", 0.1, slot=1), Sample("B", 0.2, slot=2), Sample(None, slot=3)], **whole)
    [(1, 1), (2, 1), (3, 1)]

    **adaptive**: the question ends once its accepted samples are `decided` with `certainty` (each counts as one vote,
    whatever `decide` weighs later; each of the draws above can bring one more). Of these draws only the first
    `votes_to_decide` are made at a time: as many as decide it if all are accepted, agree and are as sure as those so
    far, so this saves nearly what drawing one at a time would, in fewer rounds. The first sample of all is hoped to
    be a sure one. Here no confidence is known, so after the first vote of 9 two more are needed at least; three equal
    answers end it:

    >>> sparing = plain | {"voters": 9, "adaptive": True}
    >>> next_draws([], **sparing), next_draws([Sample("A", 0.9)], **sparing)
    ([(1, 0)], [(2, 0), (3, 0)])
    >>> next_draws([Sample("A", 0.9, slot) for slot in (1, 2, 3)], **sparing)
    []

    Three to one and five votes left: one more for A decides it. Slot 2, rejected, comes before new slots.

    >>> split = [Sample("A", 0.9, 1), Sample("A", 0.1, 2), Sample("B", 0.9, 3), Sample("A", 0.9, 4)]
    >>> next_draws([*split, Sample("A", 0.8, 5)], **sparing)
    [(2, 1)]
    """
    last_round = dict.fromkeys(range(1, voters + 1), -1)
    for sample in history:
        last_round[sample.slot] = max(last_round[sample.slot], sample.round)
    accepted = [sample for sample in history if sample.accepted(threshold)]

    if resample == "slot":
        closed = {sample.slot for sample in accepted}
        open_slots = [slot for slot in last_round if slot not in closed]
    else:
        # Level by level: a slot is drawn again only after every slot has had the same number of chances.
        lowest = -1 if accepted else min(last_round.values())
        open_slots = [slot for slot, last in last_round.items() if last == lowest]

    draws = [(slot, last_round[slot] + 1) for slot in open_slots if last_round[slot] < max_resample]
    if adaptive:
        counts = [n for _, n in Counter(sample.answer for sample in accepted).most_common(2)]
        top, second = [*counts, 0, 0][:2]
        confidence = mean_confidence(accepted) if history else 100
        draws = draws[: votes_to_decide(top, second, len(draws), certainty, confidence)]
    return draws
