"""What both trainings share: the held-out split, the arguments, the curves."""

import csv
import doctest
import io
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen import params, training
from augen.entries import origin
from augen.errors import AugenError
from augen.training import curve_csv, split_by_problem, training_arguments

Item = tuple[str, int]  # (problem id, which of its items)


def problem_of(item: Item) -> str:
    return item[0]


def test_worked_examples() -> None:
    result = doctest.testmod(training)
    assert result.attempted and not result.failed


# --- the split

problem_ids = st.builds(lambda n, copy: f"p{n}{copy}", st.integers(0, 30), st.sampled_from(["", "~1", "~2"]))
items = st.lists(st.tuples(problem_ids, st.integers(0, 9)), min_size=2).filter(
    lambda found: len({origin(problem) for problem, _ in found}) > 1
)


@given(items, st.floats(0.01, 0.99), st.integers(0, 100))
def test_a_problem_and_its_copies_fall_on_one_side(found: list[Item], held_out: float, seed: int) -> None:
    train, out = split_by_problem(found, problem_of, held_out, seed)
    sides = [{origin(problem) for problem, _ in part} for part in (train, out)]
    assert sides[0] and sides[1], "something on each side"
    assert not sides[0] & sides[1]
    assert [i for i in found if origin(i[0]) in sides[0]] == train, "in input order"
    assert [i for i in found if origin(i[0]) in sides[1]] == out
    problems = len(sides[0] | sides[1])
    assert abs(len(sides[1]) - held_out * problems) <= 1


@given(items, st.integers(0, 100))
def test_which_problems_are_held_out_does_not_depend_on_the_order(found: list[Item], seed: int) -> None:
    shuffled = Random(seed).sample(found, len(found))
    assert {problem for problem, _ in split_by_problem(found, problem_of, 0.3, seed)[1]} == {
        problem for problem, _ in split_by_problem(shuffled, problem_of, 0.3, seed)[1]
    }


def test_another_seed_holds_out_others() -> None:
    found = [(f"p{n}", 0) for n in range(50)]
    assert split_by_problem(found, problem_of, 0.2, 1) == split_by_problem(found, problem_of, 0.2, 1)
    assert split_by_problem(found, problem_of, 0.2, 1) != split_by_problem(found, problem_of, 0.2, 2)


@pytest.mark.parametrize("found", [[], [("p1", 0)], [("p1", 0), ("p1~1", 0)]])
def test_one_problem_cannot_be_split(found: list[Item]) -> None:
    with pytest.raises(AugenError, match="at least 2 are needed"):
        split_by_problem(found, problem_of, 0.5, 1)


# --- arguments


SECTION = params.load("finetune", path=Path(__file__).parents[2] / "params.yaml").finetune


def arguments(examples: int, **changes: Any) -> dict[str, Any]:
    return training_arguments(SECTION.model_copy(update=changes), 42, Path("scratch"), examples)


def test_arguments_follow_the_params() -> None:
    found = arguments(320, batch_size=8, gradient_accumulation=2, epochs=3.0, warmup=0.1, optimizer="lomo")
    assert (found["per_device_train_batch_size"], found["gradient_accumulation_steps"]) == (8, 2)
    assert (found["num_train_epochs"], found["warmup_steps"], found["optim"]) == (3.0, 0.1, "lomo")
    assert (found["seed"], found["data_seed"], found["output_dir"]) == (42, 42, "scratch")
    assert found["eval_steps"] == 60 // 8 and found["logging_steps"] == 60 // 32  # of 60 steps
    assert found["report_to"] == "none" and found["save_strategy"] == "no"


@given(examples=st.integers(1, 5000), batch=st.integers(1, 64), epochs=st.floats(0.1, 20))
def test_a_training_of_any_length_is_measured_about_eight_times(examples: int, batch: int, epochs: float) -> None:
    found = arguments(examples, batch_size=batch, epochs=epochs)
    steps = max(1, round(examples / batch * epochs))
    assert found["eval_steps"] >= 1 and found["logging_steps"] >= 1
    assert steps // found["eval_steps"] >= min(steps, training.EVALUATIONS)


# --- curves


def rows(history: list[dict[str, Any]], *columns: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(curve_csv(history, columns))))


def test_a_curve_has_a_line_per_logged_step() -> None:
    history = [
        {"step": 4, "loss": 0.5, "learning_rate": 1e-4},
        {"step": 2, "loss": 0.75},
        {"step": 4, "eval_loss": 0.6},
        {"step": 4, "train_runtime": 3.0},
        {"step": 6, "train_runtime": 9.0},
    ]
    assert rows(history, "loss", "eval_loss") == [
        {"step": "2", "loss": "0.75", "eval_loss": ""},
        {"step": "4", "loss": "0.5", "eval_loss": "0.6"},
    ]


def test_a_curve_of_nothing_has_its_head() -> None:
    assert curve_csv([], ["loss"]) == "step,loss\n"


@given(st.floats(1e-6, 1e6))
def test_numbers_keep_six_digits(value: float) -> None:
    assert float(rows([{"step": 1, "loss": value}], "loss")[0]["loss"]) == pytest.approx(value, rel=1e-5)
