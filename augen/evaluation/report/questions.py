"""The dev questions that the report page shows, and how: puzzle, examples, samples, vote. Pure but for two readers.

Problems and examples that several questions share are kept once; questions name them by position::

    {"problems": ["甲比乙高。…", …],
     "examples": [{"problem": …, "question": …, "options": […], "reasoning": …, "answer": "B"}, …],
     "questions": [{"id": "dev_0012_roads#1", "problem": 0, "family": "roads", "question": …, "options": […],
                    "truth": "B", "given": "A", "basis": "accepted", "tally": {"A": 1.4, "B": 0.9},
                    "votes": {"A": 2, "B": 2}, "flags": ["wrong", "missed", "close"], "plain": ["B", null, "A"],
                    "examples": [4], "samples": [{"slot": 1, "round": 0, "thinking": "", "text": …, "at": 57, …}],
                    "program_votes": {"B": 1}, "reasoned": "A",
                    "programs": [{"slot": 1, "round": 0, "text": …, "answer": null, "cause": "syntax", …}]}]}
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from augen.answers import answer_place
from augen.core.arrays import Ints
from augen.entries import Entry, family_of, letter_of, questions
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions, Sample, SampleFile, Samples, records_of, sample_of
from augen.voting.settings import VotingSettings
from augen.voting.vote import SCORE_UNITS, handed_in, leaders

Example = Mapping[str, Any]
Flags = Mapping[str, Sequence[str]]  # of each question that is shown, by id


@dataclass(frozen=True)
class Decision:
    """The answer that is handed in for a question, and how it came about.

    `basis` says which reasonings vote: the ``accepted`` ones, all ``parsed`` ones where none is accepted, or none, so
    that the ``programs`` alone decide or, if none of these votes either, the ``fallback`` letter is handed in. `tally`
    is what each letter got, the winner first; `votes` and `program_votes` say how many reasonings and programs voted
    for it, in the order of the letters. `reasoned` is the winner of the reasonings alone, if there is one.
    """

    answer: str
    basis: str
    tally: dict[str, float]
    votes: dict[str, int]
    program_votes: dict[str, int] = field(default_factory=dict)
    reasoned: str | None = None


def decisions(
    grid: SampleGrid, dev: DevQuestions, settings: VotingSettings, shown: Collection[str]
) -> dict[str, Decision]:
    """The decision on each question in `shown`; `grid` has the samples of `dev`, in their order."""
    questions = np.array([number for number, name in enumerate(dev.ids) if name in shown], np.int64)
    part = grid[questions]
    totals, sums = grid.tallies(settings, questions)
    codes = handed_in(leaders(totals, sums), dev.options[questions], settings.fallback)
    voting, accepted = part.votes, np.any(part.steps.flat("accepted"), axis=1).tolist()
    solved, reasoned = part.programs.flat("answers"), leaders(*grid.steps.tallies(settings, questions)).tolist()
    found = {}
    for number, question in enumerate(questions):
        total, total_weight = totals[number], sums[number]
        ranked = sorted(np.flatnonzero(total >= 0).tolist(), key=lambda c: (-total[c], -total_weight[c], c))
        others = "parsed" if reasoned[number] >= 0 else "programs" if ranked else "fallback"
        found[dev.ids[question]] = Decision(
            answer=letter_of(codes[number]),
            basis="accepted" if accepted[number] else others,
            tally={letter_of(code): int(total[code]) / SCORE_UNITS for code in ranked},
            votes=_by_letter(voting[number]),
            program_votes=_by_letter(solved[number]) if settings.program_weight else {},
            reasoned=letter_of(reasoned[number]) if reasoned[number] >= 0 else None,
        )
    return found


def _by_letter(answers: Ints) -> dict[str, int]:
    """How many of `answers` are each letter, in the order of the letters."""
    counts = Counter(answers[answers >= 0].tolist())
    return {letter_of(code): counts[code] for code in sorted(counts)}


def samples_of(samples: Samples, file: SampleFile, shown: Collection[str]) -> dict[str, list[Sample]]:
    """Of `samples` those for the questions in `shown`, with their texts, from their `file`."""
    found: dict[str, list[Sample]] = {}
    numbers = [number for number, name in enumerate(samples.ids) if name in shown]
    for record in records_of(samples.rows[np.isin(samples.rows["question"], numbers)], file):
        found.setdefault(record["question"], []).append(sample_of(record))
    return found


def read_examples(file: SampleFile, asked: Sequence[str], shown: Collection[str]) -> dict[str, list[Example]]:
    """The worked examples of each dev question in `shown`, the most similar last, from the stage's ``examples.jsonl``.

    A question of another split may have the same id. Raises AugenError for a line that is no such record and for
    questions `asked` that the file lacks.
    """
    found: dict[str, list[Example]] = {}
    seen: set[str] = set()
    number = 0
    try:
        with file.path.open("rb") as lines:
            for line in lines:
                number += 1
                row = json.loads(str(line, "utf-8"))
                solved: list[Example] = [
                    {key: example[key] for key in ("problem", "question", "options", "reasoning", "answer")}
                    for example in row["examples"]
                ]
                if row["split"] == "dev":
                    seen.add(row["question"])
                    if row["question"] in shown:
                        found[row["question"]] = solved
    except FileNotFoundError:
        raise file.fault(["not found"]) from None
    except (ValueError, KeyError, TypeError) as fault:
        raise file.fault([f"line {number}: no line of examples ({fault})"]) from None
    if missing := [question for question in asked if question not in seen]:
        raise file.fault([f"no line for {len(missing)} questions of data/dev.jsonl, the first is {missing[0]}"])
    return found


@dataclass(frozen=True)
class Drawn:
    """What is known of the questions that are shown, by id."""

    samples: Mapping[str, Sequence[Sample]]
    plain: Mapping[str, Sequence[Sample]]
    examples: Mapping[str, Sequence[Example]]
    decisions: Mapping[str, Decision]


def question_records(entries: Iterable[Entry], drawn: Drawn, shown: Flags, threshold: float) -> dict[str, Any]:
    """The questions of `entries` in `shown`, each with what was drawn for it, in the layout above."""
    places: dict[str, int] = {}  # of the worked examples, by content
    solved: list[Example] = []
    problems: dict[str, int] = {}  # id → place, in order
    texts: list[str] = []
    records = []
    for question in chain.from_iterable(questions([entry]) for entry in entries):
        if question.id not in shown:
            continue
        own = []
        for example in drawn.examples[question.id]:
            own.append(places.setdefault(json.dumps(example, sort_keys=True), len(solved)))
            if own[-1] == len(solved):
                solved.append(example)
        item, decision = question.item, drawn.decisions[question.id]
        place = problems.setdefault(question.problem_id, len(texts))
        if place == len(texts):
            texts.append(question.problem)
        samples = sorted(drawn.samples[question.id], key=lambda sample: (sample.slot, sample.round))
        reasonings = [sample for sample in samples if sample.mode == "steps"]
        records.append(
            {
                "id": question.id,
                "problem": place,
                "family": family_of(question.problem_id),
                "question": item.question,
                "options": item.options,
                "truth": item.answer,
                "given": decision.answer,
                "basis": decision.basis,
                "tally": {letter: round(value, 6) for letter, value in decision.tally.items()},
                "votes": decision.votes,
                "flags": list(shown[question.id]),
                "samples": [sample_record(sample, len(item.options), threshold) for sample in reasonings],
                "plain": [sample.answer for sample in drawn.plain[question.id]],
                "examples": own[::-1],  # the most similar first
                "program_votes": decision.program_votes,
                "reasoned": decision.reasoned,
                "programs": [program_record(sample) for sample in samples if sample.mode == "program"],
            }
        )
    return {"problems": texts, "examples": solved, "questions": records}


def program_record(sample: Sample) -> dict[str, Any]:
    """A program with its answer or, in a word and in the solver's, why it has none."""
    names = "slot", "round", "answer", "cause", "detail", "tokens", "text", "thinking"
    return {name: getattr(sample, name) for name in names}


def sample_record(sample: Sample, n_options: int, threshold: float) -> dict[str, Any]:
    """A reasoning with `at`: where its answer's letter stands in the text, counted as JavaScript counts (UTF-16)."""
    place = answer_place(sample.text, n_options) if sample.answer is not None else None
    return {
        "slot": sample.slot,
        "round": sample.round,
        "answer": sample.answer,
        "score": sample.score,
        "accepted": sample.accepted(threshold),
        "tokens": sample.tokens,
        "cut": sample.finish == "length",
        "text": sample.text,
        "thinking": sample.thinking,
        "at": None if place is None else len(sample.text[:place].encode("utf-16-le", "surrogatepass")) // 2,
    }
