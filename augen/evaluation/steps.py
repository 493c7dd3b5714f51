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
from functools import cached_property
from math import isnan
from typing import Any

import numpy as np
from tabulate import tabulate

from augen.core.arrays import Floats, Ints
from augen.entries import letter_of
from augen.metrics.quality import scorer_quality
from augen.metrics.stats import (
    Estimate,
    acceptance_by_round,
    cluster_mean,
    constant_accuracies,
    group_means,
    paired_difference,
)
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions, Samples
from augen.voting.settings import Method, VotingSettings
from augen.voting.vote import handed_in, pass_at_k, vote_at_k, winners

FAMILY = re.compile(r"[a-z]+_\d+_(.+)")


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


def single_accuracy(grid: SampleGrid, truth: Ints) -> Floats:
    """(Q,) the share of right `common` samples: what one sample of the question is expected to bring."""
    return np.asarray((grid.common.flat("answers") == truth[:, None]).mean(axis=1))


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


@dataclass(frozen=True)
class Recorded:
    """What was drawn: for the dev questions, by the plain model for them, and for the test questions."""

    dev: Samples
    plain: Samples
    test: Samples

    @cached_property
    def plain_grid(self) -> SampleGrid:
        return SampleGrid.of(self.plain, VotingSettings(int(self.plain.rows["slot"].max())))


def evaluate(questions: DevQuestions, recorded: Recorded, settings: VotingSettings, setup: str) -> Report:
    """All numbers, tables and curves. `setup` says what the model was given besides the question.

    The samples of dev and plain must have been `matched` with `questions`.
    """
    samples, truth = recorded.dev, questions.truth
    grid = SampleGrid.of(samples, settings)
    steps = _steps(questions, grid, recorded.plain_grid, settings, setup)
    gains = gains_of(steps, questions.clusters, baselines=3)
    test_fallbacks = _unanswered(recorded.test)
    curve = accuracy_curve(grid, truth, settings.method)
    numbers = _numbers(questions, recorded, steps, gains) | {
        "at_k": curve[-1],
        "acceptance": {
            f"round_{number}": share
            for number, share in enumerate(acceptance_by_round(samples.rows["round"], samples.rows["accepted"]))
        },
        "test": {
            "questions": len(recorded.test.ids),
            "fallbacks": len(test_fallbacks),
            "no_answer_rate": recorded.test.common.no_answer_rate,
            "samples_per_question": recorded.test.per_question,
            "tokens_per_question": recorded.test.tokens_per_question,
        },
    }
    plots: dict[str, list[dict[str, Any]]] = {"accuracy_over_k": curve, "roc": [], "calibration": []}
    judged = samples.judged
    if quality := scorer_quality(judged.rows["score"], judged.right(truth)):
        names = ("auc", "average_precision", "calibration_error")
        numbers["scorer"] = {name: getattr(quality, name) for name in names}
        plots["roc"] = [{"false_positive_rate": x, "true_positive_rate": y} for x, y in quality.roc]
        plots["calibration"] = [b._asdict() for b in quality.calibration]
    families = [family_of(problem) for problem in questions.problems]
    if None not in families:
        numbers["families"] = group_means(steps[-1].right, [str(family) for family in families])
    return Report(numbers, gains, plots, test_fallbacks)


def _numbers(
    questions: DevQuestions, recorded: Recorded, steps: Sequence[Step], gains: Sequence[Gain]
) -> dict[str, Any]:
    """What is handed in beside one sample of the plain model, and what it cost."""
    right = {step.key: step.right for step in steps}
    clusters = questions.clusters
    final, before = cluster_mean(right["fallback"], clusters), cluster_mean(right["plain"], clusters)
    gain = paired_difference(right["fallback"], right["plain"], clusters)
    return {
        **_pair("accuracy", final),
        **_pair("plain_accuracy", before),
        **_pair("gain", gain),
        "no_answer_rate": recorded.dev.common.no_answer_rate,
        "plain_no_answer_rate": recorded.plain.no_answer_rate,
        "fallbacks": len(_unanswered(recorded.dev)),
        "samples_per_question": recorded.dev.per_question,
        "tokens_per_question": recorded.dev.tokens_per_question,
        "questions": len(questions.ids),
        "problems": int(clusters.max()) + 1,
        "steps": {step.key: _pair("accuracy", step.accuracy) | _pair("gain", step.difference) for step in gains},
    }


def _unanswered(samples: Samples) -> list[str]:
    """The questions for which no sample has an answer, so that the fallback letter is handed in."""
    parsed = set(samples.rows["question"][samples.rows["answer"] >= 0].tolist())
    return [question for i, question in enumerate(samples.ids) if i not in parsed]


def _pair(name: str, estimate: Estimate | None) -> dict[str, float]:
    """An estimate as two numbers, ``name`` and ``name_se``; nothing where there is none."""
    return {name: estimate.value, f"{name}_se": estimate.se} if estimate else {}


def _steps(
    questions: DevQuestions, grid: SampleGrid, plain: SampleGrid, settings: VotingSettings, setup: str
) -> list[Step]:
    """The rows of the table, from guessing to what is handed in; each adds one thing to the one before it."""
    truth = questions.truth
    first = grid[:, :, :1]  # round 0
    voted = grid.voted(settings)
    best = int(np.argmax(constant_accuracies(truth)))
    once, all_rounds = (np.count_nonzero(part.drawn) / len(truth) for part in (first, grid))

    def right(answers: Ints | int) -> Floats:
        return np.asarray(answers == truth, dtype=np.float64)

    final = handed_in(voted, questions.options, settings.fallback)
    majority = winners(first.flat("answers"), first.flat("weights"), "majority")  # accepted or not
    return [
        Step("random", "random option", 1 / questions.options, 0),
        Step("always_a", "always A", right(0), 0),
        Step("best_constant", f"always {letter_of(best)} (the best constant)", right(best), 0),
        Step("plain", "plain model, one sample", single_accuracy(plain, truth), 1),
        Step("single", f"+ {setup}, one sample", single_accuracy(grid, truth), 1),
        Step("voting", f"+ majority of {settings.voters}", right(majority), once),
        Step("scorer", f"+ scorer, {settings.method} of accepted", right(first.voted(settings)), once),
        Step("redraw", f"+ redraw, up to {settings.max_resample} times", right(voted), all_rounds),
        Step("fallback", f"+ {settings.fallback} where none parsed", right(final), all_rounds),
    ]


def accuracy_curve(grid: SampleGrid, truth: Ints, method: Method) -> list[dict[str, Any]]:
    """Accuracy over k, for every k up to the number of `common` samples of a question: one row per k.

    `pass` (one of k is right), the three votes over all parsed samples, and `configured`: the vote of
    params.yaml among the accepted ones.
    """
    answers, weights, accepted = (grid.common.flat(name) for name in ("answers", "weights", "accepted"))
    methods: tuple[Method, ...] = ("majority", "weighted", "best")
    curve = []
    for k in range(1, answers.shape[1] + 1):
        row: dict[str, Any] = {"k": k, "pass": pass_at_k(answers, truth, k)}
        for name in methods:
            row[name] = vote_at_k(answers, weights, truth, name, k)
        row["configured"] = vote_at_k(answers, weights, truth, method, k, accepted)
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
