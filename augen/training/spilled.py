"""Values that wait on the disk until they are read again, because in memory they would be too many."""

import hashlib
import os
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Sequence
from copy import copy
from typing import Self, TypeVar, overload

from pydantic import TypeAdapter

T = TypeVar("T")


class Spilled(Sequence[T]):
    """`values` of the dataclass `kind` in a file without a name in the working directory; it vanishes with the process.

    In memory are 16 bytes of each: where it begins, and which it is. Reading makes a new object every time.
    """

    def __init__(self, kind: type[T], values: Iterable[T]) -> None:
        self._whole: Self | None = None  # of a part: what it is a part of, whose file must stay open
        self._adapter = TypeAdapter(kind)
        self._file = tempfile.TemporaryFile(dir=".")  # noqa: SIM115 (open as long as this object lives)
        weakref.finalize(self, self._file.close)
        self._starts = array("q", [0])
        for value in values:
            self._starts.append(self._starts[-1] + self._file.write(self._adapter.dump_json(value)))
        self._file.flush()
        self._places = array("q", range(len(self._starts) - 1))

    def those(self, places: Iterable[int]) -> Self:
        """The values at `places`, in that order, from the same file."""
        part = copy(self)
        part._whole = self
        part._places = array("q", (self._places[place] for place in places))
        return part

    def digest(self) -> str:
        """A SHA-256 of all values, in their order."""
        found = hashlib.sha256()
        for place in self._places:
            found.update(self._line(place) + b"\n")
        return found.hexdigest()

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> T: ...

    @overload
    def __getitem__(self, place: slice) -> Self: ...

    def __getitem__(self, place: int | slice) -> T | Self:
        if isinstance(place, slice):
            return self.those(range(*place.indices(len(self))))
        return self._adapter.validate_json(self._line(self._places[place]))

    def _line(self, place: int) -> bytes:
        start, end = self._starts[place], self._starts[place + 1]
        return os.pread(self._file.fileno(), end - start, start)
