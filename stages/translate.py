"""Rewrites the training problems: data/entries_raw.pkl → data/entries_aug.pkl.

The copies tell the same puzzles in other words; copies whose meaning may have changed are dropped.
reports/translate.json counts the kept and the dropped by cause, with an example of each.

    dvc repro translate
"""

from augen.core.files import write_json
from augen.core.params import load
from augen.core.run import run
from augen.entries.pickles import dump_pickle, load_pickle
from augen.rewriting import KEPT, Tally, rewrite
from augen.rewriting.backends import open_rewriter


def main() -> None:
    params = load("seed", "providers", "translate")
    p = params.translate
    every = load_pickle("data/entries_raw.pkl")
    entries = every[: p.limit]
    if p.backend == "none":
        dump_pickle("data/entries_aug.pkl", [])
        write_json("reports/translate.json", Tally().as_dict())
        print("translate.backend is none: no copies")
        return

    limited = f"the first {len(entries):,} of {len(every):,}" if len(entries) < len(every) else f"{len(entries):,}"
    print(f"{limited} problems to rewrite with {p.backend}, copies of each: {p.copies}", flush=True)
    with open_rewriter("translate", params) as rewriter:
        copies, tally = rewrite(
            entries,
            rewriter,
            copies=p.copies,
            min_length_ratio=p.min_length_ratio,
            max_length_ratio=p.max_length_ratio,
        )
    dump_pickle("data/entries_aug.pkl", copies)
    write_json("reports/translate.json", tally.as_dict())

    counts = tally.counts
    dropped = ", ".join(f"{count:,} {cause}" for cause, count in sorted(counts.items()) if cause != KEPT)
    print(f"{counts[KEPT]:,} of {len(entries) * p.copies:,} copies kept" + (f"; dropped: {dropped}" if dropped else ""))
    print("data/entries_aug.pkl; reports/translate.json has an example of each cause")


if __name__ == "__main__":
    run(main)
