"""Syllogisms (all, none, some): which statement must hold?"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.programs.library import module
from augen.puzzles.base import NO, YES, Proved, Query, nth, pick, picks, pool, put, yes, yes_no
from augen.puzzles.solver import NotProved, Proof, fact

JOBS = ("画家", "教师", "医生", "歌手", "司机", "诗人", "律师", "厨师")
TRAITS = ("会员", "左撇子", "素食者", "棋手", "跑者", "球迷", "业主", "志愿者")
FORMS = ("all", "none", "some", "somenot")  # other: some are not
_STEPS = """
number(I,I) :- premise(I,_,_,_). number(X,100+J) :- term(J,X).
step(N,J,1) :- is(I,X), number(I,N), term(J,X). step(N,J,0) :- isnot(I,X), number(I,N), term(J,X).
"""
_OPPOSITE = {"all": "somenot", "somenot": "all", "none": "some", "some": "none"}
Statement = tuple[str, str, str]  # (form, subject, predicate)
Who = tuple[str, str, bool]  # somebody of the first class who is (True) or is not of the second


@dataclass(frozen=True)
class Syllogisms(Proved):
    uses: ClassVar = "syllogisms"

    terms: tuple[str, ...]
    premises: tuple[Statement, ...]
    offers: tuple[tuple[Statement, ...], ...]  # statements to choose among
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        terms = pick(rng, pool(rng, JOBS, TRAITS), 3 + difficulty // 3)
        order = list(terms)
        premises: list[Statement] = []
        for a, b in itertools.pairwise(order):
            form = rng.choices(("all", "none", "some", "somenot"), (6, 2, 2, 1))[0]
            premises.append((form, a, b) if rng.random() < 0.75 else (form, b, a))
        for _ in range((difficulty + 1) // 2):
            form = rng.choices(FORMS, (2, 2, 3, 1))[0]
            a, b = rng.sample(terms, 2)
            premises.append((form, a, b))
        premises = [p for p in dict.fromkeys(premises) if (_OPPOSITE[p[0]], *p[1:]) not in premises]
        world = cls(terms, tuple(rng.sample(premises, len(premises))), (), wording)
        every = [(form, a, b) for form in FORMS for a, b in itertools.permutations(terms, 2)]
        fresh = [s for s in every if s not in premises and not (s[0] in ("some", "none") and _turned(s) in premises)]
        spoken_of = {term for _, a, b in premises for term in (a, b)}
        if spoken_of != set(terms) or not any(form in ("all", "none") for form, _, _ in premises):
            raise NotProved("nothing follows")
        types = world._types()
        if not all(any(world._is(t, one) for t in types) for one in world._told()):
            raise NotProved("a contradiction")
        right = [s for s in fresh if world._follows(s, types)]
        wrong = [s for s in fresh if s not in right]
        if not right or len(wrong) < 4:
            raise NotProved("nothing new follows")
        offers = []
        misread = world._misread(wrong, rng)
        for sure in rng.sample(right, min(3, len(right))):
            near = rng.sample(wrong, len(wrong))  # conclusions from a misread premise first
            near.sort(key=lambda s: (s not in misread, -len({s[1], s[2]} & {sure[1], sure[2]})))
            offers.append((sure, *near[:3]))
        return replace(world, offers=tuple(offers))

    def _misread(self, wrong: Sequence[Statement], rng: Random) -> set[Statement]:
        """The statements of `wrong` that follow if one premise is misread."""
        found: set[Statement] = set()
        for _ in range(6):
            other = self.changed(rng)
            types = other._types()
            found |= {s for s in wrong if other._follows(s, types)}
        return found

    def problem(self) -> str:
        head = (
            "已知下面几点，而且每一类人都至少有一个。没有说到的都不一定。",
            "每一类都不是空的。只根据下面的话推理：",
            "下面提到的各类人都确实存在，其他情况一概不知。",
        )[self.wording]
        return head + "\n" + "".join(f"{i}.{self._said(p)}。" for i, p in enumerate(self.premises, start=1))

    def _said(self, statement: Statement) -> str:
        form, a, b = statement
        return {
            "all": ("所有{a}都是{b}", "凡是{a}都是{b}", "每个{a}都是{b}"),
            "none": ("没有{a}是{b}", "凡是{a}都不是{b}", "任何{a}都不是{b}"),
            "some": ("有些{a}是{b}", "有的{a}是{b}", "至少有一个{a}是{b}"),
            "somenot": ("有些{a}不是{b}", "有的{a}不是{b}", "至少有一个{a}不是{b}"),
        }[form][self.wording].format(a=a, b=b)

    def _bit(self, term: str) -> int:
        return 1 << self.terms.index(term)

    def facts(self) -> list[str]:
        return [f'premise({i},{form},"{a}","{b}").' for i, (form, a, b) in enumerate(self.premises, start=1)]

    def program(self) -> str:
        terms = [fact("term", j, term) for j, term in enumerate(self.terms)]
        return "".join(self.facts() + terms) + module(self.uses) + _STEPS

    def queries(self) -> Iterator[Query]:
        asked: set[Statement] = set()
        for offer in self.offers:
            texts = tuple(self._said(s) for s in offer)
            rules = "".join(f"answer({k}) :- {_must(s)}." for k, s in enumerate(offer))
            which = partial(picks, {text: _must(s) for text, s in zip(texts, offer, strict=True)})
            write = partial(self._weighed, offer)
            yield Query(
                "下面哪句话一定成立？", rules, write, texts, partial(nth, texts), f"offer {[*texts]}", ask=which
            )
            for s in offer[:2]:
                opposite = (_OPPOSITE[s[0]], *s[1:])
                if s in asked or opposite in asked:
                    continue
                asked.add(s)
                write = partial(self._weighed, (s, opposite))
                right, wrong, text = _must(s), _must(opposite), f"“{self._said(s)}”一定成立吗？"
                yield Query(text, yes_no(right), write, (YES, NO), key=f"must {s}", ask=yes(right))
                ask = (
                    f'answer("一定对") :- {right}.\nanswer("一定错") :- {wrong}.\n'
                    f'answer("不能确定") :- not {right}, not {wrong}.'
                )
                three, text = ("不能确定", "一定对", "一定错"), f"“{self._said(s)}”这句话对吗？"
                yield Query(text, ask, write, three, key=f"true {s}")

    def _weighed(self, statements: Sequence[Statement], proof: Proof) -> str:
        """What is certain about everybody who is known to exist, and what follows for each statement."""
        sure: dict[int, tuple[list[str], list[str]]] = {}
        for i, j, right in proof.steps:
            term = self.terms[int(j)]
            sure.setdefault(int(i), ([], []))[0 if right else 1].append(term)
        lines = []
        for i, (positive, negative) in sorted(sure.items()):
            who = f"任何一个{self.terms[i - 100]}" if i >= 100 else f"{i}说的那个人"
            about = f"：一定是{'、'.join(positive)}" + (f"，一定不是{'、'.join(negative)}" if negative else "")
            lines.append(who + about + "，其余不定")
        types = self._types()
        for statement in statements:
            lines.append(f"“{self._said(statement)}”{'一定成立' if self._follows(statement, types) else '不一定'}")
        return "\n".join(lines)

    def _types(self) -> list[int]:
        """The types of people that the universal premises allow."""
        return [t for t in range(1 << len(self.terms)) if not any(self._breaks(t, p) for p in self.premises)]

    def _told(self) -> list[Who]:
        """The people who are said to exist."""
        told = [(a, b, form == "some") for form, a, b in self.premises if form in ("some", "somenot")]
        return told + [(term, term, True) for term in self.terms]

    def _follows(self, statement: Statement, types: Sequence[int]) -> bool:
        """Whether `statement` must hold: for drawing and writing; the solver proves it again."""
        form, a, b = statement
        if form in ("all", "none"):
            return not any(self._breaks(t, statement) for t in types)
        want = (a, b, form == "some")
        return any(all(self._is(t, want) for t in types if self._is(t, one)) for one in self._told())

    def _is(self, t: int, who: Who) -> bool:
        a, b, positive = who
        return bool(t & self._bit(a)) and bool(t & self._bit(b)) == positive

    def _breaks(self, t: int, statement: Statement) -> bool:
        form, a, b = statement
        return (form == "all" and self._is(t, (a, b, False))) or (form == "none" and self._is(t, (a, b, True)))

    def changed(self, rng: Random) -> Self:
        """One premise swaps its terms or changes its form."""
        i = rng.randrange(len(self.premises))
        form, a, b = self.premises[i]
        other = (form, b, a) if rng.random() < 0.4 else (rng.choice(FORMS), a, b)
        return replace(self, premises=put(self.premises, i, other))


def _must(statement: Statement) -> str:
    form, a, b = statement
    return f'must({form},"{a}","{b}")'


def _turned(statement: Statement) -> Statement:
    form, a, b = statement
    return form, b, a
