"""What both trainings share: the held-out split, the arguments, the curves."""

import csv
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.core.errors import AugenError
from augen.entries import origin
from augen.training.trainer import curve_csv, grouped_by_length, shared_out, split_by_problem, training_arguments
from tests.params import params

Item = tuple[str, int]  # (problem id, which of its items)


def split(found: Sequence[Item], held_out: float, seed: int) -> tuple[list[Item], list[Item]]:
    train, out = split_by_problem((problem for problem, _ in found), held_out, seed)
    return [found[place] for place in train], [found[place] for place in out]


# --- the split

problem_ids = st.builds(lambda n, copy: f"p{n}{copy}", st.integers(0, 30), st.sampled_from(["", "~1", "~2"]))
items = st.lists(st.tuples(problem_ids, st.integers(0, 9)), min_size=2).filter(
    lambda found: len({origin(problem) for problem, _ in found}) > 1
)


@given(items, st.floats(0.01, 0.99), st.integers(0, 100))
def test_a_problem_and_its_copies_fall_on_one_side(found: list[Item], held_out: float, seed: int) -> None:
    train, out = split(found, held_out, seed)
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
    assert {problem for problem, _ in split(found, 0.3, seed)[1]} == {
        problem for problem, _ in split(shuffled, 0.3, seed)[1]
    }


def test_another_seed_holds_out_others() -> None:
    found = [(f"p{n}", 0) for n in range(50)]
    assert split(found, 0.2, 1) == split(found, 0.2, 1)
    assert split(found, 0.2, 1) != split(found, 0.2, 2)


@pytest.mark.parametrize("found", [[], [("p1", 0)], [("p1", 0), ("p1~1", 0)]])
def test_one_problem_cannot_be_split(found: list[Item]) -> None:
    with pytest.raises(AugenError, match="at least 2 problems are needed"):
        split(found, 0.5, 1)


# --- arguments


SECTION = params().finetune


def arguments(examples: int, processes: int = 1, **changes: Any) -> dict[str, Any]:
    return training_arguments(SECTION.model_copy(update=changes), 42, Path("scratch"), examples, processes)


def test_arguments_follow_the_params() -> None:
    found = arguments(320, batch_size=8, gradient_accumulation=2, epochs=3.0, warmup=0.1, optimizer="lomo")
    assert (found["per_device_train_batch_size"], found["gradient_accumulation_steps"]) == (8, 2)
    assert (found["num_train_epochs"], found["warmup_steps"], found["optim"]) == (3.0, 0.1, "lomo")
    assert (found["seed"], found["data_seed"], found["output_dir"]) == (42, 42, "scratch")
    assert found["eval_steps"] == 60 // 8 and found["logging_steps"] == 60 // 32  # of 60 steps
    assert found["report_to"] == "none" and found["eval_on_start"]


@given(st.integers(1, 5000), st.integers(1, 64), st.floats(0.1, 20), st.integers(1, 40))
def test_how_often_a_training_is_measured(examples: int, batch: int, epochs: float, evaluations: int) -> None:
    found = arguments(examples, batch_size=batch, gradient_accumulation=1, epochs=epochs, evaluations=evaluations)
    steps = max(1, round(examples / batch * epochs))
    assert found["eval_steps"] >= 1 and found["logging_steps"] >= 1
    assert steps // found["eval_steps"] >= min(steps, evaluations)
    assert found["save_steps"] == found["eval_steps"], "the best model is among the checkpoints"
    assert found["eval_steps"] % found["logging_steps"] == 0, "nothing of the log is lost between two checkpoints"


@given(st.integers(1, 64), st.integers(1, 8), st.integers(1, 8))
def test_a_step_is_the_same_on_any_number_of_processes(batch: int, accumulation: int, processes: int) -> None:
    if batch * accumulation % processes:
        with pytest.raises(AugenError, match=f"cannot be shared out evenly among {processes} processes"):
            shared_out(batch, accumulation, processes)
        return
    each, accumulated = shared_out(batch, accumulation, processes)
    assert each * accumulated * processes == batch * accumulation
    assert each <= batch, "no more memory than one process alone would need"
    if processes == 1:
        assert (each, accumulated) == (batch, accumulation)


def test_lomo_trains_in_one_process() -> None:
    with pytest.raises(AugenError, match="lomo updates within one process"):
        arguments(320, processes=2, optimizer="lomo")


# --- order


def grouped(lengths: list[int], batch: int, seed: int) -> list[int]:
    return grouped_by_length(np.array(lengths, np.int32), batch, Random(seed)).tolist()


@given(st.lists(st.integers(1, 300), max_size=200), st.integers(1, 9), st.integers(0, 9))
def test_an_epoch_has_every_example_once(lengths: list[int], batch: int, seed: int) -> None:
    order = grouped(lengths, batch, seed)
    assert sorted(order) == list(range(len(lengths)))
    assert order == grouped(lengths, batch, seed)
    if len(lengths) >= batch:
        assert max(lengths[i] for i in order[:batch]) == max(lengths) or len(lengths) % batch, "the longest come first"


def test_batches_hold_similar_lengths_in_no_order_of_length() -> None:
    lengths = [Random(n).randint(1, 300) for n in range(400)]
    order = grouped(lengths, 8, 1)
    batches = [[lengths[i] for i in order[start : start + 8]] for start in range(0, 400, 8)]
    padded = sum(max(found) * len(found) for found in batches)
    assert padded < 1.15 * sum(lengths), "unsorted it would be about 1.8"
    longest = [max(found) for found in batches]
    risen = sum(a < b for a, b in itertools.pairwise(longest))
    assert 15 < risen < 35, "lengths neither rise nor fall over an epoch"
    assert order != grouped(lengths, 8, 2)


def test_the_order_of_a_million_examples_is_there_at_once() -> None:
    """Not in time with the square of their number, which would be a quarter of an hour."""
    lengths = np.random.default_rng(1).integers(1, 300, 1_000_000)
    assert len(grouped_by_length(lengths, 2, Random(1))) == len(lengths)


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
