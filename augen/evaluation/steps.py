"""What each step of the pipeline gained on the dev questions, from the samples alone.

Takes what the stages `infer` and `baseline` wrote, as `augen.voting.samples` reads it; no model is loaded. Everything
is computed in arrays: Q questions, (Q, n) samples, letters as codes (0 for A), -1 where a sample has no answer or was
not drawn.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan
from typing import Any, get_args

import numpy as np
from tabulate import tabulate

from augen.core.arrays import Floats, Ints
from augen.entries import family_of, letter_of
from augen.evaluation.programs import MEANINGS, SHARES, Programs, cut_short, program_numbers, program_sentences
from augen.evaluation.replay import second_vote_sentence
from augen.evaluation.sharing import Sharers, sharing_numbers, sharing_section
from augen.metrics.quality import auc_within, scorer_quality
from augen.metrics.stats import (
    Estimate,
    acceptance_by_round,
    cluster_mean,
    constant_accuracies,
    group_means,
    numbered,
    paired_difference,
    with_error,
)
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions, Samples
from augen.voting.settings import Method, VotingSettings
from augen.voting.vote import handed_in, pass_at_k, subsets, vote_at_k, winners

CLAIMED = 2  # standard errors
COLUMNS = {  # of each plot
    "accuracy_over_k": ["k", "pass", "majority", "likelihood", "weighted", "best", "configured"],
    "accuracy_over_samples": ["voters", "samples", "all_votes", "adaptive"],
    "roc": ["false_positive_rate", "true_positive_rate"],
    "calibration": ["low", "high", "samples", "mean_score", "share_right"],
    "filter": ["file", "outcome", "questions"],
}
TRANSDUCTIVE = (
    "Transductive: the adapter has also learned from test questions, with the answers that an earlier run voted ({}). "
    "The dev questions are not among them."
)


@dataclass(frozen=True)
class Step:
    """One row of the table: (Q,) how right each question is, and what it cost in samples."""

    key: str
    name: str
    right: Floats
    samples: float


def verdict_of(difference: Estimate) -> str:
    """`gained`, `not shown` (less than `CLAIMED` standard errors), `no change` (in no problem) or `lost`."""
    value, se = difference
    if value == 0 and not se > 0:
        return "no change"
    if value < 0:
        return "lost"
    return "gained" if value > 0 and value >= CLAIMED * se else "not shown"


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
    """What was drawn: for the dev questions, by the plain model for them, and for the test questions.

    `programs` is there where programs are among the samples of dev and test; `sharers` where several drew in turn.
    """

    dev: Samples
    plain: Samples
    test: Samples
    programs: Programs | None = None
    sharers: Sharers | None = None

    @cached_property
    def plain_grid(self) -> SampleGrid:
        return SampleGrid.of(self.plain, VotingSettings(int(self.plain.rows["slot"].max())))


def evaluate(questions: DevQuestions, recorded: Recorded, settings: VotingSettings, setup: str) -> Report:
    """All numbers, tables and curves. `setup` says what the model was given besides the question.

    The samples of dev and plain must have been `matched` with `questions`.
    """
    samples, truth = recorded.dev.steps, questions.truth
    grid = SampleGrid.of(recorded.dev, settings)
    steps = _steps(questions, grid, recorded.plain_grid, settings, setup)
    gains = gains_of(steps, questions.clusters, baselines=3)
    test_fallbacks = _unanswered(recorded.test, settings)
    curve = accuracy_curve(grid.steps, truth, settings)
    numbers = _numbers(questions, recorded, settings, steps, gains)
    if curve:
        numbers["at_k"] = curve[-1]
    if not cut_short(grid, settings):
        shares = acceptance_by_round(samples.rows["round"], samples.rows["accepted"])
        numbers["acceptance"] = {f"round_{number}": share for number, share in enumerate(shares)}
    numbers["test"] = {
        "questions": len(recorded.test.ids),
        "fallbacks": len(test_fallbacks),
        "no_answer_rate": recorded.test.steps.common.no_answer_rate,
        "samples_per_question": recorded.test.per_question,
        "tokens_per_question": recorded.test.tokens_per_question,
    }
    if recorded.programs:
        numbers["programs"] = program_numbers(grid, recorded.dev, questions, settings, recorded.programs)
    if recorded.sharers:
        numbers[recorded.sharers.kind] = sharing_numbers(grid, questions, settings, recorded.sharers)
    plots: dict[str, list[dict[str, Any]]] = {"accuracy_over_k": curve, "roc": [], "calibration": []}
    judged = samples.judged
    if quality := scorer_quality(judged.rows["score"], judged.right(truth)):
        names = ("auc", "average_precision", "calibration_error")
        numbers["scorer"] = {name: getattr(quality, name) for name in names}
        if within := auc_within(judged.rows["score"], judged.right(truth), judged.rows["question"]):
            numbers["scorer"] |= {"auc_within_questions": within[0], "questions": within[1]}
        plots["roc"] = [{"false_positive_rate": x, "true_positive_rate": y} for x, y in quality.roc]
        plots["calibration"] = [b._asdict() for b in quality.calibration]
    families = [family_of(problem) for problem in questions.problems]
    if None not in families:
        numbers["families"] = group_means(steps[-1].right, [str(family) for family in families])
    return Report(numbers, gains, plots, test_fallbacks)


def _numbers(
    questions: DevQuestions, recorded: Recorded, settings: VotingSettings, steps: Sequence[Step], gains: Sequence[Gain]
) -> dict[str, Any]:
    """What is handed in beside one sample of the plain model, and what it cost."""
    right = {step.key: step.right for step in steps}
    clusters = questions.clusters
    final, before = cluster_mean(right["fallback"], clusters), cluster_mean(right["plain"], clusters)
    gain = paired_difference(right["fallback"], right["plain"], clusters)
    return {
        **numbered("accuracy", final),
        **numbered("plain_accuracy", before),
        **numbered("gain", gain),
        "no_answer_rate": recorded.dev.steps.common.no_answer_rate,
        "plain_no_answer_rate": recorded.plain.no_answer_rate,
        "fallbacks": len(_unanswered(recorded.dev, settings)),
        "samples_per_question": recorded.dev.per_question,
        "tokens_per_question": recorded.dev.tokens_per_question,
        "questions": len(questions.ids),
        "problems": int(clusters.max()) + 1,
        "steps": {step.key: numbered("accuracy", step.accuracy) | numbered("gain", step.difference) for step in gains},
    }


def _unanswered(samples: Samples, settings: VotingSettings) -> list[str]:
    """The questions for which nothing votes, so that the fallback letter is handed in."""
    voted = SampleGrid.of(samples, settings).voted(settings)
    return [samples.ids[question] for question in np.flatnonzero(voted < 0)]


def _steps(
    questions: DevQuestions, grid: SampleGrid, plain: SampleGrid, settings: VotingSettings, setup: str
) -> list[Step]:
    """The rows of the table, from guessing to what is handed in; each adds one thing to the one before it.

    Where programs had cut the reasonings short, the rows about reasonings alone are left out.
    """
    truth = questions.truth
    voted, best = grid.voted(settings), int(np.argmax(constant_accuracies(truth)))
    final, drawn = handed_in(voted, questions.options, settings.fallback), _drawn(grid)
    reasoned = [] if cut_short(grid, settings) else _reasoned(grid.steps, truth, settings, setup)
    programs = f"{settings.programs} program{'s' * (settings.programs > 1)} (weight {settings.program_weight:g})"
    solver = f"+ solver, {programs}" if reasoned else f"+ {setup}, {programs} and votes"
    return [
        Step("random", "random option", 1 / questions.options, 0),
        Step("always_a", "always A", _right(0, truth), 0),
        Step("best_constant", f"always {letter_of(best)} (the best constant)", _right(best, truth), 0),
        Step("plain", "plain model, one sample", single_accuracy(plain, truth), 1),
        *reasoned,
        *([Step("solver", solver, _right(voted, truth), drawn)] if settings.programs else []),
        Step("fallback", f"+ {settings.fallback} where none parsed", _right(final, truth), drawn),
    ]


def _reasoned(grid: SampleGrid, truth: Ints, settings: VotingSettings, setup: str) -> list[Step]:
    """The rows about reasonings; `grid` has no others."""
    first = grid[:, :, :1]  # round 0
    majority = winners(first.flat("answers"), first.flat("weights"), "majority")  # accepted or not
    accepted, every = first.voted(settings), grid.voted(settings)
    return [
        Step("single", f"+ {setup}, one sample", single_accuracy(grid, truth), 1),
        Step("voting", f"+ majority of {settings.voters}", _right(majority, truth), _drawn(first)),
        Step("scorer", f"+ {_judge(settings.method)} of accepted", _right(accepted, truth), _drawn(first)),
        Step("redraw", f"+ redraw, up to {settings.max_resample} times", _right(every, truth), _drawn(grid)),
    ]


def _judge(method: Method) -> str:
    return method if method == "likelihood" else f"scorer, {method}"


def _right(answers: Ints | int, truth: Ints) -> Floats:
    return np.asarray(answers == truth, dtype=np.float64)


def _drawn(grid: SampleGrid) -> float:
    """Samples per question."""
    return np.count_nonzero(grid.drawn) / len(grid.drawn)


def accuracy_curve(grid: SampleGrid, truth: Ints, settings: VotingSettings) -> list[dict[str, Any]]:
    """Accuracy over k, for every k up to the number of `common` samples of a question: one row per k.

    `pass` (one of k is right), each vote over all parsed samples, and `configured`: the vote of
    params.yaml among the accepted ones, each worth what its generator is.
    """
    common = grid.common
    answers = common.flat("answers")
    weights = {name: common.weighed(name) for name in get_args(Method)}
    curve = []
    for k in range(1, answers.shape[1] + 1):
        row: dict[str, Any] = {"k": k, "pass": pass_at_k(answers, truth, k)}
        row |= {name: vote_at_k(answers, weights[name], truth, name, k) for name in weights}
        row["configured"] = configured_at_k(common, truth, settings, k)
        curve.append(row)
    return curve


def configured_at_k(common: SampleGrid, truth: Ints, settings: VotingSettings, k: int) -> float:
    """The accuracy to expect of k samples by `settings`: the mean over k-subsets of the slots of one round."""
    chosen = subsets(common.drawn.shape[1], k)
    return float(np.mean([np.mean(common[:, columns].voted(settings) == truth) for columns in chosen]))


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


def gains_table(gains: Sequence[Gain], layout: str) -> str:
    """The table of steps in one of tabulate's layouts (``simple`` for a terminal, ``github`` for a page)."""
    rows = [
        (
            gain.name,
            with_error(gain.accuracy),
            with_error(gain.difference, "+") if gain.difference else "",
            gain.verdict,
            f"{gain.samples:.2f}",
        )
        for gain in gains
    ]
    headers = ("step", "accuracy", "difference to the row above", "", "samples per question")
    align = ("left", "left", "left", "left", "right")
    return tabulate(rows, headers, tablefmt=layout, colalign=align, disable_numparse=True)


def _programs_section(programs: Mapping[str, Any] | None) -> str:
    """What the programs of a run came to, and the words for it; empty for a run without."""
    if not programs:
        return ""
    shares = [
        f"- {name.replace('_', ' ')} {with_error(Estimate(programs[name], programs[f'{name}_se']))}: {meaning}"
        for name, meaning in SHARES.items()
        if name in programs
    ]
    causes = [f"- {cause} ({count:,}): {MEANINGS.get(cause, '')}" for cause, count in programs["abstentions"].items()]
    why = ["", "A program without answer abstains: it does not vote. The causes:", "", *causes] if causes else []
    return "\n".join(["", "## Programs", "", *shares, "", " ".join(program_sentences(programs)), *why, ""])


def gains_page(report: Report) -> str:
    """`reports/gains.md`: the table, how to read it, and the test questions that got the fallback letter."""
    numbers = report.metrics
    test = numbers["test"]
    said = f"\n{numbers['transductive']}\n" if "transductive" in numbers else ""
    again = second_vote_sentence(numbers.get("second_vote"), numbers["questions"])
    again = f"\n{again}\n" if again else ""
    page = f"""# What each step gained

{numbers["questions"]} dev questions of {numbers["problems"]} problems.
{said}
{gains_table(report.gains, "github")}

± is one standard error, clustered by problem; that of a difference is paired by question. *not shown*: the
gain is smaller than two standard errors; *no change*: in no problem; *lost*: the step made it worse here. One sample
stands for the mean over all samples of round 0 (with infer.adaptive: of the slots that every question has). The best
constant was chosen on these same questions.

All together: {with_error(Estimate(numbers["gain"], numbers["gain_se"]), "+")} over the plain model.
{again}{_programs_section(numbers.get("programs"))}{sharing_section(numbers)}
## Test split

{test["fallbacks"]} of {test["questions"]} questions have no parsed sample and get the fallback letter.
"""
    return "\n".join([page, *(f"- {question}" for question in report.test_fallbacks)]).rstrip() + "\n"
