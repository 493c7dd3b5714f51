"""Values on the disk are those that went there, whole or in part."""

import gc
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.entries import QuestionItem, Solution
from augen.training.spilled import Spilled


@dataclass(frozen=True)
class Value:
    name: str
    sizes: tuple[int, ...]
    of: Solution
    note: str | None = None


texts = st.text(st.characters(exclude_categories=["Cs"]))
questions = st.builds(QuestionItem, texts, st.lists(texts), st.none() | texts)
values = st.builds(
    Value, texts, st.lists(st.integers(-9, 9)).map(tuple), st.builds(Solution, texts, questions, texts), texts
)


@given(st.lists(values, max_size=5), st.data())
def test_what_comes_back_is_equal(found: list[Value], data: st.DataObject) -> None:
    spilled = Spilled(Value, iter(found))
    assert list(spilled) == found and len(spilled) == len(found)
    start, end = (data.draw(st.none() | st.integers(-6, 6)) for _ in range(2))
    assert list(spilled[start:end]) == found[start:end]
    places = data.draw(st.lists(st.sampled_from(range(len(found))))) if found else []
    part = spilled.those(places)
    assert list(part) == [found[place] for place in places]
    assert list(part.those(range(1, len(part)))) == list(part)[1:]
    assert spilled.digest() == Spilled(Value, found).digest()
    assert part.digest() == Spilled(Value, list(part)).digest()


def test_the_digest_is_of_the_values_in_their_order() -> None:
    digests = [Spilled(str, found).digest() for found in (["a", "b"], ["b", "a"], ["ab"], ["a"], [])]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("place", [3, -4])
def test_there_is_nothing_beyond_the_end(place: int) -> None:
    with pytest.raises(IndexError):
        Spilled(str, "abc")[place]


def test_a_part_keeps_the_file_open_and_the_last_one_closes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    part = Spilled(str, "abc")[1:][1:]
    gc.collect()
    assert list(part) == ["c"] and os.listdir() == [], "the file has no name"
    descriptor = part._file.fileno()
    del part
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
