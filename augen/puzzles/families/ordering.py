"""People in order of some quality; only neighbours are compared, in shuffled order."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import NO, YES, Proved, Query, pick, pool, yes, yes_no
from augen.puzzles.families.words import PERSON_POOLS
from augen.puzzles.solver import Proof, fact

QUALITIES = (("高", "矮"), ("重", "轻"), ("快", "慢"), ("早", "晚"))
_TOP_DOWN = "step(P,X) :- pos(X,P)."
_LINES = (
    ("{a}比{b}{more}。", "{b}比{a}{less}。"),
    ("{a}{more}于{b}。", "{b}{less}于{a}。"),
    ("{a}比{b}{more}。", "{b}比{a}{less}。"),
    ("{a}要{more}过{b}。", "{b}不如{a}{more}。"),
    ("跟{b}相比{a}更{more}。", "跟{a}相比{b}更{less}。"),
)  # from the upper one and from the lower one, by wording


@dataclass(frozen=True)
class Ordering(Proved):
    uses: ClassVar = "ordering"
    steps: ClassVar = _TOP_DOWN

    people: tuple[str, ...]
    over: tuple[tuple[str, str, bool], ...]  # (upper, lower, whether it is stated from the lower one)
    quality: int
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        people = pick(rng, pool(rng, *PERSON_POOLS), 2 + difficulty)
        over = [(a, b, wording > 1 and rng.random() < 0.5) for a, b in itertools.pairwise(people)]
        return cls(people, tuple(rng.sample(over, len(over))), rng.randrange(len(QUALITIES)), wording)

    def problem(self) -> str:
        more, less = QUALITIES[self.quality]
        heads = (
            "{n}个人比较。",
            "有{n}个人，已知：",
            "关于{n}个人，只知道下面的事：",
            "{n}个人两两相比：",
            "{n}个人里：",
        )
        forward, backward = _LINES[self.wording]
        lines = [(backward if below else forward).format(a=a, b=b, more=more, less=less) for a, b, below in self.over]
        return heads[self.wording].format(n=len(self.people)) + "\n" + "".join(lines)

    def facts(self) -> list[str]:
        return [fact("over", a, b) for a, b, _ in self.over]

    def queries(self) -> Iterator[Query]:
        more, less = QUALITIES[self.quality]
        n = len(self.people)
        names = tuple(sorted(self.people))
        yield self._ranked(f"谁最{more}？", 1, names)
        yield self._ranked(f"谁最{less}？", n, names)
        yield from (self._ranked(f"谁第{k}{more}？", k, names) for k in range(2, n))
        for a, b in itertools.pairwise(names):
            goal, write = f'above("{a}","{b}")', partial(self._compared, a, b)
            yield Query(f"{a}比{b}{more}吗？", yes_no(goal), write, (YES, NO), key=f"{a}?{b}", ask=yes(goal))

    def _ranked(self, text: str, rank: int, names: tuple[str, ...]) -> Query:
        ask = f"answer(X) :- pos(X,{rank})." if rank < len(names) else "answer(X) :- last(X)."
        return Query(text, ask, lambda proof: self._chain(proof) + f"\n第{rank}。", names, key=str(rank))

    def _chain(self, proof: Proof) -> str:
        """Restate the facts in one form, climb from the first name, then walk down, counting."""
        upper = {b: a for a, b, _ in self.over}
        climb = [self.over[0][0]]
        while climb[-1] in upper:
            climb.append(upper[climb[-1]])
        facts = "，".join(f"{a}>{b}" for a, b, _ in self.over)
        down = "，".join(f"{i}{x}" for i, x in proof.steps)
        return f"关系：{facts}。\n往上：{'<'.join(climb)}<无。\n往下：{down}，无。"

    def _compared(self, a: str, b: str, proof: Proof) -> str:
        place = {str(x): int(i) for i, x in proof.steps}
        sign = "<" if place[a] < place[b] else ">"
        return f"{self._chain(proof)}\n{a}是{place[a]}，{b}是{place[b]}，{place[a]}{sign}{place[b]}。"

    def changed(self, rng: Random) -> Self:
        """Two people swap places."""
        a, b = rng.sample(self.people, 2)
        swap = {a: b, b: a}
        over = tuple((swap.get(x, x), swap.get(y, y), below) for x, y, below in self.over)
        return replace(self, over=over)
