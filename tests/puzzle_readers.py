"""Readers that solve a puzzle from its text alone, sharing no code with the families and no solver.

One class per family: it reads the Chinese problem in any of the wordings, and says whether an option is right
(`right`) and whether every step of a reasoning is true (`true`). If a reader and the prover disagree about an option,
one of them has a defect.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Protocol

NAME = "[甲乙丙丁戊己庚辛]|小[明红刚丽华强芳军]|Kev|Tom|Ann|Bob|Joe|Liz|Sam|Eve"
YES, NO = "是", "否"


class Reader(Protocol):
    def __init__(self, problem: str) -> None: ...
    def right(self, question: str, option: str) -> bool: ...
    def true(self, steps: str) -> bool: ...


def match(pattern: str, text: str) -> tuple[str, ...] | None:
    """Groups of `pattern` if it covers the whole of `text`; ``N`` in angle brackets stands for a name: ``<N>``."""
    found = re.fullmatch(pattern.replace("<N>", f"({NAME})"), text)
    return tuple(group or "" for group in found.groups()) if found else None


def sentences(problem: str) -> list[str]:
    """What follows the first line, sentence by sentence."""
    body = problem.split("\n", 1)[1]
    assert body.endswith("。"), body
    return body.removesuffix("。").split("。")


def said(question: str, claim: bool) -> str:
    """The right option of a yes-or-no question."""
    assert question.endswith("吗？"), question
    return YES if claim else NO


def unread(text: str) -> AssertionError:
    return AssertionError(f"no wording fits: {text!r}")


def listed(text: str) -> list[str]:
    """``a、b`` as a list; ``无`` is the empty one."""
    return [] if text == "无" else text.split("、")


def counted(text: str) -> list[str] | None:
    """``1甲，2乙`` as ``[甲, 乙]`` if the numbers count from 1; ``无`` is the empty list."""
    if text == "无":
        return []
    parts = [re.fullmatch(r"(\d)(\D+)", part) for part in text.split("，")]
    if any(part is None or int(part[1]) != i for i, part in enumerate(parts, start=1)):
        return None
    return [part[2] for part in parts if part]


class Dial:
    def __init__(self, problem: str) -> None:
        head, body = problem.split("\n")
        starts = re.findall(r"(?:先指|开始是|现在是)(\d)", head)
        assert len(starts) == 1, head
        self.at = [int(starts[0])]
        for number, step in enumerate(body.removesuffix("。").split("。"), start=1):
            found = match(r"(\d+)\.(加|增加|向上拨|减|减少|向下拨)([1-9])", step)
            if not found or int(found[0]) != number:
                raise unread(step)
            turn = int(found[2]) if found[1] in ("加", "增加", "向上拨") else -int(found[2])
            self.at.append((self.at[-1] + turn) % 10)

    def right(self, question: str, option: str) -> bool:
        if question == "最后是几？":
            return option == str(self.at[-1])
        if question == "最后是单数还是双数？":
            return option == self._parity()
        if found := match(r"第(\d+)步后是几？", question):
            return option == str(self.at[int(found[0])])
        raise unread(question)

    def _parity(self) -> str:
        return "单数" if self.at[-1] in (1, 3, 5, 7, 9) else "双数"

    def true(self, steps: str) -> bool:
        return all(self._true(number, line) for number, line in enumerate(steps.splitlines(), start=1))

    def _true(self, number: int, line: str) -> bool:
        if found := match(r"(\d+)\.(\d)([+-])(\d)=(\d)", line):
            t, before, after = int(found[0]), int(found[1]), int(found[4])
            turned = before + int(found[3]) if found[2] == "+" else before - int(found[3])
            return t == number and (before, after) == (self.at[t - 1], self.at[t]) and (turned - after) % 10 == 0
        return line == f"最后是{self.at[-1]}。"


class Drugs:
    def __init__(self, problem: str) -> None:
        self.helps: dict[str, set[str]] = {}
        self.patients: dict[str, tuple[str, set[str]]] = {}
        for sentence in sentences(problem):
            if found := match(r"(.药)(?:可以)?治(.+)", sentence):
                self.helps[found[0]] = set(listed(found[1]))
            elif found := match(r"得了(.+)可以吃(.药)", sentence):
                self.helps[found[1]] = set(listed(found[0]))
            elif (
                (found := match(r"<N>有(.+)，对(.+)过敏", sentence))
                or (found := match(r"<N>得了(.+)，身体受不了(.+)", sentence))
                or (found := match(r"<N>(.+)，不能吃(.+)", sentence))
            ):
                self.patients[found[0]] = found[1], set(listed(found[2]))
            else:
                raise unread(sentence)

    def _helping(self, person: str) -> set[str]:
        return {drug for drug, against in self.helps.items() if self.patients[person][0] in against}

    def _safe(self, person: str) -> set[str]:
        return self._helping(person) - self.patients[person][1]

    def right(self, question: str, option: str) -> bool:
        if found := match("<N>该吃什么药？", question):
            return {option} == self._safe(found[0])
        if found := match("<N>能吃(.药)治(.+)吗？", question):
            person, drug, symptom = found
            assert self.patients[person][0] == symptom, question
            return option == said(question, drug in self._safe(person))
        if found := match("有几种药能治<N>的病？", question):
            return option == str(len(self._safe(found[0])))
        raise unread(question)

    def true(self, steps: str) -> bool:
        whose, helping, avoided, rest, *ends = steps.splitlines()
        found = match("<N>(.+)", whose)
        if not found or self.patients.get(found[0], ("", set()))[0] != found[1]:
            return False
        person, symptom = found
        stated = [set(listed(line.partition("：")[2])) for line in (helping, avoided, rest)]
        facts = [self._helping(person), self.patients[person][1], self._safe(person)]
        return (
            stated == facts
            and helping.startswith(f"治{symptom}：")
            and avoided.startswith("不能吃：")
            and rest.startswith("剩下：")
            and all(self._true(person, end.removesuffix("。")) for end in ends)
        )

    def _true(self, person: str, end: str) -> bool:
        if found := match("(没?)有(.药)", end):
            return (found[1] in self._safe(person)) != bool(found[0])
        if found := match("数一数：(.+)", end):
            named = counted(found[0])
            return named is not None and set(named) == self._safe(person) and len(named) == len(set(named))
        return False


# The sex that each relation implies, by its place in the family tree.
PARENTS = {"爸爸": "m", "妈妈": "f"}
SIBLINGS = {"哥哥": "m", "弟弟": "m", "姐姐": "f", "妹妹": "f"}
CHILDREN = {"儿子": "m", "女儿": "f"}


def kin(first: str, second: str) -> str | None:
    """What X is to Z where X is Y's `first` and Y is Z's `second`, by generation, side and sex."""
    if second in PARENTS:
        fathers_side = PARENTS[second] == "m"
        if first in PARENTS:
            return ("爷爷" if first == "爸爸" else "奶奶") if fathers_side else ("外公" if first == "爸爸" else "外婆")
        if first in SIBLINGS and SIBLINGS[first] == "f":
            return "姑姑" if fathers_side else "姨妈"
        if first in SIBLINGS:
            return ("伯伯" if first == "哥哥" else "叔叔") if fathers_side else "舅舅"
    if second in CHILDREN and first in CHILDREN:
        sons_side = CHILDREN[second] == "m"
        return ("孙子" if first == "儿子" else "孙女") if sons_side else ("外孙" if first == "儿子" else "外孙女")
    return None


class Kinship:
    def __init__(self, problem: str) -> None:
        self.facts: set[tuple[str, str, str]] = set()
        for sentence in sentences(problem):
            if found := match("<N>[是为]<N>的(.+)", sentence):
                self.facts.add((found[0], found[2], found[1]))
            elif found := match("<N>的(.+)叫<N>", sentence):
                self.facts.add((found[2], found[1], found[0]))
            else:
                raise unread(sentence)
        self.derived = self._together(self.facts)
        self.possible = self._together(self._by_others())

    def _together(self, relations: set[tuple[str, str, str]]) -> set[tuple[str, str | None, str]]:
        return {
            (x, kin(first, second), z)
            for (x, first, y), (other, second, z) in itertools.product(relations, repeat=2)
            if y == other and x != z
        }

    def _by_others(self) -> set[tuple[str, str, str]]:
        """All relations that are possible if siblings share their parents and children of one parent are siblings."""
        sexes = PARENTS | SIBLINGS | CHILDREN
        sex = {x: sexes[relation] for x, relation, _ in self.facts}
        parents = {(x, y) for x, r, y in self.facts if r in PARENTS} | {
            (y, x) for x, r, y in self.facts if r in CHILDREN
        }
        siblings = {pair for x, r, y in self.facts if r in SIBLINGS for pair in ((x, y), (y, x))}
        while True:
            more_siblings = {(a, b) for (p, a), (q, b) in itertools.product(parents, repeat=2) if p == q and a != b}
            more_siblings |= {(a, d) for (a, b), (c, d) in itertools.product(siblings, repeat=2) if b == c and a != d}
            more_parents = {(p, b) for (p, a), (c, b) in itertools.product(parents, siblings) if a == c}
            if more_siblings <= siblings and more_parents <= parents:
                break
            siblings, parents = siblings | more_siblings, parents | more_parents
        told = {(x, y) for x, _, y in self.facts}
        near = [(PARENTS, parents), (SIBLINGS, siblings), (CHILDREN, {(c, p) for p, c in parents})]
        return self.facts | {
            (x, relation, y)
            for relations, pairs in near
            for relation, its_sex in relations.items()
            for x, y in pairs
            if (x, y) not in told and sex.get(x, its_sex) == its_sex
        }

    def right(self, question: str, option: str) -> bool:
        if found := match("<N>是<N>的什么人？", question):
            return (found[0], option, found[1]) in self.possible
        if found := match("谁是<N>的(.+)？", question):
            return (option, found[1], found[0]) in self.possible
        raise unread(question)

    def true(self, steps: str) -> bool:
        return all(self._true(line) for line in steps.splitlines())

    def _true(self, line: str) -> bool:
        if found := match("<N>是<N>的(.+)", line):
            return (found[0], found[2], found[1]) in self.facts | self.derived
        if found := match("(..)的(..)是(.+)", line):
            return kin(found[1], found[0]) == found[2]
        return False


class Knights:
    def __init__(self, problem: str) -> None:
        known: list[tuple[str, str]] = []
        says: list[tuple[str, str, str]] = []
        for sentence in sentences(problem):
            if (found := match("<N>说：?<N>是(骑士|骗子)", sentence)) or (
                found := match("据<N>说，<N>是(骑士|骗子)", sentence)
            ):
                says.append((found[0], found[1], found[2]))
            elif found := match("(?:已知|大家都知道)?<N>是(骑士|骗子)", sentence):
                known.append((found[0], found[1]))
            else:
                raise unread(sentence)
        people = sorted({x for a, b, _ in says for x in (a, b)} | {x for x, _ in known})
        self.says = set(says)
        self.worlds = [
            world
            for kinds in itertools.product(("骑士", "骗子"), repeat=len(people))
            for world in [dict(zip(people, kinds, strict=True))]
            if all(world[x] == kind for x, kind in known)
            and all((world[a] == "骑士") == (world[b] == kind) for a, b, kind in says)
        ]
        assert self.worlds, "a contradiction"

    def right(self, question: str, option: str) -> bool:
        if found := match("<N>是骑士还是骗子？", question):
            return all(world[found[0]] == option for world in self.worlds)
        if found := match("谁是(骑士|骗子)？", question):
            return all(world[option] == found[0] for world in self.worlds)
        if found := match("有几个(骑士|骗子)？", question):
            return all(str(list(world.values()).count(found[0])) == option for world in self.worlds)
        raise unread(question)

    def true(self, steps: str) -> bool:
        return all(self._true(line, world) for line in steps.splitlines() for world in self.worlds)

    def _true(self, line: str, world: dict[str, str]) -> bool:
        if found := match("<N>是(骑士|骗子)", line):
            return world[found[0]] == found[1]
        if found := match("<N>说<N>是(骑士|骗子)，([真假])，<N>是(骑士|骗子)", line):
            a, b, kind, truth, again, fact = found
            honest = (a, b, kind) in self.says and truth == ("真" if world[a] == "骑士" else "假")
            return honest and b == again and world[b] == fact
        if found := match("(骑士|骗子)：(.+)。", line):
            named = counted(found[1])
            return named is not None and sorted(named) == sorted(x for x in world if world[x] == found[0])
        return False


class Likes:
    def __init__(self, problem: str) -> None:
        rules: set[tuple[str, str]] = set()
        self.likes: dict[str, list[str]] = {}
        for sentence in sentences(problem):
            if (
                (found := match("喜欢(.+)的人都喜欢(.+)", sentence))
                or (found := match("如果喜欢(.+)，就喜欢(.+)", sentence))
                or (found := match("只要喜欢(.+)，也会喜欢(.+)", sentence))
            ):
                rules.add((found[0], found[1]))
            elif found := match("<N>喜欢(.+)", sentence):
                self.likes.setdefault(found[0], []).append(found[1])
            else:
                raise unread(sentence)
        for things in self.likes.values():
            while more := [b for a, b in sorted(rules) if a in things and b not in things]:
                things += more[:1]

    def right(self, question: str, option: str) -> bool:
        if found := match("<N>喜欢下面哪一个？", question):
            return option in self.likes[found[0]]
        if found := match("<N>喜欢(.+)吗？", question):
            return option == said(question, found[1] in self.likes[found[0]])
        raise unread(question)

    def true(self, steps: str) -> bool:
        walk, *ends = steps.splitlines()
        found = match("<N>：(.+)→无。", walk)
        if not found or found[1].split("→") != self.likes[found[0]]:
            return False
        claims = [match("(没?)有(.+)。", end) for end in ends]
        return all(claim and (claim[1] in self.likes[found[0]]) != bool(claim[0]) for claim in claims)


class Lists:
    def __init__(self, problem: str) -> None:
        head, body = problem.split("\n")
        [start] = re.findall(r"\[([\d,]+)\]", head)
        self.states = [start.split(",")]
        for number, step in enumerate(body.removesuffix("。").split("。"), start=1):
            assert step.startswith(f"{number}."), step
            self.states.append(self._after(self.states[-1], step.partition(".")[2]))

    def _after(self, now: list[str], step: str) -> list[str]:
        if (
            (found := match(r"末尾加(\d)", step))
            or (found := match(r"在最后添加(\d)", step))
            or (found := match(r"把(\d)接到尾部", step))
        ):
            return [*now, found[0]]
        if (
            (found := match(r"开头加(\d)", step))
            or (found := match(r"在最前添加(\d)", step))
            or (found := match(r"把(\d)接到头部", step))
        ):
            return [found[0], *now]
        if step in ("删去第一个数", "去掉最前的数", "头部的数丢掉"):
            return now[1:]
        if step in ("删去最后一个数", "去掉最后的数", "尾部的数丢掉"):
            return now[:-1]
        if step in ("前后颠倒", "把顺序反过来", "倒着排"):
            return list(reversed(now))
        raise unread(step)

    def right(self, question: str, option: str) -> bool:
        final = self.states[-1]
        answers = {
            "最后的第一个数是几？": final[0],
            "最后的末一个数是几？": final[-1],
            "最后有几个数？": str(len(final)),
            "最后的列表是什么？": self._shown(final),
        }
        return option == answers[question]

    def _shown(self, state: list[str]) -> str:
        return "[" + ",".join(state) + "]"

    def true(self, steps: str) -> bool:
        lines = steps.splitlines()
        states, ends = lines[: len(self.states)], lines[len(self.states) :]
        count = "，".join(f"{i}个{digit}" for i, digit in enumerate(self.states[-1], start=1)) + "。"
        return states == [f"{t}.{self._shown(s)}" for t, s in enumerate(self.states)] and ends in ([], [count])


class Ordering:
    MORE, LESS = "高重快早", "矮轻慢晚"

    def __init__(self, problem: str) -> None:
        over: set[tuple[str, str]] = set()
        for sentence in sentences(problem):
            found = match("<N>比<N>(.)", sentence)
            if not found:
                turned = match("<N>(.)于<N>", sentence)
                if not turned:
                    raise unread(sentence)
                found = turned[0], turned[2], turned[1]
            a, b, quality = found
            over.add((a, b) if quality in self.MORE else (b, a))
        people = sorted({x for pair in over for x in pair})
        assert problem.split("\n")[0].find(f"{len(people)}个人") >= 0, problem
        self.over = over
        self.rows = [row for row in itertools.permutations(people) if all(row.index(a) < row.index(b) for a, b in over)]
        assert self.rows, "a contradiction"

    def right(self, question: str, option: str) -> bool:
        if found := match("谁最(.)？", question):
            return all(row[0 if found[0] in self.MORE else -1] == option for row in self.rows)
        if found := match(r"谁第(\d)(.)？", question):
            assert found[1] in self.MORE, question
            return all(row[int(found[0]) - 1] == option for row in self.rows)
        if found := match("<N>比<N>(.)吗？", question):
            a, b, quality = found
            assert quality in self.MORE, question
            return option == said(question, all(row.index(a) < row.index(b) for row in self.rows))
        raise unread(question)

    def true(self, steps: str) -> bool:
        return all(self._true(line, row) for line in steps.splitlines() for row in self.rows)

    def _true(self, line: str, row: tuple[str, ...]) -> bool:
        if found := match("关系：(.+)。", line):
            return {tuple(pair.split(">")) for pair in found[0].split("，")} == self.over
        if found := match("往上：(.+)<无。", line):
            climb = found[0].split("<")
            return climb[-1] == row[0] and all((b, a) in self.over for a, b in itertools.pairwise(climb))
        if found := match("往下：(.+)，无。", line):
            return counted(found[0]) == list(row)
        if found := match(r"<N>是(\d)，<N>是(\d)，(\d)([<>])(\d)。", line):
            a, i, b, j, left, sign, right = found
            placed = (row[int(i) - 1], row[int(j) - 1]) == (a, b)
            return placed and (left, right) == (i, j) and sign == ("<" if i < j else ">")
        return match(r"第\d。", line) is not None


class Roads:
    def __init__(self, problem: str) -> None:
        self.roads: dict[str, list[str]] = {}
        for sentence in sentences(problem):
            found = (
                match("(.+)到(.+)有路", sentence)
                or match("从(.+)可以到(.+)", sentence)
                or match("有一条单行路从(.+)通往(.+)", sentence)
            )
            if not found:
                raise unread(sentence)
            self.roads.setdefault(found[0], []).append(found[1])
        self.reached = {(a, b) for a, ends in self.roads.items() for b in ends}
        while more := {(a, d) for a, b in self.reached for c, d in self.reached if b == c} - self.reached:
            self.reached |= more

    def right(self, question: str, option: str) -> bool:
        if found := match("从(.+)能到下面哪里？", question):
            return (found[0], option) in self.reached
        if found := match("从(.+)能到(.+)吗？", question):
            return option == said(question, (found[0], found[1]) in self.reached)
        raise unread(question)

    def true(self, steps: str) -> bool:
        search, *ends = steps.splitlines()
        onward = [line.split("→") for line in search.removesuffix("。").split("；")]
        start, places = onward[0][0], [here for here, _ in onward]
        met = {b for a, b in self.reached if a == start} | {start}
        claims = [match("(没?)有(.+)。", end) for end in ends]
        return (
            sorted(places) == sorted(met)
            and all(listed(next_) == self.roads.get(here, []) for here, next_ in onward)
            and all(claim and (claim[1] in met) != bool(claim[0]) for claim in claims)
        )


class Timetable:
    def __init__(self, problem: str) -> None:
        head = problem.split("\n")[0]
        found = match("(?:第1节是|今天先上|课表上第1节写着)(..)。", head)
        if not found:
            raise unread(head)
        self.lessons, following = [found[0]], dict(self._pairs(sentences(problem)))
        while self.lessons[-1] in following:
            self.lessons.append(following.pop(self.lessons[-1]))
        assert not following, "lessons that do not hang together"

    def _pairs(self, facts: list[str]) -> Iterator[tuple[str, str]]:
        for sentence in facts:
            if found := match("(..)的下一节是(..)", sentence):
                yield found[0], found[1]
            elif (found := match("(..)的上一节是(..)", sentence)) or (found := match("(..)紧跟在(..)后面", sentence)):
                yield found[1], found[0]
            else:
                raise unread(sentence)

    def right(self, question: str, option: str) -> bool:
        if question == "最后一节是什么课？":
            return option == self.lessons[-1]
        if found := match(r"第(\d)节是什么课？", question):
            return option == self.lessons[int(found[0]) - 1]
        if found := match("(..)是第几节？", question):
            return option == str(self.lessons.index(found[0]) + 1)
        raise unread(question)

    def true(self, steps: str) -> bool:
        found = match("顺序：(.+)，无。", steps)
        return bool(found) and counted(found[0]) == self.lessons if found else False


READERS: dict[str, type[Reader]] = {
    "dial": Dial,
    "drugs": Drugs,
    "kinship": Kinship,
    "knights": Knights,
    "likes": Likes,
    "lists": Lists,
    "ordering": Ordering,
    "roads": Roads,
    "timetable": Timetable,
}
