"""What an index holds of each solved question, and how its files are read back."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.core.errors import AugenError
from augen.entries import Entry, QuestionItem
from augen.prompts.sections import query_text
from augen.retrieval.index import IndexRow, read_index, rows_of, write_index


def solved(question: str, reasoning: str | None = "想。\n答案是：A", answer: str | None = "A") -> QuestionItem:
    return QuestionItem(question, ["1", "2"], reasoning, answer, "solver")


def row(number: int, problem: str = "题目。") -> IndexRow:
    return IndexRow(f"p{number}", problem, "问？", ["1", "2"], "想。\n答案是：A", "A")


VECTORS = np.eye(3, 4, dtype=np.float32)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    write_index(tmp_path / "index", [row(0), row(1), row(2)], [VECTORS[:2], VECTORS[2:]], 3)
    return tmp_path / "index"


def test_one_row_per_solved_question_in_order() -> None:
    entries = [
        Entry("甲。", [solved("一？"), solved("二？", reasoning=None), solved("三？")], "p0"),
        Entry("乙。", [solved("四？", answer=None), solved("五？")], "p1"),
        Entry("丙。", [replace(solved("六？", reasoning=None), program="answer(1).")], "p2"),
    ]
    assert [(r.origin, r.problem, r.question) for r in rows_of(entries)] == [
        ("p0", "甲。", "一？"),
        ("p0", "甲。", "三？"),
        ("p1", "乙。", "五？"),
        ("p2", "丙。", "六？"),
    ]
    assert list(rows_of(entries))[-1].example == (
        "丙。",
        QuestionItem("六？", ["1", "2"], answer="A", program="answer(1)."),
    )


def test_a_rewritten_copy_belongs_to_its_original() -> None:
    assert next(rows_of([Entry("甲。", [solved("一？")], "p0~2")])).origin == "p0"


def test_a_row_as_a_worked_example() -> None:
    assert row(0).example == ("题目。", QuestionItem("问？", ["1", "2"], "想。\n答案是：A", "A"))


def test_problem_and_question_are_embedded_and_not_the_options() -> None:
    assert query_text(" 甲比乙高。\n", QuestionItem(" 谁高？ ", ["甲", "乙"])) == "甲比乙高。\n谁高？"


def test_files_come_back_as_written(index: Path) -> None:
    rows, vectors = read_index(index)
    assert list(rows) == [row(0), row(1), row(2)]
    assert vectors.dtype == np.float32 and np.array_equal(vectors, VECTORS)
    assert sorted(path.name for path in index.iterdir()) == ["embeddings.npy", "rows.jsonl"]


# White space and separators of all kinds, which a careless reader takes for ends of lines.
texts = st.text(st.characters(codec="utf-8") | st.sampled_from("\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"))


@given(st.lists(texts, min_size=1, max_size=4))
def test_any_text_comes_back_as_written(tmp_path_factory: pytest.TempPathFactory, problems: list[str]) -> None:
    folder = tmp_path_factory.mktemp("index")
    rows = [row(i, problem) for i, problem in enumerate(problems)]
    write_index(folder, rows, [np.zeros((len(rows), 2), dtype=np.float32)], len(rows))
    assert list(read_index(folder)[0]) == rows


def test_an_empty_index(tmp_path: Path) -> None:
    write_index(tmp_path, [], [np.empty((0, 0), dtype=np.float32)], 0)
    rows, vectors = read_index(tmp_path)
    assert list(rows) == [] and len(vectors) == 0


def test_rows_and_vectors_must_be_as_many(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 rows but 3 vectors"):
        write_index(tmp_path, [row(0), row(1)], [VECTORS], 3)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="2 rows but 3 vectors"):
        write_index(tmp_path, [row(0), row(1)], [VECTORS[:1], VECTORS[1:]], 2)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


# --- damaged files


def fault(index: Path) -> str:
    with pytest.raises(AugenError) as caught:
        read_index(index)
    assert str(caught.value).endswith("run `dvc repro index`")
    return str(caught.value)


@pytest.mark.parametrize("name", ["rows.jsonl", "embeddings.npy"])
def test_a_missing_file(name: str, index: Path) -> None:
    (index / name).unlink()
    assert fault(index).startswith(f"{index / name}: cannot be read")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"not an array", b"PK\x03\x04 a zip file"])
def test_damaged_vectors(content: bytes, index: Path) -> None:
    (index / "embeddings.npy").write_bytes(content)
    assert fault(index).startswith(f"{index / 'embeddings.npy'}: cannot be read")


def test_cut_vectors(index: Path) -> None:
    whole = (index / "embeddings.npy").read_bytes()
    (index / "embeddings.npy").write_bytes(whole[:-5])
    assert fault(index).startswith(f"{index / 'embeddings.npy'}: cannot be read")


def test_vectors_that_are_pickles_are_refused(index: Path) -> None:
    np.save(index / "embeddings.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert fault(index).startswith(
        f"{index / 'embeddings.npy'}: cannot be read (Array can't be memory-mapped: Python objects"
    )


@pytest.mark.parametrize("shape", [(2, 4), (4, 4), (12,), (3, 2, 2)])
def test_vectors_of_another_number(shape: tuple[int, ...], index: Path) -> None:
    np.save(index / "embeddings.npy", np.zeros(shape, dtype=np.float32))
    assert fault(index).startswith(f"{index / 'embeddings.npy'}: shape {shape} for 3 rows")


@pytest.mark.parametrize(
    "line", ["", "{", "null", "[]", '{"origin": "p1"}', json.dumps(vars(row(1)) | {"more": 1}), '"text"']
)
def test_a_damaged_row_is_named_by_its_line(line: str, index: Path) -> None:
    lines = (index / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    lines[1] = line
    (index / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert fault(index).startswith(f"{index / 'rows.jsonl'}:2: not a row of an index")


def test_rows_in_another_encoding(index: Path) -> None:
    (index / "rows.jsonl").write_bytes("题目".encode("gbk"))
    assert fault(index).startswith(f"{index / 'rows.jsonl'}: cannot be read")
