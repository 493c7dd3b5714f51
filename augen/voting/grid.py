"""The samples of many questions by slot and round: what votes and stopping rules look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from augen.core.arrays import Bools, Ints
from augen.voting.samples import CODES, Sample, Samples
from augen.voting.settings import Method, VotingSettings
from augen.voting.vote import accepted_at, accepted_or_all, weights_of, winners


@dataclass(frozen=True)
class SampleGrid:
    """Arrays (Q, V, R): Q questions, V slots, R rounds. Letters are codes, -1 where there is no answer or no sample."""

    answers: Ints
    weights: Ints  # of the scores, see `weights_of`
    ranks: Ints  # logprob_rank, -1 where it is not known
    accepted: Bools
    drawn: Bools

    @classmethod
    def empty(cls, questions: int, settings: VotingSettings) -> "SampleGrid":
        """Nothing is drawn yet."""
        shape = questions, settings.voters, settings.max_resample + 1
        none, no = np.full(shape, -1, np.int8), np.zeros(shape, np.bool_)
        return cls(none, np.zeros(shape, np.int64), none.copy(), no, no.copy())

    @classmethod
    def of(cls, samples: Samples, settings: VotingSettings) -> "SampleGrid":
        """Those of `samples` whose slot and round `settings` has."""
        grid = cls.empty(len(samples.ids), settings)
        rows = samples.rows
        rows = rows[(rows["slot"] <= settings.voters) & (rows["round"] <= settings.max_resample)]
        place = rows["question"], rows["slot"] - 1, rows["round"]
        grid._put(place, rows["answer"], rows["score"], rows["logprob_rank"], settings.threshold)
        return grid

    def add(self, questions: Sequence[int], samples: Sequence[Sample], threshold: float) -> None:
        """Put each of `samples` into the grid, as one of the question with the same place in `questions`."""
        place = tuple(
            np.array(numbers, dtype=np.int64)
            for numbers in (questions, [s.slot - 1 for s in samples], [s.round for s in samples])
        )
        answers = np.array([CODES[s.answer] for s in samples], dtype=np.int64)
        scores = np.array([np.nan if s.score is None else s.score for s in samples])
        ranks = np.array([-1 if s.logprob_rank is None else s.logprob_rank for s in samples])
        self._put(place, answers, scores, ranks, threshold)

    def _put(self, place: Any, answers: Ints, scores: Ints, ranks: Ints, threshold: float) -> None:
        self.answers[place] = answers
        self.weights[place] = weights_of(scores)
        self.ranks[place] = ranks
        self.accepted[place] = accepted_at(answers, scores, threshold)
        self.drawn[place] = True

    def __getitem__(self, place: Any) -> "SampleGrid":
        """The same part of every array; ``grid[:, :3, :1]`` are the first samples of the first three slots."""
        return SampleGrid(*(part[place] for part in vars(self).values()))

    def only(self, drawn: Bools) -> "SampleGrid":
        """The grid as it was when those `drawn` (Q, V, R) were all that had been drawn."""
        answers = np.where(drawn, self.answers, -1)
        return SampleGrid(answers, self.weights, self.ranks, self.accepted & drawn, drawn)

    @property
    def common(self) -> "SampleGrid":
        """Round 0 of the slots that every question has: all of round 0, unless adaptive stopping ended some early.

        Whether a later slot was drawn then depends on the answers before it, and averages over it are biased.
        """
        slots = int(np.count_nonzero(self.drawn[:, :, 0], axis=1).min())
        return self[:, :slots, :1]

    def flat(self, name: str) -> Ints:
        """One of the arrays as (Q, V · R)."""
        return np.asarray(getattr(self, name).reshape(len(self.drawn), -1))

    @property
    def votes(self) -> Ints:
        """(Q, V · R) the answers that vote: of the accepted samples, or of all where a question has none."""
        return accepted_or_all(self.flat("answers"), self.flat("accepted"))

    def voted(self, method: Method) -> Ints:
        """(Q,) the winner among the `votes`, -1 where there are none."""
        return winners(self.votes, self.flat("weights"), method)
