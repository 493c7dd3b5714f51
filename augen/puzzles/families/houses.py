"""People in a row of houses with pets and drinks: clues say who lives where."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import Proved, Query, pick, pool, put
from augen.puzzles.families.names import POOLS
from augen.puzzles.solver import NotProved, Proof, fact

THINGS = {"养": ("狗", "猫", "鱼", "鸟", "兔"), "喝": ("茶", "咖啡", "牛奶", "果汁", "汽水")}
LIVE = "住"  # the verb of people
_STEPS = "step(P,V) :- pos(V,P)."
_FITS = {  # pairs of places that a clue allows
    "same": lambda p, q: p == q,
    "left": lambda p, q: p < q,
    "justleft": lambda p, q: q - p == 1,
    "next": lambda p, q: abs(p - q) == 1,
}
Clue = tuple[str, str, str | int]  # (kind, value, other value or house)
Places = dict[str, set[int]]


@dataclass(frozen=True)
class Houses(Proved):
    uses: ClassVar = "houses"
    steps: ClassVar = _STEPS

    groups: tuple[tuple[str, ...], ...]  # people, then what they keep, then what they drink
    verbs: tuple[str, ...]  # of the groups; people have none
    clues: tuple[Clue, ...]
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        n = 3 + (difficulty > 2)
        verbs = pick(rng, tuple(THINGS), 1 + (difficulty > 1 and difficulty != 3))
        people = pick(rng, pool(rng, *POOLS), n)
        groups = (people, *(pick(rng, THINGS[verb], n) for verb in verbs))
        truth = {x: p for group in groups for p, x in enumerate(rng.sample(group, n), start=1)}
        world = cls(groups, ("", *verbs), (), wording)
        clues = world._true_clues(truth)
        rng.shuffle(clues)
        clues.sort(key=lambda clue: clue[0] == "at")  # given places last, because they make the puzzle trivial
        chosen: list[Clue] = []
        for clue in clues:
            before = replace(world, clues=tuple(chosen))._narrowed()[0]
            after = replace(world, clues=(*chosen, clue))._narrowed()[0]
            if before != after:
                chosen.append(clue)
            if all(len(places) == 1 for places in after.values()):
                break
        for clue in list(chosen):  # drop clues that follow from the others
            rest = [c for c in chosen if c != clue]
            if replace(world, clues=tuple(rest))._solved():
                chosen = rest
        if not replace(world, clues=tuple(chosen))._solved():
            raise NotProved("not to be found step by step")
        return replace(world, clues=tuple(rng.sample(chosen, len(chosen))))

    def _true_clues(self, truth: dict[str, int]) -> list[Clue]:
        n = len(self.groups[0])
        clues: list[Clue] = [("at" if truth[x] == p else "notat", x, p) for x in truth for p in range(1, n + 1)]
        for a, b in itertools.permutations(truth, 2):
            same_group = any(a in group and b in group for group in self.groups)
            for kind, fits in _FITS.items():
                if (
                    (kind != "same" or not same_group)
                    and (kind not in ("same", "next") or a < b)
                    and fits(truth[a], truth[b])
                ):
                    clues.append((kind, a, b))
        return clues

    def problem(self) -> str:
        n = len(self.groups[0])
        head = (
            "一排{n}间房，从左到右是第1间到第{n}间，每间住一个人：{p}。",
            "{p}住在一排房子里，一人一间，最左边是第1间，最右边是第{n}间。",
            "街上有{n}座房子，从左边数起，分别住着{p}（次序未知）。",
        )[self.wording].format(n=n, p="、".join(sorted(self.groups[0])))
        for verb, group in zip(self.verbs[1:], self.groups[1:], strict=True):
            each = ("他们各{v}一种：{x}。", "每人{v}的不同：{x}。", "有人{v}{x}，各不相同。")[self.wording]
            head += each.format(v=verb, x="、".join(sorted(group)))
        lines = [f"{i}.{self._clue(clue)}。" for i, clue in enumerate(self.clues, start=1)]
        return head + "\n" + "".join(lines)

    def _clue(self, clue: Clue) -> str:
        kind, a, b = clue
        text = {
            "at": ("{a}在第{b}间", "第{b}间住着{a}", "{a}住第{b}间"),
            "notat": ("{a}不在第{b}间", "第{b}间住的不是{a}", "{a}不住第{b}间"),
            "same": ("{a}就是{b}", "{a}和{b}是同一个人", "{a}正是{b}"),
            "left": ("{a}在{b}的左边，不一定相邻", "{b}在{a}右边的某一间", "{a}住得比{b}靠左"),
            "justleft": ("{a}紧挨在{b}的左边", "{b}紧挨在{a}的右边", "{a}的右边隔壁就是{b}"),
            "next": ("{a}和{b}相邻", "{a}与{b}是邻居", "{a}住在{b}隔壁"),
        }[kind][self.wording]
        return text.format(a=self._who(a), b=b if isinstance(b, int) else self._who(b))

    def _who(self, x: str) -> str:
        verb = next(verb for verb, group in zip(self.verbs, self.groups, strict=True) if x in group)
        return f"{verb}{x}的人" if verb else x

    def facts(self) -> list[str]:
        groups = zip(self.verbs, self.groups, strict=True)
        values = [fact("value", x, verb or LIVE) for verb, group in groups for x in sorted(group)]
        return [fact("houses", len(self.groups[0])), *values, *(fact(*clue) for clue in self.clues)]

    def queries(self) -> Iterator[Query]:
        places = tuple(str(p) for p in range(1, len(self.groups[0]) + 1))
        for group in self.groups:
            for x in group:
                ask = f'answer(P) :- pos("{x}",P).'
                yield Query(f"{self._who(x)}在第几间？", ask, self._found, places, key=f"where {x}", most=4)
        for p in places:
            for verb, group in zip(self.verbs, self.groups, strict=True):
                text = f"第{p}间的人{verb}什么？" if verb else f"第{p}间住着谁？"
                ask = f'answer(V) :- pos(V,{p}), value(V,"{verb or LIVE}").'
                yield Query(text, ask, self._found, tuple(sorted(group)), key=f"{p} {verb}")
        for (c, group), (d, other) in itertools.permutations(enumerate(self.groups), 2):
            for x in group:
                text = f"{self._who(x)}{self.verbs[d]}什么？" if self.verbs[d] else f"谁{self.verbs[c]}{x}？"
                ask, write = f'answer(V) :- with("{x}",V,"{self.verbs[d] or LIVE}").', partial(self._joined, x)
                yield Query(text, ask, write, tuple(sorted(other)), key=f"{x} {self.verbs[d]}")

    def _found(self, proof: Proof) -> str:
        houses: dict[int, list[str]] = {}
        for p, x in sorted(proof.steps, key=lambda s: (s[0], self._group(str(s[1])))):
            houses.setdefault(int(p), []).append(self._who(str(x)))
        rows = [f"第{p}间：{'，'.join(who)}" for p, who in sorted(houses.items())]
        return "\n".join([*self._narrowed()[1], *rows])

    def _joined(self, x: str, proof: Proof) -> str:
        place = next(p for p, y in proof.steps if y == x)
        return f"{self._found(proof)}\n{self._who(x)}在第{place}间"

    def _group(self, x: str) -> int:
        return next(i for i, group in enumerate(self.groups) if x in group)

    def _solved(self) -> bool:
        return all(len(places) == 1 for places in self._narrowed()[0].values())

    def _narrowed(self) -> tuple[Places, list[str]]:
        """The places that are still possible after applying all clues until nothing changes, and the steps as text.

        Used to draw clues and to write steps; the solver proves the result.
        """
        n = len(self.groups[0])
        places = {x: set(range(1, n + 1)) for group in self.groups for x in group}
        lines: list[str] = []
        before: Places = {}
        while before != places:
            before = {x: set(left) for x, left in places.items()}
            for i, clue in enumerate(self.clues, start=1):
                self._note(f"由{i}", places, self._allowed(clue, places), lines)
            for group in self.groups:
                self._note("各在一间", places, self._apart(group, places), lines)
        return places, lines

    def _allowed(self, clue: Clue, places: Places) -> Places:
        kind, a, b = clue
        if isinstance(b, int):
            return {a: {b} & places[a] if kind == "at" else places[a] - {b}}
        fits = _FITS[kind]
        return {
            a: {p for p in places[a] if any(fits(p, q) for q in places[b])},
            b: {q for q in places[b] if any(fits(p, q) for p in places[a])},
        }

    def _apart(self, group: tuple[str, ...], places: Places) -> Places:
        """No two live in one house, and the only candidate for a house lives there."""
        after = {x: set(places[x]) for x in group}
        for x in group:
            if len(after[x]) == 1:
                for y in group:
                    if y != x:
                        after[y] -= after[x]
        for p in range(1, len(group) + 1):
            left = [x for x in group if p in after[x]]
            if len(left) == 1:
                after[left[0]] = {p}
        return after

    def _note(self, why: str, places: Places, after: Places, lines: list[str]) -> None:
        news = {x: left for x, left in after.items() if left != places[x]}
        places.update(news)
        if news:
            left = "；".join(f"{self._who(x)}：{'、'.join(map(str, sorted(rest))) or '无'}" for x, rest in news.items())
            lines.append(f"{why}，{left}")

    def changed(self, rng: Random) -> Self:
        """One clue is misread such that there is still one solution."""
        for _ in range(20):
            i = rng.randrange(len(self.clues))
            kind, a, b = self.clues[i]
            values = [x for group in self.groups for x in group]
            if isinstance(b, int):
                other: Clue = (kind, a, rng.randrange(1, len(self.groups[0]) + 1))
                if rng.random() < 0.4:
                    other = (kind, rng.choice(self.groups[self._group(a)]), b)
            elif rng.random() < 0.4 and kind in ("left", "justleft"):
                other = (kind, b, a)
            else:
                other = (kind, rng.choice(self.groups[self._group(a)]), rng.choice(self.groups[self._group(b)]))
            if other[1] == other[2] or (other[1] not in values):
                continue
            world = replace(self, clues=put(self.clues, i, other))
            if other != self.clues[i] and world._solved():
                return world
        return self
