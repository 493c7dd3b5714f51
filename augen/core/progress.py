"""One kind of progress bar for everything that takes a while."""

import sys
from typing import Any

from tqdm import tqdm


def progress(desc: str, total: int | None, *, unit: str, initial: int = 0, leave: bool = True) -> "tqdm[Any]":
    """A bar on stderr that starts at `initial`; in a log file (no terminal) one line every half minute.

    Nothing is shown for a `total` of 0.
    """
    return tqdm(
        desc=desc,
        total=total,
        initial=initial,
        unit=unit,
        leave=leave,
        file=sys.stderr,
        mininterval=0.2 if sys.stderr.isatty() else 30.0,
        dynamic_ncols=True,
        disable=total == 0,
    )
