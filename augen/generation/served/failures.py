"""Requests that ended without a usable answer: reports/failed.jsonl, one line each."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from augen.core.files import write_text

FAILED = Path("reports/failed.jsonl")


@dataclass(frozen=True)
class Failure:
    """``request`` is the question's id where there is one (train_012#2), else the request's key in the store."""

    request: str
    cause: str
    attempts: int


def keep_failures(stage: str, failures: Sequence[Failure], path: Path = FAILED) -> None:
    """Replace the lines of `stage` in `path`; other stages' lines stay. Without failures, no new file is made.

    A line that cannot be read is dropped: this is a report, and no reason for a stage to fail.
    """
    try:
        # No splitlines: it cuts at U+2028 and U+0085 too, which stand in texts as they are.
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    except FileNotFoundError:
        lines = []
    others = [line for line in lines if _stage(line) not in (None, stage)]
    own = [json.dumps({"stage": stage, **asdict(failure)}, ensure_ascii=False) for failure in failures]
    if lines or own:
        write_text(path, "".join(f"{line}\n" for line in others + own))


def _stage(line: str) -> str | None:
    """Whose line it is; None where it cannot be read."""
    try:
        return str(json.loads(line)["stage"])
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
