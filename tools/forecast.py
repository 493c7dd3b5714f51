"""From what a stage would ask for (`augen.generation.planning`) to what that comes to: low, likely, high.

``low``     only the requests that are certain, with replies as short as is plausible
``likely``  the requests that are expected, each with a reply of the length that the model's replies had so far
``high``    every request that can become necessary, each with a reply of ``max_tokens``

As many tokens of the prompts are taken to be cached by the provider as were so far; for ``low`` as many as is plausible
(all of them, where the model was never asked), for ``high`` none.

What the model's replies were like is known from the stage's own stored answers, else from what the store has booked for
the model: for this stage, or else for all. Of a model never seen the likely reply is as long as it may be.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import NamedTuple

from augen.generation.planning import FEW, Packs, Plan, Seen, Wave
from augen.generation.served.account import Cost
from augen.store.spending import Amounts, Heading

# Tokens for a character of a prompt, where a model was never seen: hardly ever more than one in Chinese and English.
PER_CHARACTER = (0.4, 0.7, 1.0)
LONGER = (0.5, 1.0, 2.0)  # a translation, as a share of what it translates, where none was seen
MUCH_ALIKE = (0.9, 1.0, 1.1)  # the same, where some were
SURE = 3.0  # standard errors between low and likely


class Range(NamedTuple):
    low: float
    likely: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """What is asked of one model for one kind of text, and what comes back. `unit` is that of both."""

    model: str
    kind: str
    stored: int
    requests: Range
    unit: str
    sent: Range
    replied: Range
    cost: Range | None  # None: the model has no price
    known: str  # where all this is known from


def total(ranges: Sequence[Range]) -> Range:
    """
    >>> total([Range(1, 2, 3), Range(0, 1, 9)])
    Range(low=1, likely=3, high=12)
    """
    return Range(*map(sum, zip(*ranges, strict=True))) if ranges else Range(0, 0, 0)


def forecasts(
    plan: Plan, stage: str, least: Mapping[str, int], cost: Cost, booked: Mapping[Heading, Amounts]
) -> list[Forecast]:
    """One for each model and kind of text in `plan`.

    `least` has the number of waves that are certain, by kind; `booked` is the spending at this provider.
    """
    found = []
    for kind, model in sorted({*plan.stored, *plan.need}):
        seen, known = plan.seen[kind, model], "expected from the replies that this stage has already"
        if seen.answers < FEW:
            seen, known = _booked(stage, model, booked)
        need, waves = plan.need[kind, model], least.get(kind, 1)
        requests, characters, most = (_expected(plan, kind, each, waves) for each in vars(need).values())
        sent = _sent(characters, seen)
        replied = _replied(requests, most, seen)
        amounts = zip(sent, replied, _cached(requests, seen), strict=True)
        prices = [_cost(cost, model, *each) for each in amounts]
        known_prices = [price for price in prices if price is not None]
        found.append(
            Forecast(
                model, kind, plan.stored[kind, model], requests, "tokens", sent, replied,
                Range(*known_prices) if len(known_prices) == len(prices) else None, known,
            )
        )  # fmt: skip
    return found + ([_of_packs(plan.packs, cost)] if plan.packs.requests or plan.packs.stored else [])


def _expected(plan: Plan, kind: str, amounts: Mapping[Wave, int], least: int) -> Range:
    """How much of `amounts` is certain, expected, possible."""
    certain = sum(amount for wave, amount in amounts.items() if wave.is_certain(least))
    likely = sum(amount * plan.likely(kind, wave, least) for wave, amount in amounts.items())
    return Range(certain, likely, sum(amounts.values()))


def _sent(characters: Range, seen: Seen) -> Range:
    """The tokens of the prompts."""
    known = seen.prompt_tokens / seen.characters if seen.characters else 0.0
    factors = (known, known, known) if known else PER_CHARACTER
    return Range(*(amount * factor for amount, factor in zip(characters, factors, strict=True)))


def _replied(requests: Range, most: Range, seen: Seen) -> Range:
    """The tokens of the replies."""
    if not seen.answers:
        return Range(0, most.likely, most.high)
    n, mean = seen.requests, seen.tokens / seen.requests
    variance = max(0.0, seen.squares / n - mean**2) if seen.squares else mean**2
    error = SURE * sqrt(variance * requests.low * (1 + requests.low / n))
    likely = min(requests.likely * mean, most.high)
    return Range(max(0.0, min(likely, requests.low * mean - error)), likely, most.high)


def _cached(requests: Range, seen: Seen) -> Range:
    """Which share of the prompts' tokens is cached where all together cost `low`, `likely` and `high`."""
    if not seen.prompt_tokens:
        return Range(1.0, 0.0, 0.0)
    share = seen.cached_tokens / seen.prompt_tokens
    error = SURE * sqrt(share * (1 - share) * (1 / seen.answers + 1 / max(1.0, requests.low)))
    return Range(min(1.0, share + error), share, 0.0)


def _cost(cost: Cost, model: str, sent: float, replied: float, cached: float) -> float | None:
    """None: the model has no price. Nothing sent costs nothing, where a reply without any token has no known cost."""
    nothing = not (sent or replied)
    counted = {"prompt_tokens": 1} if nothing else {"prompt_tokens": sent, "cached_tokens": sent * cached}
    price = cost({"author": model, "tokens": replied, **counted})
    return 0.0 if nothing and price is not None else price


def _booked(stage: str, model: str, booked: Mapping[Heading, Amounts]) -> tuple[Seen, str]:
    """What is known of `model` from other requests: for this stage, or else for all."""
    paid = [(h, a) for h, a in booked.items() if h.kind == "paid" and h.model == model]
    own = [(h, a) for h, a in paid if h.stage == stage]
    if sum(a["answers"] for _, a in own) < FEW:
        own = paid
    seen = Seen(
        *(
            sum(int(a[name]) for _, a in own)
            for name in ("answers", "asked", "prompt_tokens", "cached_tokens", "tokens")
        )
    )
    stages = sorted({heading.stage for heading, _ in own})
    return (
        seen,
        f"expected from replies in {', '.join(stages)}"
        if stages
        else "never asked so far: how long it replies is a guess",
    )


def _of_packs(packs: Packs, cost: Cost) -> Forecast:
    factors = MUCH_ALIKE if packs.before else LONGER
    characters = Range(*(packs.characters + packs.guessed * factor for factor in factors))
    expected = characters.likely or 1
    rounded: Sequence[Callable[[float], float]] = (int, int, ceil)
    requests = [r(packs.requests * each / expected) for r, each in zip(rounded, characters, strict=True)]
    costs = [cost({"characters": amount}) or 0.0 for amount in characters]
    known = (
        "expected from the translations that the store has"
        if packs.before
        else "nothing is translated yet: how long translations are is a guess"
    )
    nothing = Range(0, 0, 0)
    return Forecast(
        "", "texts", packs.stored, Range(*requests), "characters", characters, nothing, Range(*costs), known
    )
