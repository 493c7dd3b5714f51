"""The SQLite file of the response store: how it is made, known and brought up to date, and what its errors mean.

Table ``responses``: ``key``, ``value`` (JSON text), and ``checksum`` of both, which is NULL where an older version of
this program wrote the row. ``PRAGMA user_version`` is the version of this layout; version 0 had no checksums.
"""

import json
import os
import sqlite3
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from augen.core.errors import AugenError

APPLICATION_ID = 0x41554745  # "AUGE", in the file's header: tells a response store from any other database
VERSION = 1
COLUMNS = ["key", "value", "checksum"]
BUSY_TIMEOUT_S = 60.0  # how long a writer waits for another one; a commit takes about a millisecond

_CREATE = "CREATE TABLE responses (key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER)"

# Key and value of a row as bytes, whatever damage makes of their types.
BYTES = "ifnull(CAST(key AS BLOB), x''), ifnull(CAST(value AS BLOB), x'')"

_REPAIR = "`python -m augen.store repair {path}` saves what is sound"
_NOT_A_STORE = (
    "move it away (its responses will then be asked for again), restore a copy of it, "
    "or name another place in AUGEN_CACHE; if it was a store, " + _REPAIR
)
_DAMAGED = f"the file is damaged; {_REPAIR}, or restore a copy of it"
_NO_ACCESS = "make it and its directory writable, or name another place in AUGEN_CACHE"
_BUSY = f"another process has kept it locked for {BUSY_TIMEOUT_S:.0f} seconds; wait for that one and try again"
_FULL = "make room on its disk and run again (what was stored stays), or name another place in AUGEN_CACHE"
_DISK = (
    "look for a full or failing disk, or a limit on the size of files; on a network file system, where SQLite's locks "
    "do not work, name a local place in AUGEN_CACHE"
)
# What to do, by SQLite's primary result code. Any other code is a defect of this program and is raised as it is.
_ADVICE = {
    sqlite3.SQLITE_NOTADB: _NOT_A_STORE,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_READONLY: _NO_ACCESS,
    sqlite3.SQLITE_CANTOPEN: _NO_ACCESS,
    sqlite3.SQLITE_PERM: _NO_ACCESS,
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: _DISK,
}


class NewerStore(AugenError):
    """The store is of a version that this program does not know."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite or the file system says about the store `path` into a message for the person who must act."""
    try:
        yield
    except OSError as error:
        raise AugenError(f"{path}: {error.strerror}; {_NO_ACCESS}") from error
    except UnicodeDecodeError as error:  # in what SQLite says of a damaged file
        raise AugenError(f"{path}: {_DAMAGED.format(path=path)}") from error
    except sqlite3.Error as error:
        # The low byte is the primary code; the rest gives details.
        # Without one, Python could not decode a name or text of the file.
        advice = _ADVICE.get(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF)
        if advice is None:
            raise
        raise AugenError(f"{path}: {error}; {advice.format(path=path)}") from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of the block or, if it fails, nothing."""
    connection.execute("BEGIN IMMEDIATE")  # take the write lock at once: SQLite waits for it only here
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def log_of(path: Path) -> Path:
    """SQLite's write-ahead log: commits that are not in the file itself yet."""
    return path.with_name(f"{path.name}-wal")


def create(path: Path) -> None:
    """Make an empty store at `path` with its directory; one that is there stays as it is.

    It appears under its name when it is complete, so an empty file there is never one that a run has just begun.
    """
    path = path.resolve()
    log = log_of(path)
    if log.exists() and log.stat().st_size and not path.exists():
        raise AugenError(
            f"{path}: is gone, but its log {log.name} is there; put the file back beside it, or delete the log "
            "(all responses will then be asked for again)"
        )
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        new = Path(folder, path.name)
        connection = sqlite3.connect(new, isolation_level=None)
        connection.executescript(
            f"PRAGMA journal_mode = WAL; PRAGMA application_id = {APPLICATION_ID}; "
            f"PRAGMA user_version = {VERSION}; {_CREATE}"
        )
        connection.close()
        try:
            os.link(new, path)
        except FileExistsError:
            pass  # another process was first
        except OSError:  # a file system without hard links
            with path.open("xb") as file:
                file.write(new.read_bytes())


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the store `path`, which must be there, in the version of this program."""
    refuse_empty(path)
    # isolation_level None: no hidden BEGIN. check_same_thread False: only so that a store may close the connections of
    # other threads. mode=rw: SQLite must not make the file.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False,
    )  # fmt: skip
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def refuse_empty(path: Path) -> None:
    """Raise AugenError for a file of 0 bytes; SQLite would take it for a new database."""
    if path.stat().st_size == 0:
        raise AugenError(
            f"{path}: is empty (0 bytes), so what it held is lost; restore a copy of it, "
            "or delete it to begin anew (all responses will then be asked for again)"
        )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    with transaction(connection):  # only one process brings the file up to date
        if version_of(connection, path) == 0:
            _add_checksums(connection, path)
    # Readers do not wait for the writer, and a commit only appends to the log.
    connection.execute("PRAGMA journal_mode = WAL")
    # NORMAL hands every commit to the operating system, which writes it to disk even if this process is killed
    # right afterwards (kill -9 included). Only a crash of the whole machine can lose the last commits, and even
    # that does not damage the file. FULL would wait for the disk at each of thousands of commits, only to save
    # a few seconds of sampling from a power cut.
    connection.execute("PRAGMA synchronous = NORMAL")


def version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the store; raises AugenError for another database, a newer store and one without its table."""
    [owner] = connection.execute("PRAGMA application_id").fetchone()
    [version] = connection.execute("PRAGMA user_version").fetchone()
    columns = [row[1] for row in connection.execute("PRAGMA table_info(responses)")]
    if owner != APPLICATION_ID:
        raise AugenError(f"{path}: a SQLite file, but not a response store; {_NOT_A_STORE.format(path=path)}")
    if VERSION < version <= VERSION + 10:  # beyond that it is damage
        raise NewerStore(
            f"{path}: a response store of version {version}, and this program knows versions up to {VERSION}; "
            "update the program, or name another place in AUGEN_CACHE"
        )
    if version not in (0, VERSION) or columns != (COLUMNS if version else COLUMNS[:2]):
        raise AugenError(
            f"{path}: its table of responses is not that of version {version}; {_DAMAGED.format(path=path)}"
        )
    return int(version)


def _add_checksums(connection: sqlite3.Connection, path: Path) -> None:
    """Version 0 becomes version 1. A value that is no JSON gets no checksum, and is refused when it is read."""
    [rows] = connection.execute("SELECT count(*) FROM responses").fetchone()
    if rows:
        print(f"{path}: {rows:,} responses of an older version get checksums, once", file=sys.stderr)
    connection.create_function("checksum_of", 2, _first_checksum, deterministic=True)
    connection.execute("ALTER TABLE responses ADD COLUMN checksum INTEGER")
    connection.execute(f"UPDATE responses SET checksum = checksum_of({BYTES})")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _first_checksum(key: bytes, value: bytes) -> int | None:
    return None if _parsed(value) is None else checksum_of(key, value)


def checksum_of(key: bytes, value: bytes) -> int:
    """CRC-32 of both; any flipped bit changes it."""
    return zlib.crc32(value, zlib.crc32(key))


def sound(key: bytes, value: bytes, checksum: object) -> dict[str, Any] | None:
    """The value of a row as it was put, or None if the row is damaged."""
    if checksum is not None and checksum != checksum_of(key, value):
        return None
    return _parsed(value)


def _parsed(value: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(value.decode())
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def read(connection: sqlite3.Connection, path: Path, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Those of `keys` (as many as one statement takes) that are stored, with their values.

    Raises AugenError for a damaged row: were it absent instead, it would be paid for again without a word.
    """
    marks = ",".join("?" * len(keys))
    select = f"SELECT {BYTES}, checksum FROM responses WHERE key IN ({marks})"
    found, asked = {}, set(keys)
    for stored, value, checksum in connection.execute(select, keys).fetchall():
        key = stored.decode(errors="replace")
        # Where the index is damaged, it may lead to the row of another key.
        if (parsed := sound(stored, value, checksum)) is None or key not in asked:
            raise AugenError(
                f"{path}: the response {key} is damaged (it is not what was stored); "
                f"{_REPAIR.format(path=path)}, and only damaged ones will be asked for again"
            )
        found[key] = parsed
    return found
