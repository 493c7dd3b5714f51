"""Which process asks for what: a claim per request in flight, in the store's own file.

Without claims, two processes that share a store and need the same answer would both pay for it. So the key of a
request is claimed before it is sent; a process that finds it claimed by another living process waits until the
answer is stored or the claim ends. A claim ends with its process. Where the process ran on this machine, that is
seen at once (also after kill -9); where it cannot be seen from here (another machine, a stopped laptop), its claim
lasts for `CLAIM_S` seconds after its last sign of life.

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

CLAIM_S = 60.0
_THIS_PROCESS = uuid.uuid4().hex[:8]  # tells this process from an earlier one with the same number
_NUMBERS = itertools.count()

_CREATE = "CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, expires REAL NOT NULL)"


@dataclass
class Taken:
    """What became of the keys that were to be claimed."""

    stored: dict[str, dict[str, Any]] = field(default_factory=dict)  # already answered
    mine: list[str] = field(default_factory=list)  # claimed: ask for these
    elsewhere: list[str] = field(default_factory=list)  # claimed by another process


class Claims:
    """The claims of one runner. Use it from one thread only."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.owner = f"{socket.gethostname()}/{os.getpid()}/{_THIS_PROCESS}/{next(_NUMBERS)}"
        self._clock = clock
        # The store has made and checked the file. isolation_level None: no hidden BEGIN.
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
            [(key, self.owner, now + CLAIM_S) for key in keys if key not in taken.stored and key not in held],
        )

    def renew(self) -> None:
        """A sign of life: all claims of this runner hold for another `CLAIM_S` seconds."""
        self._connection.execute("UPDATE claims SET expires = ? WHERE owner = ?", (self._clock() + CLAIM_S, self.owner))

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
