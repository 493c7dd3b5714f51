"""Tests the guards of rewriting on rewrites whose effect is known: make bench PART=guards

Corruptions should be caught and harmless rewrites let through. Up to 300 of each kind (tests.rewrites) are made from
generated puzzles and, if they are available, from the real problems.
"""

from collections.abc import Mapping, Sequence

from tabulate import tabulate

from augen.core.run import no_arguments
from augen.entries import Entry
from augen.entries.jsonl import read_jsonl
from augen.puzzles.dataset import puzzle_entries
from tests.real import REAL_DATA
from tests.rewrites import CORRUPTIONS, HARMLESS, Maker, measured

COUNT, SEED = 300, 7


def main() -> None:
    sources = {"generated": puzzle_entries(300, "guards", "puzzle")}
    if REAL_DATA.is_file():
        sources["real"] = read_jsonl(REAL_DATA, answers="required")
    for source, entries in sources.items():
        print(f"{len(entries)} {source} problems\n")
        print(table(entries, CORRUPTIONS, "caught", drop=True), "\n")
        print(table(entries, HARMLESS, "let through", drop=False), "\n")


def table(entries: Sequence[Entry], makers: Mapping[str, Maker], verdict: str, *, drop: bool) -> str:
    outcomes = measured(entries, makers, COUNT, SEED, drop=drop)
    rows = [(name, o.made, o.made - len(o.wrong)) for name, o in outcomes.items()]
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    shares = [(*row, f"{row[2] / row[1]:.1%}" if row[1] else "") for row in rows]
    return tabulate(shares, ("corruption" if drop else "harmless rewrite", "made", verdict, ""))


if __name__ == "__main__":
    no_arguments(main)
    main()
