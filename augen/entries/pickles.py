"""Entries as canonical pickles, the format between stages: read without running anything that is in them.

A file is one pickle of one list, however many entries it has. More than `BLOCK` are written and read in blocks, so
that only one of them is in memory. (A folder of shards would let DVC transfer only those that changed, but then every
file that the pipeline names would become a folder.)
"""

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from augen.entries import Entry, QuestionItem, in_blocks, restricted
from augen.entries.records import EntriesError, checked, entry_of, entry_place, kind_of, opened, record_of, write

BLOCK = 10_000  # entries
CLASSES = (Entry, QuestionItem)
DEPTH = 4  # entry, questions, question, options

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


def count_pickle(path: str | Path) -> int:
    """How many entries a pickle has; raises EntriesError as `load_pickle`, so that a stage knows before it begins."""
    return sum(1 for _ in stream_pickle(path))


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
                known: dict[tuple[int, int], tuple[int, int]] = {}
                for record in records:
                    found = _sizes(record, DEPTH, known)
                    parts, spelt = parts + found[0], spelt + found[1]
                if parts > size:
                    raise EntriesError([f"{path}: is damaged: it claims more fields and options than it has bytes"])
                if spelt > SPELT_OUT + SPELT_OUT_PER_BYTE * size:
                    told = f"so often that they hold {spelt:,} characters in {size:,} bytes"
                    raise EntriesError([f"{path}: its entries share texts {told}"])
                yield from records
        except restricted.NoList as error:
            raise EntriesError([f"{path}: holds {kind_of(error.value)}, must be a list of entries"]) from None
        except restricted.PickleRefused as error:
            raise EntriesError([f"{path}: {error}"]) from error


def _sizes(value: Any, depth: int, known: dict[tuple[int, int], tuple[int, int]]) -> tuple[int, int]:
    """How many fields, options and other items there are in what `value` holds, and how many characters.

    Each object counts wherever it is used; but it is looked at only once for each depth at which it stands (`known`),
    so a large count takes no longer.
    """
    if isinstance(value, str):
        return 1, len(value)
    if not isinstance(value, dict | list) or depth == 0:
        return 1, 1
    place = id(value), depth
    if place not in known:
        parts = characters = 1
        for item in value.values() if isinstance(value, dict) else value:
            found = _sizes(item, depth - 1, known)
            parts, characters = parts + found[0], characters + found[1]
        known[place] = parts, characters
    return known[place]


def dump_pickle(path: str | Path, entries: Iterable[Entry]) -> None:
    """Write a canonical pickle of the list of entries: equal entries give equal bytes.

    The file appears whole or not at all. `entries` are taken in blocks.

    Raises:
        EntriesError: an entry is one that `load_pickle` would refuse, or the file cannot be written.
    """
    records = checked(map(record_of, entries), entry_place(path), answers="optional", ids="optional")
    write(path, restricted.parts_of(in_blocks(map(entry_of, records), BLOCK), CLASSES))
