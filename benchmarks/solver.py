"""What programs are worth beside reasonings, by the models of ``dvc repro``: make bench PART=solver

It draws five programs and nine reasonings for each dev question, and prints, with one standard error clustered by
problem:

slots      accuracy with none, one, two and five programs: how many questions they answer, how often an answer is right,
           the programs' vote alone, and together with five reasonings
tokens     reasonings alone, programs alone, and both, as many as fit into the tokens of five reasonings
wordings   one program and one reasoning for new puzzles, in the wordings that the base model has seen and in the one
           that it has not, with the adapter and without
families   the same for two families that no model was trained on

Samples stay in the response store, so a second run draws none. Takes about ten minutes of one core.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from tabulate import tabulate

from augen.answering.questions import Examples, Prompting
from augen.answering.rounds import Answering, Programs, Rounds
from augen.core.files import read_json
from augen.core.models import tuned_adapters
from augen.core.params import load
from augen.core.run import no_arguments
from augen.entries import Question, questions
from augen.entries.jsonl import read_jsonl
from augen.generation.open import Generator, open_sampler
from augen.metrics.stats import cluster_mean, with_error
from augen.programs.verdicts import stored_verdicts
from augen.puzzles import BASIC, Puzzle, make
from augen.puzzles.dataset import DIFFICULTIES
from augen.scorer.score import stored_scores
from augen.store.responses import Store, default_path
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions, dev_questions
from augen.voting.settings import VotingSettings
from augen.voting.weights import Weight

PROGRAMS, REASONINGS = 5, 9
SLOTS = (1, 2, 5)
SEEN, UNSEEN = (0, 1), (2,)
HELD_OUT = ("courses", "tolls")  # families outside BASIC
NEW = 360  # questions of each set of new puzzles
HEADS = ("answered", "right if answered", "accuracy")


class Bench:
    def __init__(self) -> None:
        self.params = load("seed", "voters", "max_resample", "model", "engine", "prompt", "programs", "infer")
        self.store = Store(default_path())
        weight = Weight(**read_json("data/vote_weights.json"))
        self.settings = weight.applied(replace(VotingSettings.of(self.params), adaptive=False))

    def drawn(self, asked: Sequence[Question], programs: int, voters: int, adapter: bool) -> Answering:
        """`programs` programs and `voters` reasonings for each question."""
        p = self.params
        adapters = tuned_adapters(Path("models/adapter"), Path("models/preferred")) if adapter else ()
        generator = Generator(p.model, p.engine, p.prompt, adapters)
        prompting = replace(Prompting.of(p, generator.window("local")), adapters=len(generator.adapters))
        nothing: Examples = [()] * len(asked)
        settings = replace(self.settings, programs=programs, voters=voters)
        with (
            stored_verdicts(self.store, self.params.programs) as solve,
            open_sampler("solver", "local", generator) as sampler,
        ):
            writing = Programs(prompting.for_programs(p), solve, nothing)
            rounds = Rounds(asked, nothing, prompting, settings, writing)
            return rounds.run(sampler, stored_scores(Path("models/scorer"), self.store))

    def row(self, grid: SampleGrid, known: DevQuestions, programs: int, voters: int) -> list[Any]:
        """Coverage, precision of one program, and the accuracy of the vote."""
        first = grid.program_slots
        part = grid[:, [*range(programs), *range(first, first + voters)]]
        answers = part.programs.flat("answers")
        given, right = answers >= 0, answers == known.truth[:, None]
        coverage = cluster_mean(given.any(axis=1).astype(float), known.clusters).value if programs else None
        precision = right.sum() / given.sum() if given.any() else None
        voted = part.voted(replace(self.settings, programs=programs, voters=voters)) == known.truth
        return [coverage, precision, _shown(voted, known)]


def _shown(right: Any, known: DevQuestions) -> str:
    return with_error(cluster_mean(np.asarray(right, dtype=np.float64), known.clusters))


def new_puzzles(
    count: int, seed: str, prefix: str, families: Sequence[str], wordings: Sequence[int]
) -> Iterator[Puzzle]:
    """`count` puzzles of two questions each, as difficult as the default data; the families take turns."""
    rng = Random(seed)
    for i in range(count):
        family = families[i % len(families)]
        yield make(
            family,
            rng,
            difficulty=rng.choice(DIFFICULTIES),
            wording=rng.choice(wordings),
            questions=2,
            entry_id=f"{prefix}_{i:04d}_{family}",
        )


def new_questions(families: Sequence[str], wordings: Sequence[int], seed: str) -> tuple[list[Question], DevQuestions]:
    entries = [puzzle.entry for puzzle in new_puzzles(NEW // 2, f"solver {seed}", seed, families, wordings)]
    return questions(entries, "dev"), dev_questions(entries)


def by_slots(bench: Bench, grid: SampleGrid, known: DevQuestions) -> None:
    rows = [["5 reasonings", *bench.row(grid, known, 0, 5)]]
    for slots in SLOTS:
        rows.append([f"{slots} programs", *bench.row(grid, known, slots, 0)])
        rows.append([f"{slots} programs, 5 reasonings", *bench.row(grid, known, slots, 5)])
    redraws, weight = bench.settings.max_resample, bench.settings.program_weight
    print(f"\n{len(known.ids):,} dev questions, {redraws} redraws at most, a program counts {weight:g}")
    print(tabulate(rows, ["slots", *HEADS], floatfmt=".3f"))


def by_source(bench: Bench, found: Answering, known: DevQuestions) -> None:
    program, reasoning = (
        sum(s.tokens for s in found.every_sample if s.mode == mode) / (len(known.ids) * slots)
        for mode, slots in (("program", PROGRAMS), ("steps", REASONINGS))
    )
    alone = min(PROGRAMS, round(5 * reasoning / program))
    beside = min(REASONINGS, round((5 * reasoning - 2 * program) / reasoning))
    rows = [
        [f"{p} programs, {v} reasonings", p * program + v * reasoning, *bench.row(found.grid, known, p, v)]
        for p, v in ((0, 5), (alone, 0), (2, beside))
    ]
    print(f"\nequal tokens: a slot of reasonings takes {reasoning:.0f}, one of programs {program:.0f}")
    print(tabulate(rows, ["source", "tokens", *HEADS], floatfmt=(".3f", ".0f", ".3f", ".3f")))


def by_novelty(bench: Bench) -> None:
    sets = {
        "wordings seen by the base": (BASIC, SEEN),
        "wording not seen by the base": (BASIC, UNSEEN),
        f"families held out: {', '.join(HELD_OUT)}": (HELD_OUT, (*SEEN, *UNSEEN)),
    }
    rows = []
    for name, (families, wordings) in sets.items():
        asked, known = new_questions(families, wordings, name.partition(":")[0].replace(" ", "-"))
        for adapter in (False, True):
            grid = bench.drawn(asked, 1, 1, adapter).grid
            given, precision, _ = bench.row(grid, known, 1, 0)
            first = [_shown(part.flat("answers")[:, 0] == known.truth, known) for part in (grid.programs, grid.steps)]
            rows.append([name, "adapter" if adapter else "base", given, precision, *first])
    print("\nnew puzzles, one slot of each kind")
    print(tabulate(rows, ["questions", "", *HEADS[:2], "first program", "first reasoning"], floatfmt=".3f"))


def main() -> None:
    bench = Bench()
    dev = read_jsonl("data/dev.jsonl", answers="required")
    known = dev_questions(dev)
    found = bench.drawn(questions(dev, "dev"), PROGRAMS, REASONINGS, adapter=True)
    by_slots(bench, found.grid, known)
    by_source(bench, found, known)
    by_novelty(bench)


if __name__ == "__main__":
    no_arguments(main)
    main()
