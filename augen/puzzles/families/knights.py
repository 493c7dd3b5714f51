"""Knights always tell the truth and knaves always lie. Each says of one other person what that person is."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import Proved, Query, numbered, pick, pool, put
from augen.puzzles.families.words import PERSON_POOLS
from augen.puzzles.solver import Proof, fact

KNIGHT, KNAVE = "骑士", "骗子"
_STEPS = "step(X,K) :- is(X,K)."


@dataclass(frozen=True)
class Knights(Proved):
    uses: ClassVar = "knights"
    steps: ClassVar = _STEPS

    known: tuple[str, str]  # (person, kind)
    says: tuple[tuple[str, str, str], ...]  # (speaker, about whom, kind)
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        people = pick(rng, pool(rng, *PERSON_POOLS), 2 + difficulty)
        says = [(a, b, rng.choice((KNIGHT, KNAVE))) for a, b in itertools.pairwise(people)]
        return cls((people[0], rng.choice((KNIGHT, KNAVE))), tuple(rng.sample(says, len(says))), wording)

    def problem(self) -> str:
        head = (
            "骑士说真话，骗子说假话。",
            "骑士只说真话，骗子只说假话。",
            "岛上的人不是骑士就是骗子，骗子的话全是假的。",
            "这里的骑士句句真话，骗子句句假话。",
            "骑士不会说谎，骗子不会说真话。",
        )
        line = (
            "{a}说：{b}是{k}。",
            "{a}说{b}是{k}。",
            "据{a}说，{b}是{k}。",
            "{a}指着{b}称其为{k}。",
            "{b}被{a}叫作{k}。",
        )[self.wording]
        said = [line.format(a=a, b=b, k=k) for a, b, k in self.says]
        known = ("{a}是{k}。", "已知{a}是{k}。", "大家都知道{a}是{k}。", "其实{a}是{k}。", "可以肯定{a}是{k}。")[
            self.wording
        ]
        return head[self.wording] + "\n" + "".join(said) + known.format(a=self.known[0], k=self.known[1])

    def facts(self) -> list[str]:
        return [*(fact("says", *said) for said in self.says), fact("known", *self.known)]

    def _people(self) -> list[str]:
        return list(dict.fromkeys([self.known[0], *(x for a, b, _ in self.says for x in (a, b))]))

    def queries(self) -> Iterator[Query]:
        people = self._people()
        for x in people:
            if x != self.known[0]:
                ask = f'answer(K) :- is("{x}",K).'
                write = partial(self._followed, last=x)
                yield Query(f"{x}是骑士还是骗子？", ask, write, (KNIGHT, KNAVE), key=f"is {x}")
        for kind in (KNIGHT, KNAVE):
            ask = f'answer(N) :- N = #count{{X : is(X,"{kind}")}}.'
            numbers = tuple(str(n) for n in range(len(people), -1, -1))
            yield Query(f"有几个{kind}？", ask, partial(self._numbered, kind), numbers, key=f"count {kind}")
            # Asked only if exactly one is of this kind: other worlds have several answers.
            ask = f'answer(X) :- is(X,"{kind}").'
            yield Query(f"谁是{kind}？", ask, self._followed, tuple(sorted(people)), key=f"who {kind}")

    def _followed(self, proof: Proof, last: str | None = None) -> str:
        """Starts at the known person and follows what each says of the next, up to `last`."""
        kind = {str(x): str(k) for x, k in proof.steps}
        about = {a: (b, k) for a, b, k in self.says}
        here = self.known[0]
        lines = [f"{here}是{kind[here]}"]
        while here in about and here != last:
            other, said = about[here]
            truth = "真" if kind[here] == KNIGHT else "假"
            lines.append(f"{here}说{other}是{said}，{truth}，{other}是{kind[other]}")
            here = other
        return "\n".join(lines)

    def _numbered(self, kind: str, proof: Proof) -> str:
        names = [x for x in self._people() if (x, kind) in proof.steps]
        return f"{self._followed(proof)}\n{kind}：{numbered(self._chain_order(names))}。"

    def _chain_order(self, names: Sequence[str]) -> list[str]:
        about = {a: b for a, b, _ in self.says}
        here: str | None = self.known[0]
        order = []
        while here is not None:
            if here in names:
                order.append(here)
            here = about.get(here)
        return order

    def changed(self, rng: Random) -> Self:
        """One person says the opposite, or the known person is of the other kind."""
        flip = {KNIGHT: KNAVE, KNAVE: KNIGHT}
        i = rng.randrange(len(self.says) + 1)
        if i == len(self.says):
            return replace(self, known=(self.known[0], flip[self.known[1]]))
        a, b, kind = self.says[i]
        return replace(self, says=put(self.says, i, (a, b, flip[kind])))
