"""How much may be spent at a provider: by all stages, runs and processes that share the store."""

from collections.abc import Mapping
from datetime import date, timedelta
from math import inf

from augen.generation.served.errors import Misconfigured, QuotaUsedUp
from augen.store.responses import Store
from augen.store.spending import Amounts, Heading

SPENT = ("paid", "unusable")  # what of the store's spending has cost something
ROUNDING = 1e-9
OPEN_DAYS = 2  # before today, under which something is booked yet: processes may have other time zones


class BudgetReached(QuotaUsedUp):
    """Nothing more may be spent until ``providers.*.budget`` is raised."""


class Budget:
    """The budget of one provider, in the currency of its prices; no limit: None."""

    def __init__(self, store: Store, provider: str, currency: str, limit: float | None) -> None:
        self._store, self._provider, self._currency, self._limit = store, provider, currency, limit
        self._closed: tuple[str, float] | None = None  # the day from which on is booked, and what was spent before

    def check(self, coming: float) -> None:
        """Raise BudgetReached where the next request may not be sent.

        That is where what is spent and what is `coming` (the requests in flight, and this one) is more than the budget.
        What `coming` has to be guessed from does not matter much: requests of other processes are not in it anyway, so
        the budget can be exceeded by the requests that are in flight when it is reached.
        """
        if self._limit is None:
            return
        if (spent := self._spent()) >= self._limit or spent + coming > self._limit + ROUNDING:
            raise BudgetReached("the budget is reached")

    def check_known(self, unpriced: int) -> None:
        """Raise Misconfigured where it is not known what so many of the answers that arrived have cost."""
        if self._limit is None or not unpriced:
            return
        at = f"providers.{self._provider}"
        raise Misconfigured(
            f"{self._provider}: a reply does not say how many tokens it took (it has no usage), so what it cost cannot "
            f"be counted towards {at}.budget ({self._limit:g} {self._currency}); where replies are streamed, put "
            f"{{stream_options: {{include_usage: true}}}} into {at}.extra_body, or else set {at}.budget to null; what "
            "arrived is stored"
        )

    def left(self) -> float:
        """What may still be spent."""
        return inf if self._limit is None else max(0.0, self._limit - self._spent())

    def usual(self, stage: str) -> float:
        """What an answer has cost `stage` so far, on average; 0 where there is none."""
        if self._limit is None:
            return 0.0
        paid = [a for h, a in self._store.spending(self._provider).items() if (h.stage, h.kind) == (stage, "paid")]
        answers = sum(a["answers"] for a in paid)
        return sum(a["cost"] for a in paid) / answers if answers else 0.0

    def reached(self, stage: str, left: int) -> str:
        """What to tell a user whose `stage` had to end with so many answers `left`."""
        param = f"providers.{self._provider}.budget"
        return (
            f"{self._spent():.4g} of {self._limit:g} {self._currency} are spent, the next request might exceed that "
            f"budget ({param}); {self._rest(stage, left)}; raise {param}, or set it to null"
        )

    def _spent(self) -> float:
        """What the store's answers of this provider have cost, in this currency."""
        # Asked before every request: the rows of a year would take longer than many a request.
        open_from = (date.today() - timedelta(days=OPEN_DAYS)).isoformat()
        if self._closed is None or self._closed[0] != open_from:
            booked = self._store.spending(self._provider)
            self._closed = open_from, self._cost({h: a for h, a in booked.items() if h.day < open_from})
        return self._closed[1] + self._cost(self._store.spending(self._provider, open_from))

    def _cost(self, booked: Mapping[Heading, Amounts]) -> float:
        return sum(a["cost"] for h, a in booked.items() if h.kind in SPENT and h.currency == self._currency)

    def _rest(self, stage: str, left: int) -> str:
        """What `left` more answers would cost, going by those that `stage` has paid for."""
        if not (each := self.usual(stage)):
            return f"{left:,} are left"
        return f"{left:,} are left and would cost about {each * left:.2f} {self._currency} more"
