"""The scale benchmark makes the inputs of real stages itself: they must be all that these stages read."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_stages_find_all_that_they_read() -> None:
    stages = ["prepare", "reason_false", "filter", "evaluate"]
    command = [sys.executable, "-m", "benchmarks.scale", "200", "--only", *stages]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [line.split("|")[1].strip() for line in done.stdout.splitlines()[2:]] == stages
