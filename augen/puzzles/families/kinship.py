"""Family relations: two known relations are combined to a third."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Self

from augen.puzzles.base import Query, pick, pool, put
from augen.puzzles.families.words import PERSON_POOLS
from augen.puzzles.solver import Proof, fact

# "X is Y's first, Y is Z's second": X is Z's …
TOGETHER = {
    ("爸爸", "爸爸"): "爷爷", ("妈妈", "爸爸"): "奶奶", ("爸爸", "妈妈"): "外公", ("妈妈", "妈妈"): "外婆",
    ("哥哥", "爸爸"): "伯伯", ("弟弟", "爸爸"): "叔叔", ("姐姐", "爸爸"): "姑姑", ("妹妹", "爸爸"): "姑姑",
    ("哥哥", "妈妈"): "舅舅", ("弟弟", "妈妈"): "舅舅", ("姐姐", "妈妈"): "姨妈", ("妹妹", "妈妈"): "姨妈",
    ("儿子", "儿子"): "孙子", ("女儿", "儿子"): "孙女", ("儿子", "女儿"): "外孙", ("女儿", "女儿"): "外孙女",
}  # fmt: skip
_FIRST = tuple(dict.fromkeys(first for first, _ in TOGETHER))
# ``may`` holds every relation that is possible, also by way of others: brothers and sisters share their parents, people
# who share a parent are brothers or sisters, and somebody without a stated sex can be a man or a woman. This refuses
# questions with a second possible answer, and families in which somebody has two fathers or two mothers.
_PROGRAM = """
means("爸爸",parent,m). means("哥哥",sibling,m). means("弟弟",sibling,m). means("儿子",child,m).
means("妈妈",parent,f). means("姐姐",sibling,f). means("妹妹",sibling,f). means("女儿",child,f).
near(X,K,Y) :- rel(X,R,Y), means(R,K,_).
near(Y,child,X) :- near(X,parent,Y).
near(Y,parent,X) :- near(X,child,Y).
near(Y,sibling,X) :- near(X,sibling,Y).
near(X,sibling,Y) :- near(P,parent,X), near(P,parent,Y), X != Y.
near(X,sibling,Z) :- near(X,sibling,Y), near(Y,sibling,Z), X != Z.
near(P,parent,Y) :- near(P,parent,X), near(X,sibling,Y).
sex(X,S) :- rel(X,R,_), means(R,_,S).
sex(X,(m;f)) :- rel(_,_,X), not rel(X,_,_).
may(X,R,Y) :- rel(X,R,Y).
may(X,R,Y) :- near(X,K,Y), not rel(X,_,Y), means(R,K,S), sex(X,S).
kin(X,R,Z) :- may(X,A,Y), may(Y,B,Z), together(A,B,R), X != Z.
:- near(X,parent,C), near(Y,parent,C), X < Y, rel(X,_,_), rel(Y,_,_), sex(X,S), sex(Y,S).
"""


@dataclass(frozen=True)
class Kinship:
    facts: tuple[tuple[str, str, str], ...]  # (X, relation, Z): X is Z's relation
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        people = pick(rng, pool(rng, *PERSON_POOLS), 8)
        facts: list[tuple[str, str, str]] = []
        for i in range(1 + difficulty // 3):  # separate branches of two relations each
            x, y, z = people[3 * i : 3 * i + 3] if i < 2 else (*people[6:8], people[2])
            first, second = rng.choice(list(TOGETHER))
            facts += [(x, first, y), (y, second, z)]
        extra = [p for p in people if all(p not in (a, b) for a, _, b in facts)]
        for p in extra[: difficulty // 2]:
            facts.append((p, rng.choice(_FIRST), rng.choice([a for a, _, _ in facts])))
        return cls(tuple(rng.sample(facts, len(facts))), wording)

    def problem(self) -> str:
        head = ("一家人：", "他们的关系如下：", "关于几家人，我们知道：")[self.wording]
        line = ("{a}是{b}的{r}。", "{a}为{b}的{r}。", "{b}的{r}叫{a}。")[self.wording]
        return head + "\n" + "".join(line.format(a=a, r=r, b=b) for a, r, b in self.facts)

    def program(self) -> str:
        table = "".join(fact("together", *pair, result) for pair, result in TOGETHER.items())
        facts = "".join(fact("rel", *f) for f in self.facts)
        return facts + table + _PROGRAM

    def _chains(self) -> list[tuple[str, str, str, str, str]]:
        return [
            (x, first, y, second, z)
            for x, first, y in self.facts
            for other, second, z in self.facts
            if y == other and x != z and (first, second) in TOGETHER
        ]

    def queries(self) -> Iterator[Query]:
        names = tuple(sorted({p for a, _, b in self.facts for p in (a, b)}))
        for x, first, y, second, z in self._chains():
            relation = TOGETHER[first, second]
            kin = tuple(dict.fromkeys(r for pair, r in TOGETHER.items() if first in pair or second in pair))
            write = partial(self._joined, x, y, z)
            rules = f'answer(R) :- kin("{x}",R,"{z}"). step(A,B) :- rel("{x}",A,Y), rel(Y,B,"{z}").'
            yield Query(f"{x}是{z}的什么人？", rules, write, kin, key=f"{x} to {z}")
            rules = (
                f'answer(X) :- kin(X,"{relation}","{z}").'
                f'step(A,B) :- rel(X,A,Y), rel(Y,B,"{z}"), together(A,B,"{relation}").'
            )
            others = tuple(n for n in names if n != z)
            yield Query(f"谁是{z}的{relation}？", rules, write, others, key=f"{relation} of {z}")

    def _joined(self, x: str, y: str, z: str, proof: Proof) -> str:
        first, second = proof.steps[0]
        result = TOGETHER[str(first), str(second)]
        return f"{x}是{y}的{first}\n{y}是{z}的{second}\n{second}的{first}是{result}\n{x}是{z}的{result}"

    def changed(self, rng: Random) -> Self:
        """One relation changes."""
        i = rng.randrange(len(self.facts))
        a, _, b = self.facts[i]
        return replace(self, facts=put(self.facts, i, (a, rng.choice(_FIRST), b)))
