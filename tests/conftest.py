"""What all tests share: how hypothesis runs, and the real training data where they are at hand."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Machines that run tests are slow in bursts, so no example has a deadline. In CI the same examples run every time.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

REAL_DATA = Path(__file__).parents[2] / "shared" / "data" / "round1_train_data.jsonl"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The public training set that this project was made for; its licence is not stated, so it is not committed."""
    if not REAL_DATA.is_file():
        pytest.skip(f"the real training data are not at {REAL_DATA}")
    return REAL_DATA
