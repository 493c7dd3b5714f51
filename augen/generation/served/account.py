"""What was asked, answered and paid, for the screen and for reports/usage.json."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augen.core.files import write_json

USAGE = Path("reports/usage.json")
Value = Mapping[str, Any]  # a stored answer; its fields characters, prompt_tokens and tokens are what was billed
Price = Callable[[Value], float | None]  # None: there is no price for it in params.yaml


@dataclass
class Bill:
    """The sum over some answers, each counted once."""

    answers: int = 0
    characters: int = 0
    prompt_tokens: int = 0
    tokens: int = 0  # generated
    cost: float = 0.0
    unpriced: int = 0  # answers without a price

    def add(self, value: Value, price: float | None) -> None:
        self.answers += 1
        self.characters += value.get("characters", 0)
        self.prompt_tokens += value.get("prompt_tokens", 0)
        self.tokens += value.get("tokens", 0)
        self.cost += price or 0.0
        self.unpriced += price is None

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "cost": round(self.cost, 6)}

    def __str__(self) -> str:
        parts = [f"{self.answers:,} answers"]
        if self.characters:
            parts.append(f"{self.characters:,} characters")
        if self.prompt_tokens or self.tokens:
            parts.append(f"{self.prompt_tokens:,} + {self.tokens:,} tokens")
        parts.append(f"cost {self.cost:.2f}")
        if self.unpriced:
            parts.append(f"{self.unpriced:,} without a price")
        return ", ".join(parts)


@dataclass
class Account:
    """One stage's dealings with one provider in one run."""

    provider: str
    price: Price
    requests: int = 0  # sent, failed ones included
    retries: Counter[str] = field(default_factory=Counter)  # requests that had to be sent again, by cause
    refused: Counter[str] = field(default_factory=Counter)  # answers that there will never be, by cause
    paid: Bill = field(default_factory=Bill)  # answers that arrived in this run
    stored: Bill = field(default_factory=Bill)  # answers that an earlier run, or another process, had paid for

    def arrived(self, value: Value) -> None:
        self.paid.add(value, self.price(value))

    def found(self, value: Value) -> None:
        self.stored.add(value, self.price(value))

    def as_dict(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "requests": self.requests,
            "retries": dict(sorted(self.retries.items())),
            "refused": dict(sorted(self.refused.items())),
            "paid": self.paid.as_dict(),
            "from_store": self.stored.as_dict(),
        }

    def __str__(self) -> str:
        lines = [f"{self.provider}: {self.requests:,} requests; paid: {self.paid}; from the store: {self.stored}"]
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
