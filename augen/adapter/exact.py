"""Which held-out lessons the generator would write to the letter: their share in a trainer's log, by kind and family.

A lesson counts if every token of it is the likeliest one after the prompt and the tokens before it. That is what greedy
sampling writes, so the shares say how far the training has come long before anything is sampled.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

OTHER = "other"  # the family of data that name none
COLUMNS = ["step", "family", "kind", "lessons", "exact"]
_SHARE = re.compile(r"eval_exact_(reasoning|program)_(.+)")


def exact_shares(kinds: Sequence[str], families: Sequence[str], exact: Sequence[bool]) -> dict[str, float]:
    """What the log says of one evaluation: the share of each kind, and of each family's, with how many lessons it has.

    >>> exact_shares(["program", "program"], ["roads", "lists"], [True, False])  # doctest: +NORMALIZE_WHITESPACE
    {'eval_exact_program': 0.5, 'eval_exact_program_lists': 0.0, 'eval_lessons_program_lists': 1,
     'eval_exact_program_roads': 1.0, 'eval_lessons_program_roads': 1}
    """
    log: dict[str, float] = {}
    rows = list(zip(kinds, families, exact, strict=True))
    for kind in sorted(set(kinds)):
        own = [(family, right) for of, family, right in rows if of == kind]
        log[f"eval_exact_{kind}"] = _share(right for _, right in own)
        for family in sorted({family for family, _ in own}):
            found = [right for of, right in own if of == family]
            log |= {f"eval_exact_{kind}_{family}": _share(found), f"eval_lessons_{kind}_{family}": len(found)}
    return log


def _share(exact: Iterable[bool]) -> float:
    found = list(exact)
    return sum(found) / len(found)


def family_shares(record: Mapping[str, Any]) -> Iterator[tuple[str, str, int, float]]:
    """``(family, kind, lessons, share)`` of each group in a `record` of the log; nothing if it is no evaluation."""
    for key, share in record.items():
        if found := _SHARE.fullmatch(key):
            kind, family = found.groups()
            yield family, kind, record[f"eval_lessons_{kind}_{family}"], share


def families_csv(history: Iterable[Mapping[str, Any]]) -> str:
    """A trainer's log as a long table: a line for every evaluation, family and kind.

    >>> log = {"step": 5, **exact_shares(["program", "program"], ["roads", "lists"], [True, False])}
    >>> print(families_csv([{"step": 4, "loss": 1.5}, log]), end="")
    step,family,kind,lessons,exact
    5,lists,program,1,0
    5,roads,program,1,1
    """
    rows = {
        (int(record["step"]), family, kind): (lessons, share)
        for record in history
        for family, kind, lessons, share in family_shares(record)
    }
    lines = [",".join(COLUMNS)]
    lines += [f"{step},{family},{kind},{n},{share:.6g}" for (step, family, kind), (n, share) in sorted(rows.items())]
    return "\n".join(lines) + "\n"
