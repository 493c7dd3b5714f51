"""The round loop: draw samples for the open slots of all questions at once, judge them, go on with what is still open.

Which slots are open is decided in `augen.voting.stopping`; here data only move::

    grid → open slots (next_slots) → requests → completions (Sampler) → answers, scores → grid …

The answer of a reasoning is read in it, that of a program is found by a solver.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from augen.answering.questions import Examples, Prompting
from augen.entries import Question, Solution
from augen.generation.base import Completion, Sampler
from augen.generation.served.failures import Failure
from augen.programs.verdicts import SolveMany
from augen.voting.grid import SampleGrid
from augen.voting.samples import Sample
from augen.voting.settings import Mode, VotingSettings
from augen.voting.stopping import UNKNOWN_CERTAINTY, next_slots
from augen.voting.vote import handed_in

REFUSED = "refused"  # the cause of a sample that a provider will not write


class Draw(NamedTuple):
    """One sample to draw: the number of its question, and its place among the samples of that."""

    question: int
    mode: Mode
    slot: int
    round: int


class Judgement(NamedTuple):
    """What became of a completion; see `Sample`."""

    answer: str | None
    score: float | None = None
    cause: str | None = None
    detail: str = ""


ScoreMany = Callable[[Sequence[Solution]], Sequence[float | None]]


@dataclass(frozen=True)
class Programs:
    """What slots of programs need: how a program is asked for, who runs it, each question's examples with programs."""

    prompting: Prompting
    solve: SolveMany
    examples: Examples


def unscored(solutions: Sequence[Solution]) -> list[None]:
    """No scorer: every sample with an answer is accepted."""
    return [None] * len(solutions)


@dataclass(frozen=True)
class Answering:
    """All that was drawn: by question in the order of the questions, then by round, mode and slot; and as a grid."""

    questions: Sequence[Question]
    samples: list[list[Sample]]
    grid: SampleGrid
    settings: VotingSettings

    @property
    def every_sample(self) -> list[Sample]:
        return [sample for drawn in self.samples for sample in drawn]

    @property
    def unanswered(self) -> int:
        """Questions for which nothing votes: they get the fallback letter."""
        return int(np.count_nonzero(self.grid.voted(self.settings) < 0))

    def codes(self, split: str) -> list[int]:
        """The letter codes (0 for A) that are handed in for the questions of `split`, in order."""
        options = np.array([len(question.item.options) for question in self.questions])
        codes = handed_in(self.grid.voted(self.settings), options, self.settings.fallback).tolist()
        return [code for code, question in zip(codes, self.questions, strict=True) if question.split == split]


@dataclass
class Ranks:
    """The log-probabilities of the first samples of questions, in ascending order, among which others are ranked."""

    known: list[float] = field(default_factory=list)
    unknown: int = 0

    def add(self, logprobs: Sequence[float | None]) -> None:
        self.known = sorted([*self.known, *(logprob for logprob in logprobs if logprob is not None)])
        self.unknown += logprobs.count(None)

    def of(self, logprob: float | None) -> int | None:
        """The `logprob_rank`; None where most first samples are unknown, since the others would be no fair sample."""
        return logprob_rank(logprob, self.known) if len(self.known) >= self.unknown else None


class Rounds:
    """Samples `questions`, each prompted with its `examples`, as `prompting` and `settings` say.

    `programs` is needed where `settings` have slots for programs.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        examples: Examples,
        prompting: Prompting,
        settings: VotingSettings,
        programs: Programs | None = None,
    ) -> None:
        self._questions, self._settings = questions, settings
        self._programs = programs
        self._promptings: dict[Mode, Prompting] = {"steps": prompting}
        self._examples: dict[Mode, Examples] = {"steps": examples}
        if programs:
            self._promptings["program"] = programs.prompting
            self._examples["program"] = programs.examples
        self._grid = SampleGrid.empty(len(questions), settings)
        self._samples: list[list[Sample]] = [[] for _ in questions]
        self._ranks: dict[Mode, Ranks] = {mode: Ranks() for mode in self._promptings}

    def run(self, sampler: Sampler, score: ScoreMany) -> Answering:
        """Draw until no slot is open.

        A question that is too long for the generator even without examples gets empty samples, which have no answer.
        """
        number = 0
        while draws := self._open():
            number += 1
            completions = self._complete(draws, sampler, f"round {number}: {len(draws):,} samples")
            completed = dict(zip(draws, completions, strict=True))
            self._rank_by(completed)
            judged = self._scored(completed, score)
            if self._programs:
                judged |= self._solved(completed, self._programs)
            drawn = [self._sample(draw, completion, judged[draw]) for draw, completion in completed.items()]
            self._grid.add([draw.question for draw in draws], drawn, self._settings.threshold)
            for draw, sample in zip(draws, drawn, strict=True):
                self._samples[draw.question].append(sample)
        ordered = [sorted(drawn, key=lambda s: (s.round, s.mode, s.slot)) for drawn in self._samples]
        return Answering(self._questions, ordered, self._grid, self._settings)

    def _open(self) -> list[Draw]:
        drawn, programs = self._grid.drawn, self._settings.programs
        question, column = np.nonzero(next_slots(self._grid, drawn, self._settings))
        round_ = np.count_nonzero(drawn[question, column], axis=1)
        return [
            Draw(q, "program", c + 1, n) if c < programs else Draw(q, "steps", c + 1 - programs, n)
            for q, c, n in zip(question.tolist(), column.tolist(), round_.tolist(), strict=True)
        ]

    def _complete(self, draws: Sequence[Draw], sampler: Sampler, label: str) -> list[Completion]:
        """The completion of each draw; an empty one where the question does not fit."""
        requests = [
            self._promptings[mode].request(self._questions[q], self._examples[mode][q], slot, round_)
            for q, mode, slot, round_ in draws
        ]
        fitting = [
            (request, {"slot": draw.slot, "round": draw.round})
            for request, draw in zip(requests, draws, strict=True)
            if request
        ]
        completions = iter(sampler.draw(fitting, label))
        if too_long := len({draw.question for request, draw in zip(requests, draws, strict=True) if not request}):
            print(f"{too_long} questions are too long for engine.max_model_len and get no sample")
        return [next(completions) if request else Completion("", 0, "length") for request in requests]

    def _rank_by(self, completed: Mapping[Draw, Completion]) -> None:
        """Samples are ranked among the first ones of their mode, as far as these are drawn."""
        for mode, ranks in self._ranks.items():
            firsts = [c.logprob for draw, c in completed.items() if draw[1:] == (mode, 1, 0)]
            ranks.add(firsts)
            if self._settings.adaptive and (unknown := firsts.count(None)):
                certainty = max(self._settings.certainty, UNKNOWN_CERTAINTY)
                print(
                    f"{unknown:,} of {len(firsts):,} questions have a first sample without log-probability: "
                    f"they stop at a certainty of {certainty}"
                )

    def _scored(self, completed: Mapping[Draw, Completion], score: ScoreMany) -> dict[Draw, Judgement]:
        """The answer and the score of every reasoning."""
        own = {draw: completion for draw, completion in completed.items() if draw.mode == "steps"}
        prompting = self._promptings["steps"]
        solutions, answers = [], []
        for draw, completion in own.items():
            question = self._questions[draw.question]
            judged = completion.reasoning(prompting.keep_thinking)
            solutions.append(Solution(question.problem, prompting.shown(question, draw.slot), judged))
            answers.append(prompting.answer(question, draw.slot, completion.text))
        scored = dict(zip(own, map(Judgement, answers, score(solutions)), strict=True))
        refused = {draw: completion.refused for draw, completion in own.items() if completion.refused}
        return scored | {draw: Judgement(None, cause=REFUSED, detail=words or "") for draw, words in refused.items()}

    def _solved(self, completed: Mapping[Draw, Completion], programs: Programs) -> dict[Draw, Judgement]:
        """The answer of every program, or why it has none. What was cut off, or refused by a provider, is not run."""
        own = {draw: completion for draw, completion in completed.items() if draw.mode == "program"}
        judged = {
            draw: Judgement(None, cause=REFUSED if completion.refused else "cut", detail=completion.refused or "")
            for draw, completion in own.items()
        }
        whole = [draw for draw, completion in own.items() if completion.finish == "stop" and not completion.refused]
        asked = [self._questions[draw.question] for draw in whole]
        shown = [programs.prompting.shown(q, draw.slot).options for q, draw in zip(asked, whole, strict=True)]
        verdicts = programs.solve([own[draw].text for draw in whole], shown)
        for draw, question, verdict in zip(whole, asked, verdicts, strict=True):
            letter = programs.prompting.own(question, draw.slot, verdict.letter)
            judged[draw] = Judgement(letter, None, verdict.cause, verdict.message)
        return judged

    def _sample(self, draw: Draw, completion: Completion, judged: Judgement) -> Sample:
        question = self._questions[draw.question]
        return Sample(
            **judged._asdict(),
            mode=draw.mode,
            slot=draw.slot,
            round=draw.round,
            logprob_rank=self._ranks[draw.mode].of(completion.logprob),
            split=question.split,
            question=question.id,
            seed=self._promptings[draw.mode].seed_of(question, draw.slot, draw.round),
            text=completion.text,
            thinking=completion.thinking,
            tokens=completion.tokens,
            finish=completion.finish,
        )


def refusals(samples: Iterable[Sample]) -> list[Failure]:
    """The questions with refused samples, each with the provider's words and how many samples these are."""
    found: dict[str, list[str]] = {}
    for sample in samples:
        if sample.cause == REFUSED:
            found.setdefault(sample.question, []).append(sample.detail)
    return [Failure(question, f"{REFUSED}: {words[0]}", len(words)) for question, words in found.items()]


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
