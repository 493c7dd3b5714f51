"""The README in two languages: the same commands and results in both, every link leads somewhere, every command runs.

The commands are run here and by the tests that `tests.readme` names.
"""

import re
import shlex
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest

from augen.core.params import load
from tests.params import raw_params
from tests.readme import BLOCK, DRY, ELSEWHERE, NOT_RUN, READMES, ROOT, blocks, commands, known

ENGLISH, CHINESE = (page.read_text(encoding="utf-8") for page in READMES)
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")
PICTURE = "docs/result.svg"  # drawn from a run: `python -m tools.picture`


def test_both_have_the_same_blocks() -> None:
    assert blocks(ENGLISH) == blocks(CHINESE)
    assert len(blocks(ENGLISH)) >= 9


def test_both_have_the_same_results_letter_for_letter() -> None:
    [english], [chinese] = ([b for b in BLOCK.findall(t) if b.startswith("step  ")] for t in (ENGLISH, CHINESE))
    assert english == chinese


def test_both_have_the_same_parts_links_and_names() -> None:
    for pattern in (r"^(#+) ", r"^\| `(\w+)`", r"\]\(((?!README)[^)]+)\)"):
        english, chinese = (re.findall(pattern, text, re.MULTILINE) for text in (ENGLISH, CHINESE))
        assert english == [part.replace(".zh-CN.md", ".md") for part in chinese]
        assert english
    names = [set(re.findall(r"`([\w./]+)`", text)) for text in (ENGLISH, CHINESE)]
    assert names[0] == names[1]


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_links_lead_somewhere(text: str) -> None:
    for target in LINK.findall(text):
        assert target.startswith("https://") or target == PICTURE or (ROOT / target).is_file(), target


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_every_command_is_run_by_a_test(text: str) -> None:
    assert commands(text) - known() == set(), "tests/readme.py has to say which test runs these"
    assert known() - commands(text) == set(), "not in the README any more"


def test_a_new_command_would_be_noticed() -> None:
    text = "Run `make tea`.\n\n```\ndvc gc -w   # clean\ncp a b && rm c\n```\n\n```\n{\n```\n"
    assert commands(text) == {"make tea", "dvc gc -w", "cp a b", "rm c"}


@pytest.mark.parametrize("command", ELSEWHERE)
def test_the_named_test_has_the_command(command: str) -> None:
    file, *parts = ELSEWHERE[command]
    source = (ROOT / file).read_text(encoding="utf-8")
    assert [part for part in parts if part not in source] == []


@pytest.mark.parametrize("command", DRY)
def test_what_make_would_do(command: str) -> None:
    program, *arguments = shlex.split(command)
    dry = [program, "-n", "-o", ".venv/.installed", *arguments]
    done = subprocess.run(dry, cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert [part for part in DRY[command] if part not in done.stdout] == []


def test_an_environment_that_is_activated_has_its_own_python(tmp_path: Path) -> None:
    script = f"{shlex.quote(sys.executable)} -m venv --without-pip .venv && . .venv/bin/activate && command -v python"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, text=True, capture_output=True, check=True)
    assert Path(done.stdout.strip()) == tmp_path / ".venv/bin/python"


def test_production_params_are_params(tmp_path: Path) -> None:
    (tmp_path / "params.production.yaml").write_bytes((ROOT / "params.production.yaml").read_bytes())
    subprocess.run(["bash", "-c", "cp params.production.yaml params.yaml"], cwd=tmp_path, check=True)
    assert "Qwen2-7B-Instruct" in load("model", path=tmp_path / "params.yaml").model.generator


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_the_defaults_it_names_are_those_that_the_tests_use(text: str) -> None:
    [table] = re.findall(r"^\| (?:param|参数) \|.*\n.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    said: dict[str, str] = {}
    for row in table.splitlines():
        names, values = (re.split(r", |、", cell.strip()) for cell in row.split("|")[1:3])
        values = values * len(names) if len(values) == 1 else values
        said |= dict(zip((name.strip("`") for name in names), values, strict=True))
    assert len(said) >= 10
    for name, value in said.items():
        default = reduce(lambda section, key: section[key], name.split("."), raw_params())
        found = str(default).lower() if isinstance(default, bool) else str(default)
        assert found.startswith(value.removesuffix("…")) if value.endswith("…") else found == value, name


def test_what_is_not_run_is_read() -> None:
    [launch] = NOT_RUN
    assert (ROOT / launch.split()[3]).is_file()
