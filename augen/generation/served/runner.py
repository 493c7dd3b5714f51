"""Sends to a provider what the store does not hold, and nothing twice.

::

    with Runner(open_tencent, store, account, Pace(limits, concurrency=10, retries=8), label="translate") as runner:
        runner.fetch([[call, call], [call]])      # batches: the calls of one go out in one request
        runner.answers[call.key]                  # every answer, from the store or just arrived
        runner.forget()                           # the store has them

What happens to a batch: stored calls drop out; it waits for one of `concurrency` slots; it claims its keys, and leaves
those that another process is asking for to that process; it waits for the limiter; it is sent; its answers are
committed before anything else is done with them. Errors of `augen.generation.served.errors` and what they do:

``Transient``    The batch is sent again, up to `retries` times (how soon: `waits`). If it still gets no answer, the
                 other batches go on, but the run ends with an error: otherwise the outs would depend on how the network
                 was doing.
``SlowDown``     All batches pause, and the batch is sent again. Where they would pause too long, the run ends.
``Unusable``     A ``Transient`` that the content may have caused. After a few retries the batch is halved, and a
                 single call that still fails is refused.
``Refused``      There will never be an answer. The batch is halved to find the call; the other calls go on, unless
                 `MOST_REFUSED_FIRST` were refused and none answered. A refusal of the content (``Filtered``) is stored,
                 so it is not asked for again.
``QuotaUsedUp``, ``Misconfigured``   Nothing more is sent, what is in flight is waited for and stored, the run ends. So
                 it does where the next request might spend more than the budget (`budget`).

Ctrl-C waits `ENDING_S` seconds for what is in flight, and stores it. Requests are sent from threads, because the
providers' SDKs block (two of the three can do nothing else). Everything that must be in order (store, claims, limits,
account) happens in one asyncio loop, without locks. The first request goes alone, so that a wrong key costs one
request, not `concurrency`.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tqdm import tqdm

from augen.core.errors import AugenError
from augen.core.progress import progress
from augen.generation.served.account import Account, Answer
from augen.generation.served.budget import Budget, BudgetReached
from augen.generation.served.claims import CLAIM_S, Claims
from augen.generation.served.errors import (
    CallError,
    Filtered,
    NoAnswer,
    QuotaUsedUp,
    Refused,
    SlowDown,
    Transient,
    Unusable,
)
from augen.generation.served.failures import Failure
from augen.generation.served.limits import Limiter, Pace
from augen.generation.served.sent import Grant, Sent, beside
from augen.generation.served.threads import Threads
from augen.generation.served.waits import Waits
from augen.store.responses import Store
from augen.store.texts import storable

MOST_REFUSED_FIRST = 10  # calls, before the first answer: it is not the prompts then
ENDING_S = 3.0  # how long Ctrl-C waits for what is in flight
POLL_S = 0.25  # how often to look whether another process has its answer
GO_ON = "what arrived is stored; run `dvc repro` again to go on"

Payload = Mapping[str, Any]


class Provider(Protocol):
    """A thin wrapper of an SDK; `send` is called from several threads at once."""

    def send(self, payloads: Sequence[Payload]) -> Sequence[Answer]:
        """One request: an answer to each payload, in order. Raises only `CallError`s and Misconfigured."""
        ...


class Asking(Protocol):
    """What samplers and translators need of a `Runner`; `augen.generation.planning` has another one."""

    answers: dict[str, Answer]
    refused: dict[str, str]
    label: str

    def fetch(self, batches: "Sequence[Sequence[Call]]", /) -> None: ...
    def run(self, pipeline: Callable[[], Coroutine[Any, Any, None]], total: int) -> None: ...
    def start(self, batch: "Sequence[Call]", /) -> "asyncio.Task[None]": ...
    def look_up(self, calls: "Iterable[Call]", /) -> None: ...
    def forget(self) -> None: ...


@dataclass(frozen=True)
class Call:
    """Something to be answered: the key of its whole request, what is sent, and how much it counts for limits."""

    key: str
    payload: Payload
    characters: int = 0
    tokens: int = 0  # at most; corrected when the answer says how many it took
    subject: str = ""  # what it is about: calls with the same one count as one where refusals are counted


@dataclass
class _Outcomes:
    """What became of calls whose answers are forgotten: how many were answered, and what these were about."""

    answers: int = 0
    answered: set[str] = field(default_factory=set)  # subjects
    refused: dict[str, str] = field(default_factory=dict)  # by subject, the provider's words
    texts: bool = False  # whether an answer held any, or
    thoughts: bool = False


class Runner:
    """Asks one provider, and keeps its pace from one `fetch` to the next. Use it from one thread only.

    `answers` holds every answer, by key, `refused` the provider's words where there will be none, until `forget` is
    called. `failures` lists the calls that got no answer in spite of all retries; if there are any, `fetch` has raised.
    """

    def __init__(
        self,
        open_provider: Callable[[], Provider],
        store: Store,
        account: Account,
        pace: Pace,
        label: str,
        budget: float | None = None,
    ) -> None:
        self.name = account.provider
        self.account = account
        self.label = label  # of the progress bar
        self.answers: dict[str, Answer] = {}
        self.refused: dict[str, str] = {}
        self.failures: list[Failure] = []
        self._open = open_provider
        self._provider: Provider | None = None
        self.store = store
        self._claims = Claims(
            store,
            max_wait_s=pace.max_wait_s,
            say=lambda words: tqdm.write(f"{self.name}: {words}", file=sys.stderr),
        )
        self.pace = pace
        self.budget = Budget(store, account.provider, account.currency, budget)
        self._pool = Threads(self.name)
        self._proven = False  # the provider has answered once
        self._waits = Waits(account, pace)
        self._limiter = Limiter(pace.limits, Sent(beside(store.path), pace.endpoint))
        self._loop = asyncio.Runner()
        self._bar: tqdm[Any] | None = None
        self._state = ""  # of what is waited for, in the progress bar
        self._subjects: dict[str, str] = {}  # of the calls that were answered or refused, by key
        self._forgotten = _Outcomes()
        self._unbooked = 0  # requests in flight whose cost is not known yet
        self._asking: set[str] = set()  # keys claimed now: a second batch with one of them waits

    # --- for callers

    def fetch(self, batches: Sequence[Sequence[Call]]) -> None:
        """Get an answer to every call into `answers`. Raises AugenError when the run has to end before."""

        async def all_batches() -> None:
            self.look_up(call for batch in batches for call in batch)
            for batch in batches:
                if any(map(self.is_open, batch)):
                    self.start(batch)

        self.run(all_batches, total=len({call.key for batch in batches for call in batch}))

    def run(self, pipeline: Callable[[], Coroutine[Any, Any, None]], total: int) -> None:
        """Run `pipeline`, which may `start` batches and await them, until all of them are answered."""
        with progress(self.label, total, unit="answer") as self._bar:
            self._loop.run(self._supervise(pipeline))
        if self.failures:
            raise AugenError(
                f"{self.name}: {len(self.failures):,} of {total:,} got no answer, the first: {self.failures[0].cause}; "
                f"reports/failed.jsonl lists them; {GO_ON}"
            )

    def start(self, batch: Sequence[Call]) -> "asyncio.Task[None]":
        """Inside a pipeline: ask for `batch`; the task ends when its answers are in `answers`."""
        return self._tasks.create_task(self._answer(list(batch)))

    def keep(self, answers: Mapping[str, Answer], calls: Mapping[str, Call]) -> None:
        """Store and count what was paid for. Some `answers` may be to calls of another run, which this one lacks."""
        asked = [{**a, "asked": calls[key].characters if key in calls else 0} for key, a in answers.items()]
        self.store.put_many(answers, self.account.booked("paid", asked))
        for answer in answers.values():
            self.account.arrived(answer)
        new = {key: answer for key, answer in answers.items() if key in calls}
        self.answers.update(new)
        self._show(len(new))

    def refuse(self, call: Call, error: CallError) -> None:
        """There will be no answer to `call`."""
        self.account.refused[error.cause] += 1
        self.refused[call.key] = str(error)
        if isinstance(error, Filtered):
            self.store.put_many({call.key: _refusal(call, error)})
        self._show(1)

    def check_first(self) -> None:
        """Raise AugenError where the first calls were all refused: it is not the prompts then."""
        if len(self.refused) >= MOST_REFUSED_FIRST and not self.answers and not self._forgotten.answered:
            self._over = True
            *_, last = self.refused.values()
            raise AugenError(
                f"{self.name}: the first {len(self.refused)} requests were all refused, the last one: {last}"
            ) from None

    def is_open(self, call: Call) -> bool:
        """Whether nobody has answered or refused `call` yet."""
        return call.key not in self.answers and call.key not in self.refused

    def bill(self, error: CallError) -> None:
        """Count what has to be paid for a reply that is no answer."""
        if error.billed is not None:
            self.account.wasted(error.billed)
            self.store.put_many({}, self.account.booked("unusable", [error.billed]))

    def show_state(self, words: str) -> None:
        """Put `words` into the progress bar, before what was paid."""
        self._state = words
        self._show(0)

    def check_refusals(self, most: float) -> None:
        """Raise AugenError where no call got a text, or more than the share `most` of what was asked about got none."""
        self.forget()
        found = self._forgotten
        refused = {subject: words for subject, words in found.refused.items() if subject not in found.answered}
        asked = len(found.answered) + len(refused)
        if refused and (not found.answered or len(refused) > most * asked):
            words = next(iter(refused.values()))
            raise AugenError(
                f"{self.name}: {len(refused):,} of {asked:,} prompts were refused (providers.max_refused is {most:g}), "
                f"the first: {words}; reports/failed.jsonl lists them; what arrived is stored, refusals of "
                "the content, too (`python -m augen.store forget-refusals` has these asked for again)"
            )
        if found.answered and not found.texts:
            why = (
                "; they hold nothing but thinking: raise max_tokens, or turn thinking off (extra_body)"
                if found.thoughts
                else ""
            )
            raise AugenError(f"{self.name}: none of {found.answers:,} replies holds a text{why}")

    def forget(self) -> None:
        """Let go of the answers and refusals so far, but for what `check_refusals` asks of them."""
        found = self._forgotten
        found.answers += len(self.answers)
        found.answered |= {self._subjects.get(key, key) for key in self.answers}
        found.refused |= {self._subjects.get(key, key): words for key, words in self.refused.items()}
        found.texts = found.texts or any(answer["text"].strip() for answer in self.answers.values())
        found.thoughts = found.thoughts or any(answer.get("thinking") for answer in self.answers.values())
        for kept in (self.answers, self.refused, self._subjects):
            kept.clear()

    def look_up(self, calls: Iterable[Call]) -> None:
        """Take what the store holds of `calls` into `answers` and `refused`."""
        waiting = [call for call in calls if self.is_open(call)]
        self._subjects |= {call.key: call.subject for call in waiting if call.subject}
        self._found(self.store.get_many(call.key for call in waiting))

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.close()
        self._pool.shutdown()
        self._claims.close()
        self._limiter.close()

    # --- one run

    async def _supervise(self, pipeline: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._in_flight: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(self.pace.concurrency if self._proven else 1)
        self._over = False
        heart = asyncio.create_task(self._beat())
        error: BaseException | None = None
        bound_s = None  # each request has its own deadline
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await pipeline()
        except BaseExceptionGroup as group:
            error = _first(group)
        except asyncio.CancelledError:  # Ctrl-C
            bound_s = ENDING_S
            raise
        finally:
            # These requests are paid for, so their answers are waited for and stored.
            if self._in_flight:
                print(f"\n{self.name}: {len(self._in_flight)} requests are in flight, waiting", file=sys.stderr)
                await asyncio.wait(self._in_flight, timeout=bound_s)
            heart.cancel()
        if error is not None:
            raise self._ending(error) from None

    async def _beat(self) -> None:
        """Keep the claims alive."""
        while True:
            await asyncio.sleep(CLAIM_S / 4)
            self._claims.renew()

    def _ending(self, error: BaseException) -> BaseException:
        """The error that tells the user why the run ends."""
        if not isinstance(error, QuotaUsedUp | NoAnswer) or self._bar is None:
            return error
        if isinstance(error, BudgetReached):
            said = self.budget.reached(self.account.stage, self._bar.total - self._bar.n)
            return AugenError(f"{self.name}: {self._bar.n:,} of {self._bar.total:,} are done; {said}; {GO_ON}")
        why = "the quota is used up" if isinstance(error, QuotaUsedUp) else "there are no answers any more"
        return AugenError(f"{self.name}: {why} ({error}); {self._bar.n:,} of {self._bar.total:,} are done; {GO_ON}")

    # --- one batch

    async def _answer(self, batch: list[Call]) -> None:
        retrying = self._waits.retrying()
        calls = batch
        while calls := [call for call in calls if self.is_open(call)]:
            try:
                await retrying(self._attempt, calls)
            except (Refused, Unusable) as error:
                if len(calls) > 1:  # perhaps because of a single call: find out which
                    middle = len(calls) // 2
                    halves = [self.start(calls[:middle]), self.start(calls[middle:])]
                    await asyncio.wait(halves)
                    return
                self.refuse(calls[0], error)
                self.check_first()
                return
            except Transient as error:
                self.failures += [Failure(call.key[:16], str(error), self.pace.retries + 1) for call in calls]
                return
            if any(map(self.is_open, calls)):
                await asyncio.sleep(POLL_S)

    async def _attempt(self, calls: Sequence[Call]) -> None:
        """Ask once for those of `calls` that nobody else is asking for, however often the answer is "slow down"."""
        while True:
            try:
                async with self._slots:
                    await self._ask(calls)
                return
            except SlowDown as error:
                self.account.retries[error.cause] += 1

    async def _ask(self, calls: Sequence[Call]) -> None:
        if self._over:  # this batch is about to be cancelled
            raise asyncio.CancelledError
        taken = self._claims.take([call.key for call in calls if call.key not in self._asking])
        self._found(taken.stored)
        if not taken.mine:
            return
        asked = [call for call in calls if call.key in set(taken.mine)]
        self._asking.update(taken.mine)
        try:
            if self._provider is None:
                self._provider = self._open()
            grant = await self._limiter.acquire(
                requests=1,
                characters=sum(call.characters for call in asked),
                tokens=sum(call.tokens for call in asked),
            )
            if self._over:
                raise asyncio.CancelledError
            self._check_budget()
        except BaseException:
            self._release(taken.mine)
            raise
        # From here on it is paid for: even if this batch is cancelled, its answer is waited for.
        self.account.requests += 1
        self._unbooked += 1
        sending = asyncio.create_task(self._send(self._provider, asked, grant))
        self._in_flight.add(sending)
        sending.add_done_callback(self._landed)
        await asyncio.shield(sending)

    async def _send(self, provider: Provider, calls: Sequence[Call], grant: Grant) -> None:
        keys = [call.key for call in calls]
        payloads = [call.payload for call in calls]

        def send() -> Sequence[Answer]:
            self._limiter.leave(grant)
            return provider.send(payloads)

        sent_at = time.monotonic()
        try:
            sending = asyncio.get_running_loop().run_in_executor(self._pool, send)
            sent_back = storable(list(await self._in_time(sending)))
            if len(sent_back) != len(calls):
                raise Unusable("wrong count", f"{len(sent_back)} answers to {len(calls)} calls")
            answers = dict(zip(keys, sent_back, strict=True))
            self.keep(answers, {call.key: call for call in calls})
            self.budget.check_known(self.account.paid.unpriced)
        except Refused as error:
            self.bill(error)
            raise
        except (SlowDown, Transient) as error:
            self.bill(error)
            self._pause(error, sent_at)
            raise
        except (QuotaUsedUp, AugenError):
            self._over = True
            raise
        finally:
            self._unbooked -= 1
            self._release(keys)
        if tokens := sum(a.get("prompt_tokens", 0) + a.get("tokens", 0) for a in sent_back):  # else nobody counted them
            self._limiter.settle(grant, tokens)
        self._waits.answered()
        if not self._proven:
            self._proven = True
            for _ in range(self.pace.concurrency - 1):
                self._slots.release()

    def _pause(self, error: SlowDown | Transient, sent_at: float) -> None:
        """Let all batches wait as long as `error` asks for; where that is too long, the run ends."""
        try:
            if seconds := self._waits.after(error, sent_at):
                self._limiter.pause(seconds)
        except NoAnswer:
            self._over = True
            raise

    async def _in_time(self, sending: "asyncio.Future[Sequence[Answer]]") -> Sequence[Answer]:
        """What is sent back. A reply that comes byte by byte never is too late for a read, but for this."""
        try:
            return await asyncio.wait_for(sending, self.pace.max_request_s)
        except TimeoutError:
            raise Transient("timeout", f"no whole reply in {self.pace.max_request_s:g} s") from None

    # --- bookkeeping

    def _landed(self, sending: "asyncio.Task[None]") -> None:
        self._in_flight.discard(sending)
        if not sending.cancelled():
            sending.exception()  # asyncio warns of errors that nobody looks at; nobody else does when the run ends

    def _check_budget(self) -> None:
        """Before a request is sent: it and those in flight are taken to cost as much as those before."""
        spent = self.account.paid.cost + self.account.unusable.cost
        ended = self.account.requests - self._unbooked
        each = spent / ended if spent and ended else self.budget.usual(self.account.stage)
        try:
            self.budget.check((self._unbooked + 1) * each)
        except BudgetReached:
            self._over = True
            raise

    def _release(self, keys: Sequence[str]) -> None:
        self._asking.difference_update(keys)
        self._claims.release(keys)

    def _found(self, stored: Mapping[str, Answer]) -> None:
        # An earlier version stored what arrived as it was.
        new = {key: storable(answer) for key, answer in stored.items() if key not in self.answers}
        refused = {key: answer for key, answer in new.items() if "refused" in answer}
        answers = {key: answer for key, answer in new.items() if key not in refused}
        self.refused |= {key: str(answer["refused"]) for key, answer in refused.items()}
        self.account.refused.update(str(answer["cause"]) for answer in refused.values())
        self.answers.update(answers)
        for answer in answers.values():
            self.account.found(answer)
        self._show(len(new))

    def _show(self, count: int) -> None:
        if self._bar is None:
            return
        retries = self.account.retries.total()
        cost = f"cost {self.account.paid.cost:.2f} {self.account.currency}".rstrip()
        words = [self._state, cost, f"{retries} sent again" if retries else ""]
        self._bar.set_postfix_str(", ".join(filter(None, words)), refresh=False)
        self._bar.update(count)


def _refusal(call: Call, error: CallError) -> Answer:
    """What is stored of a refusal. A program that knows of none finds an answer without text."""
    empty = {"text": "", "finish": "stop", "author": call.payload.get("model", ""), "prompt_tokens": 0, "tokens": 0}
    return {**empty, "refused": str(error), "cause": error.cause}


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in a group, which may hold groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
