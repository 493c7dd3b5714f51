"""Requests, answers and cost, for the screen and for reports/usage.json."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from augen.core.files import write_json

USAGE = Path("reports/usage.json")
Answer = dict[str, Any]  # as it is stored; its fields characters, prompt_tokens and tokens are what was billed
Cost = Callable[[Mapping[str, Any]], float | None]  # None: params.yaml has no price for it


@dataclass
class Bill:
    """The sum over some answers, each counted once."""

    answers: int = 0
    characters: int = 0
    prompt_tokens: int = 0
    tokens: int = 0  # generated
    cost: float = 0.0
    unpriced: int = 0  # answers without a price

    def add(self, answer: Mapping[str, Any], cost: float | None) -> None:
        self.answers += 1
        self.characters += answer.get("characters", 0)
        self.prompt_tokens += answer.get("prompt_tokens", 0)
        self.tokens += answer.get("tokens", 0)
        self.cost += cost or 0.0
        self.unpriced += cost is None

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
    cost: Cost
    requests: int = 0  # sent, failed ones included
    retries: Counter[str] = field(default_factory=Counter)  # requests that had to be sent again, by cause
    refused: Counter[str] = field(default_factory=Counter)  # calls that will never be answered, by cause
    paid: Bill = field(default_factory=Bill)  # answers that arrived in this run
    stored: Bill = field(default_factory=Bill)  # answers that an earlier run, or another process, paid for
    unusable: Bill = field(default_factory=Bill)  # replies that were billed and are no answers

    def arrived(self, answer: Answer) -> None:
        self.paid.add(answer, self.cost(answer))

    def wasted(self, billed: Mapping[str, Any]) -> None:
        self.unusable.add(billed, self.cost(billed))

    def found(self, answer: Answer) -> None:
        self.stored.add(answer, self.cost(answer))

    def as_dict(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "requests": self.requests,
            "retries": dict(sorted(self.retries.items())),
            "refused": dict(sorted(self.refused.items())),
            "paid": self.paid.as_dict(),
            "from_store": self.stored.as_dict(),
            "unusable": self.unusable.as_dict(),
        }

    def __str__(self) -> str:
        lines = [f"{self.provider}: {self.requests:,} requests; paid: {self.paid}; from the store: {self.stored}"]
        if self.unusable.answers:
            lines.append(f"{self.provider}: billed, but unusable: {self.unusable}".replace(" answers", " replies"))
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
