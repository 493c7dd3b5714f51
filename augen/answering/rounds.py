"""The round loop: draw samples for the open slots of all questions at once, score them, go on with what is still open.

Which slots are open is decided in `augen.voting.stopping`; here data only move::

    grid → open slots (next_slots) → requests → completions (Sampler) → answers, scores → grid …
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from augen.answering.questions import Examples, Prompting
from augen.entries import Question, Solution
from augen.generation.base import Completion, Sampler
from augen.voting.grid import SampleGrid
from augen.voting.samples import Sample
from augen.voting.settings import VotingSettings
from augen.voting.stopping import UNKNOWN_CERTAINTY, next_slots
from augen.voting.vote import handed_in

Draw = tuple[int, int, int]  # number of the question, slot, round
ScoreMany = Callable[[Sequence[Solution]], Sequence[float | None]]


def unscored(solutions: Sequence[Solution]) -> list[None]:
    """No scorer: every sample with an answer is accepted."""
    return [None] * len(solutions)


@dataclass(frozen=True)
class Answering:
    """Everything that was drawn: by question in the order of the questions, then by round and slot; and as a grid."""

    questions: Sequence[Question]
    samples: list[list[Sample]]
    grid: SampleGrid
    settings: VotingSettings

    @property
    def every_sample(self) -> list[Sample]:
        return [sample for drawn in self.samples for sample in drawn]

    @property
    def unanswered(self) -> int:
        """Questions none of whose samples has an answer: they get the fallback letter."""
        return int(np.count_nonzero((self.grid.flat("answers") < 0).all(axis=1)))

    def codes(self, split: str) -> list[int]:
        """The letter codes (0 for A) that are handed in for the questions of `split`, in order."""
        options = np.array([len(question.item.options) for question in self.questions])
        codes = handed_in(self.grid.voted(self.settings.method), options, self.settings.fallback).tolist()
        return [code for code, question in zip(codes, self.questions, strict=True) if question.split == split]


class Rounds:
    """Samples `questions`, each prompted with its `examples`, as `prompting` and `settings` say."""

    def __init__(
        self, questions: Sequence[Question], examples: Examples, prompting: Prompting, settings: VotingSettings
    ) -> None:
        self._questions, self._examples, self._prompting, self._settings = questions, examples, prompting, settings
        self._grid = SampleGrid.empty(len(questions), settings)
        self._samples: list[list[Sample]] = [[] for _ in questions]
        self._first_logprobs: list[float] = []  # of the first sample of each question, in ascending order

    def run(self, sampler: Sampler, score: ScoreMany) -> Answering:
        """Draw until no slot is open.

        A question that is too long for the generator even without examples gets empty samples, which have no answer.
        """
        number = 0
        while draws := self._open():
            number += 1
            completions = self._complete(draws, sampler, f"round {number}: {len(draws):,} samples")
            if number == 1:
                self._rank_by([c.logprob for (_, slot, _), c in zip(draws, completions, strict=True) if slot == 1])
            scores = score(
                [
                    Solution(self._questions[q].problem, self._prompting.shown(self._questions[q], slot), c.text)
                    for (q, slot, _), c in zip(draws, completions, strict=True)
                ]
            )
            drawn = [self._sample(*each) for each in zip(draws, completions, scores, strict=True)]
            self._grid.add([q for q, _, _ in draws], drawn, self._settings.threshold)
            for (q, _, _), sample in zip(draws, drawn, strict=True):
                self._samples[q].append(sample)
        ordered = [sorted(drawn, key=lambda s: (s.round, s.slot)) for drawn in self._samples]
        return Answering(self._questions, ordered, self._grid, self._settings)

    def _open(self) -> list[Draw]:
        drawn = self._grid.drawn
        question, slot = np.nonzero(next_slots(self._grid, drawn, self._settings))
        round_ = np.count_nonzero(drawn[question, slot], axis=1)
        return list(zip(question.tolist(), (slot + 1).tolist(), round_.tolist(), strict=True))

    def _complete(self, draws: Sequence[Draw], sampler: Sampler, label: str) -> list[Completion]:
        """The completion of each draw; an empty one where the question does not fit."""
        requests = [
            self._prompting.request(self._questions[q], self._examples[q], slot, round_) for q, slot, round_ in draws
        ]
        fitting = [
            (request, {"slot": slot, "round": round_})
            for request, (_, slot, round_) in zip(requests, draws, strict=True)
            if request
        ]
        completions = iter(sampler.draw(fitting, label))
        if too_long := len({q for request, (q, _, _) in zip(requests, draws, strict=True) if not request}):
            print(f"{too_long} questions are too long for engine.max_model_len and get no sample")
        return [next(completions) if request else Completion("", 0, "length") for request in requests]

    def _rank_by(self, logprobs: Sequence[float | None]) -> None:
        """Samples are ranked among these, those of the first samples; not at all where most are unknown."""
        known = sorted(logprob for logprob in logprobs if logprob is not None)
        if 2 * len(known) >= len(logprobs):  # fewer would be no fair sample
            self._first_logprobs = known
        if self._settings.adaptive and len(known) < len(logprobs):
            certainty = max(self._settings.certainty, UNKNOWN_CERTAINTY)
            print(
                f"{len(logprobs) - len(known):,} of {len(logprobs):,} questions have a first sample without "
                f"log-probability: they stop at a certainty of {certainty}"
            )

    def _sample(self, draw: Draw, completion: Completion, score: float | None) -> Sample:
        q, slot, round_ = draw
        question = self._questions[q]
        return Sample(
            answer=self._prompting.answer(question, slot, completion.text),
            score=score,
            slot=slot,
            round=round_,
            logprob_rank=logprob_rank(completion.logprob, self._first_logprobs),
            split=question.split,
            question=question.id,
            seed=self._prompting.seed_of(question, slot, round_),
            text=completion.text,
            tokens=completion.tokens,
            finish=completion.finish,
        )


def logprob_rank(logprob: float | None, firsts: Sequence[float]) -> int | None:
    """The percentile of `logprob` among `firsts`, in ascending order; an equal one counts half.

    None where either is not known. How sure a model is of its words depends on the model and on the kind of text, so a
    sample is compared with the same model's samples of the same questions only.

    >>> logprob_rank(-0.3, [-0.9, -0.4, -0.2, -0.1]), logprob_rank(-0.9, [-0.9]), logprob_rank(None, [-0.9])
    (50, 50, None)
    """
    if logprob is None or not firsts:
        return None
    return 100 * (bisect_left(firsts, logprob) + bisect_right(firsts, logprob)) // (2 * len(firsts))
