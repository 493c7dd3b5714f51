"""Problems with their questions: the two file formats that every stage reads and writes.

Raw and upload files are JSON Lines, one problem a line::

    {"problem": "甲比乙高，乙比丙高。", "questions": [{"question": "谁最高？", "options": ["乙", "甲"],
     "answer": "B"}], "id": "train_012"}

(on one line; ``reasoning`` and ``author`` may stand beside ``answer``). Between stages, the same entries
travel as canonical pickles. Both formats pass the same checks, on the way in and on the way out: every
fault of a file is found at once and named by file, line (entry, in a pickle), question and field.

    python -m augen.entries show data/entries_raw.pkl --limit 3
    python -m augen.entries to-jsonl data/entries_raw.pkl entries.jsonl
    python -m augen.entries from-jsonl entries.jsonl entries.pkl
"""

import argparse
import codecs
import difflib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NoReturn

from augen import pickles
from augen.errors import AugenError

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
    lines = _lines(_read(path))
    if not lines:
        raise EntriesError([f"{path}: the file is empty; at least one entry is needed"])
    places = [f"{path}:{number}" for number in range(1, len(lines) + 1)]
    records = [_parsed(line) for line in lines]
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


class _LineFault(ValueError):
    """What is wrong with a whole line of JSON Lines."""


def _lines(data: bytes) -> list[bytes]:
    """The lines of a file without the blank ones at its end."""
    # Only \n ends a line: the separators that str.splitlines knows may stand inside JSON texts.
    kept = data.rstrip(b" \t\r\n")
    return kept.split(b"\n") if kept else []


def _parsed(line: bytes) -> Any:
    """The JSON value of a line, or the `_LineFault` that stands in its place (returned, not raised)."""
    if line.startswith(codecs.BOM_UTF8):
        return _LineFault("starts with a byte order mark; save the file as UTF-8 without it")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        found = f"byte {error.start + 1} of the line is 0x{line[error.start]:02x}"
        return _LineFault(f"not UTF-8: {found}; save the file as UTF-8")
    if not text.strip():
        return _LineFault("blank line; only the end of the file may have any")
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_fields)
    except _LineFault as fault:
        return fault
    except json.JSONDecodeError as error:
        cut_off = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        hint = "; the line seems to be cut off" if cut_off else ""
        return _LineFault(f"not JSON: {error.msg} at column {error.pos + 1}{hint}")
    except RecursionError:
        return _LineFault("not an entry: lists or objects are nested too deeply")
    except ValueError as error:  # an integer of more digits than Python converts
        return _LineFault(f"not JSON that can be read: {error}")


def _refuse_constant(name: str) -> NoReturn:
    raise _LineFault(f"not JSON: {name} is no JSON value")


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, value in pairs:
        if name in record:
            raise _LineFault(f"{_shown(name)}: the field is given twice")
        record[name] = value
    return record


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
        records = pickles.loads(data, (Entry, QuestionItem))
    except pickles.PickleRefused as error:
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
    _write(path, pickles.dumps([_entry(record) for record in records], (Entry, QuestionItem)))


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
                found = [f"id: {_shown(record['id'])} is already the id of {earlier}"]
        faults += [f"{place}: {fault}" for fault in found]
    _content_fault.cache_clear()
    if faults:
        raise EntriesError(faults)


def _entry_faults(record: Any, answers: Answers, ids: Answers) -> Iterator[str]:
    if isinstance(record, _LineFault):
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
        yield f"answer {_shown(answer)} must be one of the letters {allowed[0]} to {allowed[-1]}"


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
            yield f"unknown field {_shown(name)}{meant}"


def _is_record(value: Any, cls: type) -> bool:
    """True for JSON objects, and for pickled instances of `cls` (those carry the name of their class)."""
    return isinstance(value, dict) and getattr(value, "kind", cls.__name__) == cls.__name__


def _questions(record: Any) -> list[Any]:
    """The questions of an unchecked record, none where it has no such list."""
    questions = record.get("questions") if isinstance(record, dict) else None
    return questions if isinstance(questions, list) else []


_KINDS = {str: "text", bool: "a truth value", int: "a number", float: "a number", list: "a list"}


def _kind(value: Any) -> str:
    if isinstance(value, pickles.Record):
        return f"a pickled {value.kind}"
    if value is None:
        return "null"
    return "an object" if isinstance(value, dict) else _KINDS.get(type(value), f"a {type(value).__name__}")


def _shown(text: str) -> str:
    """A text from the file, short enough for one line of a message."""
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m augen.entries``; returns the exit status."""
    options, unknown = _command_line().parse_known_args(arguments)
    if unknown:  # the command's usage, not that of the whole
        options.parser.error(f"unknown: {' '.join(unknown)}; --help lists what there is")
    try:
        options.run(options)
    except AugenError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m augen.entries",
        description="Look at entry files and convert them. A file whose name ends in .jsonl is JSON Lines "
        "(one problem a line), any other is a pickle of entries; reading one runs nothing that is in it.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    show = commands.add_parser("show", help="print the problems of a file for reading")
    show.add_argument("file", type=Path, metavar="FILE", help="a pickle of entries or a .jsonl file")
    show.add_argument("--limit", type=_count, metavar="N", help="print only the first N problems")
    show.set_defaults(parser=show, run=lambda o: _show(_load(o.file)[: o.limit]))
    to_jsonl = commands.add_parser("to-jsonl", help="write the entries of a pickle as JSON Lines")
    to_jsonl.set_defaults(parser=to_jsonl, run=lambda o: write_jsonl(_other(o.out, o.file), load_pickle(o.file)))
    from_jsonl = commands.add_parser("from-jsonl", help="write the entries of a JSON Lines file as a pickle")
    from_jsonl.set_defaults(
        parser=from_jsonl,
        run=lambda o: dump_pickle(_other(o.out, o.file), read_jsonl(o.file, answers="optional")),
    )
    for command in (to_jsonl, from_jsonl):
        command.add_argument("file", type=Path, metavar="FILE", help="the file to read")
        command.add_argument("out", type=Path, metavar="OUT", help="the file to write; replaced if it exists")
    return parser


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _other(out: Path, file: Path) -> Path:
    if out.resolve() == file.resolve():
        raise EntriesError([f"{out}: is the file to read; name another one to write"])
    return out


def _load(path: Path) -> list[Entry]:
    return read_jsonl(path, answers="optional") if path.suffix == ".jsonl" else load_pickle(path)


def _show(entries: Iterable[Entry]) -> None:
    for entry in entries:
        print(f"=== {entry.id or '(no id)'}\n{entry.problem}\n")
        for index, item in enumerate(entry.questions):
            print(f"--- {question_id(entry, index)}\n{item.question}")
            for position, option in enumerate(item.options):
                print(f"  {letter_of(position)}: {option}")
            print(f"answer: {item.answer or 'unknown'}")
            if item.reasoning is not None:
                print(f"reasoning by {item.author or 'unknown'}:\n{item.reasoning}")
            print()


if __name__ == "__main__":
    # Run from the imported module: classes of ``__main__`` would be others than those of every importer.
    from augen.entries import main as imported_main

    sys.exit(imported_main())
