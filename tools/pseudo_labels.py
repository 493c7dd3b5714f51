"""Make lessons of the test questions whose vote was sure, for a second round of training.

    python -m tools.pseudo_labels data/pseudo_1.pkl
    python -m tools.pseudo_labels data/pseudo_1.pkl --certainty 0.95

It reads what the last run left: data/samples.jsonl, data/vote_weights.json and the test file. A question is taken if
its answer has that share of the votes, weighed as the vote weighs them; its lesson is the reasoning, and the program,
of which the generator was surest. No dev question is taken, nor a test question that is almost one. Then set
`finetune.pseudo` in params.yaml to the file.

The next run is transductive: it has learned from the questions that it answers. Its dev numbers are still those of
questions that it never saw.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from augen.core.errors import AugenError
from augen.core.params import Params, load
from augen.entries.ondisk import EntryFile, Questions
from augen.entries.pickles import dump_pickle
from augen.filtering.causes import question_text
from augen.filtering.files import HeldOut
from augen.filtering.near_duplicates import NearDuplicates
from augen.voting.generators import weighed
from augen.voting.pseudo_labels import pseudo_labelled, sure_answers, surest_texts
from augen.voting.samples import SampleFile, read_samples
from augen.voting.settings import VotingSettings

SAMPLES, WEIGHT = Path("data/samples.jsonl"), Path("data/vote_weights.json")


def main(arguments: Sequence[str] | None = None) -> None:
    out, certainty = _arguments(arguments)
    if out.exists():
        raise AugenError(
            f"{out} exists, and DVC does not look into it: a run with other labels would be taken for one that is "
            "done; give each round's file a name of its own, or remove this one if no run has used it"
        )
    p = load("seed", "voters", "max_resample", "prepare", "filter", "infer", "programs")
    if p.infer.shuffle_options:
        raise AugenError(
            "params.yaml: infer.shuffle_options is true, so the reasonings name letters of other orders than the test "
            "file; set it to false and run `dvc repro infer` first"
        )
    test = EntryFile(p.prepare.test, answers="optional", limit=p.prepare.limit)
    file = SampleFile(SAMPLES, "infer", VotingSettings.of(p))
    drawn = read_samples(file, ("dev", "test"))["test"]
    if strangers := set(drawn.ids) ^ {question.id for question in Questions(test=test)}:
        raise file.fault([f"other questions than {p.prepare.test} has, the first is {min(strangers)}"])
    answers = sure_answers(drawn, weighed(file, WEIGHT), certainty)
    sure, measured = len(answers), _measured(test, p)
    answers = {question: answer for question, answer in answers.items() if question not in measured}
    entries = list(pseudo_labelled(test, surest_texts(drawn, file, answers)))
    if not entries:
        raise AugenError(f"no vote of {test.questions:,} test questions is that sure: lower --certainty {certainty}")
    dump_pickle(out, entries)
    print(f"{sure:,} of {test.questions:,} test questions have a vote of {certainty:.0%} or more", end="")
    print(f"; {sure - len(answers):,} are almost a held-out question and left out" if sure > len(answers) else "")
    print(f"{out}; set finetune.pseudo to it. What learns from it is transductive")


def _measured(test: EntryFile, p: Params) -> set[str]:
    """The test questions that are almost a dev question, or one that weighs programs, as the filter finds them."""
    dev = EntryFile("data/dev.jsonl", answers="required")
    votes = EntryFile("data/votes.jsonl", answers="required", may_be_empty=True)
    held_out = HeldOut(Questions(dev=dev, votes=votes))
    near = NearDuplicates(held_out, ngram=p.filter.ngram, threshold=p.filter.near_duplicates)
    return {q.id for q in Questions(test=test) if near.match(question_text(q.problem, q.item))}


def _arguments(arguments: Sequence[str] | None) -> tuple[Path, float]:
    parser = argparse.ArgumentParser(
        prog="python -m tools.pseudo_labels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, help="the pickle to write; give each round a name of its own")
    parser.add_argument("--certainty", type=float, default=0.9, help="share of the votes, above 0.5 (default: 0.9)")
    given = parser.parse_args(arguments)
    if not 0.5 < given.certainty <= 1:
        parser.error(f"--certainty {given.certainty} is not above 0.5 and at most 1")
    return given.out, given.certainty


if __name__ == "__main__":
    try:
        main()
    except AugenError as error:
        sys.exit(f"pseudo_labels: {error}")
