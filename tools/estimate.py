"""What the stages that draw from models will take and cost, before anything is sent. Needs no key.

    python -m tools.estimate                  all of them
    python -m tools.estimate reason_true      one

Each stage's own code says what it would ask for, with the present params.yaml and what the store holds. Three figures
are low – likely – high: only what is certain; what is to be expected; every attempt that params.yaml allows, and all
replies as long as max_tokens allows.
"""

import argparse
import contextlib
import io
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import get_terminal_size

from tabulate import tabulate

from augen.answering.answer import answer
from augen.answering.rounds import ScoreMany, unscored
from augen.core import params
from augen.core.errors import AugenError
from augen.core.run import QUIET, SPEEDS, TIMES
from augen.core.terminal import writable
from augen.entries import Entry
from augen.entries.pickles import load_pickle
from augen.generation.engines import NAMES
from augen.generation.open import SERVED, open_sources, sources_of
from augen.generation.planning import Plan
from augen.generation.served.account import Cost
from augen.generation.served.prices import by_characters, by_tokens
from augen.reasoning.write import draws_all, explain_wrong
from augen.reasoning.writer import open_writer
from augen.rewriting import Draft, rewrite
from augen.rewriting.backends import open_paid
from augen.scorer.score import known_scores
from augen.store.responses import Store, default_path
from stages import infer, reason_false, reason_true
from tools.forecast import Forecast, Range, forecasts, total
from tools.times import duration

MARGIN = 1.015  # a period of a rate limit is kept a little longer
COST = "cost: low – likely – high"
HERE = "here"  # what is drawn from the generator, on this machine


class NotYet(AugenError):
    """Another stage has to run first."""


@dataclass
class Estimate:
    """One stage: its requests by model and kind, and what a user should know of them."""

    stage: str
    source: str  # a provider, or HERE
    lines: list[Forecast] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    currency: str = ""
    rounds: int = 0  # one after the other, at most


# --- the stages: each runs the code of its script, and returns how many waves are certain and what to note


Planned = tuple[dict[str, int], list[str]]


def _translate(p: params.Params, plan: Plan, store: Store) -> Planned:
    entries = _entries("data/entries_raw.pkl", "prepare")[: p.translate.limit]
    with open_paid("translate", p, plan) as rewriter:

        def planned(drafts: Sequence[Draft], /) -> Iterator[Sequence[str]]:
            list(rewriter(drafts))
            return (draft.texts for draft in drafts)

        settings = p.translate
        rewrite(
            entries,
            planned,
            copies=settings.copies,
            min_length_ratio=settings.min_length_ratio,
            max_length_ratio=settings.max_length_ratio,
        )
    return {}, []


def _reason_true(p: params.Params, plan: Plan, store: Store) -> Planned:
    raw, copies, notes = _problems(p)
    settings = p.reason_true
    with open_writer("reason_true", settings, p, settings.adapter, plan) as (writer, sampler):
        for entries in (raw, copies):
            plan.next_part(certain=entries is raw or not notes)
            reason_true.write(entries, p, writer, sampler, store)
    if settings.only_wrong:
        notes.append("only_wrong: all questions are counted, not those alone that the plain generator will get wrong")
    return {"texts": settings.attempts if draws_all(settings.choose, settings.only_uncertain) else 1}, notes


def _reason_false(p: params.Params, plan: Plan, store: Store) -> Planned:
    raw, copies, notes = _problems(p)
    settings = p.reason_false
    limited = reason_false.limited(raw, copies, settings.limit)
    with open_writer("reason_false", settings, p, plan=plan) as (writer, sampler):
        for part, entries in enumerate(limited):
            plan.next_part(certain=not (part and notes))
            explain_wrong(list(entries), writer, sampler, settings.negatives)
    both = 2 if settings.negatives == "sampled" else 1  # a wrong text and a right one are never the same
    return {"texts": min(both, settings.attempts)}, notes


def _infer(p: params.Params, plan: Plan, store: Store) -> Planned:
    _needed("data/dev.jsonl", "prepare")
    if p.rag.k:
        _needed("models/index", "index")
    if p.infer.adapter:
        _needed("models/adapter", "finetune")
    notes, scorer = list[str](), Path("models/scorer")
    score: ScoreMany = unscored
    if scorer.is_dir():
        score = known_scores(scorer, store)
    elif p.max_resample:
        notes.append("no scorer is trained yet, so how many samples it will have drawn again is a guess")
    problems = infer.read_problems(p)
    sources = sources_of(p, Path("models/adapter"), Path("models/preferred"))
    with open_sources("infer", sources, p.providers, plan=plan) as sampler:
        shown = infer.examples_of(problems, p, store)
        answer(p, shown, infer.prompting_of(p, sources), sampler, score, store)
    return {}, notes


def _problems(p: params.Params) -> tuple[list[Entry], list[Entry], list[str]]:
    """The problems, their copies, and a note where the originals have to stand in for these."""
    raw = _entries("data/entries_raw.pkl", "prepare")
    if Path("data/entries_aug.pkl").exists():
        return raw, load_pickle("data/entries_aug.pkl"), []
    if p.translate.backend == "none":
        return raw, [], []
    copies = [
        replace(entry, id=f"{entry.id}~{number + 1}")
        for entry in raw[: p.translate.limit]
        for number in range(p.translate.copies)
    ]
    return (
        raw,
        copies,
        ["translate has not run yet: its copies are taken to be like their originals, none being dropped"],
    )


def _entries(path: str, stage: str) -> list[Entry]:
    _needed(path, stage)
    return load_pickle(path)


def _needed(path: str, stage: str) -> None:
    if not Path(path).exists():
        raise NotYet(f"{path} is not there yet: run `dvc repro {stage}` first")


PLANS: dict[str, Callable[[params.Params, Plan, Store], Planned]] = {
    "translate": _translate,
    "reason_true": _reason_true,
    "reason_false": _reason_false,
    "infer": _infer,
}


# --- one stage


def estimate(stage: str, p: params.Params, store: Store) -> Estimate:
    """What `stage` would take. Raises AugenError for what the stage itself would refuse."""
    found = Estimate(stage, _source(stage, p))
    if found.source == HERE and stage == "translate":
        return replace(found, notes=[f"{p.translate.backend}: no requests"])
    plan = Plan(by_question=stage == "infer")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            least, found.notes = PLANS[stage](p, plan, store)
    except NotYet as error:
        return replace(found, notes=[str(error)])
    if found.source == HERE:
        found.lines = forecasts(plan, stage, least, lambda answer: None, {})
        return found
    settings = getattr(p.providers, found.source)
    found.currency, found.rounds = settings.currency, plan.rounds
    found.lines = forecasts(plan, stage, least, prices_of(settings), store.spending(found.source))
    here = total([line.requests for line in found.lines if line.model in NAMES])
    found.lines = [line for line in found.lines if line.model not in NAMES]
    if here.high:
        found.notes.append(f"{_spread(here)} further samples are to be drawn on this machine")
    return found


def prices_of(settings: params.ProviderLimits) -> Cost:
    """What a reply costs: in a batch, where requests go out in batches."""
    if isinstance(settings, params.Tencent):
        return by_characters(settings.price)
    assert isinstance(settings, params.Chat)
    singly, batch = by_tokens(settings.prices), _in_batches(settings)
    return lambda answer: singly({**answer, "batch": batch})


def _in_batches(settings: params.ProviderLimits) -> bool:
    return isinstance(settings, params.OpenAI) and settings.batch


def _source(stage: str, p: params.Params) -> str:
    named = {
        "translate": p.translate.llm.provider if p.translate.backend == "llm" else p.translate.backend,
        "reason_true": p.reason_true.backend,
        "reason_false": p.reason_false.backend,
        "infer": next((e for e in (p.infer.engine, *(o.engine for o in p.infer.others)) if e in SERVED), HERE),
    }[stage]
    return named if named in (*SERVED, "tencent") else HERE


# --- the screen


def page(estimates: Sequence[Estimate], p: params.Params, width: int = 200) -> str:
    """The table of what is paid for, that of what is drawn here, and the notes, for a screen of `width` columns."""
    paid = [e for e in estimates if e.source != HERE]
    parts = [_paid_table(paid, width), *_notes(((e.stage, line) for e in paid for line in _said(e, p)), width)]
    local = [e for e in estimates if e.source == HERE]
    if local:
        parts += ["", "On this machine:", _local_table(local)]
        parts += _notes(((e.stage, note) for e in local for note in e.notes if e.lines), width)
    return "\n".join(parts)


def _notes(notes: Iterable[tuple[str, str]], width: int) -> list[str]:
    return [
        textwrap.fill(f"{stage}: {note}", width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
        for stage, note in notes
    ]


def _paid_table(estimates: Sequence[Estimate], width: int) -> str:
    rows = [
        (
            e.stage if n == 0 else "",
            " ".join(filter(None, (line.model or e.source, "" if line.kind == "texts" else line.kind))),
            f"{line.stored:,}",
            _spread(line.requests),
            *_amounts(line, e.currency),
        )
        for e in estimates
        for n, line in enumerate(e.lines)
    ]
    if not rows:
        return "" if estimates else "No stage uses a provider that is paid."
    header = ("stage", "model", "stored", "to send", "in", "out", COST)
    table = tabulate(rows, header, colalign=("left", "left", *["right"] * 5))
    if len(table.partition("\n")[0]) > width:
        table = _narrow(rows)
    return f"{table}\n\n{_sum(estimates)}\n"


def _narrow(rows: Iterable[tuple[str, ...]]) -> str:
    """The same with several lines in a cell."""
    cells = [
        (
            "\n".join(filter(None, (stage, *(f"  {word}" for word in model.split())))),
            "\n".join(filter(None, (count, sent and f"{sent} in", replied and f"{replied} out", f"{stored} stored"))),
            cost,
        )
        for stage, model, stored, count, sent, replied, cost in rows
    ]
    header = ("stage, model", "to send", COST)
    return tabulate(cells, header, colalign=("left", "right", "right"), disable_numparse=True, preserve_whitespace=True)


def _amounts(line: Forecast, currency: str) -> tuple[str, str, str]:
    """What is sent, what is replied, the cost; nothing where all is stored."""
    if not line.requests.high:
        return "", "", ""
    replied = f"{_count(line.replied.likely)} (at most {_count(line.replied.high)})" if line.replied.high else ""
    return f"{_count(line.sent.likely)} {line.unit}", replied, _money(line.cost, currency)


def _sum(estimates: Sequence[Estimate]) -> str:
    """Currencies are never added up."""
    sums = []
    for currency in sorted({e.currency for e in estimates}):
        lines = [line for e in estimates if e.currency == currency for line in e.lines]
        if known := [line.cost for line in lines if line.cost is not None]:
            sums.append(_money(total(known), currency))
    text = f"All together: {' and '.join(sums) or 'no price is known'}"
    lacking = sorted({line.model for e in estimates for line in e.lines if line.cost is None})
    return f"{text}, without {', '.join(lacking)}, which has no price" if lacking and sums else text


def _said(e: Estimate, p: params.Params) -> list[str]:
    if not e.lines:
        return e.notes
    lines = [line for line in e.lines if line.requests.high]
    lacking = list(dict.fromkeys(line.model or e.source for line in lines))
    known: dict[str, list[str]] = {}
    for line in lines:
        known.setdefault(line.known, []).append(line.model or e.source)
    settings = getattr(p.providers, e.source)
    return [
        _time(e, settings),
        *(_batch_prices(lacking, settings) if _in_batches(settings) else ()),
        *e.notes,
        *(f"{', '.join(dict.fromkeys(models))}: {source}" for source, models in known.items()),
    ]


def _batch_prices(models: Sequence[str], settings: params.OpenAI) -> list[str]:
    """What the cost in the table is: the models' share for batches, or their whole price."""
    shares = {price.model: price.batch for price in settings.prices}
    said = [f"{model} at {share:.0%} of its price" for model in models if (share := shares.get(model)) is not None]
    whole = [model for model in models if model in shares and shares[model] is None]
    if whole:
        said.append(f"{', '.join(whole)} at the whole price (no batch in providers.openai.prices)")
    return [f"cost in batches: {'; '.join(said)}"] if said else []


def _time(e: Estimate, settings: params.ProviderLimits) -> str:
    requests = total([line.requests for line in e.lines])
    tokens = total([Range(*map(sum, zip(line.sent, line.replied, strict=True))) for line in e.lines])
    if not requests.high:
        return "everything is stored, nothing is to be sent"
    if isinstance(settings, params.OpenAI) and settings.batch:
        rounds = f"{e.rounds} rounds, one after the other" if e.rounds > 1 else "one round"
        return f"in batches: at most {rounds}, each answered within {settings.batch_window}"
    limits = [
        (settings.requests_per_second, 1, requests, "requests a second"),
        (settings.requests_per_minute, 60, requests, "requests a minute"),
        (settings.tokens_per_minute if isinstance(settings, params.Chat) else None, 60, tokens, "tokens a minute"),
    ]
    times = [
        (MARGIN * amount.likely / limit * period, MARGIN * amount.high / limit * period, f"{limit:,g} {name}")
        for limit, period, amount, name in limits
        if limit is not None
    ]
    if not times:
        return f"no rate limit is set; {settings.concurrency} requests at a time"
    likely, high, limit = max(times)
    return f"about {duration(likely)} at {limit}" + (f", at most {duration(high)}" if high > 1.1 * likely else "")


def _local_table(estimates: Sequence[Estimate]) -> str:
    rows = []
    for e in estimates:
        if not e.lines:
            rows.append((e.stage, "", "", "", "; ".join(e.notes) + _last(e.stage)))
            continue
        drawn, out = total([line.requests for line in e.lines]), total([line.replied for line in e.lines])
        speed = SPEEDS / e.stage
        if not drawn.high:
            time = "everything is stored"
        elif speed.exists():
            rate = float(speed.read_text(encoding="utf-8"))
            time = f"{duration(out.likely / rate)} at {rate:,.0f} tokens a second, as when it last drew"
        else:
            time = f"not known: its speed here was not measured yet{_last(e.stage)}"
        stored = sum(line.stored for line in e.lines)
        out_text = f"{_count(out.likely)} (at most {_count(out.high)})" if drawn.high else ""
        rows.append((e.stage, f"{stored:,}", _spread(drawn), out_text, time))
    header = ("stage", "stored", "to draw", "tokens out", "time")
    return tabulate(rows, header, colalign=("left", "right", "right", "right", "left"), disable_numparse=True)


def _last(stage: str) -> str:
    file = TIMES / stage
    return f" (its last run took {duration(float(file.read_text(encoding='utf-8')))})" if file.exists() else ""


def _spread(amount: Range) -> str:
    low, likely, high = (round(each) for each in amount)
    return f"{likely:,}" if low == high else f"{likely:,} ({low:,} to {high:,})"


def _money(cost: Range | None, currency: str) -> str:
    return "no price" if cost is None else f"{cost.low:,.2f} – {cost.likely:,.2f} – {cost.high:,.2f} {currency}"


def _count(amount: float) -> str:
    """
    >>> _count(812), _count(45_300), _count(1_234_000)
    ('812', '45.3k', '1.23M')
    """
    if amount >= 1e6:
        return f"{amount / 1e6:,.2f}M"
    return f"{amount / 1e3:.1f}k" if amount >= 1e4 else f"{amount:,.0f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m tools.estimate``; returns the exit status."""
    parser = _command_line()
    asked = parser.parse_args(arguments).stages or list(PLANS)
    if unknown := [stage for stage in asked if stage not in PLANS]:
        parser.error(f"{unknown[0]} is none of {', '.join(PLANS)}")
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        p = params.load(*params.Params.model_fields)
        with Store(default_path()) as store:
            estimates = [estimate(stage, p, store) for stage in PLANS if stage in asked]
        print(writable(page(estimates, p, get_terminal_size((200, 50)).columns), sys.stdout.encoding))
    except AugenError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.estimate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=", ".join(PLANS))
    return parser


if __name__ == "__main__":
    sys.exit(main())
