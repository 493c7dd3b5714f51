"""What the commands and stages print about files of strangers gives a terminal no orders."""

import sys
from pathlib import Path

import pytest

from augen.core.errors import AugenError
from augen.core.run import run
from augen.core.terminal import visible
from augen.programs.__main__ import main as programs

ORDER = "\x1b[31m\x07\x9b2J\u202e"
SAFE = r"\x1b[31m\x07\x9b2J\u202e"


def test_everything_else_stays() -> None:
    text = "甲\u3000乙\n\t丙 😀 é e\u0301 \u200d"
    assert visible(text) == text
    assert visible(f"{ORDER}\ud800\r") == rf"{SAFE}\ud800\r"


def test_the_error_of_a_stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def main() -> None:
        raise AugenError(f"data/{ORDER}: is damaged")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["prepare.py"])
    with pytest.raises(SystemExit, match=r"^prepare: data/\\x1b\[31m\\x07\\x9b2J\\u202e: is damaged$"):
        run(main)


def test_the_answer_of_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.lp"
    file.write_text('answer("甲\x9b2J\u202e").', encoding="utf-8")
    assert programs(["run", str(file)]) == 0
    assert capsys.readouterr().out == "answer set 1: 甲\\x9b2J\\u202e\n"
