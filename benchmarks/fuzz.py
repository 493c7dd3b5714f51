"""Reads hostile entry files, 100,000 pickles and 100,000 lines of JSON: make bench PART=fuzz

They are read by the functions that every stage uses. No code may run, nothing may hang, memory must stay in proportion,
and every refusal must be an error for the user. Stops with an error at the first case that breaks this and prints its
seed. Takes about two minutes.
"""

import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

from augen.core.run import no_arguments
from tests.fuzzing import Watch, check, jsonl_case, pickle_case

PICKLES = 100_000
LINES = 100_000
TRACED = 10  # memory is measured for one case in this many, and for all cases together
GROWTH_MIB = 300


def main() -> None:
    watch, before = Watch(), most_mib()
    with tempfile.TemporaryDirectory() as folder:
        pickles(watch, Path(folder))
        lines(watch, Path(folder))
    memory = most_mib() - before
    assert memory < GROWTH_MIB, f"{memory:.0f} MiB"
    print(f"no code ran, nothing hung; {memory:.0f} MiB of memory at most")


def most_mib() -> float:
    """The peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def pickles(watch: Watch, folder: Path) -> None:
    started, marker = time.monotonic(), folder / "made"
    kinds: Counter[tuple[str, bool]] = Counter()
    for seed in range(PICKLES):
        kind, data = pickle_case(seed, str(marker))
        try:
            kinds[kind, check(watch, folder / "fuzz.pkl", data, seed % TRACED == 0)] += 1
        except BaseException as error:
            raise SystemExit(f"pickle_case({seed}), {kind}: {type(error).__name__}: {error}") from error
    assert not marker.exists(), "code ran"
    print(f"{PICKLES:,} pickles in {time.monotonic() - started:.0f} s")
    for kind in sorted({kind for kind, _ in kinds}):
        print(f"  {kind}: {kinds[kind, True]:,} read, {kinds[kind, False]:,} refused")


def lines(watch: Watch, folder: Path) -> None:
    started, seed, count = time.monotonic(), 0, 0
    read: Counter[bool] = Counter()
    while count < LINES:
        number, data = jsonl_case(seed)
        try:
            read[check(watch, folder / "fuzz.jsonl", data, seed % TRACED == 0)] += 1
        except BaseException as error:
            raise SystemExit(f"jsonl_case({seed}): {type(error).__name__}: {error}") from error
        seed, count = seed + 1, count + number
    print(f"{count:,} lines of JSON in {time.monotonic() - started:.0f} s")
    print(f"  {read[True]:,} files read, {read[False]:,} refused")


if __name__ == "__main__":
    no_arguments(main)
    main()
