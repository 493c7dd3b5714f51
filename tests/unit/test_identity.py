"""Model identities: content decides, and nothing else."""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from augen.core.errors import AugenError
from augen.store.identity import content_hash, model_identity


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


def test_weights_are_read_once_until_they_change(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hour_ago = time.time() - 3600
    for file in model.iterdir():
        os.utime(file, (hour_ago, hour_ago))
    read: list[str] = []
    digest = hashlib.file_digest

    def counted(file: Any, name: str) -> Any:
        read.append(Path(file.name).name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    first = content_hash(model)
    assert len(read) == 3 and content_hash(model) == first == model_identity(str(model)) and len(read) == 3
    found = {first}
    for content in (b"WEIGHTS", b"Weights", b"weIghts"):  # of the same size, one at once after the other
        (model / "model.safetensors").write_bytes(content)
        found.add(content_hash(model))
    assert len(found) == 4 and read[3:] == ["model.safetensors"] * 3


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
