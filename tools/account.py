"""What paid models have cost: by stage and model, by day, and what the store has saved.

    python -m tools.account
    python -m tools.account --cancel

It is kept in the response store, over all runs and processes. Amounts in several currencies are never added up.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from shutil import get_terminal_size

from tabulate import tabulate

from augen.core import params
from augen.core.errors import AugenError
from augen.core.terminal import writable
from augen.generation.served.account import Bill
from augen.generation.served.batch_records import Record, running
from augen.generation.served.batches import cancel
from augen.generation.served.budget import SPENT
from augen.store.responses import Store, default_path
from augen.store.spending import Amounts, Heading
from tools.times import duration

Spending = Mapping[Heading, Amounts]
NOTHING = "Nothing was spent so far."


def page(spending: Spending, providers: params.Providers, width: int = 200) -> str:
    """A line for each provider and currency, then the tables, for a screen of `width` columns."""
    if not spending:
        return NOTHING
    return "\n\n".join(("\n".join(_headlines(spending, providers)), _by_stage(spending, width), _by_day(spending)))


def _headlines(spending: Spending, providers: params.Providers) -> list[str]:
    lines = []
    for (provider, currency), own in _grouped(spending, lambda h: (h.provider, h.currency)).items():
        spent, saved = _bill(own, SPENT), _bill(own, ("saved",))
        if not currency:
            answers = f"{spent.answers:,} answers without a price, {saved.answers:,} more from the store"
            lines.append(f"{provider}: {answers}")
            continue
        settings: params.ProviderLimits = getattr(providers, provider)
        budget = (
            "no budget" if settings.budget is None else f"of a budget of {settings.budget:,.2f} {settings.currency}"
        )
        mine = f" ({budget})" if settings.currency == currency else ""
        lines.append(
            f"{provider}: {spent.cost:,.2f} {currency} spent{mine}, {saved.cost:,.2f} {currency} saved by the store"
        )
    return lines


def _by_stage(spending: Spending, width: int) -> str:
    rows = []
    for key, own in _grouped(spending, lambda h: (h.stage, h.provider, h.model, h.currency)).items():
        stage, provider, model, currency = key
        paid, wasted, saved = (_bill(own, (kind,)) for kind in ("paid", "unusable", "saved"))
        sent = paid.prompt_tokens + wasted.prompt_tokens
        cached = paid.cached_tokens + wasted.cached_tokens
        rows.append(
            (
                stage,
                f"{model} ({provider})" if model else provider,
                f"{paid.answers:,}" + (f" + {wasted.answers:,} unusable" if wasted.answers else ""),
                f"{sent:,} tokens" + (f", {cached:,} cached" if cached else "")
                if sent
                else f"{paid.characters:,} chars",
                f"{paid.tokens + wasted.tokens:,} tokens" if sent else "",
                f"{paid.cost + wasted.cost:,.2f} {currency}" if currency else "no price",
                f"{saved.answers:,}",
                f"{saved.cost:,.2f} {currency}" if currency else "",
            )
        )
    header = ("stage", "model", "paid answers", "in", "out", "spent", "from the store", "saved")
    table = tabulate(rows, header, colalign=("left", "left", *["right"] * 6), disable_numparse=True)
    return table if len(table.partition("\n")[0]) <= width else _narrow(rows)


def _narrow(rows: Iterable[tuple[str, ...]]) -> str:
    """The same with several lines in a cell."""
    cells = [
        (
            f"{stage}\n  {model}",
            "\n".join(filter(None, (paid, sent and f"{sent} in", replied and f"{replied} out"))),
            spent,
            "\n".join(filter(None, (answers, saved))),
        )
        for stage, model, paid, sent, replied, spent, answers, saved in rows
    ]
    header = ("stage, model", "paid answers", "spent", "from the store")
    colalign = ("left", *["right"] * 3)
    return tabulate(cells, header, colalign=colalign, disable_numparse=True, preserve_whitespace=True)


def _by_day(spending: Spending) -> str:
    paid = {heading: amounts for heading, amounts in spending.items() if heading.kind in SPENT}
    rows = [
        (day, provider, stage, f"{bill.answers:,}", f"{bill.cost:,.2f} {currency}" if currency else "no price")
        for (day, provider, stage, currency), own in _grouped(
            paid, lambda h: (h.day, h.provider, h.stage, h.currency)
        ).items()
        for bill in [_bill(own, SPENT)]
    ]
    header = ("day", "provider", "stage", "replies", "spent")
    return tabulate(rows, header, colalign=("left", "left", "left", "right", "right"), disable_numparse=True)


def _running(batches: Sequence[Record], now: float) -> str:
    rows = [
        (
            batch.id or "not begun yet",
            batch.model,
            f"{len(batch.keys):,}",
            f"{datetime.fromtimestamp(batch.since):%m-%d %H:%M} ({duration(now - batch.since)} ago)",
        )
        for batch in batches
    ]
    header, count = ("batch", "model", "requests", "since"), sum(len(batch.keys) for batch in batches)
    table = tabulate(rows, header, colalign=("left", "left", "right", "left"), disable_numparse=True)
    return (
        f"Running, not paid yet: {count:,} requests in {_batches(len(batches))}. Their stage fetches the answers,\n"
        f"now or when it is started again.\n\n{table}"
    )


def _batches(count: int) -> str:
    return "1 batch" if count == 1 else f"{count:,} batches"


def _grouped(spending: Spending, by: Callable[[Heading], tuple[str, ...]]) -> dict[tuple[str, ...], Spending]:
    groups: dict[tuple[str, ...], dict[Heading, Amounts]] = {}
    for heading, amounts in spending.items():
        groups.setdefault(by(heading), {})[heading] = amounts
    return {key: groups[key] for key in sorted(groups)}


def _bill(spending: Spending, kinds: Iterable[str]) -> Bill:
    """The sum of what is of one of `kinds`."""
    amounts = [own for heading, own in spending.items() if heading.kind in kinds]
    return Bill(**{name: sum(own.get(name, 0) for own in amounts) for name in vars(Bill())})  # type: ignore[arg-type]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m tools.account``; returns the exit status."""
    options = _command_line().parse_args(arguments)
    try:
        p = params.load("providers")
        with Store(default_path()) as store:
            if options.cancel:
                print("\n".join(cancel(store, p.providers.openai)) or "no batch is running")
                return 0
            spent = page(store.spending(), p.providers, get_terminal_size((200, 50)).columns)
            print(writable(spent, sys.stdout.encoding))
            if batches := running(store):
                print(f"\n{_running(batches, time.time())}")
    except AugenError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.account", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cancel",
        action="store_true",
        help="end the batches that are running, and say how far they got",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
