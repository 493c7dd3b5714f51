"""Rewriting by machine translation into another language and back (Tencent TMT).

Every text is asked about once in a run, wherever it occurs (是 is an option of hundreds of questions), and known in
the store by itself, not by the request in which it travelled: another selection of problems packs other requests,
but pays only for texts that are new. The way back begins while the way there is still under way.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from augen.core import params
from augen.generation.served.account import Value
from augen.generation.served.opening import open_runner
from augen.generation.served.runner import Item, Runner
from augen.rewriting import Draft
from augen.rewriting.packing import Packer, is_blank, parts
from augen.store.responses import request_key

LANGUAGE = "zh"
CHUNK = 200  # texts looked up and packed at a time: the first requests leave before the last text is looked at


@dataclass(frozen=True)
class Leg:
    """One direction."""

    source: str
    target: str


class Translator:
    """A `Rewriter`: zh → pivot → zh. A draft with a refused text stays as it is, and so is dropped as unchanged."""

    def __init__(self, runner: Runner, identity: dict[str, Any], pivot: str, characters_per_request: int) -> None:
        self._runner = runner
        self._there = _Way(runner, identity, Leg(LANGUAGE, pivot), characters_per_request)
        self._back = _Way(runner, identity, Leg(pivot, LANGUAGE), characters_per_request)

    def __call__(self, drafts: Sequence[Draft], /) -> Iterator[Sequence[str]]:
        texts = list(dict.fromkeys(text for draft in drafts for text in draft.texts))
        self._runner.run(lambda: self._round_trips(texts), total=2 * len(texts))
        for draft in drafts:
            rewritten = [self._rewritten(text) for text in draft.texts]
            yield draft.texts if None in rewritten else [text for text in rewritten if text is not None]

    def _rewritten(self, text: str) -> str | None:
        there = self._there.translated(text)
        return None if there is None else self._back.translated(there)

    async def _round_trips(self, texts: Sequence[str]) -> None:
        """Get every part of every text into the runner's values, in both directions."""
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
    """One leg: fills requests in the order of the texts, starts each when it is full, puts texts together again."""

    def __init__(self, runner: Runner, identity: dict[str, Any], leg: Leg, limit: int) -> None:
        self._runner, self._identity, self._leg, self._limit = runner, identity, leg, limit
        self._packer = Packer[Item](limit)
        self._cut: dict[str, list[str | Item]] = {}  # of each text its parts; white space needs no item
        self._tasks: dict[str, asyncio.Task[None] | None] = {}  # None: waits for its pack to be full

    async def ask(self, texts: Sequence[str]) -> None:
        """Start a request for what is missing of `texts`, as far as it fills one."""
        items = [item for text in texts for item in self._items(text)]
        self._runner.look_up(items)
        for item in items:
            if item.key not in self._tasks and item.key not in self._runner.values:
                self._tasks[item.key] = None
                self._start(self._packer.add(item, item.characters))
        await asyncio.sleep(0)  # let requests leave

    def finish(self) -> None:
        """Start the last request, though it is not full."""
        self._start(self._packer.rest())

    def is_answered(self, text: str) -> bool:
        return all(item.key in self._runner.values for item in self._items(text))

    async def answered(self, text: str) -> None:
        for item in self._items(text):
            if task := self._tasks.get(item.key):
                await task

    def translated(self, text: str) -> str | None:
        """`text` put together from the translations of its parts; None if one was refused."""
        out = []
        for part in self._parts(text):
            if isinstance(part, str):
                out.append(part)
            elif value := self._runner.values.get(part.key):
                out.append(value["text"])
            else:
                return None
        return "".join(out)

    def _start(self, pack: list[Item] | None) -> None:
        if pack:
            task = self._runner.start(pack)
            self._tasks.update((item.key, task) for item in pack)

    def _items(self, text: str) -> list[Item]:
        return [part for part in self._parts(text) if isinstance(part, Item)]

    def _parts(self, text: str) -> list[str | Item]:
        if text not in self._cut:
            cut = parts(text, self._limit)
            self._cut[text] = [part if is_blank(part) else self._item(part) for part in cut]
        return self._cut[text]

    def _item(self, part: str) -> Item:
        payload = {"text": part, "source": self._leg.source, "target": self._leg.target}
        return Item(request_key({"kind": "translation", **self._identity, **payload}), payload, characters=len(part))


@contextmanager
def tencent_translator(providers: params.Providers, pivot: str, stage: str) -> Iterator[Translator]:
    """A `Translator` by Tencent TMT; its account is printed and kept as that of `stage`, however it ends."""
    from augen.generation.served.tencent import NAME, Tencent

    settings = providers.tencent

    def price(value: Value) -> float:
        return float(value["characters"]) * settings.price / 1e6

    with open_runner(stage, NAME, lambda: Tencent(settings), settings, price) as runner:
        identity = {"provider": NAME, "base_url": settings.base_url, "region": settings.region}
        yield Translator(runner, identity, pivot, settings.characters_per_request)
