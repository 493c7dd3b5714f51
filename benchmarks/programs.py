"""Measures the sandbox of answer-set programs, and looks for a program that it does not hold: make bench PART=programs

First small sound programs, all different: programs per second, and processor time, which a busy machine changes less.
Then 100,000 mutated programs (`tests.hostile`): each must end with a result that is right in form, no worker may die,
and nothing may depend on what ran before: a thousand of them are run again in another order.
"""

import argparse
import os
import time
from collections import Counter
from random import Random

from augen.core.progress import progress
from augen.programs.language import Result
from augen.programs.solver import Limits, Solver
from tests.hostile import check, mutated

LIMITS = Limits(seconds=0.5, memory_mib=256)
CHUNK = 1_000


def speed(workers: int, count: int) -> str:
    """Programs per second and processor time of each."""
    sound = '#use roads.\nroad("甲",{0}). road({0},{1}).\nanswer(X) :- reach("甲",X), not road(X,_).'
    programs = [sound.format(i, i + 1) for i in range(count)]
    started, used = time.perf_counter(), processor_time()
    with Solver(LIMITS, workers) as solver:
        results = solver.run(programs)
    rate, each = count / (time.perf_counter() - started), (processor_time() - used) / count
    assert [result.answer_sets[0].values for result in results] == [(i + 1,) for i in range(count)]
    return f"{rate:.0f} a second with {workers} workers, {each * 1000:.1f} ms of processor time each"


def processor_time() -> float:
    """Seconds of this process and of those that it has waited for."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def fuzz(solver: Solver, count: int, seed: str) -> Counter[str]:
    """How many of `count` mutated programs ended with each cause."""
    rng, causes = Random(seed), Counter[str]()
    first: dict[str, Result] = {}
    with progress("mutated programs", count, unit="program") as bar:
        for start in range(0, count, CHUNK):
            programs = [mutated(rng) for _ in range(min(CHUNK, count - start))]
            for program, result in zip(programs, solver.run(programs), strict=True):
                if result.cause == "time" and not result.settled:  # not of its own time: the machine is too busy
                    [result] = solver.run([program])
                check(program, result)
                causes[result.cause or "answer sets"] += 1
                if len(first) < CHUNK:
                    first[program] = result
            bar.update(len(programs))
    again = rng.sample(list(first), len(first))
    for program, result in zip(again, solver.run(again), strict=True):
        # Whether a program that takes about as long as it may ends in time is chance.
        assert result == first[program] or "time" in (result.cause, first[program].cause), program
    return causes


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.programs", description="Measure the sandbox of programs and run mutated ones in it."
    )
    parser.add_argument("--count", type=int, default=100_000, help="mutated programs (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--seed", default="programs", help="any text; the same seed makes the same programs")
    asked = parser.parse_args()
    print(f"small programs: {speed(asked.workers, 1_000)}")
    with Solver(LIMITS, asked.workers) as solver:
        started = time.perf_counter()
        causes = fuzz(solver, asked.count, asked.seed)
        print(f"mutated programs: {asked.count / (time.perf_counter() - started):.0f} a second")
    for cause, number in causes.most_common():
        print(f"  {cause}: {number:,}")


if __name__ == "__main__":
    main()
