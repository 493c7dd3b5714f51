"""Preference training as it is run: by the supervised adapter as the reference, killed and gone on with.

On a CPU a training that was stopped ends with the same bytes as one that was not: nothing is tolerated here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from augen.core.models import UNCHANGED
from augen.entries.pickles import dump_pickle
from augen.preference.material import Pair
from augen.puzzles.dataset import puzzle_entries
from augen.retrieval.index import write_index
from tests.integration.test_training_runs import go_on, kill, run
from tests.params import params, write_params

ROOT = Path(__file__).parents[2]
WEIGHTS = "adapter_model.safetensors"
# DPO: 9 pairs, 3 batches an epoch. GRPO: about 12 tasks, 6 steps an epoch. Checkpoints in the middle of epochs, too.
DPO = {"method": "dpo", "epochs": 3, "batch_size": 3, "learning_rate": 1e-3, "held_out": 0.1, "evaluations": 9}
GRPO = {
    "method": "grpo",
    "epochs": 2,
    "batch_size": 8,
    "generations": 4,
    "learning_rate": 1e-3,
    "held_out": 0.1,
    "evaluations": 6,
    "questions": 8,
    "max_tokens": 48,
}


def test_dpo_begins_at_the_supervised_adapter_and_goes_on_where_it_stopped(
    tiny_model: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    from augen.preference.dpo import prefer_pairs
    from augen.preference.train import Place, Preferred, Start
    from augen.training.trainer import History

    p = params({"model.generator": str(tiny_model)} | {f"prefer.{key}": value for key, value in DPO.items()})
    start = Start.of(p, tiny_adapter, 0)
    pairs = [Pair(f"train_{n}", f"甲比乙高{n}。\n", "甲高。\n答案是：A", "乙高。\n答案是：B") for n in range(10)]

    class Stopped(Exception):
        pass

    def stop(history: History) -> None:
        if history[-1]["step"] > 4:
            raise Stopped

    def trained(folder: Path, on_log: Any = None) -> Preferred:
        return prefer_pairs((pairs[1:], pairs[:1]), start, Place(folder, on_log))

    whole = trained(tmp_path / "whole")
    with pytest.raises(Stopped):
        trained(tmp_path / "stopped", stop)
    resumed = trained(tmp_path / "stopped")
    assert (resumed.folder / WEIGHTS).read_bytes() == (whole.folder / WEIGHTS).read_bytes()
    assert resumed.metrics == whole.metrics

    m = whole.metrics
    assert m["held_out_loss_before"] == pytest.approx(log(2), abs=1e-6), "the model is its own reference at first"
    assert m["held_out_loss"] < 0.5 and m["held_out_preferred"] == 1.0
    before, after = load_file(tiny_adapter / WEIGHTS), load_file(whole.folder / WEIGHTS)
    assert before.keys() == after.keys() and any(not np.array_equal(before[name], after[name]) for name in before)
    reference = load_file(whole.folder / "ref" / WEIGHTS)
    assert all(np.array_equal(before[name], reference[name]) for name in before), "it stays as it was"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the stage can run: params and its inputs. The tiny generator is right often enough to learn."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, set_seed

    folder = tmp_path_factory.mktemp("prefer")
    generator = ROOT / "models/tiny/generator"
    set_seed(1)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(generator), lora).save_pretrained(folder / "models/adapter")
    models = {"model.generator": str(generator), "rag.k": 0, "rag.embedder": str(ROOT / "models/tiny/embedder")}
    write_params(folder / "params.yaml", models | {f"prefer.{key}": value for key, value in GRPO.items()})
    dump_pickle(folder / "data/filtered/entries.pkl", puzzle_entries(8, "runs", "train", ("roads", "dial")))
    write_index(folder / "models/index", [], [np.zeros((0, 128), np.float32)], 0)
    return folder


def outs(folder: Path) -> dict[str, bytes]:
    files = [*sorted((folder / "models/preferred").iterdir()), *sorted((folder / "reports").rglob("prefer.*"))]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_grpo_that_was_killed_goes_on_and_ends_the_same(work: Path, tmp_path: Path) -> None:
    whole, killed = (Path(shutil.copytree(work, tmp_path / name)) for name in ("whole", "killed"))
    output = run(whole, "prefer")
    assert "going on" not in output and "Warning" not in output
    written = ".augen/checkpoints/*/0/checkpoint-[4-9]/trainer_state.json"
    kill(killed, "prefer", lambda: any(killed.glob(written)))
    assert not (killed / "models/preferred").exists()

    output = go_on(killed, "prefer")
    [step] = re.findall(r"going on from step (\d+)", output)
    assert 4 <= int(step) < 10
    assert outs(killed) == outs(whole)
    assert not list(killed.glob(".augen/checkpoints/*")), "nothing is left once the outs are written"

    assert sorted(path.name for path in (whole / "models/preferred").iterdir()) == ["adapter_config.json", WEIGHTS]
    before, after = load_file(work / "models/adapter" / WEIGHTS), load_file(whole / "models/preferred" / WEIGHTS)
    assert any(not np.array_equal(before[name], after[name]) for name in before), "some texts earned more than others"
    metrics = json.loads((whole / "reports/prefer.json").read_text())
    assert metrics["method"] == "grpo" and 0 <= metrics["held_out_preferred_before"] <= 1


def test_by_default_it_passes_on_without_loading_anything(tmp_path: Path) -> None:
    write_params(tmp_path / "params.yaml")
    said = "from stages import prefer; prefer.main(); import sys; print({'torch', 'transformers'} & set(sys.modules))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", said]
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=True)
    assert done.stdout == "set()\n"
    assert [path.name for path in (tmp_path / "models/preferred").iterdir()] == [UNCHANGED]
    assert json.loads((tmp_path / "reports/prefer.json").read_text()) == {"method": "none"}
