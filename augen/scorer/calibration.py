"""Calibration: from a scorer's margin to a probability.

A margin is the logit of "right" minus the logit of "wrong". A trained scorer puts texts in the right order, but its
margins are too large or too small to be log odds. A temperature, fitted on held-out data, corrects that and keeps the
order (Guo et al. 2017, https://arxiv.org/abs/1706.04599). In the pairwise objective only differences of margins count,
so all margins may be shifted by the same amount; for these an offset is fitted too (Platt 1999).

Not scikit-learn's LogisticRegression: it has no bounds, so the temperature of a scorer that is worse than chance would
be negative and turn the order around.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from augen.core.arrays import Bools, Floats

TEMPERATURES = (0.05, 20.0)  # bounds: beyond them nearly every score would be 0 or 1, or one half


class Calibration(NamedTuple):
    """score = sigmoid((margin - offset) / temperature)"""

    temperature: float = 1.0
    offset: float = 0.0

    def logits(self, margins: NDArray[Any]) -> Floats:
        """Log odds of being right."""
        found: Floats = (margins.astype(np.float64) - self.offset) / self.temperature
        return found

    def scores(self, margins: NDArray[Any]) -> Floats:
        """P(right) of each margin.

        >>> Calibration(2.0, offset=1.0).scores(np.array([1.0, 3.0])).round(3)
        array([0.5  , 0.731])
        """
        from scipy.special import expit

        found: Floats = expit(self.logits(margins))
        return found


def calibrate(margins: NDArray[Any], right: Bools, with_offset: bool, balanced: bool = False) -> Calibration:
    """The `Calibration` that makes the labels `right` (N,) most likely, given `margins` (N,).

    With `balanced`, right and wrong ones weigh the same in all, however many there are of each.

    Targets are (n₊ + 1)/(n₊ + 2) and 1/(n₋ + 2) instead of 1 and 0 (Platt 1999). Otherwise a scorer without an error
    on N examples would come out as certain of everything.

    Margins ten times too large, of which three in four have the right sign:

    >>> margins, right = np.array([20.0, 20, 20, 20] * 50), np.array([True, True, True, False] * 50)
    >>> round(20 / calibrate(margins, right, with_offset=False).temperature, 2)  # the log odds of 3 in 4 are 1.10
    1.1
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    margins = margins.astype(np.float64)
    count = {label: max(1, int(np.count_nonzero(right == label))) for label in (True, False)}
    target = np.where(right, (count[True] + 1) / (count[True] + 2), 1 / (count[False] + 2))
    weight = np.where(right, 1 / count[True], 1 / count[False]) if balanced else np.ones(len(right))
    weight /= weight.sum()
    scale = float(np.std(margins)) or 1.0
    start = float(np.mean(margins)) if with_offset else 0.0

    def loss(x: Floats) -> tuple[float, Floats]:
        """Cross entropy for the log temperature x[0] and the offset start + scale · x[1], and its gradient."""
        temperature = np.exp(x[0])
        logit = (margins - start - scale * x[1]) / temperature
        wrong = weight * (expit(logit) - target)  # d loss / d logit
        value = weight * (np.logaddexp(0, logit) - target * logit)
        slope = np.array([-np.sum(wrong * logit), -np.sum(wrong) * scale / temperature if with_offset else 0.0])
        return float(np.sum(value)), slope

    low, high = np.log(TEMPERATURES)
    first = float(np.clip(np.log(scale), low, high))
    found = minimize(loss, np.array([first, 0.0]), jac=True, method="L-BFGS-B", bounds=[(low, high), (-10.0, 10.0)])
    return Calibration(float(np.exp(found.x[0])), start + scale * float(found.x[1]) if with_offset else 0.0)
