"""Where the samples of `infer` come from, as ``infer.engine`` says: a local engine, or models that somebody serves."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from augen.core import params
from augen.generation.local import local_sampler
from augen.generation.sampler import Releasable
from augen.generation.served.sampler import chat_sampler
from augen.prompts.window import ServedWindow, Window


@contextmanager
def open_sampler(
    infer: params.Infer,
    model: params.Model,
    engine: params.Engine,
    prompt: params.Prompt,
    providers: params.Providers,
    adapter: Path | None,
) -> Iterator[tuple[Releasable, Window]]:
    """What the samples are drawn from, and what fits into a prompt for it."""
    if infer.engine == "openai":
        window = ServedWindow(model, prompt.chat_template, engine.max_model_len)
        with chat_sampler("openai", providers, infer.models, "infer", prompt.chat_template) as served:
            yield served, window
    else:
        with local_sampler(model, engine, infer.engine, adapter) as local:
            yield local, Window(model, prompt.chat_template, engine.max_model_len)
