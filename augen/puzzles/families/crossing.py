"""River crossing: a small boat, and things that must not be left alone with each other. Solved by search."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Self

from augen.puzzles.base import NO, YES, Query, nth, pool, put, yes_no
from augen.puzzles.families.names import POOLS
from augen.puzzles.solver import NotProved, Proof, Value, fact

CHAINS = (("狼", "羊", "白菜"), ("狐狸", "鹅", "玉米"), ("猫", "老鼠", "奶酪"), ("狗", "鸡", "谷子"))
_MEALS = {pair for chain in CHAINS for pair in itertools.pairwise(chain)}
HARMLESS = ("木箱", "行李", "水桶")
LONGEST = 16  # trips; longer crossings are not asked about
# A state is a number with a bit for each thing; a set bit means the right bank. The highest bit is for the boat.
_PROGRAM = """
state(0..2*B-1) :- boat(B).
move(S,S+B+M,K) :- state(S), boat(B), load(K,M), S & (B+M) = 0.
move(S,S-B-M,K) :- state(S), boat(B), load(K,M), S & (B+M) = B+M.
bad(S) :- state(S), boat(B), eats(P,Q), S & B = 0, S & (P+Q) = P+Q.
bad(S) :- state(S), boat(B), eats(P,Q), S & B = B, S & (P+Q) = 0.
goal(2*B-1) :- boat(B).
"""
_SHORTEST = """
togo(G,0) :- goal(G).
togo(S,E+1) :- togo(Z,E), move(S,Z,_), not bad(S), E < longest.
rest(S,E) :- togo(S,_), E = #min{D : togo(S,D)}.
best(S,K) :- rest(S,E), E > 0, K = #min{J : move(S,Z,J), rest(Z,E-1)}.
path(0,0,-1).
path(I+1,Z,K) :- path(I,S,_), best(S,K), move(S,Z,K).
step(I,K,S) :- path(I,S,K).
answer(E) :- rest(0,E).
"""
_FOLLOW = """
at(P,0,0) :- plan(P,_,_).
at(P,I+1,Z) :- at(P,I,S), plan(P,I,K), move(S,Z,K), not bad(Z).
step(P,I,S) :- at(P,I,S).
works(P) :- at(P,I,G), goal(G), not plan(P,I,_).
"""
Plan = tuple[int, ...]  # loads, one for each trip


@dataclass(frozen=True)
class Crossing:
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

    def program(self) -> str:
        loads = [fact("load", k, mask) for k, mask in enumerate(self._loads())]
        eats = [fact("eats", 1 << a, 1 << b) for a, b in self.eats]
        return "".join(loads + eats) + fact("boat", 1 << len(self.things)) + f"#const longest={LONGEST}." + _PROGRAM

    def queries(self) -> Iterator[Query]:
        least = "最少要划船过河几次（来回各算一次）？"
        yield Query(least, _SHORTEST, self._crossed, tuple(map(str, self._near_lengths())), key="least", most=4)
        rules = "answer(K) :- move(0,Z,K), not bad(Z). step(K,Z) :- move(0,Z,K)."
        loads = tuple(self._load(k) for k in range(len(self._loads())))
        yield Query("第一次必须带什么过河？", rules, self._first, loads, self._load, "first")
        offered = "".join(fact("plan", p, i, k) for p, plan in enumerate(self.plans) for i, k in enumerate(plan))
        texts = tuple(self._told(plan) for plan in self.plans)
        rules = _FOLLOW + offered + "answer(P) :- works(P)."
        yield Query("下面哪个顺序能让大家都平安过河？", rules, self._followed, texts, partial(nth, texts), "plan", 4)
        for p, plan in enumerate(self.plans[:3]):
            single = "".join(fact("plan", p, i, k) for i, k in enumerate(plan))
            text = f"按“{self._told(plan)}”的顺序能让大家都平安过河吗？"
            rules = _FOLLOW + single + yes_no(f"works({p})")
            yield Query(text, rules, self._followed, (YES, NO), key=f"plan {p}")
        plan = self.plans[0]
        for n in sorted({2, len(plan) // 2, len(plan) - 1} - {0, 1, len(plan)}):
            part = "".join(fact("plan", 0, i, k) for i, k in enumerate(plan[:n]))
            text = f"开始时“{self._told(plan[:n])}”，这之后左岸有什么？"
            rules = _FOLLOW + part + f"answer(S) :- at(0,{n},S)."
            states = self._misplaced(plan[:n])
            yield Query(text, rules, partial(self._followed, trips=n), states, self._left, f"after {n}", 4)

    def _load(self, k: Value) -> str:
        return self._named(self._loads()[int(k)], "和") or "什么都不带"

    def _named(self, mask: int, joint: str) -> str:
        return joint.join(x for i, x in enumerate(self.things) if mask >> i & 1)

    def _left(self, state: Value) -> str:
        return self._named(~int(state), "、") or "什么都没有"

    def _trip(self, i: int, k: int) -> str:
        return ("空手" if k == 0 else f"带{self._load(k)}") + ("过去", "回来")[i % 2]

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
