"""Sends to a provider what the store does not hold, and nothing twice.

::

    with Runner("tencent", open_tencent, store, account, limits, concurrency=10, retries=8, label="translate") as run:
        run.fetch([[item, item], [item]])         # parcels: the items of one go out in one request
        run.values[item.key]                      # every answer, from the store or just arrived

What happens to a parcel, in this order: what is stored drops out; one of `concurrency` slots is waited for; its
keys are claimed, those that another process is asking for are left to it; the limiter lets it through; it is sent,
and the answers are committed before anything else is done with them. Errors of `augen.generation.served.errors`:

``Passing``      sent again, up to `retries` times, after a random, growing while (tenacity). What still got no
                 answer does not keep the others from theirs, but the run ends with an error: outs that depend on
                 the weather of a network would not be reproducible. As many failures in a row as there are slots
                 are taken for ``SlowDown``
``SlowDown``     everybody pauses, longer each time it is said again; then sent again, as often as it takes, but
                 after `MAX_COOL_DOWNS` pauses without one answer between them the run ends
``Unusable``     a ``Passing`` that comes from the content perhaps: after a few retries the parcel is halved, and an
                 item that is left alone with it is refused
``Refused``      no answer for these items, now or later; the others go on (parcels are halved to find the item)
``QuotaUsedUp``, ``Misconfigured``   nothing more is sent, what is in flight is waited for and stored, the run ends

The providers' SDKs block (two of the three have nothing else, and the third offers both), so requests are sent
from a pool of threads, while everything that must be in order (store, claims, limits, account) happens in one
asyncio loop, without locks. The first request goes alone: a wrong key costs one request, not `concurrency`.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential
from tqdm import tqdm

from augen.core.errors import AugenError
from augen.generation.served.account import Account
from augen.generation.served.errors import NoAnswer, Passing, QuotaUsedUp, Refused, SlowDown, Unusable
from augen.generation.served.failures import Failure
from augen.generation.served.leases import LEASE_S, Claims
from augen.generation.served.limits import Grant, Kind, Limit, Limiter, settle
from augen.store.responses import Store

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0  # before sending again; random below these bounds
COOL_DOWN_S, LONGEST_COOL_DOWN_S = 0.1, 60.0  # pauses for everybody, where the provider names none
MAX_COOL_DOWNS = 17
UNUSABLE_RETRIES = 3
POLL_S = 0.25  # how often to look whether another process has its answer
GO_ON = "what arrived is stored; run `dvc repro` again to go on"

Payload = Mapping[str, Any]
Value = dict[str, Any]


class Provider(Protocol):
    """A thin wrapper of an SDK; `send` is called from several threads at once."""

    def send(self, payloads: Sequence[Payload]) -> Sequence[Value]:
        """One request: an answer to each payload, in order. Raises `CallError`s and Misconfigured, no others."""
        ...


@dataclass(frozen=True)
class Item:
    """Something to be answered: the key of its whole request, what is sent, and how much it counts for limits."""

    key: str
    payload: Payload
    characters: int = 0
    tokens: int = 0  # at most; corrected when the answer says how many it took


class Runner:
    """Asks one provider; keeps its pace from one `fetch` to the next. To be used from one thread.

    `values` holds every answer that was asked for, by key; `refused` the cause, where there will be none. `failures`
    lists what got no answer in spite of all retries; where there are any, the fetch has raised.
    """

    def __init__(
        self,
        name: str,
        open_provider: Callable[[], Provider],
        store: Store,
        account: Account,
        limits: Iterable[Limit],
        *,
        concurrency: int,
        retries: int,
        label: str,
    ) -> None:
        self.name = name
        self.account = account
        self.values: dict[str, Value] = {}
        self.refused: dict[str, str] = {}
        self.failures: list[Failure] = []
        self._open = open_provider
        self._provider: Provider | None = None
        self._store = store
        self._claims = Claims(store)
        self._concurrency = concurrency
        self._retries = retries
        self.label = label  # of the progress bar
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix=name)
        self._proven = False  # the provider has answered once
        self._limiter = Limiter(limits)
        self._loop = asyncio.Runner()
        self._bar: tqdm[Any] | None = None
        self._cool_downs = 0  # in a row, without an answer between them
        self._cooled_at = float("-inf")
        self._in_trouble = 0  # failed requests in a row
        self._asking: set[str] = set()  # keys claimed now: a parcel waits for another one with the same item

    # --- for callers

    def fetch(self, parcels: Sequence[Sequence[Item]]) -> None:
        """Get an answer for every item into `values`. Raises AugenError when the run has to end before."""

        async def all_parcels() -> None:
            self.look_up(item for parcel in parcels for item in parcel)
            for parcel in parcels:
                if any(item.key not in self.values for item in parcel):
                    self.start(parcel)

        self.run(all_parcels, total=len({item.key for parcel in parcels for item in parcel}))

    def run(self, pipeline: Callable[[], Coroutine[Any, Any, None]], total: int) -> None:
        """Run `pipeline`, which may `start` parcels and await them, until all of them are answered."""
        with _progress(self.label, total) as self._bar:
            self._loop.run(self._supervise(pipeline))
        if self.failures:
            raise AugenError(
                f"{self.name}: {len(self.failures):,} of {total:,} got no answer, the first: {self.failures[0].cause}; "
                f"reports/failed.jsonl lists them; {GO_ON}"
            )

    def start(self, parcel: Sequence[Item]) -> "asyncio.Task[None]":
        """Inside a pipeline: ask for `parcel`; the task ends when its answers are in `values`."""
        return self._tasks.create_task(self._answer(list(parcel)))

    def look_up(self, items: Iterable[Item]) -> None:
        """Take what the store holds of `items` into `values`."""
        keys = [item.key for item in items if item.key not in self.values]
        self._found(self._store.get_many(keys))

    def __enter__(self) -> "Runner":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.close()
        self._pool.shutdown(wait=False)
        self._claims.close()

    # --- one run

    async def _supervise(self, pipeline: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._in_flight: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(self._concurrency if self._proven else 1)
        self._over = False
        heart = asyncio.create_task(self._beat())
        error: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await pipeline()
        except BaseExceptionGroup as group:
            error = _first(group)
        finally:
            # Also after Ctrl-C: these requests are paid, so their answers are waited for and stored.
            if self._in_flight:
                print(f"\n{self.name}: {len(self._in_flight)} requests are in flight, waiting", file=sys.stderr)
                await asyncio.wait(self._in_flight)
            heart.cancel()
        if error is not None:
            raise self._ending(error) from None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 4)
            self._claims.renew()

    def _ending(self, error: BaseException) -> BaseException:
        """What the user is told when the run has to end."""
        if not isinstance(error, QuotaUsedUp | NoAnswer) or self._bar is None:
            return error
        why = "the quota is used up" if isinstance(error, QuotaUsedUp) else "there are no answers any more"
        return AugenError(f"{self.name}: {why} ({error}); {self._bar.n:,} of {self._bar.total:,} are done; {GO_ON}")

    # --- one parcel

    async def _answer(self, parcel: list[Item]) -> None:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Passing),
            stop=self._enough,
            wait=wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
            before_sleep=self._count_retry,
            reraise=True,
        )
        items = parcel
        while items := [item for item in items if item.key not in self.values]:
            try:
                await retrying(self._attempt, items)
            except (Refused, Unusable) as error:
                if len(items) > 1:  # for one of them perhaps: find out which
                    middle = len(items) // 2
                    halves = [self.start(items[:middle]), self.start(items[middle:])]
                    await asyncio.wait(halves)
                    return
                self.account.refused[error.cause] += 1
                self.refused[items[0].key] = error.cause
                self._show(1)
                return
            except Passing as error:
                self.failures += [Failure(item.key[:16], str(error), self._retries + 1) for item in items]
                return
            if any(item.key not in self.values for item in items):
                await asyncio.sleep(POLL_S)

    async def _attempt(self, items: Sequence[Item]) -> None:
        """Ask once for those of `items` that nobody else is asking for, however often it says slow down."""
        while True:
            try:
                async with self._slots:
                    await self._ask(items)
                return
            except SlowDown as error:
                self.account.retries[error.cause] += 1

    async def _ask(self, items: Sequence[Item]) -> None:
        if self._over:  # this parcel is about to be cancelled
            raise asyncio.CancelledError
        taken = self._claims.take([item.key for item in items if item.key not in self._asking])
        self._found(taken.stored)
        if not taken.mine:
            return
        asked = [item for item in items if item.key in set(taken.mine)]
        self._asking.update(taken.mine)
        try:
            if self._provider is None:
                self._provider = self._open()
            grants = await self._limiter.acquire(
                requests=1,
                characters=sum(item.characters for item in asked),
                tokens=sum(item.tokens for item in asked),
            )
            if self._over:
                raise asyncio.CancelledError
        except BaseException:
            self._release(taken.mine)
            raise
        # From here on it is paid: if this parcel is cancelled, the answer is waited for all the same.
        sending = asyncio.create_task(self._send(self._provider, asked, grants))
        self._in_flight.add(sending)
        sending.add_done_callback(self._landed)
        await asyncio.shield(sending)

    async def _send(self, provider: Provider, items: Sequence[Item], grants: dict[Kind, list[Grant]]) -> None:
        keys = [item.key for item in items]
        payloads = [item.payload for item in items]

        def send() -> Sequence[Value]:
            self._limiter.left(grants)
            return provider.send(payloads)

        sent_at = time.monotonic()
        self.account.requests += 1
        try:
            values = await asyncio.get_running_loop().run_in_executor(self._pool, send)
            if len(values) != len(items):
                raise Unusable("wrong count", f"{len(values)} answers to {len(items)} items")
            answers = dict(zip(keys, values, strict=True))
            self._store.put_many(answers)
        except SlowDown as error:
            self._cool_down(error, sent_at)
            raise
        except Passing as error:
            self._in_trouble += 1
            if self._in_trouble >= self._concurrency:  # not this request has a problem, but the provider
                self._cool_down(error, sent_at)
            raise
        except (QuotaUsedUp, AugenError):
            self._over = True
            raise
        finally:
            self._release(keys)
        self.values.update(answers)
        for value in values:
            self.account.arrived(value)
        settle(grants, "tokens", sum(v.get("prompt_tokens", 0) + v.get("tokens", 0) for v in values))
        self._cool_downs = self._in_trouble = 0
        if not self._proven:
            self._proven = True
            for _ in range(self._concurrency - 1):
                self._slots.release()
        self._show(len(values))

    # --- bookkeeping

    def _landed(self, sending: "asyncio.Task[None]") -> None:
        self._in_flight.discard(sending)
        sending.exception()  # seen: if the run is ending, nobody else looks at it

    def _release(self, keys: Sequence[str]) -> None:
        self._asking.difference_update(keys)
        self._claims.release(keys)

    def _found(self, stored: Mapping[str, Value]) -> None:
        new = {key: value for key, value in stored.items() if key not in self.values}
        self.values.update(new)
        for value in new.values():
            self.account.found(value)
        self._show(len(new))

    def _cool_down(self, error: SlowDown | Passing, sent_at: float) -> None:
        """Pause everybody. What was in flight when the last pause began says the same thing as that one did."""
        if sent_at < self._cooled_at:
            return
        self._cooled_at = time.monotonic()
        self._cool_downs += 1
        if self._cool_downs > MAX_COOL_DOWNS:
            self._over = True
            raise NoAnswer(error.cause, f"{self._cool_downs} times in a row") from None
        growing = min(COOL_DOWN_S * 2 ** (self._cool_downs - 1), LONGEST_COOL_DOWN_S)
        asked_for = error.retry_after_s if isinstance(error, SlowDown) else None
        self._limiter.pause(max(growing, asked_for or 0.0))

    def _enough(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        return state.attempt_number > (UNUSABLE_RETRIES if isinstance(error, Unusable) else self._retries)

    def _count_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Passing):
            self.account.retries[error.cause] += 1

    def _show(self, count: int) -> None:
        if self._bar is None:
            return
        retries = self.account.retries.total()
        self._bar.set_postfix_str(f"cost {self.account.paid.cost:.2f}, {retries} sent again", refresh=False)
        self._bar.update(count)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in a group, which may hold groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _progress(label: str, total: int) -> "tqdm[Any]":
    """A bar on stderr; in a log file (no terminal) one line every half minute."""
    return tqdm(
        total=total,
        desc=label,
        unit="answer",
        file=sys.stderr,
        mininterval=0.2 if sys.stderr.isatty() else 30.0,
        dynamic_ncols=True,
    )
