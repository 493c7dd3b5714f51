"""Votes of many questions at once, as arrays.

Shapes: Q questions, n samples of each. Answers are letter codes (0 for A), -1 where nothing was parsed or nothing was
drawn. `truth` (Q,) holds the right codes. `weights` (Q, n) are scores (`weights_of`) or likelihoods (`likelihoods_of`)
in whole billionths, so that sums do not depend on the order of the samples and 0.1 + 0.2 equals 0.3.

The rules, which the tests spell out for one question at a time (tests/oracles.py): a tie goes to the higher sum of
weights, then to the earlier letter. Only accepted samples vote; where a question has none, all its parsed samples do.
Those are the rules for reasonings; every program that has an answer votes too, as so many reasonings (`with_programs`),
and where several generators share the slots, a reasoning counts as what its generator is worth.
"""

from collections.abc import Iterator
from itertools import combinations
from math import comb

import numpy as np
from scipy.special import comb as binomial

from augen.core.arrays import Bools, Floats, Ints
from augen.voting.settings import Method

SCORE_UNITS = 10**9
AVERAGE_LIKELIHOOD = 0.34  # of `likelihoods_of` over all ranks from 0 to 100
EXACT_SUBSETS = 126  # C(9, 4): with up to 9 samples a question every subset is counted
DRAWN_SUBSETS = 50
BLOCK = 1 << 16  # questions that are voted on together: what is counted takes 20 times the room of the answers


def weights_of(scores: Floats) -> Ints:
    """Scores as whole billionths; NaN (there is no scorer) weighs as much as a score of 1.

    >>> weights_of(np.array([[0.25, np.nan]]))
    array([[ 250000000, 1000000000]])
    """
    return np.rint(np.where(np.isnan(scores), 1.0, scores) * SCORE_UNITS).astype(np.int64)


def likelihoods_of(ranks: Ints) -> Ints:
    """What samples weigh by their `logprob_rank`, in whole billionths: the square of (1 + rank) / 101.

    The generator's own certainty as a weight is Wang et al. 2022 (https://arxiv.org/abs/2203.11171, table 1), who take
    the probability itself. Ranks tell a sure text from an unsure one whatever the generator. Where nothing is known
    (-1), a sample weighs 1.

    >>> likelihoods_of(np.array([[100, 0, -1]]))
    array([[1000000000,      98030, 1000000000]])
    """
    return np.rint(np.where(ranks < 0, 1.0, ((1 + ranks) / 101) ** 2) * SCORE_UNITS).astype(np.int64)


def accepted_at(answers: Ints, scores: Floats, threshold: float) -> Bools:
    """Which samples are accepted: those with an answer whose score reaches `threshold`, or that have no score (NaN).

    >>> accepted_at(np.array([1, 1, -1, 1]), np.array([0.5, 0.49, 0.9, np.nan]), 0.5)
    array([ True, False, False,  True])
    """
    return np.asarray((answers >= 0) & (np.isnan(scores) | (scores >= threshold)))


def accepted_or_all(answers: Ints, accepted: Bools) -> Ints:
    """`answers` (Q, n) without the rejected ones, where a question has at least one accepted.

    >>> accepted_or_all(np.array([[0, 1], [0, 1]]), np.array([[True, False], [False, False]]))
    array([[ 0, -1],
           [ 0,  1]])
    """
    kept = accepted | ~accepted.any(axis=1, keepdims=True)
    return np.where(kept, answers, -1)


def tallies(answers: Ints, weights: Ints, method: Method, worth: Floats | None = None) -> tuple[Ints, Ints]:
    """``(totals, sums)`` of each letter, both (Q, L): what `method` counts, and the sum of weights that decides a tie.

    Totals are in billionths of a vote, whatever is counted. A sample counts as `worth` (n,) samples; None: as one.

    ``majority`` counts samples (self-consistency, Wang et al. 2022, https://arxiv.org/abs/2203.11171), ``likelihood``
    and ``weighted`` add the weights (of scores: weighted best-of-n, Li et al. 2023, https://arxiv.org/abs/2206.02336),
    ``best`` takes the highest (best-of-n, Cobbe et al. 2021, https://arxiv.org/abs/2110.14168). A letter that no sample
    gave has -1.

    >>> given = np.array([[0, 1, 1, -1]]), np.array([[9, 2, 3, 7]]), "majority"
    >>> [part.tolist() for part in tallies(*given)]
    [[[1000000000, 2000000000]], [[9, 5]]]
    >>> [part.tolist() for part in tallies(*given, np.array([2.5, 1, 0.5, 1]))]
    [[[2500000000, 1500000000]], [[22, 4]]]
    """
    votes = np.full(answers.shape[1], SCORE_UNITS) if worth is None else np.rint(worth * SCORE_UNITS).astype(np.int64)
    if worth is not None:
        weights = np.rint(weights * worth).astype(np.int64)
    questions = np.arange(len(answers))
    # Code -1 indexes the last column, which collects what has no answer and is dropped.
    shape = (len(answers), int(answers.max(initial=0)) + 2)
    sums, totals = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for answer, weight, vote in zip(answers.T, weights.T, votes, strict=True):
        sums[questions, answer] += weight
        if method == "majority":
            totals[questions, answer] += vote
        elif method == "best":
            totals[questions, answer] = np.maximum(totals[questions, answer], weight)
    present = np.zeros(shape, np.bool_)
    present[questions[:, None], answers] = True
    # A score may be 0: a letter that got nothing but zeros still stands before one that was not given.
    sums, totals = (np.where(present, counted, -1)[:, :-1] for counted in (sums, totals))
    return (sums if method in ("likelihood", "weighted") else totals), sums


def winners(answers: Ints, weights: Ints, method: Method) -> Ints:
    """(Q,) the letter that wins the vote of each row, -1 where no sample has an answer.

    >>> answers = np.array([[0, 1, 1], [2, 0, -1], [-1, -1, -1]])
    >>> weights = np.array([[9, 2, 3], [5, 5, 9], [1, 1, 1]])
    >>> winners(answers, weights, "majority"), winners(answers, weights, "weighted")
    (array([ 1,  0, -1]), array([ 0,  0, -1]))
    """
    voted = [leaders(*tallies(answers[block], weights[block], method)) for block in blocks(len(answers))]
    return np.concatenate(voted)


def blocks(questions: int) -> Iterator[slice]:
    """So many questions in blocks of at most `BLOCK`; at least one block, which may be empty."""
    return (slice(at, at + BLOCK) for at in range(0, max(1, questions), BLOCK))


def leaders(totals: Ints, sums: Ints) -> Ints:
    """(Q,) the letter with the highest total (Q, L); of several that with the highest sum, then the first; -1: none.

    >>> leaders(np.array([[2, 2, 1], [3, 3, -1], [-1, -1, -1]]), np.array([[4, 5, 9], [6, 6, -1], [-1, -1, -1]]))
    array([ 1,  0, -1])
    """
    tied = totals == totals.max(axis=1, keepdims=True)
    winner = np.argmax(np.where(tied, sums, -2), axis=1)
    return np.where((totals >= 0).any(axis=1), winner, -1)


def with_programs(totals: Ints, sums: Ints, programs: Ints, weight: float) -> tuple[Ints, Ints]:
    """The `tallies` of reasonings with the answers of `programs` (Q, m) added, each worth `weight` votes.

    The sums, which decide a tie, stay those of the reasonings. With weight 0 nothing is added.

    Two reasonings say A, one program says B and is worth as much as two of them: a tie.

    >>> reasoned = tallies(np.array([[0, 0]]), np.array([[9, 9]]), "majority")
    >>> [part.tolist() for part in with_programs(*reasoned, np.array([[1, -1]]), 2.0)]
    [[[2000000000, 2000000000]], [[18, -1]]]
    """
    letters = max(totals.shape[1], int(programs.max(initial=0)) + 1)
    totals, sums = (np.pad(part, ((0, 0), (0, letters - part.shape[1])), constant_values=-1) for part in (totals, sums))
    answering = (programs[:, :, None] == np.arange(letters)).sum(axis=1) if weight else np.zeros_like(totals)
    added = answering * round(weight * SCORE_UNITS)
    return np.where(answering, np.maximum(totals, 0) + added, totals), sums


def handed_in(voted: Ints, options: Ints, fallback: str) -> Ints:
    """(Q,) the answers that are handed in: where nothing was `voted` (-1) the `fallback`, or the last of fewer options.

    >>> handed_in(np.array([1, -1, -1]), np.array([4, 4, 2]), "C")
    array([1, 2, 1])
    """
    return np.where(voted < 0, np.minimum(ord(fallback) - ord("A"), options - 1), voted)


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


def vote_at_k(answers: Ints, weights: Ints, truth: Ints, method: Method, k: int) -> float:
    """The accuracy to expect of a vote among k samples, whatever their scores: the mean over k-subsets of n (Q, n).

    One question, right answer A, samples A A B. Majority of 2: {A A} right, {A B} twice a tie. A weighs 1
    and 1, B weighs 3: both ties go to B, so 1 of 3 subsets is right; majority of 3 is A.

    >>> a, w, t = np.array([[0, 0, 1]]), np.array([[1, 1, 3]]), np.array([0])
    >>> [round(vote_at_k(a, w, t, "majority", k), 3) for k in (1, 2, 3)]
    [0.667, 0.333, 1.0]
    """
    chosen = list(subsets(answers.shape[1], k))
    right = 0
    for columns in chosen:
        right += int(np.count_nonzero(winners(answers[:, columns], weights[:, columns], method) == truth))
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
