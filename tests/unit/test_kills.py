"""How benchmarks.attack shares out its kills, and what it takes for the outs of an undisturbed run."""

import os
from collections import Counter
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.dependencies import ROOT
from tests.kills import ENDINGS, IN_A_ROW, TARGETS, chains, compare, outs

FILES = {"models/index/embeddings.npy": b"\x93NUMPY", "models/index/rows.jsonl": b"{}\n"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_every_stage_that_is_not_frozen_is_killed() -> None:
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert {target.stage for target in TARGETS} == {name for name, stage in stages.items() if not stage.get("frozen")}
    assert {target.method for target in TARGETS if target.stage == "prefer"} == {"dpo", "grpo"}


def test_kills_are_shared_out_and_by_every_signal() -> None:
    every = list(chains(100))
    kills = Counter(target for target, endings in every for _ in endings)
    assert kills == {target: 5 * target.share for target in TARGETS} and kills.total() == 100
    for target in TARGETS:
        assert {ending for one, endings in every if one == target for ending in endings} == {*ENDINGS}
    assert {len(endings) for _, endings in every} == {*range(1, IN_A_ROW + 1)}
    assert list(chains(1)) == [(TARGETS[0], [ENDINGS[0]])]


def test_outs_that_are_the_same_pass(tree: Path) -> None:
    assert outs(tree, "index") == FILES
    compare(FILES, tree, "index")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("models/index/rows.jsonl", b"{} ", "not the undisturbed outs: ['models/index/rows.jsonl']"),
        ("models/index/more", b"", "other files: ['models/index/more']"),
        ("models/index/rows.jsonl", None, "other files: ['models/index/rows.jsonl']"),
        ("models/.index.partial", b"", "left behind: ['.index.partial']"),
        (".augen/checkpoints/finetune-0", b"", "left behind: ['finetune-0']"),
    ],
)
def test_what_differs_or_lies_about_is_named(name: str, data: bytes | None, says: str, tree: Path) -> None:
    if data is None:
        os.remove(tree / name)
    else:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    with pytest.raises(AssertionError) as error:
        compare(FILES, tree, "index")
    assert str(error.value).startswith(says)
