"""The rules of puzzle families, each a module that a program takes in with ``#use NAME.``

A module's file ``NAME.lp`` begins with comments that say which facts it reads and what can be asked. The families of
`augen.puzzles` prove their answers with the same text.
"""

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def module(name: str) -> str:
    """The rules of the module `name`; KeyError where there is none."""
    if name not in names():
        raise KeyError(name)
    return (FOLDER / f"{name}.lp").read_text(encoding="utf-8")


@cache
def rules_of(name: str) -> str:
    """The rules of the module `name` without its comments, one statement a line; KeyError where there is none."""
    return "\n".join(line for line in module(name).splitlines() if not line.startswith("%"))


@cache
def names() -> tuple[str, ...]:
    """The names of all modules, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.lp")))
