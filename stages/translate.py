"""Rewrites the training problems: data/entries_raw.pkl → data/entries_aug.pkl.

The copies tell the same puzzles in other words; copies whose meaning may have changed are dropped.
reports/translate.json counts the kept and the dropped by cause, with an example of each.

    dvc repro translate
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from augen.core.files import write_json, written_together
from augen.core.params import Translate, load
from augen.core.run import run
from augen.entries import Entry, in_blocks
from augen.entries.pickles import count_pickle, dump_pickle, stream_pickle
from augen.rewriting import KEPT, Rewriter, Tally, rewrite
from augen.rewriting.backends import open_rewriter

RAW, COPIES = Path("data/entries_raw.pkl"), Path("data/entries_aug.pkl")


def main() -> None:
    p = load("seed", "providers", "translate")
    settings, tally = p.translate, Tally()
    every = count_pickle(RAW)
    if settings.backend == "none":
        dump_pickle(COPIES, [])
        write_json("reports/translate.json", tally.as_dict())
        print("translate.backend is none: no copies")
        return

    count = every if settings.limit is None else min(settings.limit, every)
    limited = f"the first {count:,} of {every:,}" if count < every else f"{count:,}"
    print(f"{limited} problems to rewrite with {settings.backend}, copies of each: {settings.copies}", flush=True)
    with (
        written_together("translate", [COPIES]) as folder,
        open_rewriter("translate", p) as rewriter,
    ):
        entries = islice(stream_pickle(RAW), count)
        dump_pickle(folder / COPIES.name, rewritten(entries, rewriter, settings, tally))
    write_json("reports/translate.json", tally.as_dict())

    counts = tally.counts
    dropped = ", ".join(f"{count:,} {cause}" for cause, count in sorted(counts.items()) if cause != KEPT)
    print(f"{counts[KEPT]:,} of {count * settings.copies:,} copies kept" + (f"; dropped: {dropped}" if dropped else ""))
    print("data/entries_aug.pkl; reports/translate.json has an example of each cause")


def rewritten(entries: Iterable[Entry], rewriter: Rewriter, settings: Translate, tally: Tally) -> Iterator[Entry]:
    """The copies that are kept; `tally` counts them."""
    lengths = {"min_length_ratio": settings.min_length_ratio, "max_length_ratio": settings.max_length_ratio}
    for block in in_blocks(entries):
        copies, found = rewrite(block, rewriter, copies=settings.copies, **lengths)
        tally.add(found)
        yield from copies


if __name__ == "__main__":
    run(main)
