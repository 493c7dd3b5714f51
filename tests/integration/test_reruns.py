"""What a change to the code makes DVC run again, and what it does not: real DVC and the repository's dvc.yaml.

The scripts of the stages are stand-ins that write other bytes to their outs every time, so that a stage that runs
again changes all stages that read from it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.dependencies import ROOT
from tests.params import write_params

STAND_IN = """import os
from pathlib import Path

for path in map(Path, {outs}):
    file = path if path.suffix else path / "file"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(os.urandom(8).hex())
"""
FOLDERS = ("core", "entries", "voting", "rewriting", "evaluation", "filtering", "puzzles")
TRAININGS = ["train_scorer", "finetune", "prefer"]
AFTER_TRANSLATE = ["reason_true", "reason_false", "filter", "index", *TRAININGS, "infer", "evaluate"]


class Tree:
    """A working tree with the code, the pipeline and its outs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str) -> str:
        leave_out = ("DVC_", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(leave_out)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(command, cwd=self.folder, env=kept | {"PATH": path}, text=True, capture_output=True)
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def repro(self) -> set[str]:
        """The stages that ``dvc repro`` runs; none is taken from DVC's run cache instead."""
        return set(re.findall(r"^Running stage '(\w+)'", self.run("dvc", "repro", "--no-run-cache"), re.MULTILINE))

    def edit(self, file: str) -> None:
        path = self.folder / file
        path.write_text(f"{path.read_text(encoding='utf-8')}\n# a change\n", encoding="utf-8")

    def caches(self) -> list[Path]:
        return list(self.folder.glob("augen/**/__pycache__"))

    def import_code(self) -> None:
        self.run("python", "-c", f"import {', '.join(f'augen.{folder}' for folder in FOLDERS)}")
        assert {self.folder / "augen" / folder for folder in FOLDERS} <= {cache.parent for cache in self.caches()}

    def delete_caches(self) -> None:
        for cache in self.caches():
            shutil.rmtree(cache)


def outs(stage: dict[str, list[str | dict[str, object]]]) -> list[str]:
    listed = [*stage.get("outs", []), *stage.get("metrics", [])]
    return [out if isinstance(out, str) else next(iter(out)) for out in listed]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The tree after a first ``dvc repro``."""
    folder = tmp_path_factory.mktemp("reruns") / "made"
    for name in ("augen", "data/raw", "models/tiny"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", ".dvcignore", ".dvc/config"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    write_params(folder / "params.yaml")
    (folder / "stages").mkdir()
    for name, stage in YAML(typ="safe").load(folder / "dvc.yaml")["stages"].items():
        (folder / f"stages/{name}.py").write_text(STAND_IN.format(outs=outs(stage)), encoding="utf-8")
    tree = Tree(folder)
    tree.run("git", "init", "-q")
    tree.import_code()
    assert tree.repro() == {"prepare", "baseline", "translate", *AFTER_TRANSLATE}
    return tree


@pytest.fixture
def tree(made: Tree, tmp_path: Path) -> Tree:
    """A copy of the tree, to change."""
    shutil.copytree(made.folder, tmp_path / "tree", symlinks=True)
    return Tree(tmp_path / "tree")


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("augen/voting/__init__.py", {"baseline", "infer", "evaluate"}),
        ("augen/rewriting/__init__.py", {"translate", *AFTER_TRANSLATE}),
    ],
)
def test_a_change_reruns_the_stages_that_import_it_and_what_follows(file: str, stages: set[str], tree: Tree) -> None:
    tree.edit(file)
    assert tree.repro() == stages


def test_bytecode_reruns_nothing(tree: Tree) -> None:
    tree.delete_caches()
    assert tree.repro() == set()
    tree.import_code()
    assert tree.repro() == set()


def test_without_dvcignore_bytecode_counts_as_code(tree: Tree) -> None:
    (tree.folder / ".dvcignore").unlink()
    changed = json.loads(tree.run("dvc", "status", "--json"))
    assert changed.keys() >= {"prepare", "translate", "filter", "infer", "evaluate"}
