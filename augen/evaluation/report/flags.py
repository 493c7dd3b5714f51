"""What is remarkable about a dev question, for all of them at once, and which of them the page shows. Pure.

Shapes: Q questions, n samples of each; letters are codes, -1 where nothing was parsed.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from augen.core.arrays import Bools, Ints
from augen.evaluation.programs import differing
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions
from augen.voting.settings import VotingSettings
from augen.voting.vote import blocks, handed_in

SHOWN = 2_000  # questions on the page at most: what a browser unpacks and searches at once
PER_FLAG = 200
FLAGS = {  # by which the page filters, in this order
    "wrong": "the answer handed in is not the right one",
    "missed": "wrong, although a sample had the right answer",
    "close": "another letter had as many votes as the winner, one fewer, or more",
    "unaccepted": "no reasoning was accepted: all with an answer voted",
    "fallback": "nothing voted: the fallback letter was handed in",
    "solver": "the programs' answer and the reasonings' winner differ",
}


def flags_of(grid: SampleGrid, questions: DevQuestions, settings: VotingSettings) -> dict[str, Bools]:
    """(Q,) for each of `FLAGS` whether it holds; `grid` has the samples of `questions`, in their order.

    Without slots of programs, ``solver`` is not among them.
    """
    voted, reasoned = grid.voted(settings), grid.steps
    wrong = handed_in(voted, questions.options, settings.fallback) != questions.truth
    parsed = (reasoned.flat("answers") >= 0).any(axis=1)
    flags = {
        "wrong": wrong,
        "missed": wrong & (grid.flat("answers") == questions.truth[:, None]).any(axis=1),
        "close": np.concatenate(
            [
                close(part.votes, voted[block], part.programs.flat("answers"), settings.program_weight)
                for block in blocks(len(voted))
                for part in [grid[block]]
            ]
        ),
        "unaccepted": parsed & ~reasoned.flat("accepted").any(axis=1),
        "fallback": voted < 0,
    }
    return flags | ({"solver": differing(grid, settings)} if grid.program_slots else {})


def close(votes: Ints, winners: Ints, programs: Ints, weight: float) -> Bools:
    """(Q,) whether one more vote for another letter would have drawn level with the winner.

    Each of the `votes` (Q, n) counts 1, each answer of `programs` (Q, m) counts `weight`.

    >>> votes, none = np.array([[0, 0, 0, 1, 1], [0, 0, 0, 1, -1], [0, -1, -1, -1, -1]]), np.full((3, 1), -1)
    >>> close(votes, np.array([0, 0, 0]), none, 1.0)
    array([ True, False, False])
    >>> close(votes, np.array([0, 0, 1]), np.array([[0], [1], [1]]), 1.5)
    array([False,  True,  True])
    """
    letters = range(int(max(votes.max(initial=0), programs.max(initial=0))) + 2)
    given, solved = ([np.count_nonzero(part == code, axis=1) for code in letters] for part in (votes, programs))
    counts = np.stack(given, axis=1) + weight * np.stack(solved, axis=1)
    question = np.arange(len(votes))
    own = counts[question, winners]
    counts[question, winners] = 0
    others = counts.max(axis=1)
    return (others > 0) & (own - others <= 1)


def chosen(
    ids: Sequence[str], flags: Mapping[str, Bools], limit: int = SHOWN, per_flag: int = PER_FLAG
) -> dict[str, list[str]]:
    """The questions to show, by id, with the flags of each: at most `limit`, which must be enough for all flags.

    `per_flag` with each flag, as far as there are so many, and others; both evenly from all.

    >>> chosen(list("abcdefghi"), {"wrong": np.arange(9) >= 6}, limit=4, per_flag=2)
    {'a': [], 'g': ['wrong'], 'h': ['wrong'], 'i': ['wrong']}
    """
    shown = np.zeros(len(ids), np.bool_)
    for holds in flags.values():
        shown[_evenly(np.flatnonzero(holds), per_flag)] = True
    shown[_evenly(np.flatnonzero(~shown), limit - int(shown.sum()))] = True
    return {ids[i]: [flag for flag, holds in flags.items() if holds[i]] for i in np.flatnonzero(shown)}


def _evenly(numbers: Ints, count: int) -> Ints:
    if len(numbers) <= count:
        return numbers
    return numbers[np.linspace(0, len(numbers) - 1, count).astype(np.int64)]
