"""The samples of many questions by slot and round: what votes and stopping rules look at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from augen.core.arrays import Bools, Floats, Ints
from augen.voting.samples import CODES, Sample, Samples
from augen.voting.settings import Method, VotingSettings
from augen.voting.vote import (
    AVERAGE_LIKELIHOOD,
    accepted_at,
    accepted_or_all,
    blocks,
    leaders,
    likelihoods_of,
    tallies,
    weights_of,
    with_programs,
)


@dataclass(frozen=True)
class SampleGrid:
    """Arrays (Q, V, R): Q questions, V slots, R rounds. Letters are codes, -1 where there is no answer or no sample.

    The first `program_slots` of the slots are those of programs, the others those of reasonings. `generators` says by
    which of several generators each slot is drawn, as `VotingSettings.generator`; empty: there is only one.
    """

    answers: Ints
    weights: Ints  # of the scores, see `weights_of`
    ranks: Ints  # logprob_rank, -1 where it is not known
    accepted: Bools
    drawn: Bools
    program_slots: int = 0
    generators: tuple[int, ...] = ()

    @classmethod
    def empty(cls, questions: int, settings: VotingSettings) -> "SampleGrid":
        """Nothing is drawn yet."""
        shape = questions, settings.programs + settings.voters, settings.max_resample + 1
        none, no = np.full(shape, -1, np.int8), np.zeros(shape, np.bool_)
        slots = [*range(1, settings.programs + 1), *range(1, settings.voters + 1)]
        generators = tuple(map(settings.generator, slots)) if settings.generators > 1 else ()
        return cls(none, np.zeros(shape, np.int32), none.copy(), no, no.copy(), settings.programs, generators)

    @classmethod
    def of(cls, samples: Samples, settings: VotingSettings) -> "SampleGrid":
        """Those of `samples` whose slot and round `settings` has."""
        grid = cls.empty(len(samples.ids), settings)
        rows = samples.rows
        slots = np.where(rows["program"], settings.programs, settings.voters)
        rows = rows[(rows["slot"] <= slots) & (rows["round"] <= settings.max_resample)]
        place = rows["question"], grid._column(rows["program"], rows["slot"]), rows["round"]
        grid._put(place, rows["answer"], rows["score"], rows["logprob_rank"], settings.threshold)
        return grid

    def add(self, questions: Sequence[int], samples: Sequence[Sample], threshold: float) -> None:
        """Put each of `samples` into the grid, as one of the question with the same place in `questions`."""
        program = np.array([s.mode == "program" for s in samples], dtype=np.bool_)
        numbers = (questions, [s.slot for s in samples], [s.round for s in samples])
        question, slot, round_ = (np.array(each, dtype=np.int64) for each in numbers)
        place = question, self._column(program, slot), round_
        answers = np.array([CODES[s.answer] for s in samples], dtype=np.int64)
        scores = np.array([np.nan if s.score is None else s.score for s in samples])
        ranks = np.array([-1 if s.logprob_rank is None else s.logprob_rank for s in samples])
        self._put(place, answers, scores, ranks, threshold)

    def _column(self, program: Bools, slot: Ints) -> Ints:
        """The place of each slot, which counts from 1 in its mode."""
        return np.asarray(np.where(program, 0, self.program_slots) + slot - 1)

    def _put(self, place: Any, answers: Ints, scores: Ints, ranks: Ints, threshold: float) -> None:
        self.answers[place] = answers
        self.weights[place] = weights_of(scores)
        self.ranks[place] = ranks
        self.accepted[place] = accepted_at(answers, scores, threshold)
        self.drawn[place] = True

    def __getitem__(self, place: Any) -> "SampleGrid":
        """The same part of every array; ``grid[:, :3, :1]`` are the first samples of the first three slots.

        The program slots among those taken must still be the first ones.
        """
        slots = np.arange(self.drawn.shape[1])[place[1] if isinstance(place, tuple) else slice(None)]
        arrays = {name: part[place] for name, part in vars(self).items() if isinstance(part, np.ndarray)}
        generators = tuple(self.generators[slot] for slot in slots) if self.generators else ()
        return SampleGrid(**arrays, program_slots=int((slots < self.program_slots).sum()), generators=generators)

    def only(self, drawn: Bools) -> "SampleGrid":
        """The grid as it was when those `drawn` (Q, V, R) were all that had been drawn."""
        return replace(self, answers=np.where(drawn, self.answers, -1), accepted=self.accepted & drawn, drawn=drawn)

    @property
    def steps(self) -> "SampleGrid":
        """The slots of reasonings."""
        return self[:, self.program_slots :]

    @property
    def programs(self) -> "SampleGrid":
        """The slots of programs."""
        return self[:, : self.program_slots]

    @property
    def common(self) -> "SampleGrid":
        """Round 0 of the slots that every question has: all of round 0, unless adaptive stopping ended some early.

        Of a grid of one mode, `steps` or `programs`.
        Whether a later slot was drawn then depends on the answers before it, and averages over it are biased.
        """
        slots = int(np.count_nonzero(self.drawn[:, :, 0], axis=1).min())
        return self[:, :slots, :1]

    def flat(self, name: str) -> Ints:
        """One of the arrays as (Q, V · R)."""
        return np.asarray(getattr(self, name).reshape(len(self.drawn), -1))

    def weighed(self, method: Method) -> Ints:
        """(Q, V · R) what each sample weighs: by its likelihood for the method of this name, else by its score."""
        return likelihoods_of(self.flat("ranks")) if method == "likelihood" else self.flat("weights")

    def worth(self, settings: VotingSettings) -> Floats | None:
        """(V · R) the votes that each sample of `steps` is worth by its generator; None: all are worth one.

        A generator whose log-probabilities are not known is, by likelihood, worth as much as an average one.
        """
        if not self.generators:
            return None
        own = np.array(self.generators)
        worth = np.array(settings.generator_weights)[own - 1] if settings.generator_weights else np.ones(len(own))
        if settings.method == "likelihood":
            known = (self.ranks >= 0).any(axis=(0, 2))
            unknown = ~np.isin(own, own[known])
            worth = np.where(unknown & known.any(), worth * AVERAGE_LIKELIHOOD, worth)
        return np.repeat(worth, self.drawn.shape[2])

    @property
    def votes(self) -> Ints:
        """(Q, V · R) the answers of `steps` that vote: of the accepted samples, or of all where a question has none."""
        steps = self.steps
        return accepted_or_all(steps.flat("answers"), steps.flat("accepted"))

    def tallies(self, settings: VotingSettings, questions: Ints | slice = slice(None)) -> tuple[Ints, Ints]:
        """``(totals, sums)`` (Q, L), as `augen.voting.vote.tallies`: of the `votes` and, if any, of programs.

        Q are those `questions` that are wanted, by their numbers. What a vote is worth may depend on all others.
        """
        return self[questions]._tallies(settings, self.steps.worth(settings))

    def _tallies(self, settings: VotingSettings, worth: Floats | None) -> tuple[Ints, Ints]:
        steps = self.steps
        totals, sums = tallies(self.votes, steps.weighed(settings.method), settings.method, worth)
        if not self.program_slots:
            return totals, sums
        return with_programs(totals, sums, self.programs.flat("answers"), settings.program_weight)

    def voted(self, settings: VotingSettings) -> Ints:
        """(Q,) the winner of the vote, -1 where nothing votes."""
        worth = self.steps.worth(settings)  # looks at all questions
        return np.concatenate([leaders(*self[block]._tallies(settings, worth)) for block in blocks(len(self.drawn))])
