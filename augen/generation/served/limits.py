"""How much may be sent per time, counted as providers count: in every window, wherever it begins.

The window is the log of what all processes sent in the last period (`sent`); a request is sent when it fits beside
that. aiolimiter, the usual choice, is a leaky bucket: with 5 per second it lets 9 through in the first second (5 at
once, then one every 0.2 s). A provider that counts 5 in any second answers that with 429. Hence this module.

A provider counts requests when they arrive, and they do not arrive in the rhythm in which they left. Therefore:

- a period is longer by `MARGIN`;
- requests that may all leave at once leave a little apart, so that they do not hold each other up;
- a grant counts from when its request really left (`leave`);
- a limit per minute is kept within every second too, as some providers do without saying so.

A request is let through a little before its time, and its thread waits for that. Otherwise all that lies between (the
loop that wakes up, a lock of the log, a thread that starts) would make it late, and what is late is lost: the window
of the next requests begins later by as much.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from augen.core.errors import AugenError
from augen.generation.served.sent import Grant, Kind, Sent

MARGIN = 0.015
APART = 0.25  # share of the distance that evenly spread requests would have
MOST_PERIODS = 10  # in which the amount of a limit becomes a whole number, or nearly
AHEAD = 0.1  # of the shortest period, and seconds: so long before its time a request is let through


@dataclass(frozen=True)
class Limit:
    """At most `amount` of `kind` in any `period_s` seconds."""

    kind: Kind
    amount: float
    period_s: float

    def whole(self) -> "Limit":
        """The same rate, of whole requests: of 1.5 in a second, only 1 would be sent, and of 0.5 none ever.

        >>> Limit("requests", 1.5, 1.0).whole()
        Limit(kind='requests', amount=3, period_s=2.0)
        """
        if self.kind != "requests" or float(self.amount).is_integer():
            return self
        amount = max(1, Fraction(self.amount).limit_denominator(MOST_PERIODS).numerator)
        return Limit(self.kind, amount, self.period_s * amount / self.amount)


@dataclass(frozen=True)
class Pace:
    """How fast a provider is asked, and how often again."""

    limits: Sequence[Limit]
    concurrency: int  # requests at once
    retries: int  # of a request after a transient error
    max_wait_s: float = 600.0  # longest pause, and all pauses in a row together, before the run ends
    max_request_s: float = 3600.0  # from sending a request to the last byte of its reply
    endpoint: str = ""  # whose limits these are: they hold for all processes that ask there


class Limiter:
    """Lets requests through one by one, first come, first served, within all limits and after all pauses.

    Limits and pauses hold for all processes that log into the same `sent`; whose turn it is among them is up to chance.
    """

    def __init__(
        self,
        limits: Iterable[Limit],
        sent: Sent,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        limits = [limit.whole() for limit in limits]
        self._limits = [limit for given in limits for limit in (given, *_within_a_second(given))]
        distances = [limit.period_s / limit.amount for limit in limits if limit.kind == "requests"]
        self._apart_s = APART * max(distances, default=0.0)
        self._ahead_s = AHEAD * min((1.0, *(limit.period_s for limit in self._limits)))
        self._sent, self._clock, self._sleep, self._rest = sent, clock, sleep, rest
        sent.keep(2 * max((limit.period_s for limit in limits), default=0.0))
        self._turn = asyncio.Lock()

    async def acquire(self, **amounts: float) -> Grant:
        """Wait until `amounts` (by kind) will fit in a moment, and count them from then on.

        `leave` before the request is sent; `settle` when its tokens are known. Raises AugenError for an amount
        that exceeds a whole limit.
        """
        async with self._turn:
            while True:
                with self._sent.turn():
                    now = self._clock()
                    at = self._free_at(amounts, now)
                    if (wait_s := at - self._ahead_s - now) <= 0:
                        return self._sent.add(at, amounts)
                await self._sleep(wait_s)

    def leave(self, grant: Grant) -> None:
        """Wait until the time of `grant`, and count it from now on, which may be later. Call it from any thread."""
        if (wait_s := grant.at - self._clock()) > 0:
            self._rest(wait_s)
        self._sent.left(grant, self._clock)

    def settle(self, grant: Grant, tokens: float) -> None:
        """Count `tokens` where more were reserved: those of a reply are known only when it is there."""
        self._sent.settle(grant, tokens)

    def pause(self, seconds: float) -> None:
        """Let nothing through for the next `seconds`, nor shorten a running pause. Who has a grant may still leave."""
        self._sent.pause(self._clock(), seconds)

    def close(self) -> None:
        self._sent.close()

    def _free_at(self, amounts: Mapping[str, float], now: float) -> float:
        """The earliest time, `now` or later, at which `amounts` fit."""
        at = max(now, self._sent.paused_until(now))
        if self._apart_s:
            at = max(at, self._sent.last(now, self._apart_s + self._ahead_s) + self._apart_s)
        return max([at, *(self._fits_at(limit, amounts.get(limit.kind, 0), now) for limit in self._limits)])

    def _fits_at(self, limit: Limit, amount: float, now: float) -> float:
        if amount > limit.amount:
            raise AugenError(
                f"a request of {amount:.0f} {limit.kind} exceeds the limit of {limit.amount:.0f} in "
                f"{limit.period_s:.0f} s; shorten it (max_tokens), or raise that limit under providers"
            )
        period_s = limit.period_s * (1 + MARGIN)
        at = now
        too_much = self._sent.amount(limit.kind, now, period_s) + amount - limit.amount
        if too_much > 0:
            for sent_at, sent in self._sent.each(limit.kind, now, period_s):
                too_much -= sent
                at = max(at, sent_at + period_s)
                if too_much <= 0:
                    break
        return at


def _within_a_second(limit: Limit) -> list[Limit]:
    """For a limit of requests over more than a second: the same rate over about a second, or over one request."""
    if limit.kind != "requests" or limit.period_s <= 1:
        return []
    amount = max(1, int(limit.amount / limit.period_s))
    return [Limit(limit.kind, amount, amount * limit.period_s / limit.amount)]
