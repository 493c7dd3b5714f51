"""What can be wrong, and what the user sees: the table behind docs/FAULTS.md and tests/integration/test_faults.py.

    python -m tests.faults > docs/FAULTS.md

Each fault is arranged in a small working tree of its own (`workplace`). A stage or command runs there, and its message
must be `says`, in which "…" stands for any text.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from augen.core.files import write_json
from augen.entries import Entry, QuestionItem
from augen.entries.jsonl import write_jsonl
from augen.entries.pickles import dump_pickle
from tests.dependencies import ROOT
from tests.params import change_params, write_params

Arrange = Callable[[Path], Any]  # breaks something in a working tree


@dataclass(frozen=True)
class Fault:
    """`run` is a stage, or the module and arguments of a command."""

    what: str
    run: str
    arrange: Arrange
    says: str


def problem(number: int, prefix: str = "p") -> Entry:
    names = ["甲", "乙", "丙", f"{number}号"]
    item = QuestionItem(f"第{number}天谁最高？", names, f"{number}号最高。\n答案是：D", "D", "solver")
    return Entry(f"第{number}天，{number}号比甲、乙和丙都高，他们在{number}号站台。", [item], f"{prefix}{number}")


def unanswered(entries: list[Entry]) -> list[Entry]:
    return [
        replace(e, questions=[replace(q, answer=None, reasoning=None, author=None) for q in e.questions])
        for e in entries
    ]


def workplace(folder: Path) -> None:
    """Write what all stages before the broken one would leave, for eight problems; models/tiny is the repository's."""
    entries = [problem(i) for i in range(8)]
    wrong = [
        replace(e, questions=[replace(q, answer="A", reasoning="答案是：A")]) for e in entries for q in e.questions
    ]
    (folder / "models").mkdir()
    (folder / "models/tiny").symlink_to(ROOT / "models/tiny")
    (folder / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    write_jsonl(folder / "data/raw/train.jsonl", entries)
    write_jsonl(folder / "data/raw/test.jsonl", unanswered([problem(i, "t") for i in range(20, 23)]))
    write_jsonl(folder / "data/dev.jsonl", [problem(i, "d") for i in range(10, 12)])
    write_jsonl(folder / "data/votes.jsonl", [problem(12, "v")])
    dump_pickle(folder / "data/entries_raw.pkl", entries)
    dump_pickle(folder / "data/entries_aug.pkl", [])
    for name, held in (
        ("entries", entries),
        ("entries_aug", []),
        ("entries_false", wrong),
        ("entries_aug_false", []),
        ("entries_own", []),
    ):
        dump_pickle(folder / f"data/reasoned/{name}.pkl", held)
    write_json(folder / "reports/translate.json", {"counts": {}, "examples": {}})
    write_params(folder / "params.yaml", {"prepare.synthetic": 0})


# --- ways to break something


def write(path: str, content: bytes | str) -> Arrange:
    def arrange(folder: Path) -> None:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    return arrange


def remove(path: str) -> Arrange:
    return lambda folder: (folder / path).unlink()


def change(path: str, old: str, new: str | bytes, count: int = 1) -> Arrange:
    """Replace the text `old` in the file; `new` is bytes where it is not valid UTF-8."""

    def arrange(folder: Path) -> None:
        data = (folder / path).read_bytes()
        assert old.encode() in data, f"{path} has no {old}"
        (folder / path).write_bytes(data.replace(old.encode(), new.encode() if isinstance(new, str) else new, count))

    return arrange


def param(values: dict[str, Any]) -> Arrange:
    """Set params by dotted key."""
    return lambda folder: change_params(folder / "params.yaml", values)


def in_the_way(path: str) -> Arrange:
    """A file where a folder must be: not even root can write there."""

    def arrange(folder: Path) -> None:
        target = folder / path
        if target.is_dir():
            target.rename(folder / f"moved-{target.name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("in the way", encoding="utf-8")

    return arrange


def both(*steps: Arrange) -> Arrange:
    return lambda folder: [step(folder) for step in steps]


def lines(path: str, *rows: Any) -> Arrange:
    return write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def table() -> dict[str, list[Fault]]:
    """All faults by area."""
    from tests.faults import files, inputs, models

    return inputs.FAULTS | files.FAULTS | models.FAULTS


# The tests run these parts of stages alone; the stages that each belongs to.
STAGES_OF = {
    "read_index": "finetune, infer",
    "retrieve": "finetune, infer",
    "identity": "all that sample",
    "adapter": "infer",
    "scorer": "infer",
    "generator": "all that sample",
    "adapted": "infer",
    "embedder": "index, finetune, infer",
    "loaded_scorer": "infer",
}
MACHINE = """
## The machine

| fault | command | message |
|---|---|---|
| the disk is full | prepare, filter | `…: data/entries_raw.pkl: cannot be written: …`; no part of a file is left |
| the disk of the store is full | all that sample | `…responses.sqlite: database or disk is full; make room on its \
disk and run again…`; what was stored stays |
| another machine asks for the same answer and never gets it | all that ask providers | `…: process … on … has been \
asking for the same answer for … s, longer than providers.max_wait_s …` |
| Ctrl-C | translate | `translate: interrupted; what was drawn is stored, …` and exit status 130; no out is left |
| a port is in use | make demo-apis | `a port of … is in use (Address already in use): end what listens there` |"""


def page() -> str:
    """docs/FAULTS.md"""
    parts = [
        "# What can go wrong, and what is said\n",
        "Made from the table that the tests run (`python -m tests.faults > docs/FAULTS.md`). Each message goes to\n"
        'standard error with exit status 1; "…" stands for what differs from case to case. A refused run writes no\n'
        "out, and leaves no half of one.",
    ]
    for area, faults in table().items():
        parts.append(f"\n## {area}\n\n| fault | command | message |\n|---|---|---|")
        parts += [f"| {f.what} | {STAGES_OF.get(f.run, f.run)} | {cell(f.says)} |" for f in faults]
    parts.append(MACHINE)
    return "\n".join(parts) + "\n"


def cell(text: str) -> str:
    shown = text.replace("|", "\\|").replace("\n", " ⏎ ")
    return f"`` {shown} ``" if "`" in shown else f"`{shown}`"
