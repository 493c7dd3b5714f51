"""Kinds of animals with rules about what all of a kind can or cannot do: what can each animal do? Closed world."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import NO, YES, Proved, Query, around, numbered, pick, picks, pool, put, yes, yes_no
from augen.puzzles.families.names import POOLS
from augen.puzzles.solver import Proof, fact

KINDS = (
    "风兽",
    "水兽",
    "火兽",
    "石兽",
    "云兽",
    "雷兽",
    "木兽",
    "沙兽",
)  # made up, so that no reader can use other knowledge
ABILITIES = ("飞", "游泳", "唱歌", "爬树", "潜水", "发光", "隐身", "挖洞")


@dataclass(frozen=True)
class Classes(Proved):
    uses: ClassVar = "classes"

    sub: tuple[tuple[str, str], ...]  # all of the first kind are of the second
    rules: tuple[tuple[str, str, bool], ...]  # (kind, ability, True: all of the kind have it, False: none has it)
    members: tuple[tuple[str, str], ...]  # (name, kind)
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        kinds = pick(rng, KINDS, 3 + (difficulty + 1) // 2)
        abilities = pick(rng, ABILITIES, 2 + difficulty // 3)
        sub = [(kinds[i], kinds[rng.randrange(max(0, i - 3), i)]) for i in range(1, len(kinds))]
        rules: dict[tuple[str, str], bool] = {}
        for ability in abilities:  # given to one kind, taken from another
            for right in (True, False, *[True] * (difficulty // 3)):
                rules.setdefault((rng.choice(kinds[: 3 + difficulty // 3]), ability), right)
        names = pick(rng, pool(rng, *POOLS), 3 + difficulty // 2)
        shuffled = rng.sample([(k, p, right) for (k, p), right in rules.items()], len(rules))
        members = tuple((x, rng.choice(kinds)) for x in names)
        return cls(tuple(rng.sample(sub, len(sub))), tuple(shuffled), members, wording)

    def problem(self) -> str:
        head = (
            "下面写了全部的动物。没有规则说会的就不会，一条规则说不会，就一定不会。",
            "动物园里只有下面这些动物；规则没有提到的本领都没有，“不会”的规则优先。",
            "除了提到的，没有别的动物，也没有别的本领。只要有一条规则说不会，就不会：",
        )[self.wording]
        sub = ("{a}都是{b}。", "凡是{a}，都属于{b}。", "每只{a}都算{b}。")[self.wording]
        gives = ("{k}都会{p}。", "凡是{k}，都会{p}。", "每只{k}都会{p}。")[self.wording]
        denies = ("{k}都不会{p}。", "凡是{k}，都不会{p}。", "没有{k}会{p}。")[self.wording]
        member = ("{x}是{k}。", "{x}属于{k}。", "{x}是一只{k}。")[self.wording]
        lines = [sub.format(a=a, b=b) for a, b in self.sub]
        lines += [(gives if right else denies).format(k=k, p=p) for k, p, right in self.rules]
        return head + "\n" + "".join(lines) + "".join(member.format(x=x, k=k) for x, k in self.members)

    def facts(self) -> list[str]:
        rules = [fact("gives" if right else "denies", k, p) for k, p, right in self.rules]
        return [*(fact("sub", a, b) for a, b in self.sub), *rules, *(fact("is", x, k) for x, k in self.members)]

    def queries(self) -> Iterator[Query]:
        names = tuple(sorted(x for x, _ in self.members))
        for p in sorted({p for _, p, _ in self.rules}):
            step = f'step(0,X) :- can(X,"{p}").'
            write = partial(self._judged, p, names)
            for x in names:
                goal, judged = f'can("{x}","{p}")', partial(self._judged, p, (x,))
                yield Query(f"{x}会{p}吗？", step + yes_no(goal), judged, (YES, NO), key=f"{x} {p}", ask=yes(goal))
            ask = f'answer(X) :- can(X,"{p}").'
            yield Query(f"下面谁会{p}？", step + ask, write, names, key=f"who {p}", most=4, ask=ask)
            ask = f'answer(X) :- cannot(X,"{p}").'
            yield Query(f"下面谁不会{p}？", step + ask, write, names, key=f"who not {p}", most=4, ask=ask)
            ask, numbers = f'answer(N) :- N = #count{{X : can(X,"{p}")}}.', around(self._able(p), names[0] + p)
            yield Query(f"会{p}的有几只？", step + ask, partial(self._counted, p), numbers, key=f"count {p}", ask=ask)
            for k in sorted({b for _, b in self.sub}):
                if not any(k in self._kinds(x) for x, _ in self.members):
                    continue
                goals = {
                    f"{k}都会{p}": f'all("{k}","{p}")',
                    f"有的{k}会{p}，有的不会": f'some("{k}","{p}")',
                    f"{k}都不会{p}": f'none("{k}","{p}")',
                }
                rules = f'{step}step(1,X) :- in(X,"{k}").' + "".join(f'answer("{s}") :- {g}.' for s, g in goals.items())
                write, which = partial(self._of_kind, k, p), partial(picks, goals)
                yield Query("下面哪句话对？", rules, write, tuple(goals), key=f"all {k} {p}", ask=which)

    def _able(self, p: str) -> int:
        """How many animals can do `p`: for distractors only; answers come from the solver."""
        told = {k: right for k, q, right in self.rules if q == p}
        kinds = [[told[k] for k in self._kinds(x) if k in told] for x, _ in self.members]
        return sum(bool(rules) and all(rules) for rules in kinds)

    def _kinds(self, x: str) -> list[str]:
        """The kinds of `x`, the most special first: for writing, not for the proof."""
        above = dict(self.sub)
        chain = [dict(self.members)[x]]
        while chain[-1] in above:
            chain.append(above[chain[-1]])
        return chain

    def _judged(self, p: str, names: Sequence[str], proof: Proof) -> str:
        lines = []
        for x in names:
            kinds = self._kinds(x)
            gives, denies = (
                [k for k, q, right in self.rules if q == p and k in kinds and right is w] for w in (True, False)
            )
            lines.append(
                f"{x}是{'、'.join(kinds)}，"
                + (f"{'、'.join(gives)}都会{p}，" if gives else f"没有规则说会{p}，")
                + (f"但{'、'.join(denies)}都不会{p}，" if denies else "")
                + f"{x}{'会' if (0, x) in proof.steps else '不会'}{p}"
            )
        return "\n".join(lines)

    def _counted(self, p: str, proof: Proof) -> str:
        names = [x for x, _ in self.members if (0, x) in proof.steps]
        judged = self._judged(p, [x for x, _ in self.members], proof)
        return f"{judged}\n会{p}：{numbered(names)}。"

    def _of_kind(self, k: str, p: str, proof: Proof) -> str:
        names = [x for x, _ in self.members if (1, x) in proof.steps]
        return f"{k}有：{'、'.join(names)}\n{self._judged(p, names, proof)}"

    def changed(self, rng: Random) -> Self:
        """One animal is of another kind, or one rule is about another kind or says the opposite."""
        kinds = sorted({k for pair in self.sub for k in pair})
        if rng.random() < 0.5:
            i = rng.randrange(len(self.members))
            return replace(self, members=put(self.members, i, (self.members[i][0], rng.choice(kinds))))
        i = rng.randrange(len(self.rules))
        k, p, right = self.rules[i]
        rule = (k, p, not right) if rng.random() < 0.5 else (rng.choice(kinds), p, right)
        if rule[:2] in {(a, b) for a, b, _ in self.rules[:i] + self.rules[i + 1 :]}:
            return self  # one kind would have two rules about one ability
        return replace(self, rules=put(self.rules, i, rule))
