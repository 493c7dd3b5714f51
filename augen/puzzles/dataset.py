"""Data sets of puzzles from several families in turn.

The default data are harder than the puzzles that the tiny generator was trained on (`augen.pretrain.corpus`) and use a
wording that it never saw, so fine-tuning on them has something to gain.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from augen.core.errors import AugenError
from augen.entries import Entry
from augen.puzzles import BASIC, FAMILIES, make

DIFFICULTIES = (2, 3, 4)
WORDINGS = (0, 1, 2, 2)  # half of the puzzles use the new wording, 2
QUESTIONS = (2, 3)
SETS = {"basic": BASIC, "all": tuple(sorted(FAMILIES))}  # names for several families at once


def families_named(wanted: str | Sequence[str]) -> tuple[str, ...]:
    """The families that `wanted` (one name or several, of families or sets) stands for, in alphabetical order.

    Raises AugenError for an unknown name.

    >>> families_named(["roads", "dial"])
    ('dial', 'roads')
    """
    names = [wanted] if isinstance(wanted, str) else wanted
    found: set[str] = set()
    for name in names:
        if name not in SETS and name not in FAMILIES:
            near = difflib.get_close_matches(name, [*SETS, *FAMILIES], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join([*SETS, *sorted(FAMILIES)])}"
            raise AugenError(f"no family of puzzles is called {name!r}; {hint}")
        found |= set(SETS.get(name, (name,)))
    if not found:
        raise AugenError(f"no family of puzzles is named; there are {', '.join([*SETS, *sorted(FAMILIES)])}")
    return tuple(sorted(found))


def puzzle_entries(
    count: int, seed: str, prefix: str, families: Sequence[str] = BASIC, library: bool = True
) -> list[Entry]:
    """`count` problems with proved answers, the solver's reasoning and the program of each question.

    Ids are ``<prefix>_<number>_<family>``; the families take turns in the given order. With ``library=False`` the
    programs have their rules written out.
    """
    return list(stream_puzzles(count, seed, prefix, families, library))


def stream_puzzles(count: int, seed: str, prefix: str, families: Sequence[str], library: bool) -> Iterator[Entry]:
    """As `puzzle_entries`, one at a time."""
    rng = Random(f"dataset {seed}")
    for i in range(count):
        puzzle = make(
            family := families[i % len(families)],
            rng,
            difficulty=rng.choice(DIFFICULTIES),
            wording=rng.choice(WORDINGS),
            questions=rng.choice(QUESTIONS),
            entry_id=f"{prefix}_{i:04d}_{family}",
        )
        items = enumerate(puzzle.entry.questions)
        yield replace(puzzle.entry, questions=[replace(q, program=puzzle.program(n, library)) for n, q in items])


def as_raw(entries: list[Entry], *, answers: bool) -> list[Entry]:
    """`entries` as in a raw data set: without reasoning and, for a test set, without answers."""
    return [
        replace(
            e,
            questions=[
                replace(q, reasoning=None, author=None, program=None, answer=q.answer if answers else None)
                for q in e.questions
            ],
        )
        for e in entries
    ]
