"""Writes puzzles as raw JSON Lines: ``python -m augen.puzzles --count 1000 --seed 7 --out more.jsonl``.

The default data were written with ``--families basic --count 700 --seed train`` and with ``--families basic --count 150
--seed test --unanswered``.
"""

import argparse
import sys
from collections.abc import Sequence

from augen.core.errors import AugenError
from augen.entries.jsonl import write_jsonl
from augen.puzzles.dataset import SETS, as_raw, families_named, puzzle_entries


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m augen.puzzles", description="Write solver-verified puzzles.")
    parser.add_argument("--count", type=int, required=True, help="how many problems")
    parser.add_argument("--seed", required=True, help="any text; the same seed writes the same puzzles")
    parser.add_argument("--out", required=True, help="JSON Lines file to write")
    parser.add_argument("--prefix", help="first part of the ids (default: the seed)")
    parser.add_argument("--reasoning", action="store_true", help="write the solver's reasoning, too")
    parser.add_argument("--unanswered", action="store_true", help="leave the answers out, as in a test set")
    parser.add_argument(
        "--families", default="all", help=f"comma-separated: {', '.join(SETS)} (a set), or {', '.join(SETS['all'])}"
    )
    asked = parser.parse_args(arguments)
    if asked.count < 1:
        parser.error("--count must be at least 1")
    try:
        families = families_named([name for name in asked.families.split(",") if name])
    except AugenError as fault:
        parser.error(f"--families: {fault}")
    entries = puzzle_entries(asked.count, asked.seed, asked.prefix or asked.seed, families)
    write_jsonl(asked.out, entries if asked.reasoning else as_raw(entries, answers=not asked.unanswered))
    print(f"{asked.out}: {len(entries)} problems, {sum(len(e.questions) for e in entries)} questions", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
