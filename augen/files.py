"""Outs are written whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

from augen.errors import AugenError


def write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path`, making its folder; a crash leaves the old file or none, never half of one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def write_json(path: Path | str, value: Any) -> None:
    """`value` as indented JSON with its keys in their own order."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path | str) -> Any:
    """The value of a JSON file that a stage wrote; AugenError where it is missing or none."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise AugenError(f"{path}: cannot be read ({fault}); run `dvc repro`, which writes it again") from None
