"""Worked examples are searched once; the search itself is tested in tests/integration/test_retrieval.py."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from augen.core.errors import AugenError
from augen.entries import Question, QuestionItem
from augen.retrieval import examples
from augen.retrieval.examples import Kind, stored_examples
from augen.retrieval.index import IndexRow, write_index
from augen.store.responses import Store
from tests.params import params

RAG = params().rag


def row(number: int) -> IndexRow:
    return IndexRow(f"p{number}", f"题目{number}。", "问？", ["1", "2"], "想。\n答案是：A", "A")


def ask(number: int) -> Question:
    return Question(f"new{number}#1", f"new{number}", f"新题{number}。", QuestionItem("问？", ["1", "2"]))


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[list[Question]]:
    """What is searched for, search by search; it finds row 2, then row 0, and so on upwards from there."""
    calls: list[list[Question]] = []

    def nearest(questions: Sequence[Question], k: int, kind: Kind) -> list[list[int]]:
        calls.append(list(questions))
        return [[2, 0, 1][:k] for _ in questions]

    monkeypatch.setattr(examples, "Embedder", lambda *names: names)
    monkeypatch.setattr(examples, "Retriever", lambda *_: SimpleNamespace(nearest=nearest))
    return calls


def index(folder: Path, turn: float = 0.0) -> Path:
    write_index(folder, [row(0), row(1), row(2)], [np.eye(3, 4, dtype=np.float32) + np.float32(turn)], 3)
    return folder


def problems(found: Sequence[Any]) -> list[list[str]]:
    return [[problem for problem, _ in one] for one in found]


def test_each_question_is_searched_once_and_the_most_similar_stands_last(
    tmp_path: Path, searched: list[list[Question]]
) -> None:
    folder = index(tmp_path / "index")
    with Store(tmp_path / "responses.sqlite") as store:
        found = stored_examples(folder, RAG, [ask(0), ask(1), ask(0)], 2, store)
        assert problems(found) == [["题目0。", "题目2。"]] * 3
        assert searched == [[ask(0), ask(1)]]
        assert list(stored_examples(folder, RAG, [ask(1), ask(0)], 2, store)) == list(found)[:2] == list(found[:2])
        assert len(searched) == 1, "nothing is missing: no embedder is loaded"
        stored_examples(folder, RAG, [ask(1), ask(2)], 2, store)
        assert searched[1:] == [[ask(2)]]


def test_what_can_change_a_search_is_another_search(tmp_path: Path, searched: list[list[Question]]) -> None:
    folder = index(tmp_path / "index")
    asked = ask(0)
    with Store(tmp_path / "responses.sqlite") as store:
        stored_examples(folder, RAG, [ask(0)], 2, store)
        stored_examples(folder, RAG, [ask(0)], 1, store)
        stored_examples(folder, RAG.model_copy(update={"embedder": "other"}), [ask(0)], 2, store)
        stored_examples(folder, RAG, [ask(0)], 2, store, "program")
        stored_examples(folder, RAG, [replace(asked, problem_id="p2")], 2, store)
        stored_examples(folder, RAG, [replace(asked, problem="别的。")], 2, store)
        stored_examples(index(tmp_path / "turned", turn=0.1), RAG, [ask(0)], 2, store)
        stored_examples(folder, RAG.model_copy(update={"query_prompt": "查询："}), [ask(0)], 2, store)
        assert len(searched) == 8
        stored_examples(folder, RAG, [replace(asked, problem_id=f"{asked.problem_id}~1")], 2, store)
        assert len(searched) == 8, "a rewritten copy has the same problem to keep away from"


def test_no_examples_wanted(tmp_path: Path, searched: list[list[Question]]) -> None:
    with Store(tmp_path / "responses.sqlite") as store:
        assert stored_examples(index(tmp_path / "index"), RAG, [ask(0), ask(1)], 0, store) == [(), ()]
        with pytest.raises(AugenError, match="run `dvc repro index`"):
            stored_examples(tmp_path / "none", RAG, [ask(0)], 1, store)
    assert searched == []
