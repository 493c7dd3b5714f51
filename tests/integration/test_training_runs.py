"""Both training stages as they are run: killed and gone on with, repeated, and with two processes.

On a CPU a training that was killed ends with the same bytes as one that was not: nothing is tolerated here.
"""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from augen.entries import Entry, QuestionItem
from augen.entries.pickles import dump_pickle
from tests.integration.forked import fork, said
from tests.params import write_params

ROOT = Path(__file__).parents[2]
STAGES = ("train_scorer", "finetune")
OUTS = {
    "train_scorer": ["models/scorer", "reports/scorer.json", "reports/plots/scorer.csv"],
    "finetune": [
        "models/adapter",
        "reports/finetune.json",
        "reports/plots/finetune.csv",
        "reports/plots/finetune_families.csv",
    ],
}
# 5 steps an epoch, 30 in all, a checkpoint at every 4th: some in the middle of an epoch.
SMALL = {"epochs": 6, "held_out": 0.2, "evaluations": 7, "learning_rate": 1e-3, "dropout": 0.1, "max_length": 160}
CHANGES: dict[str, dict[str, Any]] = {
    "train_scorer": SMALL | {"batch_size": 8, "patience": None},
    "finetune": SMALL | {"batch_size": 2, "gradient_accumulation": 2, "rank": 4, "alpha": 8},
}


def entry(number: int, right: bool) -> Entry:
    text = f"{'甲' * (number % 5)}高。\n答案是：A" if right else f"{'乙' * (number % 3)}高？\n答案是：B"
    item = QuestionItem("谁高？", ["甲", "乙"], text, "A" if right else "B", "solver" if right else "model")
    return Entry(f"甲比乙高{number}。", [item], f"train_{number:04d}_{'roads' if number % 3 else 'lists'}")


def copied(problem: Entry) -> Entry:
    return replace(problem, id=f"{problem.id}~1")


@pytest.fixture(scope="module")
def work(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a folder in which a training stage can run: params and its inputs."""

    def make(stage: str, **changes: Any) -> Path:
        folder = tmp_path_factory.mktemp(stage)
        models = {"model.generator": str(tiny_model), "scorer.base": str(tiny_model)}
        rag = {"rag.k": 1, "rag.embedder": str(ROOT / "models/tiny/embedder")}
        section = {"train_scorer": "scorer"}.get(stage, stage)
        training = {f"{section}.{key}": value for key, value in (CHANGES[stage] | changes).items()}
        write_params(folder / "params.yaml", models | rag | training)
        for name, right in (("entries", True), ("entries_false", False)):
            dump_pickle(folder / f"data/filtered/{name}.pkl", [entry(n, right) for n in range(25)])
            dump_pickle(folder / f"data/filtered/{name.replace('entries', 'entries_aug')}.pkl", [])
        dump_pickle(folder / "data/filtered/entries_own.pkl", [])
        if stage == "finetune":
            if not indexed:
                run(folder, "index")
                indexed.append(folder / "models/index")
            else:
                shutil.copytree(indexed[0], folder / "models/index")
        return folder

    indexed: list[Path] = []
    return make


def environment(folder: Path) -> dict[str, str]:
    found = os.environ | {"PYTHONPATH": str(ROOT), "DVC_ROOT": str(folder), "OMP_NUM_THREADS": "1"}
    found.pop("AUGEN_CACHE", None)
    return found


def run(folder: Path, stage: str) -> str:
    """The command as it stands in dvc.yaml, and what it says."""
    command = [sys.executable, "-m", f"stages.{stage}"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def go_on(folder: Path, stage: str) -> str:
    """The same in a fork."""
    process = fork(folder, stage, environment(folder))
    process.join(600)
    process.kill()
    assert process.exitcode == 0, said(folder)
    return said(folder)


def kill(folder: Path, stage: str, reached: Callable[[], bool]) -> None:
    """The same, killed when `reached` says so."""
    process = fork(folder, stage, environment(folder))
    while process.is_alive() and not reached():
        time.sleep(0.002)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, f"it ended before it could be killed: {said(folder)}"


def outs(folder: Path, stage: str) -> dict[str, bytes]:
    files = [
        file
        for out in OUTS[stage]
        for file in (sorted((folder / out).iterdir()) if (folder / out).is_dir() else [folder / out])
    ]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def checkpoints(folder: Path) -> list[int]:
    """The steps of those that are written to their end."""
    found = folder.glob(".augen/checkpoints/*/checkpoint-*/trainer_state.json")
    return sorted(int(path.parent.name.rpartition("-")[2]) for path in found if path.read_bytes().rstrip()[-1:] == b"}")


@pytest.fixture(scope="module")
def undisturbed(work: Callable[..., Path]) -> Callable[[str], Path]:
    """The folder in which a stage ran from beginning to end, once for all tests."""
    done: dict[str, Path] = {}

    def get(stage: str) -> Path:
        if stage not in done:
            done[stage] = work(stage)
            output = run(done[stage], stage)
            assert "going on" not in output
        return done[stage]

    return get


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_training_goes_on_and_ends_the_same(
    stage: str, work: Callable[..., Path], undisturbed: Callable[[str], Path]
) -> None:
    folder = work(stage)
    kill(folder, stage, lambda: max(checkpoints(folder), default=0) >= 12)
    assert not any((folder / out).exists() for out in OUTS[stage] if not out.endswith(".csv"))
    half = folder.glob(".augen/checkpoints/*/")
    next(half).joinpath("checkpoint-29").mkdir()  # killed while it was written

    output = go_on(folder, stage)
    [step] = re.findall(r"going on from step (\d+)", output)
    assert 12 <= int(step) < 29
    assert outs(folder, stage) == outs(undisturbed(stage), stage)
    assert list(folder.glob(".augen/checkpoints/*")) == [], "nothing is left once the outs are written"


def test_pseudo_labels_are_lessons_like_all_others_and_come_first(
    work: Callable[..., Path], undisturbed: Callable[[str], Path]
) -> None:
    folder = work("finetune", pseudo="data/pseudo_1.pkl")
    dump_pickle(folder / "data/pseudo_1.pkl", [entry(n, True) for n in range(5)])
    dump_pickle(folder / "data/filtered/entries.pkl", [entry(n, True) for n in range(5, 25)])
    dump_pickle(folder / "data/filtered/entries_aug.pkl", [copied(entry(5, True))])  # not asked for
    go_on(folder, "finetune")
    assert outs(folder, "finetune") == outs(undisturbed("finetune"), "finetune")


def test_copies_are_lessons_if_they_are_asked_for(work: Callable[..., Path]) -> None:
    folder = work("finetune", copies=True, reasonings=4)
    dump_pickle(folder / "data/filtered/entries_aug.pkl", [copied(entry(n, True)) for n in range(3)])
    assert "28 questions to learn from\n4 lessons with a reasoning\n" in go_on(folder, "finetune")


def test_several_adapters_go_on_with_the_one_that_was_killed(
    work: Callable[..., Path], undisturbed: Callable[[str], Path]
) -> None:
    folder = work("finetune", adapters=2)
    kill(folder, "finetune", lambda: any(folder.glob(".augen/checkpoints/*/1/checkpoint-*/trainer_state.json")))

    output = go_on(folder, "finetune")
    assert re.findall(r"going on from step (\d+)", output)[0] == "30", "the first one is trained already"
    alone, several = undisturbed("finetune") / "models/adapter", folder / "models/adapter"
    weights = [path / "adapter_model.safetensors" for path in (alone, several / "0", several / "1")]
    assert weights[0].read_bytes() == weights[1].read_bytes() != weights[2].read_bytes()
    assert sorted(path.name for path in several.iterdir()) == ["0", "1"]
    curves = [(path / "reports/plots/finetune.csv").read_text() for path in (undisturbed("finetune"), folder)]
    assert curves[1].startswith(curves[0]) and "\n61," in curves[1], "0…30, then 31…61"
    metrics = [json.loads((path / "reports/finetune.json").read_text()) for path in (undisturbed("finetune"), folder)]
    assert metrics[0] == metrics[1]["0"] != metrics[1]["1"]


@pytest.mark.parametrize("stage", STAGES)
def test_two_processes_learn_what_one_learns(
    stage: str, work: Callable[..., Path], undisturbed: Callable[[str], Path]
) -> None:
    """The same examples a step: loss curves within 2 % (here they differ by the order of additions only)."""
    folder = work(stage, launch=str(ROOT / "launch/cpu.yaml"), dropout=0.0)
    alone = work(stage, dropout=0.0) if stage == "finetune" else undisturbed(stage)
    if stage == "finetune":
        go_on(alone, stage)
    output = run(folder, stage)
    last = [line for line in output.splitlines() if line.startswith("held")]
    assert len(last) == 1, "the second process is silent"
    curves = next(out for out in OUTS[stage] if out.endswith(".csv"))
    one, two = (list(csv.DictReader((f / curves).open())) for f in (alone, folder))
    assert len(one) == len(two) > 20
    for row, other in zip(one, two, strict=True):
        for name in ("step", "loss", "eval_loss"):
            assert bool(row[name]) == bool(other[name])
            if row[name]:
                assert float(other[name]) == pytest.approx(float(row[name]), rel=0.02), (name, row, other)
    assert outs(folder, stage).keys() == outs(alone, stage).keys()
    if stage == "finetune":
        families = "reports/plots/finetune_families.csv"
        one, two = (list(csv.DictReader((f / families).open())) for f in (alone, folder))
        assert {row["family"] for row in one} == {"roads", "lists"}
        assert one == two, "a lesson that is held out counts once, however they are shared out"
