"""The params that tests use, from tests/data/params.yaml. What the working tree's params.yaml says does not matter."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from augen.core.params import Params, check

FILE = Path(__file__).parent / "data/params.yaml"
TEXT = FILE.read_text(encoding="utf-8")
RAW: dict[str, Any] = YAML(typ="safe").load(TEXT)


def raw_params(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The tests' params with `changes` by dotted key: ``{"infer.threshold": 0.5}``."""
    raw = deepcopy(RAW)
    _set(raw, changes or {})
    return raw


def params(changes: Mapping[str, Any] | None = None) -> Params:
    return check(raw_params(changes), "params.yaml")


def write_params(file: Path, changes: Mapping[str, Any] | None = None) -> None:
    """Write the tests' params with `changes` to `file`."""
    file.write_text(TEXT, encoding="utf-8")
    change_params(file, changes or {})


def change_params(file: Path, changes: Mapping[str, Any]) -> None:
    """Apply `changes` to the params in `file`; its comments and its order stay."""
    yaml = YAML()
    document = yaml.load(file.read_text(encoding="utf-8"))
    _set(document, changes)
    with file.open("w", encoding="utf-8") as out:
        yaml.dump(document, out)


def _set(document: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        *sections, name = key.split(".")
        section = document
        for part in sections:
            section = section[part]
        assert name in section, key
        section[name] = value
