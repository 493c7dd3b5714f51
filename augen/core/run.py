"""Runs a stage: silences libraries, and prints errors that the user can fix without a traceback."""

import argparse
import errno
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from augen.core.errors import AugenError
from augen.core.files import sweep, write_text
from augen.core.terminal import visible

# Silences messages that a user can do nothing about. A variable that is already set keeps its value.
QUIET = {
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}

TIMES = Path(".augen/times")  # a file per stage: seconds
SPEEDS = Path(".augen/speeds")  # a file per stage that draws samples here: tokens a second, loading included
OUTS = (Path("data"), Path("models"), Path("reports"))  # where stages write
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_ACCESS = "make it writable, or move away what is in its place; what was drawn is stored, `dvc repro` goes on"
# Advice for errors of the operating system. Any other error is a defect of this program and gets a traceback.
ADVICE = dict.fromkeys(FULL, "make room; what was drawn is stored, `dvc repro` goes on from there") | dict.fromkeys(
    (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR), NO_ACCESS
)


def no_arguments(main: Callable[[], object], instead: str = "") -> None:
    """Make a program refuse arguments, except ``--help``, which prints its module's docstring.

    `main` is a function of that module; if Python was started with another module, nothing happens. `instead` is a
    hint for the error message, for example that a stage is configured in params.yaml.
    """
    module = vars(sys.modules["__main__"])
    if getattr(main, "__globals__", None) is not module:
        return
    name = module["__spec__"].name.removesuffix(".__main__") if module["__spec__"] else Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}", description=module["__doc__"], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _, unknown = parser.parse_known_args()
    if unknown:
        parser.error(f"takes no arguments, found {' '.join(unknown)}" + (f"; {instead}" if instead else ""))


def note_time(stage: str, seconds: float) -> None:
    """Remember how long a stage took, for `python -m tools.times`."""
    write_text(TIMES / stage, f"{seconds:.1f}\n")


def note_speed(stage: str, tokens: int, seconds: float) -> None:
    """Remember how fast a stage drew its samples, for `python -m tools.estimate`."""
    write_text(SPEEDS / stage, f"{tokens / seconds:.1f}\n")


def _end_like_ctrl_c() -> None:
    """Make SIGTERM and SIGHUP do what Ctrl-C does, whoever handles that at the moment (asyncio does, while it runs)."""
    if threading.current_thread() is not threading.main_thread():
        return
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is signal.SIG_DFL:  # not under nohup
            signal.signal(ending, lambda *_: signal.raise_signal(signal.SIGINT))
            # A child may be stuck in a library, where no handler of Python runs: it has to end at once.
            os.register_at_fork(after_in_child=partial(signal.signal, ending, signal.SIG_DFL))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background by a shell
        signal.signal(signal.SIGINT, signal.default_int_handler)


def run(main: Callable[[], None]) -> None:
    """Run the stage `main`. On an AugenError, a full disk or denied access, print the error and exit with 1.

    On Ctrl-C, say that nothing is lost and exit with 130; SIGTERM and SIGHUP do the same.
    """
    no_arguments(main, "params.yaml is where to set things, or for one run `dvc exp run -S voters=7`")
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    _end_like_ctrl_c()
    stage, began = Path(sys.argv[0]).stem, time.monotonic()
    try:
        sweep(*OUTS)
        main()
        note_time(stage, time.monotonic() - began)
    except AugenError as error:
        sys.exit(f"{stage}: {visible(str(error))}")
    except OSError as error:
        if error.errno not in ADVICE or (error.filename is None and error.errno not in FULL):
            raise
        where = f"{error.filename}: " if error.filename else ""
        sys.exit(f"{stage}: {where}{error.strerror}; {ADVICE[error.errno]}")
    except KeyboardInterrupt:
        print(f"\n{stage}: interrupted; what was drawn is stored, `dvc repro` goes on from there", file=sys.stderr)
        sys.exit(130)
