"""Roads in both directions with tolls: the cheapest way from place to place."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import NO, YES, Proved, Query, around, pick, pool, put, yes, yes_no
from augen.puzzles.solver import Proof, fact

TOWNS = ("青城", "白城", "红城", "黑城", "金城", "银城", "新城", "古城")
STATIONS = ("Arden", "Brook", "Calder", "Dover", "Elm", "Ford", "Grove", "Heath")
_STEPS = "step(C,Y,X) :- cost(Y,C), X = #min{Z : before(Y,Z)}, before(Y,_)."


@dataclass(frozen=True)
class Tolls(Proved):
    uses: ClassVar = "tolls"
    steps: ClassVar = _STEPS

    places: tuple[str, ...]
    roads: tuple[tuple[str, str, int], ...]
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        places = pick(rng, pool(rng, TOWNS, STATIONS), min(4 + (difficulty + 1) // 2, 8))
        pairs = {(i - 1 - (i > 1 and rng.random() < 0.4), i) for i in range(1, len(places)) if rng.random() < 0.9}
        while len(pairs) < min(len(places) + difficulty // 2, len(places) * (len(places) - 1) // 2):
            a, b = sorted(rng.sample(range(len(places) - (rng.random() < 0.3)), 2))
            pairs.add((a, b))
        roads = [(places[a], places[b], rng.randrange(1, 5 + 2 * difficulty)) for a, b in sorted(pairs)]
        return cls(places, tuple(rng.sample(roads, len(roads))), wording)

    def problem(self) -> str:
        head = (
            "道路都是双向的，过路费如下：",
            "地图上有{p}，两地之间的路来回都能走，费用相同：",
            "车可以在下面的路上往返，没有提到的路都不存在。",
        )[self.wording].format(p="、".join(self.places))
        line = ("{a}和{b}之间有路，{c}元。", "走{a}到{b}的路要{c}元。", "{a}—{b}这条路每次收{c}元。")[self.wording]
        return head + "\n" + "".join(line.format(a=a, b=b, c=c) for a, b, c in self.roads)

    def facts(self) -> list[str]:
        return [fact("road", *road) for road in self.roads]

    def queries(self) -> Iterator[Query]:
        named = sorted({p for a, b, _ in self.roads for p in (a, b)})
        for start in named:
            begin = fact("start", start) + "\n"
            costs = self._cheapest(start)
            inner = [p for p in named if costs.get(p)]
            for goal in named:
                if goal == start:
                    continue
                told = partial(self._told, goal)
                if goal in costs:
                    numbers = (*self._misses(start, goal), *around(costs[goal], start + goal))
                    ask = begin + f'answer(C) :- cost("{goal}",C).'
                    text = f"从{start}到{goal}最少要多少元？"
                    yield Query(text, ask, told, numbers, key=f"{start}-{goal}", most=4)
                    ask = begin + f'answer(X) :- before("{goal}",X).'
                    last = tuple(p for p in named if p != goal)
                    text = f"从{start}到{goal}，最便宜的走法在到{goal}之前最后经过哪里？"
                    yield Query(text, ask, told, last, key=f"{start}->{goal}")
                    limit = max(1, costs[goal] + (1, 0, -1, 2, -2)[(costs[goal] + named.index(goal)) % 5])
                    ask = begin + yes(f'cost("{goal}",C), C <= {limit}')
                    text = f"带{limit}元够从{start}到{goal}的过路费吗？"
                    yield Query(text, ask + yes_no("yes"), told, (YES, NO), key=f"{start}<{goal}", ask=ask)
                else:
                    ask, text = begin + yes(f'cost("{goal}",_)'), f"从{start}能到{goal}吗？"
                    yield Query(text, ask + yes_no("yes"), self._all, (YES, NO), key=f"{start}?{goal}", ask=ask)
            if len(inner) > 2:
                ask, text = begin + "answer(X) :- far(X).", f"从{start}出发，到哪里的最少费用最高？"
                yield Query(text, ask, self._all, tuple(inner), key=f"far {start}", most=4)

    def _cheapest(self, start: str) -> dict[str, int]:
        """Least cost to each place: for distractors only; answers come from the solver."""
        costs = {start: 0}
        for _ in self.places:
            for a, b, c in (*self.roads, *((b, a, c) for a, b, c in self.roads)):
                if a in costs:
                    costs[b] = min(costs.get(b, 10**6), costs[a] + c)
        return costs

    def _misses(self, start: str, goal: str) -> list[str]:
        """The cost if the second-best last road is taken."""
        costs = self._cheapest(start)
        links = (*self.roads, *((b, a, c) for a, b, c in self.roads))
        by_road = sorted({costs[a] + c for a, b, c in links if b == goal and a in costs} - {costs[goal]})
        return [str(cost) for cost in by_road[:1]]

    def _told(self, goal: str, proof: Proof) -> str:
        """The places in the order of cost up to `goal`, each with the previous place on its cheapest way."""
        return "\n".join(self._lines(proof, goal))

    def _all(self, proof: Proof) -> str:
        lines = self._lines(proof, None)
        return "\n".join([*lines, "再没有能到的地方。"])

    def _lines(self, proof: Proof, goal: str | None) -> list[str]:
        costs = {str(y): int(c) for c, y, _ in proof.steps}
        lines = []
        for c, y, x in proof.steps:
            before = costs.get(str(x), 0)
            lines.append(f"{x}到{y}：{before}+{int(c) - before}={c}")
            if y == goal:
                break
        return lines

    def changed(self, rng: Random) -> Self:
        """One road has another cost, is missing, or leads elsewhere."""
        i = rng.randrange(len(self.roads))
        a, b, c = self.roads[i]
        rest = self.roads[:i] + self.roads[i + 1 :]
        kind = rng.random()
        if kind < 0.1:
            return replace(self, roads=rest)
        if kind < 0.2:
            taken = {frozenset(road[:2]) for road in self.roads}
            free = [p for p in self.places if p != a and frozenset((a, p)) not in taken]
            return replace(self, roads=(*rest, (a, rng.choice(free), c))) if free else self
        other = (a, b, max(1, c + rng.choice((-2, -1, 1, 2))))
        return replace(self, roads=put(self.roads, i, other))
