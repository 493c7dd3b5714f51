"""Problems with their questions: the two file formats that every stage reads and writes.

Raw and upload files are JSON Lines, one problem a line::

    {"problem": "甲比乙高，乙比丙高。", "questions": [{"question": "谁最高？", "options": ["乙", "甲"],
     "answer": "B"}], "id": "train_012"}

(on one line; ``reasoning`` and ``author`` may stand beside ``answer``). Between stages, the same entries
travel as canonical pickles. Both formats pass the same checks, on the way in and on the way out: every
fault of a file is found at once and named by file, line (entry, in a pickle), question and field.
"""

import difflib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from augen.core.errors import AugenError
from augen.entries import restricted
from augen.entries.lines import LineFault, lines_of, parsed, shown

LETTERS = "ABCDEFGHIJ"
SHOWN_FAULTS = 50

Answers = Literal["required", "optional"]


@dataclass
class QuestionItem:
    """One multiple-choice question; the letter of an option is its position: A, B, …"""

    question: str
    options: list[str]
    reasoning: str | None = None
    answer: str | None = None
    author: str | None = None


@dataclass
class Entry:
    """One problem and the questions that share its text."""

    problem: str = ""
    questions: list[QuestionItem] = field(default_factory=list)
    id: str = ""


@dataclass(frozen=True)
class Solution:
    """A reasoning that was written for a question: what a scorer judges."""

    problem: str
    question: QuestionItem
    reasoning: str


class EntriesError(AugenError):
    """A file that cannot be used; `faults` has one line for each fault, the message shows the first 50."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        hidden = len(faults) - SHOWN_FAULTS
        more = [f"… and {hidden} more"] if hidden > 0 else []
        super().__init__("\n".join([*faults[:SHOWN_FAULTS], *more]))


def letter_of(index: int) -> str:
    """The letter of the option at `index`: 0 → ``A``."""
    return LETTERS[index]


def question_id(entry: Entry, index: int) -> str:
    """``train_012#2`` for the second question (`index` 1) of the problem ``train_012``."""
    return f"{entry.id}#{index + 1}"


def origin(entry_id: str) -> str:
    """The id of the problem that a rewritten copy comes from: ``train_012~1`` → ``train_012``."""
    return entry_id.partition("~")[0]


def read_jsonl(path: str | Path, *, answers: Answers) -> list[Entry]:
    """The entries of a JSON Lines file, in its order; ids must be there and unique.

    With `answers` "optional" (questions still to be answered) the field ``answer`` may be absent or null.

    Raises:
        EntriesError: the file cannot be read or anything in it is wrong; all faults at once.
    """
    lines = lines_of(_read(path))
    if not lines:
        raise EntriesError([f"{path}: the file is empty; at least one entry is needed"])
    places = [f"{path}:{number}" for number in range(1, len(lines) + 1)]
    records = [parsed(line) for line in lines]
    _check(zip(places, records, strict=True), answers=answers, ids="required")
    return [_entry(record) for record in records]


def write_jsonl(path: str | Path, entries: Iterable[Entry]) -> None:
    """Write entries as JSON Lines; reasoning, answer and author are left out where they are None.

    The file appears whole or not at all.

    Raises:
        EntriesError: an entry is one that `read_jsonl` would refuse, or the file cannot be written.
    """
    records = [_record(entry) for entry in entries]
    _check(_numbered(path, records), answers="optional", ids="required")
    for record in records:
        record["questions"] = [
            {name: value for name, value in question.items() if value is not None} for question in record["questions"]
        ]
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    _write(path, "".join(lines).encode())


def load_pickle(path: str | Path) -> list[Entry]:
    """The entries of a pickle; nothing that the file names is imported or called.

    Pickles of lists of these two dataclasses are read, also when a notebook defined them (module
    ``__main__``) and when its classes had no ``id``, ``reasoning``, ``answer`` or ``author``. Unlike in
    JSON Lines, ids may be empty or shared: several reasonings of one question are several entries.

    Raises:
        EntriesError: the file cannot be read, names anything else, is damaged, or a field is wrong.
    """
    data = _read(path)
    try:
        records = restricted.loads(data, (Entry, QuestionItem))
    except restricted.PickleRefused as error:
        raise EntriesError([f"{path}: {error}"]) from error
    if type(records) is not list:
        raise EntriesError([f"{path}: holds {_kind(records)}, must be a list of entries"])
    # Objects may be shared inside a pickle, so a small damaged or hostile file could spell out a huge value.
    if _parts(records) > len(data):
        raise EntriesError([f"{path}: is damaged: it claims more fields and options than it has bytes"])
    _check(_numbered(path, records), answers="optional", ids="optional")
    return [_entry(record) for record in records]


def _parts(records: Sequence[Any]) -> int:
    """How many fields, options and other items the records spell out, each object counted wherever it is used.

    Looks at every object once for each depth at which it stands, so a large count takes no longer.
    """
    known: dict[tuple[int, int], int] = {}

    def of(value: Any, depth: int) -> int:
        if not isinstance(value, dict | list) or depth == 0:
            return 1
        place = id(value), depth
        if place not in known:
            items = value.values() if isinstance(value, dict) else value
            known[place] = 1 + sum(of(item, depth - 1) for item in items)
        return known[place]

    return sum(of(record, 4) for record in records)  # entry, questions, question, options


def dump_pickle(path: str | Path, entries: Iterable[Entry]) -> None:
    """Write a canonical pickle of the list of entries: equal entries give equal bytes.

    The file appears whole or not at all.

    Raises:
        EntriesError: an entry is one that `load_pickle` would refuse, or the file cannot be written.
    """
    records = [_record(entry) for entry in entries]
    _check(_numbered(path, records), answers="optional", ids="optional")
    _write(path, restricted.dumps([_entry(record) for record in records], (Entry, QuestionItem)))


_ENTRY_FIELDS = tuple(f.name for f in fields(Entry))
_QUESTION_FIELDS = tuple(f.name for f in fields(QuestionItem))


def _check(records: Iterable[tuple[str, Any]], *, answers: Answers, ids: Answers) -> None:
    """Raise an `EntriesError` with every fault of the records, each given with its place in the file."""
    faults: list[str] = []
    first_place: dict[str, str] = {}
    for place, record in records:
        found = list(_entry_faults(record, answers, ids))
        if ids == "required" and not found:
            earlier = first_place.setdefault(record["id"], place)
            if earlier != place:
                found = [f"id: {shown(record['id'])} is already the id of {earlier}"]
        faults += [f"{place}: {fault}" for fault in found]
    _content_fault.cache_clear()
    if faults:
        raise EntriesError(faults)


def _entry_faults(record: Any, answers: Answers, ids: Answers) -> Iterator[str]:
    if isinstance(record, LineFault):
        yield str(record)
        return
    if not _is_record(record, Entry):
        yield f"must be an entry (fields {', '.join(_ENTRY_FIELDS)}), not {_kind(record)}"
        return
    yield from _unknown_fields(record, _ENTRY_FIELDS)
    yield from _text_faults(record, "problem")
    if ids == "required" or record.get("id", "") != "":
        yield from _text_faults(record, "id")
    if "questions" not in record:
        yield "questions: missing"
    elif type(record["questions"]) is not list:
        yield f"questions: must be a list, not {_kind(record['questions'])}"
    elif not record["questions"]:
        yield "questions: the list is empty; an entry needs at least one question"
    for number, question in enumerate(_questions(record), start=1):
        for fault in _question_faults(question, answers):
            yield f"question {number}: {fault}"


def _question_faults(question: Any, answers: Answers) -> Iterator[str]:
    if not _is_record(question, QuestionItem):
        yield f"must be a question (fields {', '.join(_QUESTION_FIELDS)}), not {_kind(question)}"
        return
    yield from _unknown_fields(question, _QUESTION_FIELDS)
    yield from _text_faults(question, "question")
    yield from _option_faults(question)
    for name in ("reasoning", "author"):
        if question.get(name) is not None:
            yield from _text_faults(question, name)
    if answers == "required" or question.get("answer") is not None:
        yield from _answer_faults(question)


def _option_faults(question: Mapping[str, Any]) -> Iterator[str]:
    if "options" not in question:
        yield "options: missing"
    elif type(options := question["options"]) is not list:
        yield f"options: must be a list of texts, not {_kind(options)}"
    elif not 2 <= len(options) <= len(LETTERS):
        yield f"options: {len(options)} given, must be 2 to {len(LETTERS)}"
    else:
        for index, option in enumerate(options):
            if fault := _text_fault(option):
                yield f"option {letter_of(index)}: {fault}"


def _answer_faults(question: Mapping[str, Any]) -> Iterator[str]:
    if fault := _text_fault(question["answer"]) if "answer" in question else "missing":
        yield f"answer: {fault}"
        return
    answer, options = question["answer"], question.get("options")
    if type(options) is not list or not 2 <= len(options) <= len(LETTERS):
        return  # that fault is named already; how far the letters go is unknown
    allowed = LETTERS[: len(options)]
    if len(answer) == 1 and "A" <= answer <= "Z" and answer not in allowed:
        yield f"answer {answer!r} but {len(options)} options"
    elif len(answer) != 1 or answer not in allowed:
        yield f"answer {shown(answer)} must be one of the letters {allowed[0]} to {allowed[-1]}"


def _text_faults(record: Mapping[str, Any], name: str) -> Iterator[str]:
    if fault := _text_fault(record[name]) if name in record else "missing":
        yield f"{name}: {fault}"


def _text_fault(value: Any) -> str | None:
    if type(value) is not str:
        return f"must be text, not {_kind(value)}"
    return _content_fault(value)


@lru_cache(maxsize=10_000)  # one long text may be that of very many entries
def _content_fault(value: str) -> str | None:
    if not value.strip():
        return "is empty"
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return f"character {error.start + 1} is half of a surrogate pair, which no file can hold as UTF-8"
    return None


def _unknown_fields(record: Mapping[str, Any], known: Sequence[str]) -> Iterator[str]:
    for name in record:
        if name not in known:
            near = difflib.get_close_matches(name[:40].lower(), known, 1)
            meant = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            yield f"unknown field {shown(name)}{meant}"


def _is_record(value: Any, cls: type) -> bool:
    """True for JSON objects, and for pickled instances of `cls` (those carry the name of their class)."""
    return isinstance(value, dict) and getattr(value, "kind", cls.__name__) == cls.__name__


def _questions(record: Any) -> list[Any]:
    """The questions of an unchecked record, none where it has no such list."""
    questions = record.get("questions") if isinstance(record, dict) else None
    return questions if isinstance(questions, list) else []


_KINDS = {str: "text", bool: "a truth value", int: "a number", float: "a number", list: "a list"}


def _kind(value: Any) -> str:
    if isinstance(value, restricted.Record):
        return f"a pickled {value.kind}"
    if value is None:
        return "null"
    return "an object" if isinstance(value, dict) else _KINDS.get(type(value), f"a {type(value).__name__}")


def _entry(record: Mapping[str, Any]) -> Entry:
    """A checked record as an entry; nothing mutable is shared with it or with another entry."""
    return Entry(
        problem=record["problem"],
        questions=[QuestionItem(**{**item, "options": list(item["options"])}) for item in record["questions"]],
        id=record.get("id", ""),
    )


def _record(entry: Entry) -> dict[str, Any]:
    """An entry as a JSON object, its fields in the order of the files."""
    questions = [
        {
            "question": item.question,
            "options": item.options,
            "reasoning": item.reasoning,
            "answer": item.answer,
            "author": item.author,
        }
        for item in entry.questions
    ]
    return {"problem": entry.problem, "questions": questions, "id": entry.id}


def _numbered(path: str | Path, records: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    return ((f"{path}: entry {number}", record) for number, record in enumerate(records, start=1))


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise EntriesError([f"{path}: cannot be read: {error.strerror}"]) from error


def _write(path: str | Path, data: bytes) -> None:
    """Write the file whole or not at all, making its folder; a link at `path` is replaced, not followed."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise EntriesError([f"{path}: cannot be written: {error.strerror}"]) from error
