"""A runner with its store and its account, as a stage uses it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from augen.core import params
from augen.generation.served.account import Account, Price
from augen.generation.served.failures import keep_failures
from augen.generation.served.limits import Limit
from augen.generation.served.runner import Provider, Runner
from augen.store.responses import Store, default_path


@contextmanager
def open_runner(
    stage: str, provider: str, open_provider: Callable[[], Provider], settings: params.ProviderLimits, price: Price
) -> Iterator[Runner]:
    """A `Runner` at the limits of `settings`; the account is printed and kept as that of `stage`, however it ends."""
    account = Account(provider, price)
    with (
        Store(default_path()) as store,
        Runner(
            provider,
            open_provider,
            store,
            account,
            limits_of(settings),
            concurrency=settings.concurrency,
            retries=settings.retries,
            label=stage,
        ) as runner,
    ):
        try:
            yield runner
        finally:
            print(account)
            account.keep(stage)
            keep_failures(stage, runner.failures)


def limits_of(settings: params.ProviderLimits) -> list[Limit]:
    """The limits that are set."""
    limits = []
    if settings.requests_per_second is not None:
        limits.append(Limit("requests", settings.requests_per_second, 1.0))
    if settings.requests_per_minute is not None:
        limits.append(Limit("requests", settings.requests_per_minute, 60.0))
    if isinstance(settings, params.Chat) and settings.tokens_per_minute is not None:
        limits.append(Limit("tokens", settings.tokens_per_minute, 60.0))
    return limits
