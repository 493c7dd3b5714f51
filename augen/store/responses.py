"""The response store: what cost money or device time is kept here, outside the outs that DVC deletes.

One SQLite file (`augen.store.database`), one row per response: ``key`` is the hash of the whole request
(``request_key``), ``value`` the response as JSON text. Several processes and threads may use it at once. Once
``put_many`` has returned, its rows survive kill -9 of the process. To look into it::

    sqlite3 .augen/responses.sqlite "select key, json_extract(value, '$.text') from responses limit 3"
"""

import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from augen.core.errors import AugenError
from augen.store.database import checksum_of, connect, create, explained, read, transaction
from augen.store.spending import Amounts, Heading, book, booked

T = TypeVar("T")

FILE_NAME = "responses.sqlite"
KEYS_PER_QUERY = 900  # SQLite built before 3.32 allows 999 variables in one statement
CHECKPOINT_S = 2.0  # how much work is lost at most where the log (-wal) of a killed process is lost

# The first response under a key stands: another process may have acted on it already.
_INSERT = "INSERT INTO responses (key, value, checksum) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING"


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
        self._checkpointed = float("-inf")
        with explained(path):
            create(path)
        self.get_many([""])  # an unusable store fails now, not after the first paid response

    def get_many(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Those of `keys` that are stored, with their values; the rest is absent from the result."""
        distinct = list(dict.fromkeys(keys))
        found: dict[str, dict[str, Any]] = {}
        with explained(self.path):
            for start in range(0, len(distinct), KEYS_PER_QUERY):
                found.update(read(self._connection, self.path, distinct[start : start + KEYS_PER_QUERY]))
        return found

    def put_many(
        self, responses: Mapping[str, Mapping[str, Any]], spent: Mapping[Heading, Amounts] | None = None
    ) -> None:
        """Keep `responses`, by key, and book what was `spent` for them, in one commit: all or, if it fails, nothing.

        A key that is stored already keeps its value.
        """
        texts = {key: _text(value) for key, value in responses.items()}
        rows = [(key, text, checksum_of(key.encode(), text.encode())) for key, text in texts.items()]
        with explained(self.path):
            with transaction(self._connection) as connection:
                connection.executemany(_INSERT, rows)
                if spent:
                    book(connection, self.path, spent)
            if time.monotonic() - self._checkpointed >= CHECKPOINT_S:
                self._checkpoint()

    def spending(self, provider: str | None = None, since: str = "") -> dict[Heading, Amounts]:
        """What was spent so far, by all processes: at one provider, or at all, from the day `since` on.

        See `augen.store.spending`.
        """
        with explained(self.path):
            return booked(self._connection, self.path, provider, since)

    def under(self, prefix: str) -> dict[str, dict[str, Any]]:
        """What is stored under keys that begin with `prefix`, in the order of these."""
        with explained(self.path):
            keys = self._connection.execute(
                "SELECT key FROM responses WHERE key >= ? AND key < ? ORDER BY key", (prefix, f"{prefix}\U0010ffff")
            ).fetchall()
        found = self.get_many(key for [key] in keys)
        return dict(sorted(found.items()))

    def forget_refusals(self) -> int:
        """Forget what providers refused, so that it is asked for again; returns how many these were."""
        with explained(self.path), transaction(self._connection) as connection:
            forgotten = connection.execute(
                "DELETE FROM responses WHERE value LIKE '%\"refused\":%' AND json_valid(value) "
                "AND json_extract(value, '$.refused') IS NOT NULL"
            )
            return forgotten.rowcount

    def remove(self, keys: Iterable[str]) -> None:
        """Forget what is stored under `keys`, in one commit."""
        with explained(self.path), transaction(self._connection) as connection:
            connection.executemany("DELETE FROM responses WHERE key = ?", [(key,) for key in keys])

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
        try:
            if getattr(self._local, "pid", None) == os.getpid():
                with explained(self.path):
                    self._checkpoint()
        finally:
            for pid, connection in self._connections:
                if pid == os.getpid():  # to close a connection inherited by a fork would release the parent's locks
                    connection.close()
            self._connections.clear()
            self._local = threading.local()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checkpoint(self) -> None:
        """Move commits from the log (-wal) into the file itself, without waiting for other processes."""
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self._checkpointed = time.monotonic()

    @property
    def _connection(self) -> sqlite3.Connection:
        """This thread's own connection: a connection must not be shared by threads, nor across a fork."""
        if getattr(self._local, "pid", None) != os.getpid():
            with explained(self.path):
                self._local.connection = connect(self.path)
            self._local.pid = os.getpid()
            self._connections.append((os.getpid(), self._local.connection))
        return self._local.connection


def _text(value: Mapping[str, Any]) -> str:
    # ASCII: a response may hold half a surrogate pair, which SQLite's UTF-8 cannot express.
    return json.dumps(value, allow_nan=False)
