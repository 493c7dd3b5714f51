"""Every dev question as the report page shows it: puzzle, examples, samples, vote. Pure but for two readers.

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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from augen.answers import answer_place
from augen.entries import Entry, QuestionItem, letter_of, question_id
from augen.evaluation import family_of
from augen.sample_file import Source
from augen.voting import Decision, Method, Sample, decide

Row = Mapping[str, Any]
FLAGS = {  # by which the page filters, in this order
    "wrong": "the answer handed in is not the right one",
    "missed": "wrong, although a sample had the right answer",
    "close": "another letter had as many votes as the winner, one fewer, or more",
    "unaccepted": "no sample was accepted: all with an answer voted",
    "fallback": "no sample had an answer: the fallback letter was handed in",
}


@dataclass(frozen=True)
class Voting:
    """How samples become an answer; the values of params.yaml."""

    method: Method
    threshold: float
    fallback: str


def read_records(
    dev: Sequence[Entry], infer: Source, baseline: Source, examples: Path, method: Method, fallback: str
) -> dict[str, Any]:
    """`question_records` of the `dev` problems, from the files of samples and the file of `examples`.

    Both files of samples must have passed `augen.sample_file.read_samples`.
    """
    names = [question_id(entry, i) for entry in dev for i in range(len(entry.questions))]
    return question_records(
        dev,
        rows_by_question(infer.path, "dev"),
        rows_by_question(baseline.path, "dev"),
        read_examples(replace(infer, path=examples), names),
        Voting(method, infer.threshold, fallback),
    )


def rows_by_question(path: Path, split: str) -> dict[str, list[Row]]:
    """The lines of a file of samples that belong to `split`, in its order."""
    rows: dict[str, list[Row]] = {}
    for row in _lines(path):
        if row["split"] == split:
            rows.setdefault(row["question"], []).append(row)
    return rows


def read_examples(source: Source, questions: Sequence[str]) -> dict[str, list[Row]]:
    """The worked examples of each of `questions`, the most similar last, from the stage's ``examples.jsonl``.

    Raises AugenError for a line that is no such record and for questions that the file lacks.
    """
    found: dict[str, list[Row]] = {}
    try:
        for row in _lines(source.path):
            found[row["question"]] = [
                {key: example[key] for key in ("problem", "question", "options", "reasoning", "answer")}
                for example in row["examples"]
            ]
    except FileNotFoundError:
        raise source.fault(["not found"]) from None
    except (ValueError, KeyError, TypeError) as fault:
        raise source.fault([f"after line {len(found)}: no line of examples ({fault})"]) from None
    if missing := [question for question in questions if question not in found]:
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
) -> dict[str, Any]:
    """All questions of `entries`, each with what was drawn for it (by question id), in the layout above."""
    shared: dict[str, int] = {}
    solved: list[Row] = []
    questions = []
    for number, entry in enumerate(entries):
        for i, item in enumerate(entry.questions):
            name = question_id(entry, i)
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
                    "problem": number,
                    "family": family_of(entry.id),
                    **question_record(item, samples[name], voting),
                    "plain": [row["answer"] for row in plain[name]],
                    "examples": places[::-1],  # the most similar first
                }
            )
    return {"problems": [entry.problem for entry in entries], "examples": solved, "questions": questions}


def question_record(item: QuestionItem, rows: Sequence[Row], voting: Voting) -> dict[str, Any]:
    """One question and its samples, by slot and round."""
    rows = sorted(rows, key=lambda row: (row["slot"], row["round"]))
    decision = decision_of(item, rows, voting)
    votes = votes_of(rows, decision)
    return {
        "question": item.question,
        "options": item.options,
        "truth": item.answer,
        "given": decision.answer,
        "basis": decision.basis,
        "tally": {letter: round(value, 6) for letter, value in decision.tally.items()},
        "votes": votes,
        "flags": flags_of(item, rows, decision, votes),
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


def is_close(votes: Mapping[str, int], winner: str) -> bool:
    """Whether one more vote for another letter would have drawn level with the winner.

    >>> is_close({"A": 3, "B": 2}, "A"), is_close({"A": 3, "B": 1}, "A"), is_close({"A": 1}, "A")
    (True, False, False)
    """
    others = [count for letter, count in votes.items() if letter != winner]
    return bool(others) and votes[winner] - max(others) <= 1


def flags_of(item: QuestionItem, rows: Sequence[Row], decision: Decision, votes: Mapping[str, int]) -> list[str]:
    """Those of `FLAGS` that hold, in their order."""
    wrong = decision.answer != item.answer
    holds = {
        "wrong": wrong,
        "missed": wrong and any(row["answer"] == item.answer for row in rows),
        "close": is_close(votes, decision.answer),
        "unaccepted": decision.basis == "parsed",
        "fallback": decision.basis == "fallback",
    }
    return [flag for flag in FLAGS if holds[flag]]


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
