"""Limits: never more than the rate in any window, never much less, pauses for all, all processes together."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augen.core.errors import AugenError
from augen.generation.served.limits import APART, MARGIN, Limit, Limiter
from augen.generation.served.sent import Sent


class Clock:
    """Time that passes only while somebody sleeps, and by what a test adds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.rest(seconds)
        await asyncio.sleep(0)

    def rest(self, seconds: float) -> None:
        self.now += seconds


def limiter(clock: Clock, *limits: Limit, sent: Sent | None = None) -> Limiter:
    return Limiter(limits, sent or Sent(None, "test"), clock=clock, sleep=clock.sleep, rest=clock.rest)


async def passed(gate: Limiter, **amounts: float) -> float:
    """When a request of `amounts` may leave."""
    return (await gate.acquire(**amounts)).at


def sent_at(limits: Sequence[Limit], amounts: Sequence[float], gaps: Sequence[float], kind: str) -> list[float]:
    """When requests of `amounts` that come `gaps` seconds after each other are let through."""
    clock = Clock()
    gate = limiter(clock, *limits)

    async def run() -> list[float]:
        times = []
        for amount, gap in zip(amounts, gaps, strict=True):
            clock.now += gap
            times.append(await passed(gate, **{"requests": 1, kind: amount}))
        return times

    return asyncio.run(run())


def most_in_a_window(times: Sequence[float], amounts: Sequence[float], period_s: float) -> float:
    """The largest sum over any window of `period_s`, its end excluded; it suffices to begin one at every request."""
    return max(sum(a for t, a in zip(times, amounts, strict=True) if start <= t < start + period_s) for start in times)


@settings(max_examples=150, deadline=None)
@given(
    rate=st.integers(1, 8),
    period_s=st.sampled_from([0.3, 1.0, 60.0]),
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=60),
)
def test_no_window_holds_more_requests_than_the_limit(rate: int, period_s: float, gaps: list[float]) -> None:
    ones = [1.0] * len(gaps)
    times = sent_at([Limit("requests", rate, period_s)], ones, gaps, "requests")
    assert most_in_a_window(times, ones, period_s) <= rate


@settings(max_examples=150, deadline=None)
@given(
    requests=st.integers(1, 5),
    sizes=st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 2)), min_size=1, max_size=40),
)
def test_all_limits_hold_at_once(requests: int, sizes: list[tuple[int, float]]) -> None:
    amounts = [float(size) for size, _ in sizes]
    limits = [Limit("requests", requests, 1.0), Limit("tokens", 1000, 10.0)]
    times = sent_at(limits, amounts, [gap for _, gap in sizes], "tokens")
    assert most_in_a_window(times, [1.0] * len(times), 1.0) <= requests
    assert most_in_a_window(times, amounts, 10.0) <= 1000


@given(rate=st.integers(1, 50), count=st.integers(1, 300))
@settings(max_examples=50, deadline=None)
def test_who_always_has_something_to_send_gets_the_whole_rate(rate: int, count: int) -> None:
    times = sent_at([Limit("requests", rate, 1.0)], [1.0] * count, [0.0] * count, "requests")
    full_windows = (count - 1) // rate
    assert full_windows * (1 + MARGIN) <= times[-1] - times[0] + 1e-6 <= (full_windows + APART) * (1 + MARGIN) + 2e-6


def test_a_limit_per_minute_is_kept_within_every_second_too() -> None:
    ones = [1.0] * 400
    times = sent_at([Limit("requests", 300, 60.0)], ones, [0.0] * 400, "requests")
    assert most_in_a_window(times, ones, 60.0) <= 300
    assert most_in_a_window(times, ones, 1.0) <= 5
    assert times[-1] - times[0] <= 80 * (1 + MARGIN)


def test_a_request_counts_from_when_it_left() -> None:
    clock = Clock()
    gate = limiter(clock, Limit("requests", 1, 1.0))

    async def run() -> float:
        grant = await gate.acquire(requests=1)
        clock.now += 0.5  # no thread was free
        gate.leave(grant)
        return await passed(gate, requests=1)

    assert asyncio.run(run()) == pytest.approx(100.5 + 1 + MARGIN)


def test_what_happens_before_a_request_leaves_makes_it_no_later() -> None:
    """A loop that wakes up 20 ms too late, a thread that takes 30 ms to start: both are over when its time has come."""
    clock = Clock()

    async def sleep(seconds: float) -> None:
        clock.now += seconds + 0.02
        await asyncio.sleep(0)

    gate = Limiter([Limit("requests", 5, 1.0)], Sent(None, "test"), clock=clock, sleep=sleep, rest=clock.rest)

    async def run() -> float:
        for _ in range(51):
            grant = await gate.acquire(requests=1)
            clock.now += 0.03
            gate.leave(grant)
        return clock.now

    assert asyncio.run(run()) == pytest.approx(100.03 + 10 * (1 + MARGIN), abs=0.01)


def test_a_leaky_bucket_would_not_do() -> None:
    """Why this is not aiolimiter: 5 per second lets 9 through in the first second."""
    from aiolimiter import AsyncLimiter

    async def first_second() -> int:
        bucket, loop, count = AsyncLimiter(50, 0.1), asyncio.get_running_loop(), 0
        start = loop.time()
        while True:
            await bucket.acquire()
            if loop.time() - start >= 0.1:
                return count
            count += 1

    assert asyncio.run(first_second()) > 60


@pytest.mark.parametrize("period_s", [1.0, 60.0])
@pytest.mark.parametrize("rate", [0.04, 0.5, 1.5, 2.99, 7.25, 16.7])
def test_a_limit_that_is_no_whole_number_is_used_up_and_kept(rate: float, period_s: float) -> None:
    count = 40
    times = sent_at([Limit("requests", rate, period_s)], [1.0] * count, [0.0] * count, "requests")
    assert most_in_a_window(times, [1.0] * count, 20 * period_s) <= max(1, 20 * rate)
    assert times[-1] - times[0] <= count * period_s / rate * (1 + MARGIN) + 1e-6


def test_what_exceeds_a_whole_limit_is_named() -> None:
    gate = limiter(Clock(), Limit("tokens", 1000, 60.0))
    with pytest.raises(AugenError, match="1500 tokens exceeds the limit of 1000"):
        asyncio.run(gate.acquire(tokens=1500))


def test_what_was_not_used_is_given_back() -> None:
    clock = Clock()
    gate = limiter(clock, Limit("tokens", 1000, 60.0))

    async def run() -> None:
        grant = await gate.acquire(requests=1, tokens=900)
        gate.settle(grant, 100)
        await gate.acquire(requests=1, tokens=900)

    asyncio.run(run())
    assert clock.now == 100.0


def test_a_pause_holds_everybody_and_a_shorter_one_does_not_end_it() -> None:
    clock = Clock()
    gate = limiter(clock)
    gate.pause(5)
    gate.pause(1)
    assert asyncio.run(passed(gate, requests=1)) == 105.0


def test_a_pause_that_begins_while_somebody_waits_holds_that_one_too() -> None:
    clock = Clock()
    gate = limiter(clock, Limit("requests", 1, 1.0))

    async def run() -> None:
        await gate.acquire(requests=1)
        waiting = asyncio.create_task(gate.acquire(requests=1))
        await asyncio.sleep(0)
        gate.pause(10)
        assert (await waiting).at >= 110.0

    asyncio.run(run())


def test_those_who_share_a_log_share_limits_and_pauses(tmp_path: Path) -> None:
    clock = Clock()
    one, other, elsewhere = (
        limiter(clock, Limit("requests", 2, 1.0), sent=Sent(tmp_path / "log", where))
        for where in ("here", "here", "there")
    )

    async def run() -> list[float]:
        times = [await passed(gate, requests=1) for gate in (one, other, one, other)]
        one.pause(7)
        return [*times, clock.now, *[await passed(gate, requests=1) for gate in (elsewhere, other)]]

    *times, paused_at, there, here = asyncio.run(run())
    assert most_in_a_window(times, [1.0] * 4, 1.0) == 2
    assert there == paused_at and here == paused_at + 7


def test_a_clock_that_was_set_back_holds_nobody_up(tmp_path: Path) -> None:
    clock = Clock()
    gate = limiter(clock, Limit("requests", 1, 1.0), sent=Sent(tmp_path / "log", "x"))

    async def run() -> None:
        await gate.acquire(requests=1)
        gate.pause(600)
        clock.now -= 50
        await gate.acquire(requests=1)

    asyncio.run(run())
    assert clock.now == 50.0


def test_a_log_that_is_no_database_is_named(tmp_path: Path) -> None:
    log = tmp_path / "responses.limits.sqlite"
    log.write_bytes(b"no database" * 100)
    with pytest.raises(AugenError, match=r"responses\.limits\.sqlite: file is not a database; .* delete this file"):
        Sent(log, "x")
