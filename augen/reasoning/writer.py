"""Who writes the reasonings of a stage: the generator, or paid models, as its ``backend`` in params.yaml says."""

from collections.abc import Iterator
from contextlib import contextmanager

from augen.core import params
from augen.generation.local import local_sampler
from augen.generation.sampler import Draws
from augen.generation.served.sampler import chat_sampler
from augen.prompts.window import Window
from augen.reasoning.write import Writer


def author_of(settings: params.Reason, model: params.Model) -> str:
    """Who is asked, to be printed."""
    return model.generator if settings.backend == "local" else f"{', '.join(settings.models)} ({settings.backend})"


@contextmanager
def open_writer(
    stage: str,
    settings: params.Reason,
    model: params.Model,
    engine: params.Engine,
    prompt: params.Prompt,
    providers: params.Providers,
    seed: int,
) -> Iterator[tuple[Writer, Draws]]:
    """How `stage` asks for texts, and what it draws them from."""

    def writer(author: str, window: Window | None) -> Writer:
        return Writer(
            solve=prompt.solve,
            explain=prompt.explain,
            window=window,
            author=author,
            seed=seed,
            attempts=settings.attempts,
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
        )

    if settings.backend == "local":
        with local_sampler(model, engine) as local:
            yield writer(model.generator, Window(model, prompt.chat_template, engine.max_model_len)), local
    else:
        with chat_sampler(settings.backend, providers, settings.models, stage) as paid:
            yield writer("", window=None), paid  # each completion names its model
