"""Measures when adaptive stopping stops and what that costs: make bench PART=stopping

The tuned generator answers new puzzles with 15 samples per question. The stopping rule of `augen.voting` is then
replayed on them with 5, 9 and 15 votes at several certainties: by the votes alone, and also with the generator's
confidence, as in `infer`. Prints how many times fewer samples it draws than all votes, and the difference in the
majority's accuracy ± its standard error, paired by question and clustered by problem. All are means over orders of
the samples. Needs models/adapter. Takes minutes.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tabulate import tabulate

from augen.answering.rounds import Rounds, Sampling, questions_of, run_rounds, samples_jsonl, unscored
from augen.core.params import load
from augen.entries import Entry
from augen.evaluation.replay import ORDERS, Knobs, Outcome, Recorded, outcome, recorded_of
from augen.generation.engines import open_engine
from augen.generation.sampler import Identity, Sampler
from augen.metrics.stats import paired_difference
from augen.prompts.window import Window
from augen.puzzles.dataset import puzzle_entries
from augen.store.responses import Store
from augen.voting.samples import Questions, Samples, Source, matched, read_samples
from augen.voting.samples import questions_of as known

PUZZLES, SEED = 600, "stopping"
VOTES = (5, 9, 15)
CERTAINTIES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
MAX_MODEL_LEN = 1024


def drawn(entries: Sequence[Entry], folder: Path) -> tuple[Samples, Questions]:
    """Samples of each question for the largest number of votes, and the right answers."""
    p = load("seed", "model", "prompt", "infer")
    window = Window(p.model, p.prompt.chat_template, MAX_MODEL_LEN)
    sampling = Sampling(
        p.prompt.solve, window, p.seed, p.infer.temperature, p.infer.top_p, p.infer.max_tokens, adapter=True
    )
    rounds = Rounds(VOTES[-1], max_resample=0, threshold=0.0, resample="slot", adaptive=False)
    source = Source(folder / "samples.jsonl", "infer", rounds.voters, 0, 0.0, adaptive=False)
    adapter = Path("models/adapter")
    with (
        Store(folder / "store.sqlite") as store,
        Sampler(
            store,
            lambda: open_engine("auto", p.model.generator, dtype=p.model.dtype, adapter=adapter),
            Identity("vllm", "benchmark", p.model.dtype, None, "benchmark"),
        ) as sampler,
    ):
        history = run_rounds(questions_of(entries, "dev"), sampling, rounds, sampler, unscored)
    with source.path.open("w", encoding="utf-8") as file:
        file.writelines(samples_jsonl(history))
    questions = known(entries)
    return matched(read_samples(source, ["dev"])["dev"], questions, source), questions


def cell(recorded: Recorded, questions: Questions, knobs: Knobs) -> str:
    """What the rule saves and what it costs."""
    slots = range(1, VOTES[-1] + 1)
    orders = [[*slots[first:], *slots[:first]] for first in range(0, len(slots), -(-len(slots) // ORDERS))]

    def mean(stops: bool) -> Outcome:
        found = [outcome(recorded, questions.truth, knobs, stops, order) for order in orders]
        told = [each for each in found if each]
        return Outcome(*(np.mean([vars(each)[name] for each in told], axis=0) for name in ("samples", "right")))

    every, some = mean(False), mean(True)
    clusters = np.unique(questions.problems, return_inverse=True)[1]
    difference = paired_difference(some.right, every.right, clusters)
    fewer = every.samples.mean() / some.samples.mean()
    return f"{fewer:.2f}, {difference.value:+.3f} ± {difference.se:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stopping", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--puzzles", type=int, default=PUZZLES, help="how many (default: %(default)s)")
    entries = puzzle_entries(parser.parse_args().puzzles, SEED, SEED)
    if not Path("models/adapter/adapter_config.json").exists():
        parser.error("there is no models/adapter: dvc repro finetune")
    with tempfile.TemporaryDirectory() as folder:
        samples, questions = drawn(entries, Path(folder))
    most = Knobs(VOTES[-1], 0, 0.0, "slot", "majority", CERTAINTIES[0])
    recorded = recorded_of(samples, most)
    alone = replace(recorded, confidences=np.full_like(recorded.confidences, -1))
    rows = []
    for votes in VOTES:
        knobs = replace(most, voters=votes)
        rows.append(
            [votes, cell(alone, questions, knobs)]
            + [cell(recorded, questions, replace(knobs, certainty=certainty)) for certainty in CERTAINTIES]
        )
    print(f"{len(questions.ids):,} questions: times fewer samples, and the difference of the accuracy")
    headers = ["votes", "by votes alone, 0.95", *(f"{certainty}" for certainty in CERTAINTIES)]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
