"""Which process asks for what: a claim per request in flight, in the store's own file.

Without claims, two processes that share a store and need the same answer would both pay for it. So the key of a
request is claimed before it is sent; a process that finds it claimed by another living process waits until the
answer is stored or the claim ends. A claim ends with its process. Where the process ran on this machine, that is
seen at once (also after kill -9); where it cannot be seen from here (another machine, a stopped laptop), its claim
lasts for `CLAIM_S` seconds after its last sign of life. A wait is announced, and has a bound.

Nothing but SQLite is used, so this works wherever the store does.
"""

import itertools
import math
import os
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from augen.core.errors import AugenError
from augen.store.database import connect, explained, read, transaction
from augen.store.responses import KEYS_PER_QUERY, Store

CLAIM_S = 60.0
SAID_FROM_S = 5.0  # shorter waits are not announced
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
    """The claims of one runner. Use it from one thread only.

    What another process claims is waited for, up to `max_wait_s` for a key; a wait of some seconds is told to `say`.
    Every method raises AugenError as those of `Store` do.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float] = time.time,
        max_wait_s: float = math.inf,
        say: Callable[[str], None] = print,
    ) -> None:
        self.owner = f"{socket.gethostname()}/{os.getpid()}/{_THIS_PROCESS}/{next(_NUMBERS)}"
        self._path = store.path
        self._clock = clock
        self._max_wait_s = max_wait_s
        self._say = say
        self._waiting: dict[str, float] = {}  # keys claimed elsewhere, and since when they are waited for
        self._named: set[str] = set()  # owners that the user has been told of
        self._seen: dict[
            str, tuple[float, float]
        ] = {}  # by owner: when its claim expires, and when that was first seen
        with explained(self._path):
            self._connection = connect(self._path)  # the store has made the file
            self._connection.execute(_CREATE)

    def take(self, keys: Sequence[str]) -> Taken:
        """Claim those of `keys` that are neither stored nor claimed by a living process, in one transaction.

        Raises AugenError when one has been claimed elsewhere for too long.
        """
        taken = Taken()
        now = self._clock()
        with explained(self._path), transaction(self._connection):
            for start in range(0, len(keys), KEYS_PER_QUERY):
                self._take(keys[start : start + KEYS_PER_QUERY], now, taken)
        return taken

    def _take(self, keys: Sequence[str], now: float, taken: Taken) -> None:
        taken.stored.update(read(self._connection, self._path, keys))
        marks = ",".join("?" * len(keys))
        claims = self._connection.execute(f"SELECT key, owner, expires FROM claims WHERE key IN ({marks})", keys)
        held = {key: owner for key, owner, expires in claims if self._holds(owner, expires, now)}
        for key in keys:
            if key in taken.stored:
                self._waiting.pop(key, None)
            elif key in held:
                self._wait(key, held[key], now)
                taken.elsewhere.append(key)
            else:
                self._waiting.pop(key, None)
                taken.mine.append(key)
        self._connection.executemany(
            "INSERT OR REPLACE INTO claims VALUES (?, ?, ?)",
            [(key, self.owner, now + CLAIM_S) for key in keys if key not in taken.stored and key not in held],
        )

    def _holds(self, owner: str, expires: float, now: float) -> bool:
        """Whether another runner's claim still counts; a clock that is ahead does not make it last longer."""
        if owner == self.owner or expires <= now or not _alive(owner):
            return False
        if self._seen.get(owner, (0.0, 0.0))[0] < expires:
            self._seen[owner] = (expires, now)
        return now - self._seen[owner][1] < CLAIM_S

    def _wait(self, key: str, owner: str, now: float) -> None:
        waited = now - self._waiting.setdefault(key, now)
        host, pid, *_ = owner.rsplit("/", 3)
        who = f"process {pid} on {host}"
        if waited > self._max_wait_s:
            raise AugenError(
                f"{self._path}: {who} has been asking for the same answer for {waited:.0f} s, longer than "
                f"providers.max_wait_s ({self._max_wait_s:g}); see whether it hangs, end it or wait for it, "
                f"and run again ({CLAIM_S:.0f} s after its end at the latest its claims are free)"
            )
        if waited >= SAID_FROM_S and owner not in self._named:
            self._named.add(owner)
            self._say(
                f"{who} is asking for an answer that is needed here too: waiting for it, for at most "
                f"{self._max_wait_s:g} s, or until it has shown no sign of life for {CLAIM_S:.0f} s"
            )

    def renew(self) -> None:
        """A sign of life: all claims of this runner hold for another `CLAIM_S` seconds."""
        with explained(self._path):
            self._connection.execute(
                "UPDATE claims SET expires = ? WHERE owner = ?", (self._clock() + CLAIM_S, self.owner)
            )

    def release(self, keys: Sequence[str]) -> None:
        with explained(self._path), transaction(self._connection):
            self._connection.executemany(
                "DELETE FROM claims WHERE key = ? AND owner = ?", [(key, self.owner) for key in keys]
            )

    def close(self) -> None:
        """Give up all claims, and clear away those of others that have ended."""
        with explained(self._path):
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
