"""What a program's vote is worth, from made-up votes of which it is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from augen.core.arrays import Floats, Ints
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions, Sample
from augen.voting.settings import VotingSettings
from augen.voting.weights import HIGHEST, LEVEL, Votes, evidence, fitted, learned

PER_PROBLEM = 3


def made_up(
    seed: int,
    problems: int = 20,
    answering: float = 0.6,
    right: float = 0.92,
    like_steps: float = 0.0,
    options: int = 4,
) -> Votes:
    """Votes of five reasonings and two programs a question.

    Half of the reasonings are right, more where a question is easy. `answering` and `right` are the shares of programs
    that answer, and of these that are right; `like_steps` makes programs as dependent on how easy a question is.
    """
    random = np.random.default_rng(seed)
    count = problems * PER_PROBLEM
    truth, ease = random.integers(0, options, count), random.normal(size=count)

    def votes(number: int, answering: float, right: float, slope: float) -> Floats:
        chance = expit(logit(right) + slope * ease)
        found = np.zeros((count, options))
        for _ in range(number):
            wrong = (truth + random.integers(1, options, count)) % options
            letter = np.where(random.random(count) < chance, truth, wrong)
            given = random.random(count) < answering
            found[np.arange(count)[given], letter[given]] += 1
        return found

    steps, programs = votes(5, 1.0, 0.5, 1.0), votes(2, answering, right, like_steps)
    clusters = np.repeat(np.arange(problems), PER_PROBLEM)
    return Votes(np.stack([steps, programs]), np.ones((count, options), np.bool_), truth, clusters)


def helps(votes: Votes) -> bool:
    return evidence(votes, fitted(votes, kinds=1)) <= LEVEL


def test_precise_programs_are_worth_several_reasonings() -> None:
    for seed in range(10):
        votes = made_up(seed)
        steps, program = fitted(votes, kinds=2)
        assert helps(votes) and program > 2 * steps


def test_programs_at_chance_seem_to_help_no_oftener_than_the_test_allows() -> None:
    helping = sum(helps(made_up(seed, right=0.25)) for seed in range(200))
    assert helping <= 20, "10 are expected, with a standard deviation of 3"


def test_programs_that_are_wrong_more_often_than_chance_get_no_negative_weight() -> None:
    votes = made_up(3, right=0.05)
    assert not helps(votes)
    assert fitted(votes, kinds=2)[1] == 0


def test_programs_that_answer_what_the_reasonings_know_do_not_help() -> None:
    """Of 72 programs 18 answer, 8 of them right: where two reasonings or more are right, too."""
    questions = 36
    truth = np.arange(questions) % 4
    steps, programs = np.zeros((questions, 4)), np.zeros((questions, 4))
    for q in range(questions):
        sure = 4 if q % 2 else 2
        steps[q, truth[q]], steps[q, (truth[q] + 1) % 4] = sure, 5 - sure
    programs[np.arange(1, 17, 2), truth[1:17:2]] = 1
    programs[np.arange(17, 27), (truth[17:27] + 1) % 4] = 1
    assert (programs.sum(), programs[np.arange(questions), truth].sum()) == (18, 8)
    votes = Votes(np.stack([steps, programs]), np.ones((questions, 4), np.bool_), truth, np.arange(questions) // 3)
    assert not helps(votes)


def test_questions_of_one_problem_are_no_independent_evidence() -> None:
    """Each question four times: that shows no more, unless the four are taken to be of four problems."""
    votes = made_up(2, right=0.4)

    def repeated(clusters: Ints) -> float:
        again = Votes(
            np.concatenate([votes.kinds] * 4, axis=1),
            *(np.concatenate([getattr(votes, name)] * 4) for name in ("options", "truth", "clusters")),
        )
        # The same weight, so that the prior, which four times as many questions outweigh, plays no part.
        return evidence(replace(again, clusters=clusters), fitted(votes, kinds=1))

    before = evidence(votes, fitted(votes, kinds=1))
    assert repeated(np.tile(votes.clusters, 4)) == pytest.approx(before)
    assert repeated(np.arange(4 * len(votes.truth)) // PER_PROBLEM) < before / 2
    assert repeated(np.zeros(4 * len(votes.truth), np.int64)) == 1.0, "one problem has no spread"


def test_letters_that_a_question_has_not_are_not_counted() -> None:
    votes = made_up(1, options=2)
    kinds, options = np.pad(votes.kinds, ((0, 0), (0, 0), (0, 2))), np.pad(votes.options, ((0, 0), (0, 2)))
    same = Votes(kinds, options, votes.truth, votes.clusters)
    assert np.allclose(fitted(same, kinds=2), fitted(votes, kinds=2), atol=1e-5)
    assert same.log_likelihood(np.array([0.0, 0.0])) == pytest.approx(-len(votes.truth) * np.log(2))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), answering=st.floats(0, 1), right=st.floats(0.02, 0.98), problems=st.integers(2, 12))
def test_what_is_learned_is_never_worse_than_reasonings_alone(
    seed: int, answering: float, right: float, problems: int
) -> None:
    votes = made_up(seed, problems, answering, right)
    alone, both = fitted(votes, kinds=1), fitted(votes, kinds=2)
    used = both if helps(votes) else alone
    assert votes.log_likelihood(used) >= votes.log_likelihood(alone) - 1e-6
    assert (both >= 0).all() and alone[1] == 0


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_the_fit_is_where_the_derivatives_are_zero(seed: int) -> None:
    votes = made_up(seed)
    weights = fitted(votes, kinds=2)
    step = 1e-5
    for n, surprise in enumerate(votes.surprises(weights).sum(axis=1)):
        up, down = weights.copy(), weights.copy()
        up[n], down[n] = up[n] + step, down[n] - step
        assert (votes.log_likelihood(up) - votes.log_likelihood(down)) / (2 * step) == pytest.approx(surprise, abs=1e-3)
    slope = votes.surprises(weights).sum(axis=1)
    at_bound = (weights == 0) & (slope < 0)  # a smaller weight would be likelier still
    assert slope[~at_bound] == pytest.approx(weights[~at_bound] / 9, abs=0.05), "the slope of the prior"


RULE = VotingSettings(voters=2, max_resample=1, threshold=0.5, method="weighted", programs=1)


def drawn(reasonings: str, program: str | None, score: float = 0.8) -> list[Sample]:
    steps = [Sample(letter, score, slot) for slot, letter in enumerate(reasonings, start=1)]
    return [*steps, Sample(program, mode="program", cause=None if program else "syntax")]


def asked(truth: str) -> DevQuestions:
    codes = np.array(["ABCD".index(letter) for letter in truth])
    names = [f"p{number}" for number in range(len(truth))]
    return DevQuestions([f"{name}#1" for name in names], codes, np.full(len(truth), 4), names)


def grid_of(*questions: list[Sample]) -> SampleGrid:
    grid = SampleGrid.empty(len(questions), RULE)
    for number, samples in enumerate(questions):
        grid.add([number] * len(samples), samples, RULE.threshold)
    return grid


def test_samples_become_votes() -> None:
    """Scores count, rejected reasonings do not vote, an abstention is no vote."""
    grid = grid_of(drawn("AB", "C"), [Sample("B", 0.9), Sample("D", 0.1, 2)], drawn("DD", None))
    votes = Votes.of(grid, asked("CBD"), RULE)
    assert votes.kinds[0].tolist() == [[0.8, 0.8, 0, 0], [0, 0.9, 0, 0], [0, 0, 0, 1.6]]
    assert votes.kinds[1].tolist() == [[0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    majority = Votes.of(grid, asked("CBD"), replace(RULE, method="majority"))
    assert majority.kinds[0].tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 2]]


def test_programs_that_are_always_right_are_worth_all_reasonings_that_never_are() -> None:
    found = learned(grid_of(*[drawn("AB", "C") for _ in range(8)]), asked("C" * 8), RULE)
    assert (found.program, found.source) == (HIGHEST, "learned")
    assert (found.questions, found.problems, found.programs_drawn) == (8, 8, 8)
    assert (found.programs_answered, found.programs_right, found.w_steps) == (8, 8, 0.0)


@pytest.mark.parametrize("program", [None, "D"])
def test_programs_that_do_not_help_are_left_out(program: str | None) -> None:
    found = learned(grid_of(*[drawn("CB", program) for _ in range(8)]), asked("C" * 8), RULE)
    assert (found.program, found.programs_right) == (0.0, 0)
    assert (found.programs_answered, found.p_value) == ((8, pytest.approx(1, abs=0.02)) if program else (0, 1.0))
