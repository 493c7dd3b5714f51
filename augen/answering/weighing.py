"""What the votes of a program and of each generator are worth in a run, and what `infer` says of them at its end."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from augen.answering.rounds import Answering
from augen.entries import Entry
from augen.entries.ondisk import EntryFile
from augen.voting import generators
from augen.voting.generators import GeneratorWeights
from augen.voting.samples import Sample, dev_questions
from augen.voting.weights import UNMEASURED, Weight, learned


def weight_of(tried: Answering, entries: EntryFile | Sequence[Entry], given: float | None) -> Weight:
    """The weight that is `given`, or else what `tried` shows: all samples of the held-out questions of `entries`."""
    if not tried.settings.programs:
        return Weight(tried.settings.program_weight, "unused")
    if given is not None:
        return Weight(given, "given")
    if not entries:
        return Weight(UNMEASURED, "assumed")
    return learned(tried.grid, dev_questions(entries), tried.settings)


def generator_weights_of(
    tried: Answering, entries: EntryFile | Sequence[Entry], given: Sequence[float] | None
) -> GeneratorWeights | None:
    """The weights that are `given`, or else what `tried` shows, as `weight_of`; None where there is one generator."""
    if (count := tried.settings.generators) == 1:
        return None
    if given is not None:
        return GeneratorWeights(generators.scaled(given), "given")
    if not entries:
        return GeneratorWeights([1.0] * count, "assumed")
    return generators.learned(tried.grid, dev_questions(entries), tried.settings)


def generator_lines(weights: GeneratorWeights | None, names: Sequence[str]) -> list[str]:
    """What the reasonings of each generator, with these `names`, are worth, and why."""
    if weights is None:
        return []
    said = [f"{name}: one reasoning counts as {vote:g} votes" for name, vote in zip(names, weights.votes, strict=True)]
    if weights.source == "given":
        return [*said, "infer.generator_weights says so"]
    if weights.source == "assumed":
        return [*said, "prepare.vote_fraction leaves no question to learn that from"]
    shares = zip(said, weights.right, weights.drawn, strict=True)
    return [f"{line}: of {drawn:,} for held-out questions {right:,} are right" for line, right, drawn in shares]


@dataclass
class ProgramTally:
    """What is counted of samples on their way into the file."""

    samples: int = 0
    programs: int = 0
    tokens: int = 0  # of programs
    answered: int = 0  # programs
    causes: Counter[str | None] = field(default_factory=Counter)  # why the other programs abstain

    def of(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """The samples as they come."""
        for sample in samples:
            self.samples += 1
            if sample.mode == "program":
                self.programs += 1
                self.tokens += sample.tokens
                if sample.answer is None:
                    self.causes[sample.cause] += 1
                else:
                    self.answered += 1
            yield sample


def program_lines(weight: Weight, tally: ProgramTally) -> list[str]:
    """What the programs of a run came to, what they count, and what to do where they do not help."""
    if weight.source == "unused":
        return []
    drawn = f"{tally.answered:,} of {tally.programs:,} programs have an answer"
    if tally.causes:
        drawn += "; the others: " + ", ".join(f"{count:,} {cause}" for cause, count in tally.causes.most_common())
    reason = {
        "given": "infer.program_weight says so",
        "assumed": "a guess, since prepare.vote_fraction leaves no question to learn it from",
        "learned": f"of {weight.programs_drawn:,} programs for {weight.questions:,} held-out questions "
        f"{weight.programs_answered:,} have an answer and {weight.programs_right:,} the right one",
    }[weight.source]
    if weight.program or weight.source != "learned":
        return [drawn, f"one program counts as {weight.program:g} votes: {reason}"]
    return [
        drawn,
        f"programs do not help and do not vote: {reason}; all of this run took {tally.programs:,} samples and "
        f"{tally.tokens:,} tokens: set infer.programs to 0, or teach the generator to write them",
    ]
