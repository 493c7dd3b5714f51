"""Slots of programs in the vote and in the order of drawing: the arrays against the rules for one question."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augen.voting.grid import SampleGrid
from augen.voting.samples import CODES, Sample
from augen.voting.settings import Method, Mode, Resample, VotingSettings
from augen.voting.stopping import next_slots
from tests.oracles import Place, decide, next_draws, next_places

Made = dict[Place, Sample]  # what each place of a question holds, whether or not it is drawn
SETTINGS = VotingSettings(voters=3, max_resample=1, threshold=0.5, programs=2, program_weight=2.0)


def made_up(random: Random, limits: VotingSettings) -> list[Made]:
    """Eight questions with every slot and round."""
    letters = random.choice(["AAB.", "A.", "ABCD.", "."])
    scores: list[float | None] = random.choice([[0.1, 0.5, 0.9, None], [0.1, 0.25, 0.5]])
    ranks: list[int | None] = random.choice([[None], [None, 20, 90], [0, 50, 70, 100]])
    slots: dict[Mode, int] = {"program": limits.programs, "steps": limits.voters}
    return [
        {
            (mode, slot, round_): Sample(
                answer=None if (letter := random.choice(letters)) == "." else letter,
                score=random.choice(scores) if mode == "steps" else None,
                slot=slot,
                round=round_,
                logprob_rank=random.choice(ranks),
                mode=mode,
            )
            for mode, count in slots.items()
            for slot in range(1, count + 1)
            for round_ in range(limits.max_resample + 1)
        }
        for _ in range(8)
    ]


def one_by_one(made: Made, rule: VotingSettings) -> list[Sample]:
    """The samples of a question, drawn as tests/oracles.py says."""
    history: list[Sample] = []
    while places := next_places(history, rule):
        history += [made[place] for place in places]
    return history


def all_at_once(made: Sequence[Made], rule: VotingSettings) -> SampleGrid:
    """The samples of all questions, drawn as the arrays say."""
    grid = SampleGrid.empty(len(made), rule)
    while (now := next_slots(grid, grid.drawn, rule)).any():
        for q, column in zip(*np.nonzero(now), strict=True):
            mode: Mode = "program" if column < rule.programs else "steps"
            slot = int(column) + 1 - (0 if mode == "program" else rule.programs)
            grid.add([int(q)], [made[q][mode, slot, int(grid.drawn[q, column].sum())]], rule.threshold)
    return grid


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**32),
    slots=st.tuples(st.integers(0, 3), st.integers(1, 5)),
    max_resample=st.integers(0, 2),
    weight=st.sampled_from([0.0, 0.3, 1.0, 2.0, 2.5, 50.0]),
    method=st.sampled_from(get_args(Method)),
    resample=st.sampled_from(get_args(Resample)),
    adaptive=st.booleans(),
    precision=st.sampled_from([None, 0.5, 0.9]),
)
def test_all_questions_at_once_are_each_question_by_itself(
    seed: int,
    slots: tuple[int, int],
    max_resample: int,
    weight: float,
    method: Method,
    resample: Resample,
    adaptive: bool,
    precision: float | None,
) -> None:
    rule = VotingSettings(slots[1], max_resample, 0.45, resample, method, "J", adaptive, 0.8)
    rule = replace(rule, programs=slots[0], program_weight=weight, program_precision=precision)
    made = made_up(Random(seed), rule)
    histories = [one_by_one(own, rule) for own in made]
    grid = all_at_once(made, rule)

    by_hand = SampleGrid.empty(len(made), rule)
    for number, history in enumerate(histories):
        by_hand.add([number] * len(history), history, rule.threshold)
    assert np.array_equal(grid.drawn, by_hand.drawn) and np.array_equal(grid.answers, by_hand.answers)
    handed_in = [CODES["J"] if code < 0 else code for code in grid.voted(rule).tolist()]
    assert handed_in == [CODES[decide(history, rule).answer] for history in histories]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    programs=st.integers(1, 3),
    resample=st.sampled_from(get_args(Resample)),
    method=st.sampled_from(get_args(Method)),
)
def test_without_weight_programs_change_neither_the_reasonings_nor_the_vote(
    seed: int, programs: int, resample: Resample, method: Method
) -> None:
    without = VotingSettings(3, 2, 0.5, resample, method)
    rule = replace(without, programs=programs, program_weight=0.0)
    made = made_up(Random(seed), rule)
    found, alone = all_at_once(made, rule), all_at_once(made, without)
    assert np.array_equal(found.steps.drawn, alone.drawn)
    assert np.array_equal(found.voted(rule), alone.voted(without))
    sparing = all_at_once(made, replace(rule, adaptive=True))
    assert not sparing.programs.drawn.any()
    assert np.array_equal(sparing.steps.drawn, all_at_once(made, replace(without, adaptive=True)).drawn)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), adaptive=st.booleans(), resample=st.sampled_from(get_args(Resample)))
def test_without_slots_for_programs_the_draws_are_those_of_reasonings(
    seed: int, adaptive: bool, resample: Resample
) -> None:
    rule = VotingSettings(4, 2, 0.5, resample, adaptive=adaptive)
    [made, *_] = made_up(Random(seed), rule)
    history: list[Sample] = []
    while draws := next_draws(history, rule):
        history += [made["steps", slot, round_] for slot, round_ in draws]
    assert history == one_by_one(made, rule)


def grid_of(*samples: Sample) -> SampleGrid:
    grid = SampleGrid.empty(1, SETTINGS)
    grid.add([0] * len(samples), samples, SETTINGS.threshold)
    return grid


def test_parts_of_a_grid() -> None:
    program, step = Sample("C", slot=2, round=1, mode="program"), Sample("B", 0.9, slot=1)
    grid = grid_of(program, step)
    assert grid.answers.shape == (1, 5, 2)
    assert grid.programs.answers.tolist() == [[[-1, -1], [-1, 2]]]
    assert grid.steps.answers[0, 0].tolist() == [1, -1]
    assert (grid.program_slots, grid.steps.program_slots, grid.programs.program_slots) == (2, 0, 2)
    assert grid[:, :, :1].program_slots == 2 and grid[[0]].program_slots == 2
    assert grid[:, [1, 4, 2]].program_slots == 1
    assert grid.only(grid.drawn).program_slots == 2
    assert grid.programs.accepted.sum() == 1, "a program is accepted when it has a letter"


@pytest.mark.parametrize(
    ("weight", "method", "winner"),
    [
        (0.0, "majority", "A"),
        (1.0, "majority", "A"),  # two votes each, and A has the higher score sum
        (1.1, "majority", "D"),
        (0.7, "weighted", "A"),  # 1.5 for A, twice 0.7 for D
        (0.75, "weighted", "A"),  # a tie
        (0.8, "weighted", "D"),
        (0.4, "best", "A"),  # 0.9 for A, twice 0.4
        (0.5, "best", "D"),
    ],
)
def test_what_a_program_weighs(weight: float, method: Method, winner: str) -> None:
    steps = [Sample("A", 0.9, 1), Sample("A", 0.6, 2), Sample("B", 0.8, 3)]
    programs = [Sample("D", slot=slot, mode="program") for slot in (1, 2)]
    rule = replace(SETTINGS, method=method, program_weight=weight)
    assert grid_of(*steps, *programs).voted(rule).tolist() == [CODES[winner]]
    assert decide([*steps, *programs], rule).answer == winner


@pytest.mark.parametrize(
    ("weight", "precision", "programs", "steps"),
    [(3.0, None, 1, 0), (1.0, None, 2, 0), (0.0, None, 0, 2), (1.0, 0.79, 2, 0), (1.0, 0.8, 1, 0), (0.0, 0.8, 0, 2)],
)
def test_precise_programs_save_reasonings(weight: float, precision: float | None, programs: int, steps: int) -> None:
    """All agree: one program settles the question if it is worth three reasonings, or is right as often as is asked."""
    rule = VotingSettings(5, 2, 0.5, adaptive=True, certainty=0.8, programs=2, program_weight=weight)
    rule = replace(rule, program_precision=precision)
    places = [(mode, slot, 0) for mode in get_args(Mode) for slot in range(1, 6)]
    made = {place: Sample("A", None, *place[1:], logprob_rank=50, mode=place[0]) for place in places}
    history = one_by_one(made, rule)
    assert [sum(sample.mode == mode for sample in history) for mode in ("program", "steps")] == [programs, steps]
