"""Keeps what is fit to train on: data/reasoned/*.pkl → data/filtered/*.pkl, with an account of the rest.

The five files: right reasonings for the problems (entries) and their rewritten copies (entries_aug), wrong ones for
both (*_false), and right ones by the author of sampled wrong ones (entries_own). The accounts are
reports/filter.json, kept and dropped by cause with an example of each, and reports/data.md, to be read.

    dvc repro filter
"""

from functools import partial
from pathlib import Path

from augen.answers.shuffling import with_shuffled
from augen.core.files import read_json, write_json, write_text
from augen.core.params import load
from augen.core.run import run
from augen.entries import Entry, question_id
from augen.entries.jsonl import read_jsonl
from augen.entries.pickles import dump_pickle, load_pickle
from augen.entries.reasoned import FILES
from augen.filtering.causes import NearDuplicates, Report, Seen, filter_entries, question_text, right_answers, signed
from augen.filtering.report import Data, page

NAMES = ("entries", "entries_aug", "entries_false", "entries_aug_false", "entries_own")


def main() -> None:
    params = load("seed", "prepare", "filter")
    p = params.filter
    dev = read_jsonl("data/dev.jsonl", answers="required")
    test = read_jsonl(params.prepare.test, answers="optional")[: params.prepare.limit]
    texts = {
        f"{split} {question_id(entry, i)}": question_text(entry.problem, item)
        for split, entries in (("dev", dev), ("test", test))
        for entry in entries
        for i, item in enumerate(entry.questions)
    }
    near = NearDuplicates(texts, ngram=p.ngram, threshold=p.near_duplicates) if p.drop.near_duplicate else None
    drop = {cause for cause, on in p.drop if on}
    filtered = partial(filter_entries, drop=drop, max_chars=p.max_chars, held_out=near)

    reasoned = {name: load_pickle(f"data/reasoned/{name}.pkl") for name in NAMES}
    total = sum(len(e.questions) for entries in reasoned.values() for e in entries)
    print(f"{total:,} reasoned questions to check; {len(texts):,} held-out ones must not be among them", flush=True)
    kept: dict[str, list[Entry]] = {}
    reports: dict[str, Report] = {}
    seen: dict[str, Seen] = {"": {}, "_false": {}}
    for name in ("entries", "entries_aug"):
        answers = right_answers(reasoned[name])
        for suffix, right in (("", None), ("_false", answers)):
            file = name + suffix
            kept[file], reports[file] = filtered(reasoned[file], right=right, seen=seen[suffix])
    lacking = signed(kept["entries_false"] + kept["entries_aug_false"]) - signed(kept["entries"] + kept["entries_aug"])
    kept["entries_own"], reports["entries_own"] = filtered(reasoned["entries_own"], wanted=lacking)

    kept, shuffling = with_shuffled(kept, p.shuffled, params.seed)

    for folder in ("reports", "data/filtered"):  # both can be written, or nothing is
        Path(folder).mkdir(parents=True, exist_ok=True)
    rewriting = read_json("reports/translate.json")
    for name in NAMES:
        dump_pickle(f"data/filtered/{name}.pkl", kept[name])
    ordered = {name: reports[name] for name in NAMES}
    write_json("reports/filter.json", {name: report.as_dict() for name, report in ordered.items()})
    write_text("reports/data.md", page(Data(reasoned, kept, ordered, dev, test, rewriting, shuffling)))
    for name, report in ordered.items():
        causes = ", ".join(f"{count:,} {cause}" for cause, count in sorted(report.dropped.items()))
        kept_of = f"{report.kept:,} of {report.questions:,} questions kept"
        print(f"{FILES[name]}: {kept_of}" + (f"; dropped: {causes}" if causes else ""))
    print("data/filtered; reports/data.md says what was dropped and why")


if __name__ == "__main__":
    run(main)
