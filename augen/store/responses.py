"""The response store: what cost money or device time is kept here, outside the outs that DVC deletes.

One SQLite file, one row per response: ``key`` is the hash of the whole request (``request_key``), ``value``
the response as JSON text. Several processes and threads may use it at once. Once ``put_many`` has returned, its rows
survive kill -9 of the process. To look into it::

    sqlite3 .augen/responses.sqlite "select key, json_extract(value, '$.text') from responses limit 3"
"""

import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from augen.core.errors import AugenError

T = TypeVar("T")

FILE_NAME = "responses.sqlite"
APPLICATION_ID = 0x41554745  # "AUGE", in the file's header: tells a response store from any other database
KEYS_PER_QUERY = 900  # SQLite built before 3.32 allows 999 variables in one statement
BUSY_TIMEOUT_S = 60.0  # how long a writer waits for another one; a commit takes about a millisecond

_CREATE = "CREATE TABLE IF NOT EXISTS responses (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
# The first response under a key stands: another process may have acted on it already.
_INSERT = "INSERT INTO responses (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING"

_NOT_A_STORE = (
    "move it away (its responses will then be asked for again), restore a copy of it, "
    "or name another place in AUGEN_CACHE"
)
_NO_ACCESS = "make it and its directory writable, or name another place in AUGEN_CACHE"
_BUSY = f"another process has kept it locked for {BUSY_TIMEOUT_S:.0f} seconds; wait for that one and try again"
_DISK = (
    "look for a full or failing disk; on a network file system, where SQLite's locks do not work, "
    "name a local place in AUGEN_CACHE"
)
# What to do, by SQLite's primary result code. Any other code is a defect of this program and is raised as it is.
_ADVICE = {
    sqlite3.SQLITE_NOTADB: _NOT_A_STORE,
    sqlite3.SQLITE_CORRUPT: _NOT_A_STORE,
    sqlite3.SQLITE_READONLY: _NO_ACCESS,
    sqlite3.SQLITE_CANTOPEN: _NO_ACCESS,
    sqlite3.SQLITE_PERM: _NO_ACCESS,
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_FULL: _DISK,
    sqlite3.SQLITE_IOERR: _DISK,
}


def request_key(request: Mapping[str, Any]) -> str:
    """The key of a request: SHA-256 (hex) of its canonical JSON. Any difference in the request makes another key.

    The order of its fields does not count. Raises TypeError or ValueError for what JSON cannot hold (NaN included).

    >>> request_key({"a": 1, "b": "甲"}) == request_key({"b": "甲", "a": 1})
    True
    """
    text = json.dumps(request, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # surrogatepass: a text that was cut inside a surrogate pair has a key too.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def default_path() -> Path:
    """Where the store lies: ``$AUGEN_CACHE``, else ``.augen/responses.sqlite`` in the repository.

    ``AUGEN_CACHE`` names the file, or the directory for it (if that directory exists, or the name has no suffix); a
    relative path starts at the repository. The repository is ``$DVC_ROOT``, which DVC sets for every stage and
    which is the real one in ``dvc exp run --temp`` too; else the nearest directory upwards with a ``dvc.yaml``.
    """
    if not (cache := os.environ.get("AUGEN_CACHE")):
        return _repository() / ".augen" / FILE_NAME
    path = Path(cache).expanduser()
    path = path if path.is_absolute() else _repository() / path
    return path / FILE_NAME if path.is_dir() or not path.suffix else path


def _repository() -> Path:
    if root := os.environ.get("DVC_ROOT"):
        return Path(root)
    here = Path.cwd()
    for directory in (here, *here.parents):
        if (directory / "dvc.yaml").is_file():
            return directory
    raise AugenError(
        f"no place for the response store: {here} is not inside a repository with a dvc.yaml; "
        "change into one, or set AUGEN_CACHE to an absolute path"
    )


class Store:
    """Responses by key, in the SQLite file `path`, which is made with its directory if it is missing.

    Every method raises AugenError, naming the file and what to do, when the file is not a response store,
    is damaged, or cannot be written. Usable from any thread, and in a process forked from this one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._connections: list[tuple[int, sqlite3.Connection]] = []  # each with the process it belongs to
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
        self.get_many([""])  # an unusable store fails now, not after the first paid response

    def get_many(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Those of `keys` that are stored, with their values; the rest is absent from the result."""
        distinct = list(dict.fromkeys(keys))
        found: dict[str, dict[str, Any]] = {}
        with self._explained():
            for start in range(0, len(distinct), KEYS_PER_QUERY):
                chunk = distinct[start : start + KEYS_PER_QUERY]
                marks = ",".join("?" * len(chunk))
                rows = self._connection.execute(f"SELECT key, value FROM responses WHERE key IN ({marks})", chunk)
                found.update((key, json.loads(value)) for key, value in rows)
        return found

    def put_many(self, responses: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep `responses`, by key, in one commit: all of them or, if it fails, none.

        A key that is stored already keeps its value.
        """
        rows = [(key, _text(value)) for key, value in responses.items()]
        with self._explained(), _transaction(self._connection) as connection:
            connection.executemany(_INSERT, rows)

    def fill(
        self, items: Mapping[str, T], compute: Callable[[dict[str, T]], Iterable[Mapping[str, dict[str, Any]]]]
    ) -> dict[str, dict[str, Any]]:
        """The values of `items`, by key: what is stored, and what `compute` makes of the missing items.

        Each mapping that `compute` yields is committed before the next is asked for, so kill -9 loses nothing that
        arrived. `compute` is not called when all is stored; keys that it yields no value for stay absent.
        """
        found = self.get_many(items)
        if missing := {key: item for key, item in items.items() if key not in found}:
            for values in compute(missing):
                self.put_many(values)
                found.update(values)
        return found

    def close(self) -> None:
        """Close this process's connections of all threads. No other thread may be using the store."""
        for pid, connection in self._connections:
            if pid == os.getpid():  # to close a connection inherited by a fork would release the parent's locks
                connection.close()
        self._connections.clear()
        self._local = threading.local()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _connection(self) -> sqlite3.Connection:
        """This thread's own connection: a connection must not be shared by threads, nor across a fork."""
        if getattr(self._local, "pid", None) != os.getpid():
            with self._explained():
                self._local.connection = self._connect()
            self._local.pid = os.getpid()
            self._connections.append((os.getpid(), self._local.connection))
        return self._local.connection

    def _connect(self) -> sqlite3.Connection:
        # isolation_level None: no hidden BEGIN. check_same_thread False: only so that close() may close the
        # connections of other threads.
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Where two processes open a new file at the same moment, the second waits here and finds it prepared.
        with _transaction(connection):
            owner = connection.execute("PRAGMA application_id").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if owner != APPLICATION_ID and (owner or tables):
                raise AugenError(f"{self.path}: a SQLite file, but not a response store; {_NOT_A_STORE}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(_CREATE)
        # Readers do not wait for the writer, and a commit only appends to the log.
        connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL hands every commit to the operating system, which writes it to disk even if this process is killed
        # right afterwards (kill -9 included). Only a crash of the whole machine can lose the last commits, and even
        # that does not damage the file. FULL would wait for the disk at each of thousands of commits, only to save
        # a few seconds of sampling from a power cut.
        connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite or the file system says into a message for the person who must act."""
        try:
            yield
        except OSError as error:
            raise AugenError(f"{self.path}: {error.strerror}; {_NO_ACCESS}") from error
        except sqlite3.Error as error:
            # The low byte is the primary code; the rest gives details.
            advice = _ADVICE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
            if advice is None:
                raise
            raise AugenError(f"{self.path}: {error}; {advice}") from error


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")  # take the write lock at once: SQLite waits for it only here
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _text(value: Mapping[str, Any]) -> str:
    # ASCII: a response may hold half a surrogate pair, which SQLite's UTF-8 cannot express.
    return json.dumps(value, allow_nan=False)
