"""Numbers defined by rules: a common divisor, a factorial, sums, a discriminant, a recursion."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import NO, YES, Proved, Query, around, yes, yes_no
from augen.puzzles.solver import Proof

Numbers = dict[str, int]
_OFF = (-1, 1, -2, 2)


@dataclass(frozen=True)
class Rule:
    """One definition: its numbers, its text in each wording, and the steps of the calculation."""

    draw: Callable[[Random, int], Numbers]
    texts: tuple[str, str, str]
    name: str  # what is asked for
    value: str  # what holds of the result V
    steps: str  # the calculation as step/3
    line: str  # text of one step: {a}, {b} from step(I,a,b), {c}, {d} from the next step
    near: Callable[[Numbers], int]  # for distractors only; answers come from the solver
    slips: Callable[[Random, str], int]  # by how much a misread number is off
    asks: tuple[tuple[str, str, tuple[str, ...]], ...] = ()  # further questions: text, program, options


def _small(rng: Random, name: str) -> int:
    return rng.choice(_OFF)


def _divisible(rng: Random, name: str) -> int:
    return rng.choice((-1, 1)) * rng.choice((1, 2, 3, 4, 6))


def _pair(rng: Random, difficulty: int) -> Numbers:
    g = 1 if rng.random() < 0.35 else rng.randrange(2, 6 + difficulty)
    x, y = rng.sample(range(2, (6 if g > 1 else 20) + 2 * difficulty), 2)
    return {"a": g * max(x, y), "b": g * min(x, y)}


def _quadratic(rng: Random, difficulty: int) -> Numbers:
    if rng.random() < 0.3:  # a double root
        root = rng.randrange(1, 3 + difficulty)
        return {"p": 1, "q": 2 * root, "r": root * root}
    return {name: rng.randrange(1, top + difficulty) for name, top in (("p", 2), ("q", 7), ("r", 4))}


def _digit_sum(numbers: Numbers) -> int:
    return sum(int(digit) for digit in str(numbers["d"]))


def _recursion(numbers: Numbers) -> int:
    value = numbers["c"]
    for _ in range(numbers["i"]):
        value = numbers["k"] * value + numbers["t"]
    return value


RULES = {
    "gcd": Rule(
        _pair,
        (
            "求最大公约数：用大数除以小数，再用小数除以余数，直到余数是0，最后的除数就是最大公约数。",
            "两个数的最大公约数这样算：不断用除数和余数代替原来的两个数，余数为0时的除数就是它。",
            "能同时整除两个数的最大的数，叫这两个数的最大公约数。",
        ),
        "a和b的最大公约数",
        "gcd(V)",
        "step(I,A,B) :- euclid(I,A,B).",
        "{a}除以{b}余{d}",
        lambda n: math.gcd(n["a"], n["b"]),
        _divisible,
        (("a和b的最大公约数是1吗？", yes("gcd(1)"), (YES, NO)),),
    ),
    "factorial": Rule(
        lambda rng, difficulty: {"n": rng.randrange(3, 5 + difficulty)},
        (
            "0的阶乘是1，正整数k的阶乘是k乘以k-1的阶乘。",
            "求阶乘的规则：0的阶乘规定为1；k大于0时，k的阶乘等于k与k-1的阶乘的积。",
            "一个正整数的阶乘是从1到它的所有整数的乘积，0的阶乘是1。",
        ),
        "n的阶乘",
        "factorial(V)",
        "step(K,K,P) :- product(K,P).",
        "{c}的阶乘={c}×{b}={d}",
        lambda n: math.factorial(n["n"]),
        _small,
    ),
    "series": Rule(
        lambda rng, difficulty: {"m": rng.randrange(4, 7 + difficulty)},
        (
            "1的累加和是1，大于1的整数k的累加和是k加上k-1的累加和。",
            "求累加和的规则：1的累加和规定为1；k大于1时，k的累加和等于k-1的累加和再加k。",
            "一个正整数的累加和是从1到它的所有整数的总和。",
        ),
        "m的累加和",
        "series(V)",
        "step(K,K,S) :- sum(K,S).",
        "{c}的累加和={c}+{b}={d}",
        lambda n: n["m"] * (n["m"] + 1) // 2,
        _small,
    ),
    "digits": Rule(
        lambda rng, difficulty: {"d": rng.randrange(10 ** (2 + difficulty // 2), 10 ** (3 + difficulty // 2))},
        (
            "数字和是把一个数各位上的数字加起来。",
            "求数字和的规则：取出个位数字，再取出十位数字，依此类推，全部相加。",
            "一个数的数字和等于它每一位数字的总和。",
        ),
        "d的数字和",
        "digits(V)",
        "step(I,D,S) :- rest(I,D,S).",
        "{b}+{e}={d}",
        _digit_sum,
        lambda rng, name: rng.choice((-1, 1)) * rng.choice((1, 2, 10, 20, 100)),
        (("d的数字和是3的倍数吗？", yes("digits(V), V\\3 = 0"), (YES, NO)),),
    ),
    "discriminant": Rule(
        _quadratic,
        (
            "方程px²+qx+r=0的判别式是q×q-4×p×r；判别式大于0时方程有2个实数根，等于0时有1个，小于0时有0个。",
            "判别式等于q的平方减去4乘p乘r。方程px²+qx+r=0在判别式为正时有2个实数根，为零时有1个，为负时有0个。",
            "对方程px²+qx+r=0，先算判别式q×q-4×p×r：正数表示2个实数根，零表示1个，负数表示0个。",
        ),
        "判别式",
        "discriminant(V)",
        "step(0,A,B) :- square(A,B). step(1,A,B) :- fourfold(A,B).",
        "",
        lambda n: n["q"] ** 2 - 4 * n["p"] * n["r"],
        _small,
        (("方程有几个实数根？", "answer(N) :- roots(N).", ("0", "1", "2")),),
    ),
    "recursion": Rule(
        lambda rng, difficulty: {
            "c": rng.randrange(1, 5),
            "k": rng.randrange(2, 4),
            "t": rng.randrange(1, 5),
            "i": rng.randrange(2, 4 + difficulty // 2),
        },
        (
            "f(0)={c}，n大于0时f(n)={k}×f(n-1)+{t}。",
            "规定f(0)等于{c}，每个f(n)等于f(n-1)的{k}倍再加{t}。",
            "数列的第0项f(0)是{c}，后一项总是前一项的{k}倍加{t}，第n项写作f(n)。",
        ),
        "f({i})",
        "f({i},V)",
        "step(N,N,V) :- f(N,V), N <= {i}.",
        "f({c})={k}×{b}+{t}={d}",
        _recursion,
        lambda rng, name: 0 if name == "i" else rng.choice((-1, 1)),
        (("f({i})是偶数吗？", yes("f({i},V), V\\2 = 0"), (YES, NO)),),
    ),
}
_IN_TEXT = "ckti"  # numbers that are part of the text of their rule


@dataclass(frozen=True)
class Arithmetic(Proved):
    uses: ClassVar = "arithmetic"

    rules: tuple[str, ...]
    numbers: tuple[tuple[str, int], ...]
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        rules = tuple(rng.sample(sorted(RULES), 1 + (difficulty + 1) // 2))
        numbers = [pair for rule in rules for pair in RULES[rule].draw(rng, difficulty).items()]
        return cls(rules, tuple(numbers), wording)

    def problem(self) -> str:
        head = ("按规则计算。", "下面的规则和数给定了。", "请严格按照定义计算：")[self.wording]
        rules = [
            f"{i}.{RULES[rule].texts[self.wording].format(**dict(self.numbers))}"
            for i, rule in enumerate(self.rules, start=1)
        ]
        given = ("{x}={v}", "{x}是{v}", "{x}等于{v}")[self.wording]
        shown = "，".join(given.format(x=x, v=v) for x, v in self.numbers if x not in _IN_TEXT)
        return head + "\n" + "\n".join(rules) + (f"\n其中{shown}。" if shown else "")

    def facts(self) -> list[str]:
        numbers = dict(self.numbers)
        texts = ("f(0,{c}).", "times({k}).", "plus({t}).") if "recursion" in self.rules else ()
        given = [f"num({x},{v})." for x, v in self.numbers if x not in _IN_TEXT]
        return [text.format(**numbers) for text in texts] + given

    def queries(self) -> Iterator[Query]:
        numbers = dict(self.numbers)
        for name in self.rules:
            rule = RULES[name]
            write = partial(self._followed, rule)
            asks = ((f"{rule.name}是多少？", f"answer(V) :- {rule.value}.", self._near(rule)), *rule.asks)
            for i, (text, question, options) in enumerate(asks):
                ask = question.format(**numbers)
                rules = rule.steps.format(**numbers) + ask + (yes_no("yes") if options == (YES, NO) else "")
                yield Query(text.format(**numbers), rules, write, options, key=name + "?" * i, ask=ask)

    def _near(self, rule: Rule) -> tuple[str, ...]:
        """Results with one number misread, the nearest first."""
        numbers, rng = dict(self.numbers), Random(0)
        truth = rule.near(numbers)
        names = sorted(rule.draw(rng, 1))
        off = {rule.near(numbers | self._slip(rule, rng, rng.choice(names))) for _ in range(40)}
        return (*around(truth, str(self.numbers), off), str(truth + 1), str(truth + 2))

    def _slip(self, rule: Rule, rng: Random, name: str) -> Numbers:
        value = dict(self.numbers)[name]
        return {name: max(1, value + rule.slips(rng, name))}

    def _followed(self, rule: Rule, proof: Proof) -> str:
        steps = [(int(a), int(b)) for _, a, b in proof.steps]
        if not rule.line:
            (q, square), (_, product) = steps
            n = dict(self.numbers)
            return f"{q}×{q}={square}\n4×{n['p']}×{n['r']}={product}\n{square}-{product}={square - product}"
        return "\n".join(
            rule.line.format(**dict(self.numbers) | {"a": a, "b": b, "c": c, "d": d, "e": a % 10})
            for (a, b), (c, d) in itertools.pairwise(steps)
        )

    def changed(self, rng: Random) -> Self:
        """One number of a rule changes."""
        rule = RULES[rng.choice(self.rules)]
        names = sorted(rule.draw(Random(0), 1))
        changed = dict(self.numbers) | self._slip(rule, rng, rng.choice(names))
        return replace(self, numbers=tuple(changed.items()))
