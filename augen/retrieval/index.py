"""The index of solved questions from which worked examples are taken.

It is two plain files, so that the same rows give the same bytes::

    models/index/embeddings.npy    float32 (N, D), one vector of length 1 per solved question
    models/index/rows.jsonl        N lines: the question with its problem, options, reasoning, answer and program
"""

import hashlib
import io
import json
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from augen.core.errors import AugenError
from augen.core.files import write_parts
from augen.core.models import load_embedder
from augen.entries import Entry, QuestionItem, questions
from augen.prompts.sections import Example

Vectors = NDArray[np.float32]
Kind = Literal["reasoning", "program"]  # what worked examples must have
READ = 1 << 20  # bytes at once


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


class Facts:
    """What a search asks about rows: of which problem each is, and which kinds of examples it can be."""

    def __init__(self, rows: Iterable[IndexRow] = ()) -> None:
        self.numbers: dict[str, int] = {}  # of the problems, by id
        self.origins = array("i")  # the number of each row's problem
        self.having = {kind: array("b") for kind in get_args(Kind)}
        for row in rows:
            self.note(row)

    def note(self, row: IndexRow) -> None:
        self.origins.append(self.numbers.setdefault(row.origin, len(self.numbers)))
        for kind, having in self.having.items():
            having.append(bool(getattr(row, kind)))


class RowFile(Sequence[IndexRow]):
    """The rows of a file: gone through once, for `facts` and `digest`, and read again wherever one is needed.

    Raises AugenError for a line that is no row.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        weakref.finalize(self, self._file.close)
        self._offsets = array("q", [0])
        self.facts = Facts()
        self.digest = ""

    def go_through(self, digest: "hashlib._Hash") -> None:
        """Read every row; `digest` takes the bytes."""
        for number, line in enumerate(self._file, start=1):
            digest.update(line)
            self._offsets.append(self._offsets[-1] + len(line))
            try:
                self.facts.note(_row(line))
            except UnicodeDecodeError as fault:
                raise AugenError(f"{self._file.name}: cannot be read ({fault}); run `dvc repro index`") from None
            except (ValueError, TypeError) as fault:
                place = f"{self._file.name}:{number}"
                raise AugenError(f"{place}: not a row of an index ({fault}); run `dvc repro index`") from None
        self.digest = digest.hexdigest()

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, place: int) -> IndexRow:  # type: ignore[override]
        if not 0 <= place < len(self):
            raise IndexError(f"row {place} of {len(self)}")
        self._file.seek(self._offsets[place])
        return _row(self._file.readline())


def _row(line: bytes) -> IndexRow:
    return IndexRow(**json.loads(line.decode()))


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


def write_index(folder: Path, rows: Iterable[IndexRow], blocks: Iterable[Vectors], count: int) -> None:
    """Write both files of the index: `count` rows, and as many vectors, which come in `blocks`.

    Raises ValueError if there are more or fewer.
    """
    write_parts(folder / "rows.jsonl", _counted_lines(rows, count))
    write_parts(folder / "embeddings.npy", _array_parts(blocks, count))


def _array_parts(blocks: Iterable[Vectors], count: int) -> Iterator[bytes]:
    """A file of one array: a header, which the first of `blocks` tells the dimensions, and the numbers."""
    found = 0
    for number, block in enumerate(blocks):
        if number == 0:
            header = io.BytesIO()
            kind = {"descr": np.lib.format.dtype_to_descr(block.dtype), "fortran_order": False}
            np.lib.format.write_array_header_1_0(header, kind | {"shape": (count, block.shape[1])})
            yield header.getvalue()
        found += len(block)
        yield block.tobytes()
    if found != count:
        raise ValueError(f"{count} rows but {found} vectors")


def _counted_lines(rows: Iterable[IndexRow], expected: int) -> Iterator[bytes]:
    count = 0
    for row in rows:
        count += 1
        yield json.dumps(vars(row), ensure_ascii=False).encode() + b"\n"
    if count != expected:
        raise ValueError(f"{count} rows but {expected} vectors")


def read_index(folder: Path) -> tuple[RowFile, Vectors]:
    """Rows and vectors of an index, which stay on the disk. The `digest` of the rows is that of both files.

    AugenError names the file that is missing, damaged or does not fit the other.
    """
    rows_file, vectors_file = folder / "rows.jsonl", folder / "embeddings.npy"
    reading, digest = rows_file, hashlib.sha256()
    try:
        rows = RowFile(rows_file)
        reading = vectors_file
        vectors = _mapped(vectors_file, digest)
    except (OSError, ValueError) as fault:
        raise AugenError(f"{reading}: cannot be read ({fault}); run `dvc repro index`") from None
    rows.go_through(digest)
    if vectors.ndim != 2 or len(vectors) != len(rows):
        raise AugenError(f"{vectors_file}: shape {vectors.shape} for {len(rows)} rows; run `dvc repro index`")
    return rows, vectors


def _mapped(path: Path, digest: "hashlib._Hash") -> Vectors:
    """The array of a file, of which the system reads what is looked at; `digest` takes its numbers."""
    with path.open("rb") as packed:
        np.lib.format.read_magic(packed)
        shape, _, _ = np.lib.format.read_array_header_1_0(packed)
        while part := packed.read(READ):
            digest.update(part)
        packed.seek(0)
        if 0 in shape:  # nothing can be mapped
            return np.lib.format.read_array(packed, allow_pickle=False)
    return np.lib.format.open_memmap(path, mode="r")
