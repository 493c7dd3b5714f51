"""The tokens of a training's texts: in a file beside its checkpoints, because in memory each would take 80 bytes."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from pyarrow.compute import list_value_length

from augen.core.arrays import Ints
from augen.core.errors import AugenError

Row = dict[str, Any]
READ = 10_000  # rows at once


def on_disk(rows: Callable[[], Iterator[Row]], folder: Path, name: str) -> Dataset:
    """`rows` in a file of that name in `folder`, from which each is read when it is needed.

    If the file is there already, from a training that was killed, `rows` is not called: `folder` stands for all that
    they depend on, as that of `workplace` does.
    """
    if "::" in str(folder.absolute()):
        raise AugenError(
            f"{folder}: the library datasets takes a path with :: for an address; set AUGEN_CACHE to another"
        )
    made: Dataset = Dataset.from_generator(rows, cache_dir=str(folder / "rows"), fingerprint=name)
    return made


def tokens(ids: Sequence[int]) -> Ints:
    """Token ids as they stand in a row: as numbers of 4 bytes."""
    return np.array(ids, np.int32)


def lengths_of(rows: Dataset, columns: Sequence[str]) -> Ints:
    """(N, columns): how many tokens each row has in each of `columns`."""
    blocks = rows.with_format("arrow").iter(READ)
    found = [np.stack([list_value_length(block[column]) for column in columns], axis=1) for block in blocks]
    return np.concatenate(found) if found else np.zeros((0, len(columns)), np.int32)


def longest_first(rows: Dataset, columns: Sequence[str]) -> tuple[Dataset, list[int]]:
    """`rows` by the number of tokens in all `columns`, and where each was before; equal ones stay in their order."""
    order = np.argsort(-lengths_of(rows, columns).sum(axis=1), kind="stable").tolist()
    return rows.select(order), order
