"""More than one process or GPU: a training stage starts itself anew under ``accelerate launch``.

`scorer.launch` and `finetune.launch` name a configuration of accelerate (`launch/` holds some). The same by hand,
whatever the params say::

    accelerate launch --config_file launch/ddp.yaml -m stages.finetune
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
    """Run this stage under ``accelerate launch`` with `config`; returns where that is done already, or None asked for.

    Only the first process prints, and every process ends with the launcher.
    """
    if not _LAUNCHED & os.environ.keys():
        if config is not None:
            _start_anew(config)
        # One process trains on one GPU: given several, the trainers would share each step out among them otherwise.
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[0]
        return
    if "LOCAL_RANK" in os.environ:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if not is_first():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # for the rest of this process


def _start_anew(config: str) -> None:
    if not Path(config).is_file():
        raise AugenError(f"launch: {config}: no such file; launch/ holds configurations, null trains in one process")
    module = sys.modules["__main__"].__spec__
    if module is None:
        raise AugenError("start the stage as a module: python -m stages.NAME")
    command = ["-m", "accelerate.commands.launch", "--config_file", config, "-m", module.name, *sys.argv[1:]]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *command])


def _end_with(launcher: int) -> None:
    """A launcher that is killed leaves its processes running; they must not train on beside the next run."""
    while os.getppid() == launcher:
        time.sleep(0.5)
    os._exit(1)


def is_first() -> bool:
    """Whether this is the process that prints and writes."""
    return os.environ.get("RANK", "0") == "0"


def processes() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def shared(value: Callable[[], T]) -> T:
    """`value` of the first process, in all of them."""
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
    """Wait for the other processes, and part from them."""
    if processes() > 1:
        from torch import distributed

        distributed.barrier()
        distributed.destroy_process_group()
