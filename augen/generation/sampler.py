"""Samples of a local engine, each drawn at most once: what the store holds is not drawn again.

::

    identity = Identity(resolve("auto"), model_identity("models/tiny/generator"), "float32", None)
    with Store(default_path()) as store, EngineSampler(store, lambda: open_engine("auto", …), identity) as sampler:
        completions = sampler.draw([(request, {"slot": 1, "round": 0}), …], "infer, round 0")

The engine is opened when the first sample is missing; when all are stored, no model is loaded. Each completion is
stored as it arrives: after kill -9 at any point the next run asks only for the rest.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from augen.answers import split_thinking
from augen.answers.thinking import begun
from augen.core.progress import progress
from augen.generation.base import Completion, Engine, IndexedRequest, Request
from augen.store.responses import Store, request_key
from augen.store.texts import storable

# Options of vLLM (engine.extra) that change when and where a token is computed, not which one it is.
SPEED_ONLY = frozenset(
    re.findall(
        r"\w+",
        """async_scheduling block_size cpu_offload_gb cudagraph_capture_sizes disable_custom_all_reduce
        disable_log_stats distributed_executor_backend enable_chunked_prefill enable_expert_parallel
        enable_prefix_caching enforce_eager gdn_prefill_backend kv_cache_memory_bytes language_model_only
        limit_mm_per_prompt max_cudagraph_capture_size max_num_batched_tokens max_num_seqs
        max_parallel_loading_workers num_gpu_blocks_override optimization_level performance_mode
        pipeline_parallel_size safetensors_load_strategy skip_mm_profiling""",
    )
)


@dataclass(frozen=True)
class Identity:
    """What decides a completion besides the request; augen.store.identity makes the two model fields."""

    engine: str  # resolved: vllm or transformers, never auto or ray
    generator: str
    dtype: str
    quantization: str | None
    adapters: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)  # of engine.extra what is not SPEED_ONLY

    def fields(self, adapter: str | None) -> dict[str, Any]:
        """What goes into the key of a sample with that adapter.

        Without `extra` where there is none: samples from before it existed stay valid.
        """
        told = {"adapter": adapter} | ({"extra": dict(self.extra)} if self.extra else {})
        return {name: getattr(self, name) for name in ("engine", "generator", "dtype", "quantization")} | told


def telling(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Of the options in engine.extra those that can change a text.

    >>> telling({"max_num_seqs": 64, "kv_cache_dtype": "fp8"})
    {'kv_cache_dtype': 'fp8'}
    """
    return {name: value for name, value in extra.items() if name not in SPEED_ONLY}


@dataclass
class Usage:
    """What an EngineSampler has done so far."""

    from_store: int = 0  # samples
    drawn: int = 0  # samples
    tokens: int = 0  # generated for the drawn samples
    seconds: float = 0.0  # spent on drawing and on loading the model


def sample_key(request: Request, index: Mapping[str, Any], identity: Identity) -> str:
    """The key of one sample in the store: everything that can change it, and which sample it is.

    An adapter is known by its content, whichever number it has. A request without one has the same key whichever there
    are.
    """
    adapter = dict(enumerate(identity.adapters, start=1)).get(request.adapter)
    return request_key(
        {
            "kind": "sample",
            "identity": identity.fields(adapter),
            "request": asdict(request) | {"adapter": request.adapter > 0},
            "index": dict(index),
        }
    )


def completion_of(request: Request, stored: Mapping[str, Any]) -> Completion:
    """The completion of `request`. The store has the text as the model wrote it, thinking included."""
    thinking, text = split_thinking(begun(request.prompt) + stored["text"])
    return Completion(**{**stored, "text": text, "thinking": thinking})


class EngineSampler:
    """A `Sampler` of a local engine, which stays open from one ``draw`` to the next until it is closed."""

    def __init__(self, store: Store, open_engine: Callable[[], Engine], identity: Identity) -> None:
        self.identity = identity
        self.usage = Usage()
        self._store = store
        self._open_engine = open_engine
        self._engine: Engine | None = None

    def draw(self, requests: Sequence[IndexedRequest], label: str) -> list[Completion]:
        """See ``Sampler.draw``. Raises what the engine and the store raise."""
        found: dict[str, dict[str, Any]] = {}
        drawn_before = self.usage.drawn
        tried = None
        while tried != self.identity:  # twice where the engine turns out to be another one than expected
            tried = self.identity
            keys = [sample_key(request, index, tried) for request, index in requests]
            by_key = {key: request for key, (request, _) in zip(keys, requests, strict=True)}
            found = self._store.fill(by_key, lambda missing: self._drawn(missing, label, len(requests)))
        self.usage.from_store += len(requests) - (self.usage.drawn - drawn_before)
        return [completion_of(request, found[key]) for key, (request, _) in zip(keys, requests, strict=True)]

    def close(self) -> None:
        """See ``Sampler.close``: frees the engine's memory. A later ``draw`` opens it again."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def __enter__(self) -> "EngineSampler":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _drawn(self, missing: dict[str, Request], label: str, total: int) -> Iterator[dict[str, dict[str, Any]]]:
        """Draw `missing`, whose keys come from the store; yields each completion by its key as it arrives.

        Yields nothing if "auto" had to open another engine than expected, whose samples are others: `identity` then
        names that one.
        """
        started = time.perf_counter()
        if self._engine is None:
            self._engine = self._open_engine()
        opened = time.perf_counter()
        self.usage.seconds += opened - started
        engine = self._engine
        if engine.name != self.identity.engine:
            self.identity = replace(self.identity, engine=engine.name)
            return
        keys = list(missing)
        stored = total - len(keys)
        arrived = tokens = 0
        try:
            with progress(label, total, unit="sample", initial=stored) as bar:
                bar.set_postfix_str(f"{stored} from the store")
                for index, completion in engine.generate(list(missing.values())):
                    yield {keys[index]: storable(asdict(completion))}
                    arrived += 1
                    tokens += completion.tokens
                    rate = tokens / (time.perf_counter() - opened)
                    bar.set_postfix_str(f"{stored} from the store, {rate:.0f} tokens/s", refresh=False)
                    bar.update()
        except Exception as error:  # out of memory, a dead engine: shown below its traceback
            error.add_note(
                f"{arrived:,} of {len(keys):,} samples of this round had arrived and are stored; `dvc repro` goes on "
                "from there (where memory ran out: lower engine.batch_size or engine.memory_share)"
            )
            raise
        finally:
            self.usage.drawn += arrived
            self.usage.tokens += tokens
            self.usage.seconds += time.perf_counter() - opened
        if arrived < len(keys):
            raise RuntimeError(f"{engine.name} returned {arrived} completions for {len(keys)} requests")
