"""Every worked example in the code runs: in `make check`, or in `make test` if its module is slow to import."""

import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_every_module_with_examples_is_collected() -> None:
    folders = ("augen", "stages", "demo", "tools", "benchmarks")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    examples = {str(path.relative_to(ROOT)) for path in files if re.search(r"^ *>>> ", path.read_text("utf-8"), re.M)}
    ignored = tuple(runpy.run_path(str(ROOT / "conftest.py"))["collect_ignore"])
    test, check = re.findall(r"--doctest-modules (.+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert {file for file in examples if file.startswith(ignored)} == set(test.split())
    assert {file.split("/")[0] for file in examples} <= set(check.split())


def test_make_check_loads_no_torch(request: pytest.FixtureRequest) -> None:
    """Importing it takes as long as hundreds of tests, in each process of pytest."""
    if any("integration" in item.path.parts for item in request.session.items):
        pytest.skip("integration tests load it: this is about make check")
    assert not {"torch", "transformers", "vllm", "ray"} & sys.modules.keys(), "see collect_ignore in conftest.py"
