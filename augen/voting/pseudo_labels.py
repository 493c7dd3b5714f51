"""Pseudo-labels: test questions whose vote is sure, each with texts that voted for its answer, as lessons.

After Lee 2013 (Pseudo-Label, ICML workshop on challenges in representation learning). Who learns from them is
transductive: it has seen the very questions that it is asked next.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from augen.core.arrays import Floats, Ints
from augen.entries import Entry, letter_of, question_id
from augen.voting.grid import SampleGrid
from augen.voting.samples import CODES, SampleFile, Samples, records_of, sample_of
from augen.voting.settings import VotingSettings
from augen.voting.vote import leaders

AUTHOR = "pseudo-label"


@dataclass(frozen=True)
class Voted:
    """A question's answer by the vote, and the surest texts that gave it: a reasoning, a program or both."""

    answer: str
    reasoning: str | None = None
    program: str | None = None


def winning_shares(grid: SampleGrid, settings: VotingSettings) -> tuple[Ints, Floats]:
    """``(winners, shares)``, both (Q,): the letter code that wins, -1 for none, and its share of all weighed votes."""
    totals, sums = grid.tallies(settings)
    votes = np.maximum(totals, 0)
    winners = leaders(totals, sums)
    won = votes[np.arange(len(votes)), np.maximum(winners, 0)]
    return winners, won / np.maximum(votes.sum(axis=1), 1)


def sure_answers(samples: Samples, settings: VotingSettings, certainty: float) -> dict[str, str]:
    """The answers of the questions whose winner has at least the share `certainty` of the votes."""
    winners, shares = winning_shares(SampleGrid.of(samples, settings), settings)
    sure = np.flatnonzero((winners >= 0) & (shares >= certainty))
    return {samples.ids[question]: letter_of(winners[question]) for question in sure}


def surest_texts(samples: Samples, file: SampleFile, answers: Mapping[str, str]) -> dict[str, Voted]:
    """Of each question in `answers` the texts that gave its answer and of which the generator was surest.

    An accepted one goes before a rejected one. `samples` are those that ``read_samples`` has read from `file`.
    """
    codes = np.array([CODES[answers.get(question)] for question in samples.ids])
    rows = samples.rows[(samples.rows["answer"] >= 0) & (samples.rows["answer"] == codes[samples.rows["question"]])]
    rows = rows[np.lexsort((-rows["logprob_rank"], ~rows["accepted"], rows["program"], rows["question"]))]
    _, surest = np.unique(np.stack([rows["question"], rows["program"]]), axis=1, return_index=True)
    found = map(sample_of, records_of(rows[surest], file))
    texts = {(sample.question, sample.mode): sample.text for sample in found}
    return {
        question: Voted(answer, *(texts.get((question, mode)) for mode in ("steps", "program")))
        for question, answer in answers.items()
    }


def pseudo_labelled(entries: Iterable[Entry], voted: Mapping[str, Voted]) -> Iterator[Entry]:
    """The `entries` with those of their questions alone that are in `voted`, solved as these say."""
    for entry in entries:
        solved = [
            replace(item, answer=own.answer, reasoning=own.reasoning, program=own.program, author=AUTHOR)
            for index, item in enumerate(entry.questions)
            if (own := voted.get(question_id(entry, index)))
        ]
        if solved:
            yield replace(entry, questions=solved)
