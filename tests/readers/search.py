"""Readers of the families that need a search: the river, the row of houses, the piles."""

import itertools
import re

from tests.puzzle_readers import listed, match, said, unread

State = tuple[bool, frozenset[str]]  # whether the boat is on the left bank, and what is there


class Crossing:
    def __init__(self, problem: str) -> None:
        head, body = problem.split("\n")
        found = (
            match("(.+)要把(.+)从左岸运到右岸，小船除了.+最多再装(.)样东西，只有.+会划船。", head)
            or match("(.+)带着(.+)来到河的左岸，要都到右岸去。船由.+来划，每次最多带(.)样。", head)
            or match("左岸有(.+)和(.+)，都要过河到右岸。.+划一条小船，一次可以带(.)样东西，也可以空手。", head)
        )
        if not found:
            raise unread(head)
        self.rower, self.capacity = found[0], {"一": 1, "两": 2}[found[2]]
        self.things = frozenset(listed(found[1]))
        self.meals: set[tuple[str, str]] = set()
        for sentence in body.removesuffix("别的都可以放在一起。").split("。")[:-1]:
            meal = (
                match(f"{self.rower}不在时(.+)会吃(.+)", sentence)
                or match(f"如果没有{self.rower}看着，(.+)就吃(.+)", sentence)
                or match(f"(.+)和.+在一起而{self.rower}不在，(.+)就会被.+吃掉", sentence)
            )
            if not meal:
                raise unread(sentence)
            self.meals.add((meal[0], meal[1]))
        self.start: State = (True, self.things)

    def _after(self, state: State, load: frozenset[str]) -> State | None:
        """The state after a trip; None if it cannot be made or something is eaten."""
        here, left = state
        bank = left if here else self.things - left
        if not load <= bank or len(load) > self.capacity:
            return None
        after = left - load if here else left | load
        alone = bank - load
        return None if any({a, b} <= alone for a, b in self.meals) else (not here, after)

    def _loads(self) -> list[frozenset[str]]:
        return [frozenset(c) for n in range(self.capacity + 1) for c in itertools.combinations(sorted(self.things), n)]

    def _fewest(self) -> int:
        met, level, trips = {self.start}, {self.start}, 0
        while (False, frozenset()) not in met:
            level = {s for state in level for load in self._loads() if (s := self._after(state, load))} - met
            met |= level
            trips += 1
            assert level, "cannot be crossed"
        return trips

    def _trips(self, text: str) -> list[frozenset[str]]:
        """Loads of ``带羊过去，空手回来``; the directions must take turns."""
        loads = []
        for i, trip in enumerate(text.split("，")):
            found = match("(空手|带.+)(过去|回来)", trip)
            if not found or found[1] != ("过去", "回来")[i % 2]:
                raise unread(trip)
            loads.append(frozenset() if found[0] == "空手" else frozenset(found[0][1:].split("和")))
        return loads

    def _end(self, text: str) -> State | None:
        state: State | None = self.start
        for load in self._trips(text):
            state = state and self._after(state, load)
        return state

    def right(self, question: str, option: str) -> bool:
        across = (False, frozenset[str]())
        if question.startswith("最少要划船过河几次"):
            return option == str(self._fewest())
        if question == "第一次必须带什么过河？":
            load = frozenset() if option == "什么都不带" else frozenset(option.split("和"))
            return self._after(self.start, load) is not None
        if question == "下面哪个顺序能让大家都平安过河？":
            return self._end(option) == across
        if found := match("按“(.+)”的顺序能让大家都平安过河吗？", question):
            return option == said(question, self._end(found[0]) == across)
        if found := match("开始时“(.+)”，这之后左岸有什么？", question):
            state = self._end(found[0])
            assert state, question
            return state[1] == frozenset([] if option == "什么都没有" else listed(option))
        raise unread(question)

    def true(self, steps: str) -> bool:
        state: State = self.start
        for line in steps.splitlines():
            if line.startswith("顺序“"):
                state = self.start
            elif line in ("都到了右岸", "还没有都到右岸"):
                if (not state[1]) != (line == "都到了右岸"):
                    return False
            elif found := match("逐层搜索，少于(\\d+)次到不了。", line):
                if int(found[0]) != self._fewest():
                    return False
            elif found := match(r"\d+\.(.+)。左岸：(.+)，右岸：(.+)", line):
                after = self._after(state, self._load(found[0]))
                left, right = frozenset(listed(found[1])), frozenset(listed(found[2]))
                if after is None or after[1] != left or right != self.things - left:
                    return False
                state = after
            elif found := match(r"\d+\.(.+)：(.+)不在这边", line):
                bank = state[1] if state[0] else self.things - state[1]
                if frozenset(listed(found[1])) & bank:
                    return False
            elif found := match(r"\d+\.(.+)：(.+)", line):
                if not self._eaten(state, self._load(found[0]), found[1]):
                    return False
            elif found := match(r"(.+过去)：平安", line):
                if self._after(self.start, self._load(found[0])) is None:
                    return False
            elif found := match(r"(.+过去)：(.+)", line):
                if not self._eaten(self.start, self._load(found[0]), found[1]):
                    return False
            else:
                return False
        return True

    def _load(self, trip: str) -> frozenset[str]:
        return frozenset() if trip.startswith("空手") else frozenset(trip[1:-2].split("和"))

    def _eaten(self, state: State, load: frozenset[str], told: str) -> bool:
        bank = (state[1] if state[0] else self.things - state[1]) - load
        return set(told.split("、")) == {f"{a}吃{b}" for a, b in self.meals if {a, b} <= bank}


class Houses:
    WHO = "(.+?)"

    def __init__(self, problem: str) -> None:
        head, *clues = problem.split("\n")
        found = (
            match(r"一排(\d)间房，从左到右是第1间到第\d间，每间住一个人：([^。]+)。(.*)", head)
            or match(r"街上有(\d)座房子，从左边数起，分别住着(.+)（次序未知）。(.*)", head)
        ) or (
            (g := match(r"(.+)住在一排房子里，一人一间，最左边是第1间，最右边是第(\d)间。(.*)", head))
            and (g[1], g[0], g[2])
        )
        if not found:
            raise unread(head)
        self.n, self.people = int(found[0]), listed(found[1])
        groups = [self.people]
        for sentence in found[2].split("。")[:-1]:
            each = (
                match("他们各(.)一种：(.+)", sentence)
                or match("每人(.)的不同：(.+)", sentence)
                or match("有人(.)(.+)，各不相同", sentence)
            )
            if not each:
                raise unread(sentence)
            groups.append([f"{each[0]}{x}的人" for x in listed(each[1])])
        self.clues = [clue.partition(".")[2] for clue in "".join(clues).removesuffix("。").split("。")]
        self.worlds: list[dict[str, int]] = [{}]
        for group in groups:  # group by group; worlds that a clue forbids are dropped at once
            rows = [dict(zip(group, row, strict=True)) for row in itertools.permutations(range(1, self.n + 1))]
            more = (world | row for world in self.worlds for row in rows)
            self.worlds = [world for world in more if all(self._may_hold(clue, world) for clue in self.clues)]
        assert self.worlds, "a contradiction"

    def _may_hold(self, clue: str, at: dict[str, int]) -> bool:
        try:
            return self._holds(clue, at)
        except KeyError:  # about somebody whose place is not yet chosen
            return True

    def _holds(self, clue: str, at: dict[str, int]) -> bool:
        for pattern in (r"(.+)不在第(\d)间", r"(.+)不住第(\d)间"):
            if g := match(pattern, clue):
                return at[g[0]] != int(g[1])
        if g := match(r"第(\d)间住的不是(.+)", clue):
            return at[g[1]] != int(g[0])
        for pattern in (r"(.+)在第(\d)间", r"(.+)住第(\d)间"):
            if g := match(pattern, clue):
                return at[g[0]] == int(g[1])
        if g := match(r"第(\d)间住着(.+)", clue):
            return at[g[1]] == int(g[0])
        for pattern in ("(.+)就是(.+)", "(.+)和(.+)是同一个人", "(.+)正是(.+)"):
            if "隔壁" not in clue and (g := match(pattern, clue)):
                return at[g[0]] == at[g[1]]
        if g := match("(.+)紧挨在(.+)的左边", clue) or match("(.+)的右边隔壁就是(.+)", clue):
            return at[g[1]] - at[g[0]] == 1
        if g := match("(.+)紧挨在(.+)的右边", clue):
            return at[g[0]] - at[g[1]] == 1
        if g := match("(.+)在(.+)的左边，不一定相邻", clue) or match("(.+)住得比(.+)靠左", clue):
            return at[g[0]] < at[g[1]]
        if g := match("(.+)在(.+)右边的某一间", clue):
            return at[g[0]] > at[g[1]]
        if g := match("(.+)和(.+)相邻", clue) or match("(.+)与(.+)是邻居", clue) or match("(.+)住在(.+)隔壁", clue):
            return abs(at[g[0]] - at[g[1]]) == 1
        raise unread(clue)

    def _all(self, x: str, y: str) -> bool:
        return all(world[x] == world[y] for world in self.worlds)

    def right(self, question: str, option: str) -> bool:
        if g := match(r"(.+)在第几间？", question):
            return all(str(world[g[0]]) == option for world in self.worlds)
        if g := match(r"第(\d)间住着谁？", question):
            return all(world[option] == int(g[0]) for world in self.worlds)
        if g := match(r"第(\d)间的人([养喝])什么？", question):
            return all(world[f"{g[1]}{option}的人"] == int(g[0]) for world in self.worlds)
        if g := match("谁([养喝])(.+)？", question):
            return self._all(option, f"{g[0]}{g[1]}的人")
        if g := match("(.+)([养喝])什么？", question):
            return self._all(g[0], f"{g[1]}{option}的人")
        raise unread(question)

    def true(self, steps: str) -> bool:
        return all(self._true(line, world) for line in steps.splitlines() for world in self.worlds)

    def _true(self, line: str, at: dict[str, int]) -> bool:
        if g := match(r"第(\d)间：(.+)", line):
            return all(at[x] == int(g[0]) for x in g[1].split("，"))
        if g := match(r"(.+)在第(\d)间", line):
            return at[g[0]] == int(g[1])
        if g := match(r"(?:由\d+|各在一间)，(.+)", line):
            left = [part.split("：") for part in g[0].split("；")]
            return all(str(at[x]) in listed(places) for x, places in left)
        return False


class Stacks:
    def __init__(self, problem: str) -> None:
        _, piles, moves = problem.split("\n")
        piles_ = re.findall("(?:从下到上：|一堆从下往上是|一摞自下而上为)([^。]+)。", piles)
        state = [listed(pile) for pile in piles_]
        self.states = [self._sorted(state)]
        self.done: list[bool] = []
        for i, text in enumerate(moves.removesuffix("。").split("。"), start=1):
            found = match(rf"{i}\.(?:把|将)?(.+)(?:放|搬|移)到(.+)上", text)
            if not found:
                raise unread(text)
            state = self._moved([list(pile) for pile in state], *found)
            self.states.append(self._sorted(state))

    def _sorted(self, state: list[list[str]]) -> list[list[str]]:
        return sorted((list(pile) for pile in state), key=lambda pile: pile[0])

    def _moved(self, state: list[list[str]], x: str, y: str) -> list[list[str]]:
        tops = {pile[-1] for pile in state}
        fits = x in tops and (y == "地面" or y in tops)
        self.done.append(fits)
        if not fits:
            return state
        source = next(pile for pile in state if pile[-1] == x)
        target = next((pile for pile in state if pile[-1] == y), None)
        source.pop()
        if target is None:
            state.append([x])
        else:
            target.append(x)
        return [pile for pile in state if pile]

    def _pile(self, x: str) -> list[str]:
        return next(pile for pile in self.states[-1] if x in pile)

    def right(self, question: str, option: str) -> bool:
        if found := match("最后(.+)直接放在什么上面？", question):
            pile = ["地面", *self._pile(found[0])]
            return option == pile[pile.index(found[0]) - 1]
        if found := match("最后什么直接压在(.+)上面？", question):
            pile = [*self._pile(found[0]), ""]
            return option == pile[pile.index(found[0]) + 1]
        if found := match("最后(.+)上面一共有几个？", question):
            pile = self._pile(found[0])
            return option == str(len(pile) - 1 - pile.index(found[0]))
        if question == "最后一共有几堆？":
            return option == str(len(self.states[-1]))
        if found := match(r"第(\d)个动作做得到吗？", question):
            return option == said(question, self.done[int(found[0]) - 1])
        if question == "有几个动作做不到？":
            return option == str(self.done.count(False))
        raise unread(question)

    def true(self, steps: str) -> bool:
        first, *lines = steps.splitlines()
        told = [match(r"(\d+)\.(?:(.+)上面有东西，不做。)?(.+)", line) for line in lines]
        return first == f"开始：{self._shown(0)}" and all(
            t is not None
            and int(t[0]) == i
            and t[2] == self._shown(i)
            and bool(t[1]) != self.done[i - 1]
            and (not t[1] or any(t[1] in pile[:-1] for pile in self.states[i - 1]))
            for i, t in enumerate(told, start=1)
        )

    def _shown(self, i: int) -> str:
        return "；".join("、".join(pile) for pile in self.states[i])
