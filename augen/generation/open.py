"""Where samples come from: a generator on a local engine, models that a provider serves, or several of these."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augen.core import params
from augen.core.errors import AugenError
from augen.core.models import tuned_adapters
from augen.core.run import note_speed
from augen.generation.base import Engine, EngineSettings, Sampler
from augen.generation.engines import open_engine, resolve
from augen.generation.planning import Plan, PlanningRunner, PlanningSampler
from augen.generation.sampler import EngineSampler, Identity, telling
from augen.generation.served.batch_files import BatchFiles
from augen.generation.served.batches import Batches
from augen.generation.served.opening import open_runner
from augen.generation.served.prices import by_tokens, check_budget
from augen.generation.served.runner import Provider
from augen.generation.served.sampler import ChatSampler
from augen.generation.sharing import SharedSampler
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


@dataclass(frozen=True)
class Source:
    """A `generator`, and the engine or provider that it is drawn `by`; a provider serves `models`.

    Of served models alone, `generator` says what they stand for: they get the prompts that it would get, while without
    one they get each prompt as a user's message.
    """

    by: str
    generator: Generator | None
    models: tuple[str, ...] = ()
    name: str = ""  # how reports call it

    @property
    def served(self) -> bool:
        return self.by in SERVED

    @property
    def chat(self) -> bool:
        """Whether a provider gets each prompt as a user's message."""
        return self.generator is None or self.generator.prompt.chat_template

    @property
    def window(self) -> Window:
        assert self.generator
        return self.generator.window(self.by)

    @property
    def adapters(self) -> int:
        return len(self.generator.adapters) if self.generator else 0


def sources_of(p: params.Params, adapter: Path, preferred: Path) -> list[Source]:
    """The generators of `infer`: that of params.yaml, with its adapters in these folders, then each of infer.others.

    Raises AugenError for one that is there twice, and for a folder without an adapter.
    """
    names = params.generator_names(p.model, p.infer)
    adapters = tuned_adapters(adapter, preferred) if p.infer.adapter else ()
    generator = Generator(p.model, p.engine, p.prompt, adapters)
    found = [Source(p.infer.engine, generator, tuple(p.infer.models), names[0])]
    for number, (other, name) in enumerate(zip(p.infer.others, names[1:], strict=True)):
        place = f"params.yaml: infer.others.{number}"
        if name in names[: number + 1]:
            raise AugenError(f"{place}: {name} is there already, as generator {names.index(name) + 1}")
        served = (other.generator,) if other.engine in SERVED else ()
        found.append(Source(other.engine, _other(p, other, place), served, name))
    return found


def _other(p: params.Params, other: params.Other, place: str) -> Generator:
    """What `other` sets, and for the rest what `p` does. A served model is given by its name alone."""
    if other.adapter and not (Path(other.adapter) / "adapter_config.json").is_file():
        raise AugenError(f"{place}.adapter: {other.adapter} has no adapter_config.json: name an adapter's folder")
    chat = p.prompt.chat_template if other.chat_template is None else other.chat_template
    if other.template_args and not chat:
        raise AugenError(f"{place}.template_args: arguments of the chat template: set its chat_template to true")
    arguments = p.prompt.template_args if other.template_args is None else other.template_args
    model = params.Model(generator=other.generator, revision=other.revision, dtype=other.dtype or p.model.dtype)
    return Generator(
        model,
        p.engine.model_copy(update={"max_model_len": other.max_model_len or p.engine.max_model_len}),
        p.prompt.model_copy(update={"chat_template": chat, "template_args": arguments if chat else {}}),
        (Path(other.adapter),) if other.adapter else (),
    )


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
    with open_sources(stage, [Source(source, generator, tuple(models))], providers, plan=plan) as sampler:
        yield sampler


@contextmanager
def open_sources(
    stage: str,
    sources: Sequence[Source],
    providers: params.Providers | None = None,
    share_device: bool = True,
    plan: Plan | None = None,
) -> Iterator[Sampler]:
    """What `stage` samples from, as `open_sampler`: all of `sources`, which take turns with the slots of a question.

    With `share_device` the engines that were opened stay open together; without, at most one is open at any time.
    Models that are served are all of one provider, and have one account.
    """
    samplers: list[Sampler] = []

    def make_room() -> None:
        if not share_device:
            for sampler in samplers:
                sampler.close()

    with ExitStack() as stack:
        served = [source for source in sources if source.served]
        chats = iter(stack.enter_context(_open_served(stage, served, providers, plan)) if served else ())
        for source in sources:
            if source.served:
                samplers.append(next(chats))
            elif plan:
                store = stack.enter_context(Store(default_path()))
                samplers.append(PlanningSampler(store, plan, _identity(source), str(len(samplers))))
            else:
                samplers.append(stack.enter_context(_open_local(stage, source, make_room, len(sources) > 1)))
        yield SharedSampler(samplers) if len(samplers) > 1 else samplers[0]


@contextmanager
def _open_local(stage: str, source: Source, make_room: Callable[[], None], named: bool) -> Iterator[EngineSampler]:
    """Nothing is loaded until a sample is missing in the store."""
    assert source.generator
    generator = source.generator
    settings = EngineSettings(**dict(generator.model), **dict(generator.engine), adapters=generator.adapters)

    def opened() -> Engine:
        make_room()
        return open_engine(_engine(source), settings)

    with Store(default_path()) as store, EngineSampler(store, opened, _identity(source)) as sampler:
        yield sampler
        used = sampler.usage
        print(
            (f"{source.name}: " if named else "")
            + f"{used.from_store:,} samples from the store, {used.drawn:,} drawn"
            + (f": {used.tokens:,} tokens in {used.seconds:.0f} s" if used.drawn else "")
        )
        if used.tokens:
            note_speed(stage, used.tokens, used.seconds)


def _engine(source: Source) -> str:
    return "auto" if source.by == "local" else source.by


def _identity(source: Source) -> Identity:
    assert source.generator
    generator = source.generator
    model = generator.model
    return Identity(
        engine=resolve(_engine(source)),
        generator=model_identity(model.generator, model.revision),
        dtype=model.dtype,
        quantization=generator.engine.quantization,
        adapters=tuple(map(content_hash, generator.adapters)),
        extra=telling(generator.engine.extra),
    )


@contextmanager
def _open_served(
    stage: str, sources: Sequence[Source], providers: params.Providers | None, plan: Plan | None
) -> Iterator[list[ChatSampler]]:
    """A sampler for each of `sources`, which are of one provider."""
    assert providers
    provider, models = sources[0].by, [model for source in sources for model in source.models]
    settings: params.Chat = getattr(providers, provider)
    open_provider, base_url = _provider(provider, settings, providers.max_reply_mib)
    endpoint = {"provider": provider, "base_url": base_url}
    if plan:
        with Store(default_path()) as store:
            yield [
                ChatSampler(PlanningRunner(store, plan, source.name), endpoint, settings, source.models, source.chat)
                for source in sources
            ]
        return

    def opened() -> Provider:
        check_budget(provider, settings, models)
        return open_provider()

    with open_runner(stage, provider, base_url, opened, providers, by_tokens(settings.prices)) as runner:
        if not isinstance(settings, params.OpenAI):
            yield [ChatSampler(runner, endpoint, settings, source.models, source.chat) for source in sources]
            return

        def opened_files() -> BatchFiles:
            check_budget(provider, settings, models)
            return BatchFiles(settings)

        with closing(Batches(runner, settings, opened_files)) as batches:
            yield [ChatSampler(runner, endpoint, settings, s.models, s.chat, batches) for s in sources]


def _provider(name: str, settings: Any, max_reply_mib: float) -> tuple[Callable[[], Provider], str]:
    """How to open the provider when it is needed, and the URL that it has."""
    if name == "qianfan":
        from augen.generation.served import qianfan

        return lambda: qianfan.Qianfan(settings, max_reply_mib), qianfan.base_url(settings)
    from augen.generation.served import openai

    return lambda: openai.OpenAI(settings, max_reply_mib), openai.base_url(settings)
