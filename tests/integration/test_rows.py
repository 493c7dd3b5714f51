"""Tokens of a training on the disk: by the real library, in a folder that a killed training leaves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from augen.core.errors import AugenError
from augen.training.rows import Row, longest_first, on_disk
from augen.training.trainer import quiet_libraries


@pytest.fixture(autouse=True)
def quiet() -> None:
    quiet_libraries()


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    made = []

    def rows() -> Iterator[Row]:
        for number in range(3):
            made.append(number)
            yield {"ids": [number] * number, "kind": "program"}

    first = on_disk(rows, tmp_path, "train")
    again = on_disk(rows, tmp_path, "train")
    assert made == [0, 1, 2]
    assert list(first) == list(again) == [{"ids": [n] * n, "kind": "program"} for n in range(3)]
    assert first.cache_files and all(Path(file["filename"]).is_relative_to(tmp_path) for file in first.cache_files)
    on_disk(rows, tmp_path, "held_out")
    assert made == [0, 1, 2] * 2


def test_rows_half_written_are_made_anew(tmp_path: Path) -> None:
    def rows(end: int) -> Iterator[Row]:
        for number in range(5000):
            if number == end:
                raise KeyboardInterrupt
            yield {"ids": [number]}

    with pytest.raises(KeyboardInterrupt):
        on_disk(lambda: rows(3000), tmp_path, "train")
    assert len(on_disk(lambda: rows(-1), tmp_path, "train")) == 5000


def test_a_folder_that_the_library_takes_for_an_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AugenError, match=r"a::b: .*AUGEN_CACHE"):
        on_disk(lambda: iter([{"ids": [1]}]), tmp_path / "a::b", "train")


def test_the_longest_come_first_and_equal_ones_in_their_order(tmp_path: Path) -> None:
    def rows() -> Iterator[Row]:
        for ids, more in (([1], [1]), ([2, 2], []), ([3, 3, 3], [3]), ([4], [4, 4, 4])):
            yield {"ids": ids, "more": more}

    found = on_disk(rows, tmp_path, "train")
    by_ids, order = longest_first(found, ["ids"])
    assert order == [2, 1, 0, 3] and [row["ids"][0] for row in by_ids] == [3, 2, 1, 4]
    assert longest_first(found, ["ids", "more"])[1] == [2, 3, 0, 1]
