"""Training on several processes or GPUs: the stage restarts itself under ``accelerate launch``.

`scorer.launch` and `finetune.launch` name a configuration of accelerate; `launch/` holds some. To do the same by hand,
whatever the params say::

    accelerate launch --config_file launch/ddp.yaml -m stages.finetune

The stages do not run under accelerate by default: its launcher takes four seconds to start even one process.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from augen.core.errors import AugenError

T = TypeVar("T")
# accelerate sets one of these for every process that it starts.
_LAUNCHED = {"LOCAL_RANK", "ACCELERATE_MIXED_PRECISION"}


def launch(config: str | None) -> None:
    """Restart this stage under ``accelerate launch`` with `config`, unless `config` is None or it was launched so.

    Under accelerate only the first process prints, and all processes end when the launcher does.
    """
    if not _LAUNCHED & os.environ.keys():
        if config is not None:
            _restart(config)
        # One process shows the trainers one GPU: they would split every step over all that they see.
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[0]
        return
    if "LOCAL_RANK" in os.environ:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if not is_first():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # for the rest of this process


def _restart(config: str) -> None:
    if not Path(config).is_file():
        raise AugenError(f"launch: {config}: no such file; launch/ holds configurations, null trains in one process")
    module = sys.modules["__main__"].__spec__
    if module is None:
        raise AugenError("start the stage as a module: python -m stages.NAME")
    command = ["-m", "accelerate.commands.launch", "--config_file", config, "-m", module.name, *sys.argv[1:]]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *command])


def _end_with(launcher: int) -> None:
    """End this process once `launcher` is gone: a killed launcher leaves its processes training."""
    while os.getppid() == launcher:
        time.sleep(0.5)
    os._exit(1)


def is_first() -> bool:
    """Whether this is the process that prints and writes."""
    return os.environ.get("RANK", "0") == "0"


def processes() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def broadcast(value: Callable[[], T]) -> T:
    """The result of `value` in the first process, for all of them."""
    if processes() == 1:
        return value()
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    PartialState(cpu=os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true")
    found: list[Any] = [value() if is_first() else None]
    broadcast_object_list(found)
    result: T = found[0]
    return result


def end() -> None:
    """Wait for the other processes and leave the process group."""
    if processes() > 1:
        from torch import distributed

        distributed.barrier()
        distributed.destroy_process_group()
