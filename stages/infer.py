"""Answer the dev and test questions: examples, adapter, samples in rounds, scorer, vote.

in   data/dev.jsonl, prepare.test, models/index, models/adapter, models/scorer
out  data/samples.jsonl    every sample: question, slot, round, seed, text, parsed answer, score,
                           confidence
     data/examples.jsonl   the worked examples that were found for every question
     data/upload.jsonl     the test file with its answers filled in
"""

from pathlib import Path

from augen.answering.rounds import (
    Rounds,
    Sampling,
    answered,
    decisions,
    examples_jsonl,
    questions_of,
    run_rounds,
    samples_jsonl,
)
from augen.core.files import write_lines
from augen.core.params import load
from augen.core.run import run
from augen.entries import read_jsonl, write_jsonl
from augen.generation.open import Generator, open_sampler
from augen.retrieval.examples import stored_examples
from augen.scorer.score import stored_scores
from augen.store.responses import Store, default_path


def main() -> None:
    p = load("seed", "voters", "max_resample", "model", "engine", "prompt", "rag", "prepare", "providers", "infer")
    dev = read_jsonl("data/dev.jsonl", answers="required")
    test = read_jsonl(p.prepare.test, answers="optional")[: p.prepare.limit]
    asked = [(e.problem, item, e.id) for e in dev + test for item in e.questions]
    count = sum(len(e.questions) for e in dev)
    print(
        f"{len(asked):,} questions ({count:,} dev), {p.voters} samples and {p.max_resample} rounds of redraws at most",
        flush=True,
    )
    rounds = Rounds(p.voters, p.max_resample, p.infer.threshold, p.infer.resample, p.infer.adaptive, p.infer.certainty)
    adapter = Path("models/adapter") if p.infer.adapter else None
    generator = Generator(p.model, p.engine, p.prompt, adapter)
    with (
        Store(default_path()) as store,
        open_sampler("infer", p.infer.engine, generator, p.providers, p.infer.models) as sampler,
    ):
        examples = stored_examples(Path("models/index"), p.rag.embedder, asked, p.rag.k, store)
        questions = questions_of(dev, "dev", examples[:count]) + questions_of(test, "test", examples[count:])
        sampling = Sampling(
            instruction=p.prompt.solve,
            window=generator.window(p.infer.engine),
            seed=p.seed,
            temperature=p.infer.temperature,
            top_p=p.infer.top_p,
            max_tokens=p.infer.max_tokens,
            adapter=p.infer.adapter,
            shuffle_options=p.infer.shuffle_options,
        )
        score = stored_scores(Path("models/scorer"), store, None if p.infer.share_device else sampler.close)
        history = run_rounds(questions, sampling, rounds, sampler, score)
    answers = decisions(history, questions, p.infer.vote, p.infer.fallback, p.infer.threshold)

    write_lines("data/samples.jsonl", samples_jsonl(history))
    write_lines("data/examples.jsonl", examples_jsonl(questions))
    write_jsonl("data/upload.jsonl", answered(test, answers))
    fallbacks = sum(decision.basis == "fallback" for decision in answers.values())
    print(
        f"{len(questions):,} questions, {sum(map(len, history)):,} samples, {fallbacks:,} fallback answers; "
        "data/upload.jsonl"
    )


if __name__ == "__main__":
    run(main)
