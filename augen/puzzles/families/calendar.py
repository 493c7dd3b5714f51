"""Events some days before or after each other: dates, weekdays, distances."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.puzzles.base import NO, YES, Proved, Query, around, pick, picks, put, yes, yes_no
from augen.puzzles.solver import Proof, Value, fact

EVENTS = ("考试", "旅行", "婚礼", "会议", "比赛", "演出", "体检", "搬家", "聚餐", "面试")
WEEKDAYS = "一二三四五六日"
LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # of the months of a common year
_STEPS = "step(D,X,100*M+N) :- on(X,M,N), day(X,D)."


@dataclass(frozen=True)
class Calendar(Proved):
    uses: ClassVar = "calendar"
    steps: ClassVar = _STEPS

    anchor: tuple[int, int, int]  # month, day, weekday (0: Monday) of the first event
    events: tuple[tuple[str, str, int], ...]  # (event, reference event, days after the reference event)
    first: str
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        names = pick(rng, EVENTS, 3 + difficulty // 2)
        events = []
        for i, name in enumerate(names[1:], start=1):
            days = rng.choice((-1, 1)) * rng.randrange(1, 6 + 4 * difficulty)
            events.append((name, names[rng.randrange(max(0, i - 2), i)], days))
        month = rng.randrange(5, 9)  # far from both ends of the year
        anchor = (month, rng.randrange(1, LENGTHS[month - 1] + 1), rng.randrange(7))
        return cls(anchor, tuple(rng.sample(events, len(events))), names[0], wording)

    def problem(self) -> str:
        month, day, weekday = self.anchor
        head = (
            "{m}月{d}日星期{w}是{x}。",
            "日历上写着：{x}在{m}月{d}日，那天是星期{w}。",
            "{x}定在{m}月{d}日（星期{w}）。",
        )[self.wording].format(m=month, d=day, w=WEEKDAYS[weekday], x=self.first)
        months = "（" + "，".join(f"{m}月有{LENGTHS[m - 1]}天" for m in self._months()) + "。）"
        after = ("{x}在{y}之后{n}天。", "{y}过{n}天就是{x}。", "{x}比{y}晚{n}天。")[self.wording]
        before = ("{x}在{y}之前{n}天。", "{x}过{n}天就是{y}。", "{x}比{y}早{n}天。")[self.wording]
        lines = [(after if n > 0 else before).format(x=x, y=y, n=abs(n)) for x, y, n in self.events]
        return head + months + "\n" + "".join(lines)

    def _months(self) -> range:
        """The months in which an event can be."""
        span = sum(abs(n) for _, _, n in self.events)
        return range(self.anchor[0] - 1 - span // 30, self.anchor[0] + 2 + span // 30)

    def facts(self) -> list[str]:
        month, day, weekday = self.anchor
        known = [fact("on", self.first, month, day), fact("weekday", self.first, _weekday(weekday))]
        months = [fact("days", m, LENGTHS[m - 1]) for m in self._months()]
        return known + months + [fact("later" if n > 0 else "earlier", x, y, abs(n)) for x, y, n in self.events]

    def _names(self) -> list[str]:
        return [self.first, *(x for x, _, _ in self.events)]

    def queries(self) -> Iterator[Query]:
        names = tuple(sorted(self._names()))
        days = self._days()
        for x in names:
            if x != self.first:
                near = tuple(_date(days[x] + d) for d in (-1, 1, *self._mirrored(x), 2, -2, 7, -7))
                rules, ask = f'answer(100*M+N) :- on("{x}",M,N).', partial(_dated, x)
                yield Query(f"{x}在几月几日？", rules, partial(self._told, x), near, _shown, f"date {x}", ask=ask)
                weekdays = tuple(_weekday((self._weekday(days[x]) + d) % 7) for d in (1, 6, 2, 5, 3, 4))
                text, week, write = f"{x}是星期几？", f'answer(W) :- weekday("{x}",W).', partial(self._week, x)
                yield Query(text, week, write, weekdays, key=f"weekday {x}", most=4, ask=week)
        for x, y in itertools.combinations(names, 2):
            gap = abs(days[x] - days[y])
            summed = str(abs(days[x] + days[y] - 2 * self._start()))  # distances to the first event added up
            near = (summed, *around(gap, x + y)) if gap % 2 else around(gap, x + y)
            apart = f'answer(N) :- apart("{x}","{y}",N).'
            yield Query(f"{x}和{y}相隔几天？", apart, partial(self._gap, x, y), near, key=f"{x}-{y}", ask=apart)
            goal, write = f'sooner("{x}","{y}")', partial(self._both, x, y)
            yield Query(f"{x}比{y}早吗？", yes_no(goal), write, (YES, NO), key=f"{x}<{y}", ask=yes(goal))
        for word, extreme in (("早", "first"), ("晚", "last")):
            most = f"answer(X) :- {extreme}(X)."
            yield Query(f"哪件事最{word}？", most, self._ordered, names, key=word, ask=most)

    def _days(self) -> dict[str, int]:
        """Day of the year of each event: for distractors only; answers come from the solver."""
        days = {self.first: self._start()}
        while len(days) <= len(self.events):
            days |= {x: days[y] + n for x, y, n in self.events if y in days}
        return days

    def _start(self) -> int:
        return sum(LENGTHS[: self.anchor[0] - 1]) + self.anchor[1]

    def _mirrored(self, x: str) -> tuple[int, ...]:
        """The error in days if the direction of the fact about `x` is misread."""
        return tuple(-2 * n for y, _, n in self.events if y == x and abs(n) < 14)

    def _weekday(self, day: int) -> int:
        return (self.anchor[2] + day - self._start()) % 7

    def _chain(self, x: str) -> list[tuple[str, str, int]]:
        """The facts that lead from the first event to `x`."""
        told = {event: (event, origin, n) for event, origin, n in self.events}
        chain = []
        while x in told:
            chain.append(told[x])
            x = told[x][1]
        return chain[::-1]

    def _told(self, x: str, proof: Proof) -> str:
        date = {str(e): _shown(d) for _, e, d in proof.steps}
        lines = [f"{self.first}：{date[self.first]}"]
        for event, origin, n in self._chain(x):
            lines.append(f"{event}：{date[origin]}{'+' if n > 0 else '-'}{abs(n)}天={date[event]}")
        return "\n".join(lines)

    def _week(self, x: str, proof: Proof) -> str:
        day = {str(e): int(d) for d, e, _ in proof.steps}
        gap = day[x] - day[self.first]
        known = _weekday(self.anchor[2])
        away = f"{abs(gap)}天，{abs(gap)}除以7余{abs(gap) % 7}"
        return f"{self._told(x, proof)}\n{self.first}是{known}\n{x}比{self.first}{'晚' if gap > 0 else '早'}{away}"

    def _both(self, x: str, y: str, proof: Proof) -> str:
        lines = [*self._told(x, proof).splitlines(), *self._told(y, proof).splitlines()]
        return "\n".join(dict.fromkeys(lines))

    def _gap(self, x: str, y: str, proof: Proof) -> str:
        day = {str(e): int(d) for d, e, _ in proof.steps}
        x, y = sorted((x, y), key=lambda e: day[e])
        return f"{self._both(x, y, proof)}\n从{x}到{y}：{day[y] - day[x]}天"

    def _ordered(self, proof: Proof) -> str:
        lines = [line for _, x, _ in proof.steps for line in self._told(str(x), proof).splitlines()]
        order = [f"{x}{_shown(date)}" for _, x, date in proof.steps]
        return "\n".join(dict.fromkeys(lines)) + f"\n从早到晚：{'，'.join(order)}"

    def changed(self, rng: Random) -> Self:
        """One distance changes a little or reverses its direction, or the weekday changes."""
        if rng.random() < 0.25:
            return replace(self, anchor=(*self.anchor[:2], (self.anchor[2] + rng.choice((1, 2, 5, 6))) % 7))
        i = rng.randrange(len(self.events))
        x, y, n = self.events[i]
        other = -n if rng.random() < 0.3 and abs(n) < 14 else n + rng.choice((-2, -1, 1, 2))
        return replace(self, events=put(self.events, i, (x, y, other or 1)))


def _dated(x: str, options: Sequence[str]) -> str:
    """The question which of the `options`, such as 5月9日, is the date of `x`."""
    dates = {option: option.removesuffix("日").replace("月", ",") for option in options}
    return picks({option: f'on("{x}",{date})' for option, date in dates.items()}, options)


def _date(day: int) -> str:
    month = 1
    while day > LENGTHS[month - 1]:
        day -= LENGTHS[month - 1]
        month += 1
    return f"{month}月{day}日"


def _shown(date: Value) -> str:
    return f"{int(date) // 100}月{int(date) % 100}日"


def _weekday(number: Value) -> str:
    return f"星期{WEEKDAYS[int(number)]}"
