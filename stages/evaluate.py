"""Measure what each step of the pipeline gained on the dev questions, and show it; needs no model and no GPU.

    python -m stages.evaluate

in:  data/dev.jsonl (with answers), data/samples.jsonl and data/examples.jsonl (from infer), data/baseline.jsonl
     (from baseline), reports/filter.json, reports/scorer.json
out: reports/metrics.json, reports/gains.md, reports/report.html,
     reports/plots/{accuracy_over_k,accuracy_over_samples,roc,calibration,filter}.csv
"""

from pathlib import Path

from augen.core.files import read_json, write_json, write_text
from augen.core.params import load
from augen.core.run import run
from augen.entries.jsonl import read_jsonl
from augen.evaluation import steps as evaluation
from augen.evaluation.replay import Knobs, curves, savings
from augen.evaluation.report.flags import chosen, flags_of
from augen.evaluation.report.page import Content, page
from augen.evaluation.report.questions import Voting, read_records
from augen.evaluation.report.tables import filter_rows, side_by_side
from augen.evaluation.steps import Settings, csv_text, rounded
from augen.voting.samples import Source, matched, questions_of, read_samples

COLUMNS = {
    "accuracy_over_k": ["k", "pass", "majority", "weighted", "best", "configured"],
    "accuracy_over_samples": ["voters", "samples", "all_votes", "adaptive"],
    "roc": ["false_positive_rate", "true_positive_rate"],
    "calibration": ["low", "high", "samples", "mean_score", "share_right"],
    "filter": ["file", "outcome", "questions"],
}


def main() -> None:
    p = load(
        "baseline", "finetune", "infer", "max_resample", "model", "prepare", "rag", "reason_false", "reason_true",
        "scorer", "seed", "translate", "voters",
    )  # fmt: skip
    infer = Source(Path("data/samples.jsonl"), "infer", p.voters, p.max_resample, p.infer.threshold, p.infer.adaptive)
    baseline = Source(Path("data/baseline.jsonl"), "baseline", p.baseline.samples, 0, 0.0, adaptive=False)
    parts = [name for name, on in (("adapter", p.infer.adapter), ("examples", p.rag.k > 0)) if on]
    setup = " & ".join(parts) or "no adapter, no examples"
    settings = Settings(p.voters, p.max_resample, p.infer.vote, p.infer.fallback, setup)

    dev = read_jsonl("data/dev.jsonl", answers="required")
    questions = questions_of(dev)
    drawn = read_samples(infer, ("dev", "test"))
    samples = matched(drawn["dev"], questions, infer)
    plain = matched(read_samples(baseline, ("dev",))["dev"], questions, baseline)
    report = evaluation.evaluate(questions, samples, plain, drawn["test"], settings)
    filtered = read_json("reports/filter.json")
    report.plots["filter"] = filter_rows(filtered)
    knobs = Knobs(p.voters, p.max_resample, p.infer.threshold, p.infer.resample, p.infer.vote, p.infer.certainty)
    report.plots["accuracy_over_samples"] = side_by_side(curves(samples, questions, knobs))
    if saved := savings(samples, questions, knobs):
        report.metrics["adaptive"] = saved.numbers

    write_json("reports/metrics.json", rounded(report.metrics))
    write_text("reports/gains.md", evaluation.gains_page(report))
    for name, columns in COLUMNS.items():
        write_text(f"reports/plots/{name}.csv", csv_text(columns, report.plots[name]))

    flags = flags_of(samples, questions, p.infer.vote, p.infer.fallback)
    shown = chosen(questions.ids, flags)
    voting = Voting(p.infer.vote, p.infer.threshold, p.infer.fallback)
    records = read_records(dev, infer, baseline, Path("data/examples.jsonl"), voting, shown)
    sets = {"dev": samples, "dev, plain model": plain, "test": drawn["test"]}
    content = Content(report, p, filtered, read_json("reports/scorer.json"), sets, questions, flags, records)
    write_text("reports/report.html", page(content))
    print(evaluation.gains_table(report.gains, "simple"))
    test = report.metrics["test"]
    print(f"test: {test['fallbacks']} of {test['questions']} questions got the fallback letter")
    print(f"reports/report.html shows {len(shown):,} of {len(questions.ids):,} dev questions; open it in a browser")


if __name__ == "__main__":
    run(main)
