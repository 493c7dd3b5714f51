"""The pipeline in a fresh clone with an empty cache, small enough for a test: DVC itself, every stage real."""

import csv
import hashlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from augen.entries import letter_of, origin, question_id
from augen.entries.jsonl import read_jsonl
from augen.entries.pickles import load_pickle
from tests.params import write_params
from tests.readme import CLONED, EXPERIMENTS

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "voters": 3,
    "max_resample": 1,
    "prepare.limit": 36,
    "prepare.synthetic": 18,
    "translate.limit": 20,
    "reason_false.limit": 16,
    "baseline.samples": 1,
    "scorer.epochs": 1,
    "finetune.epochs": 1,
}


class Clone:
    """A clone of the repository's last commit, with the tests' params and a response store of its own."""

    def __init__(self, folder: Path, params: dict[str, Any]) -> None:
        self.folder = folder
        subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
        write_params(folder / "params.yaml", params)

    def run(self, *command: str, hash_seed: str = "0", timeout_s: int = 900) -> str:
        """Output of `command`, standard error included; the test fails with it if the command does."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AUGEN_", "DVC_"))}
        environment |= {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
            "PYTHONHASHSEED": hash_seed,
            "HF_HUB_OFFLINE": "1",
        }
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
        )
        assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-6000:]}"
        return done.stdout

    def digest(self, *paths: str) -> dict[str, str]:
        return {path: hashlib.sha256((self.folder / path).read_bytes()).hexdigest() for path in paths}


def stages_run(log: str) -> list[str]:
    return re.findall(r"Running stage '(\w+)'", log)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    made = Clone(tmp_path_factory.mktemp("e2e") / "clone", SMALL)
    made.first_log = made.run("dvc", "repro")  # type: ignore[attr-defined]
    return made


def test_every_stage_runs_and_the_upload_is_complete(clone: Clone) -> None:
    log = clone.first_log  # type: ignore[attr-defined]
    assert sorted(stages_run(log)) == sorted(
        [
            "prepare",
            "baseline",
            "translate",
            "reason_true",
            "reason_false",
            "filter",
            "train_scorer",
            "index",
            "finetune",
            "prefer",
            "infer",
            "evaluate",
        ]
    )
    test = read_jsonl(clone.folder / "data/raw/test.jsonl", answers="optional")[: SMALL["prepare.limit"]]
    upload = read_jsonl(clone.folder / "data/upload.jsonl", answers="required")
    assert [entry.id for entry in upload] == [entry.id for entry in test]
    for asked, answered in zip(test, upload, strict=True):
        assert answered.problem == asked.problem
        for question, item in zip(asked.questions, answered.questions, strict=True):
            assert item.options == question.options
            assert item.answer in [letter_of(i) for i in range(len(question.options))]


def test_metrics_table_and_plots_are_there(clone: Clone) -> None:
    metrics = json.loads((clone.folder / "reports/metrics.json").read_text())
    assert 0 < metrics["accuracy"] < 1
    assert metrics["questions"] == sum(
        len(e.questions) for e in read_jsonl(clone.folder / "data/dev.jsonl", answers="required")
    )
    assert "plain model" in (clone.folder / "reports/gains.md").read_text()
    page = clone.run("dvc", "plots", "show")
    assert "index.html" in page
    assert "accuracy" in clone.run("dvc", "metrics", "show")


def test_only_the_first_problems_are_rewritten_and_argued_wrongly(clone: Clone) -> None:
    def problems(file: str) -> list[str]:
        return [origin(entry.id) for entry in load_pickle(clone.folder / file)]

    raw = problems("data/entries_raw.pkl")
    assert len(raw) > SMALL["translate.limit"]
    rewritten = problems("data/entries_aug.pkl")
    assert rewritten and set(rewritten) <= set(raw[: SMALL["translate.limit"]])
    assert problems("data/reasoned/entries_false.pkl") == raw[: SMALL["reason_false.limit"]]
    assert set(problems("data/reasoned/entries_aug_false.pkl")) <= set(raw[: SMALL["reason_false.limit"]])


def test_samples_name_every_question(clone: Clone) -> None:
    rows = [json.loads(line) for line in (clone.folder / "data/samples.jsonl").read_text().splitlines()]
    dev = read_jsonl(clone.folder / "data/dev.jsonl", answers="required")
    expected = {question_id(entry, i) for entry in dev for i in range(len(entry.questions))}
    assert {row["question"] for row in rows if row["split"] == "dev"} == expected
    assert max(row["slot"] for row in rows) == SMALL["voters"]
    assert max(row["round"] for row in rows) <= SMALL["max_resample"]


def test_outs_do_not_depend_on_the_hash_seed(clone: Clone, tmp_path: Path) -> None:
    outs = ["data/entries_raw.pkl", "data/dev.jsonl", "data/entries_aug.pkl"]
    other = Clone(tmp_path / "other", SMALL)
    other.run("dvc", "repro", "translate", hash_seed="123")
    assert other.digest(*outs) == clone.digest(*outs)

    outs = ["data/filtered/entries.pkl", "data/filtered/entries_aug_false.pkl", "reports/filter.json"]
    outs += [
        "reports/data.md",
        "models/index/rows.jsonl",
        "models/index/embeddings.npy",
        "reports/metrics.json",
        "reports/gains.md",
        "reports/report.html",
    ]
    before = clone.digest(*outs)
    clone.run("dvc", "repro", "--force", "--single-item", "filter", "index", "evaluate", hash_seed="321")
    assert clone.digest(*outs) == before


def test_again_nothing_runs(clone: Clone) -> None:
    log = clone.run("dvc", "repro")
    assert stages_run(log) == []
    assert "up to date" in log


@pytest.mark.parametrize("command", CLONED)
def test_commands_of_the_readme(command: str, clone: Clone) -> None:
    program, *arguments = shlex.split(command)
    installed = ["-o", ".venv/.installed"] if program == "make" else []  # what runs this test is installed
    said = clone.run(program, *installed, *arguments)
    if command == "make repro":
        assert "up to date" in said and "plain model" in said
    assert said.strip()


def test_more_voters_draw_only_the_missing_samples(clone: Clone) -> None:
    before = (clone.folder / "data/samples.jsonl").read_text().splitlines()
    clone.run(
        "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qam", "small params and results"
    )
    log = clone.run(*shlex.split(EXPERIMENTS[0]))
    assert stages_run(log) == ["infer", "evaluate"]
    after = (clone.folder / "data/samples.jsonl").read_text().splitlines()
    assert set(before) <= set(after)
    found = re.search(r"([\d,]+) samples from the store, ([\d,]+) drawn", log)
    assert found is not None, log[-3000:]
    stored, drawn = (int(number.replace(",", "")) for number in found.groups())
    assert stored == len(before)
    assert drawn == len(after) - len(before)

    table = list(csv.DictReader(io.StringIO(clone.run("dvc", "exp", "show", "--csv"))))
    assert any(row["voters"] == "7" and row["rev"] == "workspace" for row in table)


def test_other_experiments_of_the_readme(clone: Clone) -> None:
    """After the one above: a vote of fewer samples draws none; one of more draws them for close questions only."""
    _, fewer, more, show = EXPERIMENTS
    log = clone.run(*shlex.split(fewer))
    assert stages_run(log) == ["infer", "evaluate"]
    assert re.search(r"[\d,]+ samples from the store, 0 drawn", log), log[-3000:]
    assert stages_run(clone.run(*shlex.split(more))) == ["infer", "evaluate"]
    assert "workspace" in clone.run(*shlex.split(show))


def test_real_problems_go_through_the_whole_pipeline(tmp_path: Path, real_data: Path) -> None:
    few = {"prepare.train": str(real_data), "prepare.limit": 20, "prepare.synthetic": 0}
    clone = Clone(tmp_path / "real", SMALL | few)
    log = clone.run("dvc", "repro")
    assert stages_run(log)[-1] == "evaluate"
    metrics = json.loads((clone.folder / "reports/metrics.json").read_text())
    assert 0 <= metrics["accuracy"] <= 1
