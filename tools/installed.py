"""Checks that the installed packages work together on this machine.

    python -m tools.installed    says what is wrong and what to do, and ends with status 1 in that case

`make` runs it after installing.
"""

import importlib.util
import sys

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


if __name__ == "__main__":
    no_arguments(fault)
    sys.exit(fault())
