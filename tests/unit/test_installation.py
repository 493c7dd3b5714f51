"""What surrounds the pipeline: the Makefile without git, line ends, programs of the environment without activation."""

import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest
from configobj import ConfigObj

from tools import dvc_utf8

ROOT = Path(__file__).parents[2]


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
