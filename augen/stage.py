"""How a stage runs: quiet libraries, and errors that speak to the user instead of a traceback."""

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from augen.errors import AugenError

# What the libraries print that a user can do nothing about. Set where unset, so that it can be had back.
QUIET = {
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


def run(main: Callable[[], None]) -> None:
    """Run the stage; on an AugenError print it and exit with 1, on Ctrl-C say that nothing is lost (130)."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    stage = Path(sys.argv[0]).stem
    try:
        main()
    except AugenError as error:
        sys.exit(f"{stage}: {error}")
    except KeyboardInterrupt:
        print(f"\n{stage}: interrupted; what was drawn is stored, `dvc repro` goes on from there", file=sys.stderr)
        sys.exit(130)
