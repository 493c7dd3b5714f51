"""Lessons of a day: the first is given, and each other one directly follows another."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import Proved, Query, pick
from augen.puzzles.families.words import SUBJECTS
from augen.puzzles.solver import Proof, fact

_STEPS = "step(I,X) :- at(I,X)."
_LINES = (
    ("{a}的下一节是{b}。", "{b}的上一节是{a}。"),
    ("{a}的下一节是{b}。", "{b}紧跟在{a}后面。"),
    ("{a}的下一节是{b}。", "{b}的上一节是{a}。"),
    ("上完{a}上{b}。", "{b}之前是{a}。"),
    ("{a}后面接着{b}。", "{b}前面是{a}。"),
)  # from the earlier lesson and from the later one, by wording


@dataclass(frozen=True)
class Timetable(Proved):
    uses: ClassVar = "timetable"
    steps: ClassVar = _STEPS

    first: str
    after: tuple[tuple[str, str, bool], ...]  # (lesson, next lesson, whether it is stated from the later one)
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        lessons = pick(rng, SUBJECTS, min(3 + difficulty, len(SUBJECTS)))
        after = [(a, b, wording == 1 or (wording > 1 and rng.random() < 0.5)) for a, b in itertools.pairwise(lessons)]
        return cls(lessons[0], tuple(rng.sample(after, len(after))), wording)

    def problem(self) -> str:
        heads = ("第1节是{f}。", "今天先上{f}。", "课表上第1节写着{f}。", "一天的课从{f}开始。", "排在最前的课是{f}。")
        forward, backward = _LINES[self.wording]
        lines = [(backward if late else forward).format(a=a, b=b) for a, b, late in self.after]
        return heads[self.wording].format(f=self.first) + "\n" + "".join(lines)

    def facts(self) -> list[str]:
        return [fact("first", self.first), *(fact("after", a, b) for a, b, _ in self.after)]

    def queries(self) -> Iterator[Query]:
        lessons = [self.first, *(b for _, b, _ in self.after)]
        names, places = tuple(sorted(lessons)), tuple(str(i) for i in range(len(lessons), 0, -1))
        for i in range(2, len(lessons) + 1):
            ask = f"answer(X) :- at({i},X)."
            yield Query(f"第{i}节是什么课？", ask, self._listed, names, key=str(i))
        for x in names:
            if x != self.first:
                ask = f'answer(I) :- at(I,"{x}").'
                yield Query(f"{x}是第几节？", ask, self._listed, places, key=x)
        ask = "answer(X) :- last(X)."
        yield Query("最后一节是什么课？", ask, self._listed, names, key="last")

    def _listed(self, proof: Proof) -> str:
        return "顺序：" + "，".join(f"{i}{x}" for i, x in proof.steps) + "，无。"

    def changed(self, rng: Random) -> Self:
        """Two lessons swap places."""
        a, b = rng.sample([self.first, *(x for _, x, _ in self.after)], 2)
        swap = {a: b, b: a}
        after = tuple((swap.get(x, x), swap.get(y, y), late) for x, y, late in self.after)
        return replace(self, first=swap.get(self.first, self.first), after=after)
