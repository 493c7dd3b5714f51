"""What a program's vote is worth in a run, and what `infer` says about programs at its end."""

from collections import Counter
from collections.abc import Sequence

from augen.answering.rounds import Answering
from augen.entries import Entry
from augen.voting.samples import Sample, dev_questions
from augen.voting.weights import UNMEASURED, Weight, learned


def weight_of(tried: Answering, entries: Sequence[Entry], given: float | None) -> Weight:
    """The weight that is `given`, or else what `tried` shows: all samples of the held-out questions of `entries`."""
    if not tried.settings.programs:
        return Weight(tried.settings.program_weight, "unused")
    if given is not None:
        return Weight(given, "given")
    if not entries:
        return Weight(UNMEASURED, "assumed")
    return learned(tried.grid, dev_questions(entries), tried.settings)


def program_lines(weight: Weight, samples: Sequence[Sample]) -> list[str]:
    """What the programs among `samples` came to, what they count, and what to do where they do not help."""
    if weight.source == "unused":
        return []
    programs = [sample for sample in samples if sample.mode == "program"]
    answering = sum(sample.answer is not None for sample in programs)
    causes = Counter(sample.cause for sample in programs if sample.answer is None).most_common()
    drawn = f"{answering:,} of {len(programs):,} programs have an answer"
    if causes:
        drawn += "; the others: " + ", ".join(f"{count:,} {cause}" for cause, count in causes)
    reason = {
        "given": "infer.program_weight says so",
        "assumed": "a guess, since prepare.vote_fraction leaves no question to learn it from",
        "learned": f"of {weight.programs_drawn:,} programs for {weight.questions:,} held-out questions "
        f"{weight.programs_answered:,} have an answer and {weight.programs_right:,} the right one",
    }[weight.source]
    if weight.program or weight.source != "learned":
        return [drawn, f"one program counts as {weight.program:g} votes of reasoning: {reason}"]
    tokens = sum(sample.tokens for sample in programs)
    return [
        drawn,
        f"programs do not help and do not vote: {reason}; all of this run took {len(programs):,} samples and "
        f"{tokens:,} tokens: set infer.programs to 0, or teach the generator to write them",
    ]
