"""Outs appear whole or not at all."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from augen.core import run
from augen.core.files import sweep, whole_folder, write_lines, write_text

# Begins to write a file and a folder in the folder it is given, says so, and waits to be killed.
WRITES = """
import sys, time
from pathlib import Path
from augen.core.files import whole_folder, write_lines

def lines():
    yield "half"
    with whole_folder(Path(sys.argv[1], "model")) as folder:
        (folder / "weights").write_text("half")
        print("writing", flush=True)
        time.sleep(60)

write_lines(Path(sys.argv[1], "x.jsonl"), lines())
"""


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


def test_what_a_killed_process_left_is_swept_away_and_not_what_another_one_writes(tmp_path: Path) -> None:
    place = tmp_path / "data/filtered"
    writing = subprocess.Popen([sys.executable, "-c", WRITES, str(place)], stdout=subprocess.PIPE, text=True)
    try:
        assert writing.stdout and writing.stdout.readline() == "writing\n"
        sweep(tmp_path / "data", tmp_path / "none")
        assert {p.name for p in place.iterdir()} == {".x.jsonl.partial", ".model.partial"}
    finally:
        writing.kill()
        writing.communicate()
    (place / ".mine").write_text("kept")
    sweep(tmp_path / "data")
    assert [p.name for p in place.iterdir()] == [".mine"]


def test_a_stage_sweeps_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["prepare.py"])
    for folder in ("data/reasoned", "models/.adapter.partial", "reports"):
        (tmp_path / folder).mkdir(parents=True)
    for half in ("data/reasoned/.entries.pkl.partial", "models/.adapter.partial/weights", "reports/.data.md.partial"):
        (tmp_path / half).write_text("half")
    run.run(lambda: None)
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if "partial" in str(p)} == set()


def test_links_that_were_planted_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links at every name that is written to, by stages and by the note of their time, lead to what is not theirs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/file").write_text("theirs")
    for name in (".x.json.partial", "x.json", ".augen/times/.prepare.partial", ".augen/times/prepare"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(tmp_path / "theirs/file")
    (tmp_path / ".model.partial").symlink_to(tmp_path / "theirs", target_is_directory=True)
    write_text("x.json", "ours")
    with whole_folder("model") as folder:
        (folder / "weights").write_text("ours")
    run.note_time("prepare", 1.5)
    (tmp_path / ".swept.partial").symlink_to(tmp_path / "theirs", target_is_directory=True)
    sweep(tmp_path)
    assert {p.name: p.read_text() for p in (tmp_path / "theirs").iterdir()} == {"file": "theirs"}
    assert (tmp_path / "x.json").read_text() == (tmp_path / "model/weights").read_text() == "ours"
    assert Path(".augen/times/prepare").read_text() == "1.5\n"


def test_several_that_write_one_file_at_once_take_turns(tmp_path: Path) -> None:
    """Two stages that end in the same folder write the same report."""
    path, faults = tmp_path / "usage.json", list[BaseException]()

    def write(letter: str) -> None:
        try:
            for _ in range(100):
                write_text(path, letter * 5000)
        except BaseException as fault:
            faults.append(fault)

    writers = [threading.Thread(target=write, args=(letter,)) for letter in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert faults == []
    assert path.read_text() in {letter * 5000 for letter in "abc"}
    assert [p.name for p in tmp_path.iterdir()] == ["usage.json"]
