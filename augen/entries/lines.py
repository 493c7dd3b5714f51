"""The lines of a JSON Lines file, each as its value or as what is wrong with it."""

import codecs
import json
from typing import Any, NoReturn


class LineFault(ValueError):
    """What is wrong with a whole line of JSON Lines."""


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


def shown(text: str) -> str:
    """A text from the file, short enough for one line of a message."""
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
