"""Temperature and offset: recovered where they are known, and bounded where the data say nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from augen.scorer.calibration import TEMPERATURES, Calibration, calibrate
from augen.scorer.report import balanced_loss


def drawn(seed: int, count: int = 4000, temperature: float = 1.0, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Margins, and labels as probable as the calibrated margins say."""
    rng = np.random.default_rng(seed)
    margins = rng.normal(offset, 2 * temperature, count)
    return margins, rng.random(count) < expit((margins - offset) / temperature)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_a_known_temperature_is_found(temperature: float) -> None:
    found = calibrate(*drawn(1, temperature=temperature), with_offset=False)
    assert found.temperature == pytest.approx(temperature, rel=0.1)
    assert found.offset == 0


@pytest.mark.parametrize("offset", [-40.0, 0.0, 7.0])
def test_a_known_offset_is_found(offset: float) -> None:
    found = calibrate(*drawn(2, temperature=3.0, offset=offset), with_offset=True)
    assert found.offset == pytest.approx(offset, abs=0.5)
    assert found.temperature == pytest.approx(3.0, rel=0.1)


def test_balanced_means_as_if_both_kinds_were_as_many() -> None:
    margins, right = drawn(3)
    kept = ~right | (np.arange(len(right)) % 4 == 0)  # of the right ones a quarter
    few = calibrate(margins[kept], right[kept], with_offset=True)
    even = calibrate(margins[kept], right[kept], with_offset=True, balanced=True)
    assert few.offset == pytest.approx(np.log(4), abs=0.3)
    assert even.offset == pytest.approx(0, abs=0.3)


def test_without_an_error_there_is_still_doubt() -> None:
    margins = np.array([3.0, 2.5, -2.0, -3.0])
    scores = calibrate(margins, margins > 0, with_offset=False).scores(margins)
    assert 0.7 < scores[0] < 0.9 and 0.1 < scores[3] < 0.3


@given(st.lists(st.tuples(st.floats(-50, 50), st.booleans()), min_size=2, max_size=40), st.booleans(), st.booleans())
def test_anything_gives_a_calibration_that_keeps_the_order(
    data: list[tuple[float, bool]], with_offset: bool, balanced: bool
) -> None:
    margins, right = np.array([m for m, _ in data]), np.array([r for _, r in data])
    found = calibrate(margins, right, with_offset, balanced)
    assert TEMPERATURES[0] * 0.999 <= found.temperature <= TEMPERATURES[1] * 1.001 and np.isfinite(found.offset)
    logits = found.logits(margins)
    assert (np.diff(logits[np.argsort(margins)]) >= 0).all()


def test_calibration_does_not_raise_the_loss() -> None:
    margins, right = drawn(4, temperature=5.0)
    found = calibrate(margins, right, with_offset=False, balanced=True)
    assert balanced_loss(found.logits(margins), right) < balanced_loss(margins, right)
    assert balanced_loss(Calibration().logits(margins), right) == balanced_loss(margins, right)
