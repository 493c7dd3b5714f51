"""How well scores tell right samples from wrong ones: pure functions of arrays."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from augen.core.arrays import Bools, Floats, Ints

CURVE_POINTS = 200
BINS = 10


class CalibrationBin(NamedTuple):
    """The samples with a score in [low, high): their mean score, and the share of them that is right."""

    low: float
    high: float
    samples: int
    mean_score: float
    share_right: float


def calibration(scores: Floats, right: Bools) -> list[CalibrationBin]:
    """The non-empty ones of `BINS` equally wide bins of the score; a score of 1 belongs to the last.

    >>> calibration(np.array([0.05, 0.9, 1.0]), np.array([False, True, False]))[1]
    CalibrationBin(low=0.9, high=1.0, samples=2, mean_score=0.95, share_right=0.5)
    """
    number = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(number, minlength=BINS)
    score_sums = np.bincount(number, weights=scores, minlength=BINS)
    right_sums = np.bincount(number, weights=right, minlength=BINS)
    return [
        CalibrationBin(
            b / BINS,
            (b + 1) / BINS,
            int(counts[b]),
            float(score_sums[b] / counts[b]),
            float(right_sums[b] / counts[b]),
        )
        for b in range(BINS)
        if counts[b]
    ]


def calibration_error(bins: Sequence[CalibrationBin]) -> float:
    """Expected calibration error: |mean score - share right|, averaged over samples (Guo et al. 2017,
    https://arxiv.org/abs/1706.04599, eq. 3).

    Of 4 samples one is off by 0.2 and three are off by 0.1: (0.2 + 3 · 0.1)/4 = 0.125.

    >>> bins = [CalibrationBin(0.2, 0.3, 1, 0.2, 0.0), CalibrationBin(0.9, 1.0, 3, 0.9, 1.0)]
    >>> round(calibration_error(bins), 6)
    0.125
    """
    return sum(b.samples * abs(b.mean_score - b.share_right) for b in bins) / sum(b.samples for b in bins)


class ScorerQuality(NamedTuple):
    """How well scores tell right samples from wrong ones.

    `auc` is the probability that a right sample scores higher than a wrong one (0.5: the scorer learned nothing).
    `roc` is the curve as (false positive rate, true positive rate), thinned to `CURVE_POINTS` points.
    """

    auc: float
    average_precision: float
    calibration_error: float
    roc: list[tuple[float, float]]
    calibration: list[CalibrationBin]


def scorer_quality(scores: Floats, right: Bools) -> ScorerQuality | None:
    """The quality of `scores` (N,) for samples that are `right` (N,) or not; None if all are right or all are wrong.

    Of the four pairs of a right and a wrong sample, three are in order:

    >>> round(scorer_quality(np.array([0.9, 0.4, 0.6, 0.1]), np.array([True, True, False, False])).auc, 2)
    0.75
    """
    # Imported here because it takes a second, and a run without scores has no use for it.
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

    if right.all() or not right.any():
        return None
    false_rate, true_rate, _ = roc_curve(right, scores)
    shown = np.unique(np.linspace(0, len(false_rate) - 1, CURVE_POINTS).astype(np.int64))
    bins = calibration(scores, right)
    return ScorerQuality(
        auc=float(roc_auc_score(right, scores)),
        average_precision=float(average_precision_score(right, scores)),
        calibration_error=calibration_error(bins),
        roc=[(float(false_rate[i]), float(true_rate[i])) for i in shown],
        calibration=bins,
    )


def auc_within(scores: Floats, right: Bools, groups: Sequence[Any] | Ints) -> tuple[float, int] | None:
    """``(mean, groups)``: the AUC within each group that has right and wrong samples, averaged over these groups.

    A tie counts half; None if there is no such group. A vote compares the samples of one question only. A scorer that
    only tells easy questions from hard ones has a high AUC over all samples, but not within questions.

    Two groups. In the first the right one (0.9) is above one of two wrong ones (0.95, 0.1): 1/2. In the second it is
    above the only one: 1.

    >>> scores = np.array([0.9, 0.95, 0.1, 0.3, 0.2])
    >>> auc_within(scores, np.array([True, False, False, True, False]), ["q1", "q1", "q1", "q2", "q2"])
    (0.75, 2)
    """
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    order = np.lexsort((scores, group))
    group, scores, right = group[order], scores[order], right[order]
    counts = np.bincount(group)
    first = np.flatnonzero(np.diff(group, prepend=-1) | (np.diff(scores, prepend=np.nan) != 0))  # of equal ones
    equal = np.diff(first, append=len(group))
    # Mann and Whitney 1947: how far the ranks of the right ones are above the lowest ones that they could be.
    ranks = np.repeat(first + (equal - 1) / 2, equal) - (np.cumsum(counts) - counts)[group]
    rights = np.bincount(group, right, len(counts))
    pairs = rights * (counts - rights)
    above = np.bincount(group, ranks * right, len(counts)) - rights * (rights - 1) / 2
    both = pairs > 0
    return (float(np.mean(above[both] / pairs[both])), int(both.sum())) if both.any() else None
