"""A stage in a process that has imported its libraries already: it starts in a tenth of a second instead of many.

The processes are forked from a server of their own, not from the one that runs the tests. The first one waits for it.
"""

import importlib
import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from augen.core.run import run

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["stages.reason_true", "stages.finetune", "stages.train_scorer", "openai", __name__])


def fork(folder: Path, stage: str, environment: Mapping[str, str]) -> BaseProcess:
    """Start the stage's script in `folder`; what it says goes to ``log`` there, behind what others have said."""
    process = FORKS.Process(target=_run_stage, args=(folder, stage, dict(environment)))
    process.start()
    return process


def said(folder: Path) -> str:
    return (folder / "log").read_text(encoding="utf-8")


def _run_stage(folder: Path, stage: str, environment: Mapping[str, str]) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    sys.argv = [stage]
    run(importlib.import_module(f"stages.{stage}").main)
