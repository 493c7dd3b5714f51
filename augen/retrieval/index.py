"""The index of solved questions from which worked examples are taken.

It is two plain files, so that the same rows give the same bytes::

    models/index/embeddings.npy    float32 (N, D), one vector of length 1 per solved question
    models/index/rows.jsonl        N lines: the question with its problem, options, reasoning, answer and program
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augen.core.errors import AugenError
from augen.core.files import write_bytes
from augen.core.models import load_embedder
from augen.entries import Entry, QuestionItem, questions
from augen.prompts.sections import Example

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class IndexRow:
    origin: str  # id of the problem, that of the original for a rewritten copy
    problem: str
    question: str
    options: list[str]
    reasoning: str | None  # None: the question has a program alone
    answer: str
    program: str | None = None

    @property
    def example(self) -> Example:
        return self.problem, QuestionItem(
            self.question, self.options, self.reasoning, self.answer, program=self.program
        )


def rows_of(entries: Sequence[Entry]) -> list[IndexRow]:
    """One row per question that has an answer and a reasoning, a program or both, in input order."""
    return [
        IndexRow(q.origin, q.problem, q.item.question, q.item.options, q.item.reasoning, q.item.answer, q.item.program)
        for q in questions(entries)
        if q.item.answer and (q.item.reasoning or q.item.program)
    ]


class Embedder:
    """A sentence-transformers model, given by folder or hub id, loaded through LangChain.

    Some are trained with an instruction before the text of a query, `query_prompt`, and none before the texts that are
    searched.
    """

    def __init__(self, model: str, query_prompt: str | None = None) -> None:
        self.name, self._query_prompt = model, query_prompt or ""
        self.model = load_embedder(model, "rag.embedder")

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of length 1, float32 (len(texts), D); no texts give (0, 0)."""
        if not texts:
            return np.empty((0, 0), dtype=np.float32)
        try:
            found = np.asarray(self.model.embed_documents(list(texts)), dtype=np.float32).reshape(len(texts), -1)
        except (RuntimeError, IndexError) as fault:
            raise AugenError(f"rag.embedder: {self.name} cannot embed these texts: {fault}") from fault
        if not np.isfinite(found).all():
            raise AugenError(f"rag.embedder: {self.name} computes what is no number: its weights are damaged")
        return found

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """As `embed`, for texts to search for."""
        return self.embed([f"{self._query_prompt}{text}" for text in texts])


def write_index(folder: Path, rows: Sequence[IndexRow], vectors: Vectors) -> None:
    """Write both files of the index; ValueError if there are not as many rows as vectors."""
    if len(rows) != len(vectors):
        raise ValueError(f"{len(rows)} rows but {len(vectors)} vectors")
    packed = io.BytesIO()
    np.save(packed, vectors, allow_pickle=False)
    lines = "".join(json.dumps(vars(row), ensure_ascii=False) + "\n" for row in rows)
    write_bytes(folder / "embeddings.npy", packed.getvalue())
    write_bytes(folder / "rows.jsonl", lines.encode())


def read_index(folder: Path) -> tuple[list[IndexRow], Vectors]:
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
            rows.append(IndexRow(**json.loads(line)))
        except (ValueError, TypeError) as fault:
            raise AugenError(f"{rows_file}:{number}: not a row of an index ({fault}); run `dvc repro index`") from None
    if vectors.ndim != 2 or len(vectors) != len(rows):
        raise AugenError(f"{vectors_file}: shape {vectors.shape} for {len(rows)} rows; run `dvc repro index`")
    return rows, vectors
