"""What in a response store is sound, and a sound copy of one that is not."""

import fcntl
import mmap
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from augen.core.errors import AugenError
from augen.store import spending
from augen.store.database import (
    BYTES,
    checksum_of,
    create,
    explained,
    log_of,
    refuse_empty,
    sound,
    transaction,
    version_of,
)
from augen.store.pages import INDEX_LEAF, TABLE_LEAF, Buffer, Pages, records, states
from augen.store.spending import Amounts, Heading

# The bytes that SQLite locks (length, start): every process that has a store open shares them.
SHARED_LOCK = (510, 0x40000000 + 2)
NAMED = 20  # findings, before "and … more"
_INSERT = "INSERT INTO responses (key, value, checksum) VALUES (?, CAST(? AS TEXT), ?) ON CONFLICT (key) DO NOTHING"


@dataclass(frozen=True)
class Findings:
    """What `check` found: the sound responses, and a line for each thing that is not sound."""

    version: int
    responses: int
    unsound: list[str]


@dataclass(frozen=True)
class Repaired:
    """What `repair` did: responses in the new file, the name of the old one, keys of what was lost."""

    responses: int
    kept_as: Path
    lost: list[str]


def check(path: Path) -> Findings:
    """Read the whole of the store `path`, without changing it; other processes may be using it.

    Raises AugenError where it cannot be read as a store at all.
    """
    with explained(path):
        refuse_empty(path)
        # Without a log nobody is writing: then SQLite need not, and shall not, leave files of its own beside it.
        mode = "ro" if log_of(path).exists() else "ro&immutable=1"
        with closing(_open(path, mode)) as connection:
            version = version_of(connection, path)
            unsound = [line for [line] in connection.execute(f"PRAGMA integrity_check({NAMED})") if line != "ok"]
            responses = 0
            try:
                for row in _rows(connection, version):
                    if sound(*row) is None:
                        unsound.append(f"the response {row[0].decode(errors='replace')} is damaged")
                    else:
                        responses += 1
            except sqlite3.DatabaseError as error:
                unsound.append(f"the responses cannot all be read: {error}")
            unsound += _unsound_spending(connection)
    return Findings(version, responses, list(dict.fromkeys(unsound)))


def _unsound_spending(connection: sqlite3.Connection) -> list[str]:
    try:
        return spending.unsound(connection)
    except sqlite3.DatabaseError as error:
        return [f"the spending cannot all be read: {error}"]


def _open(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=1, isolation_level=None)


def _rows(connection: sqlite3.Connection, version: int) -> Iterator[tuple[bytes, bytes, object]]:
    checksum = "checksum" if version else "NULL"
    return iter(connection.execute(f"SELECT {BYTES}, {checksum} FROM responses NOT INDEXED"))


def repair(path: Path) -> Repaired:
    """Put a sound copy in the place of the store `path`; the old file stays under another name, with its log.

    Raises AugenError, and changes nothing, where another process has the store open or nothing in it can be saved.
    """
    path = path.resolve()
    with (
        explained(path),
        tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder,
        path.open("r+b") as file,
    ):
        _keep_others_out(file, path)
        new = Path(folder, path.name)
        lost, responses = _save(file, log_of(path), new)
        if not responses:
            raise AugenError(
                f"{path}: holds no response that can be saved, nothing was changed; restore a copy of it, or move "
                "it away to begin anew (all responses will then be asked for again)"
            )
        kept_as = _free_name(path)
        try:
            os.link(path, kept_as)  # never a moment in which there is no store
        except OSError:  # a file system without hard links
            shutil.copy2(path, kept_as)
        if log_of(path).exists():
            log_of(path).rename(log_of(kept_as))  # SQLite would apply it to the new file
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
        new.rename(path)
    return Repaired(responses, kept_as, lost)


def _keep_others_out(file: BinaryIO, path: Path) -> None:
    """Until `file` is closed; raises AugenError if another process has the store open."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, *SHARED_LOCK)
    except OSError as error:
        raise AugenError(f"{path}: another process has it open; wait for that one or end it, then repair") from error


def _save(file: BinaryIO, log: Path, new: Path) -> tuple[list[str], int]:
    """Write what is sound in `file` and `log` to the new store `new`; returns the keys lost and how many were saved."""
    create(new)
    with ExitStack() as opened:
        found = states(_content(file, opened), _log_content(log, opened))
        connection = opened.enter_context(closing(_open(new, "rw")))
        damaged: set[bytes] = set()
        with transaction(connection):
            for with_checksum in (True, False):  # a row with its checksum stands above one without
                connection.executemany(_INSERT, _sound_rows(found, with_checksum, damaged))
            for heading, amounts in _spending(found).items():
                spending.put(connection, heading, amounts)
        named = _named(found[0]) | damaged
        saved = {key for [key] in connection.execute("SELECT CAST(key AS BLOB) FROM responses")}
    return sorted(key.decode(errors="replace") for key in named - saved), len(saved)


def _content(file: BinaryIO, opened: ExitStack) -> Buffer:
    if os.fstat(file.fileno()).st_size == 0:
        return b""
    return opened.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _log_content(log: Path, opened: ExitStack) -> Buffer:
    return _content(opened.enter_context(log.open("rb")), opened) if log.exists() else b""


def _sound_rows(found: list[Pages], with_checksum: bool, damaged: set[bytes]) -> Iterator[tuple[str, bytes, int]]:
    for pages in found:
        for record in records(pages, TABLE_LEAF):
            key, value, checksum = (*record, None)[:3] if len(record) in (2, 3) else (None, None, None)
            if not isinstance(key, bytes) or not isinstance(value, bytes) or isinstance(checksum, float):
                continue  # a row of another table
            if (checksum is not None) != with_checksum:
                continue
            if sound(key, value, checksum) is None:
                damaged.add(key)
            elif _is_text(key):
                yield key.decode(), value, checksum_of(key, value)


def _spending(found: list[Pages]) -> dict[Heading, Amounts]:
    """What is booked under each heading. Pages that are no longer in use may hold earlier, smaller amounts."""
    booked: dict[Heading, Amounts] = {}
    for pages in found:
        for record in records(pages, TABLE_LEAF):
            if (row := spending.sound(record)) and row[1]["answers"] >= booked.get(row[0], {"answers": 0})["answers"]:
                booked[row[0]] = row[1]
    return booked


def _is_text(key: bytes) -> bool:
    try:
        return bool(key.decode())
    except UnicodeDecodeError:
        return False


def _named(pages: Pages) -> set[bytes]:
    """The keys in the index of the responses: it also names rows whose own page is lost."""
    claims = {record[0] for record in records(pages, TABLE_LEAF) if len(record) == 3 and isinstance(record[2], float)}
    keys = (record[0] for record in records(pages, INDEX_LEAF) if len(record) == 2 and isinstance(record[1], int))
    return {key for key in keys if isinstance(key, bytes) and key not in claims}


def _free_name(path: Path) -> Path:
    number = 1
    while (name := path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")).exists():
        number += 1
    return name
