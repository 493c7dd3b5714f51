"""Entries as the records of a file, and everything that can be wrong with one.

Both file formats pass the same checks, when they are read and when they are written. All faults of a file are found at
once; each is named by file, line (in a pickle: entry), question and field.
"""

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal, cast

from augen.core.errors import AugenError
from augen.core.files import write_parts
from augen.entries import COPY, LETTERS, Entry, QuestionItem, letter_of
from augen.entries.restricted import Record

SHOWN_FAULTS = 50
HEAD = 1 << 16  # bytes of a file that are read at once, and by which its format is told
Answers = Literal["required", "optional"]
Ids = Literal["required", "optional", "originals"]  # originals: required, and none of a rewritten copy


class EntriesError(AugenError):
    """A file that cannot be used; `faults` has one line for each fault, the message shows the first 50."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        hidden = len(faults) - SHOWN_FAULTS
        more = [f"… and {hidden} more"] if hidden > 0 else []
        super().__init__("\n".join([*faults[:SHOWN_FAULTS], *more]))


_ENTRY_FIELDS = tuple(f.name for f in fields(Entry))


_QUESTION_FIELDS = tuple(f.name for f in fields(QuestionItem))


def checked(records: Iterable[Any], place: Callable[[int], str], *, answers: Answers, ids: Ids) -> Iterator[Any]:
    """The records, one at a time, up to the first fault.

    The rest is looked through, too: at the end an `EntriesError` names every fault, with the `place` in the file of
    each record, given by its number.
    """
    faults: list[str] = []
    first: dict[str, int] = {}  # by id
    for number, record in enumerate(records, start=1):
        found = list(_entry_faults(record, answers, ids))
        if ids != "optional" and not found:
            earlier = first.setdefault(record["id"], number)
            if earlier != number:
                found = [f"id: {shown(record['id'])} is already the id of {place(earlier)}"]
        faults += [f"{place(number)}: {fault}" for fault in found]
        if not faults:
            yield record
    _content_fault.cache_clear()
    if faults:
        raise EntriesError(faults)


def _entry_faults(record: Any, answers: Answers, ids: Ids) -> Iterator[str]:
    if isinstance(record, LineFault):
        yield str(record)
        return
    if not _is_record(record, Entry):
        yield f"must be an entry (fields {', '.join(_ENTRY_FIELDS)}), not {kind_of(record)}"
        return
    yield from _unknown_fields(record, _ENTRY_FIELDS)
    yield from _text_faults(record, "problem")
    if ids != "optional" or record.get("id", "") != "":
        yield from _text_faults(record, "id")
    if ids == "originals" and COPY in str(record.get("id", "")):
        found = shown(str(record["id"]))
        yield f"id: {found} has a {COPY}, which marks rewritten copies of one problem; use another sign"
    if "questions" not in record:
        yield "questions: missing"
    elif type(record["questions"]) is not list:
        yield f"questions: must be a list, not {kind_of(record['questions'])}"
    elif not record["questions"]:
        yield "questions: the list is empty; an entry needs at least one question"
    for number, question in enumerate(_questions(record), start=1):
        for fault in _question_faults(question, answers):
            yield f"question {number}: {fault}"


def _question_faults(question: Any, answers: Answers) -> Iterator[str]:
    if not _is_record(question, QuestionItem):
        yield f"must be a question (fields {', '.join(_QUESTION_FIELDS)}), not {kind_of(question)}"
        return
    yield from _unknown_fields(question, _QUESTION_FIELDS)
    yield from _text_faults(question, "question")
    yield from _option_faults(question)
    for name in ("reasoning", "author", "program"):
        if question.get(name) is not None:
            yield from _text_faults(question, name)
    if answers == "required" or question.get("answer") is not None:
        yield from _answer_faults(question)


def _option_faults(question: Mapping[str, Any]) -> Iterator[str]:
    if "options" not in question:
        yield "options: missing"
    elif type(options := question["options"]) is not list:
        yield f"options: must be a list of texts, not {kind_of(options)}"
    elif not 2 <= len(options) <= len(LETTERS):
        yield f"options: {len(options)} given, must be 2 to {len(LETTERS)}"
    else:
        faults = [(index, fault) for index, option in enumerate(options) if (fault := _text_fault(option))]
        yield from (f"option {letter_of(index)}: {fault}" for index, fault in faults)
        if not faults and all(_has_letter(option, letter_of(index)) for index, option in enumerate(options)):
            yield (
                f"options: each begins with its own letter ({shown(options[0])}), which is wrong as soon as they are "
                "shuffled; leave the letters out, they follow from the order"
            )


# Not A:1, B:2 and not A、B.
_OWN_LETTER = re.compile(
    r"""\s* (?: 选项\s* )?
    (?: [(\[【〔] \s* (?P<inside>[A-Za-z]) \s* [)\]】〕]
      | (?P<letter>[A-Za-z]) \s*
        (?: [).] | : (?! .* [A-Za-z] \s* : ) | [、,] (?! \s* [A-Za-z] \s* (?: [、,和与] | $ ) ) ) )
    \s* \S""",
    re.VERBOSE | re.DOTALL,
)


def _has_letter(option: str, letter: str) -> bool:
    """Whether `option` begins with its own `letter`: ``(A)乙``, ``A. 乙``."""
    found = _OWN_LETTER.match(unicodedata.normalize("NFKC", option[:200]))
    return found is not None and (found["inside"] or found["letter"]).upper() == letter


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
        return f"must be text, not {kind_of(value)}"
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


def kind_of(value: Any) -> str:
    if isinstance(value, Record):
        return f"a pickled {value.kind}"
    if value is None:
        return "null"
    return "an object" if isinstance(value, dict) else _KINDS.get(type(value), f"a {type(value).__name__}")


def entry_of(record: Mapping[str, Any]) -> Entry:
    """A checked record as an entry; nothing mutable is shared with it or with another entry."""
    return Entry(
        problem=record["problem"],
        questions=[QuestionItem(**{**item, "options": list(item["options"])}) for item in record["questions"]],
        id=record.get("id", ""),
    )


def record_of(entry: Entry) -> dict[str, Any]:
    """An entry as a JSON object, its fields in the order of the files; `program` only where there is one."""
    questions = [
        {name: getattr(item, name) for name in _QUESTION_FIELDS if name != "program" or item.program is not None}
        for item in entry.questions
    ]
    return {"problem": entry.problem, "questions": questions, "id": entry.id}


def entry_place(path: str | Path) -> Callable[[int], str]:
    """Names the entries of a file that has no lines."""
    return lambda number: f"{path}: entry {number}"


@contextmanager
def opened(path: str | Path) -> Iterator[BufferedReader]:
    """The file `path`, for reading."""
    try:
        with Path(path).open("rb", buffering=HEAD) as file:
            yield cast(BufferedReader, file)
    except OSError as error:
        raise EntriesError([f"{path}: cannot be read: {error.strerror}"]) from error


def write(path: str | Path, parts: Iterable[bytes]) -> None:
    """Write the file whole or not at all, part by part, making its folder."""
    try:
        write_parts(path, parts)
    except OSError as error:
        raise EntriesError([f"{path}: cannot be written: {error.strerror}"]) from error


class LineFault(ValueError):
    """What is wrong with a whole line of JSON Lines."""


def shown(text: str) -> str:
    """A text from the file, short enough for one line of a message."""
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
