"""The charts of the report page as Vega-Lite specifications.

A colour is the name of a role such as ``series-1``. The page replaces it by the colour of the reader's scheme, light or
dark, and draws the chart with Vega, whose script it carries.
"""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

Rows = Sequence[Mapping[str, Any]]
Spec = dict[str, Any]

METHODS = {  # columns of accuracy_over_k.csv, the last drawn on top: their name, role and dashes
    "pass": ("one of k is right", "muted", [4, 3]),
    "majority": ("majority", "series-2", [1, 0]),
    "likelihood": ("likelihood", "series-5", [1, 0]),
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
UNIT = {"domain": [0, 1]}
AROUND = {"zero": False, "nice": True}  # a scale that shows the values' surroundings, not zero


def quantitative(field: str, **more: Any) -> Spec:
    return {"field": field, "type": "quantitative", **more}


ACCURACY = quantitative("accuracy", title="accuracy", scale=AROUND)


def labels(field: str, **axis: Any) -> Spec:
    """A row per value of `field`, in the order of the data."""
    axis = {"ticks": False, "domain": False, **axis}
    return {"field": field, "type": "nominal", "sort": None, "title": None, "axis": axis}


def colours(field: str, roles: Mapping[str, str], legend: Spec | None) -> Spec:
    """The colour of each value of `field` by its role."""
    scale = {"domain": list(roles), "range": list(roles.values())}
    return {"field": field, "type": "nominal", "scale": scale, "legend": legend}


def whisker(axis: str, channel: Spec) -> Spec:
    """A line from the field ``low`` to the field ``high`` along `axis`, x or y."""
    return {axis: {**channel, "field": "low"}, f"{axis}2": {"field": "high"}}


def tooltip(*columns: tuple[str | None, ...]) -> list[Spec]:
    """What a tooltip shows: a field and, where they are given, its title and its number format."""
    keys = ("field", "title", "format")
    return [{key: value for key, value in zip(keys, column, strict=False) if value} for column in columns]


def layer(mark: str, encoding: Spec | None = None, rows: Rows | None = None, **style: Any) -> Spec:
    """One mark on a chart; with `rows`, it has data of its own."""
    data = {} if rows is None else {"data": {"values": list(rows)}}
    return {**data, "mark": {"type": mark, **style}, **({"encoding": encoding} if encoding else {})}


def only(field: str, value: str) -> Spec:
    return {"transform": [{"filter": {"field": field, "equal": value}}]}


def methods_of(curve: Rows) -> dict[str, tuple[str, str, list[int]]]:
    """The columns of accuracy_over_k.csv in the order in which they are drawn: their name, role and dashes.

    >>> list(methods_of([{"k": 1, "pass": 0.6, "majority": 0.6, "configured": 0.6, "by_length": 0.6}]))
    ['pass', 'majority', 'by_length', 'configured']
    """
    others = [column for column in curve[0] if column not in {"k", *METHODS}]
    unnamed = {column: (column.replace("_", " "), MORE[i % len(MORE)], [1, 0]) for i, column in enumerate(others)}
    known = {column: METHODS[column] for column in METHODS if column in curve[0]}
    last = {"configured": known.pop("configured")} if "configured" in known else {}
    return known | unnamed | last


def accuracy_over_k(curve: Rows) -> Spec:
    """One line per method; a tooltip shows all numbers of a k.

    Lines that coincide stay visible: each is thinner than the ones below it.
    """
    methods = methods_of(curve)
    names, roles, dashes = zip(*methods.values(), strict=True)
    values = [
        {"k": row["k"], "method": name, "accuracy": row[key]}
        for key, name in zip(methods, names, strict=True)
        for row in curve
    ]
    votes = len(names) - 1
    widths = [1.8, *(2 + 1.5 * (votes - 1 - i) for i in range(votes))]
    last = max(int(row["k"]) for row in curve)
    whole = {"values": list(range(1, last + 1, max(1, last // 8))), "format": "d"}  # marks at whole numbers only

    def per_method(channel: Sequence[Any]) -> Spec:
        scale = {"type": "ordinal", "domain": list(names), "range": list(channel)}
        legend = {"title": None, "symbolType": "stroke", "symbolSize": 160}  # equal for all channels: one legend
        return {"field": "method", "type": "ordinal", "scale": scale, "legend": legend, "sort": None}

    channels = {"color": per_method(roles), "strokeDash": per_method(dashes), "strokeWidth": per_method(widths)}
    shown = {"condition": {"value": 0.5, "param": "hover", "empty": False}, "value": 0}
    tips = tooltip(("k", "k"), *((name, None, ".3f") for name in names))
    select = {"type": "point", "fields": ["k"], "nearest": True, "on": "pointerover", "clear": "pointerout"}
    return {
        "data": {"values": values},
        "encoding": {"x": quantitative("k", axis={"title": "samples per question (k)", "grid": False, **whole})},
        "layer": [
            layer("line", {"y": ACCURACY, **channels}, point=len(curve) == 1, interpolate="linear"),
            {
                "transform": [{"pivot": "method", "value": "accuracy", "groupby": ["k"]}],
                **layer("rule", {"opacity": shown, "tooltip": tips}, strokeWidth=1),
                "params": [{"name": "hover", "select": select}],
            },
        ],
    }


def accuracy_over_samples(curve: Rows, se: float) -> Spec:
    """What more votes buy and what stopping early saves: a point per number of voters, labelled with that number.

    `se` is the standard error of these accuracies, drawn at the last point of all votes for comparison.
    """
    values = [
        {"rule": name, "voters": row["voters"], "samples": row["samples"], "accuracy": row[key]}
        for row in curve
        for key, (name, _) in RULES.items()
        if row.get(key) is not None
    ]
    all_votes = RULES["all_votes"][0]
    tips = tooltip(("rule", "rule"), ("voters",), ("samples", "samples per question", ".2f"), ("accuracy", None, ".3f"))
    layers = [
        only("rule", all_votes) | layer("line", {"y": ACCURACY}, strokeWidth=1.4, opacity=0.5),
        layer("point", {"y": ACCURACY, "tooltip": tips}, filled=True, size=60, opacity=1),
        layer("text", {"y": ACCURACY, "text": {"field": "voters"}}, dy=-11, fontSize=11),
    ]
    last = next((value for value in reversed(values) if value["rule"] == all_votes), None)
    if last and not isnan(se):
        span = {**last, "low": last["accuracy"] - se, "high": last["accuracy"] + se}
        layers.insert(0, layer("rule", whisker("y", ACCURACY), [span], strokeWidth=2, opacity=0.3))
    x = quantitative("samples", title="samples per question (mean)", scale={"zero": False})
    colour = colours("rule", dict(RULES.values()), {"title": None, "symbolOpacity": 1})
    return {"data": {"values": values}, "encoding": {"x": x, "color": colour}, "layer": layers}


def roc(points: Rows, threshold: Mapping[str, Any] | None) -> Spec:
    """The ROC curve above the diagonal of chance, with a point at the `threshold` of `infer` if it is given."""
    false, true = "false_positive_rate", "true_positive_rate"
    tips = tooltip((false, "wrong accepted", ".3f"), (true, "right accepted", ".3f"))
    layers = [
        _diagonal(false, true),
        layer("line", None, points, color="series-1", strokeWidth=2.2),
        layer("point", {"tooltip": tips}, points, opacity=0, size=80, filled=True),
    ]
    if threshold:
        style = {"filled": True, "size": 80, "opacity": 1, "color": "series-2"}
        layers.append(layer("point", {"tooltip": tips}, [threshold], **style))
    x = quantitative(false, title="wrong samples accepted (false positive rate)", scale=UNIT)
    y = quantitative(true, title="right samples accepted", scale=UNIT)
    return {"layer": layers, "encoding": {"x": x, "y": y}}


def calibration(bins: Rows) -> Spec:
    """The share of right samples over their mean score: a point per bin, larger for more samples."""
    points = {
        "size": quantitative("samples", scale={"range": [20, 420], "zero": True}, legend=None),
        "tooltip": tooltip(("mean_score", "mean score", ".3f"), ("share_right", "share right", ".3f"), ("samples",)),
    }
    x = quantitative("mean_score", title="mean score", scale=UNIT)
    y = quantitative("share_right", title="share of right samples", scale=UNIT)
    layers = [
        _diagonal("mean_score", "share_right"),
        layer("point", points, bins, filled=True, color="series-1", opacity=0.85),
    ]
    return {"layer": layers, "encoding": {"x": x, "y": y}}


def families(rows: Rows) -> Spec:
    """Accuracy of each puzzle family, best first, ± one standard error, and that of the plain model."""
    ours, plain = "as handed in", "plain model, one sample"
    values = [
        {**row, "label": f"{row['family']} ({row['questions']})", "what": what, "accuracy": value}
        for row in rows
        for what, value in ((ours, row["accuracy"]), (plain, row["plain"]))
    ]
    x = {**ACCURACY, "scale": UNIT}
    colour = colours("what", {ours: "series-1", plain: "muted"}, {"title": None, "symbolOpacity": 1})
    tips = tooltip(("family",), ("what", " "), ("accuracy", None, ".3f"), ("questions",))
    return {
        "data": {"values": values},
        "height": 26 * len(rows),
        "encoding": {"y": labels("label", labelLimit=200), "color": colour},
        "layer": [
            only("what", ours) | layer("rule", whisker("x", x), strokeWidth=2, opacity=0.45),
            layer("point", {"x": x, "tooltip": tips}, filled=True, size=70, opacity=1),
        ],
    }


def filter_yields(rows: Rows, files: Mapping[str, str]) -> Spec:
    """For every file, the share of its questions that was kept and the share that was dropped for each cause.

    `files` says what each file holds. The bars show shares because the files differ much in size; the numbers stand
    above them.
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
    roles = {outcome: OUTCOMES[outcome] for outcome in present}
    encoding = {
        "y": labels("label", **above),
        "x": quantitative("share", title="share of the questions", stack="zero", axis={"format": "%"}, scale=UNIT),
        "color": {**colours("outcome", roles, {"title": None}), "sort": None},
        "order": {"field": "order"},
        "tooltip": tooltip(("label", "of"), ("outcome",), ("questions", None, ","), ("share", None, ".1%")),
    }
    bars = layer("bar", encoding, values, height=15, yOffset=6)
    return {**bars, "height": 46 * len(totals)}


def _diagonal(x: str, y: str) -> Spec:
    ends = [{x: 0, y: 0}, {x: 1, y: 1}]
    return layer("line", None, ends, color="muted", strokeWidth=1, strokeDash=[4, 4])
