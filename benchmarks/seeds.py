"""Repeats the pipeline with other seeds, so that a gain is not one run's luck: make seeds N=3

PART=adapters     the experiments of that part or factor, or of several (see make ablation), each with N seeds

Each run is a real ``dvc exp run --temp -S seed=…``, which leaves the working tree as it is: another split of the
labelled problems, other added puzzles, other trainings and samples; the tiny models stay. The first seed is that of
params.yaml, the others follow it. Without PART: accuracy and gain of each step as mean, lowest and highest over the
seeds, in reports/seeds.md. With PART: the same of each experiment, against params.yaml with the same seed, in
reports/ablation_seeds.md.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from augen.core.arrays import Floats, Ints
from augen.core.errors import AugenError
from augen.metrics.stats import Estimate, paired_difference
from benchmarks.ablation import Result, fetch, known, listed, read_params, results, run, shown, write

REPORT = Path("reports/seeds.md")
PARTS_REPORT = Path("reports/ablation_seeds.md")


def main(count: int, parts: Sequence[str]) -> None:
    known(parts)
    params = read_params()
    seeds = range(params["seed"], params["seed"] + count)
    if parts:
        write(PARTS_REPORT, parts_page(seeds, [results(params, {"seed": seed}, parts) for seed in seeds]))
    else:
        write(REPORT, page(seeds, steps_of(seeds)))


def steps_of(seeds: Sequence[int]) -> list[dict[str, Any]]:
    """reports/metrics.json of the run with each of `seeds`."""
    metrics = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            print(f"seed {seed}", flush=True)
            metrics.append(json.loads(fetch(run({"seed": seed}), "reports/metrics.json", Path(folder)).read_text()))
    return metrics


def parts_page(seeds: Sequence[int], found: Sequence[Sequence[Result]]) -> str:
    """The table of the experiments. `found` has for each seed the results of params.yaml and of every change to it."""
    experiments = list(zip(*found, strict=True))  # each with all seeds
    rows = [row_of(each, experiments[0]) for each in experiments]
    parts = ("reasonings alone", "difference", "shown", "with programs", "difference", "shown")
    headers = ("part", "change", *parts, "samples", "tokens")
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    questions = len(found[0][0].whole)
    return f"""# What each part is worth, over seeds

One change to params.yaml at a time, with the seeds {", ".join(map(str, seeds))}, on about {questions:,} dev questions
each: mean, and in brackets the lowest and the highest. The difference is that to params.yaml with the same seed, and
*shown* if it is at least two standard errors in every seed, in the same direction.

{table}
"""


def row_of(each: Sequence[Result], plain: Sequence[Result]) -> tuple[str, ...]:
    """The row of an experiment: its result for each seed, and beside it that of params.yaml."""
    steps = [(result.right, without.right) for result, without in zip(each, plain, strict=True)]
    whole = [(result.whole_right, without.whole_right) for result, without in zip(each, plain, strict=True)]
    clusters = [result.questions.clusters for result in each]
    cells = (*compared(steps, clusters), *compared(whole, clusters))
    if each is plain:
        cells = cells[0], "", "", cells[3], "", ""
    samples = statistics.mean(result.samples for result in each)
    tokens = statistics.mean(result.tokens for result in each)
    return each[0].factor, f"`{shown(each[0].change)}`", *cells, f"{samples:.2f}", f"{tokens:.0f}"


def compared(pairs: Sequence[tuple[Floats | None, Floats | None]], clusters: Sequence[Ints]) -> tuple[str, str, str]:
    """Accuracy, difference, and whether that is shown; empty where a seed does not tell it.

    A pair says for a seed which questions are answered right with the change, and without.
    """
    known = [(right, without) for right, without in pairs if right is not None and without is not None]
    if len(known) < len(pairs):
        return "", "", ""
    found = [paired_difference(*pair, own) for pair, own in zip(known, clusters, strict=True)]
    accuracy = over([float(right.mean()) for right, _ in known])
    return accuracy, over([each.value for each in found], "+"), "yes" if are_shown(found) else "no"


def are_shown(differences: Sequence[Estimate]) -> bool:
    """Whether all are at least two standard errors from zero, on the same side.

    >>> are_shown([Estimate(0.2, 0.1), Estimate(0.3, 0.1)]), are_shown([Estimate(0.2, 0.1), Estimate(-0.2, 0.1)])
    (True, False)
    """
    low, high = min(each.value for each in differences), max(each.value for each in differences)
    return (low > 0 or high < 0) and all(abs(each.value) >= 2 * each.se for each in differences)


def page(seeds: Sequence[int], metrics: Sequence[dict[str, Any]]) -> str:
    """The table of the steps: a row for each step that every seed has, and for each number about programs."""
    rows = []
    for step in (key for key in metrics[0]["steps"] if all(key in m["steps"] for m in metrics)):
        found = [m["steps"][step] for m in metrics]
        rows.append((step, over([row["accuracy"] for row in found]), *gained(found)))
    rows.append(("all together", over([m["accuracy"] for m in metrics]), *gained(metrics)))
    for name, value in metrics[0].get("programs", {}).items():
        if isinstance(value, float) and not name.endswith("_se"):
            values = [m["programs"][name] for m in metrics if name in m["programs"]]
            rows.append((f"programs: {name.replace('_', ' ')}", over(values), "", ""))
    table = tabulate(rows, ("step", "accuracy", "gain", "shown"), tablefmt="github", disable_numparse=True)
    questions = metrics[0]["questions"]
    return f"""# Over seeds

Seeds {", ".join(map(str, seeds))}, about {questions:,} dev questions each: mean, and in brackets the lowest and the
highest. The gain of a step is over the step before it, and *shown* if it is at least two standard errors in every seed.

{table}
"""


def gained(found: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """
    >>> gained([{"gain": 0.25, "gain_se": 0.1}, {"gain": 0.75, "gain_se": 0.1}])
    ('+0.500 (+0.250 … +0.750)', 'yes')
    """
    if not all("gain" in each for each in found):
        return "", ""
    shown = all(each["gain"] >= 2 * each["gain_se"] > 0 for each in found)
    return over([each["gain"] for each in found], "+"), "yes" if shown else "no"


def over(values: Sequence[float], sign: str = "") -> str:
    """
    >>> over([0.25, 0.5, 0.75], "+")
    '+0.500 (+0.250 … +0.750)'
    """
    mean, low, high = statistics.mean(values), min(values), max(values)
    return f"{mean:{sign}.3f} ({low:{sign}.3f} … {high:{sign}.3f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.seeds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", nargs="?", type=int, default=3, help="seeds (default: %(default)s)")
    parser.add_argument("--part", default="", help="experiments of the ablation, instead of the steps of params.yaml")
    asked = parser.parse_args()
    try:
        main(asked.count, listed(asked.part))
    except AugenError as error:
        sys.exit(f"seeds: {error}")
