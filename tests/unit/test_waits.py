"""How long a provider is waited for: pauses that grow, end with an answer, and are bounded."""

import asyncio
import time
from typing import Any

import pytest

from augen.generation.served import waits
from augen.generation.served.account import Account
from augen.generation.served.errors import NoAnswer, SlowDown, Transient, Unusable
from augen.generation.served.limits import Pace
from augen.generation.served.waits import COOL_DOWN_S, LONGEST_COOL_DOWN_S, MAX_COOL_DOWNS, SAID_FROM_S, Waits

SLOW, BROKEN = SlowDown("HTTP 429"), Transient("HTTP 500")


def some_waits(account: Account | None = None, **pace: Any) -> Waits:
    account = account or Account("fake", lambda answer: None)
    return Waits(account, Pace([], **{"concurrency": 3, "retries": 5, "max_wait_s": 1e6, **pace}))


def after(own: Waits, error: SlowDown | Transient) -> float:
    """The pause after an `error` of a request that is sent now."""
    return own.after(error, time.monotonic())


def test_pauses_grow_up_to_a_longest_and_start_small_again_after_an_answer() -> None:
    own = some_waits()
    pauses = [after(own, SLOW) for _ in range(MAX_COOL_DOWNS)]
    assert pauses[:3] == [COOL_DOWN_S, 2 * COOL_DOWN_S, 4 * COOL_DOWN_S] and pauses[-1] == LONGEST_COOL_DOWN_S
    own.answered()
    assert after(own, SLOW) == COOL_DOWN_S


def test_they_are_bounded_in_number_and_in_seconds() -> None:
    own = some_waits()
    for _ in range(MAX_COOL_DOWNS):
        after(own, SLOW)
    with pytest.raises(NoAnswer, match=f"HTTP 429: {MAX_COOL_DOWNS + 1} times in a row"):
        after(own, SLOW)
    own = some_waits(max_wait_s=60)
    too_long = r"HTTP 429: per day: to wait until \S+( \S+)? is longer than providers\.max_wait_s \(60\)"
    with pytest.raises(NoAnswer, match=too_long):
        after(own, SlowDown("HTTP 429", "per day", retry_after_s=3600))
    own = some_waits(max_wait_s=12)
    assert [after(own, SlowDown("HTTP 429", "slow", retry_after_s=5)) for _ in range(2)] == [5, 5]
    with pytest.raises(NoAnswer, match=r"to wait 15 s in all is longer than providers\.max_wait_s \(12\)"):
        after(own, SlowDown("HTTP 429", "slow", retry_after_s=5))


def test_what_was_sent_before_the_last_pause_brings_none_of_its_own() -> None:
    own = some_waits()
    sent_at = time.monotonic()
    assert own.after(SLOW, sent_at) == COOL_DOWN_S and own.after(SLOW, sent_at) == 0
    assert after(own, SLOW) == 2 * COOL_DOWN_S


def test_as_many_failures_in_a_row_as_are_sent_at_once_are_the_provider_s() -> None:
    own = some_waits(concurrency=3)
    assert [after(own, BROKEN) for _ in range(4)] == [0, 0, COOL_DOWN_S, 2 * COOL_DOWN_S]
    own.answered()
    assert [after(own, BROKEN) for _ in range(3)] == [0, 0, COOL_DOWN_S]


@pytest.mark.parametrize(("error", "tries"), [(BROKEN, 6), (Unusable("wrong count"), 4), (SLOW, 1)])
def test_a_request_is_sent_again_so_often_and_what_may_not_pass_is_not(
    error: Transient | SlowDown, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "FIRST_WAIT_S", 0.0)
    account = Account("fake", lambda answer: None)
    made = 0

    async def fail() -> None:
        nonlocal made
        made += 1
        raise error

    with pytest.raises(type(error)):
        asyncio.run(some_waits(account).retrying()(fail))
    assert made == tries and account.retries.total() == tries - 1


def test_a_wait_of_some_seconds_is_said_with_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    own = some_waits()
    after(own, SlowDown("HTTP 429", retry_after_s=SAID_FROM_S - 1))
    assert capsys.readouterr().err == ""
    after(own, SlowDown("HTTP 429", retry_after_s=SAID_FROM_S))
    assert "fake: HTTP 429; all requests wait 5 s, until " in capsys.readouterr().err
