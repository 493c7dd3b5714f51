"""Symptoms, the drugs that help, and the drugs that each patient must avoid."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import NO, YES, Proved, Query, listed, numbered, pick, pool, put, yes, yes_no
from augen.puzzles.families.words import DRUGS, PERSON_POOLS, SYMPTOMS
from augen.puzzles.solver import Proof, fact


@dataclass(frozen=True)
class Drugs(Proved):
    uses: ClassVar = "drugs"

    helps: tuple[tuple[str, tuple[str, ...]], ...]  # (drug, symptoms)
    patients: tuple[tuple[str, str, tuple[str, ...]], ...]  # (person, symptom, drugs to avoid)
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        symptoms = pick(rng, SYMPTOMS, 2 + difficulty // 2)
        drugs = pick(rng, DRUGS, min(3 + difficulty // 2, 6))
        helps = tuple((d, pick(rng, symptoms, 1 + (difficulty > 2 and rng.random() < 0.6))) for d in drugs)
        people = pick(rng, pool(rng, *PERSON_POOLS), 1 + difficulty // 2)
        patients = tuple(
            (p, rng.choice(symptoms), pick(rng, drugs, rng.randrange(1, 2 + difficulty // 2))) for p in people
        )
        return cls(helps, patients, wording)

    def problem(self) -> str:
        drug = ("{d}治{s}。", "{d}可以治{s}。", "得了{s}可以吃{d}。", "{s}要用{d}。", "能治{s}的是{d}。")[self.wording]
        person = (
            "{p}{s}，不能吃{a}。",
            "{p}有{s}，对{a}过敏。",
            "{p}得了{s}，身体受不了{a}。",
            "{p}的病是{s}，{a}会伤身。",
            "因为{s}来看病的是{p}，禁用{a}。",
        )[self.wording]
        heads = (
            "药和病人：",
            "医生知道：",
            "一种药没有提到的作用都不存在。",
            "药房有这些药，来了病人：",
            "每种药的用处：",
        )
        lines = [drug.format(d=d, s="、".join(s)) for d, s in self.helps]
        lines += [person.format(p=p, s=s, a="、".join(a)) for p, s, a in self.patients]
        return heads[self.wording] + "\n" + "".join(lines)

    def facts(self) -> list[str]:
        facts = [fact("helps", *drug) for drug in self.helps]
        for person, symptom, avoid in self.patients:
            facts += [fact("has", person, symptom), fact("allergic", person, avoid)]
        return facts

    def queries(self) -> Iterator[Query]:
        drugs = tuple(sorted(d for d, _ in self.helps))
        for person, symptom, _ in self.patients:
            step = f'step(0,D) :- has("{person}",S), helps(D,S). step(1,D) :- safe("{person}",D).'
            ask, write = f'answer(D) :- safe("{person}",D).', partial(self._checked, person)
            yield Query(f"{person}该吃什么药？", step + ask, write, drugs, key=f"drug {person}", ask=ask)
            for drug in drugs:
                text, goal = f"{person}能吃{drug}治{symptom}吗？", f'safe("{person}","{drug}")'
                write = partial(self._looked_for, person, drug)
                yield Query(text, step + yes_no(goal), write, (YES, NO), key=f"{person} {drug}", ask=yes(goal))
            text, ask = f"有几种药能治{person}的病？", f'answer(N) :- N = #count{{D : safe("{person}",D)}}.'
            numbers, write = ("1", "2", "0", "3", "4"), partial(self._counted, person)
            yield Query(text, step + ask, write, numbers, key=f"count {person}", ask=ask)

    def _safe(self, proof: Proof) -> list[str]:
        return [d for d, _ in self.helps if (1, d) in proof.steps]

    def _looked_for(self, person: str, drug: str, proof: Proof) -> str:
        return f"{self._checked(person, proof)}\n{'有' if (1, drug) in proof.steps else '没有'}{drug}。"

    def _counted(self, person: str, proof: Proof) -> str:
        return f"{self._checked(person, proof)}\n数一数：{numbered(self._safe(proof))}。"

    def _checked(self, person: str, proof: Proof) -> str:
        """The drugs that help, those that the person must avoid, and those that remain."""
        symptom, avoid = next((s, a) for p, s, a in self.patients if p == person)
        helping = [d for d, _ in self.helps if (0, d) in proof.steps]
        return (
            f"{person}{symptom}\n治{symptom}：{listed(helping)}\n"
            f"不能吃：{'、'.join(avoid)}\n剩下：{listed(self._safe(proof))}"
        )

    def changed(self, rng: Random) -> Self:
        """One patient must avoid other drugs, or one drug helps against another symptom."""
        if rng.random() < 0.5:
            i = rng.randrange(len(self.patients))
            person, symptom, avoid = self.patients[i]
            drugs = [d for d, _ in self.helps]
            return replace(self, patients=put(self.patients, i, (person, symptom, pick(rng, drugs, len(avoid)))))
        i = rng.randrange(len(self.helps))
        symptoms = sorted({s for _, many in self.helps for s in many} | {s for _, s, _ in self.patients})
        drug, old = self.helps[i]
        return replace(self, helps=put(self.helps, i, (drug, pick(rng, symptoms, min(len(old), len(symptoms))))))
