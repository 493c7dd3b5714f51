"""Adaptive stopping replayed from recorded samples: by hand, and against the round loop, question by question."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any, get_args
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augen.entries import letter_of
from augen.evaluation.replay import curves, outcome, replay, savings, second_vote, second_vote_sentence
from augen.voting.grid import SampleGrid
from augen.voting.samples import CODES, ROW, DevQuestions, Sample, Samples
from augen.voting.settings import Method, Mode, Resample, VotingSettings
from augen.voting.vote import SCORE_UNITS
from tests.oracles import Place, decide, next_places

SETTINGS = VotingSettings(voters=5, threshold=0.5, certainty=0.8)


def samples_of(*questions: str, score: float = 0.9) -> Samples:
    """Round 0 of each question: the answers of its slots, a point where none was parsed."""
    rows = [
        (q, slot, 0, "ABCD".find(letter), score, letter != "." and score >= 0.5, 10, -1, False)
        for q, letters in enumerate(questions)
        for slot, letter in enumerate(letters, start=1)
    ]
    return Samples([f"p{q}#1" for q in range(len(questions))], np.array(rows, dtype=ROW))


def asked(truth: str) -> DevQuestions:
    count = len(truth)
    codes = np.array(["ABCD".index(letter) for letter in truth])
    return DevQuestions([f"p{q}#1" for q in range(count)], codes, np.full(count, 4), [f"p{q}" for q in range(count)])


def test_what_is_saved_and_what_it_costs() -> None:
    """AAAAA ends after 2; ABAAA after 4 (3 to 1 cannot be turned by the last one); AABBB after 2, and is wrong then."""
    found = savings(samples_of("AAAAA", "ABAAA", "AABBB"), asked("AAB"), SETTINGS)
    assert found is not None
    assert (found["samples_per_question"], found["samples_per_question_without"]) == ((2 + 4 + 2) / 3, 5.0)
    assert found["difference"] == pytest.approx(-1 / 3)
    assert found["times_fewer"] == pytest.approx(15 / 8)


def test_what_a_second_vote_buys() -> None:
    """One sample, of which the generator is not sure, settles nothing; the second question is right in the end."""
    found = second_vote(samples_of("AAAAA", "ABBBB", "CCCCC"), asked("ABC"), SETTINGS)
    assert found is not None
    assert (found["questions"], found["last"]) == (3, 1.0)
    assert (found["first"], found["gain"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    sentence = second_vote_sentence(found, 3)
    assert "3 of 3 questions go on" in sentence and "0.667 of them are right, in the end 1.000 (+0.333" in sentence
    assert "get 1.000 of them right: stopping early is +0.000 ± 0.000" in sentence and "no answer" not in sentence


def test_a_second_vote_is_compared_with_all_votes() -> None:
    """AABBB ends after two A. The first sample of .ABBB has no answer, and it goes on to the end."""
    found = second_vote(samples_of("AABBB", ".ABBB"), asked("BB"), SETTINGS)
    assert found is not None
    assert (found["questions"], found["unanswered"], found["first"], found["last"]) == (2, 1, 0.0, 0.5)
    assert (found["every"], found["difference"]) == (1.0, -0.5)
    sentence = second_vote_sentence(found, 9)
    assert "first samples, 1 of them since these have no answer" in sentence
    assert "All votes, without infer.adaptive, get 1.000 of them right: stopping early is -0.500 ±" in sentence
    drawn = samples_of("AA")
    known = second_vote(drawn, asked("A"), SETTINGS)
    assert known is not None and "every" not in known and "All votes" not in second_vote_sentence(known, 1)


def test_when_there_is_no_second_vote() -> None:
    one = replace(SETTINGS, voters=1)
    assert second_vote(samples_of("A"), asked("A"), one) is None, "none went on"
    assert second_vote(samples_of("AB"), asked("A"), SETTINGS) is None, "what comes after these was not drawn"
    assert second_vote_sentence(None, 3) == ""


def test_a_curve_has_a_point_for_every_number_of_voters() -> None:
    found = curves(samples_of("AAAAA", "BBBBB"), asked("AA"), SETTINGS)
    assert [point["samples"] for point in found["all_votes"]] == [1, 2, 3, 4, 5]
    assert [point["samples"] for point in found["adaptive"]] == [1, 2, 2, 3, 2], "of four, two more could tie"
    assert {point["accuracy"] for points in found.values() for point in points} == {0.5}
    assert [point["voters"] for point in found["adaptive"]] == [1, 2, 3, 4, 5]


def test_every_slot_is_the_first_once() -> None:
    """One voter: the mean over the five slots, of which two are right."""
    found = curves(samples_of("ABCBD"), asked("B"), SETTINGS)
    assert found["all_votes"][0] == {"voters": 1, "samples": 1.0, "accuracy": pytest.approx(0.4)}


def test_nothing_parsed_is_not_right() -> None:
    found = savings(samples_of(".....", "AAAAA"), asked("AA"), SETTINGS)
    assert found is not None
    assert [found[key] for key in ("samples_per_question", "samples_per_question_without", "difference")] == [
        3.5,
        5.0,
        0.0,
    ]


def test_adaptively_drawn_samples_tell_only_what_was_drawn() -> None:
    """Two of five were drawn: the rule is replayed as it was, all votes are not known."""
    drawn = samples_of("AA")
    assert savings(drawn, asked("A"), SETTINGS) is None
    found = curves(drawn, asked("A"), SETTINGS)
    assert [point["voters"] for point in found["all_votes"]] == [1, 2]
    assert found["adaptive"][-1] == {"voters": 5, "samples": 2.0, "accuracy": 1.0}


def test_programs_come_first_and_are_counted() -> None:
    """One program, worth three votes: against two reasonings it settles a question; where it abstains they do."""
    reasonings = samples_of("AB", "BB")
    programs = [(0, 1, 0, 0, np.nan, True, 10, -1, True), (1, 1, 0, -1, np.nan, False, 10, -1, True)]
    rows = np.concatenate([reasonings.rows, np.array(programs, dtype=ROW)])
    with_programs = replace(SETTINGS, voters=2, programs=1, program_weight=3.0)
    found = savings(Samples(reasonings.ids, rows), asked("AB"), with_programs)
    assert found is not None
    assert (found["samples_per_question"], found["samples_per_question_without"]) == ((1 + 3) / 2, 3.0)
    assert found["difference"] == 0
    sparing = Samples(reasonings.ids, rows[(rows["question"] == 1) | rows["program"]])
    assert savings(sparing, asked("AB"), with_programs) is None, "what the reasonings would have said is not known"
    points = curves(sparing, asked("AB"), with_programs)
    assert points["all_votes"] == []
    assert points["adaptive"][-1] == {"voters": 2, "samples": 2.0, "accuracy": 1.0}


def test_redraws_are_replayed_by_slot_and_left_out_by_question() -> None:
    rows = [
        (0, 1, 0, 0, 0.1, False, 9, -1, False),
        (0, 1, 1, 1, 0.9, True, 9, -1, False),
        (0, 2, 0, 1, 0.9, True, 9, -1, False),
    ]
    samples = Samples(["p0#1"], np.array(rows, dtype=ROW))

    def points(**changes: Any) -> list[dict[str, Any]]:
        fewer = replace(SETTINGS, voters=2, max_resample=1, **changes)
        return curves(samples, asked("B"), fewer)["all_votes"]

    # One voter: slot 1 takes two draws, slot 2 one.
    assert points() == [
        {"voters": 1, "samples": 1.5, "accuracy": 1.0},
        {"voters": 2, "samples": 3.0, "accuracy": 1.0},
    ]
    assert [point["samples"] for point in points(resample="question")] == [1, 2]


def test_scores_and_their_absence_are_read() -> None:
    rows = [
        (0, 1, 0, 0, 0.25, False, 9, 40, False),
        (0, 2, 0, -1, np.nan, False, 9, -1, False),
        (0, 2, 1, 2, np.nan, True, 9, -1, False),
    ]
    found = SampleGrid.of(Samples(["p0#1"], np.array(rows, dtype=ROW)), VotingSettings(3, 1, 0.5))
    assert found.answers.tolist() == [[[0, -1], [-1, 2], [-1, -1]]]
    assert found.ranks.tolist() == [[[40, -1], [-1, -1], [-1, -1]]]
    assert found.drawn.tolist() == [[[True, False], [True, True], [False, False]]]
    assert found.accepted.tolist() == [[[False, False], [False, True], [False, False]]]
    assert found.weights[0, 0, 0] == SCORE_UNITS // 4
    assert found.weights[0, 1].tolist() == [SCORE_UNITS, SCORE_UNITS]


Grid = dict[Place, Sample]  # a question's samples


def replayed(recorded: Grid, asked_for: VotingSettings, order: Sequence[int]) -> list[Sample] | None:
    """The round loop itself, one question at a time: what `replay` does for all at once."""
    history: list[Sample] = []
    while places := next_places(history, asked_for):
        for mode, slot, round_ in places:
            sample = recorded.get((mode, order[slot - 1] if mode == "steps" else slot, round_))
            if sample is None:
                return None
            history.append(replace(sample, slot=slot))
    return history


def made_up(random: Random, programs: int, slots: int, rounds: int, missing: float) -> list[Grid]:
    """Twenty questions with nearly all slots and rounds."""
    counts: dict[Mode, int] = {"program": programs, "steps": slots}
    places = [(mode, n, round_) for mode in counts for n in range(1, counts[mode] + 1) for round_ in range(rounds)]
    letters = random.choice(["AAB.", "A.", "ABCD."])
    scores: list[float | None] = random.choice([[0.1, 0.5, 0.9, None], [0.1, 0.4, 0.4, 0.45]])
    ranks: list[int | None] = random.choice([[None], [None, 20, 90], [0, 50, 70, 100]])
    return [
        {
            place: Sample(
                None if letter == "." else letter,
                random.choice(scores) if place[0] == "steps" else None,
                *place[1:],
                random.choice(ranks),
                mode=place[0],
            )
            for place in places
            if (letter := random.choice(letters)) and random.random() >= missing
        }
        for _ in range(20)
    ]


def rows_of(questions: Sequence[Grid], threshold: float) -> Samples:
    rows = [
        (
            q,
            *place[1:],
            CODES[s.answer],
            np.nan if s.score is None else s.score,
            s.accepted(threshold),
            9,
            -1 if s.logprob_rank is None else s.logprob_rank,
            s.mode == "program",
        )
        for q, recorded in enumerate(questions)
        for place, s in recorded.items()
    ]
    return Samples([f"p{q}#1" for q in range(len(questions))], np.array(rows, dtype=ROW))


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**32),
    slots=st.integers(1, 6),
    programs=st.sampled_from([0, 0, 1, 2]),
    weight=st.sampled_from([0.0, 0.4, 1.0, 2.5]),
    rounds=st.integers(1, 3),
    fewer=st.tuples(st.integers(0, 2), st.integers(0, 1)),
    missing=st.sampled_from([0, 0, 0, 0.005]),
    stops=st.booleans(),
    method=st.sampled_from(get_args(Method)),
    resample=st.sampled_from(get_args(Resample)),
    block=st.sampled_from([7, 1000]),
)
def test_all_questions_at_once_are_each_question_by_itself(
    seed: int,
    slots: int,
    programs: int,
    weight: float,
    rounds: int,
    fewer: tuple[int, int],
    missing: float,
    stops: bool,
    method: Method,
    resample: Resample,
    block: int,
) -> None:
    random = Random(seed)
    questions = made_up(random, programs, slots, rounds, missing)
    most = VotingSettings(
        *(slots, rounds - 1, 0.45, resample, method),
        adaptive=stops, certainty=0.8, programs=programs, program_weight=weight,
    )  # fmt: skip
    rule = replace(most, voters=max(1, slots - fewer[0]), max_resample=max(0, rounds - 1 - fewer[1]))
    order = random.sample(range(1, slots + 1), slots)
    truth = np.array(random.choices(range(3), k=len(questions)))

    histories = [replayed(recorded, rule, order) for recorded in questions]
    recorded = SampleGrid.of(rows_of(questions, rule.threshold), most)
    columns = [*range(programs), *(programs + slot - 1 for slot in order[: rule.voters])]
    with patch("augen.voting.vote.BLOCK", block):
        drawn = replay(recorded[:, columns, : rule.max_resample + 1], rule)
        found = outcome(recorded, truth, rule, order)
    if None in histories:
        assert drawn is None and found is None
        return
    assert drawn is not None and found is not None
    for own, history, code, samples, right in zip(drawn, histories, truth, found.samples, found.right, strict=True):
        assert history is not None
        assert {(int(column), int(round_)) for column, round_ in zip(*np.nonzero(own), strict=True)} == {
            (sample.slot - 1 + (programs if sample.mode == "steps" else 0), sample.round) for sample in history
        }
        assert samples == len(history)
        assert right == (decide(history, replace(rule, fallback="Z")).answer == letter_of(code))
