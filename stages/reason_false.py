"""Have the generator, or paid models, argue for wrong answers (hinted), or collect their own mistakes (sampled).

in   data/entries_raw.pkl, data/entries_aug.pkl
out  data/reasoned/entries_false.pkl, data/reasoned/entries_aug_false.pkl
     data/reasoned/entries_own.pkl    sampled: right reasonings by the same author, from the same draws
and  reports/failed.jsonl    questions for which no attempt gave a wrong answer
"""

from collections.abc import Sequence

from augen.core.params import load
from augen.core.run import run
from augen.entries import Entry, origin
from augen.entries.pickles import dump_pickle, load_pickle
from augen.generation.served.failures import Failure, keep_failures
from augen.reasoning.write import explain_wrong
from augen.reasoning.writer import author_of, open_writer


def main() -> None:
    p = load("seed", "model", "engine", "prompt", "providers", "reason_false")
    written, own, failures = {}, list[Entry](), list[Failure]()
    author = author_of(p.reason_false, p.model)
    print(f"wrong reasonings by {author}, {p.reason_false.attempts} attempts at most for each question", flush=True)
    with open_writer("reason_false", p.reason_false, p) as (writer, sampler):
        every = load_pickle("data/entries_raw.pkl"), load_pickle("data/entries_aug.pkl")
        for name, entries in zip(("entries_raw", "entries_aug"), limited(*every, p.reason_false.limit), strict=True):
            print(f"{'problems' if name == 'entries_raw' else 'rewritten copies'}: {len(entries):,}", flush=True)
            written[name], right, failed = explain_wrong(entries, writer, sampler, p.reason_false.negatives)
            own += right
            failures += failed
        keep_failures("reason_false", failures)
    for name in ("entries_raw", "entries_aug"):
        dump_pickle(f"data/reasoned/{name.removesuffix('_raw')}_false.pkl", written[name])
    dump_pickle("data/reasoned/entries_own.pkl", own)
    print("data/reasoned" + (f"; {len(failures):,} questions got none: reports/failed.jsonl" if failures else ""))


def limited(raw: Sequence[Entry], copies: Sequence[Entry], limit: int | None) -> tuple[list[Entry], list[Entry]]:
    """The first `limit` problems, and their copies."""
    ids = {entry.id for entry in raw[:limit]}
    return list(raw[:limit]), [entry for entry in copies if origin(entry.id) in ids]


if __name__ == "__main__":
    run(main)
