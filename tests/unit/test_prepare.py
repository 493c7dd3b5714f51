"""Which problems are held out, and for what."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.core.errors import AugenError
from stages.prepare import DEV, TRAIN, VOTES, split


def names(count: int) -> list[str]:
    return [f"p{n}" for n in range(count)]


@given(count=st.integers(4, 60), dev=st.floats(0.2, 0.7), votes=st.floats(0, 0.5), seed=st.integers(0, 100))
def test_every_problem_is_in_one_part_and_dev_does_not_depend_on_the_votes(
    count: int, dev: float, votes: float, seed: int
) -> None:
    problems = names(count)
    parts = split(problems, dev, votes, seed)
    assert len(parts) == count and set(parts) <= {TRAIN, DEV, VOTES}
    assert parts.count(VOTES) == round((count - parts.count(DEV)) * votes) and parts.count(TRAIN)

    ids = sorted(problems)
    Random(seed).shuffle(ids)
    measured = {name for name, part in zip(problems, parts, strict=True) if part == DEV}
    assert measured == set(ids[: round(count * dev)]), "as without problems to weigh votes"
    assert split(problems[::-1], dev, votes, seed) == parts[::-1]


def test_too_few_problems_to_hold_some_out() -> None:
    with pytest.raises(AugenError, match="leave 0 to measure on and 1 to train on"):
        split(names(1), 0.3, 0.1, 7)


def test_a_small_share_of_few_problems_is_none() -> None:
    parts = split(names(5), 0.3, 0.1, 7)
    assert [parts.count(part) for part in (TRAIN, DEV, VOTES)] == [3, 2, 0]
