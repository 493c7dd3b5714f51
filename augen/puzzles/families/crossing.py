"""River crossing: a small boat, and things that must not be left alone with each other. Solved by search."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import ClassVar, Self

from augen.programs.library import module
from augen.puzzles.base import NO, YES, Proved, Query, lettered, nth, pool, put, yes, yes_no
from augen.puzzles.families.names import POOLS
from augen.puzzles.solver import NotProved, Proof, Value, fact

CHAINS = (("狼", "羊", "白菜"), ("狐狸", "鹅", "玉米"), ("猫", "老鼠", "奶酪"), ("狗", "鸡", "谷子"))
_MEALS = {pair for chain in CHAINS for pair in itertools.pairwise(chain)}
HARMLESS = ("木箱", "行李", "水桶")
LONGEST = 16  # trips; the module does not look for longer crossings
EMPTY = "空手"
# The states of a shortest crossing; of several loads that do, the first one is taken.
_SHORTEST = """
rest(S,E) :- togo(S,_), E = #min{D : togo(S,D)}.
best(S,K) :- rest(S,E), E > 0, K = #min{J : move(S,Z,M), rest(Z,E-1), nth(J,M)}.
path(0,0,-1).
path(I+1,Z,K) :- path(I,S,_), best(S,K), nth(K,M), move(S,Z,M).
step(I,K,S) :- path(I,S,K).
"""
_FOLLOW = "step(P,I,S) :- at(P,I,S)."
Plan = tuple[int, ...]  # loads, one for each trip


@dataclass(frozen=True)
class Crossing(Proved):
    uses: ClassVar = "crossing"

    rower: str
    things: tuple[str, ...]
    eats: tuple[tuple[int, int], ...]  # (eater, eaten) as positions in `things`
    capacity: int
    plans: tuple[Plan, ...]  # to ask about: the first is a solution, the others are variations of it
    wording: int

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        first, second = rng.sample(CHAINS, 2)
        things = [first[:2], first, first, (*first, rng.choice(HARMLESS)), (*first, *second[:2])][
            min(difficulty, 5) - 1
        ]
        eats = [(i, i + 1) for i, pair in enumerate(itertools.pairwise(things)) if pair in _MEALS]
        capacity = 2 if len(things) == 5 or (len(things) == 3 and rng.random() < 0.3) else 1
        rower = rng.choice(["农夫", "船夫", rng.choice(list(pool(rng, *POOLS)))])
        world = cls(rower, tuple(things), tuple(eats), capacity, (), wording)
        solution = world._solution(rng)
        if solution is None:
            raise NotProved("cannot be crossed")
        plans = [solution]
        for _ in range(40):
            other = list(solution)
            i = rng.randrange(len(other))
            match rng.randrange(3):
                case 0:
                    other[i] = rng.randrange(len(world._loads()))
                case 1:
                    j = rng.randrange(i % 2, len(other), 2)  # trips in the same direction
                    other[i], other[j] = other[j], other[i]
                case _:
                    del other[max(0, i - 1) : i + 1]
            if tuple(other) not in plans and other:
                plans.append(tuple(other))
            if len(plans) == 5:
                break
        return replace(world, plans=tuple(plans))

    def problem(self) -> str:
        items, n = "、".join(self.things), "一两"[self.capacity - 1]
        head = (
            "{r}要把{t}从左岸运到右岸，小船除了{r}最多再装{n}样东西，只有{r}会划船。",
            "{r}带着{t}来到河的左岸，要都到右岸去。船由{r}来划，每次最多带{n}样。",
            "左岸有{r}和{t}，都要过河到右岸。{r}划一条小船，一次可以带{n}样东西，也可以空手。",
        )[self.wording].format(r=self.rower, t=items, n=n)
        meal = (
            "{r}不在时{a}会吃{b}。",
            "如果没有{r}看着，{a}就吃{b}。",
            "{a}和{b}在一起而{r}不在，{b}就会被{a}吃掉。",
        )[self.wording]
        meals = "".join(meal.format(r=self.rower, a=self.things[a], b=self.things[b]) for a, b in self.eats)
        return f"{head}\n{meals}别的都可以放在一起。"

    def _loads(self) -> list[int]:
        """The possible loads of the boat as bits: nothing, one thing, or two if there is room."""
        bits = [1 << i for i in range(len(self.things))]
        return [0, *bits, *(a + b for a, b in itertools.combinations(bits, 2) if self.capacity == 2)]

    def facts(self) -> list[str]:
        things = [fact("thing", i, x) for i, x in enumerate(self.things, start=1)]
        eats = [fact("eats", self.things[a], self.things[b]) for a, b in self.eats]
        return [*things, fact("capacity", self.capacity), *eats]

    def program(self) -> str:
        loads = [fact("nth", k, mask) for k, mask in enumerate(self._loads())]
        return "".join(self.facts() + loads) + module(self.uses)

    def queries(self) -> Iterator[Query]:
        text, ask, numbers = "最少要划船过河几次（来回各算一次）？", "answer(N) :- least(N).", self._near_lengths()
        yield Query(text, ask + _SHORTEST, self._crossed, tuple(map(str, numbers)), key="least", most=4, ask=ask)
        singles = {self._load(k): (k,) for k in range(len(self._loads()))}
        rules = "".join(self._trips(k, plan) for k, plan in enumerate(singles.values()))
        rules += "answer(K) :- safe(K,1). step(K,Z) :- nth(K,M), move(0,Z,M)."
        which = partial(self._which, singles, "safe(P,1)")
        yield Query("第一次必须带什么过河？", rules, self._first, tuple(singles), self._load, "first", ask=which)
        texts = tuple(self._told(plan) for plan in self.plans)
        plans = dict(zip(texts, self.plans, strict=True))
        rules = _FOLLOW + "".join(self._trips(p, plan) for p, plan in enumerate(self.plans)) + "answer(P) :- works(P)."
        text, which = "下面哪个顺序能让大家都平安过河？", partial(self._which, plans, "works(P)")
        yield Query(text, rules, self._followed, texts, partial(nth, texts), "plan", 4, which)
        for p, plan in enumerate(self.plans[:3]):
            text = f"按“{self._told(plan)}”的顺序能让大家都平安过河吗？"
            rules = _FOLLOW + self._trips(p, plan) + yes_no(f"works({p})")
            ask = self._trips(1, plan) + "\n" + yes("works(1)")
            yield Query(text, rules, self._followed, (YES, NO), key=f"plan {p}", ask=ask)
        plan = self.plans[0]
        for n in sorted({2, len(plan) // 2, len(plan) - 1} - {0, 1, len(plan)}):
            text = f"开始时“{self._told(plan[:n])}”，这之后左岸有什么？"
            rules = _FOLLOW + self._trips(0, plan[:n]) + f"answer(S) :- at(0,{n},S)."
            write, ask = partial(self._followed, trips=n), self._trips(1, plan[:n]) + "\nanswer(I,X) :- left(1,I,X)."
            yield Query(text, rules, write, self._misplaced(plan[:n]), self._left, f"after {n}", 4, ask)

    def _trips(self, name: str | int, plan: Plan) -> str:
        """The facts of the trips of `plan`, called `name`."""
        loads = [self._taken(self._loads()[k]) or [EMPTY] for k in plan]
        return " ".join(f'trip({name},{i},"{x}").' for i, load in enumerate(loads, start=1) for x in load)

    def _which(self, plans: Mapping[str, Plan], goal: str, options: Sequence[str]) -> str:
        """The question which P of the `options` reaches the `goal`, as a program asks it."""
        trips = [self._trips(a, plans[option]) for a, option in lettered(options)]
        return "\n".join([*trips, f"pick(P) :- {goal}."])

    def _load(self, k: Value) -> str:
        return self._named(self._loads()[int(k)], "和") or "什么都不带"

    def _named(self, mask: int, joint: str) -> str:
        return joint.join(self._taken(mask))

    def _taken(self, mask: int) -> list[str]:
        return [x for i, x in enumerate(self.things) if mask >> i & 1]

    def _left(self, state: Value) -> str:
        return self._named(~int(state), "、") or "什么都没有"

    def _trip(self, i: int, k: int) -> str:
        return (EMPTY if k == 0 else f"带{self._load(k)}") + ("过去", "回来")[i % 2]

    def _told(self, plan: Plan) -> str:
        return "，".join(self._trip(i, k) for i, k in enumerate(plan))

    def _state(self, state: int) -> str:
        full = (1 << len(self.things)) - 1
        return f"左岸：{self._named(full & ~state, '、') or '无'}，右岸：{self._named(full & state, '、') or '无'}"

    def _crossed(self, proof: Proof) -> str:
        lines = [
            f"{i}.{self._trip(int(i) - 1, int(k))}。{self._state(int(s))}" for i, k, s in proof.steps if int(i) > 0
        ]
        return "\n".join(lines) + f"\n逐层搜索，少于{len(lines)}次到不了。"

    def _first(self, proof: Proof) -> str:
        outcome = {int(k): self._meal(int(z)) or "平安" for k, z in proof.steps}
        return "\n".join(f"{self._trip(0, k)}：{what}" for k, what in outcome.items())

    def _meal(self, state: int) -> str:
        """Who eats whom on the bank without the boat; empty if nobody does."""
        boat = state >> len(self.things) & 1
        alone = [i for i in range(len(self.things)) if state >> i & 1 != boat]
        return "、".join(f"{self.things[a]}吃{self.things[b]}" for a, b in self.eats if a in alone and b in alone)

    def _followed(self, proof: Proof, trips: int = LONGEST + 1) -> str:
        """Follows each plan of the solver for at most `trips` trips, up to its failure or its result."""
        lines = []
        for p in sorted({int(p) for p, _, _ in proof.steps}):
            states = [int(s) for q, _, s in proof.steps if q == p]
            plan = self.plans[p]
            if len({int(q) for q, _, _ in proof.steps}) > 1:
                lines.append(f"顺序“{self._told(plan)}”：")
            for i, after in enumerate(states[1:]):
                lines.append(f"{i + 1}.{self._trip(i, plan[i])}。{self._state(after)}")
            if len(states) <= min(len(plan), trips):
                lines += self._failing(plan, len(states) - 1, states[-1])
            elif len(plan) < trips:
                lines.append("都到了右岸" if not ~states[-1] & ((1 << len(self.things)) - 1) else "还没有都到右岸")
        return "\n".join(lines)

    def _failing(self, plan: Plan, i: int, state: int) -> list[str]:
        """The reason why trip `i` is impossible from `state`."""
        mask, boat = self._loads()[plan[i]], 1 << len(self.things)
        here = mask & ~state if i % 2 == 0 else mask & state
        if here != mask:
            return [f"{i + 1}.{self._trip(i, plan[i])}：{self._named(mask & ~here, '、')}不在这边"]
        meal = self._meal(state ^ (mask | boat))
        return [f"{i + 1}.{self._trip(i, plan[i])}：{meal}"]

    def _moves(self, state: int) -> list[tuple[int, int]]:
        """(load, next state) of every safe trip: for drawing only; answers come from the solver."""
        boat = 1 << len(self.things)
        found = []
        for k, mask in enumerate(self._loads()):
            both = mask | boat
            if state & both in (0, both) and not self._meal(state ^ both):
                found.append((k, state ^ both))
        return found

    def _solution(self, rng: Random | None = None) -> Plan | None:
        goal = (2 << len(self.things)) - 1
        paths: dict[int, Plan] = {0: ()}
        waiting = [0]
        for state in waiting:
            moves = self._moves(state)
            for k, after in rng.sample(moves, len(moves)) if rng else moves:
                if after not in paths:
                    paths[after] = (*paths[state], k)
                    waiting.append(after)
        return paths.get(goal)

    def _near_lengths(self) -> list[int]:
        """The least trips if one danger is overlooked or the boat has another size; then numbers near the right one."""
        variants = [replace(self, eats=tuple(e for e in self.eats if e != left)) for left in self.eats]
        variants.append(replace(self, capacity=3 - self.capacity))
        lengths = [len(plan) for world in variants if (plan := world._solution()) is not None]
        own = self._solution()
        return list(dict.fromkeys([*lengths, *(n for d in (2, -2, 4, 1) if (n := len(own or ()) + d) > 0)]))

    def _misplaced(self, plan: Plan) -> tuple[str, ...]:
        """The left bank if one trip is forgotten or has another load."""
        states = []
        for i in range(len(plan)):
            for other in range(len(self._loads())):
                state = 0
                for j, k in enumerate(plan):
                    if j != i or other:
                        state ^= self._loads()[other if j == i else k]
                states.append(state)
        return tuple(dict.fromkeys(self._left(s) for s in states))

    def changed(self, rng: Random) -> Self:
        """A danger is overlooked or replaced, or one trip of the plans changes."""
        if rng.random() < 0.5:
            load = rng.randrange(len(self._loads()))
            i = rng.randrange(min(map(len, self.plans)))
            return replace(self, plans=tuple(put(plan, i, load) for plan in self.plans))
        if rng.random() < 0.3:
            return replace(self, eats=tuple(e for e in self.eats if rng.random() < 0.5))
        i = rng.randrange(len(self.eats))
        pairs = [p for p in itertools.combinations(range(len(self.things)), 2) if p not in self.eats]
        new = (rng.choice(pairs),) if pairs and rng.random() < 0.5 else ()
        return replace(self, eats=(*self.eats[:i], *new, *self.eats[i + 1 :]))
