"""Stages that are killed at random moments and run again, as `benchmarks.attack` does with small data.

A chain is one stage in a working tree of its own: killed a few times in a row, each time further on, then run to its
end. Its outs must be those of an undisturbed run, byte for byte.
"""

import gc
import multiprocessing
import os
import runpy
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random

from ruamel.yaml import YAML

from tests.dependencies import ROOT
from tests.params import change_params, write_params


@dataclass(frozen=True)
class Target:
    """A stage, and what prefer.method is meanwhile. Long stages have a share of 1: they are killed half as often."""

    stage: str
    method: str = "none"
    share: int = 2

    def __str__(self) -> str:
        return self.stage if self.method == "none" else f"{self.stage} {self.method}"


@dataclass(frozen=True)
class Plain:
    """What an undisturbed run of a target left, and the seconds that it took."""

    outs: Mapping[str, bytes]
    seconds: float


TARGETS = (
    Target("prepare"),
    Target("baseline"),
    Target("translate"),
    Target("reason_true", share=1),
    Target("reason_false", share=1),
    Target("filter"),
    Target("train_scorer", share=1),
    Target("index"),
    Target("finetune", share=1),
    Target("prefer", "dpo", share=1),
    Target("prefer", "grpo"),
    Target("infer", share=1),
    Target("evaluate"),
)
CURVES = {f"reports/plots/{name}.csv" for name in ("scorer", "finetune", "finetune_families", "prefer")}  # they grow
ENDINGS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
IN_A_ROW = 4  # kills at most, before a stage may end
TRIES = 9  # to find a moment at which the stage still runs
LONGEST_S = 15  # that a stage which is told to end may take
TOO_LONG_S = 600  # for a stage that may go to its end
SMALL = {  # every stage has something to do, a training a few steps and checkpoints among them
    "voters": 2,
    "max_resample": 1,
    "rag.k": 1,
    "prepare.limit": 12,
    "prepare.synthetic": 16,
    "baseline.samples": 1,
    "reason_true.attempts": 1,
    "reason_false.attempts": 1,
    "scorer.batch_size": 4,
    "scorer.evaluations": 4,
    "finetune.batch_size": 4,
    "finetune.evaluations": 4,
    "prefer.batch_size": 4,
    "prefer.generations": 2,
    "prefer.questions": 4,
    "infer.programs": 1,
}

# Processes begin with the libraries loaded: otherwise most of the time, and of the moments, would lie in loading them.
# A process imports the main module again, benchmarks.attack, so what that imports is among them.
LOADED = """torch transformers transformers.models.qwen2.modeling_qwen2 peft trl datasets sentence_transformers
langchain_huggingface augen.generation.engines.vllm benchmarks.programs tests.folders tests.fuzzing tests.manners
tests.integration.paid tests.unit.test_store_damage"""
AT_ONCE = multiprocessing.get_context("forkserver")


def undisturbed(tree: Path) -> dict[Target, Plain]:
    """Make a small pipeline in `tree`, and run it, each stage with an empty response store."""
    AT_ONCE.set_forkserver_preload(LOADED.split())  # here, because there is one list for all who fork
    (tree / "models").mkdir(parents=True)
    (tree / "models/tiny").symlink_to(ROOT / "models/tiny")
    shutil.copytree(ROOT / "data/raw", tree / "data/raw")
    (tree / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    write_params(tree / "params.yaml", SMALL)
    ran = {}
    for target in TARGETS:
        change_params(tree / "params.yaml", {"prefer.method": target.method})
        shutil.rmtree(tree / ".augen", ignore_errors=True)
        seconds = _run(tree, target.stage)
        ran[target] = Plain(outs(tree, target.stage), seconds)
    return ran


def chains(count: int) -> Iterator[tuple[Target, Sequence[signal.Signals]]]:
    """`count` kills by the targets' shares, each target's by the signals in turn, at most IN_A_ROW in a chain."""
    rng, turns = Random("chains"), [target for target in TARGETS for _ in range(target.share)]
    kills = Counter(turns[number % len(turns)] for number in range(count))
    for number, (target, own) in enumerate(kills.items()):
        endings = [ENDINGS[(number + kill) % len(ENDINGS)] for kill in range(own)]
        while endings:
            length = rng.randint(1, IN_A_ROW)
            yield target, endings[:length]
            del endings[:length]


def attack(tree: Path, target: Target, plain: Plain, endings: Sequence[signal.Signals], done: list[str]) -> None:
    """Kill the stage by each of `endings` in turn, then run it to its end; `done` gets every kill.

    `tree` is a copy of the one of the undisturbed run. A stage that ends before its moment comes is compared like one
    that was run to its end, and begins anew.
    """
    change_params(tree / "params.yaml", {"prefer.method": target.method})
    rng = Random(f"{target} {endings} {tree.name}")
    for ending in endings:
        moment = plain.seconds
        for _ in range(TRIES):
            _remove(tree, plain)
            moment *= rng.random()  # it ended before the last one: a machine is not always equally busy
            if _killed(tree, target.stage, ending, moment):
                break
            compare(plain.outs, tree, target.stage)
            shutil.rmtree(tree / ".augen")
        else:
            raise AssertionError(f"ended before each of {TRIES} moments")
        done.append(f"{ending.name} after {moment:.2f} s")
        found = outs(tree, target.stage)
        half = [name for name in found.keys() - CURVES if found[name] != plain.outs.get(name)]
        assert not half, f"half-written: {half}"
    _remove(tree, plain)
    _run(tree, target.stage)
    compare(plain.outs, tree, target.stage)


def compare(wanted: Mapping[str, bytes], tree: Path, stage: str) -> None:
    """The outs of `stage` must be `wanted`, and nothing may lie about."""
    found = outs(tree, stage)
    assert found.keys() == wanted.keys(), f"other files: {sorted(found.keys() ^ wanted.keys())}"
    differing = [name for name, data in found.items() if data != wanted[name]]
    assert not differing, f"not the undisturbed outs: {differing}"
    left = [path.name for path in [*tree.rglob("*.partial"), *(tree / ".augen").glob("checkpoints/*")]]
    assert not left, f"left behind: {left}"


def outs(tree: Path, stage: str) -> dict[str, bytes]:
    """The files of the outs of `stage` that are there."""
    declared = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]
    found: dict[str, bytes] = {}
    for out in chain.from_iterable(declared.get(kind, []) for kind in ("outs", "metrics", "plots")):
        path = tree / (out if isinstance(out, str) else next(iter(out)))
        files: Iterator[Path] = path.rglob("*") if path.is_dir() else iter([path])
        found |= {str(file.relative_to(tree)): file.read_bytes() for file in files if file.is_file()}
    return {name: data for name, data in found.items() if not name.endswith(".partial")}


def _remove(tree: Path, plain: Plain) -> None:
    """What DVC does before it runs a stage."""
    for name in plain.outs:
        (tree / name).unlink(missing_ok=True)


def _stage(tree: Path, stage: str) -> None:
    """Be `stage`, in the working tree `tree`: what it says goes into a file there."""
    gc.freeze()  # the libraries, which would be gone through again and again
    os.chdir(tree)
    said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    for name in ("AUGEN_CACHE", "DVC_ROOT"):
        os.environ.pop(name, None)
    os.environ["HF_HUB_OFFLINE"] = "1"
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [stage]
    runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)


def _start(tree: Path, stage: str) -> BaseProcess:
    """A process that has become `stage` already."""
    (tree / "said").unlink(missing_ok=True)
    process = AT_ONCE.Process(target=_stage, args=(tree, stage))
    process.start()
    while process.is_alive() and not (tree / "said").exists():
        time.sleep(0.001)
    return process


def _run(tree: Path, stage: str) -> float:
    """Run `stage` to its end; returns the seconds that it took."""
    process, began = _start(tree, stage), time.monotonic()
    process.join(timeout=TOO_LONG_S)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"goes on after {TOO_LONG_S} s: {_said(tree)[-300:]}")
    _ended_well(process, tree)
    return time.monotonic() - began


def _ended_well(process: BaseProcess, tree: Path) -> None:
    assert process.exitcode == 0, f"ended with {process.exitcode}: {_said(tree)[-300:]}"


def _killed(tree: Path, stage: str, ending: signal.Signals, moment: float) -> bool:
    """Start `stage`, and end it after `moment` seconds; returns whether it had not ended before."""
    process = _start(tree, stage)
    process.join(moment)
    if process.exitcode is not None:
        _ended_well(process, tree)
        return False
    assert process.pid
    with suppress(ProcessLookupError):  # it has ended just now
        os.kill(process.pid, ending)
    process.join(timeout=LONGEST_S)
    told = f"after {ending.name} at {moment:.2f} s"
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"goes on {LONGEST_S} s {told}: {_said(tree)[-300:]}")
    said = _said(tree)
    outside = said.endswith("KeyboardInterrupt\n")  # of what the stage itself does: before or after
    assert outside or process.exitcode in (0, 130, -ending), f"ended with {process.exitcode} {told}: {said[-300:]}"
    return True


def _said(tree: Path) -> str:
    return (tree / "said").read_text(encoding="utf-8", errors="replace")
