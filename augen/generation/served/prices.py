"""What an answer costs, by the prices in params.yaml: a `Cost` for each kind of them. Sums stay in one currency."""

from collections.abc import Mapping, Sequence
from typing import Any

from augen.core import params
from augen.core.errors import AugenError
from augen.generation.served.account import Cost


def by_characters(million: float) -> Cost:
    """So much for every million characters."""
    return lambda answer: float(answer["characters"]) * million / 1e6


def by_tokens(prices: Sequence[params.Price]) -> Cost:
    """So much for every million tokens of a prompt and of a reply, by model.

    Cached tokens are among ``prompt_tokens``; an answer that came in a batch costs a share. What one without any token
    costs is not known: its server did not say how many they were.

    >>> cost = by_tokens([params.Price(model="m", prompt=2.0, reply=8.0, cached=0.5, batch=0.5)])
    >>> answer = {"author": "m", "prompt_tokens": 1000, "cached_tokens": 400, "tokens": 100}
    >>> round(1e6 * cost(answer)), round(1e6 * cost({**answer, "batch": True})), cost({**answer, "author": "other"})
    (2200, 1100, None)
    """
    by_model = {price.model: price for price in prices}

    def cost(answer: Mapping[str, Any]) -> float | None:
        if (price := by_model.get(answer["author"])) is None:
            return None
        prompt, reply = answer["prompt_tokens"], answer["tokens"]
        if not (prompt or reply) and (price.prompt or price.reply):
            return None
        cached = min(answer.get("cached_tokens", 0), prompt)
        of_cached = price.prompt if price.cached is None else price.cached
        whole = ((prompt - cached) * price.prompt + cached * of_cached + reply * price.reply) / 1e6
        return whole * price.batch if answer.get("batch") and price.batch is not None else whole

    return cost


def check_budget(provider: str, settings: params.Chat, models: Sequence[str]) -> None:
    """Raise AugenError where there is a budget, and one of `models` has no price."""
    priced = {price.model for price in settings.prices}
    lacking = [model for model in models if model not in priced]
    if settings.budget is not None and lacking:
        raise AugenError(
            f"providers.{provider}.budget is {settings.budget:g} {settings.currency}, but {', '.join(lacking)} has no "
            f"price, so what it costs cannot be counted: add it to providers.{provider}.prices, or set budget to null"
        )
