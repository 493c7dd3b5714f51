"""Worked examples for a question: the most similar solved questions, never of the same problem.

The store keeps which rows of the index were found for a question, so that each search is made once. A run whose
searches are all stored does not even load the embedder.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from augen.core import params
from augen.core.errors import AugenError
from augen.entries import Question
from augen.prompts.sections import Example, query_text
from augen.retrieval.index import Embedder, IndexRow, Vectors, read_index
from augen.store.responses import Store, request_key

Kind = Literal["reasoning", "program"]  # what worked examples must have

BATCH = 4_000  # rows added to Chroma at a time
SEARCHED = 1_000  # candidates that Chroma looks at for a query: enough to find the very nearest of some thousand rows


class Retriever:
    """Finds the k most similar rows of an index for each of many questions.

    The vectors of the index go into an in-memory Chroma; nothing but the questions is embedded.
    """

    def __init__(self, rows: Sequence[IndexRow], vectors: Vectors, embedder: Embedder) -> None:
        self._rows, self._vectors, self._embedder = rows, vectors, embedder
        self._per_origin = Counter(row.origin for row in rows)

    @cached_property
    def _chroma(self) -> Any:
        """Filled at the first search: where no example is asked for, Chroma is not even imported."""
        import chromadb
        from langchain_chroma import Chroma

        client = chromadb.EphemeralClient(chromadb.Settings(anonymized_telemetry=False))
        name = f"index-{uuid4().hex}"  # in-memory clients of one process share their collections
        collection = client.create_collection(
            name, configuration={"hnsw": {"space": "cosine", "ef_search": SEARCHED, "num_threads": 1}}
        )
        for start in range(0, len(self._rows), BATCH):
            part = self._rows[start : start + BATCH]
            numbers = range(start, start + len(part))
            collection.add(
                ids=[str(number) for number in numbers],
                embeddings=self._vectors[start : start + len(part)],
                documents=[row.question for row in part],
                metadatas=[{"row": number, "origin": row.origin} for number, row in zip(numbers, part, strict=True)],
            )
        return Chroma(name, embedding_function=self._embedder.model, client=client)

    def examples(self, questions: Sequence[Question], k: int, kind: Kind = "reasoning") -> list[list[Example]]:
        """For each question up to `k` examples that have a `kind`, the most similar last.

        So the most similar one stands right before the question in the prompt. Of equally similar rows the one with
        the lower number counts as nearer.
        """
        return [[self._rows[row].example for row in reversed(found)] for found in self.nearest(questions, k, kind)]

    def nearest(self, questions: Sequence[Question], k: int, kind: Kind = "reasoning") -> list[list[int]]:
        """As `examples`, but row numbers, the most similar first."""
        usable = {number for number, row in enumerate(self._rows) if getattr(row, kind)}
        if k == 0 or not usable:
            return [[] for _ in questions]
        vectors = self._embedder.embed_queries([query_text(question.problem, question.item) for question in questions])
        if questions and vectors.shape[1] != self._vectors.shape[1]:
            raise AugenError(
                f"models/index: its vectors have {self._vectors.shape[1]} dimensions, those of {self._embedder.name} "
                f"{vectors.shape[1]}: another embedder made it; run `dvc repro index`"
            )
        return [
            self._nearest(vector, question.origin, k, usable)
            for vector, question in zip(vectors, questions, strict=True)
        ]

    def _nearest(self, vector: Vectors, own: str, k: int, usable: Collection[int]) -> list[int]:
        """Numbers of `usable` rows, nearest first, none of the problem `own`.

        Which of several equally near rows Chroma returns is up to chance. So it is asked for more than `k`, until
        the last one returned is farther away than the k-th usable one.
        """
        # The rows of `own` are fetched too and removed here: a query with Chroma's own filter slows down as the index
        # grows (docs/SCALE.md).
        own_rows = self._per_origin[own]
        others = len(self._rows) - own_rows
        asked = k
        while others:
            asked = min(2 * asked, others)
            found = self._chroma.similarity_search_by_vector_with_relevance_scores(
                [float(x) for x in vector], k=asked + own_rows
            )
            ranked = sorted(
                (round(distance, 6), int(doc.metadata["row"]))
                for doc, distance in found
                if doc.metadata["origin"] != own
            )
            found_usable = [(distance, row) for distance, row in ranked if row in usable]
            settled = len(found_usable) >= k and ranked[-1][0] > found_usable[k - 1][0]
            if settled or len(ranked) < asked or asked == others:
                return [row for _, row in found_usable[:k]]
        return []


def stored_examples(
    index: Path, rag: params.Rag, questions: Sequence[Question], k: int, store: Store, kind: Kind = "reasoning"
) -> list[list[Example]]:
    """As `Retriever.examples`, for the index in the folder `index`, which was made with the embedder of `rag`.

    The key of a search is made of the bytes of the index (another embedder writes other bytes), the embedder's name
    and query prompt, the text searched for, the problem that is left out, the number of rows and what they must have.
    Raises AugenError if `index` is not an index.
    """
    if k == 0:
        return [[] for _ in questions]
    rows, vectors = read_index(index)
    digest = hashlib.sha256(vectors.tobytes() + (index / "rows.jsonl").read_bytes()).hexdigest()
    keys = [
        request_key(
            {
                "kind": "examples",
                "index": digest,
                "embedder": rag.embedder,
                "k": k,
                "text": query_text(question.problem, question.item),
                "own": question.origin,
                "having": kind,
            }
            | ({"query_prompt": rag.query_prompt} if rag.query_prompt else {})
        )
        for question in questions
    ]

    def search(missing: dict[str, Question]) -> list[dict[str, dict[str, list[int]]]]:
        nearest = Retriever(rows, vectors, Embedder(rag.embedder, rag.query_prompt)).nearest(
            list(missing.values()), k, kind
        )
        return [{key: {"rows": numbers} for key, numbers in zip(missing, nearest, strict=True)}]

    found = store.fill(dict(zip(keys, questions, strict=True)), search)
    return [[rows[row].example for row in reversed(found[key]["rows"])] for key in keys]
