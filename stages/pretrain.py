"""Train the committed stand-in models from scratch, on puzzles whose seeds no other stage uses.

Frozen in dvc.yaml: its outs are committed, so nobody needs to run it. To do it again (about an hour of one core):
``dvc unfreeze pretrain && dvc repro --single-item --force pretrain``.

    in   augen.puzzles
    out  models/tiny/generator   Qwen2 architecture, safetensors
         models/tiny/embedder    sentence-transformers, static
"""

import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random

import torch
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from augen.params import load
from augen.tiny.corpus import DIFFICULTIES, WORDINGS_SEEN, hardest_at, sequences, similar_pairs
from augen.tiny.embedder import save_embedder, train_embedder
from augen.tiny.evaluation import accuracy_by_family, held_out
from augen.tiny.generator import batches, copying, encode, new_model, train
from augen.tiny.tokenizer import build_tokenizer

OUT = Path("models/tiny")
CHUNK = 500  # puzzles that a worker writes at a time


def main() -> None:
    p = load("pretrain", "prompt")
    torch.manual_seed(p.pretrain.seed)
    torch.set_num_threads(p.pretrain.threads)
    shutil.rmtree(OUT, ignore_errors=True)

    chunks = -(-p.pretrain.puzzles // CHUNK)
    texts = partial(sequences, CHUNK, p.prompt.solve, p.prompt.explain)
    tokenizer = build_tokenizer((s.text for s in texts("tokenizer", DIFFICULTIES[-1])), p.pretrain.vocabulary)
    model = new_model(tokenizer, p.pretrain.hidden, p.pretrain.layers)
    print(f"generator: {model.num_parameters():,} weights, {len(tokenizer)} tokens in its vocabulary")

    rng = Random(p.pretrain.seed)
    with ProcessPoolExecutor(1) as worker:  # puzzles are written while the model learns to copy
        written = worker.map(
            texts,
            [f"pretrain {p.pretrain.seed} {i}" for i in range(chunks)],
            [hardest_at(i / chunks) for i in range(chunks)],
        )
        copies = (copying(rng, len(tokenizer), batch=16) for _ in range(p.pretrain.copy_steps))
        train(model, copies, p.pretrain.copy_steps, p.pretrain.learning_rate, "copying")
        questions = held_out("watch", 24, DIFFICULTIES, WORDINGS_SEEN)

        def watch(step: int, loss: float) -> None:
            score = accuracy_by_family(model, tokenizer, questions, p.prompt.solve)
            print(
                f"\nstep {step} loss {loss:.3f} " + " ".join(f"{f} {a:.2f}" for f, a in score.items()),
                flush=True,
            )
            save(model, tokenizer)

        rows = (encode(s, tokenizer) for s in chain.from_iterable(written))
        train(
            model,
            batches(rows, p.pretrain.batch_tokens, rng),
            p.pretrain.steps,
            p.pretrain.learning_rate,
            "puzzles",
            every=300,
            watch=watch,
        )
    save(model, tokenizer)
    embedder = train_embedder(list(similar_pairs("embedder", p.pretrain.pairs)), tokenizer, p.pretrain.dimensions)
    save_embedder(embedder, OUT / "embedder")


def save(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write the generator in bfloat16: half the size to commit, and no measurable difference."""
    copy = Qwen2ForCausalLM(model.config)
    copy.load_state_dict(model.state_dict())
    copy.to(torch.bfloat16).save_pretrained(OUT / "generator")
    tokenizer.save_pretrained(OUT / "generator")


if __name__ == "__main__":
    main()
