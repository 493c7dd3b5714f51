"""Shared by all families of puzzles: worlds, queries, and how these become labelled questions.

A `World` is the puzzle as data. It writes itself as Chinese text and as a program for the solver, and lists the
queries that can be asked about it. The reasoning is written from the solver's steps, each of which looks up or copies
one thing, and ends with ``答案是：X``.

A *wrong* reasoning is the right reasoning of a slightly different world: one fact is changed until the same query has
the wanted wrong answer. The result is coherent but false, and only a reader who compares it with the problem can see
where. If no small change leads to the wanted answer, there is no wrong reasoning for it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Protocol, Self, TypeVar

from augen.entries import SOLVER, Entry, QuestionItem, letter_of
from augen.programs.library import module, rules_of
from augen.prompts.sections import answer_line
from augen.puzzles.solver import NotProved, Proof, Value, fact, prove

T = TypeVar("T")
YES, NO = "是", "否"


@dataclass(frozen=True)
class Query:
    """One question about a world: its text, the rules that answer it, its steps as text, and its distractors.

    `rules` prove the answer and give its steps. `ask` is the question as a program asks it (`augen.programs.language`),
    without anything that only the steps need; given as a function, it depends on the options, such as ``pick(a)``.
    """

    text: str
    rules: str
    write: Callable[[Proof], str]  # the solver's proof as lines of reasoning, without the answer
    distractors: tuple[str, ...]  # wrong options, nearest misses first; those equal to the answer are left out
    value: Callable[[Value], str] = str  # from the solver's answer to the text of the option
    key: str = ""  # identifies the same query in a changed world
    most: int = 3  # distractors at most
    ask: str | Callable[[Sequence[str]], str] = ""  # by default the rules


class World(Protocol):
    """A puzzle as data. `difficulty` starts at 1; `wording` chooses one of the phrasings of the family.

    ``program()`` is ``facts()``, the rules of the module of `augen.programs.library` that the family `uses`, and what
    the steps of its reasonings need.
    """

    uses: ClassVar[str]

    @property
    def wording(self) -> int: ...
    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self: ...
    def problem(self) -> str: ...
    def facts(self) -> list[str]: ...
    def program(self) -> str: ...
    def queries(self) -> Iterable[Query]: ...
    def changed(self, rng: Random) -> Self: ...


class Proved:
    """A world's program: facts, the rules of the module that it `uses`, and what only the steps of reasonings need."""

    uses: ClassVar[str]
    steps: ClassVar[str] = ""

    def facts(self) -> list[str]:
        raise NotImplementedError

    def program(self) -> str:
        return "".join(self.facts()) + module(self.uses) + self.steps


@dataclass(frozen=True)
class Puzzle:
    """A world and the questions asked about it; ``queries[i]`` is the query of ``entry.questions[i]``."""

    world: World
    queries: tuple[Query, ...]
    entry: Entry

    def program(self, index: int, library: bool = True) -> str:
        """The program of question `index`: facts in the order of the text, then the question.

        Its rules are taken in from the library, or with ``library=False`` written out.
        """
        query, options = self.queries[index], self.entry.questions[index].options
        ask = query.ask or query.rules
        uses = self.world.uses
        lines = [*self.world.facts(), ask if isinstance(ask, str) else ask(options)]
        return "\n".join([f"#use {uses}.", *lines] if library else [rules_of(uses), *lines])

    def wrong_reasoning(self, index: int, letter: str, rng: Random, tries: int = 24) -> str | None:
        """A coherent reasoning that leads to the wrong option `letter`, or None if `tries` changed worlds give none."""
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
    """Ask up to `questions` provable queries about `world`; raises NotProved if there are none.

    The options are the answer and 1 to `Query.most` distractors in random order, so that letters are uniform.
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
        items.append(QuestionItem(query.text, options, _reasoning(query.write(proof), answer, letter), letter, SOLVER))
        asked.append(query)
    if not items:
        raise NotProved("no query of this world has one proven answer")
    return Puzzle(world, tuple(asked), Entry(world.problem(), items, entry_id))


def yes(goal: str) -> str:
    """The question whether `goal` holds, as a program asks it."""
    return f"yes :- {goal}."


def picks(goals: Mapping[str, str], options: Sequence[str]) -> str:
    """The question which of the `options` holds, as a program asks it; `goals` has the goal of each."""
    return "\n".join(f"pick({letter}) :- {goals[option]}." for letter, option in lettered(options))


def lettered(options: Sequence[T]) -> list[tuple[str, T]]:
    """The letter of each option, as programs name it, and the option.

    >>> lettered(("是", "否"))
    [('a', '是'), ('b', '否')]
    """
    return [(letter_of(i).lower(), option) for i, option in enumerate(options)]


def spelled(name: str | int, words: Sequence[str]) -> str:
    """The facts that the text called `name` has these `words`.

    >>> spelled("a", ("to", "be"))
    'text(a,1,"to"). text(a,2,"be").'
    """
    return " ".join(f'text({name},{i},"{word}").' for i, word in enumerate(words, start=1))


def among(offered: Iterable[str], goal: str) -> str:
    """Rules that answer with the `offered` X for which `goal` holds."""
    return "".join(fact("offered", x) for x in offered) + f"answer(X) :- {goal}, offered(X)."


def yes_no(goal: str) -> str:
    """Rules that answer 是 if `goal` holds and 否 if it cannot be derived (closed world)."""
    return f'answer("{YES}") :- {goal}. answer("{NO}") :- not {goal}.'


def around(number: int, key: str, others: Iterable[int] | None = None, count: int = 4) -> tuple[str, ...]:
    """`count` numbers that include `number`, the nearest to it first.

    The rank of `number` by size depends on `key`; otherwise one could guess that the middle option is right. The
    other numbers are its neighbours among `others`, or by default among the whole numbers from 0 on.

    >>> around(3, "a")
    ('3', '4', '2', '5')
    >>> around(24, "a", [6, 120, 720, 2])
    ('24', '6', '120', '720')
    """
    row = sorted({number, *(range(max(0, number - count), number + count + 1) if others is None else others)})
    first = max(0, min(row.index(number) - sum(map(ord, key)) % count, len(row) - count))
    return tuple(str(n) for n in sorted(row[first : first + count], key=lambda n: (abs(n - number), -n)))


def put(items: tuple[T, ...], i: int, item: T) -> tuple[T, ...]:
    """`items` with `item` at position `i`."""
    return (*items[:i], item, *items[i + 1 :])


def nth(texts: Sequence[str], number: Value) -> str:
    """The option of a query whose answer is the `number` of an option."""
    return texts[int(number)]


def listed(names: Iterable[str]) -> str:
    """``甲、乙``; 无 if there are no names."""
    return "、".join(names) or "无"


def numbered(names: Iterable[str]) -> str:
    """``1甲，2乙``; 无 if there are no names."""
    return "，".join(f"{i}{name}" for i, name in enumerate(names, start=1)) or "无"


def pick(rng: Random, pool: Sequence[str], count: int) -> tuple[str, ...]:
    return tuple(rng.sample(list(pool), count))


def pool(rng: Random, *pools: Sequence[str]) -> Sequence[str]:
    """One of several pools of names; a puzzle never mixes them."""
    return pools[rng.randrange(len(pools))]
