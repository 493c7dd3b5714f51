"""The check of a GPU, run without one: real stages in a folder of its own, one of which fails."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from augen.pretrain.generator import new_model
from tests.params import params
from tools import gpu_pretrain
from tools.gpu_check import ROOT, Stage, changes, make_folder, run_all

PREPARE = Stage("prepare", ("data/raw/train.jsonl",), ("data/entries_raw.pkl", "data/dev.jsonl", "data/votes.jsonl"))
BASELINE = Stage("baseline", ("data/dev.jsonl", "models/tiny/generator"), ("data/baseline.jsonl",))
TRANSLATE = Stage("translate", ("data/entries_raw.pkl",), ("data/entries_aug.pkl",))
EVALUATE = Stage("evaluate", ("data/samples.jsonl", "data/baseline.jsonl", "data/dev.jsonl"), ("reports/gains.md",))
PIPELINE = [PREPARE, BASELINE, TRANSLATE, EVALUATE]


def test_a_run_goes_on_after_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_folder(tmp_path, changes(cpu=True, lomo=False))
    weights = tmp_path / "models/tiny/generator/model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    outcomes = run_all(PIPELINE, tmp_path, 200, cpu=True)
    said = capsys.readouterr().out
    results = [(o.stage, o.result) for o in outcomes]
    lost = "not run: needs data/baseline.jsonl"
    assert results == [("prepare", "ok"), ("baseline", "failed"), ("translate", "ok"), ("evaluate", lost)]
    assert "to train on: 5 problems" in said and "Traceback (most recent call last)" in said
    assert (tmp_path / "data/entries_aug.pkl").exists()

    weights.write_bytes(whole)
    [outcome] = run_all([BASELINE], tmp_path, 200, cpu=True)
    assert (outcome.result, outcome.memory) == ("ok", None), capsys.readouterr().out
    assert outcome.seconds > 0 and outcome.rate.endswith("tokens/s")
    assert len((tmp_path / "data/baseline.jsonl").read_text(encoding="utf-8").splitlines()) == 21


def test_a_stage_that_takes_too_long_shows_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_folder(tmp_path, changes(cpu=True, lomo=False) | {"prepare.synthetic": 100_000})
    outcomes = run_all([PREPARE, TRANSLATE], tmp_path, 5, cpu=True)
    assert [o.result for o in outcomes] == ["failed", "not run: needs data/entries_raw.pkl"]
    assert 5 <= outcomes[0].seconds < 20
    said = capsys.readouterr().out
    assert "prepare had not ended after 5 s" in said and "Fatal Python error: Aborted" in said
    assert "stages/prepare.py" in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_run(tmp_path: Path) -> None:
    asked = [sys.executable, "-m", "tools.gpu_check", "--keep", str(tmp_path / "run")]
    done = subprocess.run(asked, cwd=ROOT, text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no GPU: torch" in done.stderr and "--cpu" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_generator_is_pretrained_for_the_time_given(capfd: pytest.CaptureFixture[str]) -> None:
    """Here with one narrow layer: a step of the large generator takes a minute on a core."""
    tokenizer = AutoTokenizer.from_pretrained(gpu_pretrain.SMALL, trust_remote_code=False)
    model = new_model(tokenizer, hidden=32, layers=1)
    before = model.lm_head.weight.detach().clone()
    gpu_pretrain.pretrain(model, tokenizer, params().prompt, 2)
    assert "steps of copying" in capfd.readouterr().out
    assert not torch.equal(model.lm_head.weight, before)
