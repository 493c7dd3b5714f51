"""Model folders that are damaged, odd or hostile, each made by a change of a sound one of models/tiny, and their use.

`use` loads a folder and draws, embeds or scores with it, as stages do. It must end well or with an AugenError.
"""

import json
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from augen.core import params
from augen.entries import QuestionItem, Solution
from augen.generation.base import EngineSettings, Request
from augen.prompts.sections import solve_prompt
from tests.dependencies import ROOT

TINY = ROOT / "models/tiny"
PICKLE = b"\x80\x02cposix\nmkdir\nX\x04\x00\x00\x00made\x85R."  # makes a folder where it is loaded
QUESTION = QuestionItem("谁最高？", ["甲", "乙"])
Change = Callable[[Path], Any]


@dataclass(frozen=True)
class Case:
    """`part` of models/tiny, or an adapter, and what is changed in a copy of it."""

    part: str
    what: str
    change: Change


def make(case: Case, folder: Path) -> Path:
    """The changed copy, in `folder`."""
    model = folder / case.part
    if case.part == "adapter":
        _adapter(model)
    else:
        shutil.copytree(TINY / {"scorer": "checker", "chat": "generator"}.get(case.part, case.part), model)
    if case.part == "scorer":
        (model / "scorer.json").write_text('{"input": "full", "max_length": 512}', encoding="utf-8")
    case.change(model)
    return model


def use(part: str, model: Path) -> None:
    """Load `model` and use it once."""
    if part == "embedder":
        from augen.retrieval.index import Embedder

        Embedder(str(model)).embed(["甲比乙高。"])
    elif part == "scorer":
        from augen.scorer.score import Scorer

        Scorer(model).scores([Solution("甲比乙高。", QUESTION, f"{name}。\n答案是：A") for name in "甲乙"])
    elif part == "chat":
        from augen.prompts.window import Window

        section = params.Model(generator=str(model), revision=None, dtype="auto")
        window = Window(section, True, 512)
        window.fits(window.wrap("甲比乙高。"), 8)
    else:
        _draw(EngineSettings(str(model), max_model_len=256) if part == "generator" else _adapted(model))


def _draw(settings: EngineSettings) -> None:
    from augen.generation.engines import open_engine

    engine = open_engine("transformers", settings)
    prompt = solve_prompt("请解答。", "甲比乙高。", QUESTION)
    request = Request(prompt, seed=1, temperature=1.0, top_p=1.0, max_tokens=4)
    try:
        list(engine.generate([replace(request, adapter=len(settings.adapters))]))
    finally:
        engine.close()


def _adapted(adapter: Path) -> EngineSettings:
    return EngineSettings(str(TINY / "generator"), max_model_len=256, adapters=(adapter,))


def _adapter(folder: Path) -> None:
    """A LoRA adapter for the tiny generator that changes nothing."""
    folder.mkdir()
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
    config |= {"layers_to_transform": [0]}
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    matrices = {"A": np.zeros((4, 192), np.float32), "B": np.zeros((192, 4), np.float32)}
    save_file({name.format(side): matrix for side, matrix in matrices.items()}, folder / "adapter_model.safetensors")


# --- changes


def given(name: str, **values: Any) -> Change:
    """Fields of a JSON file of the folder."""

    def change(folder: Path) -> None:
        file = folder / name
        told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        file.write_text(json.dumps(told | values), encoding="utf-8")

    return change


def content(name: str, data: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(data)


def without(*names: str) -> Change:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def bytes_of(name: str, change: Callable[[bytes], bytes]) -> Change:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def header(name: str, change: Callable[[dict[str, Any]], Any]) -> Change:
    """The JSON at the beginning of a safetensors file, with the same numbers behind it."""

    def changed(data: bytes) -> bytes:
        [size] = struct.unpack("<Q", data[:8])
        head = json.dumps(change(json.loads(data[8 : 8 + size]))).encode()
        return struct.pack("<Q", len(head)) + head + data[8 + size :]

    return bytes_of(name, changed)


def tensors(name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    """The matrices of a safetensors file."""

    def changed(folder: Path) -> None:
        save_file(change(_float32(folder / name)), folder / name, metadata={"format": "pt"})

    return changed


def _float32(file: Path) -> dict[str, Any]:
    from safetensors.torch import load_file as load_torch

    return {key: tensor.float().numpy() for key, tensor in load_torch(file).items()}


def _first(head: dict[str, Any], **values: Any) -> dict[str, Any]:
    name = next(name for name in head if name != "__metadata__")
    return head | {name: head[name] | values}


ODD: dict[str, list[Any]] = {
    "model_type": [None, 7, "bert", "no_such_type", []],
    "hidden_size": [None, -192, 0, 191, "192", 10**9],
    "num_attention_heads": [0, -1, 5, 10**6, None],
    "num_hidden_layers": [-1, 0, 10**4, "3", 2, 4],
    "vocab_size": [0, -1, 8, 1e3, "x", 10**6],
    "hidden_act": ["no_such_act", None, 3],
    "layer_types": [[], ["odd"] * 3, "full_attention", None],
    "rope_parameters": [None, 1, {"rope_type": "odd"}, {"rope_theta": 0, "rope_type": "default"}],
    "rms_norm_eps": ["x", None, -1.0],
    "dtype": ["float7", 3, "int8"],
    "eos_token_id": ["x", -5, [[0]], 10**9],
    "architectures": [None, 5, ["BertModel"]],
    "quantization_config": [{}, {"quant_method": "odd"}, 5],
    "attn_implementation": ["odd", "../x"],
}
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "of 0 bytes": lambda data: b"",
    "cut in half": lambda data: data[: len(data) // 2],
    "cut within its header": lambda data: data[:100],
    "with a header of 2**63 bytes": lambda data: struct.pack("<Q", 2**63) + data[8:],
    "with a header of 100 MB": lambda data: struct.pack("<Q", 10**8) + data[8:],
    "of noise": lambda data: bytes(range(256)) * 64,
    "that is a pickle": lambda data: PICKLE,
    "that is a web page": lambda data: b"<!doctype html><title>Sign in</title>",
}
HEADERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "without tensors": lambda head: {},
    "that is a list": lambda head: [],
    "of an unknown type": lambda head: _first(head, dtype="Q3"),
    "of another shape": lambda head: _first(head, shape=[3, 3]),
    "of a huge shape": lambda head: _first(head, shape=[2**40, 2**40]),
    "with offsets beyond its end": lambda head: _first(head, data_offsets=[0, 2**40]),
    "with offsets turned round": lambda head: _first(head, data_offsets=[64, 0]),
    "nested deeply": lambda head: head | {"__metadata__": {"format": "odd"}},
}
TEMPLATES: dict[str, Any] = {
    "that does not parse": "{% for m in messages %}{{ m.content }}",
    "that raises": "{{ raise_exception('no') }}",
    "that divides by zero": "{{ 1 / 0 }}",
    "that asks for a method": "{{ messages.no_such.thing }}",
    "that leaves the sandbox": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "that calls what it finds": "{{ cycler.__init__.__globals__.os.mkdir('made') }}",
    "that includes a file": "{% include '/etc/passwd' %}",
    "that is a number": 7,
    "that is a list": [{"name": "default"}],
    "that asks for more memory than there is": "{{ 'x' * 10**15 }}",
    "that calls itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
}
TOKENIZERS: dict[str, Change] = {
    "missing": without("tokenizer.json"),
    "of 0 bytes": content("tokenizer.json", b""),
    "cut in half": bytes_of("tokenizer.json", lambda data: data[: len(data) // 2]),
    "an empty object": content("tokenizer.json", b"{}"),
    "a list": content("tokenizer.json", b"[]"),
    "without a model": given("tokenizer.json", model=None),
    "with another model": given("tokenizer.json", model={"type": "Odd"}),
    "whose vocabulary is a text": given("tokenizer.json", model={"type": "BPE", "vocab": "x", "merges": []}),
    "with merges of unknown tokens": given(
        "tokenizer.json", model={"type": "BPE", "vocab": {"a": 0}, "merges": ["x y"]}
    ),
    "with ids beyond the model's": given(
        "tokenizer.json",
        model={"type": "WordLevel", "vocab": {"<unk>": 10**6}, "unk_token": "<unk>"},
        added_tokens=[],
        pre_tokenizer=None,
    ),
    "with a regular expression that does not parse": given(
        "tokenizer.json",
        pre_tokenizer={"type": "Split", "pattern": {"Regex": "((("}, "behavior": "Isolated", "invert": False},
    ),
    "of an unknown class": given("tokenizer_config.json", tokenizer_class="NoSuchTokenizer"),
    "of a class that is none": given("tokenizer_config.json", tokenizer_class=5),
    "with a length that is none": given("tokenizer_config.json", model_max_length="x"),
    "with an odd end": given("tokenizer_config.json", eos_token=["x"]),
    "whose configuration is a list": content("tokenizer_config.json", b"[]"),
}


def cases() -> Iterator[Case]:
    """Every case, a few hundred."""
    for name, values in ODD.items():
        for value in values:
            for part in ("generator", "scorer"):
                yield Case(part, f"config.json: {name} {value!r}", given("config.json", **{name: value}))
    for part, name in (
        ("generator", "model.safetensors"),
        ("embedder", "model.safetensors"),
        ("scorer", "model.safetensors"),
        ("adapter", "adapter_model.safetensors"),
    ):
        for what, damage in DAMAGES.items():
            yield Case(part, f"weights {what}", bytes_of(name, damage))
        for what, changed in HEADERS.items():
            yield Case(part, f"weights {what}", header(name, changed))
        yield Case(part, "no weights", without(name))
        yield Case(part, "weights of other names", tensors(name, lambda all: {f"x.{k}": v for k, v in all.items()}))
        yield Case(part, "weights of other shapes", tensors(name, lambda all: {k: v[:2] for k, v in all.items()}))
        yield Case(
            part, "weights that are no numbers", tensors(name, lambda all: {k: v * np.nan for k, v in all.items()})
        )
    for part in ("generator", "embedder", "scorer"):
        for what, change in TOKENIZERS.items():
            yield Case(part, f"tokenizer {what}", change)
    for what, template in TEMPLATES.items():
        yield Case("chat", f"a chat template {what}", given("tokenizer_config.json", chat_template=template))
    yield from _other_files()


def _other_files() -> Iterator[Case]:
    for part in ("generator", "scorer"):
        for data in (b"", b"[]", b"7", b"null", b"{}", b'{"model_type": "qwen2"}', b"\xff\xfe", b"[" * 100_000):
            yield Case(part, f"config.json {data[:24]!r}", content("config.json", data))
    for value in ("x", [], [[1]], -1, {"a": 1}):
        told = given("generation_config.json", eos_token_id=value)
        yield Case("generator", f"generation_config.json: eos_token_id {value!r}", told)
    yield Case("generator", "generation_config.json a list", content("generation_config.json", b"[]"))
    for data in (b"[]", b"{}", b"7", b'[{"type": "sentence_transformers.models.Odd", "path": ""}]', b"[1]"):
        yield Case("embedder", f"modules.json {data!r}", content("modules.json", data))
    for data in (b"[]", b"7", b'{"prompts": 5}', b'{"similarity_fn_name": "odd"}', b'{"default_prompt_name": "odd"}'):
        name = "config_sentence_transformers.json"
        yield Case("embedder", f"{name} {data!r}", content(name, data))
    adapters: tuple[tuple[str, Any], ...] = (
        ("r", -1),
        ("r", "x"),
        ("r", 0),
        ("target_modules", ["no_such"]),
        ("target_modules", None),
        ("target_modules", "((("),
        ("lora_alpha", "x"),
        ("task_type", "ODD"),
        ("task_type", "SEQ_CLS"),
        ("no_such_field", 1),
        ("modules_to_save", ["lm_head"]),
        ("bias", "odd"),
        ("use_dora", True),
        ("peft_type", None),
        ("rank_pattern", 5),
    )
    for name, value in adapters:
        told = given("adapter_config.json", **{name: value})
        yield Case("adapter", f"adapter_config.json: {name} {value!r}", told)
    for data in (b"", b"[]", b"7", b"{}"):
        yield Case("adapter", f"adapter_config.json {data!r}", content("adapter_config.json", data))
