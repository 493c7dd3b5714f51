"""What `infer` does between its examples and its files: the held-out questions first, then all others.

Where several generators share the slots, the held-out questions tell what each is worth, then what a program is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

from augen.answering.questions import Examples, Prompting
from augen.answering.rounds import Answering, Programs, Rounds, ScoreMany
from augen.answering.weighing import generator_weights_of, weight_of
from augen.core import params
from augen.entries.ondisk import EntryFile, Questions
from augen.generation.base import Sampler
from augen.generation.served.failures import Failure
from augen.programs.verdicts import stored_verdicts
from augen.store.responses import Store
from augen.voting.generators import GeneratorWeights
from augen.voting.samples import VOTES, Sample
from augen.voting.settings import VotingSettings
from augen.voting.weights import GENERATORS, Weight


@dataclass(frozen=True)
class Problems:
    """What is answered, read from the disk. The samples of `held_out` teach what the votes of a program and of each of
    several generators are worth."""

    dev: EntryFile
    test: EntryFile
    held_out: EntryFile

    @cached_property
    def first(self) -> Questions:
        """The questions before all others: those held out."""
        return Questions(**{VOTES: self.held_out})

    @cached_property
    def asked(self) -> Questions:
        return Questions(dev=self.dev, test=self.test)

    @cached_property
    def all(self) -> Questions:
        """`first` and then `asked`."""
        return Questions(**{VOTES: self.held_out}, dev=self.dev, test=self.test)


@dataclass(frozen=True)
class Shown:
    """The problems, and the worked examples of all their questions: with reasonings, and with programs."""

    problems: Problems
    examples: Examples
    programs: Examples


@dataclass(frozen=True)
class Answers:
    """What became of the questions held out and of those asked, and what a program's vote was worth in these.

    So also of the vote of each of several generators; None where there is one.
    """

    tried: Answering
    found: Answering
    weight: Weight
    generators: GeneratorWeights | None = None

    @property
    def weights(self) -> dict[str, Any]:
        """The content of data/vote_weights.json."""
        return asdict(self.weight) | ({GENERATORS: asdict(self.generators)} if self.generators else {})

    @property
    def samples(self) -> Iterator[Sample]:
        """Every sample, read from the disk."""
        return chain(self.tried.every_sample, self.found.every_sample)

    @property
    def refusals(self) -> Sequence[Failure]:
        return [*self.tried.refusals, *self.found.refusals]


def answer(
    p: params.Params, shown: Shown, prompting: Prompting, sampler: Sampler, score: ScoreMany, store: Store
) -> Answers:
    """Draw, judge and draw again until nothing is open."""
    problems, settings = shown.problems, VotingSettings.of(p)
    n = len(problems.first)
    by_programs = prompting.for_programs(p)
    with stored_verdicts(store, p.programs) as solve:
        programs = Programs(by_programs, solve, shown.programs[:n])
        first = Rounds(problems.first, shown.examples[:n], prompting, replace(settings, adaptive=False), programs)
        tried = first.run(sampler, score)
        generators = generator_weights_of(tried, problems.held_out, p.infer.generator_weights)
        if generators:
            settings = generators.applied(settings)
            tried = replace(tried, settings=generators.applied(tried.settings))
        weight = weight_of(tried, problems.held_out, p.infer.program_weight)
        settings = weight.applied(settings)
        programs = Programs(by_programs, solve, shown.programs[n:])
        rounds = Rounds(problems.asked, shown.examples[n:], prompting, settings, programs, tried.ranks)
        found = rounds.run(sampler, score)
    return Answers(tried, found, weight, generators)
