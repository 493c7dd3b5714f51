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

from augen import params
from augen.calls.account import Value
from augen.calls.opening import open_runner
from augen.calls.runner import Item, Runner
from augen.rewriting import Draft
from augen.rewriting.packing import Packer, is_blank, parts
from augen.store import request_key

LANGUAGE = "zh"


@dataclass(frozen=True)
class Leg:
    """One direction."""

    source: str
    target: str


class Translator:
    """A `Rewriter`: zh → pivot → zh. A draft with a refused text stays as it is, and so is dropped as unchanged."""

    def __init__(self, runner: Runner, identity: dict[str, Any], pivot: str, characters_per_request: int) -> None:
        self._runner = runner
        self._identity = identity
        self._there, self._back = Leg(LANGUAGE, pivot), Leg(pivot, LANGUAGE)
        self._limit = characters_per_request

    def __call__(self, drafts: Sequence[Draft], /) -> Iterator[Sequence[str]]:
        texts = list(dict.fromkeys(text for draft in drafts for text in draft.texts))
        self._runner.run(lambda: self._round_trips(texts), total=2 * len(texts))
        for draft in drafts:
            rewritten = [self._rewritten(text) for text in draft.texts]
            yield draft.texts if None in rewritten else [text for text in rewritten if text is not None]

    def _rewritten(self, text: str) -> str | None:
        there = self._translated(text, self._there)
        return None if there is None else self._translated(there, self._back)

    async def _round_trips(self, texts: Sequence[str]) -> None:
        """Get every part of every text into the runner's values, in both directions."""
        there, back = _Way(self, self._there), _Way(self, self._back)
        self._runner.look_up(item for text in texts for item in self._items(text, self._there))
        for text in texts:
            there.ask(text)
        there.finish()
        for text in texts:
            await there.answered(text)
            translated = self._translated(text, self._there)
            if translated is not None:
                self._runner.look_up(self._items(translated, self._back))
                back.ask(translated)
        back.finish()

    def _translated(self, text: str, leg: Leg) -> str | None:
        """`text` put together again from the translations of its parts; None if one was refused."""
        out = []
        for part in parts(text, self._limit):
            if is_blank(part):
                out.append(part)
            elif value := self._runner.values.get(self._item(part, leg).key):
                out.append(value["text"])
            else:
                return None
        return "".join(out)

    def _items(self, text: str, leg: Leg) -> list[Item]:
        return [self._item(part, leg) for part in parts(text, self._limit) if not is_blank(part)]

    def _item(self, part: str, leg: Leg) -> Item:
        payload = {"text": part, "source": leg.source, "target": leg.target}
        return Item(request_key({"kind": "translation", **self._identity, **payload}), payload, characters=len(part))


class _Way:
    """One leg of a run: fills requests in the order of the texts, starts each when it is full."""

    def __init__(self, translator: Translator, leg: Leg) -> None:
        self._translator, self._leg = translator, leg
        self._packer = Packer[Item](translator._limit)
        self._asked: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def ask(self, text: str) -> None:
        for item in self._translator._items(text, self._leg):
            if item.key not in self._asked and item.key not in self._translator._runner.values:
                self._asked.add(item.key)
                self._start(self._packer.add(item, item.characters))

    def finish(self) -> None:
        """Start the last request, though it is not full."""
        self._start(self._packer.rest())

    async def answered(self, text: str) -> None:
        for item in self._translator._items(text, self._leg):
            if task := self._tasks.get(item.key):
                await task

    def _start(self, pack: list[Item] | None) -> None:
        if pack:
            task = self._translator._runner.start(pack)
            self._tasks.update((item.key, task) for item in pack)


@contextmanager
def tencent_translator(providers: params.Providers, pivot: str, stage: str) -> Iterator[Translator]:
    """A `Translator` by Tencent TMT; its account is printed and kept as that of `stage`, however it ends."""
    from augen.providers.tencent import NAME, Tencent

    settings = providers.tencent

    def price(value: Value) -> float:
        return float(value["characters"]) * settings.price / 1e6

    with open_runner(stage, NAME, lambda: Tencent(settings), settings, price) as runner:
        identity = {"provider": NAME, "base_url": settings.base_url, "region": settings.region}
        yield Translator(runner, identity, pivot, settings.characters_per_request)
