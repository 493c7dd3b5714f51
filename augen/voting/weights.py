"""What the vote of a program is worth beside reasonings, learned from held-out questions with known answers.

Shapes: K kinds of votes, Q questions, L letters. With T the votes that each letter of a question got, and over its
options alone,

    P(letter) ∝ exp(w_s · T_steps(letter) + w_p · T_programs(letter)),  w_s, w_p ≥ 0

(a conditional logit, McFadden 1974). Votes are decided by w_p / w_s alone: the votes that one program is worth, where a
reasoning has one (majority), what its likelihood says (0.34 on average), or its score.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import stdtr

from augen.core.arrays import Bools, Floats, Ints
from augen.core.files import read_json
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions, SampleFile
from augen.voting.settings import VotingSettings
from augen.voting.vote import SCORE_UNITS, tallies

GENERATORS = "generators"  # the field of the file that has what these are worth: see `augen.voting.generators`
UNMEASURED = 3.0  # votes, where no question is left to learn from
HIGHEST = 100.0
LEVEL = 0.05  # of the test whether programs help
PRIOR = 3.0  # standard deviation of w_s and of w_p, around 0


@dataclass(frozen=True)
class Weight:
    """The votes that one `program` is worth, and where that number comes from.

    Of the held-out questions, if there were any: their number and that of their problems, the samples that are programs
    and how many of these have an answer and the right one; w_s and w_p; the sum of log P(right letter) with the
    reasonings' votes alone and with those of programs; and the p-value of `evidence`.
    """

    program: float
    source: Literal["unused", "given", "assumed", "learned"]
    questions: int = 0
    problems: int = 0
    programs_drawn: int = 0
    programs_answered: int = 0
    programs_right: int = 0
    w_steps: float | None = None
    w_program: float | None = None
    log_likelihood_steps: float | None = None
    log_likelihood: float | None = None
    p_value: float | None = None

    @property
    def precision(self) -> float | None:
        """The share of programs' answers that are right, with one right and one wrong answer added; None: not measured.

        >>> Weight(3.0, "learned", programs_drawn=10, programs_answered=8, programs_right=8).precision
        0.9
        """
        return (self.programs_right + 1) / (self.programs_answered + 2) if self.programs_answered else None

    def applied(self, settings: VotingSettings) -> VotingSettings:
        """`settings` with what a program is worth."""
        return replace(settings, program_weight=self.program, program_precision=self.precision)


def read_weight(file: SampleFile) -> Weight:
    """The weight that `infer` wrote for a run with programs. Raises AugenError for a file that says something else."""
    found: Any = read_json(file.path)
    try:
        weight = Weight(**{name: value for name, value in found.items() if name != GENERATORS})
        usable = weight.source in ("given", "assumed", "learned") and 0 <= weight.program <= HIGHEST
    except (TypeError, AttributeError) as fault:
        raise file.fault([f"no weight of a program ({fault})"]) from None
    if not usable:
        raise file.fault([f"no weight for infer.programs {file.settings.programs}: {weight.program} {weight.source}"])
    return weight


@dataclass(frozen=True)
class Votes:
    """What each letter of each question got, in votes of several kinds, such as those of reasonings and of programs.

    `kinds` (K, Q, L) are the votes, `options` (Q, L) says which letters a question has, `truth` (Q,) which is right,
    `clusters` (Q,) which problem the question belongs to.
    """

    kinds: Floats
    options: Bools
    truth: Ints
    clusters: Ints

    @classmethod
    def of(cls, grid: SampleGrid, questions: DevQuestions, settings: VotingSettings) -> "Votes":
        """Those of the reasonings and of the programs in `grid`, counted as `settings` say."""
        letters = np.arange(int(questions.options.max()))
        steps = reasoned(grid.votes, grid.steps, settings, len(letters))
        programs = (grid.programs.flat("answers")[:, :, None] == letters).sum(axis=1).astype(np.float64)
        options = letters < questions.options[:, None]
        return cls(np.stack([steps, programs]), options, questions.truth, questions.clusters)

    def log_chances(self, weights: Floats) -> Floats:
        """(Q, L) log P(letter) for the weight of each kind, such as ``w_s, w_p``."""
        total = sum(weight * votes for weight, votes in zip(weights, self.kinds, strict=True))
        weighed = np.where(self.options, total, -np.inf)
        return np.asarray(weighed - np.logaddexp.reduce(weighed, axis=1, keepdims=True))

    def log_likelihood(self, weights: Floats) -> float:
        """The sum of log P(right letter)."""
        return float(self.log_chances(weights)[np.arange(len(self.truth)), self.truth].sum())

    def surprises(self, weights: Floats) -> Floats:
        """(K, Q) by how many votes of each kind the right letter exceeds what is expected of it.

        These are the derivatives of log P(right letter) by the weights.
        """
        chances = np.exp(self.log_chances(weights))
        right = np.arange(len(self.truth)), self.truth
        return np.array([votes[right] - (chances * votes).sum(axis=1) for votes in self.kinds])


def reasoned(answers: Ints, steps: SampleGrid, settings: VotingSettings, letters: int) -> Floats:
    """(Q, L) what each of so many `letters` gets by `answers` (Q, V · R), those of the samples of `steps` that vote."""
    totals, _ = tallies(answers, steps.weighed(settings.method), settings.method, steps.worth(settings))
    votes = np.zeros((len(answers), letters))
    votes[:, : totals.shape[1]] = np.maximum(totals, 0) / SCORE_UNITS
    return votes


def fitted(votes: Votes, kinds: int) -> Floats:
    """(K,) the weights of the highest likelihood, with a Gaussian prior; only the first `kinds` have one above 0.

    Three of four questions have the right answer in their only vote; without the prior w_s would be log 9 = 2.2:
    P = 9 / (9 + 3) for a vote among four options.

    >>> one, none = np.eye(4), np.zeros((4, 4))
    >>> votes = Votes(np.stack([one, none]), np.ones((4, 4), bool), np.array([0, 1, 2, 0]), np.arange(4))
    >>> fitted(votes, kinds=2).round(2)
    array([1.93, 0.  ])
    """

    def loss(weights: Floats) -> tuple[float, Floats]:
        prior = float(weights @ weights) / (2 * PRIOR**2)
        return prior - votes.log_likelihood(weights), weights / PRIOR**2 - votes.surprises(weights).sum(axis=1)

    free = np.arange(len(votes.kinds)) < kinds
    bounds = [(0, None if each else 0) for each in free]
    return np.asarray(minimize(loss, free.astype(np.float64), jac=True, bounds=bounds, method="L-BFGS-B").x)


def evidence(votes: Votes, weights: Floats) -> float:
    """The p-value of "programs tell nothing that the reasonings do not", against "they raise the likelihood".

    A score test, one-sided, at `weights`, which were `fitted` without programs. Questions of a problem are not
    independent, so what is compared with its own spread is the sum of each problem (as in `augen.metrics.stats`). A
    single problem has no spread: 1.
    """
    problems = int(votes.clusters.max()) + 1
    steps, programs = votes.surprises(weights)
    chances = np.exp(votes.log_chances(weights))
    reasoned, programmed = votes.kinds
    centred = reasoned - (chances * reasoned).sum(axis=1, keepdims=True)
    known = (chances * centred**2).sum()
    # The part of the programs' surprise that another w_s would explain is not theirs.
    shared = (chances * centred * programmed).sum() / known if known else 0.0
    sums = np.bincount(votes.clusters, weights=programs - shared * steps, minlength=problems)
    spread = float(np.sqrt(sums @ sums * problems / max(1, problems - 1)))
    return float(stdtr(problems - 1, -sums.sum() / spread)) if spread and problems > 1 else 1.0


def learned(grid: SampleGrid, questions: DevQuestions, settings: VotingSettings) -> Weight:
    """The weight that the samples in `grid` of held-out `questions` show; 0 where they do not show that programs help.

    Programs help where they raise the likelihood, by `evidence` with a p-value of `LEVEL` at most.
    """
    votes = Votes.of(grid, questions, settings)
    alone, both = fitted(votes, kinds=1), fitted(votes, kinds=2)
    p_value = evidence(votes, alone)
    likelihoods = votes.log_likelihood(alone), votes.log_likelihood(both)
    helps = p_value <= LEVEL and both[1] > 0 and likelihoods[1] > likelihoods[0]
    answers = grid.programs.flat("answers")
    return Weight(
        program=_worth(*both.tolist()) if helps else 0.0,
        source="learned",
        questions=len(questions.ids),
        problems=int(questions.clusters.max()) + 1,
        programs_drawn=int(np.count_nonzero(grid.programs.drawn)),
        programs_answered=int(np.count_nonzero(answers >= 0)),
        programs_right=int(np.count_nonzero(answers == questions.truth[:, None])),
        w_steps=round(float(both[0]), 4),
        w_program=round(float(both[1]), 4),
        log_likelihood_steps=round(likelihoods[0], 4),
        log_likelihood=round(likelihoods[1], 4),
        p_value=round(p_value, 4),
    )


def _worth(steps: float, program: float) -> float:
    """The quotient as a number of votes: rounded, and no more than `HIGHEST`.

    >>> _worth(0.5, 1.7), _worth(0.0, 2.0), _worth(5.0, 0.001)
    (3.4, 100.0, 0.01)
    """
    return max(0.01, round(program / steps, 2)) if program < HIGHEST * steps else HIGHEST
