"""What was sent to a provider in the last minutes, by every process that shares a store: the ground of its limits.

It lies in a small database beside the store (``responses.limits.sqlite``): a write there waits for no commit of
answers, and may be lost with the machine, so it costs a fifth of a millisecond. Nothing of a process has to be given
back when that is killed: only what it really sent counts, and only for the period of a limit.

Times are those of the system's clock, which all processes of a machine share. Machines cannot share a store, as the
locks of SQLite end at a machine (docs/SHARING.md). Where a file system carries them all the same, a limit of a period T
holds as if it were over T less the difference of the clocks.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from augen.core.errors import AugenError
from augen.store.database import BUSY_TIMEOUT_S, transaction

Kind = Literal["requests", "characters", "tokens"]

KEPT_S = 120.0  # at least, twice a minute
_CREATE = """
CREATE TABLE IF NOT EXISTS sent (
    id INTEGER PRIMARY KEY, endpoint TEXT, at REAL, requests REAL, characters REAL, tokens REAL
);
CREATE INDEX IF NOT EXISTS sent_at ON sent (endpoint, at, requests, characters, tokens);
CREATE TABLE IF NOT EXISTS pauses (endpoint TEXT PRIMARY KEY, since REAL, until REAL);
"""


class Grant(NamedTuple):
    """A request that was let through."""

    number: int
    at: float  # when it may leave


def beside(store: Path) -> Path:
    """Where the log of those who share `store` lies."""
    return store.with_name(f"{store.stem}.limits.sqlite")


class Sent:
    """The log of one endpoint. Without a `path` it is this process's own. Usable from any thread.

    Every method raises AugenError, naming the file, where that cannot be used.
    """

    def __init__(self, path: Path | None, endpoint: str) -> None:
        self._path, self._endpoint = path, endpoint
        self._kept_s = KEPT_S
        self._lock = threading.RLock()
        with self._explained():
            self._connection = sqlite3.connect(
                path or ":memory:", timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            # OFF: what a crash of the whole machine loses or breaks here is worth nothing after it.
            self._connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {_CREATE}")

    def keep(self, seconds: float) -> None:
        """Clear nothing away that is not as old as this: a limit may have a longer period than a minute."""
        self._kept_s = max(self._kept_s, seconds)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else adds anything during the block."""
        with self._lock, self._explained(), transaction(self._connection):
            yield

    def add(self, at: float, amounts: Mapping[str, float]) -> Grant:
        """Log a request of `amounts`, by kind, that leaves in a moment. What is too old to count is cleared away."""
        self._connection.execute(
            "DELETE FROM sent WHERE endpoint = ? AND (at < ? OR at > ?)",
            (self._endpoint, at - self._kept_s, at + self._kept_s),
        )
        row = [amounts.get(kind, 0.0) for kind in ("requests", "characters", "tokens")]
        added = self._connection.execute(
            "INSERT INTO sent (endpoint, at, requests, characters, tokens) VALUES (?, ?, ?, ?, ?)",
            (self._endpoint, at, *row),
        )
        assert added.lastrowid
        return Grant(added.lastrowid, at)

    def amount(self, kind: Kind, now: float, period_s: float) -> float:
        """The sum of `kind` in the last `period_s`. What lies further ahead is from before a clock was set."""
        sums = f"SELECT total({kind}) FROM sent WHERE endpoint = ? AND at > ? AND at < ?"
        [amount] = self._connection.execute(sums, (self._endpoint, now - period_s, now + period_s)).fetchone()
        return float(amount)

    def each(self, kind: Kind, now: float, period_s: float) -> Iterator[tuple[float, float]]:
        """When each part of ``amount`` was sent, and how much it is, the oldest first."""
        rows = f"SELECT at, {kind} FROM sent WHERE endpoint = ? AND at > ? AND at < ? ORDER BY at"
        yield from self._connection.execute(rows, (self._endpoint, now - period_s, now + period_s))

    def last(self, now: float, period_s: float) -> float:
        """When the last request was sent; long ago if there is none."""
        latest = "SELECT max(at) FROM sent WHERE endpoint = ? AND at < ?"
        [at] = self._connection.execute(latest, (self._endpoint, now + period_s)).fetchone()
        return float("-inf") if at is None else float(at)

    def left(self, grant: Grant, clock: Callable[[], float]) -> None:
        """Count `grant` from now on: from when no lock of the log holds it up any more."""
        with self.turn():
            self._connection.execute("UPDATE sent SET at = ? WHERE id = ?", (clock(), grant.number))

    def settle(self, grant: Grant, tokens: float) -> None:
        """Count so many `tokens`, if more were reserved."""
        with self.turn():
            self._connection.execute("UPDATE sent SET tokens = min(tokens, ?) WHERE id = ?", (tokens, grant.number))

    def pause(self, now: float, seconds: float) -> None:
        """Let nobody send for so many `seconds`; a pause that lasts longer stays."""
        with self.turn():
            until = max(now + seconds, self.paused_until(now))
            self._connection.execute("INSERT OR REPLACE INTO pauses VALUES (?, ?, ?)", (self._endpoint, now, until))

    def paused_until(self, now: float) -> float:
        """When the pause ends; long ago if there is none, or if the clock was set back since it began."""
        pauses = self._connection.execute("SELECT since, until FROM pauses WHERE endpoint = ?", (self._endpoint,))
        since, until = pauses.fetchone() or (now, float("-inf"))
        return float(until) if since <= now + 1 else float("-inf")

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise AugenError(
                f"{self._path}: {error}; look for a full disk or a folder that is not writable, or delete this file: "
                "it holds nothing but what was sent lately"
            ) from error
