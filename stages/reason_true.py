"""Have the generator, or paid models, write reasonings that lead to the right answers, and programs that compute them.

in   data/entries_raw.pkl, data/entries_aug.pkl
out  data/reasoned/entries.pkl, data/reasoned/entries_aug.pkl
and  reports/failed.jsonl    questions for which no attempt gave the right answer
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from augen.core.files import written_together
from augen.core.params import Params, load
from augen.core.run import run
from augen.entries import Entry, in_blocks
from augen.entries.pickles import count_pickle, dump_pickle, stream_pickle
from augen.generation.base import Sampler
from augen.generation.served.failures import Failure, keep_failures
from augen.programs.verdicts import stored_verdicts
from augen.puzzles import FAMILIES
from augen.puzzles.dataset import puzzle_entries
from augen.reasoning.programs import lacking_program, write_programs
from augen.reasoning.write import Ids, Wanted, Writer, explain_right
from augen.reasoning.writer import author_of, missed_by_generator, open_writer
from augen.retrieval.examples import examples_among
from augen.store.responses import Store, default_path

RAW, COPIES = Path("data/entries_raw.pkl"), Path("data/entries_aug.pkl")
OUTS = {RAW: Path("data/reasoned/entries.pkl"), COPIES: Path("data/reasoned/entries_aug.pkl")}
PUZZLES = 3 * len(FAMILIES)  # from which worked programs are taken, with all their rules: three of each family


def main() -> None:
    p = load("seed", "model", "engine", "prompt", "baseline", "programs", "providers", "rag", "reason_true")
    settings, failures = p.reason_true, list[Failure]()
    author = author_of(settings, p.model, settings.adapter)
    texts = "right reasonings and programs" if settings.programs else "right reasonings"
    print(f"{texts} by {author}, {settings.attempts} attempts at most for each question", flush=True)
    counts = {file: count_pickle(file) for file in OUTS}
    every = chain.from_iterable(map(stream_pickle, OUTS))
    among = missed_by_generator("reason_true", every, p) if settings.only_wrong else None
    with (
        written_together("reason_true", OUTS.values()) as folder,
        Store(default_path()) as store,
        open_writer("reason_true", settings, p, settings.adapter) as (writer, sampler),
    ):

        def written(file: Path) -> Iterator[Entry]:
            for block in in_blocks(stream_pickle(file)):
                done, failed = write(block, p, writer, sampler, store, among)
                failures.extend(failed)
                yield from done

        for file, out in OUTS.items():
            print(f"{'problems' if file == RAW else 'rewritten copies'}: {counts[file]:,}", flush=True)
            dump_pickle(folder / out.name, written(file))
        keep_failures("reason_true", failures)
    print("data/reasoned" + (f"; {len(failures):,} texts are missing: reports/failed.jsonl" if failures else ""))


def write(
    entries: Sequence[Entry], p: Params, writer: Writer, sampler: Sampler, store: Store, among: Ids | None = None
) -> tuple[list[Entry], list[Failure]]:
    """`entries` with what was written, reasonings for those questions `among` them alone; and what is missing."""
    settings = p.reason_true
    wanted = Wanted(settings.choose, settings.only_uncertain, among)
    written, failures = explain_right(entries, writer, sampler, settings.hinted, wanted)
    if settings.programs:
        puzzles = puzzle_entries(PUZZLES, f"worked programs {p.seed}", "worked", sorted(FAMILIES), library=False)
        asked, k = lacking_program(entries), settings.program_examples
        examples = examples_among(puzzles, p.rag, asked, k, "program")
        with stored_verdicts(store, p.programs) as solve:
            written, failed = write_programs(written, examples, writer, sampler, solve)
        failures += failed
    return written, failures


if __name__ == "__main__":
    run(main)
