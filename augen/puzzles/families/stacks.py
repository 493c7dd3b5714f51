"""Boxes in piles are moved one by one; only a box on top can be moved."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import NO, YES, Proved, Query, around, pick, pool, put, yes, yes_no
from augen.puzzles.solver import Proof, fact

COLOURS = ("红箱", "黄箱", "蓝箱", "绿箱", "白箱", "黑箱", "紫箱", "灰箱")
LETTERS = ("积木a", "积木b", "积木c", "积木d", "积木e", "积木f", "积木g", "积木h")
FLOOR = "地面"
# A move to where the box already is could be done or left out: such a world is refused.
_STEPS = ":- go(T,X,Y), on(T-1,X,Y). step(T,X,Y) :- on(T,X,Y)."


@dataclass(frozen=True)
class Stacks(Proved):
    uses: ClassVar = "stacks"
    steps: ClassVar = _STEPS

    piles: tuple[tuple[str, ...], ...]  # from the bottom up
    moves: tuple[tuple[str, str], ...]  # (box, onto which box or the floor)
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        boxes = list(pick(rng, pool(rng, COLOURS, LETTERS), 3 + (difficulty + 1) // 2))
        piles: list[list[str]] = [[box] for box in boxes[:2]]
        for box in boxes[2:]:
            rng.choice(piles).append(box)
        start = tuple(tuple(pile) for pile in piles)
        moves: list[tuple[str, str]] = []
        while len(moves) < 2 + difficulty:
            tops = [pile[-1] for pile in piles]
            x = rng.choice(boxes if rng.random() < 0.4 else tops)  # some moves cannot be made
            y = rng.choice([*tops, FLOOR])
            if x == y or y == _below(piles, x):
                continue
            moves.append((x, y))
            piles = _moved(piles, x, y)
        return cls(start, tuple(moves), wording)

    def problem(self) -> str:
        head = (
            "只有最上面的箱子能搬，也只能放到最上面的箱子上或地面上；做不到的动作不做。",
            "上面压着东西的不能搬，也不能往压着东西的上面放，遇到这样的命令就跳过。",
            "机器人一次搬一个，搬不了就不动：要搬的和要放上去的，上面都不能有东西。",
        )[self.wording]
        pile = ("从下到上：{p}。", "一堆从下往上是{p}。", "一摞自下而上为{p}。")[self.wording]
        move = ("{i}.把{x}放到{y}上。", "{i}.将{x}搬到{y}上。", "{i}.{x}移到{y}上。")[self.wording]
        piles = "".join(pile.format(p="、".join(p)) for p in self.piles)
        moves = "".join(move.format(i=i, x=x, y=y) for i, (x, y) in enumerate(self.moves, start=1))
        return f"{head}\n{piles}\n{moves}"

    def facts(self) -> list[str]:
        on = [fact("on", 0, x, below) for pile in self.piles for below, x in zip((FLOOR, *pile), pile, strict=False)]
        return on + [fact("go", t, *move) for t, move in enumerate(self.moves, start=1)]

    def queries(self) -> Iterator[Query]:
        boxes = tuple(sorted(x for pile in self.piles for x in pile))
        final = [list(pile) for pile in self.piles]
        for move in self.moves:
            final = _moved(final, *move)
        key = "".join(boxes)
        for x in boxes:
            rest = tuple(y for y in boxes if y != x)
            text, ask = f"最后{x}直接放在什么上面？", f'answer(Y) :- final("{x}",Y).'
            yield Query(text, ask, self._traced, (*rest, FLOOR), key=f"under {x}", most=4)
            text, ask = f"最后什么直接压在{x}上面？", f'answer(Y) :- final(Y,"{x}").'
            yield Query(text, ask, self._traced, rest, key=f"over {x}")
            ask = f'answer(N) :- N = #count{{Y : above(Y,"{x}")}}.'
            above = next(len(pile) - 1 - pile.index(x) for pile in final if x in pile)
            numbers = around(above, key + x)
            yield Query(f"最后{x}上面一共有几个？", ask, self._traced, numbers, key=f"count {x}")
        ask = f'answer(N) :- N = #count{{X : final(X,"{FLOOR}")}}.'
        yield Query("最后一共有几堆？", ask, self._traced, around(len(final), key), key="piles")
        for t in range(1, len(self.moves) + 1):
            text, goal, write = f"第{t}个动作做得到吗？", f"works({t})", partial(self._until, t)
            yield Query(text, yes_no(goal), write, (YES, NO), key=f"{t}", ask=yes(goal))
        ask = "answer(N) :- N = #count{T : skipped(T)}."
        yield Query("有几个动作做不到？", ask, self._traced, ("1", "0", "2", "3", "4"), key="skipped")

    def _traced(self, proof: Proof) -> str:
        return self._until(len(self.moves), proof)

    def _until(self, last: int, proof: Proof) -> str:
        """The piles at the start and after each move."""
        lines = [f"开始：{_shown(self._at(proof, 0))}"]
        for t, (x, y) in enumerate(self.moves[:last], start=1):
            before, after = self._at(proof, t - 1), self._at(proof, t)
            blocked = [z for z in (x, y) if any(z in pile[:-1] for pile in before)]
            why = f"{blocked[0]}上面有东西，不做。" if blocked else ""
            lines.append(f"{t}.{why}{_shown(after)}")
        return "\n".join(lines)

    def _at(self, proof: Proof, time: int) -> list[list[str]]:
        """The solver's piles at a time, sorted by the name of the lowest box."""
        over = {str(below): str(x) for t, x, below in proof.steps if t == time}
        piles = []
        for bottom in sorted(str(x) for t, x, below in proof.steps if t == time and below == FLOOR):
            pile = [bottom]
            while pile[-1] in over:
                pile.append(over[pile[-1]])
            piles.append(pile)
        return piles

    def changed(self, rng: Random) -> Self:
        """One move is of another box, or to another place."""
        boxes = [x for pile in self.piles for x in pile]
        i = rng.randrange(len(self.moves))
        x, y = self.moves[i]
        move = (rng.choice(boxes), y) if rng.random() < 0.5 else (x, rng.choice([*boxes, FLOOR]))
        if move[0] == move[1]:
            return self
        return replace(self, moves=put(self.moves, i, move))


def _below(piles: list[list[str]], x: str) -> str:
    pile = next(pile for pile in piles if x in pile)
    return FLOOR if pile[0] == x else pile[pile.index(x) - 1]


def _moved(piles: list[list[str]], x: str, y: str) -> list[list[str]]:
    """The piles after a move: for drawing moves and distractors only; answers come from the solver."""
    tops = [pile[-1] for pile in piles]
    if x not in tops or y not in (*tops, FLOOR) or x == y:
        return piles
    piles = [[z for z in pile if z != x] for pile in piles]
    if y == FLOOR:
        piles.append([x])
    return [[*pile, x] if pile and pile[-1] == y and y != FLOOR else pile for pile in piles if pile]


def _shown(piles: list[list[str]]) -> str:
    return "；".join("、".join(pile) for pile in piles)
