"""Whatever can be started says what it does and what it takes; what it does not take is refused, not ignored."""

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STARTED = re.compile(r'^if __name__ == "__main__":', re.MULTILINE)


def programs() -> list[str]:
    """Names for ``python -m`` of all files that do something when started."""
    found = []
    for folder in ("augen", "stages", "benchmarks", "demo", "tests", "tools"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            if file.name == "__main__.py" or STARTED.search(file.read_text(encoding="utf-8")):
                found.append(".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__"))
    return found


def slow(name: str) -> bool:
    """Whether it imports torch: then tests/integration/test_slow_command_lines.py starts it."""
    return f"{name.replace('.', '/')}.py".startswith(tuple(runpy.run_path(str(ROOT / "conftest.py"))["collect_ignore"]))


def started(
    name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str]:
    """Status and outputs of ``python -m name arguments``, without the seconds in which a process imports torch."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    monkeypatch.delitem(sys.modules, f"{name}.__main__", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    said = capsys.readouterr()
    return ended.value.code, said.out + said.err


def test_there_are_programs() -> None:
    found = programs()
    assert {"stages.infer", "augen.puzzles", "tools.picture", "benchmarks.ablation", "demo"} <= {*found}


def check_help_and_what_is_unknown(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = started(name, ["--help"], monkeypatch, capsys)
    assert status == 0
    assert said.startswith(f"usage: python -m {name} ")
    assert len(said.split("\n\n")[1].split()) >= 3, said  # a sentence on what it does

    status, said = started(name, ["--nonsense"], monkeypatch, capsys)
    assert status == 2
    assert re.search(r"--nonsense|are required", said), said


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of runpy: the module was imported before
@pytest.mark.parametrize("name", [name for name in programs() if not name.startswith("stages.") and not slow(name)])
def test_help_and_what_is_unknown(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check_help_and_what_is_unknown(name, monkeypatch, capsys)


@pytest.mark.parametrize("name", [name for name in programs() if name.startswith("stages.")])
def test_a_stage_is_run_as_all_are_and_has_something_to_say(name: str) -> None:
    """Read, not started: what some of them import takes longer than all unit tests."""
    source = (ROOT / name.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")
    assert source.endswith('if __name__ == "__main__":\n    run(main)\n')
    assert len((ast.get_docstring(ast.parse(source)) or "").splitlines()) >= 3


def test_a_stage_explains_itself_and_where_its_knobs_are() -> None:
    asked = [sys.executable, "-m", "stages.prepare", "--help"]
    done = subprocess.run(asked, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0
    assert "data/entries_raw.pkl            problems to train on" in done.stdout

    asked = [sys.executable, "-m", "stages.prepare", "--voters", "7"]
    done = subprocess.run(asked, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 2
    assert "takes no arguments, found --voters 7; params.yaml is where to set things" in done.stderr


@pytest.mark.parametrize(
    ("asked", "right"),
    [
        (["augen.entries", "sho", "x.pkl"], "choose from 'show', 'to-jsonl', 'from-jsonl'"),
        (["augen.entries", "show", "x.pkl", "--limt", "3"], "[--limit N]"),
        (["augen.puzzles", "--count", "3", "--seed", "1", "--out", "x", "--familes", "roads"], "[--families FAMILIES]"),
        (["augen.puzzles", "--count", "3", "--seed", "1", "--out", "x", "--families", "raods"], "roads"),
        (["benchmarks.ablation", "inferenc"], "inference"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_would_have_been_right(
    asked: list[str], right: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = started(asked[0], asked[1:], monkeypatch, capsys)
    assert status not in (0, None)
    assert right in said + str(status)


def test_make_bench_without_a_part_names_the_parts() -> None:
    make = ["make", "--no-print-directory", "-o", ".venv/.installed", "bench"]
    done = subprocess.run(make, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode != 0
    assert "one of" in done.stderr
    assert "puzzles" in done.stderr and "ablation" in done.stderr


def test_make_alone_or_with_an_unknown_target_names_the_targets() -> None:
    listed = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, text=True, capture_output=True)
    assert listed.returncode == 0
    assert "make repro " in listed.stdout and "make test " in listed.stdout
    unknown = subprocess.run(["make", "--no-print-directory", "rerpo"], cwd=ROOT, text=True, capture_output=True)
    assert unknown.returncode != 0
    assert "make rerpo: no such target" in unknown.stderr and listed.stdout in unknown.stderr
