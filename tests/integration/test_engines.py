"""One contract for all engines, on a tiny random model: the same requests, the same promises."""

import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from augen.core import params
from augen.core.errors import AugenError
from augen.generation import engines
from augen.generation.base import Completion, Engine, EngineSettings, Request, tokenize
from augen.generation.engines import open_engine, resolve
from augen.generation.engines.transformers import choose
from tests.integration.generated import generated

needs_ray = pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="ray is not installed")
needs_vllm = pytest.mark.skipif(not importlib.util.find_spec("vllm"), reason="vllm is not installed")

TEXTS = (
    "请解答下面的逻辑单选题。",
    "### 题目\n三个人比身高：甲比乙高，乙比丙高。",
    "### 问题\n谁最高？\nA: 乙\nB: 甲\nC: 丙",
    "### 分析过程\n甲比乙高，乙比丙高，所以甲最高。\n答案是：B",
    "### 题目\n路网：东城到西城有路，西城到南城有路，南城到东城没有路。",
    "no Chinese at all",
)
GREEDY = [Request(text, seed=0, temperature=0.0, top_p=1.0, max_tokens=16) for text in TEXTS]
SAMPLED = [replace(request, seed=seed, temperature=1.0) for seed, request in enumerate(GREEDY)]


@pytest.fixture(
    scope="module",
    params=["transformers", pytest.param("vllm", marks=needs_vllm), pytest.param("ray", marks=needs_ray)],
)
def engine(request: pytest.FixtureRequest, tiny_model: Path, tiny_adapter: Path) -> Iterator[Engine]:
    ray = params.Ray(address=None, workers=1, gpus=0, batch_size=4)
    settings = EngineSettings(str(tiny_model), adapters=(tiny_adapter,), max_model_len=256, batch_size=4, ray=ray)
    engine = open_engine(request.param, settings)
    assert engine.name == resolve(request.param)  # samples drawn by ray are those of its workers' engine
    yield engine
    engine.close()
    engine.close()


def complete(engine: Engine, requests: Sequence[Request]) -> list[Completion]:
    """All completions in the order of `requests`; fails if an index comes twice or not at all."""
    pairs = list(engine.generate(requests))
    assert sorted(index for index, _ in pairs) == list(range(len(requests)))
    return [completion for _, completion in sorted(pairs, key=lambda pair: pair[0])]


def with_adapter(requests: Sequence[Request]) -> list[Request]:
    return [replace(request, adapter=1) for request in requests]


def reference(model_path: Path, adapter: Path | None) -> list[str]:
    """What ``model.generate`` writes for GREEDY, one prompt at a time."""
    tokenizer = AutoTokenizer.from_pretrained(model_path)
    model = AutoModelForCausalLM.from_pretrained(model_path)
    if adapter:
        model = PeftModel.from_pretrained(model, adapter)
    return generated(model, tokenizer, GREEDY)


def test_greedy_is_what_generate_writes(engine: Engine, tiny_model: Path) -> None:
    expected = reference(tiny_model, None)
    assert len(set(expected)) > 2  # the prompt matters
    assert [completion.text for completion in complete(engine, GREEDY)] == expected


def test_greedy_with_the_adapter_is_what_generate_writes(engine: Engine, tiny_model: Path, tiny_adapter: Path) -> None:
    expected = reference(tiny_model, tiny_adapter)
    assert expected != reference(tiny_model, None)
    assert [completion.text for completion in complete(engine, with_adapter(GREEDY))] == expected


def test_a_request_alone_and_among_others_is_completed_alike(engine: Engine) -> None:
    requests = [*GREEDY, *SAMPLED, *with_adapter(SAMPLED), *with_adapter(GREEDY)]
    together = complete(engine, requests)
    alone = [complete(engine, [request])[0] for request in requests]
    assert [together[i] for i, r in enumerate(requests) if r.temperature == 0] == [
        alone[i] for i, r in enumerate(requests) if r.temperature == 0
    ]
    # Rounding may tip a sampled token; it must stay the exception.
    differing = sum(one != other for one, other in zip(together, alone, strict=True))
    assert differing <= 1
    assert complete(engine, requests[::-1])[::-1][: len(GREEDY)] == together[: len(GREEDY)]


def test_other_processes_load_no_libraries_of_an_engine(engine: Engine) -> None:
    """vLLM names some in LD_PRELOAD, of which a process complains at its start where their path has a space."""
    complete(engine, GREEDY[:1])
    assert "libgomp" not in os.environ.get("LD_PRELOAD", "")


def test_every_request_keeps_its_own_settings(engine: Engine) -> None:
    prompt = SAMPLED[0].prompt
    greedy = replace(GREEDY[0], max_tokens=12)
    likeliest_only = Request(prompt, seed=5, temperature=1.0, top_p=1e-6, max_tokens=12)
    short = replace(greedy, max_tokens=3)
    wild = Request(prompt, seed=5, temperature=2.0, top_p=1.0, max_tokens=12)
    first, same, start, other = complete(engine, [greedy, likeliest_only, short, wild])
    assert first == same
    assert first != other
    assert start.tokens == 3
    assert first.text.startswith(start.text.rstrip("\ufffd"))


def test_logprob_is_the_mean_over_the_tokens_by_the_model_itself(engine: Engine, tiny_model: Path) -> None:
    """At any temperature: with a cut that leaves the likeliest token alone, all of them write what greedy does."""
    tokenizer, model = AutoTokenizer.from_pretrained(tiny_model), AutoModelForCausalLM.from_pretrained(tiny_model)
    prompt = tokenizer(GREEDY[0].prompt, return_tensors="pt").input_ids
    ids = model.generate(prompt, do_sample=False, max_new_tokens=12)
    with torch.inference_mode():
        logprobs = model(ids).logits[0, prompt.shape[1] - 1 : -1].log_softmax(-1)
    expected = float(logprobs.gather(1, ids[0, prompt.shape[1] :, None]).mean())
    hot = replace(SAMPLED[0], temperature=1.7, top_p=1e-6, max_tokens=12)
    for completion in complete(engine, [replace(GREEDY[0], max_tokens=12), hot]):
        assert completion.logprob == pytest.approx(expected, abs=1e-3)


def test_the_seed_decides(engine: Engine) -> None:
    request = replace(SAMPLED[0], max_tokens=24)
    seeds = [1, 2, 3, 1, 2**62]
    completions = complete(engine, [replace(request, seed=seed) for seed in seeds])
    assert completions[0] == completions[3]
    assert len({completion.text for completion in completions}) == 4


def test_the_adapter_is_for_those_who_ask_for_it(engine: Engine) -> None:
    plain = complete(engine, GREEDY)
    tuned = complete(engine, with_adapter(GREEDY))
    assert all(one.text != other.text for one, other in zip(plain, tuned, strict=True))
    mixed = complete(engine, [r for pair in zip(GREEDY, with_adapter(GREEDY), strict=True) for r in pair])
    assert (mixed[::2], mixed[1::2]) == (plain, tuned)


def test_texts_end_where_the_model_ends_them_or_at_max_tokens(engine: Engine, tiny_model: Path) -> None:
    # Together more prompt tokens than vLLM takes in one step.
    prompt = "".join(TEXTS)
    end = AutoTokenizer.from_pretrained(tiny_model).eos_token
    requests = [Request(prompt, seed, temperature=1.5, top_p=1.0, max_tokens=60) for seed in range(60)]
    completions = complete(engine, requests)
    assert {completion.finish for completion in completions} == {"stop", "length"}
    for completion in completions:
        assert 1 <= completion.tokens <= 60
        assert end not in completion.text
        if completion.finish == "length":
            assert completion.tokens == 60


def test_a_prompt_that_leaves_no_room_is_refused_before_anything_is_drawn(engine: Engine) -> None:
    too_long = replace(GREEDY[0], prompt="a" * 250, max_tokens=7)
    fitting = replace(too_long, max_tokens=6)
    assert complete(engine, [fitting])[0].tokens <= 6
    with pytest.raises(AugenError, match=r"request 1 of 3: 250 prompt tokens and max_tokens 7 .* 256 \(so do 1 more"):
        next(engine.generate([GREEDY[0], too_long, too_long]))


def test_a_caller_that_stops_early_leaves_nothing_behind(engine: Engine) -> None:
    drawing = engine.generate(SAMPLED)
    next(drawing)
    drawing.close()  # type: ignore[attr-defined]  # an iterator that is a generator
    assert complete(engine, GREEDY[:2]) == complete(engine, GREEDY)[:2]


def test_nothing_asked_nothing_given(engine: Engine) -> None:
    assert complete(engine, []) == []


@pytest.fixture(scope="module")
def adapters(tiny_model: Path, tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Three adapters of different ranks."""
    found = [tiny_adapter]
    for rank in (2, 8):
        lora = LoraConfig(r=rank, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), lora)
        torch.manual_seed(rank)
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weights, std=0.1)
        found.append(tmp_path_factory.mktemp("adapters") / "adapter")
        model.save_pretrained(found[-1])
    return tuple(found)


def of_each(requests: Sequence[Request], adapters: int) -> list[Request]:
    """Every request plain and with each adapter, one after another as the slots of a question are."""
    return [replace(request, adapter=number) for request in requests for number in range(adapters + 1)]


@pytest.mark.parametrize("name", ["transformers", pytest.param("vllm", marks=needs_vllm)])
def test_several_adapters_write_as_each_alone(name: str, tiny_model: Path, adapters: tuple[Path, ...]) -> None:
    alone = []
    for adapter in adapters:
        single = open_engine(name, EngineSettings(str(tiny_model), adapters=(adapter,), max_model_len=256))
        alone.append([completion.text for completion in complete(single, with_adapter([*GREEDY, *SAMPLED]))])
        single.close()
    engine = open_engine(name, EngineSettings(str(tiny_model), adapters=adapters, max_model_len=256))
    texts = [completion.text for completion in complete(engine, of_each([*GREEDY, *SAMPLED], 3))]
    again = [completion.text for completion in complete(engine, of_each(GREEDY[:1], 3))]
    with pytest.raises(AugenError, match="to be drawn with adapter 4, but the engine was opened with 3"):
        next(engine.generate([replace(GREEDY[0], adapter=4)]))
    engine.close()
    greedy = [texts[number :: len(adapters) + 1][: len(GREEDY)] for number in range(len(adapters) + 1)]
    assert greedy == [reference(tiny_model, None), *(reference(tiny_model, adapter) for adapter in adapters)]
    assert len({tuple(written) for written in greedy}) == 4, "each writes something else"
    for number, written in enumerate(alone, start=1):
        differing = sum(one != other for one, other in zip(texts[number :: len(adapters) + 1], written, strict=True))
        assert differing <= 1  # where rounding tips a sampled token
    assert again == texts[: len(adapters) + 1]


@needs_vllm
def test_vllm_with_lora_kernels_does_as_with_the_adapter_merged(
    tiny_model: Path, adapters: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of a GPU, on whatever there is here: several adapters in one batch."""

    monkeypatch.setattr("augen.generation.engines.vllm.MERGE_ADAPTER", False)
    engine = open_engine("vllm", EngineSettings(str(tiny_model), adapters=adapters, max_model_len=256))
    try:
        texts = [completion.text for completion in complete(engine, of_each(GREEDY, 3))]
    finally:
        engine.close()
    for number, adapter in enumerate(adapters, start=1):
        assert texts[number::4] == reference(tiny_model, adapter)


@needs_vllm
@pytest.mark.parametrize(("rank", "taken"), [(1, 1), (4, 8), (16, 16), (17, 32), (512, 512)])
def test_vllm_takes_the_next_rank_it_knows(tmp_path: Path, rank: int, taken: int) -> None:
    from augen.generation.engines.vllm import lora_rank

    (tmp_path / "adapter_config.json").write_text(f'{{"r": 1, "rank_pattern": {{"q_proj": {rank}}}}}')
    assert lora_rank(tmp_path) == taken


@needs_vllm
def test_vllm_has_no_kernels_for_a_larger_rank(tmp_path: Path) -> None:
    from augen.generation.engines.vllm import lora_rank

    (tmp_path / "adapter_config.json").write_text('{"r": 513}')
    with pytest.raises(AugenError, match=r"rank 513 .* set infer.engine to transformers"):
        lora_rank(tmp_path)


# --- the transformers engine's own sampling


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    logits = torch.tensor([2.0, 0.0, 1.0, -1.0])
    temperature, top_p, draws = 0.7, 0.9, 10_000
    probabilities = (logits / temperature).softmax(dim=0)  # .74 .04 .18 .01: two hold 0.9, the others go
    expected = torch.tensor([probabilities[0], 0.0, probabilities[2], 0.0])
    expected /= expected.sum()

    tokens = choose(
        logits.expand(draws, -1),
        torch.full((draws,), temperature),
        torch.full((draws,), top_p),
        torch.arange(draws) / draws,  # evenly over [0, 1)
    )
    shares = tokens.bincount(minlength=4) / draws
    assert torch.allclose(shares, expected, atol=2 / draws)


def test_no_draw_ends_beyond_the_last_likely_token() -> None:
    logits = torch.tensor([[0.0, 0.0, -torch.inf]] * 2)
    largest = torch.tensor([0.0, 1 - 2**-24])  # the ends of what torch.rand can give
    assert choose(logits, torch.ones(2), torch.ones(2), largest).tolist() == [0, 1]


def test_a_chat_prompt_does_not_get_a_second_beginning() -> None:
    def encode(prompt: str, add_special_tokens: bool) -> SimpleNamespace:
        return SimpleNamespace(input_ids=[1] * add_special_tokens + [2] * prompt.count("甲"))

    encode.bos_token = "<s>"  # type: ignore[attr-defined]
    assert tokenize(encode, ["甲甲", "<s>甲"]) == [[1, 2, 2], [2]]


# --- opening


def test_auto_is_vllm_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"vllm"}
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: name in installed or None)
    assert resolve("auto") == resolve("ray") == "vllm"
    installed.clear()
    assert resolve("auto") == resolve("ray") == "transformers"


def test_an_unknown_engine() -> None:
    with pytest.raises(
        AugenError, match=r"infer\.engine: 'vlm' is no engine; take auto or one of vllm, transformers, ray"
    ):
        open_engine("vlm", EngineSettings("model"))


def test_auto_goes_on_with_transformers_when_vllm_is_broken(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engines, "resolve", lambda name: "vllm")
    monkeypatch.setitem(sys.modules, "augen.generation.engines.vllm", None)
    engine = open_engine("auto", EngineSettings(str(tiny_model)))
    assert engine.name == "transformers"
    assert "vllm is installed but cannot be imported" in capsys.readouterr().err
    engine.close()


@pytest.mark.parametrize("name", ["vllm", "transformers", "ray"])
def test_a_named_engine_that_is_missing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, f"augen.generation.engines.{name}", None)
    with pytest.raises(AugenError, match=rf"infer\.engine: {name} cannot be imported .*install requirements.txt"):
        open_engine(name, EngineSettings("model"))


@needs_ray
def test_ray_wants_to_know_its_cluster() -> None:
    with pytest.raises(AugenError, match=r"engine\.ray: the ray engine needs its settings; see params\.yaml"):
        open_engine("ray", EngineSettings("model"))


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ({"quantization": "fp8"}, r"engine\.quantization: .* cannot do 'fp8'; set it to null"),
        ({"tensor_parallel": 2}, r"engine\.tensor_parallel: .* cannot do 2; set it to 1"),
        ({"extra": {"max_num_seqs": 8}}, r"engine\.extra: .* cannot do \{'max_num_seqs': 8\}; set it to \{\}"),
    ],
)
def test_what_transformers_cannot_do(tiny_model: Path, setting: dict[str, Any], fault: str) -> None:
    with pytest.raises(AugenError, match=fault):
        open_engine("transformers", EngineSettings(str(tiny_model), **setting))


@needs_ray
def test_a_worker_of_ray_has_one_gpu_at_most(tiny_model: Path) -> None:
    ray = params.Ray(address=None, workers=1, gpus=1, batch_size=4)
    with pytest.raises(AugenError, match=r"engine\.tensor_parallel: a worker of ray has one GPU or none"):
        open_engine("ray", EngineSettings(str(tiny_model), tensor_parallel=2, ray=ray))


@needs_vllm
def test_an_option_that_vllm_does_not_know(tiny_model: Path) -> None:
    with pytest.raises(
        AugenError, match=r"engine\.extra: vLLM \S+ has no option max_num_seq; did you mean max_num_seqs"
    ):
        open_engine("vllm", EngineSettings(str(tiny_model), extra={"max_num_seq": 8}))


@needs_vllm
def test_a_value_that_vllm_does_not_take_is_named(tiny_model: Path) -> None:
    engine = open_engine("vllm", EngineSettings(str(tiny_model), max_model_len=256, extra={"max_num_seqs": -1}))
    with pytest.raises(
        AugenError, match=r"(?s)vLLM cannot load .*It was asked for with engine\.extra \{'max_num_seqs'"
    ):
        next(engine.generate(GREEDY))
    engine.close()


@needs_vllm
def test_further_options_reach_vllm_and_change_no_text(tiny_model: Path) -> None:
    engine = open_engine("vllm", EngineSettings(str(tiny_model), max_model_len=256, extra={"max_num_seqs": 2}))
    try:
        assert [completion.text for completion in complete(engine, GREEDY)] == reference(tiny_model, None)
        assert engine._models[False].llm_engine.vllm_config.scheduler_config.max_num_seqs == 2  # type: ignore[attr-defined]
    finally:
        engine.close()


@needs_vllm
def test_a_text_that_the_cache_cannot_hold_is_refused_before_loading(tiny_model: Path) -> None:
    engine = open_engine("vllm", EngineSettings(str(tiny_model), max_model_len=9_000_000))
    with pytest.raises(
        AugenError, match=r"for one text .* for it, of which 1\.0 GiB for texts; .*VLLM_CPU_KVCACHE_SPACE"
    ):
        next(engine.generate(GREEDY))


@pytest.mark.parametrize(("dtype", "loaded"), [("float32", "float32"), ("bfloat16", "bfloat16"), ("auto", "float32")])
def test_transformers_loads_the_weights_as_asked(tiny_model: Path, dtype: str, loaded: str) -> None:
    """auto: as the model was saved."""
    opened: Any = open_engine("transformers", EngineSettings(str(tiny_model), dtype=dtype))
    assert str(opened._model.dtype) == f"torch.{loaded}"
    opened.close()


@pytest.mark.parametrize("name", ["transformers", pytest.param("vllm", marks=needs_vllm)])
def test_a_model_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(AugenError, match=rf"model\.generator: .*{tmp_path}/none"):
        open_engine(name, EngineSettings(f"{tmp_path}/none"))


def test_an_adapter_that_is_none(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(AugenError, match=f"{tmp_path}: not a LoRA adapter"):
        open_engine("transformers", EngineSettings(str(tiny_model), adapters=(tmp_path,)))


def test_the_adapter_of_an_engine_without_one(tiny_model: Path) -> None:
    engine = open_engine("transformers", EngineSettings(str(tiny_model)))
    with pytest.raises(AugenError, match="the engine was opened without one"):
        complete(engine, with_adapter(GREEDY))
    engine.close()
