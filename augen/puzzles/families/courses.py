"""Courses with prerequisites: which course may each student take next?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import NO, YES, Proved, Query, around, listed, numbered, pick, pool, put, yes, yes_no
from augen.puzzles.families.names import POOLS
from augen.puzzles.solver import Proof, fact

CODES = ("CS101", "CS120", "CS205", "CS210", "CS230", "CS301", "CS315", "CS340", "CS402")
TITLES = ("微积分", "线代", "概率论", "统计学", "编程", "算法", "数据库", "编译原理", "机器学习")


@dataclass(frozen=True)
class Courses(Proved):
    uses: ClassVar = "courses"

    courses: tuple[str, ...]
    before: tuple[tuple[str, tuple[str, ...]], ...]  # (course, what must be finished first)
    done: tuple[tuple[str, tuple[str, ...]], ...]  # (student, finished)
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        courses = pick(rng, pool(rng, CODES, TITLES), 4 + difficulty)
        before = {}
        for i, course in enumerate(courses[1:], start=1):
            if rng.random() < 0.8:
                before[course] = pick(rng, courses[max(0, i - 4) : i], min(i, 1 + (rng.random() < 0.3)))
        done = []
        for student in pick(rng, pool(rng, *POOLS), 1 + difficulty // 2):
            finished: list[str] = []
            for course in courses:
                if rng.random() < 0.6 and all(a in finished for a in before.get(course, ())):
                    finished.append(course)
            done.append((student, tuple(finished)))
        shuffled = rng.sample(list(before.items()), len(before))
        return cls(tuple(sorted(courses)), tuple(shuffled), tuple((s, d) for s, d in done if d), wording)

    def problem(self) -> str:
        head = (
            "全部课程：{c}。没有写到的先修要求都不存在。",
            "学校开了{c}这些课，先修要求只有下面几条：",
            "课程有{c}。下面是先修关系，此外没有别的要求。",
        )[self.wording].format(c="、".join(self.courses))
        line = ("学{c}之前要学完{a}。", "{c}的先修课是{a}。", "必须先学完{a}才能学{c}。")[self.wording]
        done = ("{s}学完了{a}。", "{s}已经学完{a}。", "到现在为止，{s}只学完了{a}。")[self.wording]
        lines = [line.format(c=c, a="、".join(a)) for c, a in self.before]
        return head + "\n" + "".join(lines) + "".join(done.format(s=s, a="、".join(a)) for s, a in self.done)

    def facts(self) -> list[str]:
        before = [fact("before", c, a) for c, many in self.before for a in many]
        done = [fact("done", student, c) for student, finished in self.done for c in finished]
        return [*(fact("course", c) for c in self.courses), *before, *done]

    def queries(self) -> Iterator[Query]:
        before = dict(self.before)
        for student, finished in self.done:
            allowed = f'step(0,C) :- may("{student}",C).'
            for c in self.courses:
                if c not in finished:
                    goal, write = f'may("{student}","{c}")', partial(self._checked, student, (c,))
                    text, rules = f"{student}现在可以学{c}吗？", allowed + yes_no(goal)
                    yield Query(text, rules, write, (YES, NO), key=f"{student} {c}", ask=yes(goal))
            text, ask = f"{student}现在可以学哪一门新课？", f'answer(C) :- may("{student}",C).'
            write = partial(self._checked, student, None)
            yield Query(text, allowed + ask, write, self.courses, key=student, most=4, ask=ask)
            text, ask = f"{student}现在可以选几门新课？", f'answer(N) :- N = #count{{C : may("{student}",C)}}.'
            free = [c for c in self.courses if c not in finished and set(before.get(c, ())) <= set(finished)]
            numbers = around(len(free), student + self.courses[0])
            yield Query(text, allowed + ask, write, numbers, key=f"count {student}", ask=ask)
        for c in before:
            direct = len(before[c])
            near = (str(direct), *around(len(self._all_before(c)) - 1, c))
            climbed, write = f'step(0,A) :- needs("{c}",A).', partial(self._climbed, c)
            text, ask = (
                f"要学{c}，一共要先学完几门课（直接或间接）？",
                f'answer(N) :- N = #count{{A : needs("{c}",A)}}.',
            )
            yield Query(text, ask + climbed, write, near, key=f"needs {c}", ask=ask)
            text, ask = f"从零开始，每学期课数不限，{c}最早在第几学期学？", f'answer(T) :- earliest("{c}",T).'
            rules, numbers = ask + "step(T,C) :- earliest(C,T).", around(self._term(c), c)
            yield Query(text, rules, self._terms, numbers, key=f"term {c}", ask=ask)
            above = self._all_before(c)
            outside = [a for a in self.courses if a not in above]
            for a in (*sorted(above - {c, *before[c]}), *outside[:2]):
                if a != c:
                    text, goal = f"要学{c}，必须先学完{a}吗？", f'needs("{c}","{a}")'
                    yield Query(text, climbed + yes_no(goal), write, (YES, NO), key=f"{c}>{a}", ask=yes(goal))

    def _checked(self, student: str, courses: Sequence[str] | None, proof: Proof) -> str:
        before, done = dict(self.before), dict(self.done)[student]
        lines = [f"{student}学完了：{'、'.join(done)}"]
        for c in courses or [c for c in self.courses if c not in done]:
            need = before.get(c, ())
            missing = [a for a in need if a not in done]
            verdict = "可以" if (0, c) in proof.steps else "不可以"
            lines.append(f"{c}要先学：{listed(need)}，还缺：{listed(missing)}，{verdict}")
        return "\n".join(lines)

    def _climbed(self, c: str, proof: Proof) -> str:
        """The prerequisites of `c`, level by level, each with its own prerequisites."""
        before = dict(self.before)
        met = {str(a) for _, a in proof.steps}
        order = [c]
        for here in order:
            order += [a for a in before.get(here, ()) if a not in order and a in met]
        lines = [f"{here}要先学：{listed(before.get(here, ()))}" for here in order]
        return "\n".join(lines) + f"\n一共：{numbered(order[1:])}。"

    def _terms(self, proof: Proof) -> str:
        terms: dict[int, list[str]] = {}
        for t, c in proof.steps:
            terms.setdefault(int(t), []).append(str(c))
        return "\n".join(f"第{t}学期：{'、'.join(sorted(courses))}" for t, courses in sorted(terms.items()))

    def changed(self, rng: Random) -> Self:
        """A prerequisite is replaced, added or dropped, or a student has finished one course more or less."""
        if self.done and rng.random() < 0.5:
            i = rng.randrange(len(self.done))
            student, finished = self.done[i]
            c = rng.choice(self.courses)
            other = tuple(x for x in finished if x != c) if c in finished else (*finished, c)
            return replace(self, done=put(self.done, i, (student, other or finished)))
        i = rng.randrange(len(self.before))
        c, need = self.before[i]
        a = rng.choice([x for x in self.courses if x != c and c not in self._all_before(x)])
        kind = rng.random()
        other = tuple(x for x in need if x != a) if a in need else ((*need, a) if kind < 0.6 else (a,))
        return replace(self, before=put(self.before, i, (c, other or need)))

    def _term(self, c: str) -> int:
        """The first term for `c`: for distractors only; answers come from the solver."""
        return 1 + max((self._term(a) for a in dict(self.before).get(c, ())), default=0)

    def _all_before(self, c: str) -> set[str]:
        before = dict(self.before)
        found = [c]
        for here in found:
            found += [a for a in before.get(here, ()) if a not in found]
        return set(found)
