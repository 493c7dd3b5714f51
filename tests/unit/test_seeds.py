"""Seeds of things: fixed for ever, in range, and different for different things."""

from hypothesis import given
from hypothesis import strategies as st

from augen.core.seeds import seed_of

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x1f"))
parts = st.lists(st.integers(-(10**9), 10**9) | texts, min_size=1)


@given(parts)
def test_in_range_and_repeatable(given_parts: list[str | int]) -> None:
    assert 0 <= seed_of(*given_parts) < 2**31
    assert seed_of(*given_parts) == seed_of(*given_parts)


@given(parts, parts)
def test_other_parts_make_another_seed(one: list[str | int], two: list[str | int]) -> None:
    same = [str(p) for p in one] == [str(p) for p in two]
    assert (seed_of(*one) == seed_of(*two)) == same


def test_parts_do_not_run_into_each_other() -> None:
    assert len({seed_of("q#1", 12), seed_of("q#1", 1, 2), seed_of("q#11", 2), seed_of("q#112")}) == 4


def test_seeds_are_spread_evenly() -> None:
    """Of neighbouring samples: each of 8 equal ranges gets its share of 4,000 seeds, within 5 standard errors."""
    counts = [0] * 8
    for slot in range(4_000):
        counts[seed_of(42, "q#1", slot, 0) >> 28] += 1
    assert all(abs(count - 500) < 5 * (500 * 7 / 8) ** 0.5 for count in counts), counts
