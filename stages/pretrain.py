"""Train the committed stand-in models from scratch, on puzzles whose seeds no other stage uses.

The stage is frozen in dvc.yaml: its outs are committed, so nobody needs to run it. To run it again (some minutes on a
GPU, a day on two cores): ``dvc unfreeze pretrain && dvc repro --single-item --force pretrain``.

    in   augen.puzzles
    out  models/tiny/generator   Qwen2 architecture, safetensors
         models/tiny/checker     the same with more layers and a two-label head: base of the scorer
         models/tiny/embedder    sentence-transformers, static
"""

import shutil
from itertools import chain
from pathlib import Path
from random import Random

import numpy as np
import torch

from augen.core.cores import cores
from augen.core.device import device
from augen.core.params import load
from augen.core.run import run
from augen.pretrain import checker, corpus, generator
from augen.pretrain.batches import Texts, ahead, copying, with_copies
from augen.pretrain.embedder import save_embedder, train_embedder
from augen.pretrain.evaluation import accuracy_by_family, held_out
from augen.pretrain.tokenizer import build_tokenizer

OUT = Path("models/tiny")


def main() -> None:
    params = load("pretrain", "prompt")
    p, prompt = params.pretrain, params.prompt
    torch.manual_seed(p.seed)
    torch.set_num_threads(p.threads)
    shutil.rmtree(OUT, ignore_errors=True)

    spelled = (s.text for s in corpus.sequences(1000, prompt, "tokenizer"))
    tokenizer = build_tokenizer(chain(spelled, corpus.questions_of_all_wordings("tokenizer", 3000)), p.vocabulary)
    model = generator.new_model(tokenizer, p.hidden, p.layers).to(device())
    print(f"generator: {model.num_parameters():,} weights, {len(tokenizer)} tokens in its vocabulary, {device()}")
    questions = held_out("watch", 24, corpus.DIFFICULTIES, corpus.WORDINGS_SEEN)

    def watch(step: int, loss: float) -> None:
        score = accuracy_by_family(model, tokenizer, questions, prompt)
        shares = " ".join(f"{family} {answers:.2f} {programs:.2f}" for family, (answers, programs) in score.items())
        print(f"\nstep {step} loss {loss:.3f}, right answers and right programs: {shares}", flush=True)

    rng, size = np.random.default_rng(p.seed), (len(tokenizer), p.batch_tokens)
    write = Texts(tokenizer, prompt, f"pretrain {p.seed}", p.batch_tokens)
    with ahead(write, max(1, cores() - 1)) as written:  # while the model learns
        generator.train(model, iter(lambda: copying(rng, *size), None), p.copy_steps, p.learning_rate, "copying")
        texts = with_copies(chain.from_iterable(written), rng, *size)
        generator.train(model, texts, p.steps, p.learning_rate, "puzzles", watch)
    generator.save(model, tokenizer, OUT / "generator")

    asked = checker.questions(Random(f"checker {p.seed}"), p.checker_puzzles)
    labelled = [checker.encode(c, tokenizer) for c in checker.sampled(model, tokenizer, asked, prompt.solve)]
    judge = checker.new_checker(model, p.checker_layers)
    checker.train_checker(judge, labelled, p.checker_epochs, p.checker_learning_rate, Random(p.seed))
    generator.save(judge, tokenizer, OUT / "checker")

    embedder = train_embedder(list(corpus.similar_pairs("embedder", p.pairs)), tokenizer, p.dimensions)
    save_embedder(embedder, OUT / "embedder")


if __name__ == "__main__":
    run(main)
