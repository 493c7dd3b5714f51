"""Answer the dev and test questions: examples, adapter, samples in rounds, scorer, solver, vote.

in   data/dev.jsonl, data/votes.jsonl, prepare.test, models/index, models/adapter, models/scorer
out  data/samples.jsonl        every sample: question, mode, slot, round, seed, text, answer, score, logprob_rank
     data/examples.jsonl       the worked examples that were found for every question
     data/upload.jsonl         the test file with its answers filled in
     data/vote_weights.json    what the vote of a program is worth, learned from the questions of data/votes.jsonl
and  reports/failed.jsonl      questions of which a provider refused samples
"""

from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path

from augen.answering.questions import Prompting, answered, example_lines
from augen.answering.rounds import Programs, Rounds
from augen.answering.weighing import ProgramTally, program_lines, weight_of
from augen.core.files import write_json, write_lines
from augen.core.params import load
from augen.core.run import run
from augen.entries.jsonl import write_jsonl
from augen.entries.ondisk import EntryFile, Questions
from augen.generation.open import Generator, open_sampler
from augen.generation.served.failures import keep_failures
from augen.programs.verdicts import stored_verdicts
from augen.retrieval.examples import stored_examples
from augen.scorer.score import stored_scores
from augen.store.responses import Store, default_path
from augen.voting.samples import sample_lines
from augen.voting.settings import VotingSettings


def main() -> None:
    p = load("seed", "voters", "max_resample", "model", "engine", "prompt", "rag", "prepare", "providers", "infer")
    dev = EntryFile("data/dev.jsonl", answers="required")
    test = EntryFile(p.prepare.test, answers="optional", limit=p.prepare.limit)
    learns = p.infer.programs > 0 and p.infer.program_weight is None
    held_out = EntryFile("data/votes.jsonl", answers="required", may_be_empty=True, limit=None if learns else 0)
    first, asked = Questions(votes=held_out), Questions(dev=dev, test=test)
    everything = Questions(votes=held_out, dev=dev, test=test)
    print(
        f"{len(asked):,} questions ({dev.questions:,} dev), {p.voters} reasonings, {p.infer.programs} programs "
        f"and {p.max_resample} rounds of redraws at most; {len(first):,} questions before them, to weigh programs",
        flush=True,
    )
    settings = VotingSettings.of(p)
    generator = Generator(p.model, p.engine, p.prompt, Path("models/adapter") if p.infer.adapter else None)
    with (
        Store(default_path()) as store,
        open_sampler("infer", p.infer.engine, generator, p.providers, p.infer.models) as sampler,
        stored_verdicts(store) as solve,
    ):
        index = Path("models/index")
        examples = stored_examples(index, p.rag, everything, p.rag.k, store)
        worked = stored_examples(index, p.rag, everything, p.rag.k if p.infer.programs else 0, store, "program")
        prompting = Prompting.of(p, generator.window(p.infer.engine))
        score = stored_scores(Path("models/scorer"), store, None if p.infer.share_device else sampler.close)
        n, by_programs = len(first), prompting.for_programs(p)
        programs = Programs(by_programs, solve, worked[:n])
        tried = Rounds(first, examples[:n], prompting, replace(settings, adaptive=False), programs).run(sampler, score)
        weight = weight_of(tried, held_out, p.infer.program_weight)
        settings = weight.applied(settings)
        programs = Programs(by_programs, solve, worked[n:])
        found = Rounds(asked, examples[n:], prompting, settings, programs).run(sampler, score)
        if refused := [*tried.refusals, *found.refusals]:
            print(f"{len(refused):,} questions have samples that were refused: reports/failed.jsonl lists them")
        keep_failures("infer", refused)

    samples = (tally := ProgramTally()).of(chain(tried.every_sample, found.every_sample))
    write_lines("data/samples.jsonl", sample_lines(samples, settings.threshold))
    write_lines("data/examples.jsonl", example_lines(everything, examples, worked))
    write_jsonl("data/upload.jsonl", answered(test, found.codes("test")))
    write_json("data/vote_weights.json", asdict(weight))
    for line in program_lines(weight, tally):
        print(line)
    print(f"{len(asked):,} questions, {found.count:,} samples, {found.unanswered:,} fallback answers")


if __name__ == "__main__":
    run(main)
