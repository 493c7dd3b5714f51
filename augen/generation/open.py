"""Where samples come from: the generator on a local engine, or models that a provider serves."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augen.core import params
from augen.generation.base import EngineSettings, Sampler
from augen.generation.engines import open_engine, resolve
from augen.generation.sampler import EngineSampler, Identity, telling
from augen.generation.served.opening import open_runner
from augen.generation.served.prices import by_tokens, check_budget
from augen.generation.served.runner import Provider
from augen.generation.served.sampler import ChatSampler
from augen.prompts.window import ServedWindow, Window
from augen.store.identity import content_hash, model_identity
from augen.store.responses import Store, default_path

SERVED = ("openai", "qianfan")


@dataclass(frozen=True)
class Generator:
    """The generator of params.yaml, with the adapter that its requests may ask for."""

    model: params.Model
    engine: params.Engine
    prompt: params.Prompt
    adapter: Path | None = None

    def window(self, source: str) -> Window:
        """What fits into a prompt, where `source` (as in ``open_sampler``) runs or serves this generator."""
        kind = ServedWindow if source in SERVED else Window
        return kind(self.model, self.prompt.chat_template, self.engine.max_model_len, self.prompt.template_args)


@contextmanager
def open_sampler(
    stage: str,
    source: str,
    generator: Generator | None = None,
    providers: params.Providers | None = None,
    models: Sequence[str] = (),
) -> Iterator[Sampler]:
    """What `stage` samples from.

    Args:
        source: ``local`` or the name of an engine, for `generator`; or a provider, ``openai`` or ``qianfan``, for
            `models`. The account of a provider is printed and kept as that of `stage`.
        generator: for a provider: the generator that the served models stand for. They get the prompts that it
            would get, while other models get each prompt as a user's message.
    """
    if source in SERVED:
        assert providers
        chat = generator is None or generator.prompt.chat_template
        with _open_served(stage, source, providers, models, chat) as served:
            yield served
    else:
        assert generator
        with _open_local("auto" if source == "local" else source, generator) as local:
            yield local


@contextmanager
def _open_local(engine: str, generator: Generator) -> Iterator[EngineSampler]:
    """Nothing is loaded until a sample is missing in the store."""
    model, adapter = generator.model, generator.adapter
    settings = EngineSettings(**dict(model), **dict(generator.engine), adapter=adapter)
    identity = Identity(
        engine=resolve(engine),
        generator=model_identity(model.generator, model.revision),
        dtype=model.dtype,
        quantization=settings.quantization,
        adapter=content_hash(adapter) if adapter else None,
        extra=telling(settings.extra),
    )
    with (
        Store(default_path()) as store,
        EngineSampler(store, lambda: open_engine(engine, settings), identity) as sampler,
    ):
        yield sampler
        used = sampler.usage
        print(
            f"{used.from_store:,} samples from the store, {used.drawn:,} drawn"
            + (f": {used.tokens:,} tokens in {used.seconds:.0f} s" if used.drawn else "")
        )


@contextmanager
def _open_served(
    stage: str, provider: str, providers: params.Providers, models: Sequence[str], chat: bool
) -> Iterator[ChatSampler]:
    settings: params.Chat = getattr(providers, provider)
    open_provider, base_url = _provider(provider, settings, providers.max_reply_mib)

    def opened() -> Provider:
        check_budget(provider, settings, models)
        return open_provider()

    with open_runner(stage, provider, base_url, opened, providers, by_tokens(settings.prices)) as runner:
        yield ChatSampler(runner, {"provider": provider, "base_url": base_url}, settings, models, chat)


def _provider(name: str, settings: Any, max_reply_mib: float) -> tuple[Callable[[], Provider], str]:
    """How to open the provider when it is needed, and the URL that it has."""
    if name == "qianfan":
        from augen.generation.served import qianfan

        return lambda: qianfan.Qianfan(settings, max_reply_mib), qianfan.base_url(settings)
    from augen.generation.served import openai

    return lambda: openai.OpenAI(settings, max_reply_mib), openai.base_url(settings)
