"""Pretrains a generator ten times as large as the committed one, on this machine's GPU, for a given time.

    python -m tools.gpu_pretrain                 three minutes, on the GPU
    python -m tools.gpu_pretrain --seconds 30    shorter; on the CPU where there is no GPU

It learns as the stage pretrain has the small one learn, with the same tokenizer and batches, and is thrown away. Prints
steps, the time of one, the most memory that torch held, and how many new puzzles it then solves, beside the small one.
"""

import argparse
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase, Qwen2ForCausalLM

from augen.core.cores import cores
from augen.core.device import device
from augen.core.errors import AugenError
from augen.core.models import load_model, load_tokenizer
from augen.core.params import Prompt, load
from augen.pretrain import corpus, generator
from augen.pretrain.batches import Texts, ahead, copying, with_copies
from augen.pretrain.evaluation import accuracy_by_family, held_out

SMALL = Path("models/tiny/generator")
HIDDEN, LAYERS = 512, 5  # of the large one
COPYING = 0.2  # share of the time for copying random tokens, from which the speed is known
MARGIN = 0.95  # of the time that is left then
STARTING = 3  # steps before anything is timed, and as many to learn the speed


def timed(work: Callable[[], None]) -> float:
    """The seconds that `work` takes."""
    began = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def pretrain(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, prompt: Prompt, seconds: float) -> None:
    """Copying, then puzzles, in about `seconds`; prints the speed of both."""
    p = load("pretrain").pretrain
    rng, size, rate = np.random.default_rng(p.seed), (len(tokenizer), p.batch_tokens), p.learning_rate / 2
    copies = iter(lambda: copying(rng, *size), None)
    first, second = (timed(lambda: generator.train(model, copies, STARTING, rate, "starting")) for _ in range(2))
    step = second / STARTING
    copy_steps = max(1, min(p.copy_steps, int(COPYING * seconds / step)))
    write = Texts(tokenizer, prompt, f"gpu {p.seed}", p.batch_tokens)
    with ahead(write, max(1, cores() - 1)) as written:
        took = timed(lambda: generator.train(model, copies, copy_steps, rate, "copying"))
        left = seconds - first - second - took
        steps = max(1, int(MARGIN * left / (took / copy_steps)))
        texts = with_copies(chain.from_iterable(written), rng, *size)
        learning = timed(lambda: generator.train(model, texts, steps, rate, "puzzles"))
    print(f"{copy_steps:,} steps of copying: {took:.1f} s; {steps:,} steps of puzzles: {learning:.1f} s, ", end="")
    print(f"{1000 * learning / steps:.1f} ms and up to {p.batch_tokens:,} tokens each", flush=True)


def solved(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> str:
    """What `model` solves of new puzzles, over all families."""
    questions = held_out("gpu", 48, corpus.DIFFICULTIES, corpus.WORDINGS_SEEN)
    shares = np.array(list(accuracy_by_family(model, tokenizer, questions, prompt).values())).mean(axis=0)
    asked = sum(map(len, questions.values()))
    return f"of {asked} new puzzles {shares[0]:.3f} answers right, {shares[1]:.3f} programs right"


def main(seconds: float) -> None:
    prompt = load("prompt").prompt
    tokenizer = load_tokenizer(SMALL, str(SMALL), padding_side="left")
    small = load_model(AutoModelForCausalLM, SMALL, str(SMALL), dtype=torch.float32).to(device())
    large = generator.new_model(tokenizer, HIDDEN, LAYERS).to(device())
    weights = large.num_parameters()
    print(
        f"{weights:,} weights, {weights / small.num_parameters():.1f} times as many as {SMALL}; {device()}", flush=True
    )
    pretrain(large, tokenizer, prompt, seconds)
    if torch.cuda.is_available():
        print(f"at most {torch.cuda.max_memory_allocated() / 2**20:,.0f} MiB held by torch")
    for name, model in (("large", large), ("small, as committed", small)):
        print(f"{name}: {solved(model, tokenizer, prompt)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tools.gpu_pretrain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=180, help="of training (default: %(default)s)")
    try:
        main(parser.parse_args().seconds)
    except AugenError as error:
        sys.exit(f"gpu_pretrain: {error}")
