"""Read the raw problems, hold some out for measuring, add solver-verified puzzles.

in   prepare.train, prepare.test     raw JSON Lines, checked here before anything else runs
out  data/entries_raw.pkl            problems to train on, then `prepare.synthetic` new puzzles
     data/dev.jsonl                  problems held out for evaluation, with their answers
     data/votes.jsonl                problems held out to learn what a program's vote is worth, with their answers

All are split by problem, seeded.
"""

from collections.abc import Sequence
from itertools import chain
from random import Random

from augen.core.errors import AugenError
from augen.core.params import load
from augen.core.run import run
from augen.entries import counted
from augen.entries.jsonl import write_jsonl
from augen.entries.ondisk import EntryFile
from augen.entries.pickles import dump_pickle
from augen.puzzles.dataset import families_named, stream_puzzles

TRAIN, DEV, VOTES = range(3)


def main() -> None:
    p = load("seed", "prepare")
    labelled = EntryFile(p.prepare.train, answers="required", limit=p.prepare.limit)
    test = EntryFile(p.prepare.test, answers="optional", limit=p.prepare.limit)
    print(
        f"{len(labelled):,} labelled problems, {p.prepare.dev_fraction:.0%} to hold out, and of the others "
        f"{p.prepare.vote_fraction:.0%} to weigh votes; "
        f"{p.prepare.synthetic:,} puzzles to add, each proved by a solver",
        flush=True,
    )
    parts = split(labelled.ids, p.prepare.dev_fraction, p.prepare.vote_fraction, p.seed)
    try:
        families = families_named(p.prepare.families)
    except AugenError as fault:
        raise AugenError(f"prepare.families: {fault}") from None
    synthetic = stream_puzzles(
        p.prepare.synthetic, f"synthetic {p.seed}", "synthetic", families, library=p.prepare.library
    )

    counts: dict[str, tuple[int, int]] = {}
    train, dev, votes = (labelled.those(map(own.__eq__, parts)) for own in (TRAIN, DEV, VOTES))
    added = chain(counted("to train on", train, counts), counted("added puzzles", synthetic, counts))
    dump_pickle("data/entries_raw.pkl", added)
    write_jsonl("data/dev.jsonl", counted("dev, held out", dev, counts))
    write_jsonl("data/votes.jsonl", counted("votes, held out", votes, counts))
    counts["test"] = len(test), test.questions
    for name, (problems, questions) in counts.items():
        print(f"{name}: {problems:,} problems, {questions:,} questions")
    print("data/entries_raw.pkl, data/dev.jsonl, data/votes.jsonl")


def split(ids: Sequence[str], dev_fraction: float, vote_fraction: float, seed: int) -> bytearray:
    """`TRAIN`, `DEV` or `VOTES` for each of `ids`; which problems are where depends on their ids and the seed only."""
    drawn = sorted(range(len(ids)), key=ids.__getitem__)
    Random(seed).shuffle(drawn)
    count = round(len(ids) * dev_fraction)
    if not 0 < count < len(ids):
        raise AugenError(
            f"{len(ids)} problems with prepare.dev_fraction {dev_fraction} leave {count} to measure on and "
            f"{len(ids) - count} to train on; change prepare.dev_fraction or prepare.limit"
        )
    end = count + round((len(ids) - count) * vote_fraction)
    parts = bytearray(len(ids))  # of TRAIN, so far
    for part, own in ((DEV, drawn[:count]), (VOTES, drawn[count:end])):
        for number in own:
            parts[number] = part
    return parts


if __name__ == "__main__":
    run(main)
