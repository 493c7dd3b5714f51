"""Have the generator, or paid models, argue for wrong answers (hinted), or collect their own mistakes (sampled).

in   data/entries_raw.pkl, data/entries_aug.pkl
out  data/reasoned/entries_false.pkl, data/reasoned/entries_aug_false.pkl
     data/reasoned/entries_own.pkl    sampled: right reasonings by the same author, from the same draws
and  reports/failed.jsonl    questions for which no attempt gave a wrong answer
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from augen.core.files import written_together
from augen.core.params import load
from augen.core.run import run
from augen.entries import Entry, in_blocks, origin
from augen.entries.pickles import dump_pickle, stream_pickle
from augen.generation.served.failures import Failure, keep_failures
from augen.reasoning.write import explain_wrong
from augen.reasoning.writer import author_of, open_writer

RAW, COPIES = Path("data/entries_raw.pkl"), Path("data/entries_aug.pkl")
OUTS = Path("data/reasoned/entries_false.pkl"), Path("data/reasoned/entries_aug_false.pkl")
OWN = Path("data/reasoned/entries_own.pkl")


def main() -> None:
    p = load("seed", "model", "engine", "prompt", "providers", "reason_false")
    settings, failures = p.reason_false, list[Failure]()
    author = author_of(settings, p.model)
    print(f"wrong reasonings by {author}, {settings.attempts} attempts at most for each question", flush=True)

    def every() -> Iterable[Iterable[Entry]]:
        return limited(stream_pickle(RAW), stream_pickle(COPIES), settings.limit)

    counts = [sum(1 for _ in entries) for entries in every()]
    with (
        written_together("reason_false", [*OUTS, OWN]) as folder,
        open_writer("reason_false", settings, p) as (writer, sampler),
    ):
        own: list[Path] = []  # files with the right reasonings of a block each

        def written(entries: Iterable[Entry]) -> Iterator[Entry]:
            for block in in_blocks(entries):
                wrong, right, failed = explain_wrong(block, writer, sampler, settings.negatives)
                failures.extend(failed)
                own.append(folder / f"own {len(own)}.pkl")
                dump_pickle(own[-1], right)
                yield from wrong

        for name, count, out, entries in zip(("problems", "rewritten copies"), counts, OUTS, every(), strict=True):
            print(f"{name}: {count:,}", flush=True)
            dump_pickle(folder / out.name, written(entries))
        dump_pickle(folder / OWN.name, chain.from_iterable(map(stream_pickle, own)))
        keep_failures("reason_false", failures)
    print("data/reasoned" + (f"; {len(failures):,} questions got none: reports/failed.jsonl" if failures else ""))


def limited(
    raw: Iterable[Entry], copies: Iterable[Entry], limit: int | None
) -> tuple[Iterator[Entry], Iterator[Entry]]:
    """The first `limit` problems, and their copies: these can be taken when all the problems are."""
    ids: set[str] = set()

    def problems() -> Iterator[Entry]:
        for entry in islice(raw, limit):
            ids.add(entry.id)
            yield entry

    return problems(), (entry for entry in copies if origin(entry.id) in ids)


if __name__ == "__main__":
    run(main)
