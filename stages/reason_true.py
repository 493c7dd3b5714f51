"""Have the generator, or paid models, explain the right answers.

in   data/entries_raw.pkl, data/entries_aug.pkl
out  data/reasoned/entries.pkl, data/reasoned/entries_aug.pkl
and  reports/failed.jsonl    questions for which no attempt gave the right answer
"""

from augen.calls.failures import Failure, keep_failures
from augen.entries import dump_pickle, load_pickle
from augen.params import load
from augen.reasoning import explain_right
from augen.stage import run
from augen.writing import open_writer


def main() -> None:
    p = load("seed", "model", "engine", "prompt", "providers", "reason_true")
    outs, failures = {}, list[Failure]()
    with open_writer("reason_true", p.reason_true, p) as (writer, sampler):
        for name in ("entries_raw", "entries_aug"):
            reasoned, failed = explain_right(load_pickle(f"data/{name}.pkl"), writer, sampler)
            outs[name.removesuffix("_raw")] = reasoned
            failures += failed
    for name, entries in outs.items():
        dump_pickle(f"data/reasoned/{name}.pkl", entries)
    keep_failures("reason_true", failures)


if __name__ == "__main__":
    run(main)
