"""Completes the installation and checks that the packages work together on this machine.

    python -m tools.installed    says what is wrong and what to do, and ends with status 1 in that case

`make` runs it after installing.
"""

import importlib.util
import sys
import sysconfig
from pathlib import Path

from augen.core.run import no_arguments


def fault() -> str | None:
    """What is wrong with the installation and what to do about it, or None."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return (
            f"torch cannot be imported ({error}). On Linux the CPU build is needed here: set PIP_EXTRA_INDEX_URL to "
            "PyTorch's index of CPU wheels, remove .venv and run make again. "
            "For a GPU install requirements-gpu.txt instead (see README)."
        )
    if torch.version.cuda and importlib.util.find_spec("vllm") and not torch.cuda.is_available():
        return (
            f"torch {torch.__version__} is the CUDA build, but the vllm of requirements.txt is the CPU one. Set "
            "PIP_EXTRA_INDEX_URL to PyTorch's index of CPU wheels, remove .venv and run make again."
        )
    if importlib.util.find_spec("torchvision"):
        return "torchvision is installed and breaks the import of vllm: uninstall torchvision, torchaudio, torchcodec."
    return None


def lead_path() -> None:
    """Have every program of this virtual environment find its `python` first, as if the environment were activated.

    The stages call ``python``; with this ``.venv/bin/dvc repro`` also finds the right one without activation. Python
    runs the line in a ``.pth`` file whenever it starts.
    """
    line = "import os, sys; os.environ['PATH'] = os.pathsep.join([os.path.dirname(sys.executable), os.environ['PATH']])"
    (Path(sysconfig.get_path("purelib")) / "augen_path.pth").write_text(f"{line}\n", encoding="utf-8")


if __name__ == "__main__":
    no_arguments(fault)
    if sys.prefix != sys.base_prefix:
        lead_path()
    sys.exit(fault())
