"""Shared by all tests: the settings of hypothesis, and the real training data if this machine has them."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.real import REAL_DATA

# Machines that run tests are slow in bursts, so no example has a deadline. In CI the same examples run every time.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_collection_finish() -> None:
    """What was imported stays to the end: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real training set, see `tests.real`."""
    if not REAL_DATA.is_file():
        pytest.skip(f"the real training data are not at {REAL_DATA}")
    return REAL_DATA
