"""What `infer` does between its examples and its files: the held-out questions first, then all others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from augen.answering.questions import Examples, Prompting
from augen.answering.rounds import Answering, Programs, Rounds, ScoreMany
from augen.answering.weighing import weight_of
from augen.core import params
from augen.entries import Entry, Question, questions
from augen.generation.base import Sampler
from augen.programs.verdicts import stored_verdicts
from augen.prompts.window import Window
from augen.store.responses import Store
from augen.voting.samples import VOTES, Sample
from augen.voting.settings import VotingSettings
from augen.voting.weights import Weight


@dataclass(frozen=True)
class Problems:
    """What is answered. The samples of `held_out` teach what a program's vote is worth."""

    dev: Sequence[Entry]
    test: Sequence[Entry]
    held_out: Sequence[Entry]

    @property
    def first(self) -> list[Question]:
        """The questions before all others: those held out."""
        return questions(self.held_out, VOTES)

    @property
    def asked(self) -> list[Question]:
        return questions(self.dev, "dev") + questions(self.test, "test")


@dataclass(frozen=True)
class Shown:
    """The problems, and the worked examples of `first` and then of `asked`: with reasonings, and with programs."""

    problems: Problems
    examples: Examples
    programs: Examples


@dataclass(frozen=True)
class Answers:
    """Every sample, what became of the questions asked, and what a program's vote was worth in it."""

    samples: list[Sample]
    found: Answering
    weight: Weight


def answer(p: params.Params, shown: Shown, window: Window, sampler: Sampler, score: ScoreMany, store: Store) -> Answers:
    """Draw, judge and draw again until nothing is open."""
    problems, prompting, settings = shown.problems, Prompting.of(p, window), VotingSettings.of(p)
    n = len(problems.first)
    by_programs = prompting.for_programs(p)
    with stored_verdicts(store, p.programs) as solve:
        programs = Programs(by_programs, solve, shown.programs[:n])
        first = Rounds(problems.first, shown.examples[:n], prompting, replace(settings, adaptive=False), programs)
        tried = first.run(sampler, score)
        weight = weight_of(tried, problems.held_out, p.infer.program_weight)
        settings = weight.applied(settings)
        programs = Programs(by_programs, solve, shown.programs[n:])
        found = Rounds(problems.asked, shown.examples[n:], prompting, settings, programs).run(sampler, score)
    return Answers(tried.every_sample + found.every_sample, found, weight)
