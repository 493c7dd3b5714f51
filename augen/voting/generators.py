"""What the vote of each of several generators is worth, learned from held-out questions with known answers.

Slots take turns with the generators. With T_g the votes that each letter of a question got from the reasonings of
generator g, and over its options alone,

    P(letter) ∝ exp(Σ_g w_g · T_g(letter)),  log w_g ~ Normal(mean of all log w, SPREAD)

(a conditional logit as in `augen.voting.weights`, here for the most probable w). A hundred questions tell little of
small differences, so the prior draws the weights together: where nothing can be told, they are equal. Votes count by
w_g over the mean of all, and none below a tenth. What a program is worth is learned after that, beside votes
that are counted so.

Shapes: G generators, Q questions, L letters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.optimize import minimize

from augen.core.arrays import Floats
from augen.core.files import read_json
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions, SampleFile
from augen.voting.settings import VotingSettings
from augen.voting.weights import GENERATORS, HIGHEST, PRIOR, Votes, read_weight, reasoned

LEAST = 0.1  # of the mean
# Of log w_g. With 0.5, weights learned from 56 problems at a time gained 0.020 where one generator was 12 points
# better than the other, and lost nothing where the two were one and the same.
SPREAD = 0.5


@dataclass(frozen=True)
class GeneratorWeights:
    """The `votes` that one reasoning of each generator is worth, and where these numbers come from.

    Of the held-out questions, if there were any: their number and that of their problems; of each generator the first
    reasonings of its slots and how many of these are right; the sum of log P(right letter) with one weight for all and
    with one for each.
    """

    votes: Sequence[float]
    source: Literal["given", "assumed", "learned"]
    questions: int = 0
    problems: int = 0
    drawn: Sequence[int] = ()
    right: Sequence[int] = ()
    log_likelihood_equal: float | None = None
    log_likelihood: float | None = None

    def applied(self, settings: VotingSettings) -> VotingSettings:
        """`settings` with what each generator is worth."""
        return replace(settings, generator_weights=tuple(self.votes))


def read_generator_weights(file: SampleFile) -> GeneratorWeights:
    """The weights that `infer` wrote for a run with several generators.

    Raises AugenError for a file that says something else.
    """
    found: Any = read_json(file.path)
    try:
        weights = GeneratorWeights(**found[GENERATORS])
        usable = len(weights.votes) == file.settings.generators and all(0 < vote <= HIGHEST for vote in weights.votes)
    except (TypeError, KeyError) as fault:
        raise file.fault([f"no weights of generators ({fault})"]) from None
    if not usable:
        raise file.fault([f"no weights for the {file.settings.generators} generators of params.yaml: {weights.votes}"])
    return weights


def weighed(file: SampleFile, weights: Path) -> VotingSettings:
    """The settings of `file` with what votes are worth: by `weights`, which `infer` wrote beside it."""
    settings, told = file.settings, replace(file, path=weights)
    if settings.programs:
        settings = read_weight(told).applied(settings)
    if settings.generators > 1:
        settings = read_generator_weights(told).applied(settings)
    return settings


def scaled(weights: Sequence[float] | Floats) -> list[float]:
    """`weights`, which are above 0, with a mean of 1, none below `LEAST` before that.

    >>> scaled([3.0, 1.0]), scaled([2.0, 0.002])
    ([1.5, 0.5], [1.9, 0.1])
    """
    found = np.asarray(weights, dtype=np.float64)
    found = np.maximum(found / found.mean(), LEAST)
    return [round(float(each), 2) for each in found / found.mean()]


def votes_of(grid: SampleGrid, questions: DevQuestions, settings: VotingSettings) -> Votes:
    """The votes of the reasonings in `grid`, a kind for each generator."""
    steps, answers = grid.steps, grid.votes
    letters = np.arange(int(questions.options.max()))
    own = np.repeat(np.array(steps.generators), steps.drawn.shape[2])
    kinds = [
        reasoned(np.where(own == number, answers, -1), steps, settings, len(letters))
        for number in range(1, settings.generators + 1)
    ]
    return Votes(np.stack(kinds), letters < questions.options[:, None], questions.truth, questions.clusters)


def fitted(votes: Votes) -> Floats:
    """(G,) the most probable w.

    Two generators that always agree cannot be told apart:

    >>> votes = Votes(np.stack([np.eye(4)] * 2), np.ones((4, 4), bool), np.array([0, 1, 2, 0]), np.arange(4))
    >>> fitted(votes).round(2)
    array([1.03, 1.03])
    """

    def loss(logs: Floats) -> tuple[float, Floats]:
        weights, apart = np.exp(logs), logs - logs.mean()
        prior = apart @ apart / (2 * SPREAD**2) + weights @ weights / (2 * PRIOR**2)
        slope = apart / SPREAD**2 + weights**2 / PRIOR**2 - weights * votes.surprises(weights).sum(axis=1)
        return float(prior) - votes.log_likelihood(weights), slope

    start, bounds = np.zeros(len(votes.kinds)), [(-6.0, 4.0)] * len(votes.kinds)
    return np.exp(minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x)


def learned(grid: SampleGrid, questions: DevQuestions, settings: VotingSettings) -> GeneratorWeights:
    """The weights that the samples in `grid` of held-out `questions` show."""
    votes = votes_of(grid, questions, settings)
    weights, together = fitted(votes), replace(votes, kinds=votes.kinds.sum(axis=0, keepdims=True))
    first = grid.steps[:, :, :1]
    right, own = first.answers[:, :, 0] == questions.truth[:, None], np.array(first.generators)
    numbers = range(1, settings.generators + 1)
    return GeneratorWeights(
        votes=scaled(weights),
        source="learned",
        questions=len(questions.ids),
        problems=int(questions.clusters.max()) + 1,
        drawn=[int(np.count_nonzero(first.drawn[:, own == number])) for number in numbers],
        right=[int(np.count_nonzero(right[:, own == number])) for number in numbers],
        log_likelihood_equal=round(together.log_likelihood(fitted(together)), 4),
        log_likelihood=round(votes.log_likelihood(weights), 4),
    )
