"""Samples: the record of one, its line in the files that `infer` and `baseline` write, and all of a file as arrays.

One sample a line::

    {"split": "dev", "question": "train_0012_roads#2", "slot": 1, "round": 0, "seed": 7, "text": "…答案是：B",
     "answer": "B", "score": 0.83, "accepted": true, "tokens": 61, "finish": "stop", "logprob_rank": 74,
     "mode": "steps", "cause": null, "detail": "", "thinking": ""}

Where several generators share the slots, ``"generator": 2`` at the end says which of them drew it, counted from 1.

In arrays: Q questions, N samples, letters as codes (0 for A), -1 where a sample has no answer.
"""

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np

from augen.core.arrays import Bools, Ints
from augen.core.errors import AugenError
from augen.entries import LETTERS, Entry, questions
from augen.voting.settings import Mode, VotingSettings
from augen.voting.vote import accepted_at

EXAMPLES = 3  # named in an error, for each kind of fault
CODES: dict[str | None, int] = {None: -1} | {letter: code for code, letter in enumerate(LETTERS)}
FIELDS = (  # of a line
    *("split", "question", "slot", "round", "seed", "text", "answer", "score", "accepted", "tokens", "finish"),
    *("logprob_rank", "mode", "cause", "detail", "thinking"),
)
VOTES = "votes"  # the split of the questions from which the weights of programs and generators are learned
HIGHEST = np.iinfo(np.int32).max  # of the numbers in a line
PROGRAM: dict[str, bool] = {"steps": False, "program": True}
ROW = np.dtype(
    [
        ("question", np.int32),  # index into Samples.ids
        ("slot", np.int32),
        ("round", np.int32),
        ("answer", np.int8),  # letter code, -1: nothing parsed
        ("score", np.float64),  # NaN: no scorer
        ("accepted", np.bool_),
        ("tokens", np.int32),
        ("logprob_rank", np.int8),  # 0…100, -1: not known
        ("program", np.bool_),  # the mode
    ]
)
READ_ROW = np.dtype([*ROW.descr, ("at", np.int64)])  # of a file: the byte at which the line begins


@dataclass(frozen=True)
class Sample:
    """One sample of a question.

    `mode` says whether `text` is a reasoning or a program. `answer` is the letter that was parsed, or that the solver
    found; None where there is none. A program without answer abstains: `cause` says why in a word, `detail` in the
    solver's. `score` is the scorer's probability that a reasoning is right (0…1), None where there is no scorer.
    `slot` counts from 1 in each mode, `round` from 0, the first sample of a slot. `logprob_rank` says how sure the
    generator was of its words: the percentile (0…100) of their mean log-probability among the first samples of that
    mode of all questions; None where it is not known. `thinking` is what it thought before `text`; `tokens`
    counts both. `generator` is the number of the generator, 0 where there is only one. Raises ValueError for a score
    that is no probability.
    """

    answer: str | None
    score: float | None = None
    slot: int = 1
    round: int = 0
    logprob_rank: int | None = None
    split: str = ""
    question: str = ""
    seed: int = 0
    text: str = ""
    tokens: int = 0
    finish: Literal["stop", "length"] = "stop"
    mode: Mode = "steps"
    cause: str | None = None
    detail: str = ""
    thinking: str = ""
    generator: int = 0

    def __post_init__(self) -> None:
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"slot {self.slot}, round {self.round}: score {self.score} is not within 0…1")

    def accepted(self, threshold: float) -> bool:
        """Whether the sample has an answer and, where there is a scorer, a score that reaches `threshold`.

        >>> Sample("B", 0.5).accepted(0.5), Sample("B", 0.49).accepted(0.5), Sample(None, 0.9).accepted(0.5)
        (True, False, False)
        >>> Sample("B").accepted(0.5)
        True
        """
        return self.answer is not None and (self.score is None or self.score >= threshold)


def place_of(sample: Sample) -> tuple[int, str, int]:
    """By which the samples of a question are ordered in a file."""
    return sample.round, sample.mode, sample.slot


def sample_lines(samples: Iterable[Sample], threshold: float) -> Iterator[str]:
    """The lines of a file of samples."""
    for sample in samples:
        record = vars(sample) | {"accepted": sample.accepted(threshold)}
        names = (*FIELDS, "generator") if sample.generator else FIELDS
        yield json.dumps({name: record[name] for name in names}, ensure_ascii=False) + "\n"


def sample_of(record: Mapping[str, Any]) -> Sample:
    """The sample of a line that `read_samples` has accepted."""
    return Sample(**{name: value for name, value in record.items() if name != "accepted"})


@dataclass(frozen=True)
class SampleFile:
    """A file of samples, the stage that wrote it, and the settings with which it must agree."""

    path: Path
    stage: str
    settings: VotingSettings

    def fault(self, lines: Sequence[str]) -> AugenError:
        """One error for all `lines`, each of which says what is wrong with the file."""
        rebuild = f"rebuild it: dvc repro {self.stage} (with --force if that finds nothing to do)"
        return AugenError("\n".join([*(f"{self.path}: {line}" for line in lines), rebuild]))


@dataclass(frozen=True)
class DevQuestions:
    """Q questions with known answers: ids, right letter codes, option counts and the problem of each."""

    ids: list[str]
    truth: Ints
    options: Ints
    problems: list[str]

    @cached_property
    def clusters(self) -> Ints:
        """(Q,) the number of each question's problem."""
        return np.unique(self.problems, return_inverse=True)[1]


@dataclass(frozen=True)
class Samples:
    """The samples of a split: the ids of its questions and `rows`, an array of `ROW`."""

    ids: list[str]
    rows: Ints

    @property
    def steps(self) -> "Samples":
        """The samples that reason in words."""
        program = self.rows["program"]
        return Samples(self.ids, self.rows[~program]) if program.any() else self

    @property
    def programs(self) -> "Samples":
        """The samples that are programs."""
        return Samples(self.ids, self.rows[self.rows["program"]])

    @property
    def common(self) -> "Samples":
        """Round 0 of the slots that every question has, as `SampleGrid.common`; of samples of one mode."""
        return Samples(self.ids, self.rows[self._common])

    @property
    def _common(self) -> Bools:
        first = self.rows["round"] == 0
        slots = np.bincount(self.rows["question"][first], minlength=len(self.ids)).min()
        return np.asarray(first & (self.rows["slot"] <= slots))

    @property
    def judged(self) -> "Samples":
        """Those of `common`, so no redraws, that a scorer is measured on: they have an answer and a score."""
        return Samples(self.ids, self.rows[self._common & (self.rows["answer"] >= 0) & ~np.isnan(self.rows["score"])])

    def right(self, truth: Ints) -> Bools:
        """(N,) whether each sample has the answer in `truth` (Q,)."""
        return np.asarray(self.rows["answer"] == truth[self.rows["question"]])

    @property
    def per_question(self) -> float:
        return len(self.rows) / len(self.ids)

    @property
    def tokens_per_question(self) -> float:
        return float(self.rows["tokens"].sum()) / len(self.ids)

    @property
    def no_answer_rate(self) -> float:
        """The share of samples in which no answer was found; NaN without samples."""
        return float(np.mean(self.rows["answer"] < 0)) if len(self.rows) else float("nan")


def dev_questions(entries: Iterable[Entry]) -> DevQuestions:
    """The questions of `entries` in order. Raises AugenError where there is none or one without answer."""
    ids: list[str] = []
    problems: list[str] = []
    truth, options = array("b"), array("b")
    for question in chain.from_iterable(questions([entry]) for entry in entries):
        if question.item.answer is None:
            raise AugenError(f"question {question.id} has no answer: dev questions need one to be measured")
        ids.append(question.id)
        problems.append(question.problem_id)
        truth.append(CODES[question.item.answer])
        options.append(len(question.item.options))
    if not ids:
        raise AugenError("there are no dev questions to measure on: raise prepare.dev_fraction")
    return DevQuestions(ids, np.array(truth, dtype=np.int64), np.array(options, dtype=np.int64), problems)


def read_samples(file: SampleFile, splits: Sequence[str]) -> dict[str, Samples]:
    """The samples of each of `splits`, checked against the settings of `file`. Those of `VOTES` need not be among them.

    Raises AugenError for a line that is no sample, a split without samples, and every kind of disagreement
    with the settings, each with a few examples.
    """
    ids: dict[str, dict[str, int]] = {split: {} for split in splits}
    drawn = array("b")  # the place of each row's split among `splits`
    rows = np.fromiter(_rows(file, ids, drawn), READ_ROW)
    if empty := [split for split in splits if not ids[split]]:
        raise file.fault([f"no samples of split {split}" for split in empty])
    of_split = np.array(drawn, np.int8)
    samples = {split: Samples(list(ids[split]), rows[of_split == place]) for place, split in enumerate(splits)}
    if faults := [line for split in splits for line in _disagreements(samples[split], file)]:
        raise file.fault(faults)
    return samples


def _rows(file: SampleFile, ids: dict[str, dict[str, int]], drawn: "array[int]") -> Iterator[tuple[Any, ...]]:
    """Every line as a `READ_ROW`, one at a time: a file has a great many; `ids` and `drawn` grow with them."""
    splits = {split: place for place, split in enumerate(ids)}
    others = {VOTES} - set(ids)
    end = 0
    try:
        with file.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                at, end = end, end + len(line)
                try:
                    row = json.loads(line.decode())
                    if row["split"] in others:
                        continue
                    drawn.append(splits[row["split"]])
                    values = _row(row, ids[row["split"]])
                    _check_generator(row, file.settings)
                    yield (*values, at)
                except (ValueError, KeyError, TypeError) as fault:
                    raise file.fault([f"line {number}: {_cause(fault)}"]) from None
    except FileNotFoundError:
        raise file.fault(["not found"]) from None


def _row(row: dict[str, Any], ids: dict[str, int]) -> tuple[Any, ...]:
    """A line as a `ROW`; a question seen for the first time gets the next number of `ids`."""
    score = row["score"]
    if score is None:
        score = float("nan")
    elif not 0 <= score <= 1:
        raise ValueError(f"score {score} is not within 0…1")
    question = ids.setdefault(row["question"], len(ids))
    place = question, int(row["slot"]), int(row["round"])
    rank = row.get("logprob_rank")
    if rank is None:
        rank = -1
    elif rank not in range(101):
        raise ValueError(f"logprob_rank {rank} is no whole number from 0 to 100")
    program, tokens = PROGRAM[row.get("mode", "steps")], int(row["tokens"])
    if (highest := max(map(abs, (*place, tokens)))) > HIGHEST:
        raise ValueError(f"{highest} is too large a number")
    return (*place, CODES[row["answer"]], score, row["accepted"] is True, tokens, int(rank), program)


def _check_generator(row: dict[str, Any], settings: VotingSettings) -> None:
    found, expected = row.get("generator", 0), settings.generator(row["slot"])
    if found != expected:
        raise ValueError(f"slot {row['slot']} is of generator {found}, by infer.others of {expected} (0: there is one)")


def _cause(fault: Exception) -> str:
    match fault:
        case UnicodeDecodeError():
            return f"not UTF-8: {fault}"
        case json.JSONDecodeError():
            return f"no JSON: {fault.msg} (character {fault.pos + 1})"
        case KeyError():
            return f"missing or unknown: {fault}"
        case _:
            return str(fault)


def _disagreements(samples: Samples, file: SampleFile) -> list[str]:
    rows = samples.rows
    slot, round_, program = rows["slot"], rows["round"], rows["program"]
    settings = file.settings
    slots = {"voters": settings.voters} | ({"programs": settings.programs} if settings.programs else {})
    accepted = accepted_at(rows["answer"], rows["score"], settings.threshold)
    repeated = _repeated(*(rows[name] for name in ("round", "slot", "program", "question")))
    misplaced = (slot < 1) | (slot > np.where(program, settings.programs, settings.voters))
    late = (round_ < 0) | (round_ > settings.max_resample)
    checks = {
        f"slots outside {' and '.join(f'1…{last} ({name})' for name, last in slots.items())}": misplaced,
        f"rounds outside 0…{settings.max_resample} (max_resample)": late,
        f"accepted contradicts threshold {settings.threshold}": rows["accepted"] != accepted,
        "drawn more than once": repeated,
    }
    faults = [_listed(what, _names(samples, bad)) for what, bad in checks.items() if bad.any()]
    counts = np.bincount(rows["question"][round_ == 0], minlength=len(samples.ids))
    expected = 1 if settings.adaptive else sum(slots.values())
    if (short := np.flatnonzero(counts < expected)).size:
        names = [f"{samples.ids[question]} ({counts[question]})" for question in short]
        faults.append(_listed(f"fewer than {expected} samples in round 0", names))
    return faults


def _repeated(*places: Ints) -> Bools:
    """(N,) which samples are the first of several in the same place.

    >>> _repeated(np.array([1, 2, 1, 1]), np.array([3, 3, 3, 4]))
    array([ True, False, False, False])
    """
    order = np.lexsort(places)
    as_before = np.ones(len(order), np.bool_)
    for place in places:
        as_before[1:] &= place[order[1:]] == place[order[:-1]]
    as_before[:1] = False
    repeated = np.zeros(len(order), np.bool_)
    repeated[order[:-1][as_before[1:] & ~as_before[:-1]]] = True
    return repeated


def records_of(rows: Ints, file: SampleFile) -> Iterator[dict[str, Any]]:
    """The lines of `rows`, which `read_samples` has read from `file`, with all that they hold."""
    with file.path.open("rb") as lines:
        for at in rows["at"].tolist():
            lines.seek(at)
            yield json.loads(lines.readline().decode())


def reasonings(drawn: Mapping[str, Samples], file: SampleFile) -> dict[str, Samples]:
    """Of each split the samples that reason in words.

    Raises AugenError where a question has none: adaptive stopping had it settled by its programs.
    """
    faults = []
    for split, samples in drawn.items():
        questions = set(samples.steps.rows["question"].tolist())
        if settled := [name for number, name in enumerate(samples.ids) if number not in questions]:
            names = _listed(f"questions of {split} that programs alone settled", settled)
            faults.append(f"{names}; reasonings cannot be measured on them: set infer.adaptive to false")
    if faults:
        raise file.fault(faults)
    return {split: samples.steps for split, samples in drawn.items()}


def matched(samples: Samples, questions: DevQuestions, file: SampleFile) -> Samples:
    """The dev `samples` with `question` counted as in `questions`.

    Raises AugenError if `file` was made for other questions.
    """
    index = {question: i for i, question in enumerate(questions.ids)}
    drawn = set(samples.ids)
    strangers = [question for question in samples.ids if question not in index]
    missing = [question for question in questions.ids if question not in drawn]
    faults = []
    if strangers:
        faults.append(_listed("samples of questions that are not in data/dev.jsonl", strangers))
    if missing:
        faults.append(_listed("no samples for questions of data/dev.jsonl", missing))
    if faults:
        raise file.fault(faults)

    rows = samples.rows.copy()
    rows["question"] = np.array([index[question] for question in samples.ids])[rows["question"]]
    placed = Samples(questions.ids, rows)
    beyond = rows["answer"] >= questions.options[rows["question"]]
    if beyond.any():
        raise file.fault([_listed("an answer beyond the question's options", _names(placed, beyond))])
    return placed


def _names(samples: Samples, chosen: Bools) -> list[str]:
    names = []
    for row in samples.rows[chosen]:
        slot = f"{'program ' if row['program'] else ''}slot {row['slot']}"
        names.append(f"{samples.ids[row['question']]} ({slot}, round {row['round']})")
    return names


def _listed(what: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else ""
    return f"{what}: {', '.join(names[:EXAMPLES])}{more}"
