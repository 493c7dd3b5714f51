"""Measure what each step of the pipeline gained on the dev questions, and show it; needs no model and no GPU.

in:  data/dev.jsonl (with answers), data/samples.jsonl and data/examples.jsonl (from infer), data/baseline.jsonl
     (from baseline), reports/filter.json, reports/scorer.json; data/vote_weights.json, where votes have weights
out: reports/metrics.json, reports/gains.md, reports/report.html,
     reports/plots/{accuracy_over_k,accuracy_over_samples,roc,calibration,filter}.csv
"""

from dataclasses import replace
from pathlib import Path

from augen.core.files import read_json, write_json, write_text
from augen.core.params import load
from augen.core.run import run
from augen.entries.ondisk import EntryFile
from augen.evaluation.programs import programs_of
from augen.evaluation.replay import curves, savings, second_vote
from augen.evaluation.report.flags import chosen, flags_of
from augen.evaluation.report.page import Content, page
from augen.evaluation.report.questions import Drawn, decisions, question_records, read_examples, samples_of
from augen.evaluation.report.tables import filter_rows, side_by_side
from augen.evaluation.sharing import sharers_of
from augen.evaluation.steps import COLUMNS, TRANSDUCTIVE, Recorded, csv_text, evaluate, gains_page, gains_table, rounded
from augen.voting.generators import weighed
from augen.voting.grid import SampleGrid
from augen.voting.samples import SampleFile, dev_questions, matched, read_samples
from augen.voting.settings import VotingSettings


def main() -> None:
    p = load(
        "baseline", "finetune", "infer", "max_resample", "model", "prepare", "rag", "reason_false", "reason_true",
        "scorer", "seed", "translate", "voters",
    )  # fmt: skip
    infer = SampleFile(Path("data/samples.jsonl"), "infer", VotingSettings.of(p))
    baseline = SampleFile(Path("data/baseline.jsonl"), "baseline", VotingSettings(p.baseline.samples))
    given = [name for name, on in (("adapter", p.infer.adapter), ("examples", p.rag.k > 0)) if on]
    dev = EntryFile("data/dev.jsonl", answers="required")
    questions = dev_questions(dev)
    drawn = read_samples(infer, ("dev", "test"))
    samples = matched(drawn.pop("dev"), questions, infer)
    plain = matched(read_samples(baseline, ("dev",))["dev"], questions, baseline)
    programs = programs_of(samples, infer, weights := Path("data/vote_weights.json"))
    settings = weighed(infer, weights)
    recorded = Recorded(samples, plain, drawn["test"], programs, sharers_of(p))
    report = evaluate(questions, recorded, settings, " & ".join(given) or "no adapter, no examples")
    report.plots["filter"] = filter_rows(filtered := read_json("reports/filter.json"))
    report.plots["accuracy_over_samples"] = side_by_side(curves(samples, questions, settings))
    if saved := savings(samples, questions, settings):
        report.metrics["adaptive"] = saved
    if bought := second_vote(samples, questions, settings):
        report.metrics["second_vote"] = bought
    if p.infer.adapter and p.finetune.pseudo:
        report.metrics["transductive"] = TRANSDUCTIVE.format(p.finetune.pseudo)

    write_json("reports/metrics.json", rounded(report.metrics))
    write_text("reports/gains.md", gains_page(report))
    for name, columns in COLUMNS.items():
        write_text(f"reports/plots/{name}.csv", csv_text(columns, report.plots[name]))

    grid = SampleGrid.of(samples, settings)
    flags = flags_of(grid, questions, settings)
    shown = chosen(questions.ids, flags)
    examples = read_examples(replace(infer, path=Path("data/examples.jsonl")), questions.ids, shown)
    of_infer, of_baseline = (samples_of(*each, shown) for each in ((samples, infer), (plain, baseline)))
    found = Drawn(of_infer, of_baseline, examples, decisions(grid, questions, settings, shown))
    records = question_records(dev, found, shown, settings.threshold)
    content = Content(report, p, filtered, read_json("reports/scorer.json"), recorded, questions, flags, records)
    write_text("reports/report.html", page(content))
    print(gains_table(report.gains, "simple"))
    test = report.metrics["test"]
    print(f"test: {test['fallbacks']} of {test['questions']} questions got the fallback letter")
    print(f"reports/report.html shows {len(shown):,} of {len(questions.ids):,} dev questions; open it in a browser")


if __name__ == "__main__":
    run(main)
