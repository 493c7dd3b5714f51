"""The tables of the report page: headline, params, families, filter yields, cost. Pure."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

import numpy as np

from augen.core.arrays import Bools, Floats, Ints
from augen.core.params import Params, generator_names
from augen.entries import family_of
from augen.evaluation.programs import MEANINGS as ABSTENTIONS
from augen.evaluation.programs import SHARES
from augen.evaluation.steps import Gain, Report, verdict_of
from augen.metrics.stats import Estimate, cluster_mean
from augen.voting.samples import DevQuestions, Samples

Rows = list[dict[str, Any]]


def number(value: float | None, digits: int = 3, sign: str = "") -> str:
    """A number as the page shows it; what is not there is a dash, a minus is a minus.

    >>> number(0.25), number(-0.0125, sign="+"), number(None), number(float("nan")), number(1234.0, 0)
    ('0.250', '−0.013', '–', '–', '1,234')
    """
    if value is None or isnan(value):
        return "–"
    return f"{value:{sign},.{digits}f}".replace("-", "−")


def headline(report: Report) -> Rows:
    """The few numbers that decide: what each is, its value, its error, what to make of it."""
    m, test = report.metrics, report.metrics["test"]
    gain = Estimate(m["gain"], m["gain_se"])
    tiles = [
        _tile("Accuracy", number(m["accuracy"]), m["accuracy_se"], f"as handed in, {m['questions']:,} dev questions"),
        _tile("Gain over plain", number(gain.value, sign="+"), gain.se, verdict_of(gain), verdict_of(gain)),
        _tile(
            "Plain model", number(m["plain_accuracy"]), m["plain_accuracy_se"], "one sample, no adapter, no examples"
        ),
    ]
    if "scorer" in m:
        within, pooled = m["scorer"].get("auc_within_questions"), number(m["scorer"]["auc"])
        note = f"within a question, which a vote needs; 0.5 is chance. Over all samples: {pooled}"
        tiles.append(_tile("Scorer AUC", number(within), None, note))
    if (precision := m.get("programs", {}).get("precision")) is not None:
        covered = f"of a program that answers; {number(m['programs']['coverage'])} of the questions have one"
        tiles.append(_tile("Program precision", number(precision), m["programs"]["precision_se"], covered))
    note = f"dev; {test['fallbacks']:,} of {test['questions']:,} test questions"
    return [*tiles, _tile("Fallback answers", f"{m['fallbacks']:,}", None, note)]


def _tile(name: str, value: str, se: float | None, note: str, verdict: str = "") -> dict[str, str]:
    error = "" if se is None else number(se)
    return {"name": name, "value": value, "error": error, "note": note, "verdict": verdict.replace(" ", "-")}


def gains_rows(gains: Sequence[Gain]) -> tuple[Rows, tuple[float, float]]:
    """The table of steps, and the range of its picture: tenths around every accuracy with its error."""
    spans = [(g.accuracy.value - _se(g.accuracy), g.accuracy.value + _se(g.accuracy)) for g in gains]
    low = max(0.0, np.floor(10 * min(s[0] for s in spans)) / 10)
    high = min(1.0, np.ceil(10 * max(s[1] for s in spans)) / 10)

    def place(value: float) -> str:
        return f"{100 * min(1.0, max(0.0, (value - low) / (high - low))):.2f}%"

    rows = [
        {
            "name": gain.name,
            "accuracy": number(gain.accuracy.value),
            "accuracy_se": number(gain.accuracy.se),
            "difference": number(gain.difference.value, sign="+") if gain.difference else None,
            "difference_se": number(gain.difference.se) if gain.difference else None,
            "verdict": gain.verdict,
            "samples": number(gain.samples, 2),
            "from": place(span[0]),
            "at": place(gain.accuracy.value),
            "to": place(span[1]),
        }
        for gain, span in zip(gains, spans, strict=True)
    ]
    return rows, (float(low), float(high))


def _se(estimate: Estimate) -> float:
    return 0.0 if isnan(estimate.se) else estimate.se


def setup_of(p: Params) -> str:
    """Who answered, with what, and how the votes were counted: one line."""
    served = p.infer.engine == "openai"
    others = generator_names(p.model, p.infer)[1:]
    given = [
        name
        for name, on in (
            (f"{p.finetune.adapters} adapters" if p.finetune.adapters > 1 else "the adapter", p.infer.adapter),
            (f"{p.rag.k} worked example{'s' * (p.rag.k > 1)}", p.rag.k > 0),
        )
        if on
    ]
    parts = [
        (", ".join(p.infer.models) if served else p.model.generator)
        + (f" with {' and '.join(given)}" if given else "")
        + "".join(f", {name}" for name in others),
        f"{p.voters} votes"
        + (f" and {p.infer.programs} program{'s' * (p.infer.programs > 1)}" if p.infer.programs else "")
        + " a question"
        + (" at most, adaptive" if p.infer.adaptive else ""),
        f"vote: {p.infer.vote}",
        f"redraws: {p.max_resample} at most",
    ]
    return " · ".join(parts)


SHOWN = {  # params that matter for reading the page, by section of params.yaml
    "prepare": "train dev_fraction synthetic",
    "translate": "backend copies limit",
    "reason_true": "backend hinted attempts only_wrong",
    "reason_false": "backend negatives attempts limit",
    "scorer": "base input epochs",
    "finetune": "target pseudo rank epochs adapters",
    "model": "generator revision",
    "rag": "k embedder",
    "infer": "adapter temperature threshold resample vote adaptive certainty shuffle_options fallback programs",
    "baseline": "samples",
}


def settings_groups(p: Params) -> list[tuple[str, list[tuple[str, str]]]]:
    """The params in `SHOWN` with their values as in params.yaml; first, without a section, those at its top."""
    top = [(key, _written(getattr(p, key))) for key in ("voters", "max_resample", "seed")]
    sections = [
        (name, [(key, _written(getattr(getattr(p, name), key))) for key in keys.split()])
        for name, keys in SHOWN.items()
    ]
    return [("", top), *sections]


def _written(value: Any) -> str:
    """As in YAML."""
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def family_rows(questions: DevQuestions, right: Bools, plain: Floats) -> Rows:
    """Accuracy of each puzzle family with its error, the best first, and that of one sample of the plain model.

    `right` and `plain` are (Q,). None where questions have no family.
    """
    by_family: dict[str, list[int]] = {}
    for number, problem in enumerate(questions.problems):
        if family := family_of(problem):
            by_family.setdefault(family, []).append(number)
    clusters = questions.clusters
    rows = []
    for family, own in sorted(by_family.items()):
        value, se = cluster_mean(right[own].astype(np.float64), clusters[own])
        error = 0.0 if isnan(se) else se
        rows.append(
            {
                "family": family,
                "accuracy": value,
                "low": max(0.0, value - error),
                "high": min(1.0, value + error),
                "plain": float(np.mean(plain[own])),
                "questions": len(own),
            }
        )
    return sorted(rows, key=lambda row: (-row["accuracy"], row["family"]))


def side_by_side(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Rows:
    """The points of `replay.curves` as rows of one table, with a column for the accuracy of each curve.

    >>> side_by_side({"all_votes": [{"voters": 1, "samples": 1.0, "accuracy": 0.5}], "adaptive": []})
    [{'voters': 1, 'samples': 1.0, 'all_votes': 0.5}]
    """
    return [
        {"voters": point["voters"], "samples": point["samples"], name: point["accuracy"]}
        for name, points in curves.items()
        for point in points
    ]


def threshold_point(samples: Samples, truth: Ints, threshold: float) -> dict[str, float] | None:
    """Where on the ROC curve `infer` accepts: the shares of wrong and of right samples whose score is high enough.

    Of the samples that the curve is drawn from (`Samples.judged`). None without scores, and where all are right or all
    are wrong.
    """
    judged = samples.judged
    right, accepted = judged.right(truth), judged.rows["score"] >= threshold
    if right.all() or not right.any():
        return None
    rates = {"false_positive_rate": np.mean(accepted[~right]), "true_positive_rate": np.mean(accepted[right])}
    return {"threshold": threshold} | {name: float(rate) for name, rate in rates.items()}


MEANINGS = {  # of the filter's causes
    "no_reasoning": "nobody wrote one",
    "no_answer": "no letter is found in it",
    "other_answer": "it ends in another letter than was asked for",
    "right_answer": "it was to argue for a wrong letter, but that is the right one",
    "leaks_hint": "it talks about the answer that it was given",
    "collapsed_options": "two options are the same text",
    "too_long": "problem, question, options and reasoning exceed filter.max_chars",
    "near_duplicate": "it is almost a dev or test question",
    "repeated": "the same reasoning was kept before",
    "unbalanced": "a right sample of the generator beyond one for each of its wrong ones",
}


def filter_rows(account: Mapping[str, Mapping[str, Any]]) -> Rows:
    """One row per file and outcome of reports/filter.json: kept, then the causes of dropping.

    >>> filter_rows({"aug": {"kept": 7, "dropped": {"no_answer": 2}}})
    [{'file': 'aug', 'outcome': 'kept', 'questions': 7}, {'file': 'aug', 'outcome': 'no_answer', 'questions': 2}]
    """
    return [
        {"file": file, "outcome": outcome, "questions": count}
        for file, counts in account.items()
        for outcome, count in {"kept": counts["kept"], **counts["dropped"]}.items()
    ]


def program_rows(programs: Mapping[str, Any]) -> Rows:
    """What became of the programs for dev: right and wrong answers, then abstentions by cause, the most frequent first.

    `programs` is that part of reports/metrics.json.

    >>> found = {"answers": {"right": 3, "wrong": 0}, "abstentions": {"cut": 1}}
    >>> [(row["name"], row["programs"], row["share"]) for row in program_rows(found)]
    [('right', '3', '75.0%'), ('wrong', '0', '0.0%'), ('cut', '1', '25.0%')]
    """
    meanings = {"right": "the right option", "wrong": "another option", **ABSTENTIONS}
    counts = {**programs["answers"], **programs["abstentions"]}
    drawn = max(1, sum(counts.values()))
    return [
        {
            "name": name,
            "programs": f"{count:,}",
            "share": f"{100 * count / drawn:.1f}%",
            "meaning": meanings.get(name, ""),
        }
        for name, count in counts.items()
    ]


def program_facts(programs: Mapping[str, Any]) -> Rows:
    """The `SHARES` of `programs` (of reports/metrics.json) that are known: name, value, error and meaning of each."""
    return [
        {
            "name": name.replace("_", " "),
            "value": number(programs[name]),
            "error": number(programs[f"{name}_se"]),
            "meaning": meaning,
        }
        for name, meaning in SHARES.items()
        if name in programs
    ]


def cost_rows(drawn: Mapping[str, Samples], right: Mapping[str, float]) -> Rows:
    """What was generated for each set of questions.

    `right` has the number of right answers where answers are known: of what was handed in, or, where every sample
    is an answer of its own, of samples.
    """
    rows = []
    for name, samples in drawn.items():
        questions, tokens = len(samples.ids), int(samples.rows["tokens"].sum())
        rows.append(
            {
                "name": name,
                "questions": f"{questions:,}",
                "samples": f"{len(samples.rows):,}",
                "per_question": number(samples.per_question, 2),
                "tokens": f"{tokens:,}",
                "tokens_per_question": number(samples.tokens_per_question, 0),
                "tokens_per_right": number(tokens / right[name], 0) if right.get(name) else "–",
            }
        )
    return rows


def author_rows(scorer: Mapping[str, Any]) -> Rows:
    """How well the scorer tells right from wrong among the held-out texts of each author."""
    return [
        {
            "name": name,
            "texts": f"{own['texts']:,}",
            "right": f"{own['right']:,}",
            "accuracy": number(own.get("accuracy")),
            "auc": number(own.get("auc")),
        }
        for name, own in scorer["by_author"].items()
    ]
