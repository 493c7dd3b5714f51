"""Whether rewriting helps where it can: with questions in a wording that no lesson had: make bench PART=rewriting

In the default data every wording of the dev questions is also one of the lessons, so other words have little to add.
Here three adapters of the tiny generator are trained as params.yaml says, from puzzles in two wordings:

alone       the puzzles
copies      the puzzles and a copy of each, rewritten as params.yaml's `translate` says
more        the puzzles and as many further ones in the same two wordings as there are copies

Each writes one reasoning and one program for new questions, in those two wordings and in a third one that neither
these lessons nor the generator's own training had. The table has the accuracy of both and the difference to `alone`,
with one standard error clustered by problem. Takes about ten minutes of two cores; ``--puzzles 300`` is quicker.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from augen.adapter.lessons import lessons
from augen.adapter.train import courses, finetune
from augen.answering.questions import Examples, Prompting
from augen.answering.rounds import Programs, Rounds, unscored
from augen.core.arrays import Floats
from augen.core.params import Params, load
from augen.entries import Entry, Question, questions
from augen.generation.open import Generator, open_sampler
from augen.metrics.stats import cluster_mean, paired_difference, with_error
from augen.programs.verdicts import stored_verdicts
from augen.prompts.window import Window
from augen.puzzles import BASIC
from augen.retrieval.examples import Retriever
from augen.retrieval.index import Embedder
from augen.rewriting import rewrite
from augen.rewriting.backends import open_rewriter
from augen.store.responses import Store, default_path
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions, dev_questions
from augen.voting.settings import VotingSettings
from benchmarks.solver import new_puzzles

PUZZLES, ASKED = 1_500, 500  # two questions each
TAUGHT, NEW = (0, 1), (2,)  # wordings
SECTIONS = ("seed", "model", "engine", "prompt", "rag", "programs", "providers", "translate", "finetune", "infer")


def made(count: int, wordings: Sequence[int], name: str) -> list[Entry]:
    """`count` puzzles with reasonings and programs, two questions each."""
    found = []
    for puzzle in new_puzzles(count, f"rewriting {name}", name, BASIC, wordings):
        items = [replace(item, program=puzzle.program(i)) for i, item in enumerate(puzzle.entry.questions)]
        found.append(replace(puzzle.entry, questions=items))
    return found


def copies(entries: Sequence[Entry], p: Params) -> list[Entry]:
    lengths = {"min_length_ratio": p.translate.min_length_ratio, "max_length_ratio": p.translate.max_length_ratio}
    with open_rewriter("translate", p) as rewriter:
        kept, _ = rewrite(entries, rewriter, copies=1, **lengths)
    return kept


def trained(entries: Sequence[Entry], p: Params, folder: Path) -> Path:
    """The folder of an adapter trained on all reasonings and programs of `entries`."""
    window = Window(p.model, p.prompt.chat_template, p.finetune.max_length)
    nothing = Retriever([], np.zeros((0, 1), np.float32), Embedder(p.rag.embedder, None))
    taught = lessons(entries, nothing, 0, p.prompt, window, p.finetune)
    [course] = courses(taught, p.finetune, p.seed)
    finetune(course, p.model, p.finetune, folder / "scratch").save(folder / "adapter")
    return folder / "adapter"


def answers(asked: Sequence[Question], adapter: Path, p: Params, store: Store) -> SampleGrid:
    """One reasoning and one program for each question."""
    generator = Generator(p.model, p.engine, p.prompt, (adapter,))
    prompting = Prompting.of(p, generator.window("local"))
    nothing: Examples = [()] * len(asked)
    settings = VotingSettings(voters=1, programs=1)
    with stored_verdicts(store, p.programs) as solve, open_sampler("rewriting", "local", generator) as sampler:
        programs = Programs(prompting.for_programs(p), solve, nothing)
        return Rounds(asked, nothing, prompting, settings, programs).run(sampler, unscored).grid


def right(grid: SampleGrid, known: DevQuestions) -> list[Floats]:
    """(Q,) whether the reasoning is right, and whether the program is."""
    return [
        np.asarray(part.flat("answers")[:, 0] == known.truth, dtype=np.float64) for part in (grid.steps, grid.programs)
    ]


def main(count: int) -> None:
    p = load(
        "seed",
        "voters",
        "max_resample",
        "model",
        "engine",
        "prompt",
        "rag",
        "providers",
        "translate",
        "finetune",
        "infer",
    )
    puzzles = made(count, TAUGHT, "taught")
    rewritten = copies(puzzles, p)
    arms = {
        "alone": puzzles,
        f"{len(rewritten):,} copies": puzzles + rewritten,
        f"{len(rewritten):,} more": puzzles + made(len(rewritten), TAUGHT, "more"),
    }
    sets = {"taught": made(ASKED, TAUGHT, "asked-taught"), "new": made(ASKED, NEW, "asked-new")}
    rows: list[list[Any]] = []
    first: dict[str, list[Floats]] = {}
    with tempfile.TemporaryDirectory() as folder, Store(default_path()) as store:
        for number, (arm, entries) in enumerate(arms.items()):
            adapter = trained(entries, p, Path(folder) / str(number))
            for wording, test in sets.items():
                known = dev_questions(test)
                found = right(answers(questions(test, "dev"), adapter, p, store), known)
                before = first.setdefault(wording, found)
                row: list[Any] = [arm, wording]
                for each, plain in zip(found, before, strict=True):
                    apart = with_error(paired_difference(each, plain, known.clusters), "+") if number else ""
                    row += [with_error(cluster_mean(each, known.clusters)), apart]
                rows.append(row)
    print(f"\n{count:,} puzzles in wordings {TAUGHT}; {2 * ASKED:,} questions of each set, wording {NEW} is new")
    print(tabulate(rows, ["lessons", "wording", "reasoning", "difference", "program", "difference"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rewriting", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--puzzles", type=int, default=PUZZLES, help="to learn from (default: %(default)s)")
    main(parser.parse_args().puzzles)
