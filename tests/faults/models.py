"""Faults of models: weights that could run code, adapters and scorers that do not fit."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from tests.faults import Arrange, Fault, both, change, write


def copied(part: str, target: str, *leave_out: str) -> Arrange:
    """A copy of a model of models/tiny without some of its files."""
    return lambda folder: shutil.copytree(
        folder / "models/tiny" / part, folder / target, ignore=shutil.ignore_patterns(*leave_out)
    )


def pickled(part: str, target: str, name: str) -> Arrange:
    def arrange(folder: Path) -> None:
        copied(part, target, "*.safetensors")(folder)
        (folder / target / name).write_bytes(b"\x80\x02cposix\nmkdir\nX\x04\x00\x00\x00made\x85R.")

    return arrange


def adapter_of_another(folder: Path) -> None:
    """A LoRA adapter whose matrices fit a model of another width."""
    adapter = folder / "models/adapter"
    adapter.mkdir()
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]}
    (adapter / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    matrices = {"A": np.zeros((4, 896), np.float32), "B": np.zeros((896, 4), np.float32)}
    save_file(
        {weights.format(name): matrix for name, matrix in matrices.items()}, adapter / "adapter_model.safetensors"
    )


def scorer(**changes: Any) -> Arrange:
    """A scorer whose configuration does not belong to its weights."""

    def arrange(folder: Path) -> None:
        copied("checker", "models/scorer")(folder)
        (folder / "models/scorer/scorer.json").write_text('{"input": "full", "max_length": 512}', encoding="utf-8")
        file = folder / "models/scorer/config.json"
        file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")

    return arrange


def with_code(folder: Path) -> None:
    """A model with its own code, which would make the folder ``made`` if it ran."""
    copied("generator", "models/generator")(folder)
    config = folder / "models/generator/config.json"
    told = json.loads(config.read_text(encoding="utf-8"))
    told |= {
        "model_type": "theirs",
        "auto_map": {"AutoConfig": "theirs.Config", "AutoModelForCausalLM": "theirs.Model"},
    }
    config.write_text(json.dumps(told), encoding="utf-8")
    (folder / "models/generator/theirs.py").write_text("import os\nos.mkdir('made')\n", encoding="utf-8")


def hidden_pickle(folder: Path) -> None:
    """Weights that peft would read from a pickle, beside a safetensors file of another name."""
    adapter = folder / "models/adapter"
    (adapter / "adapter_model.safetensors").rename(adapter / "other.safetensors")
    (adapter / "adapter_model.bin").write_bytes(b"\x80\x02cposix\nmkdir\nX\x04\x00\x00\x00made\x85R.")


PICKLES = "are pickles ({}), which could run code when they are loaded; only safetensors are read…"
MODELS = [
    Fault(
        "generator: pytorch_model.bin alone",
        "generator",
        pickled("generator", "models/generator", "pytorch_model.bin"),
        f"model.generator: the weights in models/generator {PICKLES.format('pytorch_model.bin')}",
    ),
    Fault(
        "embedder: pytorch_model.bin alone",
        "embedder",
        pickled("embedder", "models/embedder", "pytorch_model.bin"),
        f"rag.embedder: the weights in models/embedder {PICKLES.format('pytorch_model.bin')}",
    ),
    Fault(
        "generator that brings its own code",
        "generator",
        with_code,
        "model.generator: models/generator/config.json: auto_map names code of its own, and code that comes with a "
        "model is never run; use another model, or take this field out where the library knows …",
    ),
    Fault(
        "embedder with a module of another type",
        "embedder",
        both(copied("embedder", "models/embedder"), change("models/embedder/modules.json", '"sentence_', '"their_')),
        "rag.embedder: models/embedder/modules.json: the module type 'their_…' is not one of sentence_transformers; …",
    ),
    Fault(
        "adapter: adapter_model.bin beside some safetensors",
        "adapted",
        both(adapter_of_another, hidden_pickle),
        f"infer.adapter: the weights in models/adapter {PICKLES.format('adapter_model.bin')}",
    ),
    Fault(
        "adapter where a model should be",
        "generator",
        both(copied("generator", "models/generator"), write("models/generator/adapter_config.json", "{}")),
        "model.generator: models/generator holds an adapter (adapter_config.json); name the folder of a whole model",
    ),
    Fault(
        "broken config.json",
        "generator",
        both(copied("generator", "models/generator"), write("models/generator/config.json", "{")),
        "model.generator: models/generator/config.json: cannot be read as JSON (…); fetch or make the model again",
    ),
    Fault(
        "adapter of another base model",
        "adapted",
        adapter_of_another,
        "infer.adapter: models/adapter: not a LoRA adapter for this model (…size mismatch…); fetch or make it again, …",
    ),
    Fault(
        "scorer of another size",
        "loaded_scorer",
        scorer(intermediate_size=64),
        "scorer: models/scorer cannot be loaded (…); fetch or make it again, or name another one",
    ),
    Fault(
        "scorer with three labels",
        "loaded_scorer",
        scorer(id2label={"0": "a", "1": "b", "2": "c"}, label2id={"a": 0, "b": 1, "c": 2}),
        "scorer: models/scorer cannot be loaded (…); fetch or make it again, or name another one",
    ),
]

FAULTS = {"Models": MODELS}
