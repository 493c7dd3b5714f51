"""Statistics of accuracy with many samples per question: pure functions of arrays.

Shapes: Q questions, n samples of each. Answers are letter codes (0 for A), -1 where nothing was parsed or
nothing was drawn; `truth` (Q,) holds the right codes; `clusters` (Q,) says which problem a question belongs to.
A sample without a parsed answer is never right: the fallback letter has no part in these metrics.
"""

from collections.abc import Sequence
from math import isnan
from typing import NamedTuple

import numpy as np

from augen.core.arrays import Bools, Floats, Ints


class Estimate(NamedTuple):
    """A mean and its standard error (NaN for a single problem, which has no spread)."""

    value: float
    se: float


def numbered(name: str, estimate: Estimate | None) -> dict[str, float]:
    """An estimate as two numbers, ``name`` and ``name_se``; nothing where there is none.

    >>> numbered("gain", Estimate(0.5, 0.1)), numbered("gain", None)
    ({'gain': 0.5, 'gain_se': 0.1}, {})
    """
    return {name: estimate.value, f"{name}_se": estimate.se} if estimate else {}


def with_error(estimate: Estimate, sign: str = "") -> str:
    """An estimate as text; `sign` is "+" for differences.

    >>> with_error(Estimate(0.5, 0.1)), with_error(Estimate(0.5, float("nan")), "+")
    ('0.500 ± 0.100', '+0.500 ± ?')
    """
    error = "?" if isnan(estimate.se) else f"{estimate.se:.3f}"
    return f"{estimate.value:{sign}.3f} ± {error}"


def cluster_mean(values: Floats, clusters: Ints) -> Estimate:
    """The mean over questions, with a standard error that is robust to questions sharing a problem.

    se² = G/(G-1) · Σ_g (Σ_{i in g} (x_i - mean))² / N², for G problems and N questions (the sandwich
    estimator of a mean; Miller 2024, https://arxiv.org/abs/2411.00640, eq. 4, with the small-sample factor
    of Cameron & Miller 2015).

    Three problems with the values 1, 1 | 0 | 1, 0. The mean is 3/5 = 0.6 and the deviations are
    0.4, 0.4 | -0.6 | 0.4, -0.6; summed by problem 0.8, -0.6, -0.2; squared 0.64 + 0.36 + 0.04 = 1.04.
    se² = 3/2 · 1.04/25 = 0.0624, se = 0.2498.

    >>> mean, se = cluster_mean(np.array([1.0, 1, 0, 1, 0]), np.array([0, 0, 1, 2, 2]))
    >>> round(mean, 4), round(se, 4)
    (0.6, 0.2498)
    """
    mean = float(np.mean(values))
    _, cluster = np.unique(clusters, return_inverse=True)
    sums = np.bincount(cluster, weights=values - mean)
    if len(sums) < 2:
        return Estimate(mean, float("nan"))
    spread = len(sums) / (len(sums) - 1) * float(sums @ sums)
    return Estimate(mean, spread**0.5 / len(values))


def paired_difference(after: Floats, before: Floats, clusters: Ints) -> Estimate:
    """How much better `after` is than `before` on the same questions.

    The standard error is that of the differences per question, so that the difficulty of the questions cancels out.

    >>> after, before = np.array([1.0, 1, 0, 1]), np.array([1.0, 0, 0, 0])
    >>> [round(x, 4) for x in paired_difference(after, before, np.array([0, 0, 1, 1]))]
    [0.5, 0.0]

    Both problems gain one question of two: the difference 0.5 is the same in each, hence no spread.
    """
    return cluster_mean(after - before, clusters)


def constant_accuracies(truth: Ints) -> Floats:
    """(L,) the accuracy of always answering the letter with that code.

    >>> constant_accuracies(np.array([0, 1, 1, 3]))
    array([0.25, 0.5 , 0.  , 0.25])
    """
    return np.bincount(truth) / len(truth)


def acceptance_by_round(rounds: Ints, accepted: Bools) -> list[float]:
    """The share of accepted samples among those drawn in round 0, 1, ….

    >>> acceptance_by_round(np.array([0, 0, 0, 0, 1]), np.array([True, True, True, False, False]))
    [0.75, 0.0]
    """
    drawn = np.bincount(rounds)
    return [float(share) for share in np.bincount(rounds[accepted], minlength=len(drawn)) / np.maximum(drawn, 1)]


def group_means(values: Floats, groups: Sequence[str]) -> dict[str, float]:
    """The mean of each group, in the order of their names.

    >>> group_means(np.array([1.0, 0.0, 1.0]), ["roads", "roads", "order"])
    {'order': 1.0, 'roads': 0.5}
    """
    names, group = np.unique(np.array(groups), return_inverse=True)
    means = np.bincount(group, weights=values) / np.bincount(group)
    return {str(name): float(mean) for name, mean in zip(names, means, strict=True)}
