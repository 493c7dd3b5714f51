"""What the vote of each of several generators is worth, learned from held-out questions with known answers.

Slots take turns with the generators. With T_g the votes that each letter of a question got from the reasonings of
generator g, and over its options alone,

    P(letter) ∝ exp(Σ_g w_g · T_g(letter)),  w_g ≥ 0

(as in `augen.voting.weights`, which see for the fit). A hundred questions tell little of small differences, so the
weights are equal unless a score test says that they are not; then they are w_g with a mean of 1, none below a tenth of
that. What a program is worth is learned after them, in votes of an average reasoning.

Shapes: G generators, Q questions, L letters, P problems.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.special import fdtrc

from augen.core.arrays import Floats
from augen.core.files import read_json
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions, SampleFile
from augen.voting.settings import VotingSettings
from augen.voting.weights import GENERATORS, HIGHEST, LEVEL, Votes, fitted, reasoned

LEAST = 0.1  # of the mean


@dataclass(frozen=True)
class GeneratorWeights:
    """The `votes` that one reasoning of each generator is worth, and where these numbers come from.

    Of the held-out questions, if there were any: their number and that of their problems; of each generator the first
    reasonings of its slots and how many of these are right; the sum of log P(right letter) with one weight for all and
    with one for each; and the p-value of `evidence`.
    """

    votes: Sequence[float]
    source: Literal["given", "assumed", "learned"]
    questions: int = 0
    problems: int = 0
    drawn: Sequence[int] = ()
    right: Sequence[int] = ()
    log_likelihood_equal: float | None = None
    log_likelihood: float | None = None
    p_value: float | None = None

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


def scaled(weights: Sequence[float] | Floats) -> list[float]:
    """`weights` with a mean of 1, none below `LEAST`; equal where all are 0.

    >>> scaled([3.0, 1.0]), scaled([2.0, 0.0]), scaled([0.0, 0.0])
    ([1.5, 0.5], [1.82, 0.18], [1.0, 1.0])
    """
    found = np.asarray(weights, dtype=np.float64)
    if not found.any():
        return [1.0] * len(found)
    found = np.maximum(found / found.mean(), LEAST * len(found))
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


def together(votes: Votes) -> Votes:
    """All kinds as one."""
    return replace(votes, kinds=votes.kinds.sum(axis=0, keepdims=True))


def evidence(votes: Votes, weight: float) -> float:
    """The p-value of "a vote is worth the same whichever generator it is of", at the `weight` fitted to all `together`.

    A score test. Questions of a problem are not independent, so what is compared with its own spread is the sum of each
    problem (as in `augen.metrics.stats`): Hotelling's T². Generators that always agree cannot be told apart: 1.
    """
    weights = np.full(len(votes.kinds), weight)
    surprises, chances = votes.surprises(weights), np.exp(votes.log_chances(weights))
    total = votes.kinds.sum(axis=0)
    centred = chances * (total - (chances * total).sum(axis=1, keepdims=True))
    known = (centred * total).sum()
    # The part of a generator's surprise that another weight of all of them would explain is not its own.
    shared = (centred * votes.kinds).sum(axis=(1, 2)) / known if known else np.zeros(len(weights))
    own = surprises - shared[:, None] * surprises.sum(axis=0)
    problems = int(votes.clusters.max()) + 1
    sums = np.array([np.bincount(votes.clusters, weights=each, minlength=problems) for each in own])  # (G, P)
    spread = sums @ sums.T * problems / max(1, problems - 1)
    rank = int(np.linalg.matrix_rank(spread, tol=1e-9, hermitian=True))
    if not 0 < rank < problems:
        return 1.0
    distance = sums.sum(axis=1) @ np.linalg.pinv(spread, rcond=1e-9, hermitian=True) @ sums.sum(axis=1)
    return float(fdtrc(rank, problems - rank, distance * (problems - rank) / (rank * (problems - 1))))


def learned(grid: SampleGrid, questions: DevQuestions, settings: VotingSettings) -> GeneratorWeights:
    """The weights that the samples in `grid` of held-out `questions` show; equal ones where `evidence` is too weak."""
    votes = votes_of(grid, questions, settings)
    common, each = fitted(together(votes), kinds=1), fitted(votes, kinds=settings.generators)
    p_value = evidence(votes, float(common[0]))
    first = grid.steps[:, :, :1]
    right = first.answers[:, :, 0] == questions.truth[:, None]
    own = np.array(first.generators)
    numbers = range(1, settings.generators + 1)
    return GeneratorWeights(
        votes=scaled(each) if p_value <= LEVEL else [1.0] * settings.generators,
        source="learned",
        questions=len(questions.ids),
        problems=int(questions.clusters.max()) + 1,
        drawn=[int(np.count_nonzero(first.drawn[:, own == number])) for number in numbers],
        right=[int(np.count_nonzero(right[:, own == number])) for number in numbers],
        log_likelihood_equal=round(together(votes).log_likelihood(common), 4),
        log_likelihood=round(votes.log_likelihood(each), 4),
        p_value=round(p_value, 4),
    )
