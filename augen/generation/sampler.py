"""Draw samples from a local engine, each at most once: what the store holds is not drawn again.

::

    identity = Identity(resolve("auto"), model_identity("models/tiny/generator"), "float32", None, None)
    with Store(default_path()) as store, Sampler(store, lambda: open_engine("auto", …), identity) as sampler:
        completions = sampler.draw([(request, {"slot": 1, "round": 0}), …], "infer, round 0")

The engine is opened for the first sample that is missing; when none is, no model is loaded. Each completion
is stored as it arrives: after kill -9 at any point the next run asks only for the rest.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any, Protocol

from tqdm import tqdm

from augen.generation.base import Completion, Engine, Request
from augen.store.responses import Store, request_key

Item = tuple[Request, Mapping[str, Any]]  # a request, and which of the samples with this request it is


class Draws(Protocol):
    """What writes texts on request: `Sampler` with a local engine, `ChatSampler` with a served model."""

    def draw(self, items: Sequence[Item], label: str) -> list[Completion]:
        """The completion of each item, in the order of `items`."""
        ...


class Releasable(Draws, Protocol):
    """Draws that may hold a device."""

    def close(self) -> None:
        """Free the device's memory. A later ``draw`` takes it again."""
        ...


@dataclass(frozen=True)
class Identity:
    """What besides the request decides a completion; see augen.store.identity for the two model fields."""

    engine: str  # resolved: vllm or transformers, never auto or ray
    generator: str
    dtype: str
    quantization: str | None
    adapter: str | None  # None: no adapter


@dataclass
class Usage:
    """What a Sampler has done so far."""

    from_store: int = 0  # samples
    drawn: int = 0  # samples
    tokens: int = 0  # generated for the drawn ones
    seconds: float = 0.0  # spent on drawing, the loading of the model included


def sample_key(request: Request, index: Mapping[str, Any], identity: Identity) -> str:
    """The key of one sample in the store: everything that can change it, and which sample it is.

    A request without the adapter has the same key whichever adapter there is.
    """
    adapter = identity.adapter if request.adapter else None
    return request_key(
        {
            "kind": "sample",
            "identity": asdict(replace(identity, adapter=adapter)),
            "request": asdict(request),
            "index": dict(index),
        }
    )


class Sampler:
    """Draws through the store; keeps its engine open from one ``draw`` to the next until it is closed."""

    def __init__(self, store: Store, open_engine: Callable[[], Engine], identity: Identity) -> None:
        self.identity = identity
        self.usage = Usage()
        self._store = store
        self._open_engine = open_engine
        self._engine: Engine | None = None

    def draw(self, items: Sequence[Item], label: str) -> list[Completion]:
        """The completion of each item, in the order of `items`, with a progress bar called `label` on stderr.

        An item is a request with its sample index (slot and round, or attempt): items that agree in both are
        one sample, and items that differ in either never share one. Raises what the engine and the store
        raise; completions that had arrived by then are stored.
        """
        keys, found = self._look_up(items)
        missing = _first_items(keys, items, found)
        engine = self._opened() if missing else None
        if engine and engine.name != self.identity.engine:
            # "auto" had to take another engine than expected; samples of the two are different samples.
            self.identity = replace(self.identity, engine=engine.name)
            keys, found = self._look_up(items)
            missing = _first_items(keys, items, found)

        self.usage.from_store += len(items) - len(missing)
        with _progress(label, total=len(items), stored=len(items) - len(missing)) as bar:
            if engine and missing:
                self._draw_missing(engine, missing, found, bar)
        return [Completion(**found[key]) for key in keys]

    def close(self) -> None:
        """Free the engine's memory. A later ``draw`` opens it again."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def __enter__(self) -> "Sampler":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _look_up(self, items: Sequence[Item]) -> tuple[list[str], dict[str, dict[str, Any]]]:
        keys = [sample_key(request, index, self.identity) for request, index in items]
        return keys, self._store.get_many(keys)

    def _opened(self) -> Engine:
        if self._engine is None:
            started = time.perf_counter()
            self._engine = self._open_engine()
            self.usage.seconds += time.perf_counter() - started
        return self._engine

    def _draw_missing(
        self, engine: Engine, missing: dict[str, Request], found: dict[str, dict[str, Any]], bar: "tqdm[Any]"
    ) -> None:
        """Draw `missing` (by key), store each as it arrives, and add it to `found`."""
        keys = list(missing)
        started = time.perf_counter()
        tokens = 0
        try:
            for index, completion in engine.generate(list(missing.values())):
                found[keys[index]] = asdict(completion)
                self._store.put(keys[index], found[keys[index]])
                self.usage.drawn += 1
                tokens += completion.tokens
                bar.set_postfix_str(
                    f"{bar.initial} from the store, {tokens / (time.perf_counter() - started):.0f} tokens/s",
                    refresh=False,
                )
                bar.update()
        except Exception as error:  # out of memory, a dead engine: shown below its traceback
            stored = sum(key in found for key in keys)
            error.add_note(
                f"{stored:,} of {len(keys):,} samples of this round had arrived and are stored; `dvc repro` goes on "
                "from there (where memory ran out: lower engine.batch_size or engine.memory_share)"
            )
            raise
        finally:
            self.usage.tokens += tokens
            self.usage.seconds += time.perf_counter() - started
        if lost := [key for key in keys if key not in found]:
            raise RuntimeError(f"{engine.name} returned {len(keys) - len(lost)} completions for {len(keys)} requests")


def _first_items(keys: Sequence[str], items: Sequence[Item], found: Mapping[str, Any]) -> dict[str, Request]:
    """The requests that are not in `found`, one per key, in input order."""
    return {key: request for key, (request, _) in zip(keys, items, strict=True) if key not in found}


def _progress(label: str, total: int, stored: int) -> "tqdm[Any]":
    """A bar that starts at what is stored; in a log file (no terminal) one line every half minute."""
    bar = tqdm(
        total=total,
        initial=stored,
        desc=label,
        unit="sample",
        file=sys.stderr,
        mininterval=0.2 if sys.stderr.isatty() else 30.0,
        dynamic_ncols=True,
    )
    bar.set_postfix_str(f"{stored} from the store")
    return bar
