"""The rules of voting and stopping for one question, with worked examples: what the array forms of augen are held to.

Pure functions of the samples of *one* question::

    history = []
    while draws := next_draws(history, settings):
        history += [sample_of(slot, round) for slot, round in draws]
    decide(history, settings).answer

Ties never depend on the order of the samples: the higher score sum wins, then the earlier letter.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from augen.voting.samples import Sample
from augen.voting.settings import Method, Mode, VotingSettings
from augen.voting.stopping import decided
from augen.voting.vote import SCORE_UNITS

Place = tuple[Mode, int, int]  # slot and round of a mode


def weight(sample: Sample, method: Method = "weighted") -> int:
    """The score in billionths, or for `likelihood` the square of the rank. Where it is not known every sample weighs 1.

    >>> weight(Sample("B", 0.25)), weight(Sample("B")), weight(Sample("B", logprob_rank=100), "likelihood")
    (250000000, 1000000000, 1000000000)
    """
    if method == "likelihood":
        share = 1 if sample.logprob_rank is None else (1 + sample.logprob_rank) / 101
        return round(share**2 * SCORE_UNITS)
    return SCORE_UNITS if sample.score is None else round(sample.score * SCORE_UNITS)


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


def _vote(samples: Sequence[Sample], total: Callable[[list[int]], int], unit: int, method: Method = "weighted") -> Vote:
    """The letter whose weights have the highest `total`; tallies are totals divided by `unit`."""
    weights: dict[str, list[int]] = {}
    for sample in samples:
        if sample.answer is not None:
            weights.setdefault(sample.answer, []).append(weight(sample, method))
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


def likelihood(samples: Sequence[Sample]) -> Vote:
    """The letter with the highest sum of squared ranks of log-probability.

    >>> likelihood([Sample("A", 0.1, logprob_rank=90), *[Sample("B", 0.9, logprob_rank=40)] * 2]).answer
    'A'

    Without ranks it is the majority.

    >>> likelihood([Sample("B"), Sample("A"), Sample("B")]).answer
    'B'
    """
    return _vote(samples, sum, SCORE_UNITS, "likelihood")


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
    "likelihood": likelihood,
    "weighted": weighted,
    "best": best,
}


def decide(samples: Sequence[Sample], settings: VotingSettings) -> Decision:
    """Vote over the accepted samples of a question, of all its slots and rounds.

    >>> majority, weighted = (VotingSettings(5, threshold=0.5, method=m) for m in ("majority", "weighted"))
    >>> decide([Sample("A", 0.9), Sample("B", 0.4), Sample("B", 0.4)], majority)
    Decision(answer='A', tally={'A': 1.0}, basis='accepted')

    Nothing accepted: all parsed samples vote.

    >>> decide([Sample("C", 0.1), Sample("B", 0.4), Sample(None, 0.4)], weighted)
    Decision(answer='B', tally={'B': 0.4, 'C': 0.1}, basis='parsed')

    Nothing parsed: the fallback letter, marked as such.

    >>> decide([Sample(None, 0.9)], weighted)
    Decision(answer='A', tally={}, basis='fallback')

    A program that has an answer adds `program_weight` votes to those of the reasonings; a tie still goes to the higher
    score sum of the reasonings.

    >>> from dataclasses import replace
    >>> program, abstains = Sample("C", mode="program"), Sample(None, mode="program", cause="syntax")
    >>> decide([Sample("A", 0.9), Sample("B", 0.6), program, abstains], replace(majority, program_weight=2.5))
    Decision(answer='C', tally={'C': 2.5, 'A': 1.0, 'B': 1.0}, basis='accepted')
    >>> decide([program, Sample("D", 0.9)], majority).answer
    'D'
    >>> decide([program], replace(majority, program_weight=0))
    Decision(answer='A', tally={}, basis='fallback')
    """
    steps = [sample for sample in samples if sample.mode == "steps"]
    programs = Counter(s.answer for s in samples if s.mode == "program" and s.answer and settings.program_weight)
    accepted = [sample for sample in steps if sample.accepted(settings.threshold)]
    reasoned = VOTES[settings.method](accepted or steps).tally
    sums = Counter[str]()
    for sample in accepted or steps:
        sums[sample.answer or ""] += weight(sample, settings.method)
    votes = {
        letter: round(reasoned.get(letter, 0) * SCORE_UNITS)
        + programs[letter] * round(settings.program_weight * SCORE_UNITS)
        for letter in {*reasoned, *programs}
    }
    # A letter of a program only stands behind one that a reasoning gave, even with a score of 0.
    ranked = sorted(votes, key=lambda letter: (-votes[letter], -sums.get(letter, -1), letter))
    if not ranked:
        return Decision(settings.fallback, {}, "fallback")
    tally = {letter: votes[letter] / SCORE_UNITS for letter in ranked}
    return Decision(ranked[0], tally, "accepted" if accepted or programs else "parsed")


def mean_rank(samples: Sequence[Sample]) -> int | None:
    """The mean of the ranks that are known, rounded down.

    >>> mean_rank([Sample("A", logprob_rank=50), Sample("B", logprob_rank=81), Sample("B")])
    65
    """
    known = [sample.logprob_rank for sample in samples if sample.logprob_rank is not None]
    return sum(known) // len(known) if known else None


def next_draws(history: Sequence[Sample], settings: VotingSettings) -> list[tuple[int, int]]:
    """The (slot, round) of every reasoning to draw now, given all samples of a question without slots of programs.

    In slot order; empty when the question is finished. `history` holds only slots 1…`voters`. Whatever the
    answers are, a question ends after at most ``voters * (max_resample + 1)`` samples.

    **resample="slot"**: a slot closes with its first accepted sample; every other slot is drawn again, at
    most `max_resample` times.

    >>> from dataclasses import replace
    >>> plain = VotingSettings(voters=3, max_resample=1, threshold=0.5)
    >>> next_draws([], plain)
    [(1, 0), (2, 0), (3, 0)]
    >>> first = [Sample("A", 0.9, slot=1), Sample("B", 0.2, slot=2), Sample(None, slot=3)]
    >>> next_draws(first, plain)
    [(2, 1), (3, 1)]
    >>> next_draws([*first, Sample("B", 0.3, 2, 1), Sample("A", 0.4, 3, 1)], plain)
    []

    A slot does not look at its neighbours, so that more voters only add slots:

    >>> next_draws(first, replace(plain, voters=5))
    [(2, 1), (3, 1), (4, 0), (5, 0)]

    **resample="question"**: all slots are drawn again, and only if no sample of the question was accepted.

    >>> whole = replace(plain, resample="question")
    >>> next_draws(first, whole)
    []
    >>> next_draws([Sample("A", 0.1, slot=1), Sample("B", 0.2, slot=2), Sample(None, slot=3)], whole)
    [(1, 1), (2, 1), (3, 1)]

    **adaptive**: the question ends once its accepted samples have decided it with `certainty`; each counts as one vote,
    whatever `decide` weighs later. Of the draws above, only as many are made as would settle the question if they all
    agreed with the leader. So nearly as few samples are drawn as one at a time would need, in fewer rounds. The first
    sample of all is taken to be a sure one. Here no rank is known, so after the first vote of 9 at least two more are
    needed; three equal answers end it:

    >>> sparing = replace(plain, voters=9, adaptive=True)
    >>> next_draws([], sparing), next_draws([Sample("A", 0.9)], sparing)
    ([(1, 0)], [(2, 0), (3, 0)])
    >>> next_draws([Sample("A", 0.9, slot) for slot in (1, 2, 3)], sparing)
    []

    Three to one and five votes left: one more for A decides it. Slot 2, rejected, comes before new slots.

    >>> split = [Sample("A", 0.9, 1), Sample("A", 0.1, 2), Sample("B", 0.9, 3), Sample("A", 0.9, 4)]
    >>> next_draws([*split, Sample("A", 0.8, 5)], sparing)
    [(2, 1)]
    """
    return [(slot, round_) for _, slot, round_ in next_places(history, settings)]


def next_places(history: Sequence[Sample], settings: VotingSettings) -> list[Place]:
    """`next_draws` of a question with slots of programs, which come first: (mode, slot, round).

    >>> from dataclasses import replace
    >>> both = VotingSettings(voters=2, max_resample=1, threshold=0.5, programs=1, program_weight=3)
    >>> next_places([], both)
    [('program', 1, 0), ('steps', 1, 0), ('steps', 2, 0)]

    A program that abstains is drawn again. ``resample="question"`` looks at reasonings and programs separately.

    >>> abstains, low = Sample(None, mode="program"), [Sample("A", 0.1, slot) for slot in (1, 2)]
    >>> next_places([abstains, Sample("A", 0.9), low[1]], both)
    [('program', 1, 1), ('steps', 2, 1)]
    >>> next_places([Sample("A", mode="program"), *low], replace(both, resample="question"))
    [('steps', 1, 1), ('steps', 2, 1)]

    **adaptive**: a program counts as 3 votes here. One alone, and one that answers settles it against two reasonings:

    >>> sparing = replace(both, adaptive=True)
    >>> next_places([], sparing), next_places([Sample("B", mode="program")], sparing)
    ([('program', 1, 0)], [])

    Where it abstains to the end, reasonings are drawn; where programs count nothing, no program is.

    >>> next_places([abstains, replace(abstains, round=1)], sparing)
    [('steps', 1, 0), ('steps', 2, 0)]
    >>> next_places([], replace(sparing, program_weight=0))
    [('steps', 1, 0), ('steps', 2, 0)]

    Where programs are known to be right often enough, one that answers settles the question whatever it counts:

    >>> little = replace(sparing, program_weight=0.1, certainty=0.9, program_precision=0.95)
    >>> next_places([Sample("B", mode="program")], little)
    []
    >>> next_places([Sample("B", mode="program")], replace(little, program_precision=0.85))
    [('steps', 1, 0)]
    """
    slots: dict[Mode, int] = {"program": settings.programs, "steps": settings.voters}
    draws = [place for mode in slots for place in _places(mode, slots[mode], history, settings)]
    if settings.adaptive:
        votes = {"steps": 1, "program": min(20, max(1, round(settings.program_weight)))}
        if settings.program_weight == 0:
            draws = [place for place in draws if place[0] == "steps"]
        counts = Counter[str | None]()
        accepted = [sample for sample in history if sample.accepted(settings.threshold)]
        if settings.programs_settle and any(sample.mode == "program" for sample in accepted):
            return []
        for sample in accepted:
            counts[sample.answer] += votes[sample.mode]
        top, second = [*sorted(counts.values(), reverse=True), 0, 0][:2]
        left = sum(votes[mode] for mode, _, _ in draws)
        rank = mean_rank(accepted) if history else 100
        for number, (mode, _, _) in enumerate(draws):
            if decided(top, second, left, settings.certainty, rank):
                return draws[:number]
            top, left = top + votes[mode], left - votes[mode]
    return draws


def _places(mode: Mode, slots: int, history: Sequence[Sample], settings: VotingSettings) -> list[Place]:
    """All draws of one mode, without `adaptive`."""
    own = [sample for sample in history if sample.mode == mode]
    last_round = dict.fromkeys(range(1, slots + 1), -1)
    for sample in own:
        last_round[sample.slot] = max(last_round[sample.slot], sample.round)
    accepted = [sample for sample in own if sample.accepted(settings.threshold)]

    if settings.resample == "slot":
        closed = {sample.slot for sample in accepted}
        open_slots = [slot for slot in last_round if slot not in closed]
    else:
        # Level by level: a slot is drawn again only after every slot has had the same number of chances.
        lowest = -1 if accepted else min(last_round.values(), default=-1)
        open_slots = [slot for slot, last in last_round.items() if last == lowest]

    return [(mode, slot, last_round[slot] + 1) for slot in open_slots if last_round[slot] < settings.max_resample]
