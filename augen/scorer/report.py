"""``reports/scorer.json``: how well a scorer tells right from wrong on held-out problems.

Margins (N,) are the logit of "right" minus the logit of "wrong".
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import compress
from math import log
from typing import Any

import numpy as np

from augen.core.arrays import Bools, Floats, Ints
from augen.entries import Entry, Solution, questions
from augen.metrics.quality import auc_within, calibration, calibration_error, scorer_quality
from augen.scorer.calibration import Calibration, calibrate
from augen.training.labelled import LabelledTexts

LEARNED_NOTHING = log(2)  # the loss of a scorer that says one half of everything


@dataclass(frozen=True)
class LabelledReasoning:
    """One reasoning with its label, and who wrote it."""

    problem_id: str
    sample: Solution
    right: bool
    author: str

    @property
    def question(self) -> tuple[str, str, tuple[str, ...]]:
        """Equal for all reasonings of the same question."""
        return self.problem_id, self.sample.question.question, tuple(self.sample.question.options)


Reasonings = LabelledTexts[LabelledReasoning]


def labelled(entries: Iterable[Entry], right: bool) -> Iterator[LabelledReasoning]:
    """The reasonings of `entries`, which are all right or all wrong."""
    return (
        LabelledReasoning(
            q.problem_id, Solution(q.problem, q.item, q.item.reasoning), right, q.item.author or "unknown"
        )
        for entry in entries
        for q in questions([entry])
        if q.item.reasoning
    )


def only_problems_with_wrong(items: Reasonings) -> Reasonings:
    """The `items` of problems for which there is a wrong reasoning, be it of a rewritten copy.

    If only some problems have wrong reasonings, the scorer could tell right from wrong by recognizing the problem.
    """
    with_wrong = set(compress(items.origins, ~items.right))
    return items.those([place for place, problem in enumerate(items.origins) if problem in with_wrong])


def report(
    margins: Floats, items: Reasonings, fitted: Calibration, with_offset: bool, generator: str
) -> dict[str, Any]:
    """Held-out quality of a scorer: overall, on each author's texts, and on the `generator`'s own.

    Ranking (AUC, average precision, AUC within questions and problems) does not depend on the calibration. Accuracy
    (at a score of one half), calibration error and loss do. For them each half of the problems is scored with a
    calibration fitted on the other half, because a calibration looks too good on the data that it was fitted on. In
    the loss right and wrong texts weigh the same: a scorer that learned nothing has ln 2 or more.
    """
    scores = Calibration().scores(_cross_calibrated(margins, items, with_offset, balanced=False))
    loss = balanced_loss(_cross_calibrated(margins, items, with_offset, balanced=True), items.right)
    everything = np.ones(len(items), dtype=np.bool_)
    authors = np.array([item.author for item in items])
    by_author = {str(name): authors == name for name in np.unique(authors)}
    own = by_author.get(generator, ~everything)
    return {
        "loss": loss,
        "learned_nothing": loss >= LEARNED_NOTHING,
        **_quality(margins, scores, items, everything),
        "raw_calibration_error": calibration_error(calibration(Calibration().scores(margins), items.right)),
        "temperature": fitted.temperature,
        "offset": fitted.offset,
        "generator_samples": _quality(margins, scores, items, own) if own.any() else None,
        "by_author": {
            name: _quality(margins, scores, items, part) | _against_others(margins, items.right, part)
            for name, part in by_author.items()
        },
    }


def _quality(margins: Floats, scores: Floats, items: Reasonings, part: Bools) -> dict[str, Any]:
    """The metrics of the `part` of `items`; there is no AUC if all of it is right or all is wrong."""
    chosen = items.those(np.flatnonzero(part))
    margins, scores, right = margins[part], scores[part], chosen.right
    found: dict[str, Any] = {
        "texts": len(chosen),
        "right": int(right.sum()),
        "accuracy": float(((scores >= 0.5) == right).mean()),
        "calibration_error": calibration_error(calibration(scores, right)),
    }
    if (quality := scorer_quality(Calibration().scores(margins), right)) is not None:
        found |= {"auc": quality.auc, "average_precision": quality.average_precision}
    for name, groups in (("questions", chosen.questions), ("problems", chosen.origins)):
        if (within := auc_within(margins, right, groups)) is not None:
            found |= {f"auc_within_{name}": within[0], name: within[1]}
    return found


def _against_others(margins: Floats, right: Bools, part: Bools) -> dict[str, float]:
    """For an author with only right (only wrong) texts: the AUC of these against everybody's wrong (right) texts."""
    own = right[part]
    if len(set(own.tolist())) > 1:
        return {}
    compared = part | (right != own[0])
    quality = scorer_quality(Calibration().scores(margins[compared]), right[compared])
    return {} if quality is None else {"auc_against_others": quality.auc}


def _cross_calibrated(margins: Floats, items: Reasonings, with_offset: bool, balanced: bool) -> Floats:
    """Log odds; each half of the problems has the calibration that was fitted on the other half."""
    half = set(sorted(set(items.origins))[::2])
    first = np.array([problem in half for problem in items.origins])
    logits = np.zeros(len(items))
    for part in (first, ~first):
        if part.any():
            fitted_on = ~part if (~part).any() else part  # there is only one problem
            fitted = calibrate(margins[fitted_on], items.right[fitted_on], with_offset, balanced)
            logits[part] = fitted.logits(margins[part])
    return logits


def balanced_loss(margins: Floats, right: Bools) -> float:
    """Cross entropy in which right and wrong weigh the same, as far as both occur.

    >>> round(balanced_loss(np.array([0.0, 0.0, 2.0]), np.array([True, False, False])), 4)  # .6931, (.6931 + 2.1269)/2
    1.0516
    """
    losses = np.logaddexp(0, np.where(right, -margins, margins))
    return float(np.mean([losses[right == label].mean() for label in np.unique(right)]))


def pair_loss(margins: Floats, pairs: Ints) -> float:
    """Mean of -log sigmoid(margin of the right - margin of the wrong one) over `pairs` (N, 2) of their places.

    >>> round(pair_loss(np.array([2.0, 0.0]), np.array([[0, 1]])), 4)
    0.1269
    """
    right, wrong = pairs.T
    return float(np.mean(np.logaddexp(0, margins[wrong] - margins[right])))
