"""Train the committed stand-in models from scratch, on puzzles whose seeds no other stage uses.

The stage is frozen in dvc.yaml: its outs are committed, so nobody needs to run it. To run it again (about 90 minutes):
``dvc unfreeze pretrain && dvc repro --single-item --force pretrain``.

    in   augen.puzzles
    out  models/tiny/generator   Qwen2 architecture, safetensors
         models/tiny/checker     the same with more layers and a two-label head: base of the scorer
         models/tiny/embedder    sentence-transformers, static
"""

import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random

import torch

from augen.core.params import load
from augen.core.run import run
from augen.pretrain import checker, corpus, generator
from augen.pretrain.embedder import save_embedder, train_embedder
from augen.pretrain.evaluation import accuracy_by_family, held_out
from augen.pretrain.tokenizer import build_tokenizer

OUT = Path("models/tiny")
CHUNK = 500  # puzzles that a worker writes at a time


def main() -> None:
    params = load("pretrain", "prompt")
    p, prompt = params.pretrain, params.prompt
    torch.manual_seed(p.seed)
    torch.set_num_threads(p.threads)
    shutil.rmtree(OUT, ignore_errors=True)

    texts = partial(corpus.sequences, CHUNK, prompt)
    seen = (s.text for s in texts("tokenizer", corpus.DIFFICULTIES[-1]))
    tokenizer = build_tokenizer(seen, p.vocabulary, corpus.texts_of_all_wordings("tokenizer", CHUNK))
    model = generator.new_model(tokenizer, p.hidden, p.layers)
    print(f"generator: {model.num_parameters():,} weights, {len(tokenizer)} tokens in its vocabulary")
    questions, rng = held_out("watch", 24, corpus.DIFFICULTIES, corpus.WORDINGS_SEEN), Random(p.seed)

    def watch(step: int, loss: float) -> None:
        score = accuracy_by_family(model, tokenizer, questions, prompt)
        shares = " ".join(f"{family} {answers:.2f} {programs:.2f}" for family, (answers, programs) in score.items())
        print(f"\nstep {step} loss {loss:.3f}, right answers and right programs: {shares}", flush=True)

    with ProcessPoolExecutor(1) as worker:  # writes puzzles while the model learns

        def learn(steps: int, puzzles: int, share: float, learning_rate: float, label: str) -> None:
            """`steps` on texts of new `puzzles`, of which `share` are programs."""
            starts = range(0, puzzles, CHUNK)
            names = [f"pretrain {label} {p.seed} {start}" for start in starts]
            hardest = [corpus.DIFFICULTIES[-1] if share else corpus.hardest_at(start / puzzles) for start in starts]
            written = worker.map(texts, names, hardest, [share] * len(starts))
            rows = (generator.encode(s, tokenizer) for s in chain.from_iterable(written))
            mixed = generator.with_copies(generator.batches(rows, p.batch_tokens, rng), rng, len(tokenizer))
            generator.train(model, mixed, steps, learning_rate, label, watch)

        copies = iter(lambda: generator.copying(rng, len(tokenizer), batch=16), None)
        generator.train(model, copies, p.copy_steps, p.learning_rate, "copying")
        learn(p.steps, p.puzzles, 0.0, p.learning_rate, "reasonings")
        learn(p.program_steps, p.program_puzzles, corpus.PROGRAMS, p.program_learning_rate, "programs")
    generator.save(model, tokenizer, OUT / "generator")

    asked = checker.questions(Random(f"checker {p.seed}"), p.checker_puzzles)
    labelled = [checker.encode(c, tokenizer) for c in checker.sampled(model, tokenizer, asked, prompt.solve)]
    judge = checker.new_checker(model, p.checker_layers)
    checker.train_checker(judge, labelled, p.checker_epochs, p.batch_tokens, p.checker_learning_rate, rng)
    generator.save(judge, tokenizer, OUT / "checker")

    embedder = train_embedder(list(corpus.similar_pairs("embedder", p.pairs)), tokenizer, p.dimensions)
    save_embedder(embedder, OUT / "embedder")


if __name__ == "__main__":
    run(main)
