"""Measures the response store, rows a second: make bench PART=store

Rows like those of short reasonings are put in commits of a few (as served models answer) and of many, and got again;
each beside the same without checksums, which is what an earlier version did.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tabulate import tabulate

from augen.core.run import no_arguments
from augen.store import database, responses
from augen.store.responses import Store, request_key

ROWS, TOGETHER = 30_000, (16, 1_000)
TURNS = 3  # the fastest counts


def main() -> None:
    rows = {request_key({"prompt": number}): {"text": f"因为{number}。" * 40, "tokens": 160} for number in range(ROWS)}
    checked, put_checked = database.sound, responses.checksum_of
    table = []
    for size in TOGETHER:
        parts = [dict(list(rows.items())[start : start + size]) for start in range(0, ROWS, size)]
        with_sums = fastest(parts)
        database.sound = lambda key, value, checksum: checked(key, value, None)
        responses.checksum_of = lambda key, value: 0
        without = fastest(parts)
        database.sound, responses.checksum_of = checked, put_checked
        for name, seconds, before in zip(("put", "get"), with_sums, without, strict=True):
            table.append((name, size, f"{ROWS / seconds:,.0f}", f"{ROWS / before:,.0f}", f"{seconds / before:.2f}"))
    headers = ("", "rows together", "rows/s", "without checksums", "time, as a ratio")
    print(tabulate(table, headers, tablefmt="github", disable_numparse=True))


def fastest(parts: list[dict[str, dict[str, object]]]) -> tuple[float, float]:
    """Processor seconds to put all `parts` into a new store, and to get them from it."""
    turns = []
    for _ in range(TURNS):
        with tempfile.TemporaryDirectory() as folder, Store(Path(folder, "responses.sqlite")) as store:
            turns.append((spent(store.put_many, parts), spent(store.get_many, parts)))
    return min(put for put, _ in turns), min(get for _, get in turns)


def spent(step: Callable[[dict[str, dict[str, object]]], object], parts: list[dict[str, dict[str, object]]]) -> float:
    began = time.process_time()
    for part in parts:
        step(part)
    return time.process_time() - began


if __name__ == "__main__":
    no_arguments(main)
    main()
