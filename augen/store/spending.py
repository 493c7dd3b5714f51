"""What was spent, in the response store's own file: it is booked in the commit that keeps the answers paid for.

Table ``spending`` has a row per day, provider, stage, model, currency and kind: the sums of its amounts as JSON, and a
checksum of it all. A store of an earlier version gets the table with its first booking. Amounts only grow.

``paid``      answers that arrived
``unusable``  replies that were billed and are no answers
``saved``     answers that a run took from the store, and what they would have cost it
"""

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from augen.core.errors import AugenError
from augen.store.database import checksum_of

Amounts = Mapping[str, float]
COLUMNS = 8

_CREATE = (
    "CREATE TABLE IF NOT EXISTS spending (day TEXT, provider TEXT, stage TEXT, model TEXT, currency TEXT, kind TEXT, "
    "amounts TEXT NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (day, provider, stage, model, currency, kind))"
)
_INSERT = "INSERT OR REPLACE INTO spending VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
# As bytes, whatever damage makes of their types.
_SELECT = (
    "SELECT "
    + ", ".join(
        f"ifnull(CAST({name} AS BLOB), x'')"
        for name in ("day", "provider", "stage", "model", "currency", "kind", "amounts")
    )
    + ", checksum FROM spending"
)


class Heading(NamedTuple):
    """Under which amounts are summed. `currency` is empty for what has no price, `model` where there is only one."""

    day: str  # 2026-11-27, local time
    provider: str
    stage: str
    model: str
    currency: str
    kind: str


def book(connection: sqlite3.Connection, path: Path, amounts: Mapping[Heading, Amounts]) -> None:
    """Add `amounts` to what is booked under each heading. Call it within a transaction."""
    connection.execute(_CREATE)
    for heading, added in amounts.items():
        before = _rows(connection, path, f"{_SELECT} WHERE {_SAME}", heading).get(heading, {})
        put(connection, heading, {name: before.get(name, 0) + added.get(name, 0) for name in {**before, **added}})


def put(connection: sqlite3.Connection, heading: Heading, amounts: Amounts) -> None:
    """Write the row of `heading`, in the place of one that is there."""
    connection.execute(_CREATE)
    text = json.dumps(dict(sorted(amounts.items())), allow_nan=False)
    connection.execute(_INSERT, (*heading, text, _checksum(heading, text.encode())))


def booked(
    connection: sqlite3.Connection, path: Path, provider: str | None = None, since: str = ""
) -> dict[Heading, Amounts]:
    """What is booked, of one provider or of all, from the day `since` on, in order.

    Raises AugenError for a damaged row.
    """
    if not _has_table(connection):
        return {}
    asked = {"day >= ?": since, "provider = ?": provider}
    asked = {condition: value for condition, value in asked.items() if value}
    where = f" WHERE {' AND '.join(asked)}" if asked else ""
    return dict(sorted(_rows(connection, path, _SELECT + where, tuple(filter(None, asked.values()))).items()))


def unsound(connection: sqlite3.Connection) -> list[str]:
    """A line for each row that is not what was booked."""
    if not _has_table(connection):
        return []
    return [_damaged(row) for row in connection.execute(_SELECT) if sound(list(row)) is None]


def sound(row: list[bytes | int | float | None]) -> tuple[Heading, Amounts] | None:
    """The heading and the amounts of a row, with texts as bytes; None if it is damaged, or of another table."""
    if len(row) != COLUMNS:
        return None
    *texts, amounts, checksum = row
    if not all(isinstance(text, bytes) for text in (*texts, amounts)):
        return None
    try:
        heading = Heading(*(bytes(text).decode() for text in texts if isinstance(text, bytes)))
        assert isinstance(amounts, bytes)
        if checksum != _checksum(heading, amounts):
            return None
        found = json.loads(amounts)
    except (ValueError, RecursionError):
        return None
    return heading, found


_SAME = "day = ? AND provider = ? AND stage = ? AND model = ? AND currency = ? AND kind = ?"


def _has_table(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'spending'").fetchone() is not None


def _rows(connection: sqlite3.Connection, path: Path, select: str, values: tuple[str, ...]) -> dict[Heading, Amounts]:
    found = {}
    for row in connection.execute(select, values).fetchall():
        if (pair := sound(list(row))) is None:
            raise AugenError(
                f"{path}: {_damaged(row)} (it is not what was booked); `python -m augen.store repair {path}` saves "
                "what is sound"
            )
        found[pair[0]] = pair[1]
    return found


def _damaged(row: tuple[bytes, ...]) -> str:
    day, provider, stage = (part.decode(errors="replace") for part in row[:3])
    return f"the spending of {day} at {provider} for {stage} is damaged"


def _checksum(heading: Heading, amounts: bytes) -> int:
    return checksum_of("\n".join(heading).encode(), amounts)
