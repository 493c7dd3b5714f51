"""Draws the result of the last run as one SVG, for a README: the gain of each step, and accuracy over samples.

    python -m tools.picture docs/result.svg

It reads reports/metrics.json, reports/plots/accuracy_over_k.csv, and params.yaml for what the model was given and
how its samples vote. The picture has a background of its own, so it can be read on light and on dark pages.
"""

import argparse
import csv
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import vl_convert

from augen.core.errors import AugenError
from augen.core.files import read_json, write_text
from augen.core.params import load
from augen.evaluation.report import charts
from augen.evaluation.report.charts import Rows, Spec, labels, layer, quantitative, whisker

STEPS = {  # keys of "steps" in reports/metrics.json in words; others stand as they are
    "random": "random option",
    "best_constant": "best constant letter",
    "plain": "plain model, one sample",
    "single": "+ {setup}",
    "voting": "+ majority vote",
    "scorer": "+ {vote}",
    "redraw": "+ redraw",
    "solver": "+ solver",
    "fallback": "+ fallback letter",
}
VOTES = {  # of the accepted samples, by infer.vote
    "majority": "majority of accepted",
    "likelihood": "likelihood vote",
    "weighted": "weighted vote",
    "best": "best score",
}
BASELINES = ("random", "best_constant")
LEFT_OUT = ("always_a",)  # beside the best constant letter
FONT = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', sans-serif"
ROLE = r"(series-\d|muted)"


def specification(metrics: Mapping[str, Any], curve: Rows, setup: str, vote: str) -> Spec:
    """Both charts side by side, as Vega-Lite; `curve` has the rows of accuracy_over_k.csv.

    Without such rows, as after a run that stopped drawing early (infer.adaptive), the second chart is left out.

    `setup` is what the model was given besides the question, `vote` how its accepted samples vote (infer.vote).
    """
    error = f"{metrics['questions']:,} held-out questions, ± one standard error clustered by problem"
    parts = [{"title": "Accuracy after each step", "width": 340, "height": 230, **gains(metrics["steps"], setup, vote)}]
    if curve:
        drawn = charts.accuracy_over_k(curve)
        lines = {**drawn, "layer": drawn["layer"][:1]}  # without the layer that answers to a pointer
        parts.append({"title": "Accuracy over samples per question", "width": 300, "height": 230, **lines})
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


def gains(steps: Mapping[str, Mapping[str, float]], setup: str, vote: str) -> Spec:
    """A row per step, from top to bottom: its accuracy as a point and a number, ± one standard error as a line."""
    values = [
        {
            "step": STEPS.get(key, f"+ {key.replace('_', ' ')}").format(setup=setup, vote=VOTES[vote]),
            "accuracy": step["accuracy"],
            "low": step["accuracy"] - (step.get("accuracy_se") or 0),
            "high": step["accuracy"] + (step.get("accuracy_se") or 0),
            "kind": "muted" if key in BASELINES else "series-1",
        }
        for key, step in steps.items()
        if key not in LEFT_OUT
    ]
    x = quantitative("accuracy", title="accuracy", scale=charts.AROUND, axis={"tickCount": 6})
    colour = charts.colours("kind", {role: role for role in ("series-1", "muted")}, legend=None)
    number = {"field": "accuracy", "format": ".3f"}
    return {
        "data": {"values": values},
        "encoding": {"y": labels("step"), "color": colour},
        "layer": [
            layer("rule", whisker("x", x), strokeWidth=3, opacity=0.4),
            layer("point", {"x": x}, filled=True, size=70, opacity=1),
            layer("text", {"x": x, "text": number}, dy=-10, fontSize=11),
        ],
    }


def _coloured(spec: Any) -> Any:
    """`spec` with the colours of the light report page in the place of role names."""
    light = Path(charts.__file__).with_name("page.css").read_text(encoding="utf-8").partition("@media")[0]
    colours = dict(re.findall(f"--{ROLE}: (#\\w+)", light))
    return json.loads(re.sub(f'"{ROLE}"', lambda role: f'"{colours[role[1]]}"', json.dumps(spec)))


def picture(reports: Path, setup: str, vote: str) -> str:
    """The SVG of the run whose reports lie in `reports`, as `specification`. Raises AugenError where there are none."""
    table = reports / "plots/accuracy_over_k.csv"
    metrics = read_json(reports / "metrics.json")
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]
    except FileNotFoundError as fault:
        raise AugenError(f"{fault.filename}: not found; run `dvc repro`, which writes it again") from None
    curve = [{**row, "k": int(row["k"])} for row in rows]
    svg: str = vl_convert.vegalite_to_svg(specification(metrics, curve, setup, vote))
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
        write_text(asked.out, picture(Path("reports"), ", ".join(given) or "no adapter, no examples", p.infer.vote))
    except AugenError as error:
        sys.exit(str(error))
    print(asked.out)


if __name__ == "__main__":
    main()
