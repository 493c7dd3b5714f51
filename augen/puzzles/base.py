"""What every family of puzzles shares: worlds, queries, and how both become labelled questions.

A `World` is the puzzle as data. It states itself twice, as Chinese text and as a program for the solver, and
lists the `Query`s that can be asked of it. The reasoning is written from the solver's steps, one look-up or one
copy at a time, and ends with ``答案是：X``.

A *wrong* reasoning is the right reasoning of a slightly different world: one fact is changed until the same
query has the wanted wrong answer. It is coherent and false, and only who reads the problem can see where. There
is none where no small change leads to that answer.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol, Self, TypeVar

from augen.entries import Entry, QuestionItem, letter_of
from augen.prompts.sections import answer_line
from augen.puzzles.solver import NotProved, Proof, Value, prove

T = TypeVar("T")
AUTHOR = "solver"
YES, NO = "是", "否"


@dataclass(frozen=True)
class Query:
    """One question about a world: its text, the rules that answer it, how its steps are written, its distractors."""

    text: str
    rules: str
    write: Callable[[Proof], str]  # the solver's proof as lines of reasoning, without the answer
    distractors: tuple[str, ...]  # wrong values, nearest misses first; some may equal the answer and are left out
    value: Callable[[Value], str] = str  # the solver's answer as it stands in the options
    key: str = ""  # names the same query in a changed world
    most: int = 3  # distractors at most


class World(Protocol):
    """A puzzle as data. `difficulty` counts from 1; `wording` picks among the phrasings of the family."""

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self: ...
    def problem(self) -> str: ...
    def program(self) -> str: ...
    def queries(self) -> Iterable[Query]: ...
    def changed(self, rng: Random) -> Self: ...


@dataclass(frozen=True)
class Puzzle:
    """A world with the questions that were asked of it; ``queries[i]`` is what ``entry.questions[i]`` asks."""

    world: World
    queries: tuple[Query, ...]
    entry: Entry

    def wrong_reasoning(self, index: int, letter: str, rng: Random, tries: int = 24) -> str | None:
        """A coherent reasoning that leads question `index` to the wrong option `letter`; None if `tries` gave none."""
        item = self.entry.questions[index]
        wanted = item.options[ord(letter) - ord("A")]
        for _ in range(tries):
            other = self.world.changed(rng)
            query = next((q for q in other.queries() if q.key == self.queries[index].key), None)
            if query is None:
                continue
            try:
                proof = prove(other.program() + query.rules)
            except NotProved:
                continue
            if query.value(proof.answer) == wanted:
                return _reasoning(query.write(proof), wanted, letter)
        return None


def _reasoning(steps: str, value: str, letter: str) -> str:
    return f"{steps}\n所以：{value}，选{letter}。\n{answer_line(letter)}"


def pose(world: World, rng: Random, questions: int, entry_id: str) -> Puzzle:
    """Ask up to `questions` provable queries of `world`; NotProved if there is none.

    Options are the answer and 1 to `Query.most` distractors in random order, so that letters are uniform.
    """
    items: list[QuestionItem] = []
    asked: list[Query] = []
    queries = list(world.queries())
    rng.shuffle(queries)
    for query in queries:
        if len(items) == questions:
            break
        try:
            proof = prove(world.program() + query.rules)
        except NotProved:
            continue
        answer = query.value(proof.answer)
        wrong = [d for d in dict.fromkeys(query.distractors) if d != answer][: query.most]
        if not wrong:
            continue
        options = rng.sample([answer, *wrong], 1 + len(wrong))
        letter = letter_of(options.index(answer))
        items.append(QuestionItem(query.text, options, _reasoning(query.write(proof), answer, letter), letter, AUTHOR))
        asked.append(query)
    if not items:
        raise NotProved("no query of this world has one proven answer")
    return Puzzle(world, tuple(asked), Entry(world.problem(), items, entry_id))


def yes_no(goal: str) -> str:
    """Rules that answer 是 where `goal` holds and 否 where it cannot be derived (closed world)."""
    return f'answer("{YES}") :- {goal}. answer("{NO}") :- not {goal}.'


def around(number: int, key: str, others: Iterable[int] | None = None, count: int = 4) -> tuple[str, ...]:
    """`count` numbers with `number` among them, the nearest first; its rank among them depends on `key`.

    So the right one is not always in the middle, where a guess would look for it. The others are its neighbours in
    `others`, or else among the whole numbers from 0 on.

    >>> around(3, "a")
    ('3', '4', '2', '5')
    >>> around(24, "a", [6, 120, 720, 2])
    ('24', '6', '120', '720')
    """
    row = sorted({number, *(range(max(0, number - count), number + count + 1) if others is None else others)})
    first = max(0, min(row.index(number) - sum(map(ord, key)) % count, len(row) - count))
    return tuple(str(n) for n in sorted(row[first : first + count], key=lambda n: (abs(n - number), -n)))


def put(items: tuple[T, ...], i: int, item: T) -> tuple[T, ...]:
    """`items` with another `item` at place `i`."""
    return (*items[:i], item, *items[i + 1 :])


def nth(texts: Sequence[str], number: Value) -> str:
    """The text that an answer stands for, where it is the number of one."""
    return texts[int(number)]


def listed(names: Iterable[str]) -> str:
    """``甲、乙``, or 无 for none."""
    return "、".join(names) or "无"


def numbered(names: Iterable[str]) -> str:
    """``1甲，2乙``, or 无 for none: counted one by one."""
    return "，".join(f"{i}{name}" for i, name in enumerate(names, start=1)) or "无"


def pick(rng: Random, pool: Sequence[str], count: int) -> tuple[str, ...]:
    return tuple(rng.sample(list(pool), count))


def pool(rng: Random, *pools: Sequence[str]) -> Sequence[str]:
    """One of several name pools: a puzzle never mixes them."""
    return pools[rng.randrange(len(pools))]
