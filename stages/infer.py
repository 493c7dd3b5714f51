"""Answer the dev and test questions: examples, adapter, samples in rounds, scorer, vote.

in   data/dev.jsonl, prepare.test, models/index, models/adapter, models/scorer
out  data/samples.jsonl    every sample: question, slot, round, seed, text, parsed answer, score,
                           logprob_rank
     data/examples.jsonl   the worked examples that were found for every question
     data/upload.jsonl     the test file with its answers filled in
"""

from pathlib import Path

from augen.answering.questions import Prompting, answered, example_lines
from augen.answering.rounds import Rounds
from augen.core.files import write_lines
from augen.core.params import load
from augen.core.run import run
from augen.entries import questions
from augen.entries.jsonl import read_jsonl, write_jsonl
from augen.generation.open import Generator, open_sampler
from augen.retrieval.examples import stored_examples
from augen.scorer.score import stored_scores
from augen.store.responses import Store, default_path
from augen.voting.samples import sample_lines
from augen.voting.settings import VotingSettings


def main() -> None:
    p = load("seed", "voters", "max_resample", "model", "engine", "prompt", "rag", "prepare", "providers", "infer")
    dev = read_jsonl("data/dev.jsonl", answers="required")
    test = read_jsonl(p.prepare.test, answers="optional")[: p.prepare.limit]
    dev_questions = questions(dev, "dev")
    asked = dev_questions + questions(test, "test")
    print(
        f"{len(asked):,} questions ({len(dev_questions):,} dev), {p.voters} samples and {p.max_resample} rounds of "
        "redraws at most",
        flush=True,
    )
    settings = VotingSettings.of(p)
    adapter = Path("models/adapter") if p.infer.adapter else None
    generator = Generator(p.model, p.engine, p.prompt, adapter)
    with (
        Store(default_path()) as store,
        open_sampler("infer", p.infer.engine, generator, p.providers, p.infer.models) as sampler,
    ):
        examples = stored_examples(Path("models/index"), p.rag.embedder, asked, p.rag.k, store)
        prompting = Prompting(
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
        found = Rounds(asked, examples, prompting, settings).run(sampler, score)

    write_lines("data/samples.jsonl", sample_lines(found.every_sample, settings.threshold))
    write_lines("data/examples.jsonl", example_lines(asked, examples))
    write_jsonl("data/upload.jsonl", answered(test, found.codes("test")))
    print(
        f"{len(asked):,} questions, {len(found.every_sample):,} samples, {found.unanswered:,} fallback answers; "
        "data/upload.jsonl"
    )


if __name__ == "__main__":
    run(main)
