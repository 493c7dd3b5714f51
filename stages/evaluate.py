"""Measure what each step of the pipeline gained on the dev questions; needs no model and no GPU.

    python -m stages.evaluate

in:  data/dev.jsonl (with answers), data/samples.jsonl (from infer), data/baseline.jsonl (from baseline)
out: reports/metrics.json, reports/gains.md, reports/plots/{accuracy_over_k,all_votes,adaptive,roc,calibration}.csv
"""

import csv
import json
from pathlib import Path

from augen.adaptive import Knobs, curves, savings
from augen.entries import read_jsonl
from augen.evaluation import (
    Settings,
    Source,
    evaluate,
    gains_page,
    gains_table,
    matched,
    questions_of,
    read_samples,
    rounded,
)
from augen.params import load
from augen.stage import run

REPORTS = Path("reports")
COLUMNS = {
    "accuracy_over_k": ["k", "method", "accuracy"],
    "all_votes": ["voters", "samples", "accuracy"],
    "adaptive": ["voters", "samples", "accuracy"],
    "roc": ["false_positive_rate", "true_positive_rate"],
    "calibration": ["low", "high", "samples", "mean_score", "share_right"],
}


def main() -> None:
    p = load("voters", "max_resample", "rag", "baseline", "infer")
    infer = Source(Path("data/samples.jsonl"), "infer", p.voters, p.max_resample, p.infer.threshold, p.infer.adaptive)
    baseline = Source(Path("data/baseline.jsonl"), "baseline", p.baseline.samples, 0, 0.0, adaptive=False)
    parts = [name for name, on in (("adapter", p.infer.adapter), ("examples", p.rag.k > 0)) if on]
    setup = " & ".join(parts) or "no adapter, no examples"
    settings = Settings(p.voters, p.max_resample, p.infer.vote, p.infer.fallback, setup)

    questions = questions_of(read_jsonl(Path("data/dev.jsonl"), answers="required"))
    drawn = read_samples(infer, ("dev", "test"))
    samples = matched(drawn["dev"], questions, infer)
    plain = matched(read_samples(baseline, ("dev",))["dev"], questions, baseline)
    report = evaluate(questions, samples, plain, drawn["test"], settings)
    knobs = Knobs(p.voters, p.max_resample, p.infer.threshold, p.infer.resample, p.infer.vote)
    report.plots.update(curves(samples, questions, knobs))
    if saved := savings(samples, questions, knobs):
        report.metrics["adaptive"] = saved.numbers

    (REPORTS / "plots").mkdir(parents=True, exist_ok=True)
    numbers = json.dumps(rounded(report.metrics), indent=2, ensure_ascii=False)
    (REPORTS / "metrics.json").write_text(numbers + "\n", encoding="utf-8")
    (REPORTS / "gains.md").write_text(gains_page(report), encoding="utf-8")
    for name, columns in COLUMNS.items():
        with (REPORTS / "plots" / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rounded(report.plots[name]))
    print(gains_table(report.gains, "simple"))
    test = report.metrics["test"]
    print(f"test: {test['fallbacks']} of {test['questions']} questions got the fallback letter")


if __name__ == "__main__":
    run(main)
