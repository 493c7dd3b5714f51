"""Where the real training data are, for the tests and benchmarks that use them.

The public training set that this project was made for; its licence is not stated, so it is not committed. It is
looked for where `AUGEN_REAL_DATA` says, else in ``shared/data`` beside the repository.
"""

import os
from functools import cache
from pathlib import Path

import pytest

from augen.entries import Entry
from augen.entries.jsonl import read_jsonl

ROOT = Path(__file__).parents[1]
REAL_DATA = Path(os.environ.get("AUGEN_REAL_DATA") or ROOT.parent / "shared/data/round1_train_data.jsonl")


@cache
def real_entries() -> tuple[Entry, ...]:
    """The 500 real problems; skips the test where they are absent."""
    if not REAL_DATA.is_file():
        pytest.skip(f"the real training data are not at {REAL_DATA} (AUGEN_REAL_DATA names another place)")
    return tuple(read_jsonl(REAL_DATA, answers="required"))
