"""The committed puzzles are what `python -m augen.puzzles` writes: 850 of them, made anew."""

from pathlib import Path

import pytest

import augen.puzzles.__main__ as command_line
from augen.entries.jsonl import read_jsonl

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("train.jsonl", ["--families", "basic", "--count", "700", "--seed", "train"]),
        ("test.jsonl", ["--families", "basic", "--count", "150", "--seed", "test", "--unanswered"]),
    ],
)
def test_the_default_data_are_what_the_command_writes(file: str, options: list[str], tmp_path: Path) -> None:
    command_line.main([*options, "--out", str(tmp_path / file)])
    committed = ROOT / "data" / "raw" / file
    assert (tmp_path / file).read_bytes() == committed.read_bytes()
    entries = read_jsonl(committed, answers="optional" if "--unanswered" in options else "required")
    assert len({e.id for e in entries}) == len(entries) == int(options[options.index("--count") + 1])
    items = [item for e in entries for item in e.questions]
    assert not any(item.reasoning or item.author for item in items)
    assert any(item.answer for item in items) != ("--unanswered" in options)
