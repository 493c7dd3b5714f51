"""Answer the dev and test questions: examples, adapter, samples in rounds, scorer, solver, vote.

in   data/dev.jsonl, data/votes.jsonl, prepare.test, models/index, models/adapter, models/preferred, models/scorer
out  data/samples.jsonl        every sample: question, mode, slot, round, seed, text, answer, score, logprob_rank
     data/examples.jsonl       the worked examples that were found for every question
     data/upload.jsonl         the test file with its answers filled in
     data/vote_weights.json    what the votes of programs and generators are worth, learned from data/votes.jsonl
and  reports/failed.jsonl      questions of which a provider refused samples
"""

import os
from collections.abc import Sequence
from pathlib import Path

from augen.answering.answer import Problems, Shown, answer
from augen.answering.questions import Prompting, answered, example_lines
from augen.answering.weighing import ProgramTally, generator_lines, program_lines
from augen.core.files import write_json, write_lines
from augen.core.params import Params, load
from augen.core.run import run
from augen.entries.jsonl import write_jsonl
from augen.entries.ondisk import EntryFile
from augen.generation.open import Source, open_sources, sources_of
from augen.generation.served.failures import keep_failures
from augen.retrieval.examples import stored_examples
from augen.scorer.score import stored_scores
from augen.store.responses import Store, default_path
from augen.voting.samples import sample_lines


def main() -> None:
    p = load("seed", "voters", "max_resample", "model", "engine", "prompt", "rag",
             "prepare", "programs", "providers", "infer")  # fmt: skip
    problems, infer = read_problems(p), p.infer
    asked, test = problems.asked, problems.test
    print(
        f"{len(asked):,} questions ({problems.dev.questions:,} dev), {p.voters} reasonings, {infer.programs} programs "
        f"and {p.max_resample} rounds of redraws at most; {len(problems.first):,} before them, to weigh votes",
        flush=True,
    )
    sources = sources_of(p, Path("models/adapter"), Path("models/preferred"))
    opened = open_sources("infer", sources, p.providers, infer.share_device)
    with Store(default_path()) as store, opened as sampler:
        shown = examples_of(problems, p, store)
        score = stored_scores(Path("models/scorer"), store, None if infer.share_device else sampler.close)
        done = answer(p, shown, prompting_of(p, sources), sampler, score, store)
        if done.refusals:
            print(f"{len(done.refusals):,} questions have samples that were refused: reports/failed.jsonl lists them")
        keep_failures("infer", done.refusals)
    write_lines("data/samples.jsonl", sample_lines((tally := ProgramTally()).of(done.samples), infer.threshold))
    write_lines("data/examples.jsonl", example_lines(problems.all, shown.examples, shown.programs))
    write_jsonl("data/upload.jsonl", answered(test, done.found.codes("test")))
    write_json("data/vote_weights.json", done.weights)
    for line in [*generator_lines(done.generators, [s.name for s in sources]), *program_lines(done.weight, tally)]:
        print(line)
    print(f"{len(asked):,} questions, {done.found.count:,} samples, {done.found.unanswered:,} fallback answers")


def read_problems(p: Params) -> Problems:
    test = EntryFile(p.prepare.test, answers="optional", limit=p.prepare.limit)
    learns = p.infer.programs > 0 and p.infer.program_weight is None
    learns |= bool(p.infer.others) and p.infer.generator_weights is None
    held_out = EntryFile("data/votes.jsonl" if learns else os.devnull, answers="required", may_be_empty=True)
    return Problems(EntryFile("data/dev.jsonl", answers="required"), test, held_out)


def prompting_of(p: Params, sources: Sequence[Source]) -> Prompting:
    (window, adapters), *others = [(source.window, source.adapters) for source in sources]
    return Prompting.of(p, window, adapters, tuple(others))


def examples_of(problems: Problems, p: Params, store: Store) -> Shown:
    index, k = Path("models/index"), p.rag.k
    worked = stored_examples(index, p.rag, problems.all, k if p.infer.programs else 0, store, "program")
    return Shown(problems, stored_examples(index, p.rag, problems.all, k, store), worked)


if __name__ == "__main__":
    run(main)
