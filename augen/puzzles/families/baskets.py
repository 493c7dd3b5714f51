"""Shopping baskets: who bought what, at which prices; anything not mentioned was not bought."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import NO, YES, Proved, Query, around, listed, numbered, pick, pool, put, yes, yes_no
from augen.puzzles.families.names import POOLS
from augen.puzzles.solver import Proof, fact

GOODS = ("牛奶", "鸡蛋", "面包", "茶叶", "果汁", "蛋糕", "汽水", "大米", "饼干", "酸奶")


@dataclass(frozen=True)
class Baskets(Proved):
    uses: ClassVar = "baskets"

    baskets: tuple[tuple[str, tuple[str, ...]], ...]  # (customer, goods)
    prices: tuple[tuple[str, int], ...]
    asked: tuple[tuple[str, str], ...]  # asked: does everybody who bought the first also buy the second?
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        people = pick(rng, pool(rng, *POOLS), 3 + difficulty // 2)
        goods = pick(rng, GOODS, 4 + difficulty // 2)
        baskets = tuple((p, pick(rng, goods, rng.randrange(1, min(len(goods), 2 + difficulty)))) for p in people)
        prices = tuple((x, rng.randrange(1, 6 + 2 * difficulty)) for x in goods)
        pairs = rng.sample(list(itertools.permutations(goods, 2)), len(goods) * (len(goods) - 1))
        implied = [(x, y) for x, y in pairs if all(y in basket for _, basket in baskets if x in basket)]
        others = [pair for pair in pairs if pair not in implied and any(set(pair) <= set(b) for _, b in baskets)]
        return cls(baskets, prices, (*implied, *others[: max(1, len(implied))]), wording)

    def problem(self) -> str:
        head = (
            "超市今天只有这些顾客，每样最多买一份，没有写到的都没有买。",
            "下面是全部的购物记录，每种东西各买一份：",
            "几位顾客各提着一个篮子，篮子里没有别的东西。",
        )[self.wording]
        price = ("{x}{n}元。", "一份{x}卖{n}元。", "{x}的价格是{n}元。")[self.wording]
        basket = ("{p}买了{x}。", "{p}：{x}。", "{p}的篮子里有{x}。")[self.wording]
        lines = [price.format(x=x, n=n) for x, n in self.prices]
        lines += [basket.format(p=p, x="、".join(goods)) for p, goods in self.baskets]
        return head + "\n" + "".join(lines)

    def facts(self) -> list[str]:
        bought = [fact("bought", p, x) for p, goods in self.baskets for x in goods]
        return [fact("price", x, n) for x, n in self.prices] + bought

    def queries(self) -> Iterator[Query]:
        people = tuple(p for p, _ in self.baskets)
        goods = tuple(x for x, _ in self.prices)
        for x in goods:
            buyers = sum(x in basket for _, basket in self.baskets)
            numbers = around(buyers, self.baskets[0][0] + x)
            who = f'step(0,P) :- bought(P,"{x}").'
            ask = f'answer(N) :- buyers("{x}",N).'
            yield Query(f"有几个人买了{x}？", who + ask, partial(self._buyers, x), numbers, key=x, ask=ask)
            for y in goods:
                if y == x:
                    continue
                both = who + f'step(1,P) :- bought(P,"{y}").'
                write = partial(self._both, x, y)
                if x < y:
                    text, ask = f"谁既买了{x}又买了{y}？", f'answer(P) :- bought(P,"{x}"), bought(P,"{y}").'
                    yield Query(text, both + ask, write, people, key=f"{x}&{y}", ask=ask)
                if any(x in basket for _, basket in self.baskets) and (x, y) in self.asked:
                    text, goal = f"买了{x}的人都买了{y}吗？", f'not without("{x}","{y}")'
                    yield Query(text, both + yes_no(goal), write, (YES, NO), key=f"{x}<{y}", ask=yes(goal))
        for p, basket in self.baskets:
            ask, step = f'answer(T) :- total("{p}",T).', f'step(X,C) :- bought("{p}",X), price(X,C).'
            text, write, numbers = f"{p}一共花了多少元？", partial(self._paid, p), self._sums(basket)
            yield Query(text, ask + step, write, numbers, key=f"total {p}", ask=ask)
        ask, step = "answer(P) :- spender(P).", "step(T,P) :- total(P,T)."
        yield Query("谁花的钱最多？", ask + step, self._ranked, people, key="spender", ask=ask)
        ask, step = "answer(X) :- popular(X).", "step(N,X) :- buyers(X,N)."
        yield Query("买的人最多的是什么？", ask + step, self._ranked, goods, key="liked", most=4, ask=ask)

    def _sums(self, basket: tuple[str, ...]) -> tuple[str, ...]:
        """The sum with one article forgotten or one too many, or one price misread."""
        prices = dict(self.prices)
        total = sum(prices[x] for x in basket)
        off = [total + (-n if x in basket else n) for x, n in self.prices] + [total + d for d in (1, -1, 2)]
        return around(total, str(self.prices), [n for n in off if n > 0])

    def _buyers(self, x: str, proof: Proof) -> str:
        names = [p for p, _ in self.baskets if (0, p) in proof.steps]
        return f"买了{x}：{numbered(names)}。"

    def _both(self, x: str, y: str, proof: Proof) -> str:
        first, second = ([p for p, _ in self.baskets if (i, p) in proof.steps] for i in (0, 1))
        both = [p for p in first if p in second]
        only = [p for p in first if p not in second]
        return (
            f"买了{x}：{listed(first)}\n买了{y}：{listed(second)}\n"
            f"两样都买了：{listed(both)}\n买了{x}没买{y}：{listed(only)}"
        )

    def _paid(self, p: str, proof: Proof) -> str:
        costs = {str(x): int(c) for x, c in proof.steps}
        goods = dict(self.baskets)[p]
        shown = "，".join(f"{x}{costs[x]}元" for x in goods)
        return f"{p}买了：{shown}\n{'+'.join(str(costs[x]) for x in goods)}={sum(costs.values())}"

    def _ranked(self, proof: Proof) -> str:
        order = sorted(proof.steps, key=lambda s: (-int(s[0]), str(s[1])))
        return "从多到少：" + "，".join(f"{x}{n}" for n, x in order) + "。"

    def changed(self, rng: Random) -> Self:
        """One basket has one article more or less, or one price changes."""
        if rng.random() < 0.2:
            i = rng.randrange(len(self.prices))
            x, n = self.prices[i]
            return replace(self, prices=put(self.prices, i, (x, max(1, n + rng.choice((-2, -1, 1, 2))))))
        i = rng.randrange(len(self.baskets))
        p, basket = self.baskets[i]
        x = rng.choice([x for x, _ in self.prices])
        other = tuple(y for y in basket if y != x) if x in basket else (*basket, x)
        return replace(self, baskets=put(self.baskets, i, (p, other or basket)))
