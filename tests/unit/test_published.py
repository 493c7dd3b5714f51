"""What `make repro` says at its end, and how a run is compared with the published one and with other seeds."""

import os
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from augen.core.errors import AugenError
from augen.core.run import TIMES
from benchmarks.seeds import gained, page
from tools.artifacts import published
from tools.times import table


def lock(folder: Path, **stages: tuple[int, str]) -> None:
    content = {
        name: {"params": {"params.yaml": {"seed": seed}}, "outs": [{"path": f"data/{name}", "md5": md5}]}
        for name, (seed, md5) in stages.items()
    }
    with (folder / "dvc.lock").open("w", encoding="utf-8") as file:
        YAML().dump({"schema": "2.0", "stages": content}, file)


def made(folder: Path, *names: str) -> None:
    (folder / "data").mkdir()
    for name in names:
        (folder / "data" / name).touch()


def git(folder: Path, *words: str) -> None:
    name = ("-c", "user.name=t", "-c", "user.email=t@t")
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


def test_each_out_is_compared_with_that_of_the_last_commit(tmp_path: Path) -> None:
    git(tmp_path, "init")
    lock(tmp_path, prepare=(1, "a"), translate=(1, "b"), finetune=(1, "c"), infer=(1, "d"))
    git(tmp_path, "add", "dvc.lock")
    git(tmp_path, "commit", "-m", "run")
    lock(tmp_path, prepare=(1, "a"), translate=(1, "x"), finetune=(1, "x"), infer=(2, "x"), evaluate=(1, "e"))
    made(tmp_path, "prepare", "translate", "finetune", "infer")
    found = {path.removeprefix("data/"): meaning for path, meaning in published(tmp_path)}
    assert found["prepare"] == "the published one"
    assert "inputs were changed" in found["translate"]
    assert "this machine" in found["finetune"]
    assert found["infer"].endswith("params differ") and found["evaluate"] == "not there yet"


def test_without_a_published_run_it_says_so(tmp_path: Path) -> None:
    git(tmp_path, "init")
    lock(tmp_path, prepare=(1, "a"))
    with pytest.raises(AugenError, match="no run is published"):
        published(tmp_path)


def test_the_table_of_times_has_what_ended_since(tmp_path: Path) -> None:
    (tmp_path / TIMES).mkdir(parents=True)
    for ended, (stage, seconds) in enumerate([("prepare", "5.0"), ("infer", "30.0"), ("evaluate", "10.0")], start=100):
        (tmp_path / TIMES / stage).write_text(seconds)
        os.utime(tmp_path / TIMES / stage, (ended, ended))
    rows = [line.rsplit(maxsplit=2) for line in table(tmp_path, since=101, now=201).splitlines()[2:]]
    assert [row[0] for row in rows] == ["infer", "evaluate", "start of each stage, DVC", "all"]
    assert [int(row[1]) for row in rows] == [30, 10, 60, 100]
    assert table(tmp_path, since=103, now=201) == "no stage had to run"


def test_a_gain_is_shown_only_if_every_seed_shows_it() -> None:
    sure, luck = {"gain": 0.1, "gain_se": 0.02}, {"gain": 0.1, "gain_se": 0.06}
    assert gained([sure, sure])[1] == "yes" and gained([sure, luck])[1] == "no"
    metrics = [
        {"accuracy": a, "gain": 0.1, "gain_se": 0.01, "questions": 10, "steps": {"plain": {"accuracy": a}}}
        for a in (0.5, 0.7)
    ]
    text = page([42, 43], metrics)
    assert "| plain        | 0.600 (0.500 … 0.700) |" in text and "Seeds 42, 43" in text
