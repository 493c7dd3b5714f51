"""Repeats the pipeline with other seeds, so that a gain is not one run's luck: make seeds N=3

Each is a real ``dvc exp run --temp -S seed=…``, which leaves the working tree as it is: another split of the labelled
problems, other added puzzles, other trainings and samples; the tiny models stay. The first seed is that of params.yaml,
the others follow it. Prints accuracy and gain of each step as mean, lowest and highest over the seeds, and writes the
table to reports/seeds.md.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from tabulate import tabulate

from augen.core.errors import AugenError
from benchmarks.ablation import fetch, run

REPORT = Path("reports/seeds.md")


def main(count: int) -> None:
    first = YAML(typ="safe").load(Path("params.yaml").read_text(encoding="utf-8"))["seed"]
    seeds = range(first, first + count)
    metrics = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            print(f"seed {seed}", flush=True)
            metrics.append(json.loads(fetch(run({"seed": seed}), "reports/metrics.json", Path(folder)).read_text()))
    text = page(list(seeds), metrics)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(text, encoding="utf-8")
    print(f"\n{text}\n{REPORT}")


def page(seeds: Sequence[int], metrics: Sequence[dict[str, Any]]) -> str:
    """The table: a row for each step that every seed has, and for each number about programs."""
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
    try:
        main(parser.parse_args().count)
    except AugenError as error:
        sys.exit(f"seeds: {error}")
