"""The contract that keeps the folders apart: what breaks it, by example, on packages that are made here."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACT = """
[tool.importlinter]
root_package = "house"
contract_types = ["arrows: tools.arrows.ArrowsContract"]

[[tool.importlinter.contracts]]
name = "The house"
type = "arrows"
everywhere = ["core"]
arrows = [{arrows}]
"""
Lint = Callable[..., tuple[int, str]]


@pytest.fixture
def lint(tmp_path: Path) -> Lint:
    """Runs the linter on a package ``house`` with these files (path → source) and arrows."""

    def run(arrows: str, **files: str) -> tuple[int, str]:
        (tmp_path / "house").mkdir()
        (tmp_path / "house/__init__.py").touch()
        for name, source in {"core": "", **files}.items():
            folder = tmp_path / "house" / name
            folder.mkdir()
            (folder / "__init__.py").touch()
            (folder / "module.py").write_text(source)
        (tmp_path / "pyproject.toml").write_text(CONTRACT.format(arrows=arrows))
        command = (
            "import sys; sys.path.insert(0, {!r}); from importlinter.cli import lint_imports_command as lint; lint()"
        )
        arguments = [sys.executable, "-c", command.format(str(ROOT)), "--no-logo", "--no-cache"]
        done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return run


def test_an_arrow_and_what_is_for_all_may_be_imported(lint: Lint) -> None:
    status, said = lint('"cook -> stove", "stove ->"', cook="import house.stove.module, house.core.module", stove="")
    assert status == 0, said


@pytest.mark.parametrize("source", ["import house.cook.module", "def f():\n    from house.cook import module"])
def test_an_import_without_an_arrow_is_named(lint: Lint, source: str) -> None:
    status, said = lint('"cook -> stove", "stove ->"', cook="", stove=source)
    assert status == 1
    assert "house.stove.module imports house.cook" in said and "there is no arrow stove -> cook" in said


def test_what_is_for_all_imports_nothing_but_what_stands_before_it(lint: Lint) -> None:
    status, said = lint('"cook ->"', cook="", core="import house.cook.module")
    assert status == 1 and "there is no arrow core -> cook" in said


def test_a_folder_without_a_line_and_a_line_without_a_folder(lint: Lint) -> None:
    status, said = lint('"stove ->"', cook="")
    assert status == 1 and "cook: has no line" in said and "stove: no such folder" in said


def test_a_circle_of_arrows(lint: Lint) -> None:
    status, said = lint('"cook -> stove", "stove -> cook"', cook="", stove="")
    assert status == 1 and "make a circle: " in said
