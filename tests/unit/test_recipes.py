"""The recipes in two languages: the same params in both, which load as they stand."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from augen.core.params import check

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "docs/RECIPES.md", ROOT / "docs/RECIPES.zh-CN.md")
ENGLISH, CHINESE = (re.findall(r"^```yaml\n(.*?)^```", page.read_text("utf-8"), re.M | re.S) for page in PAGES)
PRODUCTION = (ROOT / "params.production.yaml").read_text(encoding="utf-8")


def merged(base: Any, change: Any) -> Any:
    """`change` over `base`, key by key. A key that `base` lacks is kept, for `check` to name."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return change
    return base | {key: merged(base.get(key), value) for key, value in change.items()}


def test_both_pages_have_the_same_recipes() -> None:
    assert ENGLISH == CHINESE
    assert len(ENGLISH) >= 5


@pytest.mark.parametrize("recipe", ENGLISH)
def test_a_recipe_loads_and_changes_something(recipe: str) -> None:
    yaml = YAML(typ="safe")
    production, change = yaml.load(PRODUCTION), yaml.load(recipe)
    made = merged(production, change)
    assert check(made, "the recipe") != check(production, "params.production.yaml")


def test_figures_of_this_project_are_those_of_its_results() -> None:
    """What a page says was measured here stands in docs/RESULTS.md or README.md."""
    known = "".join((ROOT / name).read_text("utf-8") for name in ("docs/RESULTS.md", "README.md"))
    for page in PAGES:
        said = re.findall(r"[+−]?\d\.\d{3} ± \d\.\d{3}|\b0\.\d{3}\b", page.read_text("utf-8"))
        assert said
        assert [figure for figure in said if figure not in known] == []
