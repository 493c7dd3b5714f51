"""Worked examples for a question: the most similar solved questions, never of the same problem.

The index is two plain files, so that the same rows give the same bytes::

    models/index/embeddings.npy    float32 (N, D), one row per solved question, length 1
    models/index/rows.jsonl        N lines: the question itself, its reasoning, and the problem that it came from

A retriever loads them into an in-memory Chroma without embedding the rows again.
"""

import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from augen.core.errors import AugenError
from augen.core.files import write_bytes
from augen.entries import Entry, QuestionItem, origin
from augen.prompts.sections import Example
from augen.store.identity import refuse_pickled_weights

Vectors = NDArray[np.float32]
BATCH = 4_000  # rows that Chroma takes at a time
SEARCHED = 1_000  # candidates that Chroma looks at for a query; finds the very nearest of some thousand rows


def query_text(problem: str, question: QuestionItem) -> str:
    """What is embedded of a question: the problem and the question, not the options."""
    return f"{problem.strip()}\n{question.question.strip()}"


@dataclass(frozen=True)
class Row:
    origin: str  # id of the problem, that of the original for a rewritten copy
    problem: str
    question: str
    options: list[str]
    reasoning: str
    answer: str

    @property
    def example(self) -> Example:
        return self.problem, QuestionItem(self.question, self.options, self.reasoning, self.answer)


def rows_of(entries: Sequence[Entry]) -> list[Row]:
    """One row per question that has a reasoning and an answer, in input order."""
    return [
        Row(origin(entry.id), entry.problem, item.question, item.options, item.reasoning, item.answer)
        for entry in entries
        for item in entry.questions
        if item.reasoning and item.answer
    ]


class Embedder:
    """A sentence-transformers model, by folder or hub id, loaded through LangChain."""

    def __init__(self, model: str) -> None:
        from langchain_huggingface import HuggingFaceEmbeddings

        self.name = model
        refuse_pickled_weights(model, "rag.embedder")
        try:
            self.model = HuggingFaceEmbeddings(
                model_name=model,
                model_kwargs={"model_kwargs": {"use_safetensors": True}},
                encode_kwargs={"normalize_embeddings": True},
            )
        except (OSError, ValueError) as fault:
            raise AugenError(
                f"rag.embedder: {model} cannot be loaded as a sentence-transformers model ({fault})"
            ) from None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of length 1, float32 (len(texts), D); no texts give (0, 0)."""
        if not texts:
            return np.empty((0, 0), dtype=np.float32)
        return np.asarray(self.model.embed_documents(list(texts)), dtype=np.float32).reshape(len(texts), -1)


def write_index(folder: Path, rows: Sequence[Row], vectors: Vectors) -> None:
    """Write both files of the index; ValueError if they differ in length."""
    if len(rows) != len(vectors):
        raise ValueError(f"{len(rows)} rows but {len(vectors)} vectors")
    packed = io.BytesIO()
    np.save(packed, vectors, allow_pickle=False)
    lines = "".join(json.dumps(vars(row), ensure_ascii=False) + "\n" for row in rows)
    write_bytes(folder / "embeddings.npy", packed.getvalue())
    write_bytes(folder / "rows.jsonl", lines.encode())


def read_index(folder: Path) -> tuple[list[Row], Vectors]:
    """Rows and vectors of an index; AugenError names the file that is missing or does not fit the other."""
    rows_file, vectors_file = folder / "rows.jsonl", folder / "embeddings.npy"
    reading = rows_file
    try:
        with rows_file.open(encoding="utf-8") as lines_in:
            lines = list(lines_in)  # str.splitlines would also split at separators inside texts
        reading = vectors_file
        with vectors_file.open("rb") as packed:
            vectors = np.lib.format.read_array(packed, allow_pickle=False)
    except (OSError, ValueError) as fault:
        raise AugenError(f"{reading}: cannot be read ({fault}); run `dvc repro index`") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(Row(**json.loads(line)))
        except (ValueError, TypeError) as fault:
            raise AugenError(f"{rows_file}:{number}: not a row of an index ({fault}); run `dvc repro index`") from None
    if vectors.ndim != 2 or len(vectors) != len(rows):
        raise AugenError(f"{vectors_file}: shape {vectors.shape} for {len(rows)} rows; run `dvc repro index`")
    return rows, vectors


class Retriever:
    """Finds the k most similar rows of an index for many questions at once."""

    def __init__(self, rows: Sequence[Row], vectors: Vectors, embedder: Embedder) -> None:
        import chromadb
        from langchain_chroma import Chroma

        self._rows, self._embedder = rows, embedder
        self._per_origin = Counter(row.origin for row in rows)
        self._dimensions = vectors.shape[1]
        client = chromadb.EphemeralClient(chromadb.Settings(anonymized_telemetry=False))
        name = f"index-{uuid4().hex}"  # in-memory clients of one process share their collections
        collection = client.create_collection(
            name, configuration={"hnsw": {"space": "cosine", "ef_search": SEARCHED, "num_threads": 1}}
        )
        for start in range(0, len(rows), BATCH):
            part = rows[start : start + BATCH]
            numbers = range(start, start + len(part))
            collection.add(
                ids=[str(number) for number in numbers],
                embeddings=vectors[start : start + len(part)],
                documents=[row.question for row in part],
                metadatas=[{"row": number, "origin": row.origin} for number, row in zip(numbers, part, strict=True)],
            )
        self._chroma = Chroma(name, embedding_function=embedder.model, client=client)

    def examples(self, questions: Sequence[tuple[str, QuestionItem, str]], k: int) -> list[list[Example]]:
        """For each ``(problem, question, problem id)`` up to `k` examples, the most similar last.

        The most similar stands next to the question in the prompt. Equal similarities go by row number.
        """
        return [[self._rows[row].example for row in reversed(found)] for found in self.nearest(questions, k)]

    def nearest(self, questions: Sequence[tuple[str, QuestionItem, str]], k: int) -> list[list[int]]:
        """The numbers of the rows that are the `examples` of each question, the most similar first."""
        if k == 0 or not self._rows:
            return [[] for _ in questions]
        vectors = self._embedder.embed([query_text(problem, item) for problem, item, _ in questions])
        if questions and vectors.shape[1] != self._dimensions:
            raise AugenError(
                f"models/index: its vectors have {self._dimensions} dimensions, those of {self._embedder.name} "
                f"{vectors.shape[1]}: another embedder made it; run `dvc repro index`"
            )
        return [
            self._nearest(vector, origin(entry_id), k)
            for vector, (_, _, entry_id) in zip(vectors, questions, strict=True)
        ]

    def _nearest(self, vector: Vectors, own: str, k: int) -> list[int]:
        """Row numbers, nearest first, none of the problem `own`.

        Which of several equally near rows Chroma returns is up to chance, so it is asked for more than `k` until
        one of them is farther than the k-th.
        """
        # The rows of `own` are asked for too and left out here: with Chroma's filter a query takes the longer the
        # more rows there are (docs/SCALE.md).
        unwanted = self._per_origin[own]
        others = len(self._rows) - unwanted
        wanted = k
        while others:
            wanted = min(2 * wanted, others)
            found = self._chroma.similarity_search_by_vector_with_relevance_scores(
                [float(x) for x in vector], k=wanted + unwanted
            )
            ranked = sorted(
                (round(distance, 6), int(doc.metadata["row"]))
                for doc, distance in found
                if doc.metadata["origin"] != own
            )
            if len(ranked) < wanted or wanted == others or ranked[-1][0] > ranked[k - 1][0]:
                return [row for _, row in ranked[:k]]
        return []
