"""Model identities: content decides, and nothing else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from augen.core.errors import AugenError
from augen.store.identity import content_hash, model_identity, refuse_pickled_weights
from tests.dependencies import ROOT


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "generator"
    path.mkdir(parents=True)
    for name, content in {"model.safetensors": b"weights", "config.json": b"{}", "tokenizer.json": b"[]"}.items():
        (path / name).write_bytes(content)
    return path


def test_a_copy_elsewhere_is_the_same_model(model: Path) -> None:
    copy = model.with_name("copy")
    copy.mkdir()
    for file in reversed(sorted(model.iterdir())):
        (copy / file.name).write_bytes(file.read_bytes())
    assert content_hash(copy) == content_hash(model)
    assert model_identity(str(copy)) == content_hash(model)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"])
def test_any_change_to_what_is_loaded_makes_another_model(model: Path, name: str) -> None:
    before = content_hash(model)
    with (model / name).open("ab") as file:
        file.write(b" ")
    assert content_hash(model) != before


def test_a_renamed_file_makes_another_model(model: Path) -> None:
    before = content_hash(model)
    (model / "config.json").rename(model / "konfig.json")
    assert content_hash(model) != before


@pytest.mark.parametrize(
    "name", ["README.md", "training_args.bin", "trainer_state.json", "checkpoint-5/model.safetensors"]
)
def test_what_is_not_loaded_does_not_count(model: Path, name: str) -> None:
    before = content_hash(model)
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_text("whatever")
    assert content_hash(model) == before


def test_a_hub_model_is_its_id_and_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_identity("Qwen/Qwen2-7B-Instruct", "f2826a0") == "Qwen/Qwen2-7B-Instruct@f2826a0"
    assert model_identity("Qwen/Qwen2-7B-Instruct") == "Qwen/Qwen2-7B-Instruct@main"


@pytest.mark.parametrize("name", ["models/tiny/generator", "models/generator2", "/nowhere/generator"])
def test_a_path_without_a_model_is_no_hub_id(model: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(model.parents[1])
    with pytest.raises(AugenError, match=f"{name}: no such model directory; dvc pull"):
        model_identity(name)


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_directory_without_a_model(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(AugenError, match=f"{name}: no model files"):
        content_hash(tmp_path / name)


# --- weights that are programs


def folder(tmp_path: Path, *names: str) -> Path:
    for name in names:
        file = tmp_path / "model" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "adapter_model.bin", "model.pt", "2_Dense/pytorch_model.bin"])
def test_pickled_weights_are_refused(name: str, tmp_path: Path) -> None:
    model = folder(tmp_path, "config.json", name)
    with pytest.raises(AugenError, match=rf"scorer\.base: the weights in {model}.* are pickles \({Path(name).name}\)"):
        refuse_pickled_weights(model, "scorer.base")


@pytest.mark.parametrize(
    "names",
    [
        ["config.json", "model.safetensors"],
        ["model.safetensors", "pytorch_model.bin"],  # the pickle beside it is not read
        ["model.safetensors", "training_args.bin", "checkpoint-5/pytorch_model.bin"],
        ["config.json"],
    ],
    ids=str,
)
def test_safetensors_are_taken(names: list[str], tmp_path: Path) -> None:
    refuse_pickled_weights(folder(tmp_path, *names), "scorer.base")
    refuse_pickled_weights("owner/a-model-of-the-hub", "scorer.base")


SOURCES = [path for part in ("augen", "stages") for path in sorted((ROOT / part).rglob("*.py"))]
WEIGHTS = re.compile(r"AutoModel\w*$")  # calls of its from_pretrained load weights
PICKLES = {"torch.load", "pickle.load", "pickle.loads", "pickle.Unpickler", "joblib.load", "numpy.load", "np.load"}


def calls(source: Path) -> Iterator[ast.Call]:
    return (n for n in ast.walk(ast.parse(source.read_text(encoding="utf-8"))) if isinstance(n, ast.Call))


def test_every_call_that_loads_weights_asks_for_safetensors() -> None:
    found = 0
    for source in SOURCES:
        for call in calls(source):
            name, _, method = ast.unparse(call.func).rpartition(".")
            if method == "from_pretrained" and WEIGHTS.search(name):
                found += 1
                given = {word.arg: ast.unparse(word.value) for word in call.keywords}
                assert given.get("use_safetensors") == "True", f"{source.name}:{call.lineno}"
    assert found >= 5


def test_no_code_of_models_is_trusted_and_no_pickle_is_loaded() -> None:
    for source in SOURCES:
        assert "trust_remote_code" not in source.read_text(encoding="utf-8"), source
        for call in calls(source):
            assert ast.unparse(call.func) not in PICKLES, f"{source.name}:{call.lineno}"
            allowed = [ast.unparse(word.value) for word in call.keywords if word.arg == "allow_pickle"]
            assert allowed in ([], ["False"]), f"{source.name}:{call.lineno}"
