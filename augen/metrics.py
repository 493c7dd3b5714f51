"""What many samples per question say about accuracy: pure functions of arrays.

Shapes: Q questions, n samples of each. Answers are letter codes (0 for A), -1 where nothing was parsed or
nothing was drawn; `truth` (Q,) holds the right codes; `weights` (Q, n) are scores in whole billionths
(`weights_of`); `clusters` (Q,) says which problem a question belongs to. Nothing parsed is never right:
the fallback letter is no part of these metrics.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb as binomial

from augen.voting import SCORE_UNITS, Method

Ints = NDArray[Any]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

EXACT_SUBSETS = 126  # C(9, 4): with up to 9 samples a question every subset is counted
DRAWN_SUBSETS = 50
CURVE_POINTS = 200
BINS = 10


class Estimate(NamedTuple):
    """A mean and its standard error (NaN where one problem alone cannot show a spread)."""

    value: float
    se: float


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

    The error is that of the differences question by question, so that what is hard for both cancels.

    >>> after, before = np.array([1.0, 1, 0, 1]), np.array([1.0, 0, 0, 0])
    >>> [round(x, 4) for x in paired_difference(after, before, np.array([0, 0, 1, 1]))]
    [0.5, 0.0]

    Both problems gain one question of two: the difference 0.5 is the same in each, hence no spread.
    """
    return cluster_mean(after - before, clusters)


def weights_of(scores: Floats) -> Ints:
    """(Q, n) scores as whole billionths; NaN (no scorer) weighs 1, as `augen.voting.Sample.weight`.

    >>> weights_of(np.array([[0.25, np.nan]]))
    array([[ 250000000, 1000000000]])
    """
    return np.rint(np.where(np.isnan(scores), 1.0, scores) * SCORE_UNITS).astype(np.int64)


def accepted_or_all(answers: Ints, accepted: Bools) -> Ints:
    """`answers` (Q, n) without the rejected ones, where a question has at least one accepted.

    >>> accepted_or_all(np.array([[0, 1], [0, 1]]), np.array([[True, False], [False, False]]))
    array([[ 0, -1],
           [ 0,  1]])
    """
    kept = accepted | ~accepted.any(axis=1, keepdims=True)
    return np.where(kept, answers, -1)


def winners(answers: Ints, weights: Ints, method: Method) -> Ints:
    """(Q,) the letter that wins the vote of each row, -1 where no sample has an answer.

    The same rules as `augen.voting`: a tie goes to the higher sum of weights, then to the earlier letter.

    >>> answers = np.array([[0, 1, 1], [2, 0, -1], [-1, -1, -1]])
    >>> weights = np.array([[9, 2, 3], [5, 5, 9], [1, 1, 1]])
    >>> winners(answers, weights, "majority"), winners(answers, weights, "weighted")
    (array([ 1,  0, -1]), array([ 0,  0, -1]))
    """
    questions = np.arange(len(answers))
    # Code -1 indexes the last column, which collects what has no answer and is dropped.
    shape = (len(answers), int(answers.max(initial=0)) + 2)
    sums, totals = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for answer, weight in zip(answers.T, weights.T, strict=True):
        sums[questions, answer] += weight
        if method == "majority":
            totals[questions, answer] += 1
        elif method == "best":
            totals[questions, answer] = np.maximum(totals[questions, answer], weight)
    present = np.zeros(shape, np.bool_)
    present[questions[:, None], answers] = True
    present = present[:, :-1]
    # A score may be 0: a letter that got nothing but zeros still stands before one that was not given.
    sums = np.where(present, sums[:, :-1], -1)
    totals = sums if method == "weighted" else np.where(present, totals[:, :-1], -1)
    tied = totals == totals.max(axis=1, keepdims=True)
    winner = np.argmax(np.where(tied, sums, -2), axis=1)
    return np.where(present.any(axis=1), winner, -1)


def subsets(n: int, k: int) -> Iterator[list[int]]:
    """The k-subsets of n samples to average over: all while they are few, else `DRAWN_SUBSETS` by fixed seed.

    >>> list(subsets(3, 2))
    [[0, 1], [0, 2], [1, 2]]
    >>> len(list(subsets(9, 4))), len(list(subsets(10, 5)))
    (126, 50)
    """
    if comb(n, k) <= EXACT_SUBSETS:
        yield from map(list, combinations(range(n), k))
    else:
        random = np.random.default_rng([n, k])
        for _ in range(DRAWN_SUBSETS):
            yield sorted(random.choice(n, k, replace=False).tolist())


def vote_at_k(
    answers: Ints, weights: Ints, truth: Ints, method: Method, k: int, accepted: Bools | None = None
) -> float:
    """The accuracy to expect of a vote among k samples: the mean over k-subsets of the n samples (Q, n).

    With `accepted` (Q, n) the rejected samples of a subset do not vote, unless all of it is rejected.

    One question, right answer A, samples A A B. Majority of 2: {A A} right, {A B} twice a tie. A weighs 1
    and 1, B weighs 3: both ties go to B, so 1 of 3 subsets is right; majority of 3 is A.

    >>> a, w, t = np.array([[0, 0, 1]]), np.array([[1, 1, 3]]), np.array([0])
    >>> [round(vote_at_k(a, w, t, "majority", k), 3) for k in (1, 2, 3)]
    [0.667, 0.333, 1.0]
    """
    chosen = list(subsets(answers.shape[1], k))
    right = 0
    for columns in chosen:
        given = answers[:, columns]
        if accepted is not None:
            given = accepted_or_all(given, accepted[:, columns])
        right += int(np.count_nonzero(winners(given, weights[:, columns], method) == truth))
    return right / (len(chosen) * len(truth))


def pass_at_k(answers: Ints, truth: Ints, k: int) -> float:
    """How often at least one of k samples is right, unbiased from n ≥ k samples (Q, n).

    1 - C(n-c, k)/C(n, k) for c right samples, averaged over questions (Chen et al. 2021,
    https://arxiv.org/abs/2107.03374, eq. 1).

    One right of 3: C(2, 2)/C(3, 2) = 1/3 of the pairs miss it.

    >>> [round(pass_at_k(np.array([[0, 1, 1]]), np.array([0]), k), 3) for k in (1, 2, 3)]
    [0.333, 0.667, 1.0]
    """
    n = answers.shape[1]
    right = np.count_nonzero(answers == truth[:, None], axis=1)
    return float(np.mean(1 - binomial(n - right, k) / binomial(n, k)))


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


class CalibrationBin(NamedTuple):
    """The samples whose score lies in [low, high): how high they were scored, how often they were right."""

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

    `auc` is the chance that a right sample is scored above a wrong one (0.5: learned nothing), `roc` the
    curve as (false positive rate, true positive rate), thinned to `CURVE_POINTS`.
    """

    auc: float
    average_precision: float
    calibration_error: float
    roc: list[tuple[float, float]]
    calibration: list[CalibrationBin]


def scorer_quality(scores: Floats, right: Bools) -> ScorerQuality | None:
    """Judge (N,) scores by (N,) whether each sample's answer was right; None if all are right or all wrong.

    Of the four pairs (right, wrong) three are in order:

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


def auc_within(scores: Floats, right: Bools, groups: Sequence[Any]) -> tuple[float, int] | None:
    """How often a right sample is scored above a wrong one of the same group, and in how many groups there are both.

    A tie is half. The mean over groups with samples of both kinds; None if there is no such group. A vote compares
    the samples of one question only: what tells easy questions from hard ones raises the AUC over all, but not this.

    Two groups. In the first the right one (0.9) is above one of two wrong ones (0.95, 0.1): 1/2. In the second it is
    above the only one: 1.

    >>> scores = np.array([0.9, 0.95, 0.1, 0.3, 0.2])
    >>> auc_within(scores, np.array([True, False, False, True, False]), ["q1", "q1", "q1", "q2", "q2"])
    (0.75, 2)
    """
    members: dict[Any, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    found = []
    for indices in members.values():
        own, label = scores[indices], right[indices]
        above = own[label][:, None] - own[~label][None, :]  # (right, wrong)
        if above.size:
            found.append(float(np.mean((above > 0) + 0.5 * (above == 0))))
    return (float(np.mean(found)), len(found)) if found else None
