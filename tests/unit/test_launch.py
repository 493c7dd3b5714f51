"""A stage under accelerate, as far as that needs no second process (tests/integration has two)."""

import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from augen.core.errors import AugenError
from augen.training import launch as launching

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("visible", "taken"), [(None, "0"), ("2,3", "2"), ("GPU-12", "GPU-12"), ("", "")])
def test_one_process_trains_on_one_gpu(visible: str | None, taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible or "")
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    launching.launch(None)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == taken


def test_one_process_is_the_first_and_needs_no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    launching.launch(None)
    launching.end()
    assert launching.is_first() and launching.processes() == 1
    assert launching.broadcast(lambda: "甲") == "甲"


def test_a_configuration_that_is_not_there() -> None:
    with pytest.raises(AugenError, match=r"launch: launch/none\.yaml: no such file"):
        launching.launch("launch/none.yaml")


def test_the_stage_starts_itself_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(launching.os, "execv", lambda program, arguments: called.append((program, arguments)))
    monkeypatch.setattr(sys, "argv", ["stages/finetune.py", "--flag"])
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", ModuleSpec("stages.finetune", None))
    launching.launch(str(ROOT / "launch/ddp.yaml"))
    [(program, arguments)] = called
    config = str(ROOT / "launch/ddp.yaml")
    assert program == arguments[0] == sys.executable
    assert arguments[1:] == [
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        config,
        "-m",
        "stages.finetune",
        "--flag",
    ]


@pytest.mark.parametrize("name", ["LOCAL_RANK", "ACCELERATE_MIXED_PRECISION"])
def test_what_accelerate_started_does_not_start_itself_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "0")
    monkeypatch.setattr(launching.os, "execv", lambda *_: pytest.fail("started again"))
    launching.launch("launch/none.yaml")


@pytest.mark.parametrize("path", sorted((ROOT / "launch").glob("*.yaml")), ids=lambda path: path.stem)
def test_precision_is_left_to_the_params(path: Path) -> None:
    config = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    assert config["mixed_precision"] == "no" and config["num_machines"] == 1
    assert config["num_processes"] == (1 if path.stem == "gpu" else 2)
