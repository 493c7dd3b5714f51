"""Hostile and damaged entry files and replies: nothing runs, nothing hangs (make bench PART=fuzz: 100,000 of each)."""

import os
from pathlib import Path

from tests.fuzzing import Watch, check, check_reply, jsonl_case, pickle_case, reply_case, standard_loads

PICKLES, FILES, REPLIES = 1_000, 360, 500  # 360 files are 2,000 lines
TRACED = 10  # of one case in so many the memory is measured
WATCH = Watch()


def test_hostile_pickles(tmp_path: Path) -> None:
    marker = tmp_path / "made"
    for seed in range(PICKLES):
        kind, data = pickle_case(seed, str(marker))
        try:
            check(WATCH, tmp_path / "fuzz.pkl", data, seed % TRACED == 0)
        except Exception as error:
            raise AssertionError(f"pickle_case({seed}), {kind}: {error}") from error
    assert not marker.exists()


def test_damaged_json_lines(tmp_path: Path) -> None:
    for seed in range(FILES):
        try:
            check(WATCH, tmp_path / "fuzz.jsonl", jsonl_case(seed)[1], seed % TRACED == 0)
        except Exception as error:
            raise AssertionError(f"jsonl_case({seed}): {error}") from error


def test_odd_replies(tmp_path: Path) -> None:
    for seed in range(REPLIES):
        try:
            with WATCH.armed(tmp_path) as events:
                check_reply(*reply_case(seed))
            assert not events, events
        except Exception as error:
            raise AssertionError(f"reply_case({seed}): {type(error).__name__}: {error}") from error


def test_the_gadgets_are_real_and_the_watch_sees_them(tmp_path: Path) -> None:
    """The standard unpickler runs one of them, on purpose: it makes a folder in a folder of this test."""
    marker = tmp_path / "made"
    program = b"\x80\x04cposix\nmkdir\n(X" + len(str(marker)).to_bytes(4, "little") + str(marker).encode() + b"tR."
    with WATCH.armed(tmp_path / "none") as events:
        standard_loads(program)
    assert marker.is_dir()
    assert any(event.startswith("os.mkdir") for event in events), events
    os.rmdir(marker)
    check(WATCH, tmp_path / "fuzz.pkl", program)
    assert not marker.exists()
