"""A short list of digits that is changed step by step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import Proved, Query, put
from augen.puzzles.solver import Proof, Value, fact

_STEPS = """
packed(T,0,1) :- len(T,_).
packed(T,I,10*P+V) :- packed(T,I-1,P), elem(T,I,V).
whole(T,P) :- packed(T,N,P), len(T,N).
step(T,P) :- whole(T,P).
"""  # a whole list is packed into one number with a leading 1: [3,0] is 130
_WORDS = {
    "append": ("末尾加{v}", "在最后添加{v}", "把{v}接到尾部", "后面接上{v}", "添{v}作末项"),
    "prepend": ("开头加{v}", "在最前添加{v}", "把{v}接到头部", "前面接上{v}", "添{v}作首项"),
    "behead": ("删去第一个数", "去掉最前的数", "头部的数丢掉", "扔掉打头的数", "首项不要了"),
    "curtail": ("删去最后一个数", "去掉最后的数", "尾部的数丢掉", "扔掉收尾的数", "末项不要了"),
    "reverse": ("前后颠倒", "把顺序反过来", "倒着排", "翻转一遍", "左右对调"),
}
_GROWTH = {"append": 1, "prepend": 1, "behead": -1, "curtail": -1, "reverse": 0}


@dataclass(frozen=True)
class Lists(Proved):
    uses: ClassVar = "lists"
    steps: ClassVar = _STEPS

    start: tuple[int, ...]
    ops: tuple[tuple[str, int], ...]  # (name, digit); the digit is 0 if the operation needs none
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        start = tuple(rng.sample(range(10), 3))
        ops: list[tuple[str, int]] = []
        length = len(start)
        while len(ops) < 1 + difficulty:
            fitting = [op for op, growth in _GROWTH.items() if 2 <= length + growth <= 6]
            op = rng.choice(fitting)
            length += _GROWTH[op]
            ops.append((op, rng.randrange(10) if _GROWTH[op] == 1 else 0))
        return cls(start, tuple(ops), wording)

    def problem(self) -> str:
        head = (
            "列表{s}，依次：",
            "有列表{s}，一步一步做：",
            "先有一个列表{s}，然后：",
            "给出列表{s}，按下面做：",
            "数列{s}经过这些变化：",
        )[self.wording]
        steps = [f"{i}.{_WORDS[op][self.wording].format(v=v)}。" for i, (op, v) in enumerate(self.ops, start=1)]
        return head.format(s=_shown(self.start)) + "\n" + "".join(steps)

    def facts(self) -> list[str]:
        elements = [fact("start", i, v) for i, v in enumerate(self.start, start=1)]
        ops = enumerate(self.ops, start=1)
        return elements + [f"op({t},{op},{v})." if _GROWTH[op] == 1 else f"op({t},{op})." for t, (op, v) in ops]

    def queries(self) -> Iterator[Query]:
        digits = tuple(str(d) for d in dict.fromkeys((*self.start[::-1], *(v for _, v in self.ops), 1, 2, 3)))
        lengths = tuple(str(len(self.start) + d) for d in (1, 0, 2, -1))
        near = tuple(_shown(x) for x in self._near_misses())
        for text, key in (("最后的第一个数是几？", "first"), ("最后的末一个数是几？", "last")):
            ask = f"answer(V) :- {key}(V)."
            yield Query(text, ask, self._traced, digits, key=key)
        ask = "answer(N) :- size(N)."
        yield Query("最后有几个数？", ask, self._counted, lengths, key="length")
        rules, ask = "answer(P) :- whole(T,P), end(T).", "answer(I,V) :- final(I,V)."
        yield Query("最后的列表是什么？", rules, self._traced, near, _unpacked, "list", ask=ask)

    def _traced(self, proof: Proof) -> str:
        return "\n".join(f"{t}.{_unpacked(packed)}" for t, packed in proof.steps)

    def _counted(self, proof: Proof) -> str:
        final = str(proof.steps[-1][1])[1:]
        return self._traced(proof) + "\n" + "，".join(f"{i}个{v}" for i, v in enumerate(final, start=1)) + "。"

    def _near_misses(self) -> list[list[int]]:
        """The final lists if one operation is forgotten or done at the other end."""
        other_end = {"append": "prepend", "prepend": "append", "behead": "curtail", "curtail": "behead"}
        variants = []
        for i, (op, v) in reversed(list(enumerate(self.ops))):
            before, after = self.ops[:i], self.ops[i + 1 :]
            variants += [(*before, *after), (*before, (other_end.get(op, op), v), *after)]
        truth = _apply(self.start, self.ops)
        ends = [_apply(self.start, ops) for ops in variants]
        return [end for i, end in enumerate(ends) if end and end != truth and end not in ends[:i]]

    def changed(self, rng: Random) -> Self:
        """One operation or one digit changes."""
        i = rng.randrange(len(self.ops))
        same = [op for op, growth in _GROWTH.items() if growth == _GROWTH[self.ops[i][0]]]
        op = rng.choice(same)
        ops = put(self.ops, i, (op, rng.randrange(10) if _GROWTH[op] == 1 else 0))
        if rng.random() < 0.5:
            digit = rng.randrange(10)
            return replace(self, start=put(self.start, rng.randrange(len(self.start)), digit), ops=ops)
        return replace(self, ops=ops)


def _apply(start: Sequence[int], ops: Sequence[tuple[str, int]]) -> list[int]:
    """The list after `ops`: for distractors only; answers come from the solver."""
    now = list(start)
    for op, v in ops:
        match op:
            case "append":
                now = [*now, v]
            case "prepend":
                now = [v, *now]
            case "behead":
                now = now[1:]
            case "curtail":
                now = now[:-1]
            case "reverse":
                now = now[::-1]
    return now


def _shown(values: Sequence[int]) -> str:
    return "[" + ",".join(str(v) for v in values) + "]"


def _unpacked(packed: Value) -> str:
    return "[" + ",".join(str(packed)[1:]) + "]"
