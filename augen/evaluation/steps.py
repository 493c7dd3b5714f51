"""What each step of the pipeline gained on the dev questions, from the samples alone.

Takes what the stages `infer` and `baseline` wrote, as `augen.voting.samples` reads it; no model is loaded. Everything
is computed in arrays: Q questions, (Q, n) samples, letters as codes (0 for A), -1 where a sample has no answer or was
not drawn.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
from tabulate import tabulate

from augen.core.arrays import Bools, Floats, Ints
from augen.entries import letter_of
from augen.metrics.quality import ScorerQuality, scorer_quality
from augen.metrics.stats import (
    Estimate,
    acceptance_by_round,
    cluster_mean,
    constant_accuracies,
    group_means,
    paired_difference,
)
from augen.voting.samples import Questions, Samples
from augen.voting.vote import Method, accepted_or_all, pass_at_k, vote_at_k, weights_of, winners

FAMILY = re.compile(r"[a-z]+_\d+_(.+)")


@dataclass(frozen=True)
class Settings:
    """How the samples are turned into answers, and `setup`: what the model was given besides the question."""

    voters: int
    max_resample: int
    method: Method
    fallback: str
    setup: str


@dataclass(frozen=True)
class Grid:
    """The samples of Q questions side by side, (Q, n): letter codes, vote weights, whether accepted."""

    answers: Ints
    weights: Ints
    accepted: Bools

    def vote(self, method: Method) -> Ints:
        """(Q,) the winner among all parsed samples, accepted or not; -1 where nothing was parsed."""
        return winners(self.answers, self.weights, method)

    def vote_accepted(self, method: Method) -> Ints:
        """(Q,) the winner among the accepted samples, or among all where none was accepted."""
        kept = accepted_or_all(self.answers, self.accepted)
        return winners(kept, self.weights, method)


@dataclass(frozen=True)
class Step:
    """One row of the table: (Q,) how right each question is, and what it cost in samples."""

    key: str
    name: str
    right: Floats
    samples: float


def verdict_of(difference: Estimate) -> str:
    """`gained`, `not shown` (less than one standard error), `no change` (in no problem) or `lost`."""
    value, se = difference
    if value == 0 and not se > 0:
        return "no change"
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


def family_of(problem_id: str) -> str | None:
    """The puzzle family that a generated problem's id names; None for ids of other data.

    >>> family_of("dev_0012_roads"), family_of("round1_train_data_000")
    ('roads', None)
    """
    match = FAMILY.fullmatch(problem_id)
    return match[1] if match else None


def grid_of(samples: Samples) -> Grid:
    """`samples` laid out as (Q, n), by round and slot; places without a sample have no answer."""
    slot, round_ = samples.rows["slot"], samples.rows["round"]
    column = round_ * int(slot.max()) + slot - 1
    shape = (len(samples.ids), int(column.max()) + 1)
    answers, scores, accepted = np.full(shape, -1), np.full(shape, np.nan), np.zeros(shape, np.bool_)
    place = (samples.rows["question"], column)
    answers[place] = samples.rows["answer"]
    scores[place] = samples.rows["score"]
    accepted[place] = samples.rows["accepted"]
    return Grid(answers, weights_of(scores), accepted)


def single_accuracy(samples: Samples, truth: Ints) -> Floats:
    """(Q,) the share of right `common` samples: what one sample of the question is expected to bring."""
    common = samples.common
    question = common.rows["question"]
    return np.bincount(question, weights=common.right(truth)) / np.bincount(question)


def gains_of(steps: Sequence[Step], clusters: Ints, baselines: int) -> list[Gain]:
    """Each step beside the one before it; the first `baselines` steps are not compared."""
    return [
        Gain(
            step.key,
            step.name,
            cluster_mean(step.right, clusters),
            paired_difference(step.right, steps[i - 1].right, clusters) if i >= baselines else None,
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

    final = cluster_mean(right["fallback"], clusters)
    before = cluster_mean(right["plain"], clusters)
    gain = paired_difference(right["fallback"], right["plain"], clusters)
    acceptance = acceptance_by_round(samples.rows["round"], samples.rows["accepted"])
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
        numbers["families"] = group_means(right["fallback"], [str(family) for family in families])
    return Report(numbers, gains, plots, test_fallbacks)


def _quality(samples: Samples, truth: Ints) -> ScorerQuality | None:
    judged = samples.judged
    return scorer_quality(judged.rows["score"], judged.right(truth))


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
    truth = questions.truth
    first = grid_of(samples.first)
    every = grid_of(samples)
    voted = every.vote_accepted(settings.method)
    handed_in = questions.handed_in(voted, settings.fallback)
    best = int(np.argmax(constant_accuracies(truth)))
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
    grid = grid_of(samples.common)
    methods: tuple[Method, ...] = ("majority", "weighted", "best")
    curve = []
    for k in range(1, grid.answers.shape[1] + 1):
        row: dict[str, Any] = {"k": k, "pass": pass_at_k(grid.answers, truth, k)}
        for name in methods:
            row[name] = vote_at_k(grid.answers, grid.weights, truth, name, k)
        row["configured"] = vote_at_k(grid.answers, grid.weights, truth, method, k, grid.accepted)
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
gain is smaller than its standard error; *no change*: in no problem; *lost*: the step made it worse here. One sample
stands for the mean over all samples of round 0 (with infer.adaptive: of the slots that every question has). The best
constant was chosen on these same questions.

All together: {_with_error(Estimate(numbers["gain"], numbers["gain_se"]), "+")} over the plain model.

## Test split

{test["fallbacks"]} of {test["questions"]} questions have no parsed sample and get the fallback letter.
"""
    return "\n".join([page, *(f"- {question}" for question in report.test_fallbacks)]).rstrip() + "\n"
