"""Entries as JSON Lines, one problem a line: the format of raw data and of ``upload.jsonl``.

On one line (``reasoning`` and ``author`` may stand beside ``answer``)::

    {"problem": "甲比乙高，乙比丙高。", "questions": [{"question": "谁最高？", "options": ["乙", "甲"],
     "answer": "B"}], "id": "train_012"}
"""

import codecs
import io
import json
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from augen.entries import Entry
from augen.entries.records import (
    HEAD,
    Answers,
    EntriesError,
    Ids,
    LineFault,
    checked,
    entry_of,
    entry_place,
    opened,
    record_of,
    shown,
    write,
)


def read_jsonl(path: str | Path, *, answers: Answers, may_be_empty: bool = False, copies: bool = False) -> list[Entry]:
    """The entries of a JSON Lines file, in its order; ids must be there and unique.

    With `answers` "optional" (questions still to be answered) the field ``answer`` may be absent or null. Ids with a
    ``~``, those of rewritten `copies`, are taken only on request: two of them may name one problem.

    Raises:
        EntriesError: the file cannot be read or anything in it is wrong; all faults at once.
    """
    return list(stream_jsonl(path, answers=answers, may_be_empty=may_be_empty, copies=copies))


def stream_jsonl(
    path: str | Path, *, answers: Answers, may_be_empty: bool = False, copies: bool = False
) -> Iterator[Entry]:
    """As `read_jsonl`, but one entry at a time: the faults are raised after the entries before them."""
    ids: Ids = "required" if copies else "originals"
    records = checked(_records(path, may_be_empty), lambda number: f"{path}:{number}", answers=answers, ids=ids)
    return map(entry_of, records)


def _records(path: str | Path, may_be_empty: bool) -> Iterator[Any]:
    with opened(path) as file:
        if other := _other_format(file):
            raise EntriesError([f"{path}: {other}; wanted is JSON Lines, one problem a line"])
        number = 0
        for number, line in enumerate(lines_of(file), start=1):  # noqa: B007
            yield parsed(line)
    if not number and not may_be_empty:
        raise EntriesError([f"{path}: the file is empty; at least one entry is needed"])


def write_jsonl(path: str | Path, entries: Iterable[Entry]) -> None:
    """Write entries as JSON Lines; reasoning, answer and author are left out where they are None.

    The file appears whole or not at all. `entries` are taken one at a time.

    Raises:
        EntriesError: an entry is one that `read_jsonl` would refuse, or the file cannot be written.
    """
    records = checked(map(record_of, entries), entry_place(path), answers="optional", ids="required")
    write(path, (_line(record).encode() for record in records))


def _line(record: dict[str, Any]) -> str:
    questions = [
        {name: value for name, value in question.items() if value is not None} for question in record["questions"]
    ]
    return json.dumps(record | {"questions": questions}, ensure_ascii=False) + "\n"


_FORMATS = (
    (b"<", "begins like a web page (HTML or XML), perhaps that of a login instead of the download"),
    (b"PK\x03\x04", "is a ZIP archive or an Excel file"),
    (b"\x1f\x8b", "is compressed (gzip); unpack it"),
    (b"\xff\xfe", "is UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16; save it as UTF-8"),
)


def _other_format(file: BufferedReader) -> str | None:
    """What the file is, as a whole, instead of JSON Lines; None if it is to be read line by line."""
    start = _start(file.peek(HEAD))
    for beginning, kind in _FORMATS:
        if start.startswith(beginning):
            return kind
    first = start.partition(b"\n")[0].strip()
    if first == b"{" or start.startswith(b"["):  # no line of an entry, so reading all of it is no loss
        first, *others = lines_of(io.BytesIO(whole := _start(file.read())))
        if whole.startswith(b"[") and (isinstance(parsed(first), LineFault) or not others):
            return "is one JSON array; `jq -c '.[]' FILE` writes each of its elements on a line"
        if first.strip() == b"{" and not isinstance(parsed(whole), LineFault):
            return "is one JSON object over several lines; `jq -c . FILE` writes it on one"
        file.seek(0)
    return None


def _start(data: bytes) -> bytes:
    return data.removeprefix(codecs.BOM_UTF8).lstrip()


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file without the blank ones at its end."""
    # Only \n ends a line: the separators that str.splitlines knows may stand inside JSON texts.
    blank: list[bytes] = []
    for line in file:
        if not line.strip(b" \t\r\n"):
            blank.append(line)
        else:
            yield from blank
            blank.clear()
            yield line.rstrip(b" \t\r\n")


def parsed(line: bytes) -> Any:
    """The JSON value of a line, or the `LineFault` that stands in its place (returned, not raised)."""
    if line.startswith(codecs.BOM_UTF8):
        return LineFault("starts with a byte order mark; save the file as UTF-8 without it")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        found = f"byte {error.start + 1} of the line is 0x{line[error.start]:02x}"
        return LineFault(f"not UTF-8: {found}; save the file as UTF-8")
    if not text.strip():
        return LineFault("blank line; only the end of the file may have any")
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_fields)
    except LineFault as fault:
        return fault
    except json.JSONDecodeError as error:
        cut_off = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        hint = "; the line seems to be cut off" if cut_off else ""
        return LineFault(f"not JSON: {error.msg} at column {error.pos + 1}{hint}")
    except RecursionError:
        return LineFault("not an entry: lists or objects are nested too deeply")
    except ValueError as error:  # an integer of more digits than Python converts
        return LineFault(f"not JSON that can be read: {error}")


def _refuse_constant(name: str) -> NoReturn:
    raise LineFault(f"not JSON: {name} is no JSON value")


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, value in pairs:
        if name in record:
            raise LineFault(f"{shown(name)}: the field is given twice")
        record[name] = value
    return record
