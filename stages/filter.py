"""Keep what is fit to train on: data/reasoned/*.pkl → data/filtered/*.pkl, with an account of the rest.

The five files: right reasonings for the problems (entries) and their rewritten copies (entries_aug), wrong ones for
both (*_false), and right ones by the author of sampled wrong ones (entries_own). reports/filter.json counts what was
kept and dropped by cause, with an example of each; reports/data.md says the same for a reader.

    dvc repro filter
"""

from pathlib import Path

from augen.answers.shuffling import with_shuffled
from augen.core.files import read_json, write_json, write_text
from augen.core.params import load
from augen.core.run import run
from augen.entries import Entry, questions
from augen.entries.jsonl import read_jsonl
from augen.entries.pickles import dump_pickle, load_pickle
from augen.entries.reasoned import FILES
from augen.filtering.causes import (
    FilterAccount,
    Rules,
    Seen,
    authors_by_question,
    filter_entries,
    question_text,
    right_answers,
)
from augen.filtering.near_duplicates import NearDuplicates
from augen.filtering.report import Data, page


def main() -> None:
    params = load("seed", "prepare", "filter")
    p = params.filter
    dev = read_jsonl("data/dev.jsonl", answers="required")
    votes = read_jsonl("data/votes.jsonl", answers="required", may_be_empty=True)
    test = read_jsonl(params.prepare.test, answers="optional")[: params.prepare.limit]
    texts = {
        f"{question.split} {question.id}": question_text(question.problem, question.item)
        for question in questions(dev, "dev") + questions(votes, "votes") + questions(test, "test")
    }
    near = NearDuplicates(texts, ngram=p.ngram, threshold=p.near_duplicates) if p.drop.near_duplicate else None
    rules = Rules({cause for cause, on in p.drop if on}, p.max_chars, near)

    reasoned = {name: load_pickle(f"data/reasoned/{name}.pkl") for name in FILES}
    total = sum(len(e.questions) for entries in reasoned.values() for e in entries)
    print(f"{total:,} reasoned questions to check; {len(texts):,} held-out ones must not be among them", flush=True)
    kept: dict[str, list[Entry]] = {}
    accounts: dict[str, FilterAccount] = {}
    seen: dict[str, Seen] = {"": {}, "_false": {}}
    for name in ("entries", "entries_aug"):
        answers = right_answers(reasoned[name])
        for suffix, right in (("", None), ("_false", answers)):
            file = name + suffix
            kept[file], accounts[file] = filter_entries(reasoned[file], rules, right=right, seen=seen[suffix])
    wrong = authors_by_question(kept["entries_false"] + kept["entries_aug_false"])
    unpaired = wrong - authors_by_question(kept["entries"] + kept["entries_aug"])
    kept["entries_own"], accounts["entries_own"] = filter_entries(reasoned["entries_own"], rules, unpaired=unpaired)

    kept, shuffling = with_shuffled(kept, p.shuffled, params.seed)

    for folder in ("reports", "data/filtered"):  # both can be written, or nothing is
        Path(folder).mkdir(parents=True, exist_ok=True)
    rewriting = read_json("reports/translate.json")
    for name in FILES:
        dump_pickle(f"data/filtered/{name}.pkl", kept[name])
    accounts = {name: accounts[name] for name in FILES}
    write_json("reports/filter.json", {name: account.as_dict() for name, account in accounts.items()})
    write_text("reports/data.md", page(Data(reasoned, kept, accounts, dev, test, rewriting, shuffling)))
    for name, account in accounts.items():
        causes = ", ".join(f"{count:,} {cause}" for cause, count in sorted(account.dropped.items()))
        kept_of = f"{account.kept:,} of {account.questions:,} questions kept"
        programs = f"; {account.programs:,} of these keep their program" if account.programs else ""
        print(f"{FILES[name]}: {kept_of}" + (f"; dropped: {causes}{programs}" if causes else ""))
    print("data/filtered; reports/data.md says what was dropped and why")


if __name__ == "__main__":
    run(main)
