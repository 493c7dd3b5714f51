"""How many processor cores this process may use, and a map that spreads calls over them.

A small model gains little from several threads within one operation, because the threads mostly wait for each other. It
gains much more from several batches at once, each on its own core.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

_ASKED = os.environ.get("OMP_NUM_THREADS", "")  # read now, because the engines set it later for themselves


def cores() -> int:
    """The number of cores that this process may use; OMP_NUM_THREADS can lower it."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(there, int(_ASKED)) if _ASKED.isdecimal() and int(_ASKED) else there


@contextmanager
def spread(workers: int) -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]]:
    """A ``map`` that runs `workers` calls at once, each with its share of the cores. Results keep the input's order.

    If the block is left early, calls that have not begun are dropped.

    >>> with spread(2) as mapped:
    ...     list(mapped(abs, [-3, 2, -1]))
    [3, 2, 1]
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, cores() // workers))  # also for threads that start later
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)
