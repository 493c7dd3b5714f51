"""The plots of dvc.yaml, filled in by DVC's own renderer for two experiments and compiled by Vega-Lite."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import vl_convert
from dvc_render.html import HTML
from dvc_render.vega import VegaRenderer
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / ".dvc/plots"
PLOTS: dict[str, dict[str, Any]] = {
    name: settings
    for plot in YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    for name, settings in plot.items()
}
OLDEST = "5.8"  # of the versions at hand, the one nearest to what DVC's pages load
REVS = ("workspace", "exp-1")


def datapoints(settings: dict[str, Any]) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Rows as DVC reads them from a CSV file, all texts, and how it tells the renderer what they are."""
    [(file, columns)] = settings["y"].items()
    fields = columns if isinstance(columns, list) else [columns]
    others = {"voters": "3", "samples": "9", "file": "entries", "family": "roads", "kind": "program"}
    y = fields[0] if len(fields) == 1 else "dvc_inferred_y_value"
    rows = [
        {**others, settings["x"]: str(i + 1), y: value, "rev": rev} | ({"field": field} if len(fields) > 1 else {})
        for rev in REVS
        for field in fields
        for i, value in enumerate(("kept", "repeated") if field == "outcome" else ("0.25", "", "0.5"))
    ]
    definitions = [{"filename": file, "field": field} for field in fields]
    return rows, {"y": y, "anchors_y_definitions": definitions, "revs_with_datapoints": list(REVS)}


def rendered(name: str) -> dict[str, Any]:
    settings = PLOTS[name]
    rows, properties = datapoints(settings)
    shown = {key: settings[key] for key in ("template", "x", "x_label", "y_label", "title")}
    return VegaRenderer(rows, name, template_dir=str(TEMPLATES), **shown, **properties).get_filled_template()


def texts(svg: str) -> list[str]:
    return [text for node in ElementTree.fromstring(svg).iter() if (text := (node.text or "").strip())]


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_of_two_experiments_names_everything(name: str) -> None:
    spec = rendered(name)
    assert "<DVC_METRIC" not in str(spec)
    settings = PLOTS[name]
    shown = texts(vl_convert.vegalite_to_svg(spec, vl_version=OLDEST))
    assert {settings["title"], settings["x_label"], *REVS} <= set(shown)
    assert "undefined" not in shown
    columns = next(iter(settings["y"].values()))
    if isinstance(columns, list):
        assert set(columns) <= set(shown), "every line has its name"
    if settings["template"] != "shares":  # whose rows are named themselves
        assert settings["y_label"] in shown


def test_gaps_are_left_out() -> None:
    """A curve is logged at every few steps only; an empty cell is no zero."""
    svg = vl_convert.vegalite_to_svg(rendered("Adapter held out"), vl_version=OLDEST)
    lines = [path for path in re.findall(r'aria-roledescription="line mark"[^>]* d="([^"]*)"', svg)]
    assert len(lines) == len(REVS)
    for line in lines:
        heights = [float(y) for _, y in re.findall(r"[ML]([\d.]+),([\d.]+)", line)]
        assert len(heights) == 2
        assert all(before > after for before, after in pairwise(heights)), "0.25, then 0.5"


def test_every_template_is_used() -> None:
    assert {path.stem for path in TEMPLATES.glob("*.json")} == {settings["template"] for settings in PLOTS.values()}


def test_the_page_has_a_place_for_everything() -> None:
    page = (TEMPLATES / "page.html").read_text(encoding="utf-8")
    assert "html_template = plots/page.html" in (ROOT / ".dvc/config").read_text(encoding="utf-8")
    whole = HTML(page).with_scripts("<script>SCRIPT</script>").with_element("<div>PLOT</div>").embed()
    assert whole.index("SCRIPT") < whole.index("<body>") < whole.index("PLOT")
    assert not re.search(r"{\w+}", whole)
