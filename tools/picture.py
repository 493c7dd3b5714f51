"""The picture of a result: what each step gained, and accuracy over samples per question, as one SVG.

    python -m tools.picture docs/result.svg    from reports/metrics.json, reports/plots/accuracy_over_k.csv and
                                                      params.yaml, which says what the model was given

For a README: it shows the last run of `evaluate`, on a ground of its own, so that it reads on light and dark pages.
"""

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import vl_convert

from augen.core.errors import AugenError
from augen.core.files import read_json, write_text
from augen.core.params import load
from augen.evaluation.report import charts

Rows = Sequence[Mapping[str, Any]]
STEPS = {  # keys of "steps" in reports/metrics.json in words; others stand as they are
    "random": "random option",
    "best_constant": "best constant letter",
    "plain": "plain model, one sample",
    "single": "+ {setup}",
    "voting": "+ majority vote",
    "scorer": "+ scorer",
    "redraw": "+ redraw",
    "fallback": "+ fallback letter",
}
BASELINES = ("random", "best_constant")
LEFT_OUT = ("always_a",)  # beside the best constant letter
COLOURS = {  # the roles of `charts`, as the light report page has them
    "series-1": "#2f6bd0",
    "series-2": "#d9822b",
    "series-3": "#1c9a76",
    "series-4": "#9a5cc6",
    "series-5": "#b03a6e",
    "series-6": "#7a7f2a",
    "muted": "#98a2a9",
}
FONT = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', sans-serif"
HEIGHT = 230


def specification(metrics: Mapping[str, Any], curve: Rows, setup: str) -> dict[str, Any]:
    """Both charts side by side, as Vega-Lite; `curve` has the rows of accuracy_over_k.csv.

    `setup` is what the model was given besides the question.
    """
    drawn = charts.accuracy_over_k(curve)
    lines = {**drawn, "layer": drawn["layer"][:1]}  # the other layer answers to a pointer
    error = f"{metrics['questions']:,} held-out questions, ± one standard error clustered by problem"
    parts = [
        {"title": "Accuracy after each step", "width": 340, "height": HEIGHT, **gains(metrics["steps"], setup)},
        {"title": "Accuracy over samples per question", "width": 300, "height": HEIGHT, **lines},
    ]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "#ffffff",
        "padding": 16,
        "title": {"text": error, "fontSize": 12, "fontWeight": "normal", "color": "#5d676e", "orient": "bottom"},
        "hconcat": _coloured(parts),
        "spacing": 36,
        "resolve": {"scale": {"color": "independent", "strokeDash": "independent", "strokeWidth": "independent"}},
        "config": {
            "font": FONT,
            "view": {"stroke": None},
            "title": {"anchor": "start", "fontSize": 13, "fontWeight": 600, "offset": 14},
            "axis": {"gridColor": "#e9ecee", "domainColor": "#98a2a9", "tickColor": "#98a2a9", "titleFontWeight": 500},
            "legend": {"orient": "bottom", "columns": 3},
        },
    }


def gains(steps: Mapping[str, Mapping[str, float]], setup: str) -> dict[str, Any]:
    """A row per step, from top to bottom: its accuracy, the number beside it, one standard error to both sides."""
    values = [
        {
            "step": STEPS.get(key, f"+ {key.replace('_', ' ')}").format(setup=setup),
            "accuracy": step["accuracy"],
            "low": step["accuracy"] - (step.get("accuracy_se") or 0),
            "high": step["accuracy"] + (step.get("accuracy_se") or 0),
            "kind": "muted" if key in BASELINES else "series-1",
        }
        for key, step in steps.items()
        if key not in LEFT_OUT
    ]
    x = {"type": "quantitative", "title": "accuracy", "scale": {"zero": False, "nice": True}, "axis": {"tickCount": 6}}
    colour = {"field": "kind", "scale": {"domain": ["series-1", "muted"], "range": ["series-1", "muted"]}}
    y = {"field": "step", "type": "nominal", "sort": None, "title": None, "axis": {"ticks": False, "domain": False}}
    return {
        "data": {"values": values},
        "encoding": {"y": y, "color": {**colour, "legend": None}},
        "layer": [
            {
                "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.4},
                "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {"x": {**x, "field": "accuracy"}},
            },
            {
                "mark": {"type": "text", "dy": -10, "fontSize": 11},
                "encoding": {
                    "x": {**x, "field": "accuracy"},
                    "text": {"field": "accuracy", "format": ".3f"},
                },
            },
        ],
    }


def _coloured(value: Any) -> Any:
    """A copy of `value` in which colours stand for the names of roles."""
    if isinstance(value, dict):
        return {key: _coloured(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_coloured(each) for each in value]
    return COLOURS.get(value, value) if isinstance(value, str) else value


def picture(reports: Path, setup: str) -> str:
    """The SVG of the run whose reports lie in `reports`. Raises AugenError where there are none."""
    table = reports / "plots/accuracy_over_k.csv"
    metrics = read_json(reports / "metrics.json")
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]
    except FileNotFoundError as fault:
        raise AugenError(f"{fault.filename}: not found; run `dvc repro`, which writes it again") from None
    svg: str = vl_convert.vegalite_to_svg(specification(metrics, [{**row, "k": int(row["k"])} for row in rows], setup))
    return svg


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.picture",
        description="Draw what each step of the last run gained, from reports/, as one SVG.",
    )
    parser.add_argument("out", type=Path, help="file to write, docs/result.svg for the README")
    asked = parser.parse_args()
    if asked.out.suffix != ".svg":
        parser.error(f"{asked.out}: the picture is an SVG, name it …{asked.out.stem}.svg")
    try:
        p = load("infer", "rag")
        given = [name for name, on in (("adapter", p.infer.adapter), ("examples", p.rag.k > 0)) if on]
        write_text(asked.out, picture(Path("reports"), ", ".join(given) or "no adapter, no examples"))
    except AugenError as error:
        sys.exit(str(error))
    print(asked.out)


if __name__ == "__main__":
    main()
