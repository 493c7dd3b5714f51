"""Which batches are running: kept in the response store, so that whoever comes next goes on with them.

A batch has a row from before it is sent until its last answer is stored, under a name of its own: what is in it.
Further rows are added when they are known: the id of its file, then the id of the batch. So a process may be killed at
any moment. Without the first id nothing was sent; with the first alone, the provider can be asked whether there is a
batch of that file; with both, it goes on.
"""

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from augen.store.responses import Store

PREFIX = "batch/"


@dataclass(frozen=True)
class Record:
    """One batch. Its calls have one model, and one kind of payload: ``messages`` or a ``prompt``."""

    name: str
    endpoint: str
    model: str
    kind: str
    keys: tuple[str, ...]
    since: float
    file: str | None = None
    id: str | None = None

    @property
    def payload(self) -> dict[str, Any]:
        """As much of the calls' payloads as an answer is read with."""
        return {"model": self.model, self.kind: ""}


def new(endpoint: str, model: str, kind: str, keys: Iterable[str]) -> Record:
    return Record(f"{PREFIX}{uuid.uuid4().hex}", endpoint, model, kind, tuple(keys), time.time())


def running(store: Store, endpoint: str | None = None) -> list[Record]:
    """The batches at `endpoint`, or all, in the order in which they were made."""
    rows = store.under(PREFIX)
    found = []
    for name, row in rows.items():
        if name.count("/") > 1:
            continue
        record = Record(name, row["endpoint"], row["model"], row["kind"], tuple(row["keys"]), row["since"])
        known = {part: rows[f"{name}/{part}"][part] for part in ("file", "id") if f"{name}/{part}" in rows}
        if endpoint in (None, record.endpoint):
            found.append(replace(record, **known))
    return sorted(found, key=lambda record: (record.since, record.name))


def begin(store: Store, records: Sequence[Record]) -> None:
    """Keep `records`, before anything is sent."""
    kept = ("endpoint", "model", "kind", "keys", "since")
    store.put_many({record.name: {name: getattr(record, name) for name in kept} for record in records})


def know(store: Store, record: Record, part: str, value: str) -> None:
    """Keep the id of the ``file``, or the ``id`` of the batch."""
    store.put_many({f"{record.name}/{part}": {part: value}})


def is_running(store: Store, record: Record) -> bool:
    return bool(store.get_many([record.name]))


def end(store: Store, record: Record) -> None:
    """Forget `record`: all that arrived is stored, or nothing was sent."""
    store.remove([record.name, f"{record.name}/file", f"{record.name}/id"])
