"""Requests, answers and cost, for the screen and for reports/usage.json."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from augen.core.files import write_json
from augen.store.spending import Amounts, Heading

USAGE = Path("reports/usage.json")
Answer = dict[str, Any]  # as it is stored; its fields characters, prompt_tokens and tokens are what was billed
Cost = Callable[[Mapping[str, Any]], float | None]  # None: params.yaml has no price for it, or nobody counted


@dataclass
class Bill:
    """The sum over some answers, each counted once."""

    answers: int = 0
    asked: int = 0  # characters of the prompts, where the store's spending is summed up
    characters: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0  # of the prompts' tokens, those that the provider had cached
    tokens: int = 0  # generated
    cost: float = 0.0
    unpriced: int = 0  # answers without a price, or whose tokens the server did not count

    def add(self, answer: Mapping[str, Any], cost: float | None) -> None:
        self.answers += 1
        self.asked += answer.get("asked", 0)
        self.characters += answer.get("characters", 0)
        self.prompt_tokens += answer.get("prompt_tokens", 0)
        self.cached_tokens += answer.get("cached_tokens", 0)
        self.tokens += answer.get("tokens", 0)
        self.cost += cost or 0.0
        self.unpriced += cost is None

    def as_dict(self) -> dict[str, Any]:
        """For a file; what is not known of every answer only where there is any."""
        found = {**vars(self), "cost": round(self.cost, 6)}
        return {name: value for name, value in found.items() if value or name not in ("asked", "cached_tokens")}

    def text(self, currency: str) -> str:
        parts = [f"{self.answers:,} answers"]
        if self.characters:
            parts.append(f"{self.characters:,} characters")
        if self.prompt_tokens or self.tokens:
            parts.append(f"{self.prompt_tokens:,} + {self.tokens:,} tokens")
        if self.unpriced < self.answers or not self.answers:
            parts.append(f"cost {self.cost:.2f} {currency}".rstrip())
        if self.unpriced:
            parts.append(f"{self.unpriced:,} without a price")
        return ", ".join(parts)


@dataclass
class Account:
    """One stage's dealings with one provider in one run."""

    provider: str
    cost: Cost
    stage: str = ""
    currency: str = ""
    requests: int = 0  # sent, failed ones included
    retries: Counter[str] = field(default_factory=Counter)  # requests that had to be sent again, by cause
    refused: Counter[str] = field(default_factory=Counter)  # calls that will never be answered, by cause
    paid: Bill = field(default_factory=Bill)  # answers that arrived in this run
    stored: Bill = field(default_factory=Bill)  # answers that an earlier run, or another process, paid for
    unusable: Bill = field(default_factory=Bill)  # replies that were billed and are no answers
    saved: dict[Heading, Bill] = field(default_factory=dict)  # `stored`, by heading, to be booked at the end

    def arrived(self, answer: Answer) -> None:
        self.paid.add(answer, self.cost(answer))

    def wasted(self, billed: Mapping[str, Any]) -> None:
        self.unusable.add(billed, self.cost(billed))

    def found(self, answer: Answer) -> None:
        self.stored.add(answer, self.cost(answer))
        self._enter(self.saved, "saved", answer)

    def booked(self, kind: str, answers: Iterable[Mapping[str, Any]]) -> dict[Heading, Amounts]:
        """What the store books for `answers`, which were ``paid`` for or are ``unusable``."""
        bills: dict[Heading, Bill] = {}
        for answer in answers:
            self._enter(bills, kind, answer)
        return {heading: vars(bill) for heading, bill in bills.items()}

    def _enter(self, bills: dict[Heading, Bill], kind: str, answer: Mapping[str, Any]) -> None:
        cost = self.cost(answer)
        currency = "" if cost is None else self.currency
        heading = Heading(date.today().isoformat(), self.provider, self.stage, answer.get("author", ""), currency, kind)
        bills.setdefault(heading, Bill()).add(answer, cost)

    def as_dict(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "currency": self.currency,
            "requests": self.requests,
            "retries": dict(sorted(self.retries.items())),
            "refused": dict(sorted(self.refused.items())),
            "paid": self.paid.as_dict(),
            "from_store": self.stored.as_dict(),
            "unusable": self.unusable.as_dict(),
        }

    def __str__(self) -> str:
        lines = [f"{self.provider}: {self.requests:,} requests; paid: {self.paid.text(self.currency)}"]
        lines[0] += f"; from the store: {self.stored.text(self.currency)}"
        if self.unusable.answers:
            unusable = self.unusable.text(self.currency).replace(" answers", " replies")
            lines.append(f"{self.provider}: billed, but unusable: {unusable}")
        for name, counts in (("sent again", self.retries), ("refused", self.refused)):
            if counts:
                causes = ", ".join(f"{count} {cause}" for cause, count in sorted(counts.items()))
                lines.append(f"{self.provider}: {counts.total()} {name} ({causes})")
        return "\n".join(lines)

    def keep(self, stage: str, path: Path = USAGE) -> None:
        """Write this account into `path` as that of `stage`; the other stages' accounts there stay."""
        try:
            accounts = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            accounts = {}
        write_json(path, dict(sorted({**accounts, stage: self.as_dict()}.items())))
