"""Readers of the families that calculate: rules for numbers, shopping, the calendar, tolls."""

import datetime
import math
import re

from tests.puzzle_readers import listed, match, said, sentences, unread


def equation(line: str) -> tuple[int, int] | None:
    """Both sides of ``4×3+1=13``, worked out."""
    if not re.fullmatch(r"[\d×+-]+=-?\d+", line):
        return None
    left, right = line.split("=")
    terms = re.findall(r"[+-]?[\d×]+", left)
    return sum(math.prod(map(int, re.split("×", t.lstrip("+-")))) * (-1 if t[0] == "-" else 1) for t in terms), int(
        right
    )


def largest(counts: dict[str, int]) -> set[str]:
    return {x for x, n in counts.items() if n == max(counts.values())}


class Arithmetic:
    def __init__(self, problem: str) -> None:
        self.n = {x: int(v) for x, v in re.findall(r"([abdmnpqr])(?:=|是|等于)(\d+)(?=[，。])", problem)}
        for pattern in (
            r"f\(0\)=(\d+)，.*=(\d+)×f\(n-1\)\+(\d+)",
            r"f\(0\)等于(\d+)，.*的(\d+)倍再加(\d+)",
            r"f\(0\)是(\d+)，.*的(\d+)倍加(\d+)",
        ):
            if found := re.search(pattern, problem):
                self.f = [int(found[1])]
                while len(self.f) < 12:
                    self.f.append(int(found[2]) * self.f[-1] + int(found[3]))
                self.by, self.plus = int(found[2]), int(found[3])

    def _value(self, what: str) -> int:
        n = self.n
        if found := match(r"f\((\d+)\)", what):
            return self.f[int(found[0])]
        match what:
            case "a和b的最大公约数":
                return max(k for k in range(1, 10**4) if n["a"] % k == 0 and n["b"] % k == 0)
            case "n的阶乘":
                return math.prod(range(1, n["n"] + 1))
            case "m的累加和":
                return sum(range(n["m"] + 1))
            case "d的数字和":
                return sum(map(int, str(n["d"])))
            case "判别式":
                return n["q"] * n["q"] - 4 * n["p"] * n["r"]
        raise unread(what)

    def right(self, question: str, option: str) -> bool:
        if question == "方程有几个实数根？":
            value = self._value("判别式")
            return option == ("0" if value < 0 else "2" if value > 0 else "1")
        if found := match("(.+)是多少？", question):
            return option == str(self._value(found[0]))
        if found := match(r"(.+)是(1|偶数|3的倍数)吗？", question):
            value = self._value(found[0])
            return option == said(
                question, {"1": value == 1, "偶数": value % 2 == 0, "3的倍数": value % 3 == 0}[found[1]]
            )
        raise unread(question)

    def true(self, steps: str) -> bool:
        lines = steps.splitlines()
        return any(
            len(lines) == len(told) and all(a == b for a, b in zip(lines, told, strict=True)) for told in self._told()
        )

    def _told(self) -> list[list[str]]:
        n, found = self.n, []
        if "a" in n:
            a, b, lines = n["a"], n["b"], []
            while b:
                lines.append(f"{a}除以{b}余{a % b}")
                a, b = b, a % b
            found.append(lines)
        if "n" in n:
            found.append([f"{k}的阶乘={k}×{math.factorial(k - 1)}={math.factorial(k)}" for k in range(1, n["n"] + 1)])
        if "m" in n:
            found.append([f"{k}的累加和={k}+{k * (k - 1) // 2}={k * (k + 1) // 2}" for k in range(2, n["m"] + 1)])
        if "d" in n:
            digits = [int(d) for d in str(n["d"])[::-1]]
            found.append([f"{sum(digits[:i])}+{d}={sum(digits[: i + 1])}" for i, d in enumerate(digits)])
        if "p" in n:
            p, q, r = n["p"], n["q"], n["r"]
            found.append([f"{q}×{q}={q * q}", f"4×{p}×{r}={4 * p * r}", f"{q * q}-{4 * p * r}={self._value('判别式')}"])
        if hasattr(self, "f"):
            for i in range(1, len(self.f)):
                found.append([f"f({j})={self.by}×{self.f[j - 1]}+{self.plus}={self.f[j]}" for j in range(1, i + 1)])
        return found


class Baskets:
    def __init__(self, problem: str) -> None:
        self.price: dict[str, int] = {}
        self.baskets: dict[str, set[str]] = {}
        for sentence in sentences(problem):
            if (
                (found := match(r"一份(.+)卖(\d+)元", sentence))
                or (found := match(r"(.+)的价格是(\d+)元", sentence))
                or (found := match(r"(\D+)(\d+)元", sentence))
            ):
                self.price[found[0]] = int(found[1])
            elif (
                (found := match("(.+)买了(.+)", sentence))
                or (found := match("(.+)的篮子里有(.+)", sentence))
                or (found := match("(.+)：(.+)", sentence))
            ):
                self.baskets[found[0]] = set(listed(found[1]))
            else:
                raise unread(sentence)

    def _who(self, x: str) -> set[str]:
        return {p for p, basket in self.baskets.items() if x in basket}

    def _paid(self, p: str) -> int:
        return sum(self.price[x] for x in self.baskets[p])

    def right(self, question: str, option: str) -> bool:
        if found := match("有几个人买了(.+)？", question):
            return option == str(len(self._who(found[0])))
        if found := match("谁既买了(.+)又买了(.+)？", question):
            return option in self._who(found[0]) & self._who(found[1])
        if found := match("买了(.+)的人都买了(.+)吗？", question):
            return option == said(question, self._who(found[0]) <= self._who(found[1]))
        if found := match("(.+)一共花了多少元？", question):
            return option == str(self._paid(found[0]))
        if question == "谁花的钱最多？":
            return option in largest({p: self._paid(p) for p in self.baskets})
        if question == "买的人最多的是什么？":
            return option in largest({x: len(self._who(x)) for x in self.price})
        raise unread(question)

    def true(self, steps: str) -> bool:
        return all(self._true(line) for line in steps.splitlines())

    def _true(self, line: str) -> bool:
        if found := match("买了(.+)：(.+)。", line):  # a count
            names = re.sub(r"\d", "", found[1]).split("，") if found[1] != "无" else []
            return set(names) == self._who(found[0]) and len(names) == len(set(names))
        if found := match("买了(.+)没买(.+)：(.+)", line):
            return set(listed(found[2])) == self._who(found[0]) - self._who(found[1])
        if found := match("买了(.+)：(.+)", line):
            self.last = [*getattr(self, "last", []), found[0]][-2:]
            return set(listed(found[1])) == self._who(found[0])
        if found := match("两样都买了：(.+)", line):
            return set(listed(found[0])) == self._who(self.last[0]) & self._who(self.last[1])
        if found := match("(.+)买了：(.+)", line):
            costs = [match(r"(\D+)(\d+)元", part) for part in found[1].split("，")]
            self.costs = [int(c[1]) for c in costs if c]
            goods = {c[0] for c in costs if c}
            return goods == self.baskets[found[0]] and all(c and self.price[c[0]] == int(c[1]) for c in costs)
        if sides := equation(line):
            return sides[0] == sides[1] == sum(self.costs)
        if found := match("从多到少：(.+)。", line):
            ranked = [match(r"(\D+)(\d+)", part) for part in found[0].split("，")]
            shown = {r[0]: int(r[1]) for r in ranked if r}
            order = list(shown.values())
            facts = ({p: self._paid(p) for p in self.baskets}, {x: len(self._who(x)) for x in self.price})
            return shown in facts and order == sorted(order, reverse=True)
        return False


class Calendar:
    DATE = r"(\d+)月(\d+)日"

    def __init__(self, problem: str) -> None:
        head, body = problem.split("\n")
        [(month, day)] = re.findall(self.DATE, head)
        [weekday] = re.findall("星期(.)", head)
        found = match(r"\d+月\d+日星期.是(..)。（.*", head) or match(r"(?:日历上写着：)?(..)[在定]+.*", head)
        if not found:
            raise unread(head)
        self.day = {found[0]: datetime.date(2023, int(month), int(day))}  # no leap year
        self.first, self.weekday = found[0], "一二三四五六日".index(weekday)
        for m, days in re.findall(r"(\d+)月有(\d+)天", head):
            assert (datetime.date(2023, int(m) + 1, 1) - datetime.date(2023, int(m), 1)).days == int(days), head
        told = []
        for sentence in body.removesuffix("。").split("。"):
            if (g := match(r"(..)在(..)之后(\d+)天", sentence)) or (g := match(r"(..)比(..)晚(\d+)天", sentence)):
                told.append((g[0], g[1], int(g[2])))
            elif (g := match(r"(..)在(..)之前(\d+)天", sentence)) or (g := match(r"(..)比(..)早(\d+)天", sentence)):
                told.append((g[0], g[1], -int(g[2])))
            elif g := match(r"(..)过(\d+)天就是(..)", sentence):
                told.append((g[2], g[0], int(g[1])))
            else:
                raise unread(sentence)
        while told:  # either event may be the known one
            x, y, n = told.pop(0)
            if y in self.day:
                self.day[x] = self.day[y] + datetime.timedelta(n)
            elif x in self.day:
                self.day[y] = self.day[x] - datetime.timedelta(n)
            else:
                told.append((x, y, n))

    def _date(self, x: str) -> str:
        return f"{self.day[x].month}月{self.day[x].day}日"

    def _week(self, x: str) -> str:
        return "星期" + "一二三四五六日"[(self.weekday + (self.day[x] - self.day[self.first]).days) % 7]

    def right(self, question: str, option: str) -> bool:
        if found := match("(..)在几月几日？", question):
            return option == self._date(found[0])
        if found := match("(..)是星期几？", question):
            return option == self._week(found[0])
        if found := match("(..)和(..)相隔几天？", question):
            return option == str(abs((self.day[found[0]] - self.day[found[1]]).days))
        if found := match("(..)比(..)早吗？", question):
            return option == said(question, self.day[found[0]] < self.day[found[1]])
        if found := match("哪件事最([早晚])？", question):
            return self.day[option] == (min if found[0] == "早" else max)(self.day.values())
        raise unread(question)

    def true(self, steps: str) -> bool:
        return all(self._true(line) for line in steps.splitlines())

    def _true(self, line: str) -> bool:
        if found := match(r"(..)：(\d+)月(\d+)日([+-])(\d+)天=(\d+月\d+日)", line):
            x, month, day, sign, days, date = found
            before = datetime.date(2023, int(month), int(day))
            after = before + datetime.timedelta(int(days) * (1 if sign == "+" else -1))
            return date == self._date(x) and after == self.day[x] and before in self.day.values()
        if found := match(r"从早到晚：(.+)", line):
            order = [(part[:2], part[2:]) for part in found[0].split("，")]
            row = [self.day[x] for x, _ in order]
            return all(self._date(x) == date for x, date in order) and row == sorted(row) and len(row) == len(self.day)
        if found := match(r"从(..)到(..)：(\d+)天", line):
            return (self.day[found[1]] - self.day[found[0]]).days == int(found[2])
        if found := match(r"(..)是(星期.)", line):
            return self._week(found[0]) == found[1]
        if found := match(r"(..)比(..)([早晚])(\d+)天，(\d+)除以7余(\d)", line):
            gap = (self.day[found[0]] - self.day[found[1]]).days * (1 if found[2] == "晚" else -1)
            return gap == int(found[3]) == int(found[4]) and gap % 7 == int(found[5])
        if found := match(r"(..)：(\d+月\d+日)", line):
            return self._date(found[0]) == found[1]
        return False


class Tolls:
    def __init__(self, problem: str) -> None:
        self.cost: dict[frozenset[str], int] = {}
        for sentence in sentences(problem):
            found = (
                match(r"(.+)和(.+)之间有路，(\d+)元", sentence)
                or match(r"走(.+)到(.+)的路要(\d+)元", sentence)
                or match(r"(.+)—(.+)这条路每次收(\d+)元", sentence)
            )
            if not found:
                raise unread(sentence)
            self.cost[frozenset(found[:2])] = int(found[2])
        self.places = {p for pair in self.cost for p in pair}
        self._known: dict[str, dict[str, set[tuple[int, str]]]] = {}

    def _ways(self, start: str) -> dict[str, set[tuple[int, str]]]:
        """By destination: cost and second-to-last place of every route that visits no place twice."""
        if start not in self._known:
            found: dict[str, set[tuple[int, str]]] = {}
            waiting: list[tuple[tuple[str, ...], int]] = [((start,), 0)]
            while waiting:
                way, cost = waiting.pop()
                for p in self.places - set(way):
                    if (step := self.cost.get(frozenset((way[-1], p)))) is not None:
                        found.setdefault(p, set()).add((cost + step, way[-1]))
                        waiting.append(((*way, p), cost + step))
            self._known[start] = found
        return self._known[start]

    def _least(self, start: str) -> dict[str, int]:
        return {p: min(cost for cost, _ in ways) for p, ways in self._ways(start).items()}

    def right(self, question: str, option: str) -> bool:
        if found := match("从(.+)到(.+)最少要多少元？", question):
            return option == str(self._least(found[0])[found[1]])
        if found := match("从(.+)到(.+)，最便宜的走法在到.+之前最后经过哪里？", question):
            start, goal = found
            return (self._least(start)[goal], option) in self._ways(start)[goal]
        if found := match(r"带(-?\d+)元够从(.+)到(.+)的过路费吗？", question):
            return option == said(question, int(found[0]) >= self._least(found[1])[found[2]])
        if found := match("从(.+)能到(.+)吗？", question):
            return option == said(question, found[1] in self._least(found[0]))
        if found := match("从(.+)出发，到哪里的最少费用最高？", question):
            return option in largest(self._least(found[0]))
        raise unread(question)

    def true(self, steps: str) -> bool:
        lines = steps.removesuffix("再没有能到的地方。").splitlines()
        ways = [match(r"(.+)到(.+)：(\d+)\+(\d+)=(\d+)", line) for line in lines]
        if not all(ways):
            return False
        parts = [(w[0], w[1], int(w[2]), int(w[3]), int(w[4])) for w in ways if w]
        start = parts[0][0] if parts else ""
        least = self._least(start) | {start: 0}
        rising = [part[4] for part in parts]
        complete = not steps.endswith("。") or len(parts) == len(least) - 1
        return (
            complete
            and rising == sorted(rising)
            and all(
                least[x] == before and self.cost.get(frozenset((x, y))) == step and before + step == after == least[y]
                for x, y, before, step, after in parts
            )
        )
