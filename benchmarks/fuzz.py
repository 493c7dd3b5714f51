"""Reads hostile entry files and replies, 100,000 pickles, lines of JSON and replies: make bench PART=fuzz

They are read by the functions that every stage uses. No code may run, nothing may hang, memory must stay in proportion,
and every refusal must be an error for the user. Stops with an error at the first case that breaks this and prints its
seed. Takes about three minutes.
"""

import argparse
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fuzzing import Watch, check, check_reply, jsonl_case, pickle_case, reply_case

TRACED = 10  # memory is measured for one case in this many, and for all cases together
GROWTH_MIB = 300
MEMORY = Path("/dev/shm")  # a disk would take most of the time


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fuzz", description="Read hostile entry files and replies, by the hundred thousand."
    )
    for name in ("pickles", "lines", "replies"):
        parser.add_argument(f"--{name}", type=int, default=100_000, metavar="N", help="(default: %(default)s)")
    asked = parser.parse_args()
    watch, before = Watch(), most_mib()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        pickles(watch, Path(folder), asked.pickles)
        lines(watch, Path(folder), asked.lines)
        replies(watch, Path(folder), asked.replies)
    memory = most_mib() - before
    assert memory < GROWTH_MIB, f"{memory:.0f} MiB"
    print(f"no code ran, nothing hung; {memory:.0f} MiB of memory at most")


def most_mib() -> float:
    """The peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def pickles(watch: Watch, folder: Path, wanted: int) -> None:
    started, marker = time.monotonic(), folder / "made"
    kinds: Counter[tuple[str, bool]] = Counter()
    for seed in range(wanted):
        kind, data = pickle_case(seed, str(marker))
        try:
            kinds[kind, check(watch, folder / "fuzz.pkl", data, seed % TRACED == 0)] += 1
        except BaseException as error:
            raise SystemExit(f"pickle_case({seed}), {kind}: {type(error).__name__}: {error}") from error
    assert not marker.exists(), "code ran"
    print(f"{wanted:,} pickles in {time.monotonic() - started:.0f} s")
    for kind in sorted({kind for kind, _ in kinds}):
        print(f"  {kind}: {kinds[kind, True]:,} read, {kinds[kind, False]:,} refused")


def lines(watch: Watch, folder: Path, wanted: int) -> None:
    started, seed, count = time.monotonic(), 0, 0
    read: Counter[bool] = Counter()
    while count < wanted:
        number, data = jsonl_case(seed)
        try:
            read[check(watch, folder / "fuzz.jsonl", data, seed % TRACED == 0)] += 1
        except BaseException as error:
            raise SystemExit(f"jsonl_case({seed}): {type(error).__name__}: {error}") from error
        seed, count = seed + 1, count + number
    print(f"{count:,} lines of JSON in {time.monotonic() - started:.0f} s")
    print(f"  {read[True]:,} files read, {read[False]:,} refused")


def replies(watch: Watch, folder: Path, wanted: int) -> None:
    started = time.monotonic()
    read: Counter[bool] = Counter()
    for seed in range(wanted):
        try:
            with watch.armed(folder) as events:
                read[check_reply(*reply_case(seed))] += 1
            assert not events, events
        except BaseException as error:
            raise SystemExit(f"reply_case({seed}): {type(error).__name__}: {error}") from error
    print(f"{wanted:,} replies in {time.monotonic() - started:.0f} s")
    print(f"  {read[True]:,} answers, {read[False]:,} refused")


if __name__ == "__main__":
    main()
