"""Have the generator, or paid models, write reasonings that lead to the right answers, and programs that compute them.

in   data/entries_raw.pkl, data/entries_aug.pkl
out  data/reasoned/entries.pkl, data/reasoned/entries_aug.pkl
and  reports/failed.jsonl    questions for which no attempt gave the right answer
"""

from collections.abc import Sequence

from augen.core.params import Params, load
from augen.core.run import run
from augen.entries import Entry, Question, questions
from augen.entries.pickles import dump_pickle, load_pickle
from augen.generation.base import Sampler
from augen.generation.served.failures import Failure, keep_failures
from augen.programs.verdicts import stored_verdicts
from augen.prompts.sections import Example, query_text
from augen.puzzles import FAMILIES
from augen.puzzles.dataset import puzzle_entries
from augen.reasoning.programs import lacking_program, write_programs
from augen.reasoning.write import Ids, Wanted, Writer, explain_right
from augen.reasoning.writer import author_of, missed_by_generator, open_writer
from augen.retrieval.examples import Retriever
from augen.retrieval.index import Embedder, rows_of
from augen.store.responses import Store, default_path

PUZZLES = 3 * len(FAMILIES)  # from which worked programs are taken: each family in three wordings or sizes


def main() -> None:
    p = load("seed", "model", "engine", "prompt", "baseline", "programs", "providers", "rag", "reason_true")
    written, failures = {}, list[Failure]()
    adapter = p.reason_true.adapter
    author = author_of(p.reason_true, p.model, adapter)
    texts = "right reasonings and programs" if p.reason_true.programs else "right reasonings"
    print(f"{texts} by {author}, {p.reason_true.attempts} attempts at most for each question", flush=True)
    all_entries = {name: load_pickle(f"data/{name}.pkl") for name in ("entries_raw", "entries_aug")}
    everything = [entry for entries in all_entries.values() for entry in entries]
    among = missed_by_generator("reason_true", everything, p) if p.reason_true.only_wrong else None
    with open_writer("reason_true", p.reason_true, p, adapter) as (writer, sampler), Store(default_path()) as store:
        for name, entries in all_entries.items():
            print(f"{'problems' if name == 'entries_raw' else 'rewritten copies'}: {len(entries):,}", flush=True)
            written[name], failed = write(entries, p, writer, sampler, store, among)
            failures += failed
        keep_failures("reason_true", failures)
    for name in written:
        dump_pickle(f"data/reasoned/{name.removesuffix('_raw')}.pkl", written[name])
    missing = f"; {len(failures):,} texts are missing: reports/failed.jsonl" if failures else ""
    print(f"data/reasoned{missing}")


def write(
    entries: Sequence[Entry], p: Params, writer: Writer, sampler: Sampler, store: Store, among: Ids | None = None
) -> tuple[list[Entry], list[Failure]]:
    """`entries` with what was written, reasonings for those questions `among` them alone; and what is missing."""
    settings = p.reason_true
    wanted = Wanted(settings.choose, settings.only_uncertain, among)
    written, failures = explain_right(entries, writer, sampler, settings.hinted, wanted)
    if settings.programs:
        examples = worked_programs(lacking_program(entries), p)
        with stored_verdicts(store, p.programs) as solve:
            written, failed = write_programs(written, examples, writer, sampler, solve)
        failures += failed
    return written, failures


def worked_programs(asked: Sequence[Question], p: Params) -> list[list[Example]]:
    """For each question the puzzles of all families that are most like it, with programs that say all their rules."""
    k = p.reason_true.program_examples
    if not (asked and k):
        return [[] for _ in asked]
    puzzles = puzzle_entries(PUZZLES, f"worked programs {p.seed}", "worked", sorted(FAMILIES), library=False)
    embedder = Embedder(p.rag.embedder, p.rag.query_prompt)
    vectors = embedder.embed([query_text(q.problem, q.item) for q in questions(puzzles)])
    return Retriever(list(rows_of(puzzles)), vectors, embedder).examples(asked, k, "program")


if __name__ == "__main__":
    run(main)
