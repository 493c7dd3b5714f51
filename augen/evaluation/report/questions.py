"""The dev questions that the report page shows, and how: puzzle, examples, samples, vote. Pure but for two readers.

Problems and examples that several questions share are kept once; questions name them by position::

    {"problems": ["甲比乙高。…", …],
     "examples": [{"problem": …, "question": …, "options": […], "reasoning": …, "answer": "B"}, …],
     "questions": [{"id": "dev_0012_roads#1", "problem": 0, "family": "roads", "question": …, "options": […],
                    "truth": "B", "given": "A", "basis": "accepted", "tally": {"A": 1.4, "B": 0.9},
                    "votes": {"A": 2, "B": 2}, "flags": ["wrong", "missed", "close"], "plain": ["B", null, "A"],
                    "examples": [4], "samples": [{"slot": 1, "round": 0, "text": …, "at": 57, …}]}]}
"""

import json
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from augen.answers import answer_place
from augen.entries import Entry, QuestionItem, letter_of, question_id
from augen.evaluation.steps import family_of
from augen.voting.samples import Source
from augen.voting.scalar import Decision, Sample, decide
from augen.voting.vote import Method

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Voting:
    """How samples become an answer; the values of params.yaml."""

    method: Method
    threshold: float
    fallback: str


def read_records(
    dev: Sequence[Entry],
    infer: Source,
    baseline: Source,
    examples: Path,
    voting: Voting,
    shown: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """`question_records` of the `dev` problems, from the files of samples and the file of `examples`.

    Both files of samples must have passed `augen.voting.samples.read_samples`.
    """
    names = [question_id(entry, i) for entry in dev for i in range(len(entry.questions))]
    return question_records(
        dev,
        rows_by_question(infer.path, "dev", shown),
        rows_by_question(baseline.path, "dev", shown),
        read_examples(replace(infer, path=examples), names, shown),
        voting,
        shown,
    )


def rows_by_question(path: Path, split: str, shown: Container[str]) -> dict[str, list[Row]]:
    """The lines of a file of samples that belong to `split` and to a question in `shown`, in its order."""
    rows: dict[str, list[Row]] = {}
    for row in _lines(path):
        if row["split"] == split and row["question"] in shown:
            rows.setdefault(row["question"], []).append(row)
    return rows


def read_examples(source: Source, questions: Sequence[str], shown: Container[str]) -> dict[str, list[Row]]:
    """The worked examples of each question in `shown`, the most similar last, from the stage's ``examples.jsonl``.

    Raises AugenError for a line that is no such record and for `questions` that the file lacks.
    """
    found: dict[str, list[Row]] = {}
    seen: set[str] = set()
    try:
        for row in _lines(source.path):
            solved: list[Row] = [
                {key: example[key] for key in ("problem", "question", "options", "reasoning", "answer")}
                for example in row["examples"]
            ]
            seen.add(row["question"])
            if row["question"] in shown:
                found[row["question"]] = solved
    except FileNotFoundError:
        raise source.fault(["not found"]) from None
    except (ValueError, KeyError, TypeError) as fault:
        raise source.fault([f"after line {len(seen)}: no line of examples ({fault})"]) from None
    if missing := [question for question in questions if question not in seen]:
        raise source.fault([f"no line for {len(missing)} questions of data/dev.jsonl, the first is {missing[0]}"])
    return found


def _lines(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def question_records(
    entries: Sequence[Entry],
    samples: Mapping[str, Sequence[Row]],
    plain: Mapping[str, Sequence[Row]],
    examples: Mapping[str, Sequence[Row]],
    voting: Voting,
    shown: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """The questions of `entries` in `shown` (id → flags), each with what was drawn for it, in the layout above."""
    shared: dict[str, int] = {}
    solved: list[Row] = []
    problems: list[str] = []
    questions = []
    for entry in entries:
        asked = [(question_id(entry, i), item) for i, item in enumerate(entry.questions)]
        asked = [(name, item) for name, item in asked if name in shown]
        if asked:
            problems.append(entry.problem)
        for name, item in asked:
            places = []
            for example in examples[name]:
                key = json.dumps(example, sort_keys=True)
                if key not in shared:
                    shared[key] = len(solved)
                    solved.append(example)
                places.append(shared[key])
            questions.append(
                {
                    "id": name,
                    "problem": len(problems) - 1,
                    "family": family_of(entry.id),
                    **question_record(item, samples[name], voting, shown[name]),
                    "plain": [row["answer"] for row in plain[name]],
                    "examples": places[::-1],  # the most similar first
                }
            )
    return {"problems": problems, "examples": solved, "questions": questions}


def question_record(item: QuestionItem, rows: Sequence[Row], voting: Voting, flags: Sequence[str]) -> dict[str, Any]:
    """One question and its samples, by slot and round."""
    rows = sorted(rows, key=lambda row: (row["slot"], row["round"]))
    decision = decision_of(item, rows, voting)
    return {
        "question": item.question,
        "options": item.options,
        "truth": item.answer,
        "given": decision.answer,
        "basis": decision.basis,
        "tally": {letter: round(value, 6) for letter, value in decision.tally.items()},
        "votes": votes_of(rows, decision),
        "flags": list(flags),
        "samples": [sample_record(row, len(item.options)) for row in rows],
    }


def decision_of(item: QuestionItem, rows: Sequence[Row], voting: Voting) -> Decision:
    """The answer handed in, by the same function and the same fallback as in `infer`."""
    drawn = [Sample(row["answer"], row["score"], row["slot"], row["round"]) for row in rows]
    fallback = min(voting.fallback, letter_of(len(item.options) - 1))
    return decide(drawn, voting.method, fallback, voting.threshold)


def votes_of(rows: Sequence[Row], decision: Decision) -> dict[str, int]:
    """How many samples voted for each letter, in the order of letters."""
    voters = (row for row in rows if row["accepted"] or decision.basis == "parsed")
    counts = Counter(row["answer"] for row in voters if row["answer"] is not None)
    return dict(sorted(counts.items()))


def sample_record(row: Row, n_options: int) -> dict[str, Any]:
    """A sample with `at`: where its answer's letter stands in the text, counted as JavaScript counts (UTF-16)."""
    place = answer_place(row["text"], n_options) if row["answer"] is not None else None
    return {
        "slot": row["slot"],
        "round": row["round"],
        "answer": row["answer"],
        "score": row["score"],
        "accepted": row["accepted"],
        "tokens": row["tokens"],
        "cut": row["finish"] == "length",
        "text": row["text"],
        "at": None if place is None else len(row["text"][:place].encode("utf-16-le", "surrogatepass")) // 2,
    }
