"""The curves of a run as Vega-Lite specifications. Colours are left to the page: each series names a role.

The page replaces a role such as ``series-1`` by the colour of the reader's scheme, light or dark, and hands the
specification to Vega, whose script the page carries.
"""

from collections.abc import Mapping, Sequence
from math import isnan
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
MORE = ("series-5", "series-6")  # roles of columns that have no name above
RULES = {  # columns of accuracy_over_samples.csv: their name and role
    "all_votes": ("all votes", "series-1"),
    "adaptive": ("adaptive stopping", "series-2"),
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


def methods_of(curve: Rows) -> dict[str, tuple[str, str, list[int]]]:
    """The columns of accuracy_over_k.csv in the order in which they are drawn: their name, role and dashes.

    >>> list(methods_of([{"k": 1, "pass": 0.6, "majority": 0.6, "configured": 0.6, "by_length": 0.6}]))
    ['pass', 'majority', 'by_length', 'configured']
    """
    present = [column for column in curve[0] if column != "k"]
    others = [column for column in present if column not in METHODS]
    unnamed = {column: (column.replace("_", " "), MORE[i % len(MORE)], [1, 0]) for i, column in enumerate(others)}
    known = {column: METHODS[column] for column in METHODS if column in present}
    last = {"configured": known.pop("configured")} if "configured" in known else {}
    return known | unnamed | last


def accuracy_over_k(curve: Rows) -> Spec:
    """One line per method; the numbers of a k in one tooltip.

    Lines that coincide stay visible: each is thinner than the ones below it.
    """
    methods = methods_of(curve)
    names = [name for name, _, _ in methods.values()]
    values = [
        {"k": row["k"], "method": name, "accuracy": row[key]} for key, (name, _, _) in methods.items() for row in curve
    ]

    def per_method(channel: Sequence[Any]) -> dict[str, Any]:
        scale = {"type": "ordinal", "domain": names, "range": list(channel)}
        legend = {"title": None, "symbolType": "stroke", "symbolSize": 160}  # the same for all channels, which share it
        return {"field": "method", "type": "ordinal", "scale": scale, "legend": legend, "sort": None}

    votes = len(names) - 1
    widths = [1.8, *(2 + 1.5 * (votes - 1 - i) for i in range(votes))]
    x = {"field": "k", "type": "quantitative", "axis": _whole(curve, "k", "samples per question (k)")}
    y = {"field": "accuracy", "type": "quantitative", "title": "accuracy", "scale": {"zero": False, "nice": True}}
    return {
        "data": {"values": values},
        "encoding": {"x": x},
        "layer": [
            {
                "mark": {"type": "line", "point": len(curve) == 1, "interpolate": "linear"},
                "encoding": {
                    "y": y,
                    "color": per_method([role for _, role, _ in methods.values()]),
                    "strokeDash": per_method([dashes for _, _, dashes in methods.values()]),
                    "strokeWidth": per_method(widths),
                },
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


def accuracy_over_samples(curve: Rows, se: float) -> Spec:
    """What more votes buy and what stopping early saves: a point per number of voters, which stands beside it.

    `se` is the standard error of these accuracies: drawn at the last point of all votes, for the eye to compare with.
    """
    values = [
        {"rule": RULES[key][0], "voters": row["voters"], "samples": row["samples"], "accuracy": row[key]}
        for row in curve
        for key in RULES
        if row.get(key) is not None
    ]
    names, roles = zip(*RULES.values(), strict=True)
    colour = {
        "field": "rule",
        "type": "nominal",
        "scale": {"domain": list(names), "range": list(roles)},
        "legend": {"title": None, "symbolOpacity": 1},
    }
    x = {"field": "samples", "type": "quantitative", "title": "samples per question (mean)", "scale": {"zero": False}}
    y = {"field": "accuracy", "type": "quantitative", "title": "accuracy", "scale": {"zero": False, "nice": True}}
    tooltip = [
        {"field": "rule", "title": "rule"},
        {"field": "voters"},
        {"field": "samples", "title": "samples per question", "format": ".2f"},
        {"field": "accuracy", "format": ".3f"},
    ]
    layers: list[Spec] = [
        {
            "transform": [{"filter": {"field": "rule", "equal": names[0]}}],
            "mark": {"type": "line", "strokeWidth": 1.4, "opacity": 0.5},
            "encoding": {"y": y},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
            "encoding": {"y": y, "tooltip": tooltip},
        },
        {
            "mark": {"type": "text", "dy": -11, "fontSize": 11},
            "encoding": {"y": y, "text": {"field": "voters"}},
        },
    ]
    last = next((value for value in reversed(values) if value["rule"] == names[0]), None)
    if last and not isnan(se):
        span = {**last, "low": last["accuracy"] - se, "high": last["accuracy"] + se}
        ends = {"y": {**y, "field": "low"}, "y2": {"field": "high"}}
        mark = {"type": "rule", "strokeWidth": 2, "opacity": 0.3}
        layers.insert(0, {"data": {"values": [span]}, "mark": mark, "encoding": ends})
    return {"data": {"values": values}, "encoding": {"x": x, "color": colour}, "layer": layers}


def roc(points: Rows, threshold: Mapping[str, Any] | None) -> Spec:
    """The curve over the diagonal of chance; on it, where `threshold` is given, the point at which `infer` accepts."""
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
    layers: list[Spec] = [
        _diagonal("false_positive_rate", "true_positive_rate"),
        {"data": {"values": list(points)}, "mark": {"type": "line", "color": "series-1", "strokeWidth": 2.2}},
        {
            "data": {"values": list(points)},
            "mark": {"type": "point", "opacity": 0, "size": 80, "filled": True},
            "encoding": {"tooltip": tooltip},
        },
    ]
    if threshold:
        mark = {"type": "point", "filled": True, "size": 80, "opacity": 1, "color": "series-2"}
        layers.append({"data": {"values": [dict(threshold)]}, "mark": mark, "encoding": {"tooltip": tooltip}})
    return {"layer": layers, "encoding": {"x": x, "y": y}}


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
    """Accuracy of each puzzle family, best first, with one standard error to both sides, beside the plain model's."""
    axis = {"ticks": False, "domain": False, "labelLimit": 200}
    y = {"field": "label", "type": "nominal", "sort": None, "title": None, "axis": axis}
    x = {"field": "accuracy", "type": "quantitative", "title": "accuracy", "scale": {"domain": [0, 1]}}
    names = ["as handed in", "plain model, one sample"]
    colour = {
        "field": "what",
        "type": "nominal",
        "scale": {"domain": names, "range": ["series-1", "muted"]},
        "legend": {"title": None, "symbolOpacity": 1},
    }
    tooltip = [
        {"field": "family"},
        {"field": "what", "title": " "},
        {"field": "accuracy", "format": ".3f"},
        {"field": "questions"},
    ]
    values = [
        {**row, "label": f"{row['family']} ({row['questions']})", "what": what, "accuracy": value}
        for row in rows
        for what, value in zip(names, (row["accuracy"], row["plain"]), strict=True)
    ]
    return {
        "data": {"values": values},
        "height": 26 * len(rows),
        "encoding": {"y": y, "color": colour},
        "layer": [
            {
                "transform": [{"filter": {"field": "what", "equal": names[0]}}],
                "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.45},
                "encoding": {"x": x | {"field": "low"}, "x2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {"x": x, "tooltip": tooltip},
            },
        ],
    }


def filter_yields(rows: Rows, files: Mapping[str, str]) -> Spec:
    """What share of the questions of every file was kept, and of what was dropped for each cause.

    `files` says what each file holds. They are of very different sizes, so bars are shares; the numbers stand above.
    """
    present = [outcome for outcome in OUTCOMES if any(row["outcome"] == outcome for row in rows)]
    totals: dict[str, int] = {}
    for row in rows:
        totals[row["file"]] = totals.get(row["file"], 0) + row["questions"]
    kept = {row["file"]: row["questions"] for row in rows if row["outcome"] == "kept"}
    values = [
        {
            **row,
            "label": f"{files.get(row['file'], row['file'])}: {kept[row['file']]:,} of {totals[row['file']]:,}",
            "share": row["questions"] / totals[row["file"]] if totals[row["file"]] else 0,
            "order": present.index(row["outcome"]),
        }
        for row in rows
    ]
    # Above the bars, not beside them: on a phone nothing would be left for the bars.
    above = {"labelAlign": "left", "labelPadding": 0, "labelOffset": -17, "labelLimit": 600, "zindex": 1}
    axis = {"ticks": False, "domain": False, **above}
    return {
        "data": {"values": values},
        "height": 46 * len(totals),
        "mark": {"type": "bar", "height": 15, "yOffset": 6},
        "encoding": {
            "y": {"field": "label", "type": "nominal", "sort": None, "title": None, "axis": axis},
            "x": {
                "field": "share",
                "type": "quantitative",
                "title": "share of the questions",
                "stack": "zero",
                "axis": {"format": "%"},
                "scale": {"domain": [0, 1]},
            },
            "color": {
                "field": "outcome",
                "type": "nominal",
                "scale": {"domain": present, "range": [OUTCOMES[outcome] for outcome in present]},
                "legend": {"title": None},
                "sort": None,
            },
            "order": {"field": "order"},
            "tooltip": [
                {"field": "label", "title": "of"},
                {"field": "outcome"},
                {"field": "questions", "format": ","},
                {"field": "share", "format": ".1%"},
            ],
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
