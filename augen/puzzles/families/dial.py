"""A dial of ten digits that is turned up and down: addition and subtraction modulo ten."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import Proved, Query, put
from augen.puzzles.solver import Proof, fact

PARITY = ("双数", "单数")
_STEPS = "step(T,V) :- at(T,V)."
_TURNS = (
    ("加{n}", "减{n}"),
    ("增加{n}", "减少{n}"),
    ("向上拨{n}", "向下拨{n}"),
    ("前进{n}格", "后退{n}格"),
    ("顺着走{n}", "倒着走{n}"),
)  # up and down, by wording


@dataclass(frozen=True)
class Dial(Proved):
    uses: ClassVar = "dial"
    steps: ClassVar = _STEPS

    start: int
    turns: tuple[int, ...]  # −9…9, never 0
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        turns = tuple(rng.choice((-1, 1)) * rng.randrange(1, 6) for _ in range(2 + difficulty))
        return cls(rng.randrange(10), turns, wording)

    def problem(self) -> str:
        head = (
            "转盘上是0到9，9的下一个是0。先指{s}，依次：",
            "计数只留个位，0减1得9。开始是{s}，然后：",
            "一个密码轮只有0到9十个数，转一圈回到原处。现在是{s}，接着：",
            "圆盘刻着0到9，过了9又是0。指针在{s}，依次：",
            "0到9围成一圈。从{s}出发，一步一步走：",
        )[self.wording]
        up, down = _TURNS[self.wording]
        turns = [f"{i}.{(up if n > 0 else down).format(n=abs(n))}。" for i, n in enumerate(self.turns, start=1)]
        return head.format(s=self.start) + "\n" + "".join(turns)

    def facts(self) -> list[str]:
        return [fact("at", 0, self.start), *(fact("turn", t, n) for t, n in enumerate(self.turns, start=1))]

    def queries(self) -> Iterator[Query]:
        last = len(self.turns)
        yield self._digit("最后是几？", last)
        yield from (self._digit(f"第{t}步后是几？", t) for t in range(2, last))
        parity = "".join(f'answer("{word}") :- last(V), V\\2={rest}. ' for rest, word in enumerate(PARITY)).strip()
        yield Query(
            "最后是单数还是双数？",
            parity,
            lambda proof: f"{self._turned(proof, last)}\n最后是{proof.steps[-1][1]}。",
            PARITY,
            key="parity",
        )

    def _digit(self, text: str, t: int) -> Query:
        forgotten = [(self.start + sum(self.turns[:t]) + d) % 10 for d in (-self.turns[t - 1], 1, -1, 2, -2)]
        ask = f"answer(V) :- at({t},V)." if t < len(self.turns) else "answer(V) :- last(V)."
        return Query(
            text,
            ask,
            lambda proof: self._turned(proof, t),
            tuple(str(v) for v in forgotten),
            key=str(t),
        )

    def _turned(self, proof: Proof, until: int) -> str:
        at = [int(v) for _, v in proof.steps]
        return "\n".join(
            f"{t}.{at[t - 1]}{'+' if n > 0 else '-'}{abs(n)}={at[t]}" for t, n in enumerate(self.turns[:until], start=1)
        )

    def changed(self, rng: Random) -> Self:
        """The start or one turn changes."""
        if rng.random() < 0.3:
            return replace(self, start=rng.randrange(10))
        turn = rng.choice((-1, 1)) * rng.randrange(1, 6)
        return replace(self, turns=put(self.turns, rng.randrange(len(self.turns)), turn))
