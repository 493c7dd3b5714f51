"""Outs are written whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any


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
