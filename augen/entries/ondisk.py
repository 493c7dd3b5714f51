"""Entries and questions that stay in their JSON Lines file and are read from it again wherever they are needed."""

import json
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, islice
from pathlib import Path
from typing import overload

from augen.entries import Entry, Question, questions
from augen.entries.jsonl import stream_jsonl
from augen.entries.records import Answers, entry_of


class EntryFile:
    """The first `limit` entries of a JSON Lines file, which must not change as long as this is in use.

    In memory are `ids`, and where each entry and its first question stand. Raises EntriesError as `read_jsonl`, also
    for faults beyond `limit`.
    """

    def __init__(
        self, path: str | Path, *, answers: Answers, may_be_empty: bool = False, limit: int | None = None
    ) -> None:
        self.path = Path(path)
        self.ids: list[str] = []
        self.starts = array("q", [0])  # the number of each entry's first question, and of all questions
        for entry in stream_jsonl(path, answers=answers, may_be_empty=may_be_empty):
            if limit is None or len(self) < limit:
                self.ids.append(entry.id)
                self.starts.append(self.starts[-1] + len(entry.questions))
        self.offsets = array("q", [0])
        with self.path.open("rb") as lines:
            for line in islice(lines, len(self)):
                self.offsets.append(self.offsets[-1] + len(line))

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Entry]:
        return self.read(0, len(self))

    def read(self, start: int, end: int) -> Iterator[Entry]:
        """The entries from number `start` up to, without, `end`."""
        with self.path.open("rb") as lines:
            lines.seek(self.offsets[start])
            yield from map(_entry, islice(lines, end - start))

    def those(self, chosen: Iterable[bool]) -> Iterator[Entry]:
        """The entries for which `chosen`, which has a truth value for each of them, says so."""
        with self.path.open("rb") as lines:
            yield from map(_entry, compress(islice(lines, len(self)), chosen))

    @property
    def questions(self) -> int:
        """How many questions the entries have."""
        return self.starts[-1]


def _entry(line: bytes) -> Entry:
    return entry_of(json.loads(line))


class Questions(Sequence[Question]):
    """All questions of several files, one file after the other, each with the name of its split.

    Taking a slice reads it from the disk, so that whoever goes through blocks has one of them in memory.
    """

    def __init__(self, **files: EntryFile) -> None:
        self._files = files
        self._ends: list[int] = []
        for file in files.values():
            self._ends.append((self._ends[-1] if self._ends else 0) + file.questions)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, place: int) -> Question: ...

    @overload
    def __getitem__(self, place: slice) -> list[Question]: ...

    def __getitem__(self, place: int | slice) -> Question | list[Question]:
        if isinstance(place, int):
            if not -len(self) <= place < len(self):
                raise IndexError(f"question {place} of {len(self)}")
            [question] = self._read(place % len(self), place % len(self) + 1)
            return question
        start, end, step = place.indices(len(self))
        if step != 1:
            raise ValueError("questions are read in their order")
        return list(self._read(start, end))

    def __iter__(self) -> Iterator[Question]:
        return self._read(0, len(self))

    def _read(self, start: int, end: int) -> Iterator[Question]:
        before = 0
        for (split, file), last in zip(self._files.items(), self._ends, strict=True):
            first, beyond = max(start, before) - before, min(end, last) - before
            if first < beyond:
                entry = bisect_right(file.starts, first) - 1
                until = bisect_right(file.starts, beyond - 1)
                read = (q for e in file.read(entry, until) for q in questions([e], split))
                yield from islice(read, first - file.starts[entry], beyond - file.starts[entry])
            before = last
