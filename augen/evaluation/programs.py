"""What programs are worth on the dev questions: how often they answer, how often rightly, why they abstain.

Shapes: Q questions; letters are codes (0 for A), -1 where no program has an answer.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from augen.core.arrays import Bools, Floats, Ints
from augen.metrics.stats import cluster_mean, numbered
from augen.programs.language import CAUSES
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions, SampleFile, Samples, records_of
from augen.voting.settings import VotingSettings
from augen.voting.vote import SCORE_UNITS, blocks, winners
from augen.voting.weights import Weight, read_weight

MEANINGS = {  # of the causes of abstention, in the order in which a program meets them
    "refused": "the provider refused to write it",
    "cut": "its text reached infer.program_max_tokens before it ended",
    **{cause: meaning for cause, meaning in CAUSES.items() if cause != "cut"},
}


SHARES = {  # of the numbers about programs, what each is a share of
    "coverage": "questions with at least one program that answers",
    "answered": "first programs of a slot that answer",
    "answered_with_redraws": "slots with an answer after all redraws",
    "precision": "right answers, of the first programs that answer",
    "vote_precision": "right winners, of the questions whose programs answer",
    "accuracy": "questions that programs alone get right, by majority",
}
CUT_SHORT = (
    "infer.adaptive draws programs first and ends a question that they settle. So the reasonings are no fair sample of "
    "the questions, and rows, curves and comparisons that need one are left out."
)


@dataclass(frozen=True)
class Programs:
    """What is known of a run's programs beside their answers: what one weighs, and why those for dev abstained."""

    weight: Weight
    abstentions: Mapping[str, int]


def programs_of(samples: Samples, file: SampleFile, weight: Path) -> Programs | None:
    """What `infer` wrote: `samples` in `file`, what a program weighs in the file `weight`. None without slots."""
    if not file.settings.programs:
        return None
    return Programs(read_weight(replace(file, path=weight)), abstentions(samples, file))


def abstentions(samples: Samples, file: SampleFile) -> dict[str, int]:
    """How many programs of `samples` abstained for each cause, the most frequent first.

    Raises AugenError where the `file` of the samples has an abstention without cause.
    """
    counts = Counter[str]()
    rows = samples.programs.rows
    for row in records_of(rows[rows["answer"] < 0], file):
        if not isinstance(row.get("cause"), str):
            where = f"{row['question']}, program slot {row['slot']}, round {row['round']}"
            raise file.fault([f"{where}: a program has neither answer nor cause"])
        counts[row["cause"]] += 1
    return dict(sorted(counts.items(), key=lambda counted: (-counted[1], counted[0])))


def cut_short(grid: SampleGrid, settings: VotingSettings) -> bool:
    """Whether programs had a say in how many reasonings were drawn.

    They come first, and with `adaptive` they may settle a question. The reasonings of the questions are then no fair
    sample: the harder a question is for programs, the more it has.
    """
    return settings.adaptive and bool(grid.programs.drawn.any())


def program_winners(grid: SampleGrid) -> Ints:
    """(Q,) what most programs of each question answer; of several letters the first, -1 where none answers."""
    programs = grid.programs
    return winners(programs.flat("answers"), programs.flat("weights"), "majority")


def differing(grid: SampleGrid, settings: VotingSettings) -> Bools:
    """(Q,) whether programs and reasonings, each by themselves, have different winners."""
    programs, reasoned = program_winners(grid), grid.steps.voted(settings)
    return np.asarray((programs >= 0) & (reasoned >= 0) & (programs != reasoned))


def program_numbers(
    grid: SampleGrid, samples: Samples, questions: DevQuestions, settings: VotingSettings, programs: Programs
) -> dict[str, Any]:
    """The numbers of reports/metrics.json about the programs among the dev `samples`, which are those of `grid`.

    Numbers that the samples do not tell are left out: see `_one` and `_vote`.
    """
    own, weight = samples.programs, programs.weight
    covered = np.asarray((grid.programs.flat("answers") >= 0).any(axis=1), dtype=np.float64)
    answered = own.rows["answer"] >= 0
    right = int(np.count_nonzero(own.right(questions.truth)))
    return {
        "slots": settings.programs,
        "samples_per_question": own.per_question,
        "tokens_per_question": own.tokens_per_question,
        "weight": weight.program,
        "reasoning_weight": _reasoning_weight(grid, settings),
        "weight_source": weight.source,
        "weight_questions": weight.questions,
        **numbered("coverage", cluster_mean(covered, questions.clusters)),
        **_one(grid.programs, questions),
        **({} if cut_short(grid, settings) else _vote(grid, questions, settings)),
        "answers": {"right": right, "wrong": int(np.count_nonzero(answered)) - right},
        "abstentions": dict(programs.abstentions),
    }


def _reasoning_weight(grid: SampleGrid, settings: VotingSettings) -> float:
    """What a reasoning that votes weighs on average: 1 where heads are counted, less by likelihood or by score."""
    if settings.method == "majority":
        return 1.0
    weight = count = 0
    for block in blocks(len(grid.drawn)):
        part = grid[block]
        voting = part.votes >= 0
        weight += int(part.steps.weighed(settings.method)[voting].sum())
        count += int(np.count_nonzero(voting))
    return weight / count / SCORE_UNITS if count else 1.0


def _one(grid: SampleGrid, questions: DevQuestions) -> dict[str, float]:
    """What one slot does, of those that every question has: how often it answers, and how often that is right.

    ``answered`` and ``precision`` are those of its first program, ``answered_with_redraws`` is the share of slots with
    an answer at the end: left out where one was closed without an answer before its last redraw.
    """
    first = grid.common
    slots = first.answers.shape[1]
    if not slots:
        return {}
    found = first.answers[:, :, 0] >= 0
    numbers = numbered("answered", cluster_mean(np.asarray(found.mean(axis=1)), questions.clusters))
    ended = (grid.answers[:, :slots] >= 0).any(axis=2)
    if (ended | grid.drawn[:, :slots, -1]).all():
        numbers |= numbered("answered_with_redraws", cluster_mean(np.asarray(ended.mean(axis=1)), questions.clusters))
    right = first.answers[:, :, 0] == questions.truth[:, None]
    question = np.nonzero(found)[0]
    return numbers | _precision("precision", right[found], questions.clusters[question])


def _vote(grid: SampleGrid, questions: DevQuestions, settings: VotingSettings) -> dict[str, Any]:
    """What most programs of a question answer, alone and where the reasonings' winner is another."""
    programs, reasoned, truth = program_winners(grid), grid.steps.voted(settings), questions.truth
    right, covered, differ = programs == truth, programs >= 0, differing(grid, settings)
    programs_right, reasonings_right = (int(np.count_nonzero(differ & (won == truth))) for won in (programs, reasoned))
    return {
        **_precision("vote_precision", right[covered], questions.clusters[covered]),
        **numbered("accuracy", cluster_mean(right.astype(np.float64), questions.clusters)),
        "disagreements": {
            "questions": int(np.count_nonzero(differ)),
            "programs_right": programs_right,
            "reasonings_right": reasonings_right,
            "neither_right": int(np.count_nonzero(differ)) - programs_right - reasonings_right,
        },
    }


def _precision(name: str, right: Bools | Floats, clusters: Ints) -> dict[str, float]:
    """The share of right answers, each of the problem in `clusters`; nothing where there is no answer."""
    return numbered(name, cluster_mean(np.asarray(right, dtype=np.float64), clusters)) if len(right) else {}


def program_sentences(programs: Mapping[str, Any]) -> list[str]:
    """What one program weighs, and what comes of disagreements; `programs` is as in reports/metrics.json."""
    source = {
        "learned": f"learned from {programs['weight_questions']:,} held-out questions",
        "given": "infer.program_weight",
        "assumed": "a guess: no question was held out to learn it from",
    }[programs["weight_source"]]
    reasoning = f"a reasoning {programs['reasoning_weight']:.2g}" + " on average" * (programs["reasoning_weight"] != 1)
    weight = f"A program weighs {programs['weight']:g} votes ({source}), {reasoning}."
    if not (found := programs.get("disagreements")):
        return [weight, CUT_SHORT]
    return [
        weight,
        f"Programs and reasonings, each by themselves, have different winners for {found['questions']:,} questions:",
        f"the programs are right on {found['programs_right']:,} of these, the reasonings on "
        f"{found['reasonings_right']:,}, neither on {found['neither_right']:,}.",
    ]
