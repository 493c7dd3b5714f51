"""Family relations: two known relations are combined to a third."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import Proved, Query, pick, pool, put
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


@dataclass(frozen=True)
class Kinship(Proved):
    uses: ClassVar = "kinship"

    relations: tuple[tuple[str, str, str], ...]  # (X, relation, Z): X is Z's relation
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
        head = ("一家人：", "他们的关系如下：", "关于几家人，我们知道：", "亲戚之间：", "几个亲属：")[self.wording]
        line = ("{a}是{b}的{r}。", "{a}为{b}的{r}。", "{b}的{r}叫{a}。", "{b}管{a}称{r}。", "论辈分{a}算{b}的{r}。")[
            self.wording
        ]
        return head + "\n" + "".join(line.format(a=a, r=r, b=b) for a, r, b in self.relations)

    def facts(self) -> list[str]:
        return [fact("rel", *relation) for relation in self.relations]

    def _chains(self) -> list[tuple[str, str, str, str, str]]:
        return [
            (x, first, y, second, z)
            for x, first, y in self.relations
            for other, second, z in self.relations
            if y == other and x != z and (first, second) in TOGETHER
        ]

    def queries(self) -> Iterator[Query]:
        names = tuple(sorted({p for a, _, b in self.relations for p in (a, b)}))
        for x, first, y, second, z in self._chains():
            relation = TOGETHER[first, second]
            kin = tuple(dict.fromkeys(r for pair, r in TOGETHER.items() if first in pair or second in pair))
            write = partial(self._joined, x, y, z)
            ask, step = f'answer(R) :- kin("{x}",R,"{z}").', f'step(A,B) :- rel("{x}",A,Y), rel(Y,B,"{z}").'
            yield Query(f"{x}是{z}的什么人？", ask + step, write, kin, key=f"{x} to {z}", ask=ask)
            ask = f'answer(X) :- kin(X,"{relation}","{z}").'
            step = f'step(A,B) :- rel(X,A,Y), rel(Y,B,"{z}"), together(A,B,"{relation}").'
            others = tuple(n for n in names if n != z)
            yield Query(f"谁是{z}的{relation}？", ask + step, write, others, key=f"{relation} of {z}", ask=ask)

    def _joined(self, x: str, y: str, z: str, proof: Proof) -> str:
        first, second = proof.steps[0]
        result = TOGETHER[str(first), str(second)]
        return f"{x}是{y}的{first}\n{y}是{z}的{second}\n{second}的{first}是{result}\n{x}是{z}的{result}"

    def changed(self, rng: Random) -> Self:
        """One relation changes."""
        i = rng.randrange(len(self.relations))
        a, _, b = self.relations[i]
        return replace(self, relations=put(self.relations, i, (a, rng.choice(_FIRST), b)))
