"""Whether votes should see one question in several ways, by the models of ``dvc repro``: make bench PART=views

Votes of one prompt make the same mistakes together. Five reasonings for each dev question, each of the same text, are
compared with five of which each sees another view of the puzzle, which has the same answer:

premises   the sentences of the problem in another order, where order does not matter
names      people, fruit and other names exchanged for one another, in problem, question and options
both       both

It prints one sample's accuracy and that of the vote, and the difference to votes of the same text, with one standard
error clustered by problem. Such views are known for the puzzles made here, and for real texts they are not: which
sentences may change places, and what is a name? So this is a measurement and no part of the pipeline. Samples stay in
the response store. Takes about eight minutes of one core.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import numpy as np
from tabulate import tabulate

from augen.core.run import no_arguments
from augen.entries import Question, questions
from augen.entries.jsonl import read_jsonl
from augen.metrics.stats import cluster_mean, paired_difference, with_error
from augen.puzzles.families import words
from augen.voting.grid import SampleGrid
from augen.voting.samples import dev_questions
from benchmarks.solver import Bench

VOTERS = 5
NAMES = (*words.PERSON_POOLS, words.FRUIT, words.SPORTS, words.PLACES, words.SUBJECTS, words.SYMPTOMS, words.DRUGS)

View = Callable[[Question, Random], Question]


def same(question: Question, rng: Random) -> Question:
    return question


def premises(question: Question, rng: Random) -> Question:
    """The sentences of the last line in another order; numbered steps stay as they are.

    >>> from augen.entries import QuestionItem
    >>> question = Question("p#1", "p", "一家人：\\n甲是乙的爸爸。乙是丙的妈妈。", QuestionItem("？", []))
    >>> premises(question, Random(1)).problem
    '一家人：\\n乙是丙的妈妈。甲是乙的爸爸。'
    """
    head, line, last = question.problem.rpartition("\n")
    if re.match(r"1\.", last):
        return question
    sentences = re.findall("[^。]+。", last)
    rng.shuffle(sentences)
    return replace(question, problem=head + line + "".join(sentences))


def names(question: Question, rng: Random) -> Question:
    """The names of each kind that the problem has, exchanged for one another.

    >>> from augen.entries import QuestionItem
    >>> question = Question("p#1", "p", "甲比乙高。", QuestionItem("谁最高？", ["甲", "乙"]))
    >>> found = names(question, Random(0))
    >>> found.problem, found.item.options
    ('乙比甲高。', ['乙', '甲'])
    """
    item = question.item
    text = "\n".join([question.problem, item.question, *item.options])
    other: dict[str, str] = {}
    for pool in NAMES:
        found = [name for name in pool if name in text]
        other |= dict(zip(found, rng.sample(found, len(found)), strict=True))
    if not other:
        return question
    known = re.compile("|".join(sorted(map(re.escape, other), key=len, reverse=True)))

    def exchanged(part: str) -> str:
        return known.sub(lambda match: other[match[0]], part)

    options = [exchanged(option) for option in item.options]
    changed = replace(item, question=exchanged(item.question), options=options)
    return replace(question, problem=exchanged(question.problem), item=changed)


def both(question: Question, rng: Random) -> Question:
    return names(premises(question, rng), rng)


VIEWS: dict[str, View] = {"the same text": same, "premises": premises, "names": names, "both": both}


def drawn(bench: Bench, asked: Sequence[Question], view: View) -> SampleGrid:
    """`VOTERS` reasonings for each question, each of a view of its own."""
    grids = [
        bench.drawn([seen(question, view, slot) for question in asked], 0, 1, adapter=True).grid
        for slot in range(1, VOTERS + 1)
    ]
    arrays = {
        name: np.concatenate([getattr(grid, name) for grid in grids], axis=1)
        for name in ("answers", "weights", "ranks", "accepted", "drawn")
    }
    return SampleGrid(**arrays)


def seen(question: Question, view: View, slot: int) -> Question:
    """The view of `question` in `slot`; its random choices, and the seed of its sample, depend on both alone."""
    changed = view(question, Random(f"view {question.id} {slot}"))
    return replace(changed, id=f"{question.id}/{slot}")


def main() -> None:
    bench = Bench()
    dev = read_jsonl("data/dev.jsonl", answers="required")
    asked, known = questions(dev, "dev"), dev_questions(dev)
    settings = replace(bench.settings, programs=0, voters=VOTERS)
    rows, first = [], None
    for name, view in VIEWS.items():
        grid = drawn(bench, asked, view)
        single = (grid.answers[:, :, 0] == known.truth[:, None]).mean(axis=1)
        row = [name, with_error(cluster_mean(single, known.clusters))]
        right = {
            method: np.asarray(grid.voted(replace(settings, method=method)) == known.truth, dtype=np.float64)
            for method in ("majority", "likelihood")
        }
        first = first or right
        for method, each in right.items():
            row.append(with_error(cluster_mean(each, known.clusters)))
            apart = paired_difference(each, first[method], known.clusters)
            row.append("" if first is right else with_error(apart, "+"))
        rows.append(row)
    print(f"\n{len(asked):,} dev questions, {VOTERS} reasonings each")
    print(tabulate(rows, ["votes see", "one sample", "majority", "difference", "likelihood", "difference"]))


if __name__ == "__main__":
    no_arguments(main)
    main()
