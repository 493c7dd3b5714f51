"""Entry files: what is read, what is written, and what is said about broken ones."""

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augen.entries import LETTERS, Entry, QuestionItem, family_of, letter_of, origin, question_id
from augen.entries.__main__ import main
from augen.entries.jsonl import read_jsonl, write_jsonl
from augen.entries.pickles import dump_pickle, load_pickle
from augen.entries.records import SHOWN_FAULTS, EntriesError
from augen.puzzles import FAMILIES
from augen.puzzles.dataset import puzzle_entries


def record(**changes: Any) -> dict[str, Any]:
    """A good JSON object of one entry, with changes; a change to `...` leaves the field out."""
    question = {"question": "谁最高？", "options": ["甲", "乙"], "answer": "A"}
    whole = {"problem": "甲比乙高。", "questions": [question], "id": "train_1"} | changes
    return {name: value for name, value in whole.items() if value is not ...}


def asking(**changes: Any) -> dict[str, Any]:
    """A good entry whose second question has changes."""
    [first] = record()["questions"]
    second = {name: value for name, value in (first | changes).items() if value is not ...}
    return record(questions=[first, second])


def as_entry(value: dict[str, Any]) -> Entry:
    return Entry(value["problem"], [QuestionItem(**item) for item in value["questions"]], value.get("id", ""))


def line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


GOOD = line(record())

# Every file has one good line first, so the fault is in line 2.
BROKEN_LINES: dict[str, tuple[bytes, list[str]]] = {
    "answer beyond the options": (line(asking(answer="F")), ["question 2: answer 'F' but 2 options"]),
    "answer in small letters": (
        line(asking(answer="b")),
        ["question 2: answer 'b' must be one of the letters A to B"],
    ),
    "answer of two letters": (line(asking(answer="AB")), ["question 2: answer 'AB'"]),
    "answer in full width": (line(asking(answer="Ａ")), ["question 2: answer 'Ａ'"]),
    "empty answer": (line(asking(answer="")), ["question 2: answer: is empty"]),
    "number as answer": (line(asking(answer=1)), ["question 2: answer: must be text, not a number"]),
    "no question text": (line(asking(question=...)), ["question 2: question: missing"]),
    "blank question text": (line(asking(question=" \n")), ["question 2: question: is empty"]),
    "truth value as question": (line(asking(question=True)), ["question: must be text, not a truth value"]),
    "no options": (line(asking(options=...)), ["question 2: options: missing"]),
    "options as object": (
        line(asking(options={"A": "甲"})),
        ["options: must be a list of texts, not an object"],
    ),
    "options as text": (
        line(asking(options="甲乙")),
        ["question 2: options: must be a list of texts, not text"],
    ),
    "empty options": (line(asking(options=[])), ["question 2: options: 0 given, must be 2 to 10"]),
    "one option": (line(asking(options=["甲"])), ["question 2: options: 1 given"]),
    "eleven options": (line(asking(options=["甲"] * 11)), ["question 2: options: 11 given"]),
    "number as option": (
        line(asking(options=["甲", 2])),
        ["question 2: option B: must be text, not a number"],
    ),
    "empty option": (line(asking(options=["", "乙"])), ["question 2: option A: is empty"]),
    "list as reasoning": (line(asking(reasoning=["x"])), ["question 2: reasoning: must be text, not a list"]),
    "number as author": (line(asking(author=0.5)), ["question 2: author: must be text, not a number"]),
    "misspelt question field": (line(asking(anwser="A")), ["question 2: unknown field 'anwser'", "'answer'"]),
    "question as text": (line(record(questions=["谁？"])), ["question 1: must be a question", "not text"]),
    "no questions field": (line(record(questions=...)), ["questions: missing"]),
    "questions null": (line(record(questions=None)), ["questions: must be a list, not null"]),
    "no question in the list": (line(record(questions=[])), ["questions: the list is empty"]),
    "no problem": (line(record(problem=...)), ["problem: missing"]),
    "empty problem": (line(record(problem="")), ["problem: is empty"]),
    "no id": (line(record(id=...)), ["id: missing"]),
    "empty id": (line(record(id="")), ["id: is empty"]),
    "number as id": (line(record(id=7)), ["id: must be text, not a number"]),
    "id twice in the file": (GOOD, ["id: 'train_1' is already the id of ", "broken.jsonl:1"]),
    "other field": (line(record(title="x")), ["unknown field 'title'; known are problem, questions, id"]),
    "near field": (line(record(Questions=[])), ["unknown field 'Questions'; did you mean 'questions'?"]),
    "list instead of an entry": (b"[1]\n", ["must be an entry", "not a list"]),
    "field twice": (b'{"id": "a", "id": "b"}\n', ["'id': the field is given twice"]),
    "half a surrogate pair": (
        line(record(id="x")).replace(b'"x"', b'"\\ud800"'),
        ["id: character 1", "surrogate"],
    ),
    "cut off in a text": (GOOD[:30], ["not JSON", "column", "cut off"]),
    "cut off between fields": (GOOD[:-3], ["not JSON", "cut off"]),
    "single quotes": (b"{'problem': 'x'}\n", ["not JSON", "column 2"]),
    "two entries on a line": (GOOD[:-1] + GOOD, ["not JSON: Extra data"]),
    "NaN": (b'{"problem": NaN}\n', ["NaN"]),
    "infinity": (b'{"problem": -Infinity}\n', ["-Infinity"]),
    "huge number": (b'{"problem": ' + b"1" * 5000 + b"}\n", ["not JSON that can be read", "digits"]),
    "deep nesting": (b"[" * 200_000 + b"\n", ["nested too deeply"]),
    "GBK": (
        json.dumps(record(), ensure_ascii=False).encode("gbk"),
        ["not UTF-8: byte 14 of the line is 0xbc"],
    ),
    "byte order mark inside": (b"\xef\xbb\xbf" + GOOD, ["byte order mark"]),
    "blank line": (b"  \n" + GOOD, ["blank line"]),
    "null bytes": (b"\x00" * 20 + b"\n", ["not JSON"]),
}


def fails(arguments: list[Any], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command, which must fail cleanly; what it says on standard error."""
    assert main([str(argument) for argument in arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(("broken", "said"), BROKEN_LINES.values(), ids=BROKEN_LINES)
def test_broken_lines(broken: bytes, said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "broken.jsonl", tmp_path / "out.pkl"
    file.write_bytes(GOOD + broken)
    message = fails(["from-jsonl", file, out], capsys)
    assert message.startswith(f"{file}:2: ")
    assert all(part in message for part in said), message
    assert os.listdir(tmp_path) == ["broken.jsonl"]


def test_all_faults_of_a_file_at_once(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_bytes(b"".join([line(asking(answer="F", options=["甲", ""])), GOOD, b"{\n", line(record(id=1))]))
    with pytest.raises(EntriesError) as caught:
        read_jsonl(file, answers="required")
    assert [fault.removeprefix(str(file)).partition(" ")[0] for fault in caught.value.faults] == [
        ":1:",
        ":1:",
        ":3:",
        ":4:",
    ]
    assert str(caught.value) == "\n".join(caught.value.faults)


def test_many_faults_are_counted(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"{\n" * (SHOWN_FAULTS + 7))
    with pytest.raises(EntriesError, match=r"… and 7 more$") as caught:
        read_jsonl(tmp_path / "x.jsonl", answers="required")
    assert len(str(caught.value).splitlines()) == SHOWN_FAULTS + 1


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_empty_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(EntriesError, match=r"x\.jsonl: the file is empty"):
        read_jsonl(tmp_path / "x.jsonl", answers="required")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[\n  {\n    "problem": \xe2\x80\xa6', "is one JSON array"),
        (b"[\n" + GOOD.strip() + b",\n" + GOOD.strip() + b"\n]\n", "is one JSON array"),
        (b"[" + GOOD.strip() + b"]", "is one JSON array"),
        (b"\n\n[\n]", "is one JSON array"),
        (json.dumps(record(), indent=2).encode(), "is one JSON object over several lines"),
        (b"<!DOCTYPE html>\n<html>\n<body>\n" + b"<p>sign in</p>\n" * 60 + b"</html>", "begins like a web page"),
        (b"\xef\xbb\xbf  <html><body></body></html>", "begins like a web page"),
        (b"<?xml version='1.0'?>\n<a/>", "begins like a web page"),
        (b"PK\x03\x04\x14\n\n\n", "is a ZIP archive"),
        (b"\x1f\x8b\x08\n\n", "is compressed"),
        ("[]".encode("utf-16"), "is UTF-16"),
    ],
)
def test_another_format_is_one_fault(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(EntriesError) as caught:
        read_jsonl(tmp_path / "x.jsonl", answers="required")
    [fault] = caught.value.faults
    assert fault.startswith(f"{tmp_path / 'x.jsonl'}: {said}") and fault.endswith("JSON Lines, one problem a line")


@pytest.mark.parametrize("id_", ["2024~0", "round1~s1", "~", "a~b~c"])
def test_ids_of_copies_are_taken_only_on_request(id_: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(line(record(id=id_)))
    with pytest.raises(EntriesError, match=f"x.jsonl:1: id: '{id_}' has a ~"):
        read_jsonl(tmp_path / "x.jsonl", answers="required")
    assert [entry.id for entry in read_jsonl(tmp_path / "x.jsonl", answers="required", copies=True)] == [id_]


@pytest.mark.parametrize(
    "options",
    [
        ["(A)乙", "(B)甲"],
        ["A. 乙", "B. 甲", "C. 丙"],
        ["A、乙", "B、甲"],
        ["Ａ．乙", "Ｂ．甲"],
        ["A：乙", "B：甲"],
        ["（A）乙", "（B） 甲"],
        ["【A】乙", "【B】甲"],
        ["a) 1", "b) 2"],
        ["选项A：乙", "选项B：甲"],
        ["A)乙", "B)甲", "C)丙", "D)丁"],
        ["[A] x", "[B] y"],
    ],
)
def test_letters_in_the_options(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(line(asking(options=options)))
    with pytest.raises(EntriesError, match=r"x\.jsonl:1: question 2: options: each begins with its own letter"):
        read_jsonl(tmp_path / "x.jsonl", answers="required")


@pytest.mark.parametrize(
    "options",
    [
        ["A", "B"],
        ["A、B", "B、C"],
        ["A和B", "B和C"],
        ["A:1, B:2", "B:1, A:2"],
        ["A城", "B城"],
        ["(A)乙", "甲"],
        ["B. 乙", "A. 甲"],
        ["A比B高", "B比A高"],
        ["Ann", "Bob"],
        ["A->B", "B->A"],
    ],
)
def test_letters_that_belong_to_the_options(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(line(asking(options=options)))
    assert len(read_jsonl(tmp_path / "x.jsonl", answers="required")) == 1


def test_byte_order_mark_at_the_beginning(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"\xef\xbb\xbf" + GOOD)
    with pytest.raises(EntriesError, match=r"x\.jsonl:1: starts with a byte order mark"):
        read_jsonl(tmp_path / "x.jsonl", answers="required")


@pytest.mark.parametrize("answer", [..., None])
def test_answers_required_or_optional(answer: Any, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(line(asking(answer=answer)))
    [entry] = read_jsonl(tmp_path / "x.jsonl", answers="optional")
    assert [item.answer for item in entry.questions] == ["A", None]
    with pytest.raises(EntriesError, match=r"x\.jsonl:1: question 2: answer: m"):
        read_jsonl(tmp_path / "x.jsonl", answers="required")


def test_what_is_accepted(tmp_path: Path) -> None:
    """Equal options, windows line ends, blank lines at the end, line separators inside texts, ten options."""
    values = [
        asking(options=["甲", "甲"]),
        record(id="2", problem="甲\u2028乙\x85"),
        asking(options=list(LETTERS)),
    ]
    values[2]["id"] = "3"
    (tmp_path / "x.jsonl").write_bytes(b"".join(map(line, values)).replace(b"\n", b"\r\n") + b"\n \n")
    assert read_jsonl(tmp_path / "x.jsonl", answers="required") == [as_entry(value) for value in values]


def test_written_json(tmp_path: Path) -> None:
    item = QuestionItem("谁？", ["甲", "乙"], reasoning="因为。\n答案是：A", answer="A", author="solver")
    write_jsonl(tmp_path / "x.jsonl", [Entry("题", [item, QuestionItem("几？", ["1", "2"])], "1")])
    assert (tmp_path / "x.jsonl").read_text("utf-8") == (
        '{"problem": "题", "questions": [{"question": "谁？", "options": ["甲", "乙"], '
        '"reasoning": "因为。\\n答案是：A", "answer": "A", "author": "solver"}, '
        '{"question": "几？", "options": ["1", "2"]}], "id": "1"}\n'
    )


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).filter(str.strip)


@st.composite
def items(draw: st.DrawFn) -> QuestionItem:
    options = draw(st.lists(TEXTS, min_size=2, max_size=5))
    answer = draw(st.none() | st.sampled_from(LETTERS[: len(options)]))
    return QuestionItem(draw(TEXTS), options, draw(st.none() | TEXTS), answer, draw(st.none() | TEXTS))


ENTRIES = st.lists(
    st.builds(Entry, TEXTS, st.lists(items(), min_size=1, max_size=3), TEXTS),
    min_size=1,
    max_size=3,
    unique_by=lambda entry: entry.id,
)


@settings(max_examples=25, deadline=None)
@given(ENTRIES)
def test_round_trips(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> None:
    folder = tmp_path_factory.mktemp("entries")
    first, second = folder / "first.pkl", folder / "second.pkl"
    dump_pickle(first, entries)
    assert load_pickle(first) == entries
    assert main(["to-jsonl", str(first), str(folder / "x.jsonl")]) == 0
    assert read_jsonl(folder / "x.jsonl", answers="optional", copies=True) == entries
    assert main(["from-jsonl", str(folder / "x.jsonl"), str(second)]) == 0
    assert first.read_bytes() == second.read_bytes()


def changed(change: Callable[[Entry], None]) -> bytes:
    """An ordinary pickle of a good entry and one with a change."""
    entry = as_entry(asking())
    change(entry)
    return pickle.dumps([as_entry(record()), entry], 4)


def question(**changes: Any) -> Callable[[Entry], None]:
    return lambda entry: entry.questions[1].__dict__.update(changes)


def fields(**changes: Any) -> Callable[[Entry], None]:
    return lambda entry: entry.__dict__.update(changes)


# A pickle is refused as a whole, or a field of its second entry is wrong.
BROKEN_PICKLES: dict[str, tuple[bytes, list[str]]] = {
    "number as problem": (changed(fields(problem=3)), ["entry 2: problem: must be text, not a number"]),
    "empty problem": (changed(fields(problem="")), ["entry 2: problem: is empty"]),
    "null as id": (changed(fields(id=None)), ["entry 2: id: must be text, not null"]),
    "unknown field": (changed(fields(note="x")), ["entry 2: unknown field 'note'"]),
    "tuple of questions": (
        changed(fields(questions=())),
        ["entry 2: questions: must be a list, not a tuple"],
    ),
    "entry as question": (
        changed(fields(questions=[Entry()])),
        ["entry 2: question 1: must be", "not a pickled Entry"],
    ),
    "answer beyond": (changed(question(answer="F")), ["entry 2: question 2: answer 'F' but 2 options"]),
    "number as answer": (changed(question(answer=0)), ["entry 2: question 2: answer: must be text"]),
    "tuple of options": (changed(question(options=("a", "b"))), ["question 2: options: must be", "a tuple"]),
    "number as option": (changed(question(options=["a", 1.5])), ["question 2: option B: must be text"]),
    "lone surrogate": (
        changed(question(question="\ud800")),
        ["question 2: question: character 1", "surrogate"],
    ),
    "truth value as author": (changed(question(author=True)), ["question 2: author: must be text"]),
    "question as entry": (
        pickle.dumps([QuestionItem("", [])]),
        ["entry 1: must be an entry", "not a pickled QuestionItem"],
    ),
    "one entry, no list": (pickle.dumps(Entry()), ["holds a pickled Entry, must be a list"]),
    "other class": (pickle.dumps([Path("x")]), ["Path", "nothing was run"]),
    "old protocol": (pickle.dumps([Entry()], 0), ["protocol=4"]),
    "cut off": (changed(fields())[:-20], ["ends too early"]),
    "JSON Lines": (GOOD, ["is not a pickle"]),
    "empty file": (b"", ["is not a pickle"]),
}


@pytest.mark.parametrize(("broken", "said"), BROKEN_PICKLES.values(), ids=BROKEN_PICKLES)
def test_broken_pickles(broken: bytes, said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "broken.pkl"
    file.write_bytes(broken)
    message = fails(["to-jsonl", file, tmp_path / "out.jsonl"], capsys)
    assert message.startswith(f"{file}: ")
    assert all(part in message for part in said), message
    assert os.listdir(tmp_path) == ["broken.pkl"]


def test_shared_objects_cannot_multiply(tmp_path: Path) -> None:
    """Hundreds of references to one list of hundreds: a quarter of a million questions in 3 kB."""
    questions = [QuestionItem("谁？", ["甲", "乙"])] * 500
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([Entry("题", questions)] * 500, 4))
    with pytest.raises(EntriesError, match="more fields and options than it has bytes"):
        load_pickle(tmp_path / "x.pkl")


def test_shared_faults_cannot_multiply(tmp_path: Path) -> None:
    """A thousand references to one entry with ten unknown fields would be ten thousand faults."""
    one = Entry("题", [QuestionItem("谁？", ["甲", "乙"])])
    one.__dict__ |= {f"field{i}": None for i in range(10)}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([one] * 1000, 4))
    with pytest.raises(EntriesError, match="more fields and options than it has bytes"):
        load_pickle(tmp_path / "x.pkl")


def test_shared_texts_cannot_multiply(tmp_path: Path) -> None:
    """A text of a megabyte as the problem of 600 entries: 600 MB, if it were spelt out."""
    text = "题" * 300_000
    entries = [Entry(text, [QuestionItem("谁？", ["甲", "乙"])], str(i)) for i in range(600)]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(entries, 4))
    with pytest.raises(EntriesError, match=r"share texts so often that they hold 180,00\d,\d+ characters in 9\d\d,"):
        load_pickle(tmp_path / "x.pkl")
    assert main(["to-jsonl", str(tmp_path / "x.pkl"), str(tmp_path / "x.jsonl")]) == 1
    assert not (tmp_path / "x.jsonl").exists()


def test_hundreds_of_reasonings_of_one_long_problem_share_it(tmp_path: Path) -> None:
    items = [QuestionItem("谁？", ["甲", "乙"], f"第{i}次：甲。\n答案是：A", "A") for i in range(1000)]
    entries = [Entry("题" * 9_000, [item], "p") for item in items]
    dump_pickle(tmp_path / "x.pkl", entries)
    assert load_pickle(tmp_path / "x.pkl") == entries


def test_a_long_text_that_many_entries_share_is_refused_at_once(tmp_path: Path) -> None:
    """A megabyte of blanks as the problem of 3,000 entries: minutes, if it were read for each."""
    blanks = " " * 1_000_000
    entries = [Entry(blanks, [QuestionItem("谁？", ["甲", "乙"])]) for _ in range(3000)]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(entries, 4))
    started = time.process_time()
    with pytest.raises(EntriesError, match="share texts so often that they hold 1,000,012,000 characters"):
        load_pickle(tmp_path / "x.pkl")
    assert time.process_time() - started < 3


def test_a_pickle_of_older_classes_gets_the_defaults(tmp_path: Path) -> None:
    entry = as_entry(record())
    del entry.__dict__["id"]
    for name in ("reasoning", "answer", "author"):
        del entry.questions[0].__dict__[name]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([entry], 4))
    [loaded] = load_pickle(tmp_path / "x.pkl")
    assert (loaded.id, loaded.questions[0]) == ("", QuestionItem("谁最高？", ["甲", "乙"]))


def test_loaded_entries_share_nothing(tmp_path: Path) -> None:
    shared = as_entry(record()).questions
    (tmp_path / "x.pkl").write_bytes(pickle.dumps([Entry("一", shared), Entry("二", shared)], 4))
    first, second = load_pickle(tmp_path / "x.pkl")
    first.questions[0].options.append("丙")
    assert second.questions[0].options == ["甲", "乙"]


@pytest.mark.parametrize("write", [write_jsonl, dump_pickle])
def test_what_could_not_be_read_again_is_not_written(
    write: Callable[[Path, list[Entry]], None], tmp_path: Path
) -> None:
    file = tmp_path / "x"
    write(file, [as_entry(record())])
    before = file.read_bytes()
    with pytest.raises(EntriesError, match="x: entry 2: question 2: answer 'F' but 2 options"):
        write(file, [as_entry(record()), as_entry(asking(answer="F"))])
    assert file.read_bytes() == before


def test_writing_makes_the_folder_and_replaces_links(tmp_path: Path) -> None:
    """A stage's output may be a link into a cache, whose file must stay as it is."""
    file, cached = tmp_path / "new" / "x.jsonl", tmp_path / "cached"
    file.parent.mkdir()
    cached.write_text("kept")
    file.symlink_to(cached)
    write_jsonl(file, [as_entry(record())])
    assert (cached.read_text(), file.is_symlink()) == ("kept", False)
    write_jsonl(tmp_path / "newer" / "x.jsonl", [as_entry(record())])
    assert os.listdir(tmp_path / "newer") == ["x.jsonl"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, out = tmp_path / "x.jsonl", tmp_path / "folder"
    good.write_bytes(GOOD)
    out.mkdir()
    assert f"{out}: cannot be written" in fails(["from-jsonl", good, out], capsys)
    assert sorted(os.listdir(tmp_path)) == ["folder", "x.jsonl"]


def test_the_file_read_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.jsonl").write_bytes(GOOD)
    assert "name another" in fails(["from-jsonl", tmp_path / "x.jsonl", tmp_path / "x.jsonl"], capsys)
    assert (tmp_path / "x.jsonl").read_bytes() == GOOD


@pytest.mark.parametrize("name", ["absent.pkl", "absent.jsonl"])
def test_absent_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"{tmp_path / name}: cannot be read: No such file" in fails(["show", tmp_path / name], capsys)


@pytest.mark.parametrize("name", ["x.pkl", "x.jsonl"])
def test_show(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [as_entry(asking(reasoning="甲最高。\n答案是：A", author="solver")), Entry("题二", [], "2")]
    entries[1].questions = [QuestionItem("几？", ["1", "2"])]
    (dump_pickle if name == "x.pkl" else write_jsonl)(tmp_path / name, entries)
    assert main(["show", str(tmp_path / name)]) == 0
    shown = capsys.readouterr().out
    for part in ("train_1#2", "  B: 乙", "answer: A", "reasoning by solver", "题二", "answer: unknown"):
        assert part in shown
    assert main(["show", str(tmp_path / name), "--limit", "1"]) == 0
    assert "题二" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["x.pkl", "x.jsonl"])
def test_what_is_shown_gives_a_terminal_no_orders(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = "\x1b]0;title\x07\x1b[2J\r\x9b31m\u202e\u2066"
    item = QuestionItem(f"谁？{order}", [f"甲{order}", "乙\n丙\t丁"], f"{order}答案是：A", "A", f"x{order}")
    entry = Entry(f"题{order}", [item], f"p{order}")
    (dump_pickle if name == "x.pkl" else write_jsonl)(tmp_path / name, [entry])
    assert main(["show", str(tmp_path / name)]) == 0
    shown = capsys.readouterr().out
    assert not set(shown) & set(order) - set("0;title[23J1m]")
    assert r"题\x1b]0;title\x07\x1b[2J\r\x9b31m\u202e\u2066" in shown and "乙\n丙\t丁" in shown


@pytest.mark.parametrize("limit", ["0", "-1", "x", "²"])
def test_limit_must_be_positive(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["show", "x.pkl", "--limit", limit])
    assert "is not a whole number above 0" in capsys.readouterr().err


def test_as_a_module(tmp_path: Path) -> None:
    """``python -m`` gives the same pickles as an import, although it names the module ``__main__``."""
    (tmp_path / "x.jsonl").write_bytes(GOOD)
    command = [
        sys.executable,
        "-m",
        "augen.entries",
        "from-jsonl",
        str(tmp_path / "x.jsonl"),
        str(tmp_path / "x"),
    ]
    subprocess.run(command, check=True, timeout=30)
    dump_pickle(tmp_path / "y", [as_entry(record())])
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_names() -> None:
    entry = Entry(id="train_012~1")
    assert [letter_of(index) for index in range(3)] == ["A", "B", "C"]
    assert question_id(entry, 1) == "train_012~1#2"
    assert (origin(entry.id), origin("train_012")) == ("train_012", "train_012")


@pytest.mark.parametrize("prefix", ["train", "7", "seed7", "my_set", "种子", "set_2024", "A b\n"])
def test_the_id_of_a_puzzle_names_its_family_whatever_its_prefix(prefix: str) -> None:
    families = sorted(FAMILIES)
    entries = puzzle_entries(len(families), "any", prefix, families)
    assert [family_of(entry.id) for entry in entries] == families
    assert [family_of(f"{entry.id}~1~s2") for entry in entries] == families


@pytest.mark.parametrize("name", ["round1_train_data_000", "train_012", "dev_2024", "exam_3_law", "0000_roads", ""])
def test_other_ids_name_no_family(name: str) -> None:
    assert family_of(name) is None
