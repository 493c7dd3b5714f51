"""Read the raw problems, hold some out for measuring, add solver-verified puzzles.

in   prepare.train, prepare.test     raw JSON Lines, checked here before anything else runs
out  data/entries_raw.pkl            problems to train on, then `prepare.synthetic` new puzzles
     data/dev.jsonl                  problems held out for evaluation, with their answers
     data/votes.jsonl                problems held out to learn what a program's vote is worth, with their answers

All are split by problem, seeded.
"""

from collections.abc import Sequence
from random import Random

from augen.core.errors import AugenError
from augen.core.params import load
from augen.core.run import run
from augen.entries import Entry
from augen.entries.jsonl import read_jsonl, write_jsonl
from augen.entries.pickles import dump_pickle
from augen.puzzles.dataset import families_named, puzzle_entries


def main() -> None:
    p = load("seed", "prepare")
    labelled = read_jsonl(p.prepare.train, answers="required")[: p.prepare.limit]
    test = read_jsonl(p.prepare.test, answers="optional")[: p.prepare.limit]
    print(
        f"{len(labelled):,} labelled problems, {p.prepare.dev_fraction:.0%} to hold out, and of the others "
        f"{p.prepare.vote_fraction:.0%} to weigh votes; "
        f"{p.prepare.synthetic:,} puzzles to add, each proved by a solver",
        flush=True,
    )
    train, dev, votes = split(labelled, p.prepare.dev_fraction, p.prepare.vote_fraction, p.seed)
    try:
        families = families_named(p.prepare.families)
    except AugenError as fault:
        raise AugenError(f"prepare.families: {fault}") from None
    synthetic = puzzle_entries(
        p.prepare.synthetic, f"synthetic {p.seed}", "synthetic", families, library=p.prepare.library
    )

    dump_pickle("data/entries_raw.pkl", train + synthetic)
    write_jsonl("data/dev.jsonl", dev)
    write_jsonl("data/votes.jsonl", votes)
    counted = {"to train on": train, "added puzzles": synthetic, "dev, held out": dev, "votes, held out": votes}
    for name, entries in (*counted.items(), ("test", test)):
        print(f"{name}: {len(entries):,} problems, {sum(len(e.questions) for e in entries):,} questions")
    print("data/entries_raw.pkl, data/dev.jsonl, data/votes.jsonl")


def split(
    entries: Sequence[Entry], dev_fraction: float, vote_fraction: float, seed: int
) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """``(train, dev, votes)`` in input order; which problems are where depends on their ids and the seed only."""
    ids = sorted(entry.id for entry in entries)
    Random(seed).shuffle(ids)
    count = round(len(ids) * dev_fraction)
    if not 0 < count < len(ids):
        raise AugenError(
            f"{len(ids)} problems with prepare.dev_fraction {dev_fraction} leave {count} to measure on and "
            f"{len(ids) - count} to train on; change prepare.dev_fraction or prepare.limit"
        )
    end = count + round((len(ids) - count) * vote_fraction)
    train, dev, votes = (
        [entry for entry in entries if entry.id in part]
        for part in (set(ids[end:]), set(ids[:count]), set(ids[count:end]))
    )
    return train, dev, votes


if __name__ == "__main__":
    run(main)
