"""Rewriting by machine translation into another language and back (Tencent TMT).

Every text is sent once in a run, however often it occurs (是 is an option of hundreds of questions). Its key in the
store is made of the text itself, not of the request that it was packed into: another selection of problems packs
other requests, but pays only for new texts. The way back begins before the way there has ended.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from augen.core import params
from augen.generation.planning import Plan, PlanningRunner
from augen.generation.served.failures import Failure
from augen.generation.served.opening import open_runner
from augen.generation.served.prices import by_characters
from augen.generation.served.runner import Asking, Call
from augen.rewriting import Draft
from augen.rewriting.packing import Packer, is_blank, parts
from augen.store.responses import Store, default_path, request_key

LANGUAGE = "zh"
CHUNK = 200  # texts looked up and packed at a time, so that the first requests leave early


class Translator:
    """A `Rewriter`: zh → pivot → zh. A draft with a refused text stays as it is, and so is dropped as unchanged."""

    def __init__(self, runner: Asking, endpoint: dict[str, str], pivot: str, characters_per_request: int) -> None:
        self.failures: list[Failure] = []  # drafts with a refused text
        self._runner = runner
        self._there = _Way(runner, {**endpoint, "source": LANGUAGE, "target": pivot}, characters_per_request)
        self._back = _Way(runner, {**endpoint, "source": pivot, "target": LANGUAGE}, characters_per_request)

    def __call__(self, drafts: Sequence[Draft], /) -> Iterator[Sequence[str]]:
        texts = list(dict.fromkeys(text for draft in drafts for text in draft.texts))
        self._runner.run(lambda: self._round_trips(texts), total=2 * len(texts))
        for draft in drafts:
            rewritten = [self._rewritten(text) for text in draft.texts]
            if refused := [words for text in draft.texts for words in self._refusals(text)]:
                self.failures.append(Failure(draft.id, f"refused: {refused[0]}", 1))
            yield draft.texts if None in rewritten else [text for text in rewritten if text is not None]
        for way in (self._there, self._back):
            way.forget()
        self._runner.forget()

    def _rewritten(self, text: str) -> str | None:
        there = self._there.translated(text)
        return None if there is None else self._back.translated(there)

    def _refusals(self, text: str) -> list[str]:
        """What was said about the parts of `text`, or of its translation, that were refused."""
        there = self._there.translated(text)
        return self._there.refusals(text) if there is None else self._back.refusals(there)

    async def _round_trips(self, texts: Sequence[str]) -> None:
        """Get every part of every text into the runner's answers, in both directions."""
        for start in range(0, len(texts), CHUNK):
            await self._there.ask(texts[start : start + CHUNK])
        self._there.finish()
        ready: list[str] = []
        for text in texts:
            if ready and not self._there.is_answered(text):
                await self._turn_back(ready)
                ready = []
            await self._there.answered(text)
            ready.append(text)
        await self._turn_back(ready)
        self._back.finish()

    async def _turn_back(self, texts: Sequence[str]) -> None:
        translated = [self._there.translated(text) for text in texts]
        await self._back.ask([text for text in translated if text is not None])


class _Way:
    """One direction: packs texts into requests, starts each when it is full, puts translated texts together again."""

    def __init__(self, runner: Asking, identity: dict[str, str], limit: int) -> None:
        self._runner, self._identity, self._limit = runner, identity, limit
        self._packer = Packer[Call](limit)
        self._cut: dict[str, list[str | Call]] = {}  # of each text its parts; white space needs no call
        self._tasks: dict[str, asyncio.Task[None] | None] = {}  # None: waits for its pack to be full

    async def ask(self, texts: Sequence[str]) -> None:
        """Start a request for what is missing of `texts`, as often as a pack is full."""
        calls = [call for text in texts for call in self._calls(text)]
        self._runner.look_up(calls)
        for call in calls:
            if call.key not in self._tasks and call.key not in self._runner.answers:
                self._tasks[call.key] = None
                self._start(self._packer.add(call, call.characters))
        await asyncio.sleep(0)  # let requests leave

    def finish(self) -> None:
        """Start the last request, though it is not full."""
        self._start(self._packer.rest())

    def forget(self) -> None:
        """Let go of the texts so far."""
        self._cut.clear()
        self._tasks.clear()

    def is_answered(self, text: str) -> bool:
        return all(call.key in self._runner.answers for call in self._calls(text))

    async def answered(self, text: str) -> None:
        for call in self._calls(text):
            if task := self._tasks.get(call.key):
                await task

    def translated(self, text: str) -> str | None:
        """`text` put together from the translations of its parts; None if one was refused."""
        out = []
        for part in self._parts(text):
            if isinstance(part, str):
                out.append(part)
            elif answer := self._runner.answers.get(part.key):
                out.append(answer["text"])
            else:
                return None
        return "".join(out)

    def refusals(self, text: str) -> list[str]:
        return [self._runner.refused[call.key] for call in self._calls(text) if call.key in self._runner.refused]

    def _start(self, pack: list[Call] | None) -> None:
        if pack:
            task = self._runner.start(pack)
            self._tasks.update((call.key, task) for call in pack)

    def _calls(self, text: str) -> list[Call]:
        return [part for part in self._parts(text) if isinstance(part, Call)]

    def _parts(self, text: str) -> list[str | Call]:
        if text not in self._cut:
            cut = parts(text, self._limit)
            self._cut[text] = [part if is_blank(part) else self._call(part) for part in cut]
        return self._cut[text]

    def _call(self, part: str) -> Call:
        key = request_key({"kind": "translation", **self._identity, "text": part})
        payload = {"text": part, "source": self._identity["source"], "target": self._identity["target"]}
        return Call(key, payload, characters=len(part))


@contextmanager
def tencent_translator(
    providers: params.Providers, pivot: str, stage: str, plan: Plan | None = None
) -> Iterator[Translator]:
    """A `Translator` by Tencent TMT; its account is printed and kept as that of `stage`, however it ends.

    With a `plan` nothing is sent, and what would be is noted there.
    """
    from augen.generation.served.tencent import NAME, Tencent

    settings = providers.tencent
    endpoint = {"provider": NAME, "base_url": settings.base_url, "region": settings.region}
    if plan:
        with Store(default_path()) as store:
            yield Translator(PlanningRunner(store, plan), endpoint, pivot, settings.characters_per_request)
        return

    def open_provider() -> Tencent:
        return Tencent(settings, providers.max_reply_mib)

    cost = by_characters(settings.price)
    with open_runner(stage, NAME, settings.base_url, open_provider, providers, cost) as runner:
        yield Translator(runner, endpoint, pivot, settings.characters_per_request)
