"""Batches for the training of the tiny models: texts of similar length together, and random tokens to copy.

A batch is the token ids and the labels of its rows, both (B, T); labels are `IGNORED` where nothing is learned.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from random import Random
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from augen.core.params import Prompt
from augen.pretrain.corpus import Sequence, sequences

Batch = tuple[NDArray[np.int32], NDArray[np.int32]]
Row = tuple[list[int], list[int]]
Result = TypeVar("Result")

IGNORED = -100
PAD = 1
COPIED = 256  # tokens of a row of `copying`


def encode(sequence: Sequence, tokenizer: PreTrainedTokenizerBase) -> Row:
    """Token ids and labels of a text, with the end-of-text token after the last part."""
    ids: list[int] = []
    labels: list[int] = []
    for i, (text, learned) in enumerate(sequence.parts):
        part = tokenizer(text, add_special_tokens=False)["input_ids"]
        if i == len(sequence.parts) - 1:
            part = [*part, tokenizer.eos_token_id]
        ids += part
        labels += part if learned else [IGNORED] * len(part)
    return ids, labels


def by_length(rows: Iterable[Row], tokens: int, rng: Random) -> list[Batch]:
    """Right-padded batches of at most `tokens` tokens, in random order; rows of similar length come together."""
    groups: list[list[Row]] = [[]]
    for row in sorted(rows, key=lambda r: -len(r[0])):
        if groups[-1] and (len(groups[-1]) + 1) * len(groups[-1][0][0]) > tokens:
            groups.append([])
        groups[-1].append(row)
    rng.shuffle(groups)
    return [_padded(group) for group in groups if group]


def _padded(rows: list[Row]) -> Batch:
    shape = len(rows), max(len(ids) for ids, _ in rows)
    ids, labels = np.full(shape, PAD, np.int32), np.full(shape, IGNORED, np.int32)
    for i, row in enumerate(rows):
        ids[i, : len(row[0])], labels[i, : len(row[1])] = row
    return ids, labels


@dataclass(frozen=True)
class Texts:
    """Batches of about `tokens` tokens of texts from new puzzles, `puzzles` for every number that it is called with."""

    tokenizer: PreTrainedTokenizerBase
    prompt: Prompt
    seed: str
    tokens: int
    puzzles: int = 500

    def __call__(self, number: int) -> list[Batch]:
        seed = f"{self.seed} {number}"
        rows = (encode(s, self.tokenizer) for s in sequences(self.puzzles, self.prompt, seed))
        return by_length(rows, self.tokens, Random(seed))


@contextmanager
def ahead(function: Callable[[int], Result], workers: int) -> Iterator[Iterator[Result]]:
    """``function(0)``, ``function(1)``, … without end, computed by `workers` processes up to four calls each ahead."""
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    waiting = deque(pool.submit(function, number) for number in range(4 * workers))

    def results() -> Iterator[Result]:
        for number in count(4 * workers):
            yield waiting.popleft().result()
            waiting.append(pool.submit(function, number))

    try:
        yield results()
    finally:
        pool.shutdown(cancel_futures=True)


def copying(rng: np.random.Generator, vocabulary: int, tokens: int) -> Batch:
    """Rows of random tokens that repeat after 4 to 128 tokens, another number in each row; what repeats is learned."""
    shape, place = (max(1, tokens // COPIED), COPIED), np.arange(COPIED)
    period = rng.integers(4, COPIED // 2 + 1, (shape[0], 1))
    ids = np.take_along_axis(rng.integers(PAD + 1, vocabulary, shape, np.int32), place % period, axis=1)
    return ids, np.where(place < period, np.int32(IGNORED), ids)


def with_copies(
    texts: Iterable[Batch], rng: np.random.Generator, vocabulary: int, tokens: int, every: int = 8
) -> Iterator[Batch]:
    """`texts` with a batch of `copying` before each group of `every`.

    Tokens that no text has would otherwise all drift to one place: their only gradient says that they are not next.
    """
    for number, batch in enumerate(texts):
        if number % every == 0:
            yield copying(rng, vocabulary, tokens)
        yield batch
