"""Whole data sets of puzzles, the families in turn.

The default data are harder than what the tiny generator was trained on (`augen.tiny.corpus`), and use a wording
that it never saw: there is something to learn from them.
"""

from dataclasses import replace
from random import Random

from augen.entries import Entry
from augen.puzzles import FAMILIES, make

DIFFICULTIES = (2, 3, 4)
WORDINGS = (0, 1, 2)
QUESTIONS = (2, 3)


def puzzle_entries(count: int, seed: str, prefix: str) -> list[Entry]:
    """`count` problems with proved answers and the solver's reasoning; ids are ``<prefix>_<number>_<family>``."""
    rng = Random(f"dataset {seed}")
    families = sorted(FAMILIES)
    return [
        make(
            family := families[i % len(families)],
            rng,
            difficulty=rng.choice(DIFFICULTIES),
            wording=rng.choice(WORDINGS),
            questions=rng.choice(QUESTIONS),
            entry_id=f"{prefix}_{i:04d}_{family}",
        ).entry
        for i in range(count)
    ]


def as_raw(entries: list[Entry], *, answers: bool) -> list[Entry]:
    """`entries` as a raw data set has them: without reasoning, a test set without answers too."""
    return [
        replace(
            e,
            questions=[
                replace(q, reasoning=None, author=None, answer=q.answer if answers else None) for q in e.questions
            ],
        )
        for e in entries
    ]
