"""The curves of a run as Vega-Lite specifications. Colours are left to the page: each series names a role.

The page replaces a role such as ``series-1`` by the colour of the reader's scheme, light or dark, and hands the
specification to Vega, whose script the page carries.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Rows = Sequence[Mapping[str, Any]]
Spec = dict[str, Any]

METHODS = {  # columns of accuracy_over_k.csv, the last drawn on top: their name, role and dashes
    "pass": ("one of k is right", "muted", [4, 3]),
    "majority": ("majority", "series-2", [1, 0]),
    "weighted": ("weighted", "series-3", [1, 0]),
    "best": ("best score", "series-4", [1, 0]),
    "configured": ("as configured", "series-1", [1, 0]),
}
OUTCOMES = {
    "kept": "series-1",
    "no_reasoning": "drop-1",
    "no_answer": "drop-2",
    "other_answer": "drop-3",
    "right_answer": "drop-4",
    "leaks_hint": "drop-5",
    "collapsed_options": "drop-6",
    "too_long": "drop-7",
    "near_duplicate": "drop-8",
    "repeated": "drop-9",
    "unbalanced": "drop-10",
}


def accuracy_over_k(curve: Rows) -> Spec:
    """One line per method; the numbers of a k in one tooltip."""
    names = [name for name, _, _ in METHODS.values()]
    values = [
        {"k": row["k"], "method": METHODS[key][0], "accuracy": row[key]}
        for key in METHODS
        for row in curve
        if key in row
    ]
    colour = {
        "field": "method",
        "type": "nominal",
        "scale": {"domain": names, "range": [role for _, role, _ in METHODS.values()]},
        "legend": {"title": None, "symbolType": "stroke"},
        "sort": None,
    }
    x = {"field": "k", "type": "quantitative", "axis": _whole(curve, "k", "samples per question (k)")}
    y = {"field": "accuracy", "type": "quantitative", "title": "accuracy", "scale": {"zero": False, "nice": True}}
    dash = {
        "field": "method",
        "scale": {"domain": names, "range": [dashes for _, _, dashes in METHODS.values()]},
        "legend": colour["legend"],
        "sort": None,
    }
    return {
        "data": {"values": values},
        "encoding": {"x": x},
        "layer": [
            {
                "mark": {"type": "line", "point": len(curve) == 1, "interpolate": "linear"},
                "encoding": {"y": y, "color": colour, "strokeDash": dash},
            },
            {
                "transform": [{"pivot": "method", "value": "accuracy", "groupby": ["k"]}],
                "mark": {"type": "rule", "strokeWidth": 1},
                "encoding": {
                    "opacity": {"condition": {"value": 0.5, "param": "hover", "empty": False}, "value": 0},
                    "tooltip": [
                        {"field": "k", "title": "k"},
                        *({"field": name, "format": ".3f"} for name in names),
                    ],
                },
                "params": [
                    {
                        "name": "hover",
                        "select": {
                            "type": "point",
                            "fields": ["k"],
                            "nearest": True,
                            "on": "pointerover",
                            "clear": "pointerout",
                        },
                    }
                ],
            },
        ],
    }


def accuracy_over_samples(curve: Rows) -> Spec:
    """What more samples buy: slots first, then rounds of redraws."""
    values = [
        row | {"drawn": f"{row['slots']} slots" + (f", {row['redraws']} redraws" if row["redraws"] else "")}
        for row in map(dict, curve)
    ]
    shape = {
        "field": "part",
        "type": "nominal",
        "scale": {"domain": ["more slots", "redraws of rejected samples"], "range": ["series-1", "series-2"]},
        "legend": {"title": None},
    }
    part = "datum.redraws > 0 ? 'redraws of rejected samples' : 'more slots'"
    x = {"field": "samples", "type": "quantitative", "title": "samples per question (mean)", "scale": {"zero": False}}
    y = {"field": "accuracy", "type": "quantitative", "title": "accuracy", "scale": {"zero": False, "nice": True}}
    return {
        "data": {"values": values},
        "transform": [{"calculate": part, "as": "part"}],
        "encoding": {"x": x, "y": y},
        "layer": [
            {"mark": {"type": "line", "color": "muted", "strokeWidth": 1}},
            {
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
                "encoding": {
                    "color": shape,
                    "tooltip": [
                        {"field": "drawn", "title": "drawn"},
                        {"field": "samples", "title": "samples per question", "format": ".2f"},
                        {"field": "accuracy", "format": ".3f"},
                    ],
                },
            },
        ],
    }


def roc(points: Rows) -> Spec:
    """The curve over the diagonal of chance."""
    x = {
        "field": "false_positive_rate",
        "type": "quantitative",
        "title": "wrong samples accepted (false positive rate)",
        "scale": {"domain": [0, 1]},
    }
    y = {
        "field": "true_positive_rate",
        "type": "quantitative",
        "title": "right samples accepted",
        "scale": {"domain": [0, 1]},
    }
    tooltip = [
        {"field": "false_positive_rate", "title": "wrong accepted", "format": ".3f"},
        {"field": "true_positive_rate", "title": "right accepted", "format": ".3f"},
    ]
    return {
        "layer": [
            _diagonal("false_positive_rate", "true_positive_rate"),
            {"data": {"values": list(points)}, "mark": {"type": "line", "color": "series-1"}},
            {
                "data": {"values": list(points)},
                "mark": {"type": "point", "opacity": 0, "size": 80, "filled": True},
                "encoding": {"tooltip": tooltip},
            },
        ],
        "encoding": {"x": x, "y": y},
    }


def calibration(bins: Rows) -> Spec:
    """The share of right samples over their mean score, a point per bin, as large as the bin is full."""
    x = {"field": "mean_score", "type": "quantitative", "title": "mean score", "scale": {"domain": [0, 1]}}
    y = {"field": "share_right", "type": "quantitative", "title": "share of right samples", "scale": {"domain": [0, 1]}}
    points = {
        "size": {
            "field": "samples",
            "type": "quantitative",
            "scale": {"range": [20, 420], "zero": True},
            "legend": None,
        },
        "tooltip": [
            {"field": "mean_score", "title": "mean score", "format": ".3f"},
            {"field": "share_right", "title": "share right", "format": ".3f"},
            {"field": "samples"},
        ],
    }
    return {
        "layer": [
            _diagonal("mean_score", "share_right"),
            {
                "data": {"values": list(bins)},
                "mark": {"type": "point", "filled": True, "color": "series-1", "opacity": 0.85},
                "encoding": points,
            },
        ],
        "encoding": {"x": x, "y": y},
    }


def families(rows: Rows) -> Spec:
    """Accuracy of each puzzle family, best first, with one standard error to both sides."""
    y = {"field": "family", "type": "nominal", "sort": None, "title": None, "axis": {"ticks": False, "domain": False}}
    tooltip = [{"field": "family"}, {"field": "accuracy", "format": ".3f"}, {"field": "questions"}]
    x = {"field": "accuracy", "type": "quantitative", "title": "accuracy", "scale": {"domain": [0, 1]}}
    return {
        "data": {"values": list(rows)},
        "height": 26 * len(rows),
        "encoding": {"y": y},
        "layer": [
            {
                "mark": {"type": "rule", "color": "series-1", "strokeWidth": 2, "opacity": 0.45},
                "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "color": "series-1", "size": 70, "opacity": 1},
                "encoding": {"x": x, "tooltip": tooltip},
            },
        ],
    }


def filter_yields(rows: Rows) -> Spec:
    """Kept and dropped questions of every file, by cause."""
    present = [outcome for outcome in OUTCOMES if any(row["outcome"] == outcome for row in rows)]
    values = [{**row, "order": present.index(row["outcome"])} for row in rows]
    return {
        "data": {"values": values},
        "height": 34 * len({row["file"] for row in rows}),
        "mark": {"type": "bar", "height": {"band": 0.62}},
        "encoding": {
            "y": {
                "field": "file",
                "type": "nominal",
                "sort": None,
                "title": None,
                "axis": {"ticks": False, "domain": False},
            },
            "x": {"field": "questions", "type": "quantitative", "title": "questions", "stack": "zero"},
            "color": {
                "field": "outcome",
                "type": "nominal",
                "scale": {"domain": present, "range": [OUTCOMES[outcome] for outcome in present]},
                "legend": {"title": None},
                "sort": None,
            },
            "order": {"field": "order"},
            "tooltip": [{"field": "file"}, {"field": "outcome"}, {"field": "questions"}],
        },
    }


def _diagonal(x: str, y: str) -> Spec:
    return {
        "data": {"values": [{x: 0, y: 0}, {x: 1, y: 1}]},
        "mark": {"type": "line", "color": "muted", "strokeWidth": 1, "strokeDash": [4, 4]},
    }


def _whole(rows: Rows, column: str, title: str) -> Spec:
    """An axis that is marked at whole numbers only."""
    last = max(int(row[column]) for row in rows)
    step = max(1, last // 8)
    return {"title": title, "values": list(range(1, last + 1, step)), "format": "d", "grid": False}
