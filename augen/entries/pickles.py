"""Entries as canonical pickles, the format between stages: read without running anything that is in them.


A file is one pickle of one list, however many entries it has. More than `BLOCK` are written and read in blocks, so
that only one of them is in memory. (A folder of shards would let DVC transfer only those that changed, but then every
file that the pipeline names would become a folder.)
"""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from augen.entries import Entry, QuestionItem, restricted
from augen.entries.records import EntriesError, checked, entry_of, entry_place, kind_of, opened, record_of, write

BLOCK = 10_000  # entries
CLASSES = (Entry, QuestionItem)

# The most characters of entries, in all and for each byte of their pickle, where they share texts.
SPELT_OUT, SPELT_OUT_PER_BYTE = 10_000_000, 50


def load_pickle(path: str | Path) -> list[Entry]:
    """The entries of a pickle; nothing that the file names is imported or called.

    Pickles of lists of these two dataclasses are read, also when a notebook defined them (module
    ``__main__``) and when its classes had no ``id``, ``reasoning``, ``answer``, ``author`` or ``program``. Unlike in
    JSON Lines, ids may be empty or shared: several reasonings of one question are several entries.

    Raises:
        EntriesError: the file cannot be read, names anything else, is damaged, or a field is wrong.
    """
    return list(stream_pickle(path))


def stream_pickle(path: str | Path) -> Iterator[Entry]:
    """As `load_pickle`, but one entry at a time: a fault is raised after the entries before it."""
    records = checked(_records(path), entry_place(path), answers="optional", ids="optional")
    return map(entry_of, records)


def _records(path: str | Path) -> Iterator[Any]:
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        source: BinaryIO = file
        if not Path(path).is_file():  # a pipe: its size is known at its end
            source = io.BytesIO(file.read())
            size = source.getbuffer().nbytes
        parts = spelt = 0
        try:
            for records in restricted.items_of(source, size, CLASSES):
                # Objects may be shared in a pickle, so a small damaged or hostile file could spell out a huge value.
                parts += _total(records, lambda text: 1)
                if parts > size:
                    raise EntriesError([f"{path}: is damaged: it claims more fields and options than it has bytes"])
                spelt += _total(records, len)
                if spelt > SPELT_OUT + SPELT_OUT_PER_BYTE * size:
                    told = f"so often that they hold {spelt:,} characters in {size:,} bytes"
                    raise EntriesError([f"{path}: its entries share texts {told}"])
                yield from records
        except restricted.NoList as error:
            raise EntriesError([f"{path}: holds {kind_of(error.value)}, must be a list of entries"]) from None
        except restricted.PickleRefused as error:
            raise EntriesError([f"{path}: {error}"]) from error


def _total(records: Sequence[Any], of_text: Callable[[str], int]) -> int:
    """What all fields, options and other items of the records count together, each object wherever it is used.

    A text counts what `of_text` says, anything else 1.

    Looks at every object once for each depth at which it stands, so a large count takes no longer.
    """
    known: dict[tuple[int, int], int] = {}

    def of(value: Any, depth: int) -> int:
        if isinstance(value, str):
            return of_text(value)
        if not isinstance(value, dict | list) or depth == 0:
            return 1
        place = id(value), depth
        if place not in known:
            items = value.values() if isinstance(value, dict) else value
            known[place] = 1 + sum(of(item, depth - 1) for item in items)
        return known[place]

    return sum(of(record, 4) for record in records)  # entry, questions, question, options


def dump_pickle(path: str | Path, entries: Iterable[Entry]) -> None:
    """Write a canonical pickle of the list of entries: equal entries give equal bytes.

    The file appears whole or not at all. `entries` are taken in blocks.

    Raises:
        EntriesError: an entry is one that `load_pickle` would refuse, or the file cannot be written.
    """
    records = checked(map(record_of, entries), entry_place(path), answers="optional", ids="optional")
    blocks = iter(lambda: list(map(entry_of, islice(records, BLOCK))), [])
    write(path, restricted.parts_of(blocks, CLASSES))
