"""Keeps what is fit to train on: data/reasoned/*.pkl → data/filtered/*.pkl, with an account of the rest.

The four files: right reasonings for the problems (entries) and their rewritten copies (entries_aug), wrong
ones for both (*_false). The account is reports/filter.json: kept and dropped by cause, an example of each.

    dvc repro filter
"""

from pathlib import Path

from augen.entries import dump_pickle, load_pickle, question_id, read_jsonl
from augen.files import write_json
from augen.filtering import NearDuplicates, Report, filter_entries, question_text, right_answers
from augen.params import load
from augen.stage import run

IN, OUT, REPORT = Path("data/reasoned"), Path("data/filtered"), Path("reports/filter.json")


def main() -> None:
    params = load("prepare", "filter")
    p = params.filter
    held_out = None
    if p.near_duplicates is not None:
        unseen = [
            *read_jsonl("data/dev.jsonl", answers="required"),
            *read_jsonl(params.prepare.test, answers="optional"),
        ]
        texts = {
            question_id(entry, i): question_text(entry.problem, item)
            for entry in unseen
            for i, item in enumerate(entry.questions)
        }
        held_out = NearDuplicates(texts, ngram=p.ngram, threshold=p.near_duplicates)

    OUT.mkdir(parents=True, exist_ok=True)
    reports: dict[str, Report] = {}
    for name in ("entries", "entries_aug"):
        argued_right = load_pickle(IN / f"{name}.pkl")
        argued_wrong = load_pickle(IN / f"{name}_false.pkl")
        right = right_answers(argued_right)
        for file, entries, known in ((name, argued_right, None), (f"{name}_false", argued_wrong, right)):
            kept, reports[file] = filter_entries(
                entries, right=known, max_chars=p.max_chars, hint_phrases=p.hint_phrases, held_out=held_out
            )
            dump_pickle(OUT / f"{file}.pkl", kept)

    account = {file: report.as_dict() for file, report in reports.items()}
    write_json(REPORT, account)
    for file, report in reports.items():
        causes = ", ".join(f"{count} {cause}" for cause, count in sorted(report.dropped.items()))
        print(f"{file}: {report.kept} of {report.questions} questions kept" + (f"; {causes}" if causes else ""))


if __name__ == "__main__":
    run(main)
