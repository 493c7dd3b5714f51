"""Runs the whole pipeline on this machine's GPU, cut to about two minutes, and says what works and what it took.

    python -m tools.gpu_check          on the GPU: the transformers engine and both trainings in bfloat16
    python -m tools.gpu_check --cpu    the same on the CPU, in float32, with fewer problems

Neither vLLM nor DVC nor a network is needed. The stages run in the order of dvc.yaml, each in a process of its own, in
a temporary folder and with params.yaml, but for the values that are printed first. A fault is shown with its traceback,
and what does not depend on it goes on. Ends with status 1 if a stage failed, and with 2 if there is no GPU.
"""

import argparse
import faulthandler
import os
import re
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruamel.yaml import YAML
from tabulate import tabulate

from augen.core.params import check
from benchmarks.ablation import Change, changed, shown

ROOT = Path(__file__).parents[1]
COPIED = ("data/raw", "models/tiny")
SECONDS = 240  # for all stages together; what is over is ended
LIBRARIES = ("torch", "transformers", "accelerate", "peft", "trl")

EVERYWHERE: Change = {"infer.engine": "transformers", "scorer.launch": None, "finetune.launch": None}
GPU: Change = {
    "prepare.limit": 200,
    "prepare.synthetic": 1200,
    "translate.limit": 60,
    "voters": 3,
    "max_resample": 1,
    "infer.programs": 1,
    "baseline.samples": 1,
    "reason_true.attempts": 1,
    "reason_false.attempts": 1,
    "reason_false.limit": 60,
    "finetune.reasonings": 1500,
    "model.dtype": "bfloat16",
    "engine.batch_size": 2048,
    "scorer.bf16": True,
    "finetune.bf16": True,
    "finetune.gradient_checkpointing": True,
}
CPU: Change = {
    "prepare.limit": 14,
    "prepare.synthetic": 30,
    "voters": 2,
    "max_resample": 1,
    "infer.programs": 1,
    "baseline.samples": 1,
    "reason_true.attempts": 1,
    "reason_false.limit": 20,
    "reason_false.attempts": 3,
    "scorer.epochs": 1,
    "scorer.evaluations": 1,
    "finetune.evaluations": 1,
    "finetune.gradient_checkpointing": True,
}
LOMO: Change = {"scorer.optimizer": "lomo", "scorer.learning_rate": 0.01}  # plain gradient steps: larger than AdamW's


@dataclass(frozen=True)
class Stage:
    name: str
    needs: tuple[str, ...]
    makes: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a stage; ``memory`` is the most that torch held on the GPU, in MiB, and None without a GPU."""

    stage: str
    result: str  # ok, failed, or why it was not run
    seconds: float = 0.0
    memory: float | None = None
    rate: str = ""


def stages_of(pipeline: Mapping[str, Any]) -> list[Stage]:
    """The stages of dvc.yaml that are not frozen, in its order."""
    found = []
    for name, stage in pipeline["stages"].items():
        if not stage.get("frozen"):
            outs = [*stage.get("outs", []), *stage.get("metrics", [])]
            makes = (out if isinstance(out, str) else next(iter(out)) for out in outs)
            found.append(Stage(name, tuple(stage["deps"]), tuple(makes)))
    return found


def missing(stage: Stage, lost: Sequence[str]) -> list[str]:
    """Which of the `lost` files and folders `stage` needs, one within the other included."""
    parts = [Path(need) for need in stage.needs]
    return [out for out in lost if any(p.is_relative_to(out) or Path(out).is_relative_to(p) for p in parts)]


def rate_of(said: str) -> str:
    """Tokens per second while sampling, or the last rate of a progress bar, from what a stage said.

    >>> rate_of("0 samples from the store, 30 drawn: 1,200 tokens in 3 s")
    '400 tokens/s'
    >>> rate_of("training: 100%|███| 8/8 [00:02<00:00,  3.94it/s, loss 0.69]"), rate_of("done")
    ('3.94 it/s', '')
    """
    if drawn := re.findall(r"drawn: ([\d,]+) tokens in (\d+) s", said):
        tokens, took = (int(number.replace(",", "")) for number in drawn[-1])
        return f"{tokens / took:,.0f} tokens/s" if took else ""
    bars = re.findall(r"100%\|[^\r\n]*?, +([\d.]+) ?([a-z]+/s|s/[a-z]+)", said)
    return " ".join(bars[-1]) if bars else ""


def changes(cpu: bool, lomo: bool) -> dict[str, Any]:
    """What is set other than in params.yaml."""
    return {**EVERYWHERE, **(CPU if cpu else GPU), **(LOMO if lomo else {})}


def measured(stage: str, peak: str) -> None:
    """Run `stage` as ``python -m`` would, in this process; writes the most memory that it held on the GPU to `peak`.

    SIGABRT ends it with a traceback of where it was.
    """
    sys.modules["vllm"] = None  # type: ignore[assignment]  # as if it were not installed
    faulthandler.enable()  # by a signal: a watchdog thread reads the frames while they change, and breaks off at times
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)
    except BaseException:
        traceback.print_exc()  # also of an error that the stage itself shows in one line
        sys.exit(1)
    finally:
        torch: Any = sys.modules.get("torch")
        if torch and torch.cuda.is_initialized():
            Path(peak).write_text(str(torch.cuda.max_memory_allocated()))


def run_stage(stage: str, folder: Path, seconds: float, cpu: bool) -> Outcome:
    """Run `stage` in `folder` for at most `seconds`, and print what it says; on a fault all of it."""
    peak = folder / f"{stage}.peak"
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "AUGEN_CACHE": str(folder / ".augen"),
        "HF_HUB_OFFLINE": "1",
        **({"CUDA_VISIBLE_DEVICES": ""} if cpu else {}),
    }
    call = f"from tools.gpu_check import measured; measured({stage!r}, {str(peak)!r})"
    started = time.perf_counter()
    asked = [sys.executable, "-c", call]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "errors": "replace"}
    with subprocess.Popen(asked, cwd=folder, env=environment, **pipes) as process:
        try:
            out, err = process.communicate(timeout=seconds)
            ended = f"ended with status {process.returncode}"
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            out, err = process.communicate()
            ended = f"had not ended after {seconds:.0f} s"
    took = time.perf_counter() - started
    print(f"\n--- {stage}, {took:.1f} s\n{out.strip()}", flush=True)
    if process.returncode:
        print(f"{stage} {ended}:\n{err.strip()}", flush=True)
    memory = int(peak.read_text()) / 2**20 if peak.exists() else None
    return Outcome(stage, "failed" if process.returncode else "ok", took, memory, rate_of(out + err))


def run_all(stages: Sequence[Stage], folder: Path, seconds: float, cpu: bool) -> list[Outcome]:
    """Run `stages` one after the other, but not those that need what a failed one should have made."""
    outcomes, lost = [], list[str]()
    end = time.perf_counter() + seconds
    for stage in stages:
        left = end - time.perf_counter()
        if gone := missing(stage, lost):
            more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
            outcome = Outcome(stage.name, f"not run: needs {gone[0]}{more}")
        elif left < 1:
            outcome = Outcome(stage.name, f"not run: the {seconds:.0f} s were over")
        else:
            outcome = run_stage(stage.name, folder, left, cpu)
        if outcome.result != "ok":
            lost += stage.makes
        outcomes.append(outcome)
    return outcomes


def page(outcomes: Sequence[Outcome]) -> str:
    """The table of all stages."""
    rows = [
        (o.stage, f"{o.seconds:.1f}", "" if o.memory is None else f"{o.memory:,.0f}", o.rate, o.result)
        for o in outcomes
    ]
    rows.append(("all", f"{sum(o.seconds for o in outcomes):.1f}", "", "", ""))
    headers = ("stage", "seconds", "GPU peak, MiB", "rate", "result")
    return tabulate(rows, headers, disable_numparse=True, colalign=("left", "right", "right", "right", "left"))


def make_folder(folder: Path, change: Change) -> None:
    """Copy to `folder` what the stages start from, and params.yaml with `change`."""
    for path in COPIED:
        shutil.copytree(ROOT / path, folder / path)
    params = changed(YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8")), change)
    check(params, "params.yaml")
    with (folder / "params.yaml").open("w", encoding="utf-8") as out:
        YAML(typ="safe").dump(params, out)


def device_name(cpu: bool) -> str | None:
    """The name of the device; None if it should be a GPU and there is none."""
    import torch

    if cpu:
        return "CPU"
    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else None


def main(cpu: bool, seconds: float, keep: Path | None) -> int:
    import torch

    name = device_name(cpu)
    if name is None:
        print(
            f"no GPU: torch {torch.__version__} sees no CUDA device, so nothing was run; --cpu runs it on the CPU",
            file=sys.stderr,
        )
        return 2
    print(f"{name}, Python {sys.version.split()[0]}, " + ", ".join(f"{n} {version(n)}" for n in LIBRARIES))
    lomo = find_spec("lomo_optim") is not None
    if not lomo:
        print("lomo-optim is not installed: the scorer is trained with scorer.optimizer of params.yaml")
    change = changes(cpu, lomo)
    print(f"changed: {shown(change)}", flush=True)
    stages = stages_of(YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8")))
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(TemporaryDirectory(prefix="gpu-check-")))
        make_folder(folder, change)
        outcomes = run_all(stages, folder, seconds, cpu)
        gains = folder / "reports/gains.md"
        print(f"\n{gains.read_text(encoding='utf-8') if gains.exists() else 'no reports/gains.md'}")
    print(f"{name}\n{page(outcomes)}")
    return int(any(outcome.result != "ok" for outcome in outcomes))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tools.gpu_check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cpu", action="store_true", help="run on the CPU, with fewer problems")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all stages together (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="run in this new folder, and leave it there")
    asked = parser.parse_args()
    sys.exit(main(asked.cpu, asked.seconds, asked.keep))
