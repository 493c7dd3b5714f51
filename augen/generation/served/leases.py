"""Who is asking for what: a lease per request in flight, in the store's own file.

Two processes that share a store and want the same answer would both pay for it. Before a request goes out, its
key is claimed here; who finds it claimed by another living process waits until the answer is stored or the claim
ends. A claim ends with its process: one of this machine that is gone (kill -9) holds nothing, one that cannot be
seen from here (another machine, a stopped laptop) holds it for `LEASE_S` seconds after its last sign of life.

Nothing but SQLite is used, so this works wherever the store does.
"""

import itertools
import json
import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from augen.store.responses import BUSY_TIMEOUT_S, KEYS_PER_QUERY, Store

LEASE_S = 60.0
_THIS_PROCESS = uuid.uuid4().hex[:8]  # tells this process from an earlier one that had the same number
_NUMBERS = itertools.count()

_CREATE = "CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, expires REAL NOT NULL)"


@dataclass
class Taken:
    """What became of the keys that were asked for."""

    stored: dict[str, dict[str, Any]] = field(default_factory=dict)  # answered by now
    mine: list[str] = field(default_factory=list)  # ask for these
    elsewhere: list[str] = field(default_factory=list)  # somebody else is asking


class Claims:
    """The claims of one runner. To be used from one thread."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.owner = f"{socket.gethostname()}/{os.getpid()}/{_THIS_PROCESS}/{next(_NUMBERS)}"
        self._clock = clock
        # The store has made and checked the file. isolation_level None: transactions begin where written below.
        self._connection = sqlite3.connect(store.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        self._connection.execute(_CREATE)

    def take(self, keys: Sequence[str]) -> Taken:
        """Claim those of `keys` that are neither stored nor claimed by a living process, in one transaction."""
        taken = Taken()
        now = self._clock()
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for start in range(0, len(keys), KEYS_PER_QUERY):
                self._take(keys[start : start + KEYS_PER_QUERY], now, taken)
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()
        return taken

    def _take(self, keys: Sequence[str], now: float, taken: Taken) -> None:
        marks = ",".join("?" * len(keys))
        rows = self._connection.execute(f"SELECT key, value FROM responses WHERE key IN ({marks})", keys)
        taken.stored.update((key, json.loads(value)) for key, value in rows)
        claims = self._connection.execute(f"SELECT key, owner, expires FROM claims WHERE key IN ({marks})", keys)
        held = {key for key, owner, expires in claims if owner != self.owner and expires > now and _alive(owner)}
        for key in keys:
            if key in taken.stored:
                continue
            (taken.elsewhere if key in held else taken.mine).append(key)
        self._connection.executemany(
            "INSERT OR REPLACE INTO claims VALUES (?, ?, ?)",
            [(key, self.owner, now + LEASE_S) for key in keys if key not in taken.stored and key not in held],
        )

    def renew(self) -> None:
        """A sign of life: all claims of this runner hold for another `LEASE_S` seconds."""
        self._connection.execute("UPDATE claims SET expires = ? WHERE owner = ?", (self._clock() + LEASE_S, self.owner))

    def release(self, keys: Sequence[str]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(
            "DELETE FROM claims WHERE key = ? AND owner = ?", [(key, self.owner) for key in keys]
        )
        self._connection.commit()

    def close(self) -> None:
        """Give up all claims, and clear away those of others that have ended."""
        self._connection.execute("DELETE FROM claims WHERE owner = ? OR expires < ?", (self.owner, self._clock()))
        self._connection.close()


def _alive(owner: str) -> bool:
    """Whether the process behind a claim may still be running; True for one of another machine."""
    host, pid, process, _ = owner.rsplit("/", 3)
    if host != socket.gethostname():
        return True
    if int(pid) == os.getpid():
        return process == _THIS_PROCESS
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, as another user
    return True
