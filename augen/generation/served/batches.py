"""Sends the open calls of a stage as batches, and waits for them.

Every call ends as it would alone: what the provider says of a line is read by the same table (`replies`). What may pass
is sent again in a next batch, a refusal is one, a used-up quota ends the run. Answers are stored under the same keys.

No call is ever in two batches, whoever is killed when: a batch is in the store before it is sent (`batch_records`), and
what is in a batch there is waited for, in a run without ``batch``, too. A batch that is known by its file alone was
perhaps begun by a process that was killed: the provider's list tells. If it is not there, its file is deleted before
the list is read once more: after that, no late request can begin it. Of several processes, one looks after a batch
(`claims`); the others wait for what it stores.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from math import inf
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from tqdm import tqdm

from augen.core import params
from augen.core.errors import AugenError
from augen.generation.served import batch_records
from augen.generation.served.account import Answer
from augen.generation.served.batch_files import ENDED, BatchFiles, Outcome, State, failure, outcome
from augen.generation.served.batch_records import Record
from augen.generation.served.bounded import MIB
from augen.generation.served.budget import BudgetReached
from augen.generation.served.claims import CLAIM_S, Claims
from augen.generation.served.errors import (
    CallError,
    Misconfigured,
    NoAnswer,
    QuotaUsedUp,
    Refused,
    SlowDown,
    Transient,
    Unusable,
)
from augen.generation.served.failures import Failure
from augen.generation.served.openai import NAME, base_url
from augen.generation.served.runner import Call, Runner
from augen.generation.served.threads import Threads
from augen.generation.served.waits import FIRST_WAIT_S, LONGEST_WAIT_S, UNUSABLE_RETRIES
from augen.store.responses import Store
from augen.store.texts import storable

T = TypeVar("T")

STORED_AT_ONCE = 1000  # answers in a commit
FULL_WAIT_S = 60.0  # after a batch that the provider had no room for, where no other is running; longer each time


class Batches:
    """The batches of one runner. Use it from one thread only, within the runner's ``with``."""

    def __init__(self, runner: Runner, settings: params.OpenAI, open_files: Callable[[], BatchFiles]) -> None:
        self._runner, self._settings, self._open_files = runner, settings, open_files
        self._store, self._endpoint = runner.store, runner.pace.endpoint
        self._opened: BatchFiles | None = None
        self._claims = Claims(
            self._store, say=lambda _: self._say("another process looks after batches with answers for here")
        )
        self._pool = Threads("batches")
        self._fresh: dict[str, list[Call]] = {}  # what is to be uploaded, by the name of its record
        self._own: set[str] = set()  # names of the records that this process looks after
        self._said: dict[str, str] = {}  # the last status that was told, by batch
        self._shown: dict[str, tuple[int, int]] = {}  # requests done, and all, by record that is running
        self._watched: set[str] = set()  # ids of batches that this process saw running
        self._tries: Counter[str] = Counter()  # by key
        self._given_up: set[str] = set()
        self._told = False  # that this takes long
        self._unclear = 0  # times in a row that nobody knew whether a batch was begun
        self._full = 0  # times in a row that there was no room for one

    def fetch(self, batches: Sequence[Sequence[Call]]) -> None:
        """As ``Runner.fetch``, by batches. Without ``batch`` what is running is waited for, the rest goes singly."""
        calls = {call.key: call for batch in batches for call in batch}
        if self._settings.batch or batch_records.running(self._store, self._endpoint):
            self._runner.run(lambda: self._all(calls), total=len(calls))
        if not self._settings.batch:
            self._runner.fetch(batches)

    def close(self) -> None:
        self._pool.shutdown()
        self._claims.close()

    # --- one run

    async def _all(self, calls: dict[str, Call]) -> None:
        heart = asyncio.create_task(self._beat())
        try:
            while waiting := self._open(calls):
                running = self._holding(waiting)
                if self._settings.batch and not self._is_full(running):
                    running += self._begin(waiting, running)
                if not running and not self._settings.batch:
                    return
                refused = len(self._runner.refused)
                ended = [await self._look_after(record, calls) for record in running]
                # Not before: another batch, of another model perhaps, may hold answers, and is paid for.
                if all(ended) and len(self._runner.refused) > refused:
                    self._runner.check_first()
                if not any(ended):
                    await asyncio.sleep(self._settings.batch_poll_s)
        except (Transient, SlowDown) as error:
            raise NoAnswer(str(error), "of the Batch API") from None
        except Refused as error:
            raise AugenError(f"{self._runner.name}: the Batch API says: {error}") from None
        except asyncio.CancelledError:
            self._say("the batches go on; run again to wait for them, or end them: python -m tools.account --cancel")
            raise
        finally:
            heart.cancel()

    def _open(self, calls: dict[str, Call]) -> list[Call]:
        self._runner.look_up(calls.values())
        return [call for call in calls.values() if self._runner.is_open(call) and call.key not in self._given_up]

    def _holding(self, calls: Sequence[Call]) -> list[Record]:
        keys = {call.key for call in calls}
        return [r for r in batch_records.running(self._store, self._endpoint) if not keys.isdisjoint(r.keys)]

    def _begin(self, calls: Sequence[Call], running: Iterable[Record]) -> list[Record]:
        """Records of new batches with what is in none yet."""
        held = {key for record in running for key in record.keys}
        taken = self._claims.take([call.key for call in calls if call.key not in held])
        if not taken.mine:
            return []
        # Another process may have put some into a batch until they were claimed here.
        held |= {key for record in batch_records.running(self._store, self._endpoint) for key in record.keys}
        mine = set(taken.mine) - held
        affordable = self._affordable([call for call in calls if call.key in mine], [c for c in calls if c.key in held])
        records = []
        for pack in self._packs(affordable):
            payload = pack[0].payload
            record = batch_records.new(self._endpoint, payload["model"], _kind(pack[0]), [call.key for call in pack])
            self._fresh[record.name] = pack
            records.append(record)
        batch_records.begin(self._store, records)
        self._claims.release(taken.mine)
        return records

    def _affordable(self, calls: Sequence[Call], sent: Iterable[Call]) -> list[Call]:
        """As many of `calls` as the budget bears at their dearest, beside those that were `sent`.

        Raises BudgetReached where it is none, and nothing was sent.
        """
        left = self._runner.budget.left()
        if left == inf:
            return list(calls)
        spent = [self._dearest(call) for call in sent]
        left -= sum(spent)
        sums = accumulate(map(self._dearest, calls))
        fitting = [call for call, until in zip(calls, sums, strict=True) if until <= left]
        if calls and not fitting and not spent:
            raise BudgetReached("the budget is reached")
        return fitting

    def _dearest(self, call: Call) -> float:
        """What `call` costs at most: a token for every character of its prompt, and as many as it may generate."""
        tokens = {"prompt_tokens": call.characters, "tokens": call.tokens - call.characters, "batch": True}
        return self._runner.account.cost({"author": call.payload["model"], **tokens}) or 0.0

    def _packs(self, calls: Sequence[Call]) -> Iterator[list[Call]]:
        """`calls` by model and kind, in parts within the provider's limits."""

        def sort(call: Call) -> tuple[str, str]:
            return call.payload["model"], _kind(call)

        for _, group in groupby(sorted(calls, key=sort), key=sort):
            pack: list[Call] = []
            left = most = int(self._settings.batch_mib * MIB)
            for call in group:
                size = len(self._files.line(call))
                if size > most:
                    raise AugenError(
                        f"a request of {size:,} bytes exceeds providers.openai.batch_mib ({self._settings.batch_mib:g})"
                    )
                if size > left or len(pack) == self._settings.batch_lines:
                    yield pack
                    pack, left = [], most
                pack.append(call)
                left -= size
            yield pack

    # --- one batch

    async def _look_after(self, record: Record, calls: dict[str, Call]) -> bool:
        """Take `record` a step further; whether it ended, or has to be read anew."""
        if not self._is_mine(record):
            return False
        if record.id:
            state = await self._ask(lambda: self._files.state(str(record.id)))
        elif record.name in self._fresh:
            begun = await self._send(record, self._fresh.pop(record.name))
            if begun is None:
                return True
            state = begun
        else:
            found = await self._recover(record)
            if found is None:
                self._end(record)
                return True
            state = found
        if not record.id:
            batch_records.know(self._store, record, "id", state.id)
        self._show(record, state)
        if state.status not in ENDED:
            if state.status != "cancelling":
                self._watched.add(state.id)
            return False
        await self._finish(record, state, calls)
        return True

    def _is_mine(self, record: Record) -> bool:
        if record.name not in self._own:
            if not self._claims.take([f"claim of {record.name}"]).mine:
                return False
            self._own.add(record.name)
        return batch_records.is_running(self._store, record)

    async def _send(self, record: Record, pack: Sequence[Call]) -> State | None:
        """Upload and begin a batch; None where it is not clear whether it was begun."""
        try:
            lines = [self._files.line(call) for call in pack]
            file = await self._ask(lambda: self._files.upload(record.name.replace("/", "-"), lines))
            batch_records.know(self._store, record, "file", file)
            url = self._files.url(pack[0].payload)
            state = await self._in_thread(lambda: self._files.create(file, url))
        except (Transient, SlowDown) as error:
            self._unclear += 1
            if self._unclear > self._settings.retries:
                raise
            self._runner.account.retries[error.cause] += 1
            await asyncio.sleep(FIRST_WAIT_S * 2**self._unclear)
            return None
        except Refused as error:
            self._end(record)
            raise AugenError(f"{self._runner.name}: no batch was begun: {error}") from None
        except (CallError, AugenError):
            self._end(record)
            raise
        self._unclear = 0
        self._runner.account.requests += len(pack)
        self._say(f"batch {state.id}: {len(pack):,} requests to {record.model} sent")
        if not self._told:
            self._told = True
            window = self._settings.batch_window
            self._say(f"answers come within {window}; this run may be ended meanwhile, the next one goes on waiting")
        return state

    async def _recover(self, record: Record) -> State | None:
        """The batch of a record without its id, if it was begun; None: it was not, and never will be."""
        if record.file is None:
            return None
        file = record.file
        if state := await self._ask(lambda: self._files.find(file, record.since)):
            return state
        await self._ask(lambda: self._files.delete(file))
        return await self._ask(lambda: self._files.find(file, record.since))

    async def _finish(self, record: Record, state: State, calls: dict[str, Call]) -> None:
        """Store all answers of a batch that has ended, then say what becomes of the other calls."""
        outcomes: dict[str, Outcome] = {}
        stored = self._store.get_many(record.keys)  # where a process was killed after it had stored some
        keys = set(record.keys) - stored.keys()
        for file in state.files:
            for line in await self._ask(lambda file=file: list(self._files.results(file))):  # type: ignore[misc]
                if (key := line.get("custom_id")) in keys:
                    outcomes[str(key)] = outcome(self._files.endpoint, record.payload, line)
        answers: dict[str, Answer] = {key: storable(o) for key, o in outcomes.items() if isinstance(o, dict)}
        for start in range(0, len(answers), STORED_AT_ONCE):
            chunk = list(answers)[start : start + STORED_AT_ONCE]
            self._runner.keep({key: answers[key] for key in chunk}, calls)
        rest = self._rest(record, state, outcomes)
        errors = {key: outcomes.get(key, rest) for key in record.keys if key in keys and key not in answers}
        self._full = self._full + 1 if isinstance(rest, SlowDown) else 0
        try:
            for key, error in errors.items():
                if key in calls and not isinstance(error, dict):
                    self._weigh(calls[key], error)
        finally:
            self._end(record)
        self._check_end(state, errors.values())
        if self._full:
            await self._wait_for_room(rest)

    def _rest(self, record: Record, state: State, outcomes: dict[str, Outcome]) -> CallError | Misconfigured:
        """What holds of calls without an outcome of their own. Errors of a batch that name a line become one."""
        said: CallError | Misconfigured = Transient(f"batch {state.status}")
        for error in state.errors:
            meant = failure(self._files.endpoint, record.model, error)
            line = error.get("line")
            if isinstance(line, int) and 0 < line <= len(record.keys):
                outcomes[record.keys[line - 1]] = meant
            else:
                said = Misconfigured(f"{self._runner.name}: {meant}") if isinstance(meant, Refused) else meant
        return said

    def _weigh(self, call: Call, error: CallError | Misconfigured) -> None:
        """Send `call` again in a next batch, or give it up."""
        if isinstance(error, Refused):
            self._runner.bill(error)
            self._runner.refuse(call, error)
        elif isinstance(error, Transient | SlowDown):
            self._runner.bill(error)
            self._tries[call.key] += not self._full
            if isinstance(error, Unusable) and self._tries[call.key] > UNUSABLE_RETRIES:
                self._runner.refuse(call, error)
            elif self._tries[call.key] > self._settings.retries:
                self._runner.failures.append(Failure(call.key[:16], str(error), self._tries[call.key]))
                self._given_up.add(call.key)
            else:
                self._runner.account.retries[error.cause] += 1

    def _check_end(self, state: State, errors: Iterable[Outcome]) -> None:
        """Raise what ends the run, now that all that arrived is stored."""
        for error in errors:
            if isinstance(error, QuotaUsedUp | Misconfigured):
                raise error
        self._runner.budget.check_known(self._runner.account.paid.unpriced)
        if state.status == "cancelled" and state.id in self._watched:
            raise AugenError(
                f"{self._runner.name}: the batch {state.id} was cancelled; what was answered before is stored; run "
                "again to send the rest anew"
            )

    # --- waiting

    def _is_full(self, running: Sequence[Record]) -> bool:
        return bool(self._full and running)

    async def _wait_for_room(self, error: CallError | Misconfigured) -> None:
        seconds = FULL_WAIT_S * 2 ** (self._full - 1)
        if not batch_records.running(self._store, self._endpoint):
            if seconds > self._runner.pace.max_wait_s:
                raise NoAnswer(str(error), f"providers.max_wait_s is {self._runner.pace.max_wait_s:g}")
            self._say(f"{error}; the next batch waits {seconds:.0f} s")
            await asyncio.sleep(seconds)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(CLAIM_S / 4)
            self._claims.renew()

    async def _ask(self, ask: Callable[[], T]) -> T:
        """What `ask` returns, which runs in a thread, and again after what may pass."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type((Transient, SlowDown)),
            stop=stop_after_attempt(self._settings.retries + 1),
            wait=wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S),
            reraise=True,
        ):
            with attempt:
                return await self._in_thread(ask)
        raise AssertionError("tenacity returns or raises")

    async def _in_thread(self, ask: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, ask)

    # --- bookkeeping

    @property
    def _files(self) -> BatchFiles:
        if self._opened is None:
            self._opened = self._open_files()
        return self._opened

    def _end(self, record: Record) -> None:
        batch_records.end(self._store, record)
        self._own.discard(record.name)
        self._shown.pop(record.name, None)
        self._claims.release([f"claim of {record.name}"])

    def _show(self, record: Record, state: State) -> None:
        done, of = state.answered + state.failed, len(record.keys)
        if self._said.get(state.id) != state.status:
            self._said[state.id] = state.status
            self._say(f"batch {state.id}: {state.status}, {done:,} of {of:,}")
        self._shown[record.name] = (done, of)
        all_done, all_of = map(sum, zip(*self._shown.values(), strict=True))
        self._runner.show_state(f"batches {all_done:,}/{all_of:,}")

    def _say(self, words: str) -> None:
        tqdm.write(f"{self._runner.name}: {words}", file=sys.stderr)


def cancel(store: Store, settings: params.OpenAI) -> list[str]:
    """Ask the provider to end all batches that are running there; a line on each. The next run fetches what they have.

    Raises AugenError where it does not take that.
    """
    records = batch_records.running(store, f"{NAME} {base_url(settings)}")
    files = BatchFiles(settings) if records else None
    lines = []
    for record in records:
        assert files
        try:
            found = files.state(record.id) if record.id else record.file and files.find(record.file, record.since)
            if found and found.status not in ENDED:
                found = files.cancel(found.id)
        except CallError as error:
            raise AugenError(f"{NAME}: {error}") from None
        what = f"batch {found.id}: {found.status}, {found.answered:,}" if found else "a batch that was not begun: 0"
        lines.append(f"{what} of {len(record.keys):,} requests of {record.model}")
    return lines


def _kind(call: Call) -> str:
    return "messages" if "messages" in call.payload else "prompt"
