"""The round loop: draw samples for the open slots of all questions at once, judge them, go on with what is still open.

Which slots are open is decided in `augen.voting.stopping`; here data only move::

    grid → open slots (next_slots) → requests → completions (Sampler) → answers, scores → grid …

The answer of a reasoning is read in it, that of a program is found by a solver. A round goes through blocks of samples.
Only one block with its questions and texts is in memory; of all others the grid knows what is counted, and the rest is
in files (`augen.answering.kept`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

import numpy as np

from augen.answering.kept import KeptSamples
from augen.answering.questions import Examples, Prompting
from augen.core.arrays import Floats, Ints
from augen.entries import Question, Solution
from augen.generation.base import Completion, Sampler
from augen.generation.served.failures import Failure
from augen.programs.verdicts import SolveMany
from augen.voting.grid import SampleGrid
from augen.voting.samples import Sample, place_of
from augen.voting.settings import Mode, VotingSettings
from augen.voting.stopping import UNKNOWN_CERTAINTY, next_slots
from augen.voting.vote import handed_in

REFUSED = "refused"  # the cause of a sample that a provider will not write
BLOCK = 50_000  # samples that are asked for together
READ = 10_000  # questions that are read together


class Draw(NamedTuple):
    """One sample to draw: the number of its question, and its place among the samples of that."""

    question: int
    mode: Mode
    slot: int
    round: int


class Drawer(NamedTuple):
    """Whose log-probabilities compare: those of the samples that one of several generators (0: the only one) writes."""

    mode: Mode
    generator: int


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
    drawn: Iterable[list[Sample]]  # of each question; read from files each time
    grid: SampleGrid
    settings: VotingSettings
    refusals: Sequence[Failure] = ()  # questions with refused samples: a provider's words, and how many samples
    ranks: "Mapping[Drawer, Ranks]" = field(default_factory=dict)

    @property
    def every_sample(self) -> Iterator[Sample]:
        return chain.from_iterable(self.drawn)

    @property
    def samples(self) -> list[list[Sample]]:
        """All samples of each question, in memory."""
        return list(self.drawn)

    @property
    def count(self) -> int:
        """How many samples were drawn."""
        return int(np.count_nonzero(self.grid.drawn))

    @property
    def unanswered(self) -> int:
        """Questions for which nothing votes: they get the fallback letter."""
        return int(np.count_nonzero(self.grid.voted(self.settings) < 0))

    def codes(self, split: str) -> list[int]:
        """The letter codes (0 for A) that are handed in for the questions of `split`, in order."""
        asked = ((len(question.item.options), question.split == split) for question in self.questions)
        facts = np.fromiter(asked, np.dtype([("options", np.int64), ("own", np.bool_)]))
        codes = handed_in(self.grid.voted(self.settings), facts["options"], self.settings.fallback)
        return [int(code) for code in codes[facts["own"]]]


@dataclass
class Ranks:
    """The log-probabilities of the first samples of questions, in ascending order, among which others are ranked."""

    known: Floats = field(default_factory=lambda: np.empty(0))
    unknown: int = 0

    def add(self, logprobs: Floats) -> None:
        """NaN: not known."""
        known = logprobs[~np.isnan(logprobs)]
        self.known = np.sort(np.concatenate([self.known, known]))
        self.unknown += len(logprobs) - len(known)

    def of(self, logprobs: Floats) -> Ints:
        """The `logprob_ranks`; -1 where most first samples are unknown, since the others would be no fair sample."""
        return logprob_ranks(logprobs, self.known if len(self.known) >= self.unknown else np.empty(0))


class Rounds:
    """Samples `questions`, each prompted with its `examples`, as `prompting` and `settings` say.

    `programs` is needed where `settings` have slots for programs. With `adaptive` the later ones of several generators
    get the harder questions alone, so their samples are ranked among those that `before` has of other questions.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        examples: Examples,
        prompting: Prompting,
        settings: VotingSettings,
        programs: Programs | None = None,
        before: Mapping[Drawer, Ranks] | None = None,
    ) -> None:
        self._questions, self._settings = questions, settings
        self._programs = programs
        self._promptings: dict[Mode, Prompting] = {"steps": prompting}
        self._examples: dict[Mode, Examples] = {"steps": examples}
        if programs:
            self._promptings["program"] = programs.prompting
            self._examples["program"] = programs.examples
        self._grid = SampleGrid.empty(len(questions), settings)
        self._kept = KeptSamples(self._grid)
        self._refused: list[tuple[int, Sample]] = []
        numbers = range(1, settings.generators + 1) if settings.generators > 1 else [0]
        self._ranks = {Drawer(mode, number): Ranks() for mode in self._promptings for number in numbers}
        if settings.adaptive and before:
            known = {drawer: ranks for drawer, ranks in before.items() if len(ranks.known)}
            self._fixed = {drawer: known[drawer] for drawer in self._ranks if drawer.generator > 1 and drawer in known}
        else:
            self._fixed = {}

    def run(self, sampler: Sampler, score: ScoreMany) -> Answering:
        """Draw until no slot is open.

        A question that is too long for the generator even without examples gets empty samples, which have no answer.
        """
        number = 0
        while len(places := self._open()):
            number += 1
            self._kept.begin_round()
            logprobs = np.empty(len(places))
            for start in range(0, len(places), BLOCK):
                block = slice(start, start + BLOCK)
                label = f"round {number}: {len(places):,} samples"
                if len(places) > BLOCK:
                    label += f", from {start + 1:,} on"
                logprobs[block] = self._draw([self._drawing(place) for place in places[block]], sampler, score, label)
            self._rank(places, logprobs)
        return Answering(self._questions, self._kept, self._grid, self._settings, refusals(self._refused), self._ranks)

    def _open(self) -> Ints:
        """(N, 3) question, column of the grid and round of each sample to draw."""
        drawn = self._grid.drawn
        question, column = np.nonzero(next_slots(self._grid, drawn, self._settings))
        round_ = np.count_nonzero(drawn[question, column], axis=1)
        return np.stack([question, column, round_], axis=1, dtype=np.int32, casting="unsafe")

    def _drawing(self, place: Ints) -> Draw:
        question, column, round_ = place.tolist()
        programs = self._settings.programs
        if column < programs:
            return Draw(question, "program", column + 1, round_)
        return Draw(question, "steps", column + 1 - programs, round_)

    def _draw(self, draws: Sequence[Draw], sampler: Sampler, score: ScoreMany, label: str) -> Floats:
        """Draws, judges and keeps the samples; returns their log-probabilities, NaN where one is not known."""
        asked = self._asked(draws)
        completions = self._complete(draws, asked, sampler, label)
        completed = dict(zip(draws, completions, strict=True))
        judged = self._scored(completed, asked, score)
        if self._programs:
            judged |= self._solved(completed, asked, self._programs)
        samples = [self._sample(draw, asked, completion, judged[draw]) for draw, completion in completed.items()]
        numbers = [draw.question for draw in draws]
        self._grid.add(numbers, samples, self._settings.threshold)
        self._kept.add(numbers, samples)
        self._refused += [each for each in zip(numbers, samples, strict=True) if each[1].cause == REFUSED]
        return np.array([np.nan if c.logprob is None else c.logprob for c in completions])

    def _asked(self, draws: Sequence[Draw]) -> dict[int, Question]:
        """The questions of `draws`, which are in ascending order, by their numbers."""
        wanted = {draw.question for draw in draws}
        first, last = draws[0].question, draws[-1].question
        found: dict[int, Question] = {}
        for start in range(first, last + 1, READ):
            read = self._questions[start : min(start + READ, last + 1)]
            found |= {number: question for number, question in enumerate(read, start) if number in wanted}
        return found

    def _complete(
        self, draws: Sequence[Draw], asked: Mapping[int, Question], sampler: Sampler, label: str
    ) -> list[Completion]:
        """The completion of each draw; an empty one where the question does not fit."""
        requests = [
            self._promptings[mode].request(asked[q], self._examples[mode][q], slot, round_)
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

    def _rank(self, places: Ints, logprobs: Floats) -> None:
        """Samples are ranked among the first ones of their mode and generator, as far as these are drawn."""
        question, column, round_ = places.T
        programs, turns = self._settings.programs, self._settings.generators
        slot = np.where(column < programs, column, column - programs)  # from 0
        for drawer, ranks in self._ranks.items():
            number = max(0, drawer.generator - 1)
            own = ((column < programs) == (drawer.mode == "program")) & (slot % turns == number)
            first = own & (slot == number) & (round_ == 0)
            ranks.add(logprobs[first])
            ranks = self._fixed.get(drawer, ranks)
            if self._settings.adaptive and (unknown := int(np.isnan(logprobs[first]).sum())):
                certainty = max(self._settings.certainty, UNKNOWN_CERTAINTY)
                print(
                    f"{unknown:,} of {np.count_nonzero(first):,} questions have a first sample without "
                    f"log-probability: they stop at a certainty of {certainty}"
                )
            self._grid.ranks[question[own], column[own], round_[own]] = ranks.of(logprobs[own])

    def _scored(
        self, completed: Mapping[Draw, Completion], asked: Mapping[int, Question], score: ScoreMany
    ) -> dict[Draw, Judgement]:
        """The answer and the score of every reasoning."""
        own = {draw: completion for draw, completion in completed.items() if draw.mode == "steps"}
        prompting = self._promptings["steps"]
        solutions, answers = [], []
        for draw, completion in own.items():
            question = asked[draw.question]
            judged = completion.reasoning(prompting.keep_thinking)
            solutions.append(Solution(question.problem, prompting.shown(question, draw.slot), judged))
            answers.append(prompting.answer(question, draw.slot, completion.text))
        scored = dict(zip(own, map(Judgement, answers, score(solutions)), strict=True))
        refused = {draw: completion.refused for draw, completion in own.items() if completion.refused}
        return scored | {draw: Judgement(None, cause=REFUSED, detail=words or "") for draw, words in refused.items()}

    def _solved(
        self, completed: Mapping[Draw, Completion], asked: Mapping[int, Question], programs: Programs
    ) -> dict[Draw, Judgement]:
        """The answer of every program, or why it has none. What was cut off, or refused by a provider, is not run."""
        own = {draw: completion for draw, completion in completed.items() if draw.mode == "program"}
        judged = {
            draw: Judgement(None, cause=REFUSED if completion.refused else "cut", detail=completion.refused or "")
            for draw, completion in own.items()
        }
        whole = [draw for draw, completion in own.items() if completion.finish == "stop" and not completion.refused]
        shown = [programs.prompting.shown(asked[draw.question], draw.slot).options for draw in whole]
        verdicts = programs.solve([own[draw].text for draw in whole], shown)
        for draw, verdict in zip(whole, verdicts, strict=True):
            letter = programs.prompting.own(asked[draw.question], draw.slot, verdict.letter)
            judged[draw] = Judgement(letter, None, verdict.cause, verdict.message)
        return judged

    def _sample(self, draw: Draw, asked: Mapping[int, Question], completion: Completion, judged: Judgement) -> Sample:
        question = asked[draw.question]
        return Sample(
            **judged._asdict(),
            mode=draw.mode,
            slot=draw.slot,
            round=draw.round,
            split=question.split,
            question=question.id,
            seed=self._promptings[draw.mode].seed_of(question, draw.slot, draw.round),
            text=completion.text,
            thinking=completion.thinking,
            tokens=completion.tokens,
            finish=completion.finish,
            generator=self._settings.generator(draw.slot),
        )


def refusals(refused: Iterable[tuple[int, Sample]]) -> list[Failure]:
    """The questions with `refused` samples (each with its number), the provider's words and how many samples."""
    found: dict[str, list[str]] = {}
    for _, sample in sorted(refused, key=lambda each: (each[0], *place_of(each[1]))):
        found.setdefault(sample.question, []).append(sample.detail)
    return [Failure(question, f"{REFUSED}: {words[0]}", len(words)) for question, words in found.items()]


def logprob_ranks(logprobs: Floats, firsts: Floats) -> Ints:
    """(N,) the percentile of each of `logprobs` among `firsts`, in ascending order; an equal one counts half.

    -1 where either is not known (NaN). How sure a model is of its words depends on the model and on the kind of text,
    so a sample is compared with the same model's samples of the same questions only.

    >>> logprob_ranks(np.array([-0.3, np.nan]), np.array([-0.9, -0.4, -0.2, -0.1])).tolist()
    [50, -1]
    >>> [logprob_ranks(np.array([-0.9]), np.array(firsts)).tolist() for firsts in ([-0.9], [])]
    [[50], [-1]]
    """
    if not len(firsts):
        return np.full(len(logprobs), -1)
    below, upto = (np.searchsorted(firsts, logprobs, side=side) for side in ("left", "right"))
    return np.where(np.isnan(logprobs), -1, 100 * (below + upto) // (2 * len(firsts)))
