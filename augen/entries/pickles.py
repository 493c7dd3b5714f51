"""Entries as canonical pickles, the format between stages: read without running anything that is in them."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from augen.entries import Entry, QuestionItem, restricted
from augen.entries.records import EntriesError, check, entry_of, kind_of, numbered, read, record_of, write

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
    data = read(path)
    try:
        records = restricted.loads(data, (Entry, QuestionItem))
    except restricted.PickleRefused as error:
        raise EntriesError([f"{path}: {error}"]) from error
    if type(records) is not list:
        raise EntriesError([f"{path}: holds {kind_of(records)}, must be a list of entries"])
    # Objects may be shared inside a pickle, so a small damaged or hostile file could spell out a huge value.
    if _total(records, lambda text: 1) > len(data):
        raise EntriesError([f"{path}: is damaged: it claims more fields and options than it has bytes"])
    check(numbered(path, records), answers="optional", ids="optional")
    if (spelt := _total(records, len)) > SPELT_OUT + SPELT_OUT_PER_BYTE * len(data):
        raise EntriesError(
            [f"{path}: its entries share texts so often that they hold {spelt:,} characters in {len(data):,} bytes"]
        )
    return [entry_of(record) for record in records]


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

    The file appears whole or not at all.

    Raises:
        EntriesError: an entry is one that `load_pickle` would refuse, or the file cannot be written.
    """
    records = [record_of(entry) for entry in entries]
    check(numbered(path, records), answers="optional", ids="optional")
    write(path, restricted.dumps([entry_of(record) for record in records], (Entry, QuestionItem)))
