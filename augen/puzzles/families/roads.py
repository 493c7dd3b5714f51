"""One-way roads between places; which places can be reached."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import NO, YES, Proved, Query, among, listed, pick, pool, put, yes, yes_no
from augen.puzzles.families.words import PLACES, STEMS
from augen.puzzles.solver import Proof, fact

_SEARCH = """
near(S,S,0) :- start(S).
near(S,Y,D+1) :- near(S,X,D), road(X,Y), not nearer(S,Y,D+1), D < 10.
nearer(S,Y,D) :- near(S,Y,E), D = E+1..11.
step(D,X) :- near(_,X,D).
"""


@dataclass(frozen=True)
class Roads(Proved):
    uses: ClassVar = "roads"
    steps: ClassVar = _SEARCH

    places: tuple[str, ...]
    roads: tuple[tuple[str, str], ...]
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        places = pick(rng, pool(rng, PLACES, STEMS), min(4 + difficulty, 8))
        roads: set[tuple[str, str]] = set()
        for i in range(1, len(places)):
            if rng.random() < 0.75:
                roads.add((places[rng.randrange(max(0, i - 2), i)], places[i]))
        for _ in range(difficulty // 2):
            a, b = sorted(rng.sample(range(len(places)), 2))
            roads.add((places[a], places[b]))
        return cls(places, tuple(rng.sample(sorted(roads), len(roads))), wording)

    def problem(self) -> str:
        line = (
            "{a}到{b}有路。",
            "从{a}可以到{b}。",
            "有一条单行路从{a}通往{b}。",
            "{a}有路去{b}。",
            "{b}可由{a}直达。",
        )[self.wording]
        head = (
            "道路都是单行的：",
            "一张图上的单向道路：",
            "没有提到的路都不存在。",
            "下面的路只能单向走：",
            "每条路都不能回头：",
        )[self.wording]
        return head + "\n" + "".join(line.format(a=a, b=b) for a, b in self.roads)

    def facts(self) -> list[str]:
        return [fact("road", *road) for road in self.roads]

    def queries(self) -> Iterator[Query]:
        for start in self.places:
            order = self._breadth_first(start)
            if len(order) < 2:
                continue
            begin = fact("start", start)
            outside = tuple(x for x in sorted(self.places) if x not in order)
            for goal in order[1:]:
                if outside:
                    offered = (*outside[:3], goal)
                    rules, ask = begin + among(offered, f'reach("{start}",X)'), f'answer(X) :- reach("{start}",X).'
                    text = f"从{start}能到下面哪里？"
                    yield Query(text, rules, self._searched, offered, key=f"{start}:{goal}", ask=ask)
            for goal in (*order[2:], *outside[:2]):
                there, write = f'reach("{start}","{goal}")', partial(self._looked_for, goal)
                text, rules = f"从{start}能到{goal}吗？", begin + yes_no(there)
                yield Query(text, rules, write, (YES, NO), key=f"{start}?{goal}", ask=yes(there))

    def _breadth_first(self, start: str) -> list[str]:
        """Places reached from `start`, in breadth-first order."""
        order = [start]
        for here in order:
            order += [b for a, b in self.roads if a == here and b not in order]
        return order

    def _searched(self, proof: Proof) -> str:
        """Each place that the solver reached, level by level, with the ends of its roads."""
        met = {str(place) for _, place in proof.steps}
        start = str(proof.steps[0][1])
        lines = []
        for here in (x for x in self._breadth_first(start) if x in met):
            onward = [b for a, b in self.roads if a == here]
            lines.append(f"{here}→{listed(onward)}")
        return "；".join(lines) + "。"

    def _looked_for(self, goal: str, proof: Proof) -> str:
        met = goal in {place for _, place in proof.steps}
        return f"{self._searched(proof)}\n{'有' if met else '没有'}{goal}。"

    def changed(self, rng: Random) -> Self:
        """One road leads elsewhere."""
        i = rng.randrange(len(self.roads))
        start = self.roads[i][0]
        road = (start, rng.choice([x for x in self.places if x != start]))
        return replace(self, roads=tuple(dict.fromkeys(put(self.roads, i, road))))
