"""Answer the dev and test questions: examples, adapter, samples in rounds, scorer, solver, vote.

in   data/dev.jsonl, data/votes.jsonl, prepare.test, models/index, models/adapter, models/scorer
out  data/samples.jsonl        every sample: question, mode, slot, round, seed, text, answer, score, logprob_rank
     data/examples.jsonl       the worked examples that were found for every question
     data/upload.jsonl         the test file with its answers filled in
     data/vote_weights.json    what the vote of a program is worth, learned from the questions of data/votes.jsonl
and  reports/failed.jsonl      questions of which a provider refused samples
"""

from dataclasses import asdict
from pathlib import Path

from augen.answering.answer import Problems, Shown, answer
from augen.answering.questions import answered, example_lines
from augen.answering.rounds import refusals
from augen.answering.weighing import program_lines
from augen.core.files import write_json, write_lines
from augen.core.params import Params, load
from augen.core.run import run
from augen.entries.jsonl import read_jsonl, write_jsonl
from augen.generation.open import Generator, open_sampler
from augen.generation.served.failures import keep_failures
from augen.retrieval.examples import stored_examples
from augen.scorer.score import stored_scores
from augen.store.responses import Store, default_path
from augen.voting.samples import sample_lines


def main() -> None:
    p = load(
        "seed",
        "voters",
        "max_resample",
        "model",
        "engine",
        "prompt",
        "rag",
        "prepare",
        "programs",
        "providers",
        "infer",
    )
    problems = read_problems(p)
    first, asked = problems.first, problems.asked
    print(
        f"{len(asked):,} questions ({sum(q.split == 'dev' for q in asked):,} dev), {p.voters} reasonings, "
        f"{p.infer.programs} programs and {p.max_resample} rounds of redraws at most; {len(first):,} questions before "
        "them, to weigh programs",
        flush=True,
    )
    generator, infer = generator_of(p), p.infer
    served = open_sampler("infer", infer.engine, generator, p.providers, infer.models)
    with Store(default_path()) as store, served as sampler:
        shown = examples_of(problems, p, store)
        score = stored_scores(Path("models/scorer"), store, None if infer.share_device else sampler.close)
        done = answer(p, shown, generator.window(infer.engine), sampler, score, store)
        if refused := refusals(done.samples):
            print(f"{len(refused):,} questions have samples that were refused: reports/failed.jsonl lists them")
        keep_failures("infer", refused)

    write_lines("data/samples.jsonl", sample_lines(done.samples, p.infer.threshold))
    write_lines("data/examples.jsonl", example_lines(first + asked, shown.examples, shown.programs))
    write_jsonl("data/upload.jsonl", answered(problems.test, done.found.codes("test")))
    write_json("data/vote_weights.json", asdict(done.weight))
    for line in program_lines(done.weight, done.samples):
        print(line)
    drawn, fallback = len(done.found.every_sample), done.found.unanswered
    print(f"{len(asked):,} questions, {drawn:,} samples, {fallback:,} fallback answers")


def read_problems(p: Params) -> Problems:
    dev = read_jsonl("data/dev.jsonl", answers="required")
    test = read_jsonl(p.prepare.test, answers="optional")[: p.prepare.limit]
    learns = p.infer.programs > 0 and p.infer.program_weight is None
    return Problems(dev, test, read_jsonl("data/votes.jsonl", answers="required", may_be_empty=True) if learns else [])


def generator_of(p: Params) -> Generator:
    return Generator(p.model, p.engine, p.prompt, Path("models/adapter") if p.infer.adapter else None)


def examples_of(problems: Problems, p: Params, store: Store) -> Shown:
    index, everything, k = Path("models/index"), problems.first + problems.asked, p.rag.k
    worked = stored_examples(index, p.rag, everything, k if p.infer.programs else 0, store, "program")
    return Shown(problems, stored_examples(index, p.rag, everything, k, store), worked)


if __name__ == "__main__":
    run(main)
