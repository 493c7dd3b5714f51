"""How much may be sent per time, counted as providers count: in every window, wherever it begins.

The window is a log of what was sent in the last period; a request is sent when it fits beside that. aiolimiter, the
usual choice, is a leaky bucket: with 5 per second it lets 9 through in the first second (5 at once, then one every
0.2 s). A provider that counts 5 in any second answers that with 429. Hence this module.

A provider counts requests when they arrive, and they do not arrive in the rhythm in which they left. Therefore:

- a period is longer by `MARGIN`;
- requests that may all leave at once leave a little apart, so that they do not hold each other up;
- a grant counts from when its request really left (`left`);
- a limit per minute is kept within every second too, as some providers do without saying so.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from augen.core.errors import AugenError

MARGIN = 0.015
APART = 0.25  # share of the distance that evenly spread requests would have
Kind = Literal["requests", "characters", "tokens"]


@dataclass(frozen=True)
class Limit:
    """At most `amount` of `kind` in any `period_s` seconds."""

    kind: Kind
    amount: float
    period_s: float


@dataclass(frozen=True)
class Pace:
    """How fast a provider is asked, and how often again."""

    limits: Sequence[Limit]
    concurrency: int  # requests at once
    retries: int  # of a request after a transient error
    max_wait_s: float = 600.0  # longest pause, and all pauses in a row together, before the run ends
    max_request_s: float = 3600.0  # from sending a request to the last byte of its reply


class Grant:
    """When something was let through, and how much it counts."""

    __slots__ = ("amount", "at")

    def __init__(self, at: float, amount: float) -> None:
        self.at, self.amount = at, amount


class SlidingWindow:
    """At most `amount` in every half-open window of `period_s` seconds; times must not run backwards."""

    def __init__(self, amount: float, period_s: float) -> None:
        self.amount, self.period_s = amount, period_s
        self._log: deque[Grant] = deque()

    def free_at(self, amount: float, now: float) -> float:
        """The earliest time, `now` or later, at which `amount` fits. Raises ValueError if it never does."""
        if amount > self.amount:
            raise ValueError(f"{amount} can never fit into {self.amount}")
        while self._log and self._log[0].at + self.period_s <= now:
            self._log.popleft()
        too_much = sum(grant.amount for grant in self._log) + amount - self.amount
        at = now
        for grant in self._log:
            if too_much <= 0:
                break
            too_much -= grant.amount
            # max: grants stand in the order of their turns, and `left` may have moved their times.
            at = max(at, grant.at + self.period_s)
        return at

    def add(self, amount: float, now: float) -> Grant:
        """Count `amount` at `now`; the caller has waited for `free_at`."""
        grant = Grant(now, amount)
        self._log.append(grant)
        return grant


class Limiter:
    """Lets requests through one by one, first come, first served, within all limits and after all pauses."""

    def __init__(
        self,
        limits: Iterable[Limit],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        limits = list(limits)
        self._windows = [
            (limit, SlidingWindow(limit.amount, limit.period_s * (1 + MARGIN)))
            for given in limits
            for limit in (given, *_within_a_second(given))
        ]
        distances = [limit.period_s / limit.amount for limit in limits if limit.kind == "requests"]
        self._apart_s = APART * max(distances, default=0.0)
        self._clock, self._sleep = clock, sleep
        self._not_before = float("-inf")  # when a pause ends, or the next request may leave
        self._turn = asyncio.Lock()

    async def acquire(self, **amounts: float) -> dict[Kind, list[Grant]]:
        """Wait until `amounts` (by kind) fit, and count them. `settle` corrects the grants afterwards.

        Raises AugenError for an amount that exceeds a whole limit.
        """
        async with self._turn:
            while (wait := self._free_at(amounts) - self._clock()) > 0:
                await self._sleep(wait)
            now = self._clock()
            grants: dict[Kind, list[Grant]] = {}
            for limit, window in self._windows:
                if amount := amounts.get(limit.kind):
                    grants.setdefault(limit.kind, []).append(window.add(amount, now))
            self._not_before = max(self._not_before, now + self._apart_s)
            return grants

    def left(self, grants: dict[Kind, list[Grant]]) -> None:
        """Count `grants` from now on: their request leaves now, perhaps a while after it was let through.

        May be called from any thread.
        """
        now = self._clock()
        for of_kind in grants.values():
            for grant in of_kind:
                grant.at = now

    def pause(self, seconds: float) -> None:
        """Let nothing through for the next `seconds`. A running pause is never shortened."""
        self._not_before = max(self._not_before, self._clock() + seconds)

    def _free_at(self, amounts: dict[str, float]) -> float:
        at = max(self._clock(), self._not_before)
        for limit, window in self._windows:
            amount = amounts.get(limit.kind, 0)
            try:
                at = max(at, window.free_at(amount, self._clock()))
            except ValueError:
                raise AugenError(
                    f"a request of {amount:.0f} {limit.kind} exceeds the limit of {limit.amount:.0f} in "
                    f"{limit.period_s:.0f} s; shorten it (max_tokens), or raise that limit under providers"
                ) from None
        return at


def _within_a_second(limit: Limit) -> list[Limit]:
    """For a limit of requests over more than a second: the same rate over about a second, or over one request."""
    if limit.kind != "requests" or limit.period_s <= 1:
        return []
    amount = max(1, int(limit.amount / limit.period_s))
    return [Limit(limit.kind, amount, amount * limit.period_s / limit.amount)]


def settle(grants: dict[Kind, list[Grant]], kind: Kind, actual: float) -> None:
    """Count `actual` where more was reserved: the tokens of a reply are known only when it is there."""
    for grant in grants.get(kind, ()):
        grant.amount = min(grant.amount, actual)
