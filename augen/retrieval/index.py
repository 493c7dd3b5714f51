"""The index of solved questions from which worked examples are taken.

It is two plain files, so that the same rows give the same bytes::

    models/index/embeddings.npy    float32 (N, D), one vector of length 1 per solved question
    models/index/rows.jsonl        N lines: the question with its problem, options, reasoning, answer and program
"""

import io
import json
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augen.core.errors import AugenError
from augen.core.files import write_parts
from augen.core.models import load_embedder
from augen.entries import Entry, QuestionItem, questions
from augen.prompts.sections import Example

Vectors = NDArray[np.float32]
BLOCK = 16_384  # vectors written at a time


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


def rows_of(entries: Iterable[Entry]) -> Iterator[IndexRow]:
    """One row per question that has an answer and a reasoning, a program or both, in input order."""
    for q in chain.from_iterable(questions([entry]) for entry in entries):
        item = q.item
        if item.answer and (item.reasoning or item.program):
            yield IndexRow(q.origin, q.problem, item.question, item.options, item.reasoning, item.answer, item.program)


class RowFile(Sequence[IndexRow]):
    """The rows of a file, read from it again wherever they are needed."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        weakref.finalize(self, self._file.close)
        self._offsets = array("q", [0])
        for line in self._file:
            self._offsets.append(self._offsets[-1] + len(line))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, place: int) -> IndexRow:  # type: ignore[override]
        if not 0 <= place < len(self):
            raise IndexError(f"row {place} of {len(self)}")
        self._file.seek(self._offsets[place])
        return IndexRow(**json.loads(self._file.readline().decode()))


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


def write_index(folder: Path, rows: Iterable[IndexRow], vectors: Vectors) -> None:
    """Write both files of the index; ValueError if there are not as many rows as vectors."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(vectors))
    blocks = (vectors[start : start + BLOCK].tobytes() for start in range(0, len(vectors), BLOCK))
    write_parts(folder / "rows.jsonl", _counted_lines(rows, len(vectors)))
    write_parts(folder / "embeddings.npy", chain([header.getvalue()], blocks))


def _counted_lines(rows: Iterable[IndexRow], expected: int) -> Iterator[bytes]:
    count = 0
    for row in rows:
        count += 1
        yield json.dumps(vars(row), ensure_ascii=False).encode() + b"\n"
    if count != expected:
        raise ValueError(f"{count} rows but {expected} vectors")


def read_index(folder: Path) -> tuple[Sequence[IndexRow], Vectors]:
    """Rows and vectors of an index, which stay on the disk.

    AugenError names the file that is missing, damaged or does not fit the other.
    """
    rows_file, vectors_file = folder / "rows.jsonl", folder / "embeddings.npy"
    reading = rows_file
    try:
        rows = RowFile(rows_file)
        reading = vectors_file
        vectors = _mapped(vectors_file)
    except (OSError, ValueError) as fault:
        raise AugenError(f"{reading}: cannot be read ({fault}); run `dvc repro index`") from None
    for number in range(len(rows)):
        try:
            rows[number]
        except UnicodeDecodeError as fault:
            raise AugenError(f"{rows_file}: cannot be read ({fault}); run `dvc repro index`") from None
        except (ValueError, TypeError) as fault:
            place = f"{rows_file}:{number + 1}"
            raise AugenError(f"{place}: not a row of an index ({fault}); run `dvc repro index`") from None
    if vectors.ndim != 2 or len(vectors) != len(rows):
        raise AugenError(f"{vectors_file}: shape {vectors.shape} for {len(rows)} rows; run `dvc repro index`")
    return rows, vectors


def _mapped(path: Path) -> Vectors:
    """The array of a file, of which the system reads what is looked at."""
    with path.open("rb") as packed:
        np.lib.format.read_magic(packed)
        shape, _, _ = np.lib.format.read_array_header_1_0(packed)
        packed.seek(0)
        if 0 in shape:  # nothing can be mapped
            return np.lib.format.read_array(packed, allow_pickle=False)
    return np.lib.format.open_memmap(path, mode="r")
