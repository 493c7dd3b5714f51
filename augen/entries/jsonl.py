"""Entries as JSON Lines, one problem a line: the format of raw data and of ``upload.jsonl``.

On one line (``reasoning`` and ``author`` may stand beside ``answer``)::

    {"problem": "甲比乙高，乙比丙高。", "questions": [{"question": "谁最高？", "options": ["乙", "甲"],
     "answer": "B"}], "id": "train_012"}
"""

import codecs
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from augen.entries import Entry
from augen.entries.records import (
    Answers,
    EntriesError,
    LineFault,
    check,
    entry_of,
    numbered,
    read,
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
    data = read(path)
    if other := _other_format(data):
        raise EntriesError([f"{path}: {other}; wanted is JSON Lines, one problem a line"])
    lines = lines_of(data)
    if not lines and not may_be_empty:
        raise EntriesError([f"{path}: the file is empty; at least one entry is needed"])
    places = [f"{path}:{number}" for number in range(1, len(lines) + 1)]
    records = [parsed(line) for line in lines]
    check(zip(places, records, strict=True), answers=answers, ids="required" if copies else "originals")
    return [entry_of(record) for record in records]


def write_jsonl(path: str | Path, entries: Iterable[Entry]) -> None:
    """Write entries as JSON Lines; reasoning, answer and author are left out where they are None.

    The file appears whole or not at all.

    Raises:
        EntriesError: an entry is one that `read_jsonl` would refuse, or the file cannot be written.
    """
    records = [record_of(entry) for entry in entries]
    check(numbered(path, records), answers="optional", ids="required")
    for record in records:
        record["questions"] = [
            {name: value for name, value in question.items() if value is not None} for question in record["questions"]
        ]
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    write(path, "".join(lines).encode())


_FORMATS = (
    (b"<", "begins like a web page (HTML or XML), perhaps that of a login instead of the download"),
    (b"PK\x03\x04", "is a ZIP archive or an Excel file"),
    (b"\x1f\x8b", "is compressed (gzip); unpack it"),
    (b"\xff\xfe", "is UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "is UTF-16; save it as UTF-8"),
)


def _other_format(data: bytes) -> str | None:
    """What `data` is, as a whole, instead of JSON Lines; None if it is to be read line by line."""
    start = data.removeprefix(codecs.BOM_UTF8).lstrip()
    for beginning, kind in _FORMATS:
        if start.startswith(beginning):
            return kind
    first, *others = lines_of(start) or [b""]
    if start.startswith(b"[") and (isinstance(parsed(first), LineFault) or not others):
        return "is one JSON array; `jq -c '.[]' FILE` writes each of its elements on a line"
    if first.strip() == b"{" and not isinstance(parsed(start), LineFault):
        return "is one JSON object over several lines; `jq -c . FILE` writes it on one"
    return None


def lines_of(data: bytes) -> list[bytes]:
    """The lines of a file without the blank ones at its end."""
    # Only \n ends a line: the separators that str.splitlines knows may stand inside JSON texts.
    kept = data.rstrip(b" \t\r\n")
    return kept.split(b"\n") if kept else []


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
