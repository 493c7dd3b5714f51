"""The report page as one file: template, style, script, charts and data, all inside it.

Beside this module lie ``page.html`` (a Jinja template that escapes whatever it is given), ``page.css`` and
``page.js``. The questions with their samples travel as compressed JSON in base64, which no text from the data
can break out of; the page's script unpacks them and puts them in place as text, never as markup. Charts are drawn
by Vega, whose script comes with the package vl-convert-python. The page may fetch nothing: its own security
policy forbids it.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from augen.core.arrays import Bools
from augen.core.params import Params
from augen.entries.reasoned import FILES
from augen.evaluation.programs import CUT_SHORT, program_sentences
from augen.evaluation.replay import second_vote_sentence
from augen.evaluation.report import charts, tables
from augen.evaluation.report.flags import FLAGS, PER_FLAG
from augen.evaluation.sharing import sharing_sentences
from augen.evaluation.steps import Recorded, Report, rounded, single_accuracy
from augen.voting.samples import DevQuestions

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Content:
    """What the page shows: numbers of `evaluate`, params, accounts of other stages, questions with their samples."""

    report: Report
    params: Params
    filtered: Mapping[str, Mapping[str, Any]]  # reports/filter.json
    scorer: Mapping[str, Any]  # reports/scorer.json
    recorded: Recorded
    questions: DevQuestions
    flags: Mapping[str, Bools]  # flags.flags_of
    records: Mapping[str, Any]  # questions.question_records, of those that are shown


def page(content: Content) -> str:
    """The page for `content`: the same content gives the same text."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = tables.number
    plain = single_accuracy(content.recorded.plain_grid, content.questions.truth)
    families = tables.family_rows(content.questions, ~content.flags["wrong"], plain)
    infer = content.params.infer
    threshold = tables.threshold_point(content.recorded.dev.steps, content.questions.truth, infer.threshold)
    return environment.get_template("page.html").render(
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup((HERE / "page.js").read_text(encoding="utf-8")),
        vega=Markup(vega_script()),
        specs=rounded(_specs(content, families, threshold)),
        data=packed(content.records),
        shown=len(content.records["questions"]),
        per_flag=PER_FLAG,
        flags={flag: (FLAGS[flag], int(holds.sum())) for flag, holds in content.flags.items()},
        families=families,
        threshold=threshold,
        scorer=content.scorer,
        authors=tables.author_rows(content.scorer),
        filtered=content.filtered,
        files=FILES,
        outcomes=outcomes_of(content.filtered),
        meanings=tables.MEANINGS,
        costs=_costs(content),
        setup=tables.setup_of(content.params),
        vote=infer.vote,
        settings=tables.settings_groups(content.params),
        **_numbers(content.report),
    )


def _specs(content: Content, families: tables.Rows, threshold: Mapping[str, Any] | None) -> dict[str, charts.Spec]:
    """The charts by the names that the template gives them; without those for which there is nothing to draw."""
    plots, metrics = content.report.plots, content.report.metrics
    specs = {
        "accuracy_over_samples": charts.accuracy_over_samples(plots["accuracy_over_samples"], metrics["accuracy_se"]),
        "filter": charts.filter_yields(tables.filter_rows(content.filtered), FILES),
    }
    if plots["accuracy_over_k"]:
        specs["accuracy_over_k"] = charts.accuracy_over_k(plots["accuracy_over_k"])
    if plots["roc"]:
        specs |= {"roc": charts.roc(plots["roc"], threshold), "calibration": charts.calibration(plots["calibration"])}
    if families:
        specs["families"] = charts.families(families)
    return specs


def _numbers(report: Report) -> dict[str, Any]:
    """What the template shows of the numbers, tables and curves of `evaluate`."""
    gains, (low, high) = tables.gains_rows(report.gains)
    curve, programs = report.plots["accuracy_over_k"], report.metrics.get("programs")
    return {
        "metrics": report.metrics,
        "headline": tables.headline(report),
        "gains": gains,
        "low": f"{low:.1f}",
        "high": f"{high:.1f}",
        "curve": curve,
        "methods": {key: name for key, (name, _, _) in charts.methods_of(curve).items()} if curve else {},
        "programs": tables.program_rows(programs) if programs else [],
        "program_facts": tables.program_facts(programs) if programs else [],
        "program_sentences": program_sentences(programs) if programs else [],
        "second_vote": second_vote_sentence(report.metrics.get("second_vote"), report.metrics["questions"]),
        "sharing": {
            kind: sentences
            for kind in ("adapters", "generators")
            if (sentences := sharing_sentences(report.metrics.get(kind)))
        },
        "cut_short": "" if "single" in report.metrics["steps"] else CUT_SHORT,
        "rules": {key: name for key, (name, _) in charts.RULES.items()},
        "samples_curve": report.plots["accuracy_over_samples"],
        "bins": report.plots["calibration"],
    }


def _costs(content: Content) -> tables.Rows:
    recorded, metrics = content.recorded, content.report.metrics
    drawn = {"dev": recorded.dev, "dev, plain model": recorded.plain, "test": recorded.test}
    right = metrics["accuracy"] * len(recorded.dev.ids), metrics["plain_accuracy"] * len(recorded.plain.rows)
    return tables.cost_rows(drawn, dict(zip(drawn, right, strict=False)))


def outcomes_of(filtered: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    """The causes for which anything was dropped, in the order in which the filter looks for them."""
    return [cause for cause in charts.OUTCOMES if any(cause in file["dropped"] for file in filtered.values())]


def packed(value: Any) -> str:
    """JSON, deflated (the page unpacks it with ``DecompressionStream("deflate")``), in base64.

    >>> json.loads(zlib.decompress(base64.b64decode(packed({"题": "</script>"}))))
    {'题': '</script>'}
    """
    # A model may write half of a surrogate pair, which UTF-8 cannot hold.
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return base64.b64encode(zlib.compress(text, 9)).decode()


@cache
def vega_script() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, with ``vegaEmbed`` as its door; about 0.9 MB."""
    script = str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    if "</script" in script.lower():
        raise ValueError("Vega's script would end the element that it stands in")
    return script
