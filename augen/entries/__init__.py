"""Problems with their questions, and one view of all questions.

``augen.entries.jsonl`` and ``augen.entries.pickles`` read and write them. Both classes stay defined here: their module
is part of every pickle.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

LETTERS = "ABCDEFGHIJ"
SOLVER = "solver"  # the author of a reasoning whose steps are proved
COPY = "~"  # stands in the id of a copy, behind that of its problem
TOGETHER = 20_000  # problems whose texts are asked for, and are in memory, together
FAMILY = re.compile(r".*_[0-9]{4,}_([a-z]+)", re.DOTALL)  # the id of a generated problem: any prefix, number, family


@dataclass
class QuestionItem:
    """One multiple-choice question; the letter of an option is its position: A, B, …"""

    question: str
    options: list[str]
    reasoning: str | None = None
    answer: str | None = None
    author: str | None = None
    program: str | None = None  # an answer-set program that states the question (augen.programs.language)


@dataclass
class Entry:
    """One problem and the questions that share its text."""

    problem: str = ""
    questions: list[QuestionItem] = field(default_factory=list)
    id: str = ""


@dataclass(frozen=True)
class Solution:
    """A reasoning that was written for a question: what a scorer judges."""

    problem: str
    question: QuestionItem
    reasoning: str


def letter_of(index: int) -> str:
    """The letter of the option at `index`: 0 → ``A``."""
    return LETTERS[index]


def question_id(entry: Entry, index: int) -> str:
    """``train_012#2`` for the second question (`index` 1) of the problem ``train_012``."""
    return f"{entry.id}#{index + 1}"


def origin(entry_id: str) -> str:
    """The id of the problem that a rewritten copy comes from: ``train_012~1`` → ``train_012``."""
    return entry_id.partition(COPY)[0]


def family_of(entry_id: str) -> str | None:
    """The puzzle family that the id of a generated problem, or of its copy, names; None for ids of other data.

    >>> family_of("7_0012_roads"), family_of("train_0012_roads~1"), family_of("round1_train_data_000")
    ('roads', 'roads', None)
    """
    match = FAMILY.fullmatch(origin(entry_id))
    return match[1] if match else None


@dataclass(frozen=True)
class Question:
    """A question with the problem that it belongs to. Every part that goes through questions goes through these."""

    id: str  # train_012#2
    problem_id: str
    problem: str
    item: QuestionItem
    split: str = ""  # dev or test, where that matters

    @property
    def origin(self) -> str:
        """The id of the problem that this one was rewritten from, or its own."""
        return origin(self.problem_id)


def questions(entries: Iterable[Entry], split: str = "") -> list[Question]:
    """All questions of `entries`, in order.

    >>> [q.id for q in questions([Entry("甲比乙高。", [QuestionItem("谁高？", ["甲", "乙"])], "train_012")])]
    ['train_012#1']
    """
    return [
        Question(question_id(entry, i), entry.id, entry.problem, item, split)
        for entry in entries
        for i, item in enumerate(entry.questions)
    ]


def with_items(entries: Iterable[Entry], change: Callable[[Question], QuestionItem]) -> list[Entry]:
    """`entries` with each question replaced by what `change` makes of it; the input is not changed."""
    return [replace(entry, questions=[change(question) for question in questions([entry])]) for entry in entries]


def in_blocks(entries: Iterable[Entry], size: int = TOGETHER) -> Iterator[list[Entry]]:
    """`entries` in lists of `size`, the last one shorter."""
    left = iter(entries)
    return iter(lambda: list(islice(left, size)), [])


def counted(name: str, entries: Iterable[Entry], counts: dict[str, tuple[int, int]]) -> Iterator[Entry]:
    """`entries` as they come; when they end, ``counts[name]`` has the number of problems and that of questions.

    >>> solved = list(counted("dev", [Entry("甲比乙高。", [QuestionItem("谁高？", ["甲", "乙"])])], counts := {}))
    >>> counts
    {'dev': (1, 1)}
    """
    problems = asked = 0
    for entry in entries:
        problems, asked = problems + 1, asked + len(entry.questions)
        yield entry
    counts[name] = problems, asked
