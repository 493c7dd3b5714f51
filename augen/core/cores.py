"""The processor's cores: how many this process may keep busy, and work that is spread over them.

A small model gains little from several threads within one operation, which wait for each other all the time; several
batches at once, each on a core of its own, gain what there is.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

_ASKED = os.environ.get("OMP_NUM_THREADS", "")  # by the user: the engines set it for themselves, later


def cores() -> int:
    """How many cores this process may use; fewer where the user says so with OMP_NUM_THREADS."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(there, int(_ASKED)) if _ASKED.isdecimal() and int(_ASKED) else there


@contextmanager
def spread(workers: int) -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]]:
    """A ``map`` that runs `workers` calls at once, each with its share of the cores; results in the order of the input.

    When the block is left early, calls that have not begun are dropped.

    >>> with spread(2) as mapped:
    ...     list(mapped(abs, [-3, 2, -1]))
    [3, 2, 1]
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(1, cores() // workers))  # of every thread that begins from now on, too
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)
