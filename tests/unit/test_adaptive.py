"""Adaptive stopping replayed from recorded samples: by hand, and against the round loop itself."""

import doctest
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augen import adaptive
from augen.adaptive import Knobs, curves, recorded_of, replay, savings
from augen.sample_file import ROW, Questions, Samples
from augen.voting import Resample, Sample, next_draws

KNOBS = Knobs(voters=5, max_resample=0, threshold=0.5, resample="slot", method="majority")


def samples_of(*questions: str, score: float = 0.9) -> Samples:
    """Round 0 of each question: the answers of its slots, a point where none was parsed."""
    rows = [
        (q, slot, 0, "ABCD".find(letter), score, letter != "." and score >= 0.5, 10)
        for q, letters in enumerate(questions)
        for slot, letter in enumerate(letters, start=1)
    ]
    return Samples([f"p{q}#1" for q in range(len(questions))], np.array(rows, dtype=ROW))


def asked(truth: str) -> Questions:
    count = len(truth)
    codes = np.array(["ABCD".index(letter) for letter in truth])
    return Questions([f"p{q}#1" for q in range(count)], codes, np.full(count, 4), [f"p{q}" for q in range(count)])


def test_worked_examples() -> None:
    result = doctest.testmod(adaptive)
    assert result.attempted and not result.failed


def test_what_is_saved_and_what_it_costs() -> None:
    """AAAAA ends after 2; ABAAA after 4 (3 to 1 cannot be turned by the last one); AABBB after 2, and is wrong then."""
    found = savings(samples_of("AAAAA", "ABAAA", "AABBB"), asked("AAB"), KNOBS)
    assert found is not None
    assert (found.samples, found.all_samples) == ((2 + 4 + 2) / 3, 5.0)
    assert found.difference.value == pytest.approx(-1 / 3)
    assert found.numbers["times_fewer"] == pytest.approx(15 / 8)


def test_a_curve_has_a_point_for_every_number_of_voters() -> None:
    found = curves(samples_of("AAAAA", "BBBBB"), asked("AA"), KNOBS)
    assert [point["samples"] for point in found["all_votes"]] == [1, 2, 3, 4, 5]
    assert [point["samples"] for point in found["adaptive"]] == [1, 2, 2, 3, 2], "of four, two more could tie"
    assert {point["accuracy"] for points in found.values() for point in points} == {0.5}
    assert [point["voters"] for point in found["adaptive"]] == [1, 2, 3, 4, 5]


def test_every_slot_is_the_first_once() -> None:
    """One voter: the mean over the five slots, of which two are right."""
    found = curves(samples_of("ABCBD"), asked("B"), KNOBS)
    assert found["all_votes"][0] == {"voters": 1, "samples": 1.0, "accuracy": pytest.approx(0.4)}


def test_nothing_parsed_is_not_right() -> None:
    found = savings(samples_of(".....", "AAAAA"), asked("AA"), KNOBS)
    assert found is not None
    assert (found.samples, found.all_samples, found.difference.value) == ((5 + 2) / 2, 5.0, 0.0)


def test_adaptively_drawn_samples_tell_only_what_was_drawn() -> None:
    """Two of five were drawn: the rule is replayed as it was, all votes are not known."""
    drawn = samples_of("AA")
    assert savings(drawn, asked("A"), KNOBS) is None
    found = curves(drawn, asked("A"), KNOBS)
    assert [point["voters"] for point in found["all_votes"]] == [1, 2]
    assert found["adaptive"][-1] == {"voters": 5, "samples": 2.0, "accuracy": 1.0}


def test_redraws_are_replayed_by_slot_and_left_out_by_question() -> None:
    rows = [(0, 1, 0, 0, 0.1, False, 9), (0, 1, 1, 1, 0.9, True, 9), (0, 2, 0, 1, 0.9, True, 9)]
    samples = Samples(["p0#1"], np.array(rows, dtype=ROW))

    def points(**changes: Any) -> list[dict[str, Any]]:
        knobs = Knobs(**(vars(KNOBS) | {"voters": 2, "max_resample": 1} | changes))
        return curves(samples, asked("B"), knobs)["all_votes"]

    # One voter: slot 1 takes two draws, slot 2 one.
    assert points() == [
        {"voters": 1, "samples": 1.5, "accuracy": 1.0},
        {"voters": 2, "samples": 3.0, "accuracy": 1.0},
    ]
    assert [point["samples"] for point in points(resample="question")] == [1, 2]


def test_scores_and_their_absence_are_read() -> None:
    rows = [(0, 1, 0, 0, 0.25, False, 9), (0, 2, 0, -1, np.nan, False, 9)]
    [recorded] = recorded_of(Samples(["p0#1"], np.array(rows, dtype=ROW)))
    assert recorded == {(1, 0): Sample("A", 0.25, 1), (2, 0): Sample(None, None, 2)}


@settings(deadline=None, max_examples=50)
@given(
    letters=st.lists(st.sampled_from("AAB."), min_size=12, max_size=12),
    scores=st.lists(st.sampled_from([0.1, 0.9]), min_size=12, max_size=12),
    voters=st.integers(1, 4),
    resample=st.sampled_from(get_args(Resample)),
    stops=st.booleans(),
)
def test_a_replay_is_the_round_loop(
    letters: list[str], scores: list[float], voters: int, resample: Resample, stops: bool
) -> None:
    places = [(slot, round_) for slot in range(1, 5) for round_ in range(3)]
    recorded = {
        place: Sample(None if letter == "." else letter, score, *place)
        for place, letter, score in zip(places, letters, scores, strict=True)
    }
    history: list[Sample] = []
    while draws := next_draws(history, voters, 2, 0.5, resample, stops):
        history += [recorded[place] for place in draws]
    assert replay(recorded, Knobs(voters, 2, 0.5, resample, "weighted"), stops, [1, 2, 3, 4]) == history
