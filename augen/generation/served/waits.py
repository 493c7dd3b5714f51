"""How long to wait for a provider: before a request is sent again, and for all requests together.

A request that got nothing usable waits a random, growing time. All requests pause where the provider says "slow down",
for as long as it says, else longer each time; and where as many requests in a row failed as are sent at once, as it is
the provider then, not they. Pauses in a row, with no answer in between, are bounded in number and in seconds.
"""

import sys
import time
from datetime import datetime, timedelta

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential
from tqdm import tqdm

from augen.generation.served.account import Account
from augen.generation.served.errors import CallError, NoAnswer, SlowDown, Transient, Unusable
from augen.generation.served.limits import Pace

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0  # before a batch is sent again; random below these bounds
COOL_DOWN_S, LONGEST_COOL_DOWN_S = 0.1, 60.0  # pauses of all batches, where the provider names none
MAX_COOL_DOWNS = 17
SAID_FROM_S = 5.0  # shorter waits are not announced
UNUSABLE_RETRIES = 3


class Waits:
    """The waits of one runner. What is sent again is counted in `account`; waits of some seconds are said."""

    def __init__(self, account: Account, pace: Pace) -> None:
        self._account, self._pace = account, pace
        self._cool_downs = 0  # in a row, without an answer in between
        self._paused_s = 0.0  # by these together
        self._cooled_at = float("-inf")
        self._failed_in_a_row = 0  # requests

    # --- one request

    def retrying(self) -> AsyncRetrying:
        """Calls again what raised ``Transient``, up to `retries` times."""
        return AsyncRetrying(
            retry=retry_if_exception_type(Transient),
            stop=self._enough,
            wait=wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
            before_sleep=self._count_retry,
            reraise=True,
        )

    def _enough(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        return state.attempt_number > (UNUSABLE_RETRIES if isinstance(error, Unusable) else self._pace.retries)

    def _count_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Transient):
            self._account.retries[error.cause] += 1
            self._say(error, state.upcoming_sleep, "this request waits")

    # --- all requests

    def answered(self) -> None:
        """An answer arrived: what comes now is no longer in a row."""
        self._cool_downs = self._failed_in_a_row = 0
        self._paused_s = 0.0

    def after(self, error: SlowDown | Transient, sent_at: float) -> float:
        """How many seconds all requests pause after `error` of one that was sent at `sent_at` (monotonic).

        0: not at all, because others were answered, or because it was sent before the last pause. Raises NoAnswer where
        that would be too often or too long.
        """
        if isinstance(error, Transient):
            self._failed_in_a_row += 1
            if self._failed_in_a_row < self._pace.concurrency:
                return 0.0
        if sent_at < self._cooled_at:
            return 0.0
        self._cooled_at = time.monotonic()
        self._cool_downs += 1
        if self._cool_downs > MAX_COOL_DOWNS:
            raise NoAnswer(str(error), f"{self._cool_downs} times in a row") from None
        growing = min(COOL_DOWN_S * 2 ** (self._cool_downs - 1), LONGEST_COOL_DOWN_S)
        asked_for = (error.retry_after_s or 0.0) if isinstance(error, SlowDown) else 0.0
        seconds = max(growing, asked_for)
        self._paused_s += seconds
        longest = self._pace.max_wait_s
        if self._paused_s > longest:
            until = f"until {_clock(seconds)}" if asked_for > longest else f"{self._paused_s:.3g} s in all"
            raise NoAnswer(str(error), f"to wait {until} is longer than providers.max_wait_s ({longest:g})") from None
        self._say(error, seconds, "all requests wait")
        return seconds

    def _say(self, error: CallError, seconds: float, who: str) -> None:
        if seconds >= SAID_FROM_S:
            name = self._account.provider
            tqdm.write(f"{name}: {error}; {who} {seconds:.0f} s, until {_clock(seconds)}", file=sys.stderr)


def _clock(seconds: float) -> str:
    """The time of day in so many `seconds`, with the date where that is another one."""
    now = datetime.now()
    then = now + timedelta(seconds=seconds)
    return then.strftime("%H:%M:%S" if then.date() == now.date() else "%Y-%m-%d %H:%M:%S")
