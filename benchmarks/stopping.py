"""Measures when adaptive stopping stops and what that costs: make bench PART=stopping

The tuned generator answers new puzzles, 15 samples a question. The stopping rule of `augen.voting` is then replayed on
them with 5, 9 and 15 votes at several certainties: by the votes alone, and with the generator's certainty, as infer
has it. Printed are how many times fewer samples it draws than all votes, and the difference of the majority's accuracy
± its standard error, paired by question and clustered by problem; means over orders of the samples. Needs
models/adapter. Takes minutes.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tabulate import tabulate

from augen.answering.questions import Prompting
from augen.answering.rounds import Rounds, unscored
from augen.core.params import load
from augen.entries import Entry
from augen.entries import questions as questions_of
from augen.evaluation.replay import ORDERS, Outcome, outcome
from augen.generation.base import EngineSettings
from augen.generation.engines import open_engine
from augen.generation.sampler import EngineSampler, Identity
from augen.metrics.stats import paired_difference
from augen.prompts.window import Window
from augen.puzzles.dataset import puzzle_entries
from augen.store.responses import Store
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions, SampleFile, Samples, dev_questions, matched, read_samples, sample_lines
from augen.voting.settings import VotingSettings

PUZZLES, SEED = 600, "stopping"
VOTES = (5, 9, 15)
CERTAINTIES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
MAX_MODEL_LEN = 1024


def drawn(entries: Sequence[Entry], folder: Path) -> tuple[Samples, DevQuestions]:
    """The most samples of each question, and the answers."""
    p = load("seed", "model", "prompt", "infer")
    window = Window(p.model, p.prompt.chat_template, MAX_MODEL_LEN, p.prompt.template_args)
    prompting = Prompting(
        p.prompt.solve, window, p.seed, p.infer.temperature, p.infer.top_p, p.infer.max_tokens, adapters=1
    )
    settings = VotingSettings(VOTES[-1])
    samples = SampleFile(folder / "samples.jsonl", "infer", settings)
    asked = questions_of(entries, "dev")
    engine = EngineSettings(p.model.generator, dtype=p.model.dtype, adapters=(Path("models/adapter"),))
    identity = Identity("vllm", "benchmark", p.model.dtype, None, ("benchmark",))
    with (
        Store(folder / "store.sqlite") as store,
        EngineSampler(store, lambda: open_engine("auto", engine), identity) as sampler,
    ):
        found = Rounds(asked, [()] * len(asked), prompting, settings).run(sampler, unscored)
    with samples.path.open("w", encoding="utf-8") as file:
        file.writelines(sample_lines(found.every_sample, settings.threshold))
    dev = dev_questions(entries)
    return matched(read_samples(samples, ["dev"])["dev"], dev, samples), dev


def cell(recorded: SampleGrid, questions: DevQuestions, settings: VotingSettings) -> str:
    """What the rule saves and costs."""
    slots = range(1, VOTES[-1] + 1)
    orders = [[*slots[first:], *slots[:first]] for first in range(0, len(slots), -(-len(slots) // ORDERS))]

    def mean(adaptive: bool) -> Outcome:
        rule = replace(settings, adaptive=adaptive)
        found = [outcome(recorded, questions.truth, rule, order) for order in orders]
        told = [each for each in found if each]
        return Outcome(*(np.mean([vars(each)[name] for each in told], axis=0) for name in ("samples", "right")))

    every, some = mean(False), mean(True)
    difference = paired_difference(some.right, every.right, questions.clusters)
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
    most = VotingSettings(VOTES[-1], certainty=CERTAINTIES[0])
    recorded = SampleGrid.of(samples, most)
    alone = replace(recorded, ranks=np.full_like(recorded.ranks, -1))
    rows = []
    for votes in VOTES:
        fewer = replace(most, voters=votes)
        rows.append(
            [votes, cell(alone, questions, fewer)]
            + [cell(recorded, questions, replace(fewer, certainty=certainty)) for certainty in CERTAINTIES]
        )
    print(f"{len(questions.ids):,} questions: times fewer samples, and the difference of the accuracy")
    headers = ["votes", "by votes alone, 0.95", *(f"{certainty}" for certainty in CERTAINTIES)]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
