"""Have the generator, or paid models, write reasonings that lead to the right answers.

in   data/entries_raw.pkl, data/entries_aug.pkl
out  data/reasoned/entries.pkl, data/reasoned/entries_aug.pkl
and  reports/failed.jsonl    questions for which no attempt gave the right answer
"""

from augen.core.params import load
from augen.core.run import run
from augen.entries.pickles import dump_pickle, load_pickle
from augen.generation.served.failures import Failure, keep_failures
from augen.reasoning.write import explain_right
from augen.reasoning.writer import author_of, open_writer


def main() -> None:
    p = load("seed", "model", "engine", "prompt", "providers", "reason_true")
    written, failures = {}, list[Failure]()
    author = author_of(p.reason_true, p.model)
    print(f"right reasonings by {author}, {p.reason_true.attempts} attempts at most for each question", flush=True)
    with open_writer("reason_true", p.reason_true, p) as (writer, sampler):
        for name in ("entries_raw", "entries_aug"):
            entries = load_pickle(f"data/{name}.pkl")
            print(f"{'problems' if name == 'entries_raw' else 'rewritten copies'}: {len(entries):,}", flush=True)
            written[name], failed = explain_right(entries, writer, sampler, p.reason_true.hinted)
            failures += failed
    for name in ("entries_raw", "entries_aug"):
        dump_pickle(f"data/reasoned/{name.removesuffix('_raw')}.pkl", written[name])
    keep_failures("reason_true", failures)
    print("data/reasoned" + (f"; {len(failures):,} questions got none: reports/failed.jsonl" if failures else ""))


if __name__ == "__main__":
    run(main)
