"""How much memory a generator needs at the least, found before it is loaded.

Weights: from the headers of the safetensors in the model's folder, which say the shape of every tensor; for a model of
the hub from its configuration. Cache: the keys and values of a single text of engine.max_model_len tokens. Activations,
further texts and the libraries come on top, so a model that is refused here could not have run.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from augen.core.errors import AugenError
from augen.core.models import described, load_config
from augen.generation.base import EngineSettings

GIB = 2**30
FLOATS = frozenset({"F64", "F32", "F16", "BF16"})  # loaded as model.dtype; all others stay as they are
BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "U64": 64, "I32": 32, "U32": 32, "F4": 4}  # else 8
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
NOT_LOADED = ("mtp.", "visual.", "vision_tower.", "multi_modal_projector.", "audio_tower.")  # by all engines
KEPT_WHOLE = ("embed_tokens", "lm_head")  # by fp8


@dataclass(frozen=True)
class Need:
    """Bytes that a generator takes at the least."""

    weights: int
    cache: int

    def __str__(self) -> str:
        return f"{self.weights / GIB:.1f} GiB of weights and {self.cache / GIB:.1f} GiB for one text"


@dataclass(frozen=True)
class Room:
    """Bytes that there are for a generator."""

    all: int
    cache: int  # of them for the cache, at most
    place: str  # what has them
    advice: str  # what to do where they are too few


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    kind: str  # as safetensors names it


def need(settings: EngineSettings) -> Need | None:
    """What `settings` need at the least; None where the model cannot be read, which its loader then reports."""
    folder = Path(settings.generator)
    try:
        config = load_config(settings.generator, "model.generator", revision=settings.revision)
        tensors = list(_stored(folder) if folder.is_dir() else _configured(config))
        cache = cache_bytes(config, settings.max_model_len, _cache_dtype(settings, config))
    except (AugenError, OSError, ValueError, KeyError, AttributeError, TypeError, ArithmeticError, SafetensorError):
        return None
    return Need(sum(_bytes(tensor, settings) for tensor in tensors), cache)


def check_fits(settings: EngineSettings, room: Room) -> None:
    """Raise AugenError if the generator of `settings` cannot fit into `room`."""
    needed = need(settings)
    if needed is None or (needed.weights + needed.cache <= room.all and needed.cache <= room.cache):
        return
    limit = f", of which {room.cache / GIB:.1f} GiB for texts" if room.cache < room.all else ""
    raise AugenError(
        f"model.generator: {settings.generator} needs at least {needed} of engine.max_model_len "
        f"{settings.max_model_len:,} tokens, but {room.place} has {max(room.all, 0) / GIB:.1f} GiB for it{limit}; "
        f"{room.advice}; with infer.share_device false it is there alone"
    )


def local_room() -> Room:
    """What is free on the device of the transformers engine."""
    import torch

    advice = "take a smaller model, model.dtype bfloat16, or a smaller engine.max_model_len"
    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        return Room(free, free, "the GPU", f"{advice}; vLLM spreads a model over GPUs (engine.tensor_parallel)")
    free = free_memory()
    return Room(free, free, "this machine's memory", advice)


def gpu_room(free: int, total: int, settings: EngineSettings) -> Room:
    """What vLLM takes of GPUs that have `free` of `total` bytes each: its share, as far as it is free."""
    gpus = settings.tensor_parallel * int(settings.extra.get("pipeline_parallel_size", 1))
    each = min(free, int(settings.memory_share * total)) + int(float(settings.extra.get("cpu_offload_gb", 0)) * GIB)
    place = f"engine.memory_share {settings.memory_share:g} of {gpus} GPU{'s' * (gpus > 1)} with {total / GIB:.0f} GiB"
    advice = "raise engine.memory_share or engine.tensor_parallel, or take a smaller or quantized model"
    return Room(gpus * each, gpus * each, place, advice)


def cpu_room() -> Room:
    """What vLLM can take without a GPU; the texts have VLLM_CPU_KVCACHE_SPACE GiB, which the engine sets."""
    advice = "take a smaller model or engine.max_model_len, or set VLLM_CPU_KVCACHE_SPACE (GiB for texts)"
    space = int(float(os.environ["VLLM_CPU_KVCACHE_SPACE"]) * GIB)
    return Room(free_memory(), space, "this machine's memory", advice)


def free_memory() -> int:
    """Bytes of main memory that this process could still take, under the limit of its container, if there is one."""
    import psutil

    free = psutil.virtual_memory().available
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    try:
        return min(free, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):  # no such container, or "max"
        return free


def cache_bytes(config: Any, tokens: int, size: int) -> int:
    """Bytes of the keys and values of one text of `tokens`, of `size` bytes a number.

    Layers with a sliding window keep only that; layers of linear attention keep a state whose size is neglected;
    latent attention (DeepSeek) keeps one compressed vector instead of keys and values.
    """
    text = config.get_text_config(decoder=True)
    window = getattr(text, "sliding_window", None)
    usual = "sliding_attention" if window else "full_attention"
    kinds = getattr(text, "layer_types", None) or [usual] * text.num_hidden_layers
    if latent := getattr(text, "kv_lora_rank", None):
        numbers = latent + text.qk_rope_head_dim
    else:
        heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
        width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        numbers = 2 * heads * width
    kept = {"full_attention": tokens, "sliding_attention": min(window or tokens, tokens)}
    return sum(kept.get(kind, 0) for kind in kinds) * numbers * size


def _cache_dtype(settings: EngineSettings, config: Any) -> int:
    if str(settings.extra.get("kv_cache_dtype", "auto")) != "auto":
        return 1
    return BYTES.get(settings.dtype) or BYTES.get(str(getattr(config, "dtype", "")).removeprefix("torch."), 2)


def _stored(folder: Path) -> Iterator[Tensor]:
    """The tensors of a model's folder, by the headers of its files; the numbers are not read."""
    single = folder / "model.safetensors"
    for file in [single] if single.exists() else sorted(folder.glob("model*.safetensors")):
        with safe_open(file, framework="np") as opened:
            for name in opened.keys():  # noqa: SIM118  (not a dict)
                part = opened.get_slice(name)
                yield Tensor(name, tuple(part.get_shape()), part.get_dtype())


def _configured(config: Any) -> Iterator[Tensor]:
    """The tensors of a model with this configuration. One that is quantized already: by its bits and groups."""
    import torch
    from transformers import AutoModelForCausalLM

    kind = "F32" if config.dtype == torch.float32 else "BF16"
    quantized = getattr(config, "quantization_config", None) or {}
    bits = quantized.get("bits") or quantized.get("w_bit") or (8 if quantized else 0)
    group = quantized.get("group_size") or quantized.get("q_group_size") or 0
    for name, weights in described(AutoModelForCausalLM, config).named_parameters():
        shape = tuple(weights.shape)
        if bits and len(shape) > 1 and not any(part in name for part in KEPT_WHOLE):
            numbers = prod(shape)
            yield Tensor(name, (numbers * bits // 8,), "U8")
            yield Tensor(name, (numbers // group if group > 0 else 0,), "BF16")  # scales
        else:
            yield Tensor(name, shape, kind)


def _bytes(tensor: Tensor, settings: EngineSettings) -> int:
    """Bytes of a tensor when it is loaded."""
    if tensor.name.removeprefix("model.").startswith(NOT_LOADED):
        return 0
    bits = BITS.get(tensor.kind, 8)
    if tensor.kind in FLOATS:
        bits = 8 * BYTES.get(settings.dtype, bits // 8)
        if settings.quantization and len(tensor.shape) > 1 and not any(part in tensor.name for part in KEPT_WHOLE):
            bits = 8
    return prod(tensor.shape) * bits // 8
