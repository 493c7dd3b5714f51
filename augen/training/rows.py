"""The tokens of a training's texts: in a file beside its checkpoints, because in memory each would take 80 bytes."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from augen.core.arrays import Ints
from augen.core.errors import AugenError
from augen.training.checkpoints import digest

Row = dict[str, Any]


def on_disk(rows: Callable[[], Iterator[Row]], folder: Path, identity: Sequence[Any]) -> Dataset:
    """`rows` in a file in `folder`, from which each is read when it is needed.

    If the file is there already, from a training that was killed, `rows` is not called. `identity` (see `digest`) is
    what they are made of; what else they depend on `folder` stands for, as that of `workplace` does.
    """
    if "::" in str(folder.absolute()):
        raise AugenError(
            f"{folder}: the library datasets takes a path with :: for an address; set AUGEN_CACHE to another"
        )
    made: Dataset = Dataset.from_generator(rows, cache_dir=str(folder / "rows"), fingerprint=digest(identity)[:16])
    return made


def tokens(ids: Sequence[int]) -> Ints:
    """Token ids as they stand in a row: as numbers of 4 bytes."""
    return np.array(ids, np.int32)


def longest_first(rows: Dataset, columns: Sequence[str]) -> tuple[Dataset, list[int]]:
    """`rows` by the number of tokens in all `columns`, and where each was before; equal ones stay in their order."""
    sizes = np.array([sum(len(row[column]) for column in columns) for row in rows])
    order = np.argsort(-sizes, kind="stable").tolist()
    return rows.select(order), order
