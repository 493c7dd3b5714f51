"""Where the time went: the stages that ended since a moment, and what each took.

    python -m tools.times            all stages, each as it was when it last ran
    python -m tools.times 1764230000 those that ended since this second of the epoch (`date +%s`)

`make repro` prints it at its end. A stage's seconds do not count the start of Python and DVC's own work.
"""

import argparse
import time
from pathlib import Path

from tabulate import tabulate

from augen.core.run import TIMES


def table(root: Path, since: float, now: float) -> str:
    """One row per stage under `root` that ended at `since` or later, in the order in which they ended.

    With `since`, a last row has what of the time until `now` no stage took: DVC, and the start of Python.
    """
    files = sorted((f for f in (root / TIMES).glob("*") if f.stat().st_mtime >= since), key=lambda f: f.stat().st_mtime)
    taken = [(file.name, float(file.read_text(encoding="utf-8"))) for file in files]
    if not taken:
        return "no stage had to run"
    if since:
        taken.append(("start of each stage, DVC", now - since - sum(seconds for _, seconds in taken)))
    total = sum(seconds for _, seconds in taken)
    rows = [(name, f"{seconds:.0f}", f"{seconds / total:.0%}") for name, seconds in [*taken, ("all", total)]]
    return tabulate(rows, ("stage", "seconds", "share"), colalign=("left", "right", "right"))


def duration(seconds: float) -> str:
    """So many seconds for a reader, in the unit that suits them.

    >>> duration(8), duration(300), duration(9000)
    ('8 s', '5 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tools.times", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("since", nargs="?", type=float, default=0.0, help="a second of the epoch")
    print(table(Path.cwd(), parser.parse_args().since, time.time()))
