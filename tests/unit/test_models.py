"""Model folders that could run code are refused by name, before any library opens them."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from augen.core.errors import AugenError
from augen.core.models import refuse_adapter_code, refuse_code
from tests.dependencies import ROOT


def folder(tmp_path: Path, *names: str, **configs: Any) -> Path:
    """A model folder with files of these names, and with configurations: ``config={…}`` becomes config.json."""
    model = tmp_path / "model"
    model.mkdir()
    for name in names:
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_bytes(b"x")
    for name, value in configs.items():
        (model / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    return model


def module(path: str, kind: str = "sentence_transformers.models.Dense") -> dict[str, str]:
    return {"idx": "0", "name": "0", "path": path, "type": kind}


@pytest.mark.parametrize(
    "names",
    [
        ["pytorch_model.bin"],
        ["model.pt"],
        ["pytorch_model.bin", "vocabulary.safetensors"],  # which is not what is loaded
        ["pytorch_model.bin", "adapter_model.safetensors"],
    ],
    ids=str,
)
def test_pickled_weights_are_refused(names: list[str], tmp_path: Path) -> None:
    model = folder(tmp_path, *names, config={})
    with pytest.raises(AugenError, match=rf"scorer\.base: the weights in {model} are pickles \({names[0]}\)"):
        refuse_code(model, "scorer.base")


@pytest.mark.parametrize("beside", ["other.safetensors", "model.safetensors"])
def test_pickled_adapters_are_refused_whatever_lies_beside_them(beside: str, tmp_path: Path) -> None:
    adapter = folder(tmp_path, "adapter_model.bin", beside, adapter_config={"peft_type": "LORA"})
    with pytest.raises(AugenError, match=r"infer\.adapter: .* are pickles \(adapter_model\.bin\)"):
        refuse_adapter_code(adapter, "infer.adapter")


def test_adapters_of_other_kinds_are_refused(tmp_path: Path) -> None:
    adapter = folder(tmp_path, "adapter_model.safetensors", adapter_config={"peft_type": "XLORA"})
    with pytest.raises(AugenError, match=r"adapter_config\.json: peft_type is 'XLORA', must be LORA"):
        refuse_adapter_code(adapter, "infer.adapter")


@pytest.mark.parametrize("path", ["2_Dense", "dense", "a/b"])
def test_a_pickled_module_of_an_embedder(path: str, tmp_path: Path) -> None:
    model = folder(tmp_path, "model.safetensors", f"{path}/pytorch_model.bin", modules=[module(""), module(path)])
    with pytest.raises(AugenError, match=f"the weights in {model / path} are pickles"):
        refuse_code(model, "rag.embedder")


def test_a_pickled_module_within_a_router(tmp_path: Path) -> None:
    pickled = "routed/query_0_Dense/pytorch_model.bin"
    model = folder(tmp_path, "model.safetensors", "routed/router_config.json", pickled, modules=[module("routed")])
    (model / "routed/router_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(AugenError, match="query_0_Dense are pickles"):
        refuse_code(model, "rag.embedder")


def test_a_module_type_of_their_own(tmp_path: Path) -> None:
    model = folder(tmp_path, "model.safetensors", modules=[module("", "theirs.Module")])
    with pytest.raises(AugenError, match=r"modules\.json: the module type 'theirs\.Module' is not one of sentence_"):
        refuse_code(model, "rag.embedder")


def test_an_index_that_names_pickles(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.bin"}}
    model = folder(tmp_path, "model-1.safetensors", "model-2.bin", **{"model.safetensors.index": index})
    with pytest.raises(AugenError, match=r"are pickles \(model-2\.bin\)"):
        refuse_code(model, "model.generator")


@pytest.mark.parametrize(
    "names",
    [
        ["config.json", "model.safetensors"],
        ["model.safetensors", "pytorch_model.bin"],  # the pickle beside it is not read
        ["model.safetensors", "training_args.bin", "checkpoint-5/pytorch_model.bin", "openvino/openvino_model.bin"],
        ["config.json"],
    ],
    ids=str,
)
def test_safetensors_are_taken(names: list[str], tmp_path: Path) -> None:
    refuse_code(folder(tmp_path, *names, config={"auto_map": None}), "scorer.base")
    refuse_code("owner/a-model-of-the-hub", "scorer.base")


@pytest.mark.parametrize(
    ("name", "config", "says"),
    [
        ("config", {"auto_map": {"AutoConfig": "theirs.Config"}}, "auto_map names code of its own"),
        ("config", {"text_config": {"auto_map": {"AutoConfig": "theirs.Config"}}}, "auto_map names code of its own"),
        ("tokenizer_config", {"auto_map": {"AutoTokenizer": ["theirs.T", None]}}, "auto_map names code of its own"),
        ("config", {"_attn_implementation": "theirs/kernel"}, "_attn_implementation names a kernel to fetch"),
    ],
)
def test_configurations_that_name_code(name: str, config: dict[str, Any], says: str, tmp_path: Path) -> None:
    model = folder(tmp_path, "model.safetensors", **{name: config})
    with pytest.raises(AugenError, match=rf"model\.generator: {model}/{name}\.json: {says}.*is never run"):
        refuse_code(model, "model.generator")


def test_an_adapter_in_a_model_s_place(tmp_path: Path) -> None:
    model = folder(tmp_path, "model.safetensors", adapter_config={"base_model_name_or_path": "theirs/model"})
    with pytest.raises(AugenError, match="holds an adapter"):
        refuse_code(model, "model.generator")


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000], ids=["cut off", "not UTF-8", "nested deeply"])
def test_a_broken_configuration(content: bytes, tmp_path: Path) -> None:
    model = folder(tmp_path, "model.safetensors")
    (model / "config.json").write_bytes(content)
    with pytest.raises(AugenError, match=r"config\.json: cannot be read as JSON"):
        refuse_code(model, "model.generator")


# --- there is one way to load a model

SOURCES = [path for part in ("augen", "stages", "tools") for path in sorted((ROOT / part).rglob("*.py"))]
LOADER = ROOT / "augen/core/models.py"
LOADS = {"SentenceTransformer", "HuggingFaceEmbeddings", "CrossEncoder"}
PICKLES = {"torch.load", "pickle.load", "pickle.loads", "pickle.Unpickler", "joblib.load", "numpy.load", "np.load"}


def calls(source: Path) -> Iterator[ast.Call]:
    return (n for n in ast.walk(ast.parse(source.read_text(encoding="utf-8"))) if isinstance(n, ast.Call))


def test_models_are_loaded_in_one_module_which_refuses_code_and_pickles() -> None:
    found = 0
    for source in SOURCES:
        for call in calls(source):
            called = ast.unparse(call.func)
            loads = called in LOADS and not any(word.arg == "modules" for word in call.keywords)
            if not loads and not called.endswith(".from_pretrained"):
                continue
            found += 1
            assert source == LOADER, f"{source.name}:{call.lineno}: load it through augen.core.models"
            given = {word.arg: ast.unparse(word.value) for word in call.keywords}
            assert (
                "'trust_remote_code': False" in str(given.get("model_kwargs"))
                or called.startswith("PeftModel")
                or (given.get("trust_remote_code") == "False")
            ), f"{source.name}:{call.lineno}"
            if called.startswith("kind."):
                assert given["use_safetensors"] == "True"
    assert found == 5


def test_no_code_of_models_is_trusted_and_no_pickle_is_loaded() -> None:
    for source in SOURCES:
        for line in source.read_text(encoding="utf-8").splitlines():
            forbidden = source.match("core/params/values.py")  # in engine.extra
            if "trust_remote_code" in line and "``" not in line and not forbidden:
                assert "trust_remote_code=False" in line or '"trust_remote_code": False' in line, source
        for call in calls(source):
            assert ast.unparse(call.func) not in PICKLES, f"{source.name}:{call.lineno}"
            allowed = [ast.unparse(word.value) for word in call.keywords if word.arg == "allow_pickle"]
            assert allowed in ([], ["False"]), f"{source.name}:{call.lineno}"
