"""Outs appear whole or not at all."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from augen.core.files import whole_folder, write_lines, write_text


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "a/x.json", "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_text(tmp_path / "a/x.json", "new")
    assert {p.name: p.read_text() for p in (tmp_path / "a").iterdir()} == {"x.json": "old"}


def test_lines_are_written_as_they_come_and_whole_or_not_at_all(tmp_path: Path) -> None:
    def lines(last: bool) -> Iterator[str]:
        yield "一\n"
        if not last:
            raise KeyboardInterrupt
        yield "二\n"

    write_lines(tmp_path / "x.jsonl", lines(last=True))
    with pytest.raises(KeyboardInterrupt):
        write_lines(tmp_path / "x.jsonl", lines(last=False))
    assert {p.name: p.read_text(encoding="utf-8") for p in tmp_path.iterdir()} == {"x.jsonl": "一\n二\n"}


def test_a_folder_takes_the_place_of_the_old_one_when_it_is_whole(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with whole_folder(tmp_path / "model") as folder:
            (folder / content).write_text(content)
    assert [p.name for p in (tmp_path / "model").iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_is_not_finished_vanishes(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "model") as folder:
        (folder / "weights").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
