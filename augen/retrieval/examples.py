"""Worked examples for a question: the most similar solved questions, never of the same problem.

The store keeps which rows of the index were found for a question, so that each search is made once. A run whose
searches are all stored does not even load the embedder.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np

from augen.core import params
from augen.core.arrays import Bools, Floats, Ints
from augen.core.errors import AugenError
from augen.entries import Entry, Question, questions
from augen.prompts.sections import Example, query_text
from augen.retrieval.index import Embedder, Facts, IndexRow, Kind, RowFile, Vectors, read_index, rows_of
from augen.store.responses import Store, request_key

ROWS, QUERIES = 16_384, 256  # compared at a time
ROUNDING = 4e-6  # more than float32 is off, and than distances are rounded by
BLOCK = 10_000  # questions whose searches are looked up in the store together
DIGITS = 6  # of distances: what differs by less is equally near


class Retriever:
    """Finds the k most similar rows of an index for each of many questions: exactly, by comparing all of them.

    Nothing but the questions is embedded. Of an index on the disk, only a block of vectors is in memory.
    """

    def __init__(self, rows: Sequence[IndexRow], vectors: Vectors, embedder: Embedder) -> None:
        self._rows, self._vectors, self._embedder = rows, vectors, embedder
        facts = rows.facts if isinstance(rows, RowFile) else Facts(rows)
        self._origins = facts.numbers
        self._having = {kind: np.array(having, np.bool_) for kind, having in facts.having.items()}
        origins = np.array(facts.origins, np.int32)
        self._by_origin = np.argsort(origins, kind="stable")
        self._starts = np.searchsorted(origins[self._by_origin], np.arange(len(self._origins) + 1))

    def examples(self, questions: Sequence[Question], k: int, kind: Kind = "reasoning") -> list[list[Example]]:
        """For each question up to `k` examples that have a `kind`, the most similar last.

        So the most similar one stands right before the question in the prompt. Of equally similar rows the one with
        the lower number counts as nearer.
        """
        return [[self._rows[row].example for row in reversed(found)] for found in self.nearest(questions, k, kind)]

    def nearest(self, questions: Sequence[Question], k: int, kind: Kind = "reasoning") -> list[list[int]]:
        """As `examples`, but row numbers, the most similar first."""
        if k == 0 or not self._having[kind].any():
            return [[] for _ in questions]
        vectors = self._embedder.embed_queries([query_text(question.problem, question.item) for question in questions])
        if questions and vectors.shape[1] != self._vectors.shape[1]:
            raise AugenError(
                f"models/index: its vectors have {self._vectors.shape[1]} dimensions, those of {self._embedder.name} "
                f"{vectors.shape[1]}: another embedder made it; run `dvc repro index`"
            )
        found = []
        for start in range(0, len(questions), QUERIES):
            part = slice(start, start + QUERIES)
            own = [self._of(question.origin) for question in questions[part]]
            found += self._nearest(vectors[part], own, k, self._having[kind])
        return found

    def _of(self, origin: str) -> Ints:
        """The numbers of the rows of a problem, in ascending order."""
        number = self._origins.get(origin)
        if number is None:
            return self._by_origin[:0]
        return self._by_origin[self._starts[number] : self._starts[number + 1]]

    def _nearest(self, queries: Vectors, own: Sequence[Ints], k: int, usable: Bools) -> list[list[int]]:
        """Numbers of `usable` rows, nearest first, none of those of its `own` problem, for each of `queries` (Q, D)."""
        best = Nearest(np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))
        limit = np.full(len(queries), -np.inf)  # below which no row is among the nearest k
        for start in range(0, len(self._rows), ROWS):
            rows = np.asarray(self._vectors[start : start + ROWS])
            similar = queries @ rows.T
            similar[:, ~usable[start : start + ROWS]] = -np.inf
            for query, numbers in enumerate(own):
                inside = numbers[(numbers >= start) & (numbers < start + ROWS)]
                similar[query, inside - start] = -np.inf
            if k < len(rows) and np.isinf(limit).any():
                limit = np.maximum(limit, np.partition(similar, -k, axis=1)[:, -k] - ROUNDING)
            asking, row = np.nonzero((similar >= limit[:, None]) & (similar > -np.inf))
            best = best.with_others(Nearest(_distances(queries[asking], rows[row]), start + row, asking), k)
            limit = np.maximum(limit, best.limits(len(queries), k))
        return [best.row[best.query == query].tolist() for query in range(len(queries))]


@dataclass(frozen=True)
class Nearest:
    """Rows and how far they are from a query (all (N,)), by query, then by distance, then by row."""

    distance: Floats
    row: Ints
    query: Ints

    def with_others(self, others: "Nearest", k: int) -> "Nearest":
        """These and `others`, at most `k` of each query."""
        distance, row, query = (np.concatenate([getattr(each, name) for each in (self, others)]) for name in vars(self))
        order = np.lexsort((row, distance, query))
        query = query[order]
        place = np.arange(len(query)) - np.searchsorted(query, query)  # among those of its query
        kept = place < k
        return Nearest(distance[order][kept], row[order][kept], query[kept])

    def limits(self, queries: int, k: int) -> Floats:
        """(Q,) the similarity below which no further row is among the nearest `k`; -inf where there are fewer yet."""
        last = np.searchsorted(self.query, np.arange(queries), side="right") - 1
        full = np.bincount(self.query, minlength=queries) == k
        return (
            np.where(full, 1 - self.distance[last] - ROUNDING, -np.inf)
            if len(self.query)
            else np.full(queries, -np.inf)
        )


def _distances(a: Vectors, b: Vectors) -> Floats:
    """(N,) of each pair: the same for a pair whatever stands beside it, unlike the products of matrices."""
    return np.round(1 - np.einsum("ij,ij->i", a, b, dtype=np.float64), DIGITS)


def examples_among(
    entries: Sequence[Entry], rag: params.Rag, asked: Sequence[Question], k: int, kind: Kind
) -> list[list[Example]]:
    """As `Retriever.examples` for the questions `asked`: from those of `entries`, which all have a `kind`."""
    if not (asked and k):
        return [[] for _ in asked]
    embedder = Embedder(rag.embedder, rag.query_prompt)
    vectors = embedder.embed([query_text(question.problem, question.item) for question in questions(entries)])
    return Retriever(list(rows_of(entries)), vectors, embedder).examples(asked, k, kind)


def stored_examples(
    index: Path, rag: params.Rag, questions: Sequence[Question], k: int, store: Store, kind: Kind = "reasoning"
) -> Sequence[Sequence[Example]]:
    """As `Retriever.examples`, for the index in the folder `index`, which was made with the embedder of `rag`.

    The key of a search is made of the bytes of the index (another embedder writes other bytes), the embedder's name
    and query prompt, the text searched for, the problem that is left out, the number of rows and what they must have.
    Raises AugenError if `index` is not an index.
    """
    if k == 0:
        return [()] * len(questions)
    rows, vectors = read_index(index)
    retriever: list[Retriever] = []

    def key_of(question: Question) -> str:
        return request_key(
            {
                "kind": "examples",
                "index": rows.digest,
                "embedder": rag.embedder,
                "k": k,
                "text": query_text(question.problem, question.item),
                "own": question.origin,
                "having": kind,
            }
            | ({"query_prompt": rag.query_prompt} if rag.query_prompt else {})
        )

    def search(missing: dict[str, Question]) -> list[dict[str, dict[str, list[int]]]]:
        if not retriever:
            retriever.append(Retriever(rows, vectors, Embedder(rag.embedder, rag.query_prompt)))
        nearest = retriever[0].nearest(list(missing.values()), k, kind)
        return [{key: {"rows": numbers} for key, numbers in zip(missing, nearest, strict=True)}]

    numbers: list[array[int]] = []
    for start in range(0, len(questions), BLOCK):
        block = questions[start : start + BLOCK]
        keys = [key_of(question) for question in block]
        found = store.fill(dict(zip(keys, block, strict=True)), search)
        numbers += [array("i", reversed(found[key]["rows"])) for key in keys]
    return FoundExamples(rows, numbers)


class FoundExamples(Sequence[Sequence[Example]]):
    """The examples of each question, given by their `numbers` among the `rows` of an index."""

    def __init__(self, rows: Sequence[IndexRow], numbers: Sequence[Sequence[int]]) -> None:
        self._rows, self._numbers = rows, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> list[Example]: ...

    @overload
    def __getitem__(self, place: slice) -> "FoundExamples": ...

    def __getitem__(self, place: int | slice) -> "list[Example] | FoundExamples":
        if isinstance(place, slice):
            return FoundExamples(self._rows, self._numbers[place])
        return [self._rows[number].example for number in self._numbers[place]]
