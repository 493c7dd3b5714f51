"""What the report says of scorers that know everything, nothing, or only who wrote a text."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.entries import Entry, QuestionItem
from augen.metrics.quality import auc_within
from augen.scorer import report as scorer_report
from augen.scorer.calibration import Calibration, calibrate
from augen.scorer.report import (
    LEARNED_NOTHING,
    LabelledReasoning,
    Reasonings,
    labelled,
    only_problems_with_wrong,
    report,
)


def items(problems: int = 40) -> list[LabelledReasoning]:
    """Of each problem two questions, each with a right text by the solver or the generator and a wrong one by it."""

    def entry(number: int, right: bool) -> Entry:
        authors = ("solver", "generator") if right else ("generator", "generator")
        return Entry(
            f"题{number}", [QuestionItem(f"问{i}", ["甲", "乙"], "想", "A", authors[i]) for i in (0, 1)], f"p{number}"
        )

    return [r for right in (True, False) for r in labelled([entry(n, right) for n in range(problems)], right)]


def reported(margins: np.ndarray, found: list[LabelledReasoning], with_offset: bool = False) -> dict[str, Any]:
    right = np.array([item.right for item in found])
    texts = Reasonings(LabelledReasoning, found)
    return report(margins, texts, calibrate(margins, right, with_offset), with_offset, generator="generator")


def test_right_reasonings_of_problems_without_a_wrong_one_are_left_out() -> None:
    def one(problem_id: str, right: bool) -> LabelledReasoning:
        return next(labelled([Entry("题", [QuestionItem("问", ["甲", "乙"], "想", "A")], problem_id)], right))

    def kept(*items: LabelledReasoning) -> list[LabelledReasoning]:
        return list(only_problems_with_wrong(Reasonings(LabelledReasoning, items)))

    compared = [one("p1", True), one("p1~1", True), one("p1", False), one("p2", True), one("p2~1", False)]
    assert kept(*compared, one("p3", True), one("p3~1", True)) == compared
    assert kept(one("p1", True)) == []


def test_a_scorer_that_knows_everything() -> None:
    found = items()
    metrics = reported(np.array([3.0 if item.right else -3.0 for item in found]), found)
    for name in ("auc", "average_precision", "accuracy", "auc_within_questions", "auc_within_problems"):
        assert metrics[name] == metrics["generator_samples"][name] == 1.0
    assert metrics["loss"] < 0.2 and not metrics["learned_nothing"]
    assert (metrics["texts"], metrics["right"], metrics["questions"], metrics["problems"]) == (160, 80, 80, 40)


def test_a_scorer_that_says_the_same_of_everything_learned_nothing() -> None:
    found = items()
    metrics = reported(np.full(len(found), 0.7), found)
    assert metrics["auc"] == metrics["auc_within_questions"] == 0.5
    assert metrics["loss"] == pytest.approx(LEARNED_NOTHING, abs=0.01) and metrics["loss"] >= LEARNED_NOTHING
    assert metrics["learned_nothing"]


def test_a_scorer_of_noise_learned_nothing() -> None:
    found = items(400)
    metrics = reported(np.random.default_rng(5).normal(0, 4, len(found)), found)
    assert metrics["learned_nothing"] and metrics["auc"] == pytest.approx(0.5, abs=0.05)


def test_an_overconfident_scorer_has_learned_something() -> None:
    """Its bare logits have a loss above ln 2, because what it gets wrong it gets wrong with certainty."""
    found = items(100)
    rng = np.random.default_rng(6)
    margins = np.array([30.0 if item.right else -30.0 for item in found]) * rng.choice([1, 1, 1, -1], len(found))
    assert scorer_report.balanced_loss(margins, np.array([i.right for i in found])) > LEARNED_NOTHING
    metrics = reported(margins, found)
    assert not metrics["learned_nothing"] and metrics["temperature"] > 10
    assert metrics["raw_calibration_error"] > 0.2 > metrics["calibration_error"]


def test_who_wrote_a_text_helps_not_among_the_generators_own() -> None:
    found = items()
    metrics = reported(np.array([2.0 if item.author == "solver" else -2.0 for item in found]), found, with_offset=True)
    assert metrics["auc"] > 0.7
    assert metrics["generator_samples"]["auc"] == metrics["generator_samples"]["auc_within_questions"] == 0.5
    assert "auc" not in metrics["by_author"]["solver"], "all of them are right"
    assert metrics["by_author"]["solver"]["auc_against_others"] > 0.7
    assert metrics["by_author"]["generator"]["texts"] == 120


def test_a_hard_question_counts_within_itself() -> None:
    """Margins that differ by question hide an order that is perfect within each."""
    found = items()
    shift = {item.question: 10.0 * index for index, item in enumerate(found)}
    metrics = reported(np.array([shift[item.question] + item.right for item in found]), found)
    assert metrics["auc_within_questions"] == 1.0 and metrics["auc"] < 0.6


def test_nothing_of_the_generator() -> None:
    found = [item for item in items() if item.author == "solver" or not item.right]
    texts = Reasonings(LabelledReasoning, found)
    assert report(np.zeros(len(found)), texts, Calibration(), False, generator="x")["generator_samples"] is None


def test_auc_within_groups_of_one_kind() -> None:
    assert auc_within(np.array([1.0, 0.0]), np.array([True, False]), ["a", "b"]) is None
    assert auc_within(np.array([1.0, 1.0, 9.0]), np.array([True, False, False]), ["a", "a", "b"]) == (0.5, 1)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.sampled_from("abc")), max_size=30))
def test_auc_within_groups_is_the_share_of_pairs_in_order(found: list[tuple[int, bool, str]]) -> None:
    shares = []
    for group in "abc":
        own, others = ([score for score, right, name in found if name == group and right == of] for of in (True, False))
        pairs = [(a > b) + 0.5 * (a == b) for a in own for b in others]
        shares += [sum(pairs) / len(pairs)] if pairs else []
    scores, right = np.array([float(one[0]) for one in found]), np.array([one[1] for one in found], np.bool_)
    mean = auc_within(scores, right, [one[2] for one in found])
    assert mean == ((pytest.approx(sum(shares) / len(shares)), len(shares)) if shares else None)
