"""Keep what is fit to train on: data/reasoned/*.pkl → data/filtered/*.pkl, with an account of the rest.

The five files: right reasonings for the problems (entries) and their rewritten copies (entries_aug), wrong ones for
both (*_false), and right ones by the author of sampled wrong ones (entries_own). reports/filter.json counts what was
kept and dropped by cause, with an example of each; reports/data.md says the same for a reader.

    dvc repro filter
"""

from pathlib import Path

from augen.core.files import read_json, write_json, write_text, written_together
from augen.core.params import load
from augen.core.run import run
from augen.entries.ondisk import EntryFile, Questions
from augen.entries.reasoned import FILES
from augen.filtering.causes import Rules
from augen.filtering.files import Filtering, HeldOut
from augen.filtering.near_duplicates import NearDuplicates
from augen.filtering.report import Data, Passed, page


def main() -> None:
    params = load("seed", "prepare", "filter")
    p = params.filter
    dev = EntryFile("data/dev.jsonl", answers="required")
    votes = EntryFile("data/votes.jsonl", answers="required", may_be_empty=True)
    test = EntryFile(params.prepare.test, answers="optional", limit=params.prepare.limit)
    held_out = HeldOut(Questions(dev=dev, votes=votes, test=test))
    print(f"{len(held_out):,} held-out questions, which must not be among those to train on", flush=True)
    near = NearDuplicates(held_out, ngram=p.ngram, threshold=p.near_duplicates) if p.drop.near_duplicate else None
    rules = Rules({cause for cause, on in p.drop if on}, p.max_chars, near)

    Path("reports").mkdir(parents=True, exist_ok=True)
    reasoned = {name: Path(f"data/reasoned/{name}.pkl") for name in FILES}
    filtered = {name: Path(f"data/filtered/{name}.pkl") for name in FILES}
    with written_together("filter", filtered.values()) as folder:
        files = Filtering(reasoned, folder)
        files.run(rules)
        shuffling = files.shuffle(p.shuffled, params.seed)
        rewriting = read_json("reports/translate.json")
        measured, asked = Passed(), Passed()
        for passed, entries in ((measured, dev), (asked, test)):
            for entry in entries:
                passed.add(entry)
        text = page(Data(
            files.reasoned, files.kept, files.accounts, files.synthetic, measured, asked, rewriting, shuffling,
            files.copies(),
        ))  # fmt: skip
    write_json("reports/filter.json", {name: account.as_dict() for name, account in files.accounts.items()})
    write_text("reports/data.md", text)
    for name, account in files.accounts.items():
        causes = ", ".join(f"{count:,} {cause}" for cause, count in sorted(account.dropped.items()))
        kept_of = f"{account.kept:,} of {account.questions:,} questions kept"
        programs = f"; {account.programs:,} of these keep their program" if account.programs else ""
        print(f"{FILES[name]}: {kept_of}" + (f"; dropped: {causes}{programs}" if causes else ""))
    print("data/filtered; reports/data.md says what was dropped and why")


if __name__ == "__main__":
    run(main)
