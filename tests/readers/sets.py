"""Readers of the families about kinds, requirements and quantifiers."""

import itertools
import re

from tests.puzzle_readers import counted, listed, match, said, sentences, unread


class Classes:
    def __init__(self, problem: str) -> None:
        sub: list[tuple[str, str]] = []
        kind: dict[str, str] = {}
        self.rules: set[tuple[str, str, bool]] = set()
        for text in sentences(problem):
            if (g := match("(.兽)都不会(.+)", text) or match("凡是(.兽)，都不会(.+)", text)) or (
                g := match("没有(.兽)会(.+)", text)
            ):
                self.rules.add((g[0], g[1], False))
            elif (
                g := match("(.兽)都会(.+)", text)
                or match("凡是(.兽)，都会(.+)", text)
                or match("每只(.兽)会(.+)", text)
                or match("每只(.兽)都会(.+)", text)
            ):
                self.rules.add((g[0], g[1], True))
            elif (
                g := match("(.兽)都是(.兽)", text)
                or match("凡是(.兽)，都属于(.兽)", text)
                or match("每只(.兽)都算(.兽)", text)
            ):
                sub.append((g[0], g[1]))
            elif g := match("(.+)是一只(.兽)", text) or match("(.+)属于(.兽)", text) or match("(.+)是(.兽)", text):
                kind[g[0]] = g[1]
            else:
                raise unread(text)
        self.kinds = {x: {k} for x, k in kind.items()}
        for kinds in self.kinds.values():
            while more := {b for a, b in sub if a in kinds} - kinds:
                kinds |= more

    def _rules(self, x: str, ability: str, right: bool) -> set[str]:
        return {k for k, p, r in self.rules if p == ability and r == right and k in self.kinds[x]}

    def _can(self, x: str, ability: str) -> bool:
        return bool(self._rules(x, ability, True)) and not self._rules(x, ability, False)

    def right(self, question: str, option: str) -> bool:
        if question == "下面哪句话对？":
            return self._holds(option)
        if g := match("下面谁不会(.+)？", question):
            return not self._can(option, g[0])
        if g := match("下面谁会(.+)？", question):
            return self._can(option, g[0])
        if g := match("会(.+)的有几只？", question):
            return option == str(sum(self._can(x, g[0]) for x in self.kinds))
        if g := match("(.+)会(.+)吗？", question):
            return option == said(question, self._can(g[0], g[1]))
        raise unread(question)

    def _holds(self, text: str) -> bool:
        if g := match("有的(.兽)会(.+)，有的不会", text):
            return len({self._can(x, g[1]) for x in self.kinds if g[0] in self.kinds[x]}) == 2
        g = match("(.兽)都(不?)会(.+)", text)
        if not g:
            raise unread(text)
        return {self._can(x, g[2]) for x in self.kinds if g[0] in self.kinds[x]} == {not g[1]}

    def true(self, steps: str) -> bool:
        return all(self._true(line) for line in steps.splitlines())

    def _true(self, line: str) -> bool:
        if g := match("(.+)有：(.+)", line):
            return set(listed(g[1])) == {x for x in self.kinds if g[0] in self.kinds[x]}
        if g := match("会(.+)：(.+)。", line):
            names = counted(g[1])
            return names is not None and set(names) == {x for x in self.kinds if self._can(x, g[0])}
        g = match(
            "(.+?)是([^，]+)，(?:([^，]+)都会([^，]+)，|没有规则说会([^，]+)，)(?:但([^，]+)都不会([^，]+)，)?([^，]+?)(不?)会([^，]+)",
            line,
        )
        if not g or g[0] != g[7] or g[0] not in self.kinds:
            return False
        ability = g[9]
        same = all(p in ("", ability) for p in (g[3], g[4], g[6]))
        gives, denies = (set(listed(t)) if t else set() for t in (g[2], g[5]))
        facts = (self.kinds[g[0]], self._rules(g[0], ability, True), self._rules(g[0], ability, False))
        return same and (set(listed(g[1])), gives, denies) == facts and self._can(g[0], ability) != bool(g[8])


class Courses:
    def __init__(self, problem: str) -> None:
        head = problem.split("\n")[0]
        found = (
            match("全部课程：(.+)。没有写到.*", head)
            or match("学校开了(.+)这些课，.*", head)
            or match("课程有(.+)。下面.*", head)
        )
        if not found:
            raise unread(head)
        self.courses = listed(found[0])
        self.before: dict[str, set[str]] = {c: set() for c in self.courses}
        self.done: dict[str, set[str]] = {}
        for text in sentences(problem):
            if g := match("学(.+)之前要学完(.+)", text) or match("(.+)的先修课是(.+)", text):
                self.before[g[0]] |= set(listed(g[1]))
            elif g := match("必须先学完(.+)才能学(.+)", text):
                self.before[g[1]] |= set(listed(g[0]))
            elif (
                g := match("到现在为止，(.+)只学完了(.+)", text)
                or match("(.+)已经学完(.+)", text)
                or match("(.+)学完了(.+)", text)
            ):
                self.done[g[0]] = set(listed(g[1]))
            else:
                raise unread(text)

    def _all_before(self, c: str) -> set[str]:
        return self.before[c].union(*(self._all_before(a) for a in self.before[c]))

    def _may(self, student: str) -> set[str]:
        done = self.done[student]
        return {c for c in self.courses if c not in done and self.before[c] <= done}

    def _term(self, c: str) -> int:
        return 1 + max((self._term(a) for a in self.before[c]), default=0)

    def right(self, question: str, option: str) -> bool:
        if g := match("(.+)现在可以学哪一门新课？", question):
            return option in self._may(g[0])
        if g := match("(.+)现在可以选几门新课？", question):
            return option == str(len(self._may(g[0])))
        if g := match("(.+)现在可以学(.+)吗？", question):
            return option == said(question, g[1] in self._may(g[0]))
        if g := match("要学(.+)，一共要先学完几门课（直接或间接）？", question):
            return option == str(len(self._all_before(g[0])))
        if g := match("从零开始，每学期课数不限，(.+)最早在第几学期学？", question):
            return option == str(self._term(g[0]))
        if g := match("要学(.+)，必须先学完(.+)吗？", question):
            return option == said(question, g[1] in self._all_before(g[0]))
        raise unread(question)

    def true(self, steps: str) -> bool:
        student, met = "", ""
        for line in steps.splitlines():
            if g := match("(.+)学完了：(.+)", line):
                student = g[0]
                right = set(listed(g[1])) == self.done[student]
            elif g := match("(.+)要先学：(.+)，还缺：(.+)，(不?)可以", line):
                need = self.before[g[0]]
                missing = need - self.done[student]
                right = (set(listed(g[1])), set(listed(g[2])), not g[3]) == (need, missing, not missing)
            elif g := match("(.+)要先学：(.+)", line):
                met = met or g[0]
                right = set(listed(g[1])) == self.before[g[0]]
            elif g := match("一共：(.+)。", line):
                names = re.sub(r"(^|，)\d", r"\1", g[0]).split("，") if g[0] != "无" else []
                right = set(names) == self._all_before(met) and len(names) == len(set(names))
            elif g := match(r"第(\d)学期：(.+)", line):
                right = set(listed(g[1])) == {c for c in self.courses if self._term(c) == int(g[0])}
            else:
                return False
            if not right:
                return False
        return True


class Syllogisms:
    """Tries every way in which the classes can overlap: a world is the set of kinds of people that exist."""

    def __init__(self, problem: str) -> None:
        self.premises = [self._read(text.partition(".")[2]) for text in sentences(problem)]
        self.terms = sorted({x for _, a, b in self.premises for x in (a, b)})
        self._searched: list[set[frozenset[str]]] | None = None

    def _read(self, text: str) -> tuple[str, str, str]:
        patterns = {
            "所有(.+)都是(.+)": "all",
            "凡是(.+)都是(.+)": "all",
            "每个(.+)都是(.+)": "all",
            "没有(.+)是(.+)": "none",
            "凡是(.+)都不是(.+)": "none",
            "任何(.+)都不是(.+)": "none",
            "有些(.+)不是(.+)": "not",
            "有的(.+)不是(.+)": "not",
            "至少有一个(.+)不是(.+)": "not",
            "有些(.+)是(.+)": "some",
            "有的(.+)是(.+)": "some",
            "至少有一个(.+)是(.+)": "some",
        }
        for pattern, form in patterns.items():
            if g := match(pattern, text):
                return form, g[0], g[1]
        raise unread(text)

    def _worlds(self) -> list[set[frozenset[str]]]:
        if self._searched is None:
            kinds = [frozenset(c) for n in range(len(self.terms) + 1) for c in itertools.combinations(self.terms, n)]
            universal = [p for p in self.premises if p[0] in ("all", "none")]
            kinds = [kind for kind in kinds if all(self._holds(p, {kind}) for p in universal)]
            worlds = (set(c) for n in range(len(kinds) + 1) for c in itertools.combinations(kinds, n))
            self._searched = [
                w
                for w in worlds
                if set(self.terms) <= set().union(*w) and all(self._holds(p, w) for p in self.premises)
            ]
            assert self._searched, "a contradiction"
        return self._searched

    def _holds(self, statement: tuple[str, str, str], world: set[frozenset[str]]) -> bool:
        form, a, b = statement
        both = any(a in kind and b in kind for kind in world)
        only = any(a in kind and b not in kind for kind in world)
        return {"all": not only, "none": not both, "some": both, "not": only}[form]

    def _truths(self, text: str) -> set[bool]:
        statement = self._read(text)
        return {self._holds(statement, world) for world in self._worlds()}

    def right(self, question: str, option: str) -> bool:
        if question == "下面哪句话一定成立？":
            return self._truths(option) == {True}
        if g := match("“(.+)”一定成立吗？", question):
            return option == said(question, self._truths(g[0]) == {True})
        if g := match("“(.+)”这句话对吗？", question):
            truths = self._truths(g[0])
            return option == ("不能确定" if len(truths) == 2 else "一定对" if truths == {True} else "一定错")
        raise unread(question)

    def true(self, steps: str) -> bool:
        return all(self._true(line) for line in steps.splitlines())

    def _true(self, line: str) -> bool:
        if g := match("“(.+)”(一定成立|不一定)", line):
            return (self._truths(g[0]) == {True}) == (g[1] == "一定成立")
        g = match(r"(?:任何一个(.+)|(\d)说的那个人)：一定是([^，]+)(?:，一定不是([^，]+))?，其余不定", line)
        if not g:
            return False
        possible = set().union(*self._worlds())
        if g[1]:
            form, a, b = self.premises[int(g[1]) - 1]
            of = [k for k in possible if a in k and (b in k) == (form == "some")]
            if form not in ("some", "not"):
                return False
        else:
            of = [k for k in possible if g[0] in k]
        sure = set(self.terms).intersection(*of)
        never = set(self.terms).difference(*of)
        return (set(listed(g[2])), set(listed(g[3])) if g[3] else set()) == (sure, never)
