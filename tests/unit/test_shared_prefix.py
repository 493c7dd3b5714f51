"""Which prefix texts share, and which texts are read together."""

from hypothesis import given
from hypothesis import strategies as st

from augen.scorer.shared_prefix import WORTHWHILE, batches, groups_of, shared_by

rows_of_few_tokens = st.lists(st.lists(st.integers(1, 2), min_size=1, max_size=8), min_size=1, max_size=6)


@given(rows_of_few_tokens)
def test_all_rows_begin_with_what_they_share_and_have_more(rows: list[list[int]]) -> None:
    shared = shared_by(rows)
    assert all(row[:shared] == rows[0][:shared] and len(row) > shared for row in rows)
    longer = shared + 1
    assert any(row[:longer] != rows[0][:longer] or len(row) == longer for row in rows), "one more would not do"


@st.composite
def questions(draw: st.DrawFn) -> tuple[list[list[int]], list[int]]:
    """Rows and their questions: rows of a question mostly begin alike."""
    rows, keys = [], []
    for key in range(draw(st.integers(0, 5))):
        start = [key] * draw(st.integers(0, 2 * WORTHWHILE))
        for tail in draw(st.lists(st.lists(st.integers(10, 12), min_size=1, max_size=40), max_size=6)):
            rows.append(start + tail)
            keys.append(key)
    order = draw(st.permutations(range(len(rows))))
    return [rows[i] for i in order], [keys[i] for i in order]


@given(questions(), st.integers(1, 300))
def test_batches_hold_every_row_once_and_not_too_many_tokens(
    asked: tuple[list[list[int]], list[int]], batch_tokens: int
) -> None:
    rows, keys = asked
    found = batches(groups_of(rows, keys), rows, batch_tokens)
    assert sorted(i for batch in found for group in batch for i in group.members) == list(range(len(rows)))
    for batch in found:
        count = sum(len(group.members) for group in batch)
        widest = max(group.shared for group in batch) + max(group.tail(rows) for group in batch)
        assert count == 1 or count * widest <= batch_tokens
        assert len({group.shared > 0 for group in batch}) == 1
        for group in batch:
            assert len({tuple(rows[i][: group.shared]) for i in group.members}) == 1
            assert not group.shared or group.shared >= WORTHWHILE
