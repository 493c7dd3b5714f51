"""Where checkpoints lie, what of them counts, and what another training is."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from augen.training import checkpoints
from augen.training.checkpoints import resume_point, training_key, workplace
from tests.params import params

ROOT = Path(__file__).parents[2]
SECTION = params().scorer


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("AUGEN_CACHE", raising=False)
    return tmp_path / ".augen" / "checkpoints"


def checkpoint(folder: Path, step: int, state: str | None = None) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    if state is not None:
        (path / "trainer_state.json").write_text(state)
    return path


def whole(folder: Path, step: int) -> Path:
    return checkpoint(folder, step, json.dumps({"global_step": step}))


# --- what counts


def test_the_last_whole_checkpoint_counts(tmp_path: Path) -> None:
    assert resume_point(tmp_path / "none") is None
    whole(tmp_path, 9)
    tenth = whole(tmp_path, 10)  # by number, not by name
    for step, state in ((11, None), (12, ""), (13, '{"global_step": 1'), (14, "{}")):
        checkpoint(tmp_path, step, state)
    assert resume_point(tmp_path) == tenth


# --- the place


def test_checkpoints_lie_beside_the_store_and_go_when_all_is_well(root: Path) -> None:
    with workplace("train_scorer", "abc") as folder:
        assert folder == root / "train_scorer-abc"
        whole(folder, 3)
    assert list(root.iterdir()) == []


def test_checkpoints_stay_after_an_error_and_broken_ones_go(root: Path) -> None:
    with pytest.raises(KeyboardInterrupt), workplace("train_scorer", "abc") as folder:
        kept = whole(folder, 3)
        broken = checkpoint(folder, 4, "{")
        raise KeyboardInterrupt
    with workplace("train_scorer", "abc") as folder:
        assert resume_point(folder) == kept
        assert not broken.exists(), "else the trainer, which numbers from 3 on, would write into it"


def test_other_trainings_are_named_and_left_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = whole(root / "train_scorer-old", 3)
    with workplace("train_scorer", "new"):
        pass
    assert "trainings with other params or data: train_scorer-old" in capsys.readouterr().out
    assert kept.is_dir()


def test_two_runs_of_the_same_training_do_not_share_a_folder(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "finetune-abc").mkdir(parents=True)
    with FileLock(root / "finetune-abc" / "lock"):
        with workplace("finetune", "abc") as folder:
            assert root not in folder.parents and resume_point(folder) is None
            whole(folder, 1)
        assert "another run is training the same" in capsys.readouterr().out
        assert not folder.exists() and (root / "finetune-abc").is_dir()


# --- the key


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    return tmp_path / "model"


def key(base: Path, number: int = 1, text: str = "甲", **changes: Any) -> str:
    return training_key(SECTION.model_copy(update=changes), str(base), None, [number, text])


def test_whatever_the_weights_depend_on_makes_another_key(base: Path) -> None:
    first = key(base)
    assert key(base) == first and len(first) == 16
    others = [key(base, number=2), key(base, text="乙"), key(base, learning_rate=0.5)]
    (base / "config.json").write_text('{"other": 1}')
    others.append(key(base))
    assert len({first, *others}) == 5


def test_a_changed_source_of_an_imported_folder_makes_another_key(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`augen.training` has been imported here; no folder of the name `unused` exists, so nothing imports from it."""
    for folder in ("training", "unused"):
        (tmp_path / "augen" / folder / "deeper").mkdir(parents=True)
        for file in ("a.py", "deeper/b.py"):
            (tmp_path / "augen" / folder / file).write_text("x = 1\n")

    def of_sources() -> str:
        monkeypatch.setattr(checkpoints, "_SOURCES", checkpoints._sources(tmp_path / "augen"))
        return key(base)

    first = of_sources()
    (tmp_path / "augen/unused/a.py").write_text("x = 2\n")
    assert of_sources() == first, "nothing was imported from there"
    (tmp_path / "augen/training/deeper/b.py").write_text("x = 2\n")
    assert key(base) == first, "what was imported is what was there before"
    second = of_sources()
    (tmp_path / "augen/training/deeper/b.py").rename(tmp_path / "augen/training/deeper/c.py")
    assert len({first, second, of_sources()}) == 3


@pytest.mark.parametrize("stage", ["train_scorer", "finetune", "prefer"])
def test_a_training_stage_notes_its_sources_before_it_begins(stage: str) -> None:
    script = ast.parse((ROOT / f"stages/{stage}.py").read_text(encoding="utf-8"))
    first = {node.module for node in script.body if isinstance(node, ast.ImportFrom)}
    assert checkpoints.__name__ in first, "imported later, it would tell what was edited meanwhile"


def test_where_it_runs_makes_no_difference(base: Path) -> None:
    assert key(base, report_to=["wandb"], launch="launch/ddp.yaml") == key(base)
