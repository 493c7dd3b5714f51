"""Measures the speed of puzzles and checks 10,000 questions of all families again: make bench PART=puzzles

Every question is solved again from its Chinese text by a reader that shares no code with the families and uses no
solver (`tests.readers`), and from its program by the solver of `augen.programs`. For each family:

agree      questions of which exactly the stated option is right, according to the reader
two right  questions of which more than one option is right, according to the reader
steps      reasonings of which every step is true, according to the reader
misled     share of wrong reasonings that rest on a changed puzzle; the others only end in another answer
puzzles/s  puzzles written and proved per second of one core
programs   questions whose program, run, gives the stated option, with the library's rules and with rules written out
runs/s     programs run per second by two workers

Then it prints how often each letter is the answer, for each number of options, with the probability of such a deviation
from equal shares by chance. Takes a few minutes; ends with 1 unless reader, solver and programs agree on everything.
"""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from scipy.stats import chisquare
from tabulate import tabulate

from augen.core.run import no_arguments
from augen.entries import LETTERS
from augen.programs.options import verdict
from augen.programs.solver import Limits, Solver
from augen.puzzles import FAMILIES, WORDINGS, Puzzle, make
from tests.readers import READERS

QUESTIONS = 10_000
WRONG = 20  # wrong reasonings per family
WORKERS = 2
DIFFICULTIES = (1, 2, 3, 4, 5)


def main() -> int:
    each = -(-QUESTIONS // len(FAMILIES))
    letters: dict[int, Counter[str]] = {}
    rows = [checked(family, each, letters) for family in sorted(FAMILIES)]
    total = ["all", *(sum(row[i] for row in rows) for i in range(1, 6)), "", "", sum(row[8] for row in rows), ""]
    counted = ["problems", "questions", "agree", "two right", "steps"]
    print(tabulate([*rows, total], ["family", *counted, "misled", "puzzles/s", "programs", "runs/s"]))
    for options, counts in sorted(letters.items()):
        shares = ", ".join(f"{letter} {counts[letter] / counts.total():.3f}" for letter in LETTERS[:options])
        chance = chisquare([counts[letter] for letter in LETTERS[:options]]).pvalue
        print(f"{options} options, {counts.total()} questions: {shares} (p = {chance:.2f})")
    return 0 if total[2] == total[3] == total[5] == total[8] and total[4] == 0 else 1


def checked(family: str, questions: int, letters: dict[int, Counter[str]]) -> list[Any]:
    """The family's row of the table, from at least `questions` questions; adds its answers to `letters`."""
    rng = Random(f"benchmark {family}")
    problems = asked = agree = two = steps = misled = 0
    spent, puzzles = 0.0, []
    while asked < questions:
        difficulty, wording = DIFFICULTIES[problems % len(DIFFICULTIES)], problems % WORDINGS
        started = time.process_time()
        puzzle = make(family, rng, difficulty=difficulty, wording=wording, questions=3)
        spent += time.process_time() - started
        problems += 1
        puzzles.append(puzzle)
        reader = READERS[family](puzzle.entry.problem)
        for item in puzzle.entry.questions:
            right = [LETTERS[i] for i, option in enumerate(item.options) if reader.right(item.question, option)]
            asked += 1
            agree += right == [item.answer]
            two += len(right) > 1
            steps += reader.true(_steps(str(item.reasoning)))
            letters.setdefault(len(item.options), Counter())[str(item.answer)] += 1
        if problems > WRONG:
            continue
        item = puzzle.entry.questions[0]
        wrong = rng.choice([letter for letter in LETTERS[: len(item.options)] if letter != item.answer])
        misled += puzzle.wrong_reasoning(0, wrong, rng) is not None
    misled_share, speed = f"{misled / WRONG:.0%}", f"{problems / spent:.0f}"
    return [family, problems, asked, agree, two, steps, misled_share, speed, *run(puzzles)]


def run(puzzles: Sequence[Puzzle]) -> tuple[int, str]:
    """The number of questions whose two programs give the stated option, and the programs run per second."""
    asked = [(puzzle, i, item) for puzzle in puzzles for i, item in enumerate(puzzle.entry.questions)]
    programs = [puzzle.program(i, library) for puzzle, i, _ in asked for library in (True, False)]
    with Solver(Limits(), WORKERS) as solver:
        started = time.perf_counter()
        results = solver.run(programs)
        speed = len(set(programs)) / (time.perf_counter() - started)
    pairs = zip(asked, results[::2], results[1::2], strict=True)
    right = [{verdict(r, item.options).letter for r in both} == {item.answer} for (_, _, item), *both in pairs]
    return sum(right), f"{speed:.0f}"


def _steps(reasoning: str) -> str:
    """A reasoning without its conclusion and answer line."""
    return "\n".join(reasoning.splitlines()[:-2])


if __name__ == "__main__":
    no_arguments(main)
    sys.exit(main())
