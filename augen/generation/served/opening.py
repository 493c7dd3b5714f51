"""A runner with its store and its account, as a stage uses it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from augen.core import params
from augen.generation.served.account import Account, Cost
from augen.generation.served.failures import keep_failures
from augen.generation.served.limits import Limit, Pace
from augen.generation.served.runner import Provider, Runner
from augen.generation.served.sent import Kind
from augen.store.responses import Store, default_path


@contextmanager
def open_runner(
    stage: str,
    provider: str,
    base_url: str,
    open_provider: Callable[[], Provider],
    providers: params.Providers,
    cost: Cost,
) -> Iterator[Runner]:
    """A `Runner` at the pace of `provider` at `base_url`, which all processes that share the store keep together.

    Its account is printed and kept as that of `stage`, however it ends.

    Raises AugenError at the end where nothing usable arrived, or more than ``max_refused`` was refused. Before that end
    the stage itself keeps its failures, under the ids of its questions.
    """
    settings: params.ProviderLimits = getattr(providers, provider)
    account = Account(provider, cost, stage, settings.currency)
    pace = Pace(
        _limits(settings),
        settings.concurrency,
        settings.retries,
        providers.max_wait_s,
        providers.max_request_s,
        endpoint=f"{provider} {base_url}",
    )
    with (
        Store(default_path()) as store,
        Runner(open_provider, store, account, pace, label=stage, budget=settings.budget) as runner,
    ):
        try:
            yield runner
        finally:
            print(account)
            account.keep(stage)
            store.put_many({}, {heading: vars(bill) for heading, bill in account.saved.items()})
            if runner.failures:
                keep_failures(stage, runner.failures)
        runner.check_refusals(providers.max_refused)


def _limits(settings: params.ProviderLimits) -> list[Limit]:
    amounts: list[tuple[Kind, float | None, float]] = [
        ("requests", settings.requests_per_second, 1.0),
        ("requests", settings.requests_per_minute, 60.0),
        ("tokens", settings.tokens_per_minute if isinstance(settings, params.Chat) else None, 60.0),
    ]
    return [Limit(kind, amount, period_s) for kind, amount, period_s in amounts if amount is not None]
