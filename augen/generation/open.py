"""Where samples come from: the generator on a local engine, or models that a provider serves."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augen.core import params
from augen.core.run import note_speed
from augen.generation.base import EngineSettings, Sampler
from augen.generation.engines import open_engine, resolve
from augen.generation.planning import Plan, PlanningRunner, PlanningSampler
from augen.generation.sampler import EngineSampler, Identity, telling
from augen.generation.served.batch_files import BatchFiles
from augen.generation.served.batches import Batches
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
    """The generator of params.yaml, with the adapters that its requests may ask for."""

    model: params.Model
    engine: params.Engine
    prompt: params.Prompt
    adapters: tuple[Path, ...] = ()

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
    plan: Plan | None = None,
) -> Iterator[Sampler]:
    """What `stage` samples from.

    Args:
        source: ``local`` or the name of an engine, for `generator`; or a provider, ``openai`` or ``qianfan``, for
            `models`. The account of a provider is printed and kept as that of `stage`.
        generator: for a provider: the generator that the served models stand for. They get the prompts that it
            would get, while other models get each prompt as a user's message.
        plan: nothing is drawn, and what would be is noted there.
    """
    if source in SERVED:
        assert providers
        chat = generator is None or generator.prompt.chat_template
        with _open_served(stage, source, providers, models, chat, plan) as served:
            yield served
    else:
        assert generator
        engine = "auto" if source == "local" else source
        if plan:
            with Store(default_path()) as store:
                yield PlanningSampler(store, plan, _identity(engine, generator))
            return
        with _open_local(stage, engine, generator) as local:
            yield local


@contextmanager
def _open_local(stage: str, engine: str, generator: Generator) -> Iterator[EngineSampler]:
    """Nothing is loaded until a sample is missing in the store."""
    settings = EngineSettings(**dict(generator.model), **dict(generator.engine), adapters=generator.adapters)
    identity = _identity(engine, generator)
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
        if used.tokens:
            note_speed(stage, used.tokens, used.seconds)


def _identity(engine: str, generator: Generator) -> Identity:
    model = generator.model
    return Identity(
        engine=resolve(engine),
        generator=model_identity(model.generator, model.revision),
        dtype=model.dtype,
        quantization=generator.engine.quantization,
        adapters=tuple(map(content_hash, generator.adapters)),
        extra=telling(generator.engine.extra),
    )


@contextmanager
def _open_served(
    stage: str, provider: str, providers: params.Providers, models: Sequence[str], chat: bool, plan: Plan | None
) -> Iterator[ChatSampler]:
    settings: params.Chat = getattr(providers, provider)
    open_provider, base_url = _provider(provider, settings, providers.max_reply_mib)
    endpoint = {"provider": provider, "base_url": base_url}
    if plan:
        with Store(default_path()) as store:
            yield ChatSampler(PlanningRunner(store, plan), endpoint, settings, models, chat)
        return

    def opened() -> Provider:
        check_budget(provider, settings, models)
        return open_provider()

    with open_runner(stage, provider, base_url, opened, providers, by_tokens(settings.prices)) as runner:
        if not isinstance(settings, params.OpenAI):
            yield ChatSampler(runner, endpoint, settings, models, chat)
            return

        def opened_files() -> BatchFiles:
            check_budget(provider, settings, models)
            return BatchFiles(settings)

        with closing(Batches(runner, settings, opened_files)) as batches:
            yield ChatSampler(runner, endpoint, settings, models, chat, batches)


def _provider(name: str, settings: Any, max_reply_mib: float) -> tuple[Callable[[], Provider], str]:
    """How to open the provider when it is needed, and the URL that it has."""
    if name == "qianfan":
        from augen.generation.served import qianfan

        return lambda: qianfan.Qianfan(settings, max_reply_mib), qianfan.base_url(settings)
    from augen.generation.served import openai

    return lambda: openai.OpenAI(settings, max_reply_mib), openai.base_url(settings)
