"""What each step of the pipeline gained on the dev questions, from the samples alone.

Reads what the stages `infer` and `baseline` wrote, one sample a line::

    {"split": "dev", "question": "train_0012_roads#2", "slot": 1, "round": 0, "seed": 7, "text": "…答案是：B",
     "answer": "B", "score": 0.83, "accepted": true, "tokens": 61, "finish": "stop"}

No model is loaded. Everything is computed in arrays: Q questions, (Q, n) samples, letters as codes (0 for A),
-1 where a sample has no answer or was not drawn.
"""

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from augen import metrics
from augen.entries import LETTERS, Entry, letter_of, question_id
from augen.errors import AugenError
from augen.metrics import Bools, Estimate, Floats, Ints
from augen.voting import Method

FAMILY = re.compile(r"[a-z]+_\d+_(.+)")
EXAMPLES = 3  # named in an error, for each kind of fault
CODES: dict[str | None, int] = {None: -1} | {letter: code for code, letter in enumerate(LETTERS)}
ROW = np.dtype(
    [
        ("question", np.int64),  # index into Samples.ids
        ("slot", np.int64),
        ("round", np.int64),
        ("answer", np.int64),  # letter code, -1: nothing parsed
        ("score", np.float64),  # NaN: no scorer
        ("accepted", np.bool_),
        ("tokens", np.int64),
    ]
)


@dataclass(frozen=True)
class Source:
    """A file of samples, the stage that wrote it, and the knobs with which it must agree."""

    path: Path
    stage: str
    voters: int
    max_resample: int
    threshold: float
    adaptive: bool

    def fault(self, lines: Sequence[str]) -> AugenError:
        """One error for all `lines`, each of which says what is wrong with the file."""
        rebuild = f"rebuild it: dvc repro {self.stage} (with --force if that finds nothing to do)"
        return AugenError("\n".join([*(f"{self.path}: {line}" for line in lines), rebuild]))


@dataclass(frozen=True)
class Settings:
    """How the samples are turned into answers, and `setup`: what the model was given besides the question."""

    voters: int
    max_resample: int
    method: Method
    fallback: str
    setup: str


@dataclass(frozen=True)
class Questions:
    """Q questions with known answers: ids, right letter codes, option counts and the problem of each."""

    ids: list[str]
    truth: Ints
    options: Ints
    problems: list[str]


@dataclass(frozen=True)
class Samples:
    """The samples of a split: the ids of its questions and `rows`, an array of `ROW`."""

    ids: list[str]
    rows: Ints

    def where(self, chosen: Bools) -> "Samples":
        """The samples for which `chosen` (N,) is true, of the same questions."""
        return Samples(self.ids, self.rows[chosen])

    @property
    def first(self) -> "Samples":
        """Round 0: what was drawn before any answer was known."""
        return self.where(self.rows["round"] == 0)

    @property
    def common(self) -> "Samples":
        """Round 0 of the slots that every question has: all of round 0, unless `adaptive` ended some early.

        Whether a later slot was drawn then depends on the answers before it, and averages over it are biased.
        """
        slots = int(np.bincount(self.first.rows["question"]).min())
        return self.where((self.rows["round"] == 0) & (self.rows["slot"] <= slots))

    @property
    def per_question(self) -> float:
        return len(self.rows) / len(self.ids)

    @property
    def tokens_per_question(self) -> float:
        return float(self.rows["tokens"].sum()) / len(self.ids)

    @property
    def no_answer_rate(self) -> float:
        """The share of samples in which no answer was found."""
        return float(np.mean(self.rows["answer"] < 0))


@dataclass(frozen=True)
class Grid:
    """The samples of Q questions side by side, (Q, n): letter codes, vote weights, whether accepted."""

    answers: Ints
    weights: Ints
    accepted: Bools

    def vote(self, method: Method) -> Ints:
        """(Q,) the winner among all parsed samples, accepted or not; -1 where nothing was parsed."""
        return metrics.winners(self.answers, self.weights, method)

    def vote_accepted(self, method: Method) -> Ints:
        """(Q,) the winner among the accepted samples, or among all where none was accepted."""
        kept = metrics.accepted_or_all(self.answers, self.accepted)
        return metrics.winners(kept, self.weights, method)


@dataclass(frozen=True)
class Step:
    """One row of the table: (Q,) how right each question is, and what it cost in samples."""

    key: str
    name: str
    right: Floats
    samples: float


def verdict_of(difference: Estimate) -> str:
    """`gained`, `not shown` (less than one standard error) or `lost`."""
    value, se = difference
    if value < 0:
        return "lost"
    return "gained" if value > 0 and value >= se else "not shown"


@dataclass(frozen=True)
class Gain:
    """A step with its accuracy and, but for the baselines that begin the table, what it gained."""

    key: str
    name: str
    accuracy: Estimate
    difference: Estimate | None
    samples: float

    @property
    def verdict(self) -> str:
        """As `verdict_of` its difference; empty without one."""
        return "" if self.difference is None else verdict_of(self.difference)


@dataclass(frozen=True)
class Report:
    """Everything that the stage writes: the numbers, the table, the rows of each plot by file name."""

    metrics: dict[str, Any]
    gains: list[Gain]
    plots: dict[str, list[dict[str, Any]]]
    test_fallbacks: list[str]


def questions_of(entries: Sequence[Entry]) -> Questions:
    """The questions of `entries` in order. Raises AugenError where there is none or one without answer."""
    ids, truth, options, problems = [], [], [], []
    for entry in entries:
        for i, question in enumerate(entry.questions):
            name = question_id(entry, i)
            if question.answer is None:
                raise AugenError(f"question {name} has no answer: dev questions need one to be measured")
            ids.append(name)
            truth.append(CODES[question.answer])
            options.append(len(question.options))
            problems.append(entry.id)
    if not ids:
        raise AugenError("there are no dev questions to measure on: raise prepare.dev_fraction")
    return Questions(ids, np.array(truth), np.array(options), problems)


def family_of(problem_id: str) -> str | None:
    """The puzzle family that a generated problem's id names; None for ids of other data.

    >>> family_of("dev_0012_roads"), family_of("round1_train_data_000")
    ('roads', None)
    """
    match = FAMILY.fullmatch(problem_id)
    return match[1] if match else None


def read_samples(source: Source, splits: Sequence[str]) -> dict[str, Samples]:
    """The samples of each of `splits`, checked against the knobs of `source`.

    Raises AugenError for a line that is no sample, a split without samples, and every kind of disagreement
    with the knobs, each with a few examples.
    """
    rows: dict[str, list[tuple[Any, ...]]] = {split: [] for split in splits}
    ids: dict[str, dict[str, int]] = {split: {} for split in splits}
    try:
        with source.path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    row = json.loads(line)
                    rows[row["split"]].append(_row(row, ids[row["split"]]))
                except (ValueError, KeyError, TypeError) as fault:
                    raise source.fault([f"line {number}: {_cause(fault)}"]) from None
    except FileNotFoundError:
        raise source.fault(["not found"]) from None
    except UnicodeDecodeError as error:
        raise source.fault([f"not UTF-8: {error}"]) from None
    if empty := [split for split in splits if not rows[split]]:
        raise source.fault([f"no samples of split {split}" for split in empty])
    samples = {split: Samples(list(ids[split]), np.array(rows[split], dtype=ROW)) for split in splits}
    if faults := [line for split in splits for line in _disagreements(samples[split], source)]:
        raise source.fault(faults)
    return samples


def _row(row: dict[str, Any], ids: dict[str, int]) -> tuple[Any, ...]:
    """A line as a `ROW`; a question seen for the first time gets the next number of `ids`."""
    score = row["score"]
    if score is None:
        score = float("nan")
    elif not 0 <= score <= 1:
        raise ValueError(f"score {score} is not within 0…1")
    question = ids.setdefault(row["question"], len(ids))
    place = question, int(row["slot"]), int(row["round"])
    return (*place, CODES[row["answer"]], score, row["accepted"] is True, int(row["tokens"]))


def _cause(fault: Exception) -> str:
    match fault:
        case json.JSONDecodeError():
            return f"no JSON: {fault.msg} (character {fault.pos + 1})"
        case KeyError():
            return f"missing or unknown: {fault}"
        case _:
            return str(fault)


def _disagreements(samples: Samples, source: Source) -> list[str]:
    rows = samples.rows
    slot, round_, score = rows["slot"], rows["round"], rows["score"]
    accepted = (rows["answer"] >= 0) & (np.isnan(score) | (score >= source.threshold))
    _, draw, times = np.unique(rows[["question", "slot", "round"]], return_index=True, return_counts=True)
    repeated = np.zeros(len(rows), np.bool_)
    repeated[draw[times > 1]] = True
    misplaced = (slot < 1) | (slot > source.voters)
    late = (round_ < 0) | (round_ > source.max_resample)
    checks = {
        f"slots outside 1…{source.voters} (voters)": misplaced,
        f"rounds outside 0…{source.max_resample} (max_resample)": late,
        f"accepted contradicts threshold {source.threshold}": rows["accepted"] != accepted,
        "drawn more than once": repeated,
    }
    faults = [_listed(what, _names(samples, bad)) for what, bad in checks.items() if bad.any()]
    counts = np.bincount(samples.first.rows["question"], minlength=len(samples.ids))
    expected = 1 if source.adaptive else source.voters
    if (short := np.flatnonzero(counts < expected)).size:
        names = [f"{samples.ids[question]} ({counts[question]})" for question in short]
        faults.append(_listed(f"fewer than {expected} samples in round 0", names))
    return faults


def matched(samples: Samples, questions: Questions, source: Source) -> Samples:
    """The dev `samples` with `question` counted as in `questions`.

    Raises AugenError if `source` was made for other questions.
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
        raise source.fault(faults)

    rows = samples.rows.copy()
    rows["question"] = np.array([index[question] for question in samples.ids])[rows["question"]]
    placed = Samples(questions.ids, rows)
    beyond = rows["answer"] >= questions.options[rows["question"]]
    if beyond.any():
        raise source.fault([_listed("an answer beyond the question's options", _names(placed, beyond))])
    return placed


def _names(samples: Samples, chosen: Bools) -> list[str]:
    return [
        f"{samples.ids[row['question']]} (slot {row['slot']}, round {row['round']})" for row in samples.rows[chosen]
    ]


def _listed(what: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - EXAMPLES} more" if len(names) > EXAMPLES else ""
    return f"{what}: {', '.join(names[:EXAMPLES])}{more}"


def grid_of(samples: Samples, column: Ints) -> Grid:
    """`samples` laid out as (Q, n), each in its `column` (N,); places without a sample have no answer."""
    shape = (len(samples.ids), int(column.max()) + 1)
    answers, scores, accepted = np.full(shape, -1), np.full(shape, np.nan), np.zeros(shape, np.bool_)
    place = (samples.rows["question"], column)
    answers[place] = samples.rows["answer"]
    scores[place] = samples.rows["score"]
    accepted[place] = samples.rows["accepted"]
    return Grid(answers, metrics.weights_of(scores), accepted)


def single_accuracy(samples: Samples, truth: Ints) -> Floats:
    """(Q,) the share of right `common` samples: what one sample of the question is expected to bring."""
    rows = samples.common.rows
    right = np.bincount(rows["question"], weights=rows["answer"] == truth[rows["question"]])
    return right / np.bincount(rows["question"])


def gains_of(steps: Sequence[Step], clusters: Ints, baselines: int) -> list[Gain]:
    """Each step beside the one before it; the first `baselines` steps are not compared."""
    return [
        Gain(
            step.key,
            step.name,
            metrics.cluster_mean(step.right, clusters),
            metrics.paired_difference(step.right, steps[i - 1].right, clusters) if i >= baselines else None,
            step.samples,
        )
        for i, step in enumerate(steps)
    ]


def evaluate(questions: Questions, samples: Samples, plain: Samples, test: Samples, settings: Settings) -> Report:
    """All numbers, tables and curves from the dev `samples`, the `plain` model's and those of the test split.

    `samples` and `plain` must have been `matched` with `questions`.
    """
    truth = questions.truth
    clusters = np.unique(questions.problems, return_inverse=True)[1]
    steps = _steps(questions, samples, plain, settings)
    right = {step.key: step.right for step in steps}
    gains = gains_of(steps, clusters, baselines=3)
    curve = accuracy_curve(samples, truth, settings.method)
    quality = _quality(samples, truth)
    fallbacks, test_fallbacks = _unanswered(samples), _unanswered(test)

    final = metrics.cluster_mean(right["fallback"], clusters)
    before = metrics.cluster_mean(right["plain"], clusters)
    gain = metrics.paired_difference(right["fallback"], right["plain"], clusters)
    acceptance = metrics.acceptance_by_round(samples.rows["round"], samples.rows["accepted"])
    numbers: dict[str, Any] = {
        "accuracy": final.value,
        "accuracy_se": final.se,
        "plain_accuracy": before.value,
        "plain_accuracy_se": before.se,
        "gain": gain.value,
        "gain_se": gain.se,
        "no_answer_rate": samples.common.no_answer_rate,
        "plain_no_answer_rate": plain.no_answer_rate,
        "fallbacks": len(fallbacks),
        "samples_per_question": samples.per_question,
        "tokens_per_question": samples.tokens_per_question,
        "questions": len(questions.ids),
        "problems": int(clusters.max()) + 1,
        "steps": {gain.key: _step_numbers(gain) for gain in gains},
        "at_k": curve[-1],
        "acceptance": {f"round_{number}": share for number, share in enumerate(acceptance)},
        "test": {
            "questions": len(test.ids),
            "fallbacks": len(test_fallbacks),
            "no_answer_rate": test.common.no_answer_rate,
            "samples_per_question": test.per_question,
            "tokens_per_question": test.tokens_per_question,
        },
    }
    plots: dict[str, list[dict[str, Any]]] = {
        "accuracy_over_k": curve,
        "roc": [],
        "calibration": [],
    }
    if quality:
        numbers["scorer"] = {
            "auc": quality.auc,
            "average_precision": quality.average_precision,
            "calibration_error": quality.calibration_error,
        }
        plots["roc"] = [{"false_positive_rate": x, "true_positive_rate": y} for x, y in quality.roc]
        plots["calibration"] = [b._asdict() for b in quality.calibration]
    families = [family_of(problem) for problem in questions.problems]
    if None not in families:
        numbers["families"] = metrics.group_means(right["fallback"], [str(family) for family in families])
    return Report(numbers, gains, plots, test_fallbacks)


def _quality(samples: Samples, truth: Ints) -> metrics.ScorerQuality | None:
    """The scorer on the parsed `common` samples: later rounds hold only what follows a rejection."""
    rows = samples.common.rows
    rows = rows[(rows["answer"] >= 0) & ~np.isnan(rows["score"])]
    return metrics.scorer_quality(rows["score"], rows["answer"] == truth[rows["question"]])


def _unanswered(samples: Samples) -> list[str]:
    """The questions for which no sample has an answer, so that the fallback letter is handed in."""
    parsed = set(samples.rows["question"][samples.rows["answer"] >= 0].tolist())
    return [question for i, question in enumerate(samples.ids) if i not in parsed]


def _step_numbers(gain: Gain) -> dict[str, float]:
    numbers = {"accuracy": gain.accuracy.value, "accuracy_se": gain.accuracy.se}
    if gain.difference:
        numbers |= {"gain": gain.difference.value, "gain_se": gain.difference.se}
    return numbers


def _steps(questions: Questions, samples: Samples, plain: Samples, settings: Settings) -> list[Step]:
    """The rows of the table, from guessing to what is handed in; each adds one thing to the one before it."""
    truth, rows = questions.truth, samples.rows
    first = grid_of(samples.first, samples.first.rows["slot"] - 1)
    every = grid_of(samples, rows["round"] * settings.voters + rows["slot"] - 1)
    voted = every.vote_accepted(settings.method)
    handed_in = np.where(voted < 0, CODES[settings.fallback], voted)
    best = int(np.argmax(metrics.constant_accuracies(truth)))
    n = samples.first.per_question

    def right(answers: Ints | int) -> Floats:
        return np.asarray(answers == truth, dtype=np.float64)

    return [
        Step("random", "random option", 1 / questions.options, 0),
        Step("always_a", "always A", right(0), 0),
        Step("best_constant", f"always {letter_of(best)} (the best constant)", right(best), 0),
        Step("plain", "plain model, one sample", single_accuracy(plain, truth), 1),
        Step("single", f"+ {settings.setup}, one sample", single_accuracy(samples, truth), 1),
        Step("voting", f"+ majority of {settings.voters}", right(first.vote("majority")), n),
        Step(
            "scorer",
            f"+ scorer, {settings.method} of accepted",
            right(first.vote_accepted(settings.method)),
            n,
        ),
        Step("redraw", f"+ redraw, up to {settings.max_resample} times", right(voted), samples.per_question),
        Step("fallback", f"+ {settings.fallback} where none parsed", right(handed_in), samples.per_question),
    ]


def accuracy_curve(samples: Samples, truth: Ints, method: Method) -> list[dict[str, Any]]:
    """Accuracy over k, for every k up to the number of `common` samples of a question: one row per k.

    `pass` (one of k is right), the three votes over all parsed samples, and `configured`: the vote of
    params.yaml among the accepted ones.
    """
    grid = grid_of(samples.common, samples.common.rows["slot"] - 1)
    methods: tuple[Method, ...] = ("majority", "weighted", "best")
    curve = []
    for k in range(1, grid.answers.shape[1] + 1):
        row: dict[str, Any] = {"k": k, "pass": metrics.pass_at_k(grid.answers, truth, k)}
        for name in methods:
            row[name] = metrics.vote_at_k(grid.answers, grid.weights, truth, name, k)
        row["configured"] = metrics.vote_at_k(grid.answers, grid.weights, truth, method, k, grid.accepted)
        curve.append(row)
    return curve


def rounded(value: Any) -> Any:
    """`value` for a file: numbers with 6 digits, NaN as None, mappings and lists likewise.

    >>> rounded({"a": 1 / 3, "b": [float("nan"), 2]})
    {'a': 0.333333, 'b': [None, 2]}
    """
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return None if isnan(value) else round(value, 6)
    return value


def csv_text(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    """`rows` as CSV with a header.

    >>> csv_text(["k", "accuracy"], [{"k": 1, "accuracy": 0.25}])
    'k,accuracy\\n1,0.25\\n'
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rounded(row) for row in rows)
    return text.getvalue()


def _with_error(estimate: Estimate, sign: str = "") -> str:
    error = "?" if isnan(estimate.se) else f"{estimate.se:.3f}"
    return f"{estimate.value:{sign}.3f} ± {error}"


def gains_table(gains: Sequence[Gain], layout: str) -> str:
    """The table of steps in one of tabulate's layouts (``simple`` for a terminal, ``github`` for a page)."""
    rows = [
        (
            gain.name,
            _with_error(gain.accuracy),
            _with_error(gain.difference, "+") if gain.difference else "",
            gain.verdict,
            f"{gain.samples:.2f}",
        )
        for gain in gains
    ]
    headers = ("step", "accuracy", "difference to the row above", "", "samples per question")
    align = ("left", "left", "left", "left", "right")
    return tabulate(rows, headers, tablefmt=layout, colalign=align, disable_numparse=True)


def gains_page(report: Report) -> str:
    """`reports/gains.md`: the table, how to read it, and the test questions that got the fallback letter."""
    numbers = report.metrics
    test = numbers["test"]
    page = f"""# What each step gained

{numbers["questions"]} dev questions of {numbers["problems"]} problems.

{gains_table(report.gains, "github")}

± is one standard error, clustered by problem; that of a difference is paired by question. *not shown*: the
gain is smaller than its standard error; *lost*: the step made it worse here. One sample stands for the mean
over all samples of round 0 (with infer.adaptive: of the slots that every question has). The best constant was
chosen on these same questions.

All together: {_with_error(Estimate(numbers["gain"], numbers["gain_se"]), "+")} over the plain model.

## Test split

{test["fallbacks"]} of {test["questions"]} questions have no parsed sample and get the fallback letter.
"""
    return "\n".join([page, *(f"- {question}" for question in report.test_fallbacks)]).rstrip() + "\n"
