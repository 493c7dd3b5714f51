"""A made-up run of the pipeline, of any size: the files that `evaluate` reads, made without a model, and its report.

    python -m tests.runs FOLDER --questions 1500 --voters 7

Puzzles and right reasonings are the solver's. A wrong sample is a right one that concludes with another letter;
how often that happens depends on the family, and the scores are somewhat higher for right samples.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from augen.core.files import write_json, write_text
from augen.core.params import load
from augen.entries import Entry, QuestionItem, letter_of, question_id
from augen.entries.jsonl import write_jsonl
from augen.puzzles import FAMILIES
from augen.puzzles.dataset import puzzle_entries
from augen.voting.samples import Sample
from augen.voting.settings import VotingSettings
from augen.voting.weights import Weight
from tests.dependencies import ROOT
from tests.oracles import next_places
from tests.params import write_params

POOL = 90  # different problems; larger runs repeat them under other ids
UNPARSED, CLIPPED = 0.04, 0.02
CAUSES = ("leaks_hint", "near_duplicate", "no_answer", "no_reasoning", "other_answer", "repeated", "too_long")


@cache
def problems() -> tuple[Entry, ...]:
    return tuple(puzzle_entries(POOL, "made-up run", "pool"))


def dev_entries(questions: int) -> list[Entry]:
    """Problems with `questions` questions in all, ids as `prepare` has them."""
    entries: list[Entry] = []
    left = questions
    while left:
        entry = problems()[len(entries) % POOL]
        entry = replace(
            entry, id=f"train_{len(entries):04d}_{entry.id.rsplit('_', 1)[1]}", questions=entry.questions[:left]
        )
        entries.append(entry)
        left -= len(entry.questions)
    return entries


def drawn(item: QuestionItem, skill: float, rng: Random, scored: bool) -> dict[str, Any]:
    """Text, parsed answer, score, tokens and finish of one sample."""
    assert item.answer and item.reasoning
    letter = item.answer
    if rng.random() > skill:
        letter = rng.choice([letter_of(i) for i in range(len(item.options)) if letter_of(i) != item.answer])
    chosen = item.options[ord(letter) - ord("A")]
    steps = item.reasoning.splitlines()[:-2]
    text = "\n".join([*steps, f"所以：{chosen}，选{letter}。", f"答案是：{letter}"])
    answer: str | None = letter
    finish = "stop"
    if rng.random() < UNPARSED:
        text, answer = "\n".join(steps), None
        finish = "length" if rng.random() < CLIPPED / UNPARSED else "stop"
    score = None
    if scored:
        score = round(min(1.0, max(0.0, rng.gauss(0.62 if answer == item.answer else 0.45, 0.2))), 6)
    return {"text": text, "answer": answer, "score": score, "tokens": len(text) // 2, "finish": finish}


def program(item: QuestionItem, skill: float, rng: Random) -> dict[str, Any]:
    """As `drawn`, of a program: what ends in the middle has no answer, what lacks a line may have another."""
    assert item.answer and item.program
    lines = item.program.splitlines()
    row: dict[str, Any] = {
        "text": item.program,
        "answer": item.answer,
        "score": None,
        "finish": "stop",
        "cause": None,
        "detail": "",
    }
    if rng.random() > skill:
        half = "\n".join(lines[: len(lines) // 2 + 1])[:-1]
        place = f"line {half.count(chr(10)) + 1}, column {len(half.rpartition(chr(10))[2]) + 1}"
        row |= rng.choice(
            [
                {"text": half, "cause": "syntax", "detail": f"{place}: syntax error, unexpected <EOF>"},
                {"text": half, "cause": "cut", "finish": "length"},
                {"text": "\n".join(lines[1:]), "cause": "several", "detail": "options A, B by the answers: 1; 2"},
                {"text": "\n".join(lines[1:]), "cause": "no_option", "detail": "no option is the answer: 99"},
                {"text": "\n".join(lines[1:])},
            ]
        )
        others = [letter_of(i) for i in range(len(item.options)) if letter_of(i) != item.answer]
        row["answer"] = None if row["cause"] else rng.choice(others)
    return row | {"tokens": len(str(row["text"])) // 2}


def sample_rows(
    split: str, entries: Sequence[Entry], settings: VotingSettings, scored: bool, lift: float
) -> Iterator[dict[str, Any]]:
    """Lines of samples.jsonl, drawn in rounds as `infer` draws them; with slots of programs in their lines, too."""
    skill_of = {family: 0.45 + lift + 0.4 * Random(family).random() for family in FAMILIES}
    for entry in entries:
        for i, item in enumerate(entry.questions):
            name = question_id(entry, i)
            rng, solved = Random(f"{name} {scored}"), Random(f"{name} programs")
            skill = min(0.97, max(0.05, rng.gauss(skill_of[entry.id.rsplit("_", 1)[1]], 0.3)))
            history: list[Sample] = []
            while places := next_places(history, settings):
                for mode, slot, round_ in places:
                    own = rng if mode == "steps" else solved
                    row = drawn(item, skill, rng, scored) if mode == "steps" else program(item, skill, solved)
                    sample = Sample(row["answer"], row["score"], slot, round_, mode=mode)
                    history.append(sample)
                    yield {
                        "split": split,
                        "question": name,
                        "slot": slot,
                        "round": round_,
                        "seed": own.randrange(2**31),
                        "text": row["text"],
                        "answer": row["answer"],
                        "score": row["score"],
                        "accepted": sample.accepted(settings.threshold),
                        "tokens": row["tokens"],
                        "finish": row["finish"],
                        "logprob_rank": None if row["score"] is None else round(100 * row["score"]),
                        "mode": mode,
                        "cause": row.get("cause"),
                        "detail": row.get("detail", ""),
                    }


def example_rows(split: str, entries: Iterable[Entry], k: int) -> Iterator[dict[str, Any]]:
    """Lines of examples.jsonl: `k` solved questions of the same family for every question."""
    pool = [(entry, item) for entry in problems() for item in entry.questions]
    for entry in entries:
        near = [pair for pair in pool if pair[0].id.rsplit("_", 1)[1] == entry.id.rsplit("_", 1)[1]]
        for i in range(len(entry.questions)):
            found = Random(question_id(entry, i)).sample(near, k)
            yield {
                "split": split,
                "question": question_id(entry, i),
                "examples": [
                    {
                        "problem": other.problem,
                        "question": item.question,
                        "options": item.options,
                        "reasoning": item.reasoning,
                        "answer": item.answer,
                    }
                    for other, item in found
                ],
            }


def filter_report(rng: Random) -> dict[str, Any]:
    report = {}
    for file in ("entries", "entries_aug", "entries_false", "entries_aug_false"):
        dropped = {cause: rng.randrange(1, 60) for cause in rng.sample(CAUSES, 4)}
        kept = rng.randrange(300, 600)
        report[file] = {
            "questions": kept + sum(dropped.values()),
            "kept": kept,
            "dropped": dict(sorted(dropped.items())),
            "examples": {},
        }
    return report


def scorer_report() -> dict[str, Any]:
    authors = {"tiny generator": (310, 171, 0.671), "solver": (96, 96, None)}
    return {
        "train": 1630,
        "texts": 406,
        "balanced_loss": 0.652,
        "accuracy": 0.611,
        "auc": 0.678,
        "average_precision": 0.701,
        "calibration_error": 0.051,
        "learned_nothing": False,
        "by_author": {
            name: {"texts": texts, "right": right, "accuracy": 0.6} | ({"auc": auc} if auc else {})
            for name, (texts, right, auc) in authors.items()
        },
    }


def line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(map(line, rows))


def write_run(
    folder: Path,
    questions: int,
    voters: int = 5,
    max_resample: int = 2,
    threshold: float = 0.3,
    baseline: int = 3,
    k: int = 1,
    lift: float = 0.1,
    more: Sequence[Entry] = (),
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Write every file that `evaluate` reads under `folder`; `lift` is how much the adapter and examples add.

    `changes` to the tests' params, by dotted key, come last: ``{"infer.programs": 2}``.

    `more` are further dev problems; their ids end in the name of a family, their questions have reasonings.
    """
    dev, test = [*dev_entries(questions), *more], puzzle_entries(9, "made-up test", "test")
    write_jsonl(folder / "data/dev.jsonl", dev)
    params = {"voters": voters, "max_resample": max_resample, "infer.threshold": threshold} | dict(changes or {})
    write_params(folder / "params.yaml", params)
    weight = Weight(3.0, "learned", 80, 31, 160, 120, 105)
    settings = VotingSettings.of(load("infer", "voters", "max_resample", path=folder / "params.yaml"))
    settings = weight.applied(settings)
    write_text(
        folder / "data/samples.jsonl",
        lines(sample_rows("dev", dev, settings, True, lift)) + lines(sample_rows("test", test, settings, True, lift)),
    )
    write_text(folder / "data/baseline.jsonl", lines(sample_rows("dev", dev, VotingSettings(baseline), False, 0.0)))
    write_json(folder / "data/vote_weights.json", asdict(weight))
    write_text(
        folder / "data/examples.jsonl", lines(example_rows("dev", dev, k)) + lines(example_rows("test", test, k))
    )
    write_json(folder / "reports/filter.json", filter_report(Random(questions)))
    write_json(folder / "reports/scorer.json", scorer_report())


def evaluated(folder: Path) -> Path:
    """The report page of the run in `folder`, written by the stage itself."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "stages.evaluate"], cwd=folder, env=environment, check=True)
    return folder / "reports/report.html"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.runs",
        description="Write a made-up run and its report page: as large as asked for, to look at or to measure.",
    )
    parser.add_argument("folder", type=Path, help="where to write data/ and reports/")
    parser.add_argument("--questions", type=int, default=224, help="dev questions (default: %(default)s)")
    parser.add_argument("--voters", type=int, default=5, help="slots per question (default: %(default)s)")
    parser.add_argument("--lift", type=float, default=0.1, help="what the adapter brings (default: %(default)s)")
    parser.add_argument("--programs", type=int, default=0, help="slots of programs (default: %(default)s)")
    parser.add_argument("--adaptive", action="store_true", help="programs and reasonings until a question is settled")
    asked = parser.parse_args()
    changes = {"infer.programs": asked.programs, "infer.adaptive": asked.adaptive}
    write_run(asked.folder, asked.questions, asked.voters, lift=asked.lift, changes=changes)
    print(evaluated(asked.folder))


if __name__ == "__main__":
    main()
