"""Which problems are held out, and for what."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.core.errors import AugenError
from augen.entries import Entry
from stages.prepare import split


def entries(count: int) -> list[Entry]:
    return [Entry(f"题目{n}。", [], f"p{n}") for n in range(count)]


@given(count=st.integers(4, 60), dev=st.floats(0.2, 0.7), votes=st.floats(0, 0.5), seed=st.integers(0, 100))
def test_every_problem_is_in_one_part_and_dev_does_not_depend_on_the_votes(
    count: int, dev: float, votes: float, seed: int
) -> None:
    problems = entries(count)
    parts = split(problems, dev, votes, seed)
    train, measured, weighed = parts
    assert sorted(entry.id for part in parts for entry in part) == sorted(entry.id for entry in problems)
    for part in parts:
        assert part == [entry for entry in problems if entry in part], "in the order of the file"
    assert len(weighed) == round((count - len(measured)) * votes) and train

    ids = sorted(entry.id for entry in problems)
    Random(seed).shuffle(ids)
    assert {entry.id for entry in measured} == set(ids[: round(count * dev)]), "as without problems to weigh votes"
    assert split(problems[::-1], dev, votes, seed)[1] == measured[::-1]


def test_too_few_problems_to_hold_some_out() -> None:
    with pytest.raises(AugenError, match="leave 0 to measure on and 1 to train on"):
        split(entries(1), 0.3, 0.1, 7)


def test_a_small_share_of_few_problems_is_none() -> None:
    train, dev, votes = split(entries(5), 0.3, 0.1, 7)
    assert (len(train), len(dev), len(votes)) == (3, 2, 0)
