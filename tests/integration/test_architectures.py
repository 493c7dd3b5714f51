"""Generators of other kinds than Qwen2: each trained, sampled, and compared with the library's own decoding.

Small random models of the architectures that people take today: attention with a window, mixtures of experts, latent
and linear attention, models that can also see. And models whose weights are quantized already, for vLLM.
"""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, Qwen2Config

from augen.adapter.lessons import Lesson
from augen.adapter.train import courses, finetune
from augen.core import params
from augen.core.errors import AugenError
from augen.generation.base import EngineSettings, Request
from augen.generation.engines import open_engine
from augen.training.spilled import Spilled
from tests.integration.generated import generated
from tests.trainings import finetune_section

needs_vllm = pytest.mark.skipif(not importlib.util.find_spec("vllm"), reason="vllm is not installed")

# Of different lengths, so that prompts are padded and rows leave the batch at different times.
REQUESTS = [
    Request(prompt, 0, temperature=0.0, top_p=1.0, max_tokens=tokens)
    for prompt, tokens in (("请解答。", 6), ("### 题目\n甲比乙高，乙比丙高。", 2), ("no Chinese at all", 6))
]
TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "tie_word_embeddings": False,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
WINDOWED = {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]}
LINEAR = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 1,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
LATENT = {
    "num_key_value_heads": 2,
    "head_dim": 8,  # of the part with positions
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "first_k_dense_replace": 1,
    "n_group": 2,
    "topk_group": 1,
}
SEEING = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
KINDS: dict[str, dict[str, Any]] = {
    "qwen3": {},
    "qwen3_moe": EXPERTS,
    "qwen3_next": EXPERTS | LINEAR | {"shared_expert_intermediate_size": 16},
    "qwen3_5_text": LINEAR,
    "llama": {},
    "mistral": {"sliding_window": 8},
    "gemma2": {"sliding_window": 8},
    "gemma3": WINDOWED,  # which can also see
    "glm4": {},
    "deepseek_v2": LATENT | {"topk_method": "greedy"},
    "deepseek_v3": LATENT,
    "gpt_oss": WINDOWED | {"num_local_experts": 4, "num_experts_per_tok": 2},
}


def random_model(kind: str, folder: Path, tokenizer: Any) -> None:
    """A model of `kind` with its tokenizer, weights drawn wide, so that no two tokens are almost equally likely."""
    tokens = {
        "vocab_size": len(tokenizer),
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if kind == "gemma3":
        text = TEXT | tokens | KINDS[kind]
        config = AutoConfig.for_model(
            kind, text_config=text, vision_config=SEEING | {"image_size": 28, "patch_size": 14}, **tokens
        )
    else:
        config = AutoConfig.for_model(kind, **(TEXT | tokens | KINDS[kind]))
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.normal_(0, 0.15)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def drawn(engine: str, settings: EngineSettings, requests: Sequence[Request]) -> list[str]:
    opened = open_engine(engine, settings)
    try:
        done = dict(opened.generate(requests))
    finally:
        opened.close()
    return [done[index].text for index in range(len(requests))]


@pytest.mark.parametrize("kind", KINDS)
def test_an_architecture_learns_and_is_sampled(kind: str, tiny_model: Path, tmp_path: Path) -> None:
    folder, adapter = tmp_path / "generator", tmp_path / "adapter"
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    random_model(kind, folder, tokenizer)
    lessons = Spilled(Lesson, (Lesson(f"p{i}", REQUESTS[i % 3].prompt, "甲高。\n答案是：A") for i in range(6)))
    section = finetune_section(epochs=1.0, learning_rate=0.1, evaluations=1)
    model = params.Model(generator=str(folder), revision=None, dtype="float32")
    [course] = courses(lessons, section, 1)
    trained = finetune(course, model, section, tmp_path / "scratch")
    trained.save(adapter)
    with safe_open(adapter / "adapter_model.safetensors", framework="pt") as weights:
        names = set(weights.keys())
    assert names and not any("vision" in name for name in names)

    settings = EngineSettings(str(folder), adapters=(adapter,), max_model_len=128)
    texts = drawn("transformers", settings, [*REQUESTS, *(replace(request, adapter=1) for request in REQUESTS)])
    plain = AutoModelForCausalLM.from_pretrained(folder)
    assert texts[:3] == generated(plain, tokenizer, REQUESTS)
    assert texts[3:] == generated(PeftModel.from_pretrained(plain, adapter), tokenizer, REQUESTS) != texts[:3]


# --- weights that are quantized already: four bits a number, a scale for every 32 of a column

GROUP = 32
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def packed(numbers: torch.Tensor, dim: int, order: Sequence[int]) -> torch.Tensor:
    """Eight numbers of four bits in each 32-bit integer along `dim`, the one at ``order[i]`` in its i-th four bits."""
    eights = numbers.movedim(dim, -1).unflatten(-1, (-1, 8)).long()
    whole = sum(eights[..., which] << (4 * place) for place, which in enumerate(order))
    return ((whole + 2**31) % 2**32 - 2**31).to(torch.int32).movedim(-1, dim).contiguous()


def as_awq(steps: torch.Tensor, scales: torch.Tensor) -> dict[str, torch.Tensor]:
    zeros = torch.full_like(scales, 8).int()
    return {"qweight": packed(steps, 1, AWQ_ORDER), "qzeros": packed(zeros, 1, AWQ_ORDER), "scales": scales}


def as_gptq(steps: torch.Tensor, scales: torch.Tensor) -> dict[str, torch.Tensor]:
    zeros = torch.full_like(scales, 7).int()  # one less, by the format's custom
    groups = (torch.arange(len(steps)) // GROUP).int()
    order = range(8)
    return {
        "qweight": packed(steps, 0, order),
        "qzeros": packed(zeros, 1, order),
        "scales": scales,
        "g_idx": groups,
    }


Format = Callable[[torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]
FORMATS: dict[str, tuple[Format, dict[str, Any]]] = {
    "awq": (as_awq, {"zero_point": True, "version": "gemm"}),
    "gptq": (as_gptq, {"desc_act": False, "sym": True}),
}


def quantized_model(method: str, folder: Path, tokenizer: Any) -> Any:
    """Write a random Qwen2 whose linear layers are quantized; returns it with the same numbers, unpacked."""
    write, more = FORMATS[method]
    config = Qwen2Config(
        vocab_size=len(tokenizer) + -len(tokenizer) % 64,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.15,
        eos_token_id=tokenizer.eos_token_id,
        dtype="float16",
        quantization_config={"quant_method": method, "bits": 4, "group_size": GROUP, **more},
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    tensors: dict[str, torch.Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            columns = module.weight.detach().T.unflatten(0, (-1, GROUP))  # (groups, 32, out)
            scales = (columns.abs().amax(1) / 7).half()
            steps = (columns / scales.float()[:, None] + 8).round().clamp(0, 15)
            module.weight.data = ((steps - 8) * scales.float()[:, None]).flatten(0, 1).T.contiguous()
            tensors |= {f"{name}.{key}": part for key, part in write(steps.flatten(0, 1), scales).items()}
    for name, weights in model.named_parameters():
        if f"{name.removesuffix('.weight')}.qweight" not in tensors:
            weights.data = weights.data.half().float()
            tensors[name] = weights.data.half()
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


@needs_vllm
@pytest.mark.parametrize("method", FORMATS)
def test_vllm_reads_weights_that_are_quantized_already(method: str, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "generator"
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    unpacked = quantized_model(method, folder, tokenizer)
    requests = [replace(request, max_tokens=2) for request in REQUESTS]
    engine = open_engine("vllm", EngineSettings(str(folder), dtype="auto", max_model_len=128))
    done = dict(engine.generate(requests))
    engine.close()
    for index, request in enumerate(requests):
        prompt = tokenizer(request.prompt, return_tensors="pt").input_ids
        written = tokenizer(done[index].text, add_special_tokens=False, return_tensors="pt").input_ids
        ids = unpacked.generate(prompt, do_sample=False, max_new_tokens=2)[:, prompt.shape[1] :]
        assert done[index].text == tokenizer.decode(ids[0], skip_special_tokens=True), written
        with torch.inference_mode():
            logprobs = unpacked(torch.cat([prompt, ids], 1)).logits[0, prompt.shape[1] - 1 : -1].log_softmax(-1)
        expected = float(logprobs.gather(1, ids.T).mean())
        assert done[index].logprob == pytest.approx(expected, abs=0.05)  # half precision


def test_transformers_says_what_quantized_weights_would_need(tiny_model: Path, tmp_path: Path) -> None:
    quantized_model("awq", tmp_path / "generator", AutoTokenizer.from_pretrained(tiny_model))
    if importlib.util.find_spec("gptqmodel"):
        pytest.skip("the package that reads them is here")
    with pytest.raises(AugenError, match=r"model\.generator: .*gptqmodel.* vLLM reads AWQ and GPTQ by itself"):
        open_engine("transformers", EngineSettings(str(tmp_path / "generator"), dtype="auto"))
