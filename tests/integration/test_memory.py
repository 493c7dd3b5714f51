"""What a generator needs, against what it really takes; and what is said where that is not there."""

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    DeepseekV3Config,
    DynamicCache,
    MistralConfig,
    Qwen3_5TextConfig,
    Qwen3Config,
)

from augen.core.errors import AugenError
from augen.generation.base import EngineSettings
from augen.generation.engines.transformers import TransformersEngine
from augen.generation.memory import Room, cache_bytes, check_fits, free_memory, gpu_room, local_room, need

ROOT = Path(__file__).parents[2]
TINY = EngineSettings(str(ROOT / "models/tiny/generator"), max_model_len=100)
GIB = 2**30
SMALL: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
}


def bytes_of(model: Any) -> int:
    return sum(weights.numel() * weights.element_size() for weights in model.parameters())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "auto"])
def test_weights_are_those_that_are_loaded(dtype: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(TINY.generator, dtype=dtype)
    needed = need(replace(TINY, dtype=dtype))
    assert needed and needed.weights == bytes_of(model)


@pytest.mark.parametrize("heads", [0, None, "6"])
def test_a_configuration_that_cannot_be_reckoned_with_is_left_to_the_loader(tmp_path: Path, heads: object) -> None:
    config = json.loads(Path(TINY.generator, "config.json").read_text(encoding="utf-8"))
    changed = config | {"num_attention_heads": heads, "num_key_value_heads": None, "head_dim": None}
    (tmp_path / "config.json").write_text(json.dumps(changed), encoding="utf-8")
    assert need(EngineSettings(str(tmp_path))) is None


@pytest.mark.parametrize("tied", [True, False])
def test_without_files_the_configuration_says_the_same(tmp_path: Path, tied: bool) -> None:
    """As for a model of the hub that is not here yet."""
    from augen.generation.memory import _configured

    config = Qwen3Config(**SMALL, tie_word_embeddings=tied)
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(tmp_path)
    needed = need(EngineSettings(str(tmp_path)))
    assert needed and needed.weights == bytes_of(model)
    assert sum(4 * torch.Size(tensor.shape).numel() for tensor in _configured(config)) == needed.weights


def test_a_quantized_model_by_its_configuration() -> None:
    """Four bits a number and a scale for every 32: an eighth of float32 and a little more, but for the embeddings."""
    from augen.generation.memory import _bytes, _configured

    config = Qwen3Config(**SMALL, tie_word_embeddings=True)
    whole = sum(_bytes(tensor, TINY) for tensor in _configured(config))
    config.quantization_config = {"quant_method": "awq", "bits": 4, "group_size": 32}
    packed = sum(_bytes(tensor, replace(TINY, dtype="float16")) for tensor in _configured(config))
    embedded, norms = 64 * 32, whole // 4
    linear = 2 * (32 * (64 + 32 + 32) + 64 * 32 + 3 * 32 * 48)
    norms -= embedded + linear
    assert packed == linear // 2 + 2 * linear // 32 + 2 * (embedded + norms)


LATENT = {"q_lora_rank": 8, "kv_lora_rank": 12, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 8}
KINDS: dict[str, Callable[[], Any]] = {
    "full attention": lambda: Qwen3Config(**SMALL),
    "a window of 8": lambda: MistralConfig(**SMALL, sliding_window=8),
    "linear and full attention": lambda: Qwen3_5TextConfig(
        **SMALL,
        layer_types=["linear_attention", "full_attention"],
        linear_num_key_heads=1,
        linear_num_value_heads=2,
        linear_key_head_dim=8,
        linear_value_head_dim=8,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_cache_is_what_a_text_fills(kind: str) -> None:
    config = KINDS[kind]()
    model, cache = AutoModelForCausalLM.from_config(config).eval(), DynamicCache(config=config)
    tokens = 20
    with torch.inference_mode():
        model(torch.ones(1, tokens, dtype=torch.long), past_key_values=cache, use_cache=True)
    layers = [layer for layer in cache.layers if getattr(layer, "keys", None) is not None]
    taken = sum(part.numel() * part.element_size() for layer in layers for part in (layer.keys, layer.values))
    counted = cache_bytes(config, tokens, 4)
    # Its cache keeps one token less than the window: the next one completes it.
    assert counted - len(layers) * 2 * 2 * 16 * 4 * (kind == "a window of 8") == taken


def test_latent_attention_keeps_one_vector() -> None:
    config = DeepseekV3Config(**SMALL | LATENT)
    assert cache_bytes(config, 10, 2) == 2 * 10 * (12 + 4) * 2


def test_what_fits_passes_and_the_default_model_does() -> None:
    check_fits(TINY, local_room())
    assert free_memory() > 0


def test_too_little_is_said_with_numbers_and_what_to_do() -> None:
    needed = need(TINY)
    assert needed
    exact = needed.weights + needed.cache
    check_fits(TINY, Room(exact, exact, "a box", "buy one"))
    with pytest.raises(
        AugenError,
        match=r"needs at least 0\.0 GiB of weights and .* for one text of "
        r"engine\.max_model_len 100 tokens, but a box has 0\.0 GiB for it; buy one",
    ):
        check_fits(TINY, Room(exact - 1, exact - 1, "a box", "buy one"))
    with pytest.raises(AugenError, match=r"for it, of which 0\.0 GiB for texts"):
        check_fits(TINY, Room(exact, needed.cache - 1, "a box", "buy one"))


def test_gpus_give_their_share_as_far_as_it_is_free() -> None:
    settings = replace(TINY, memory_share=0.5, tensor_parallel=2)
    assert gpu_room(70 * GIB, 80 * GIB, settings).all == 2 * 40 * GIB
    assert gpu_room(30 * GIB, 80 * GIB, settings).all == 2 * 30 * GIB
    more = replace(settings, extra={"pipeline_parallel_size": 2, "cpu_offload_gb": 5})
    assert gpu_room(30 * GIB, 80 * GIB, more).all == 4 * 35 * GIB
    assert "engine.memory_share 0.5 of 2 GPUs with 80 GiB" in gpu_room(30 * GIB, 80 * GIB, settings).place


def huge(folder: Path, gib: int) -> EngineSettings:
    """A model with one tensor of `gib` GiB, in a file that takes no room on the disk."""
    Qwen3Config(**SMALL).save_pretrained(folder)
    size = gib * GIB
    header = json.dumps(
        {"model.embed_tokens.weight": {"dtype": "BF16", "shape": [size // 2], "data_offsets": [0, size]}}
    )
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header.encode())
        file.truncate(8 + len(header) + size)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((Path(TINY.generator) / name).read_bytes())
    return EngineSettings(str(folder), dtype="bfloat16")


def test_a_model_larger_than_this_machine_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(AugenError, match=r"needs at least 4096\.0 GiB of weights and 0\.0 GiB for one text of "):
        TransformersEngine(huge(tmp_path, 4096))


def test_a_model_that_cannot_be_read_is_left_to_its_loader(tmp_path: Path) -> None:
    settings = huge(tmp_path, 1)
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100)
    assert need(settings) is None
    assert need(EngineSettings(str(tmp_path / "none"))) is None
