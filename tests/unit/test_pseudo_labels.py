"""Lessons of test questions whose vote is sure: a small run whose every vote is worked out by hand."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.core.errors import AugenError
from augen.core.files import write_json, write_lines
from augen.entries import Entry, QuestionItem
from augen.entries.jsonl import write_jsonl
from augen.entries.pickles import load_pickle
from augen.voting.grid import SampleGrid
from augen.voting.pseudo_labels import AUTHOR, Voted, pseudo_labelled, sure_answers, winning_shares
from augen.voting.samples import ROW, Sample, Samples, sample_lines
from augen.voting.settings import VotingSettings
from augen.voting.weights import Weight
from tests.params import write_params
from tools import pseudo_labels as tool

SETTINGS = VotingSettings(voters=3, programs=1, program_weight=2.0)
TEST = [
    Entry(
        "甲比乙高，乙比丙高。",
        [QuestionItem("谁最高？", ["甲", "乙", "丙"]), QuestionItem("谁最矮？", ["甲", "丙"])],
        "t0",
    ),
    Entry("红灯亮，绿灯灭。", [QuestionItem("哪盏灯亮？", ["红灯", "绿灯"])], "t1"),
    Entry("钟慢了五分钟。", [QuestionItem("钟快吗？", ["快", "慢"])], "t2"),
]
DEV = [
    Entry("钟慢了五分钟。", [QuestionItem("钟快吗？", ["快", "慢"], answer="B")], "d0")
]  # also the third test problem
# question: the letters of its program and of its three reasonings
VOTES = {"t0#1": "AAAA", "t0#2": "BBAB", "t1#1": "ABBB", "t2#1": "BBBB"}


def samples_of(question: str, letters: str, split: str = "test") -> list[Sample]:
    """The reasoning of slot n has the rank 10 · n."""
    own: dict[str, Any] = {"split": split, "question": question}
    program, *steps = (None if letter == "-" else letter for letter in letters)
    cause = None if program else "syntax"
    return [
        Sample(program, slot=1, mode="program", text=f"yes({question}).", cause=cause, **own),
        *(
            Sample(letter, 0.9, slot, text=f"{question}: {slot}", logprob_rank=10 * slot, **own)
            for slot, letter in enumerate(steps, start=1)
        ),
    ]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as `infer` leaves it."""
    monkeypatch.chdir(tmp_path)
    changes: dict[str, Any] = {"voters": 3, "max_resample": 0, "prepare.test": "test.jsonl"}
    write_params(tmp_path / "params.yaml", changes | {"infer.programs": 1, "infer.vote": "majority"})
    write_jsonl("test.jsonl", TEST)
    write_jsonl("data/dev.jsonl", DEV)
    write_lines("data/votes.jsonl", [])
    write_run(VOTES)
    return tmp_path


def write_run(votes: dict[str, str]) -> None:
    samples = samples_of("d0#1", "AAAA", "dev")
    for question, letters in votes.items():
        samples += samples_of(question, letters)
    write_lines("data/samples.jsonl", sample_lines(samples, 0.3))
    write_json("data/vote_weights.json", asdict(Weight(2.0, "given")))


def test_sure_questions_become_lessons(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of 5 votes, 2 by the program, t0#2 has 4 for B and t1#1 3 for B. t2 is a dev problem, too."""
    tool.main(["data/pseudo_1.pkl", "--certainty", "0.75"])
    [entry] = load_pickle("data/pseudo_1.pkl")
    first, second = entry.questions
    assert (entry.problem, entry.id) == (TEST[0].problem, "t0")
    assert first == replace(TEST[0].questions[0], answer="A", author=AUTHOR, reasoning="t0#1: 3", program="yes(t0#1).")
    assert (second.answer, second.reasoning) == ("B", "t0#2: 3"), "the surest of those that gave the answer"
    said = capsys.readouterr().out
    assert "3 of 4 test questions have a vote of 75% or more; 1 are almost a held-out question" in said
    with pytest.raises(AugenError, match=r"data/pseudo_1\.pkl exists.*give each round's file a name of its own"):
        tool.main(["data/pseudo_1.pkl"])
    tool.main(["data/pseudo_2.pkl"])
    assert [len(entry.questions) for entry in load_pickle("data/pseudo_2.pkl")] == [1]
    tool.main(["data/pseudo_3.pkl", "--certainty", "0.55"])
    [_, other] = load_pickle("data/pseudo_3.pkl")
    assert (other.questions[0].answer, other.questions[0].program) == ("B", None), "its program says A"


def test_what_cannot_be_used_is_named(run: Path) -> None:
    write_run({question: "ABAB"[: len(letters)] for question, letters in VOTES.items()} | {"t2#1": "----"})
    with pytest.raises(AugenError, match=r"no vote of 4 test questions is that sure: lower --certainty 0\.9"):
        tool.main(["data/pseudo_1.pkl"])
    write_run(VOTES | {"t9#1": "AAAA"})
    with pytest.raises(AugenError, match=r"other questions than test\.jsonl has, the first is t9#1"):
        tool.main(["data/pseudo_1.pkl"])
    write_params(run / "params.yaml", {"infer.shuffle_options": True})
    with pytest.raises(AugenError, match="name letters of other orders"):
        tool.main(["data/pseudo_1.pkl"])
    assert not Path("data/pseudo_1.pkl").exists()


@pytest.mark.parametrize("wrong", ["0.5", "1.1", "nan"])
def test_a_certainty_is_more_than_half(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        tool.main(["data/pseudo_1.pkl", "--certainty", wrong])
    assert "above 0.5" in capsys.readouterr().err


@given(st.lists(st.text("ABC-", min_size=4, max_size=4), min_size=1, max_size=5), st.floats(0.51, 1.0))
def test_who_is_sure_has_that_share_of_the_votes(votes: Sequence[str], certainty: float) -> None:
    rows = [(q, s) for q, letters in enumerate(votes) for s in samples_of(f"q{q}", letters)]
    grid = SampleGrid.empty(len(votes), SETTINGS)
    grid.add([q for q, _ in rows], [s for _, s in rows], 0.3)
    winners, shares = winning_shares(grid, SETTINGS)
    for letters, winner, share in zip(votes, winners, shares, strict=True):
        counts = np.array([letters[1:].count(letter) + 2 * (letters[0] == letter) for letter in "ABC"])
        assert share == pytest.approx(counts.max() / max(counts.sum(), 1))
        assert (winner >= 0) == bool(counts.sum())
        if share > 0.5:
            assert winner == counts.argmax()


def test_without_votes_nothing_is_sure() -> None:
    row = np.array([(0, 1, 0, -1, np.nan, False, 5, -1, False)], ROW)
    assert sure_answers(Samples(["q"], row), VotingSettings(1), 0.9) == {}
    assert list(pseudo_labelled(TEST, {})) == []
    assert next(pseudo_labelled(TEST, {"t1#1": Voted("A")})).questions[0].reasoning is None
