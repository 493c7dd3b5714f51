"""Metrics: the worked examples, brute force beside each formula, and the vote beside that of tests/oracles.py."""

from dataclasses import replace
from itertools import combinations
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augen.core.arrays import Bools, Ints
from augen.evaluation.steps import configured_at_k
from augen.metrics.quality import CURVE_POINTS, calibration, calibration_error, scorer_quality
from augen.metrics.stats import cluster_mean, group_means, paired_difference
from augen.voting.grid import SampleGrid
from augen.voting.samples import Sample
from augen.voting.settings import Method, VotingSettings
from augen.voting.vote import (
    DRAWN_SUBSETS,
    accepted_or_all,
    likelihoods_of,
    pass_at_k,
    subsets,
    vote_at_k,
    weights_of,
    winners,
)
from tests.oracles import decide

METHODS: tuple[Method, ...] = get_args(Method)
THRESHOLD = 0.5
NAN = float("nan")

few = settings(max_examples=40, deadline=None)
scores = st.none() | st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.9, 1.0])
one_sample = st.builds(
    Sample, st.sampled_from([None, "A", "B", "C"]), scores, logprob_rank=st.none() | st.integers(0, 100)
)
# Questions with the same number of samples each.
tables = st.integers(1, 6).flatmap(
    lambda n: st.lists(st.lists(one_sample, min_size=n, max_size=n), min_size=1, max_size=6)
)
Table = list[list[Sample]]


def arrays(table: Table, method: Method) -> tuple[Ints, Ints, Bools]:
    """(Q, n) letter codes, weights and acceptance."""
    answers = np.array([[-1 if s.answer is None else "ABC".index(s.answer) for s in row] for row in table])
    given = np.array([[NAN if s.score is None else s.score for s in row] for row in table])
    ranks = np.array([[-1 if s.logprob_rank is None else s.logprob_rank for s in row] for row in table])
    weights = likelihoods_of(ranks) if method == "likelihood" else weights_of(given)
    return answers, weights, (answers >= 0) & (np.isnan(given) | (given >= THRESHOLD))


def settings_of(method: Method) -> VotingSettings:
    return VotingSettings(6, threshold=THRESHOLD, method=method, fallback="Z")


def grid_of(table: Table) -> SampleGrid:
    """Each sample of a row in a slot of its own."""
    grid = SampleGrid.empty(len(table), VotingSettings(len(table[0])))
    for number, row in enumerate(table):
        own = [replace(sample, slot=slot) for slot, sample in enumerate(row, start=1)]
        grid.add([number] * len(own), own, THRESHOLD)
    return grid


@pytest.mark.parametrize("method", METHODS)
class TestVotes:
    @few
    @given(table=tables)
    def test_winners_are_those_of_voting(self, method: Method, table: Table) -> None:
        answers, weights, accepted = arrays(table, method)
        got = winners(accepted_or_all(answers, accepted), weights, method)
        expected = [decide(row, settings_of(method)).answer for row in table]
        assert ["ABC"[code] if code >= 0 else "Z" for code in got] == expected

    @few
    @given(table=tables, data=st.data())
    def test_a_vote_of_k_is_the_mean_over_subsets(self, method: Method, table: Table, data: st.DataObject) -> None:
        k = data.draw(st.integers(1, len(table[0])))
        right = [
            decide([row[i] for i in chosen], settings_of(method)).answer == "A"
            for row in table
            for chosen in combinations(range(len(row)), k)
        ]
        truth = np.zeros(len(table), np.int64)
        assert configured_at_k(grid_of(table), truth, settings_of(method), k) == pytest.approx(np.mean(right))

    @few
    @given(table=tables)
    def test_one_sample_needs_no_vote_and_no_vote_beats_pass(self, method: Method, table: Table) -> None:
        answers, weights, _ = arrays(table, method)
        truth = np.zeros(len(table), np.int64)
        assert vote_at_k(answers, weights, truth, method, 1) == pytest.approx(np.mean(answers == 0))
        for k in range(1, answers.shape[1] + 1):
            at_most = pass_at_k(answers, truth, k) + 1e-9
            assert vote_at_k(answers, weights, truth, method, k) <= at_most
            assert configured_at_k(grid_of(table), truth, settings_of(method), k) <= at_most


class TestPassAtK:
    @few
    @given(table=tables, data=st.data())
    def test_is_the_share_of_subsets_with_a_right_sample(self, table: Table, data: st.DataObject) -> None:
        answers, _, _ = arrays(table, "majority")
        k = data.draw(st.integers(1, answers.shape[1]))
        brute = [0 in row[list(c)] for row in answers for c in combinations(range(answers.shape[1]), k)]
        assert pass_at_k(answers, np.zeros(len(answers), np.int64), k) == pytest.approx(np.mean(brute))

    def test_many_samples_do_not_overflow(self) -> None:
        answers = np.repeat([[0, 1]], 200, axis=1).reshape(1, 400)
        assert pass_at_k(answers, np.array([0]), 200) == pytest.approx(1.0)


class TestSubsets:
    def test_many_subsets_are_drawn_by_fixed_seed(self) -> None:
        first, again = list(subsets(40, 20)), list(subsets(40, 20))
        assert first == again
        assert len(first) == DRAWN_SUBSETS
        assert all(len(set(s)) == 20 and set(s) <= set(range(40)) for s in first)
        assert len({tuple(s) for s in first}) == DRAWN_SUBSETS

    def test_drawn_subsets_estimate_the_exact_value(self) -> None:
        rng = np.random.default_rng(0)
        answers = rng.choice(3, size=(400, 40), p=[0.5, 0.3, 0.2])
        weights = np.ones_like(answers)
        truth = np.zeros(400, np.int64)
        sampled = vote_at_k(answers, weights, truth, "majority", 5)
        fresh = rng.choice(3, size=(200_000, 5), p=[0.5, 0.3, 0.2])
        exact = np.mean(winners(fresh, np.ones_like(fresh), "majority") == 0)
        assert sampled == pytest.approx(exact, abs=0.02)


class TestErrors:
    @few
    @given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
    def test_one_question_a_problem_is_the_ordinary_standard_error(self, values: list[float]) -> None:
        array = np.array(values)
        mean, se = cluster_mean(array, np.arange(len(array)))
        assert mean == pytest.approx(array.mean())
        assert se == pytest.approx(array.std(ddof=1) / len(array) ** 0.5, abs=1e-12)

    def test_repeating_each_question_in_its_problem_gains_no_precision(self) -> None:
        values = np.array([1.0, 0, 1, 1, 0, 0])
        once = cluster_mean(values, np.arange(6))
        thrice = cluster_mean(np.repeat(values, 3), np.repeat(np.arange(6), 3))
        assert thrice == pytest.approx(once)

    def test_the_error_covers_the_truth_as_often_as_it_says(self) -> None:
        """500 simulated dev sets of 60 problems whose 3 questions stand and fall together."""
        rng = np.random.default_rng(1)
        clusters = np.repeat(np.arange(60), 3)
        covered = naive = 0
        for _ in range(500):
            values = np.repeat(rng.random(60) < 0.6, 3).astype(float)
            mean, se = cluster_mean(values, clusters)
            covered += abs(mean - 0.6) < 1.96 * se
            naive += abs(mean - 0.6) < 1.96 * values.std(ddof=1) / len(values) ** 0.5
        assert 0.91 < covered / 500 < 0.98
        assert naive / 500 < 0.85

    def test_pairing_removes_what_both_share(self) -> None:
        rng = np.random.default_rng(2)
        before = (rng.random(300) < 0.5).astype(float)
        after = before.copy()
        after[:30] = 1
        clusters = np.arange(300)
        difference = paired_difference(after, before, clusters)
        assert difference.value == pytest.approx(after.mean() - before.mean())
        assert difference.se < 0.5 * cluster_mean(after, clusters).se

    def test_one_problem_has_no_error(self) -> None:
        mean, se = cluster_mean(np.array([1.0, 0.0]), np.array([5, 5]))
        assert mean == 0.5
        assert np.isnan(se)


class TestScorer:
    def test_a_perfect_and_a_blind_scorer(self) -> None:
        right = np.array([True, True, False, False])
        perfect = scorer_quality(np.array([1.0, 1.0, 0.0, 0.0]), right)
        blind = scorer_quality(np.full(4, 0.5), right)
        assert perfect is not None
        assert blind is not None
        assert (perfect.auc, perfect.average_precision, perfect.calibration_error) == (1, 1, 0)
        assert (blind.auc, blind.average_precision, blind.calibration_error) == (0.5, 0.5, 0)

    @pytest.mark.parametrize("right", [[True, True], [False, False], []])
    def test_nothing_to_tell_apart(self, right: list[bool]) -> None:
        assert scorer_quality(np.full(len(right), 0.5), np.array(right, dtype=bool)) is None

    def test_the_curve_is_thinned_and_keeps_its_ends(self) -> None:
        rng = np.random.default_rng(3)
        right = rng.random(5000) < 0.5
        quality = scorer_quality(np.clip(right * 0.2 + rng.random(5000) * 0.8, 0, 1), right)
        assert quality is not None
        assert len(quality.roc) == CURVE_POINTS
        assert (quality.roc[0], quality.roc[-1]) == ((0, 0), (1, 1))

    @few
    @given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
    def test_bins_hold_every_sample_once(self, rows: list[tuple[float, bool]]) -> None:
        given_scores, right = np.array([s for s, _ in rows]), np.array([r for _, r in rows])
        bins = calibration(given_scores, right)
        assert sum(b.samples for b in bins) == len(rows)
        assert all(b.low - 1e-9 <= b.mean_score <= b.high + 1e-9 for b in bins)
        assert 0 <= calibration_error(bins) <= 1


def test_group_means_do_not_depend_on_order() -> None:
    values, groups = np.array([1.0, 0.0, 0.5]), ["roads", "lists", "lists"]
    assert group_means(values, groups) == group_means(values[::-1], groups[::-1]) == {"lists": 0.25, "roads": 1}
