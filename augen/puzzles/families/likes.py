"""Who likes what? Rules say that everybody who likes one thing likes another. Closed world."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import NO, YES, Proved, Query, among, pick, pool, put, yes, yes_no
from augen.puzzles.families.words import FRUIT, PERSON_POOLS, SPORTS
from augen.puzzles.solver import Proof, fact


@dataclass(frozen=True)
class Likes(Proved):
    uses: ClassVar = "likes"

    people: tuple[str, ...]
    likes: tuple[tuple[str, str], ...]  # (person, thing)
    rules: tuple[tuple[str, str], ...]  # everybody who likes the first likes the second
    things: tuple[str, ...]
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        people = pick(rng, pool(rng, *PERSON_POOLS), 2)
        things = pick(rng, pool(rng, FRUIT, SPORTS), 5 + difficulty)
        cut = 2 + difficulty // 2 + rng.randrange(2)
        chains = (things[:cut], things[cut:])
        rules = [pair for chain in chains for pair in itertools.pairwise(chain)]
        likes = tuple((p, chain[rng.randrange(min(2, len(chain)))]) for p, chain in zip(people, chains, strict=True))
        return cls(people, likes, tuple(rng.sample(rules, len(rules))), tuple(sorted(things)), wording)

    def problem(self) -> str:
        rule = (
            "喜欢{a}的人都喜欢{b}。",
            "如果喜欢{a}，就喜欢{b}。",
            "只要喜欢{a}，也会喜欢{b}。",
            "谁爱{a}，谁就爱{b}。",
            "{b}是每个爱好{a}的人都爱好的。",
        )[self.wording]
        heads = (
            "已知喜好：",
            "关于爱好有这些规则和事实：",
            "下面没有提到的喜好都不存在。",
            "喜好的规律：",
            "各人喜好：",
        )
        lines = [rule.format(a=a, b=b) for a, b in self.rules] + [f"{p}喜欢{x}。" for p, x in self.likes]
        return heads[self.wording] + "\n" + "".join(lines)

    def facts(self) -> list[str]:
        return [*(fact("rule", *rule) for rule in self.rules), *(fact("likes", *liked) for liked in self.likes)]

    def queries(self) -> Iterator[Query]:
        for person, start in self.likes:
            walk = f'step(0,"{start}"). step(I+1,Y) :- step(I,X), rule(X,Y).'
            closed = self._closure(start)
            outside = tuple(x for x in self.things if x not in closed)
            for thing in closed[1:]:
                options = (*outside[:3], thing)
                write, ask = partial(self._walked, person), f'answer(X) :- likes("{person}",X).'
                rules = walk + among(options, f'likes("{person}",X)')
                yield Query(f"{person}喜欢下面哪一个？", rules, write, options, key=f"{person}:{thing}", ask=ask)
            for thing in (*closed[1:], *outside[:2]):
                goal, write = f'likes("{person}","{thing}")', partial(self._looked_for, person, thing)
                text, rules = f"{person}喜欢{thing}吗？", walk + yes_no(goal)
                yield Query(text, rules, write, (YES, NO), key=f"{person}?{thing}", ask=yes(goal))

    def _closure(self, start: str) -> list[str]:
        """Things reached from `start`, in order: for writing questions, not for the proof."""
        following = dict(self.rules)
        chain = [start]
        while chain[-1] in following and following[chain[-1]] not in chain:
            chain.append(following[chain[-1]])
        return chain

    def _walked(self, person: str, proof: Proof) -> str:
        return f"{person}：{'→'.join(str(x) for _, x in proof.steps)}→无。"

    def _looked_for(self, person: str, thing: str, proof: Proof) -> str:
        there = thing in {x for _, x in proof.steps}
        return f"{self._walked(person, proof)}\n{'有' if there else '没有'}{thing}。"

    def changed(self, rng: Random) -> Self:
        """One rule leads elsewhere, or one person starts elsewhere."""
        if rng.random() < 0.5:
            i = rng.randrange(len(self.likes))
            return replace(self, likes=put(self.likes, i, (self.likes[i][0], rng.choice(self.things))))
        i = rng.randrange(len(self.rules))
        start = self.rules[i][0]
        rules = put(self.rules, i, (start, rng.choice([x for x in self.things if x != start])))
        return replace(self, rules=rules) if _acyclic(rules) else self


def _acyclic(rules: Sequence[tuple[str, str]]) -> bool:
    following = dict(rules)
    for start in following:
        seen, here = {start}, start
        while here in following:
            here = following[here]
            if here in seen:
                return False
            seen.add(here)
    return True
