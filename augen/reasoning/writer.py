"""Who writes the reasonings of a stage: the generator, or paid models, as its ``backend`` in params.yaml says."""

from collections.abc import Iterator
from contextlib import contextmanager

from augen.core import params
from augen.generation.base import Sampler
from augen.generation.open import Generator, open_sampler
from augen.reasoning.write import Writer


def author_of(settings: params.Reason, model: params.Model) -> str:
    """Who writes, to be printed."""
    return model.generator if settings.backend == "local" else f"{', '.join(settings.models)} ({settings.backend})"


@contextmanager
def open_writer(stage: str, settings: params.Reason, p: params.Params) -> Iterator[tuple[Writer, Sampler]]:
    """How `stage` asks for texts, and what it draws them from."""
    generator = Generator(p.model, p.engine, p.prompt) if settings.backend == "local" else None
    window = generator.window("local") if generator else None
    author = p.model.generator if generator else ""  # paid completions name the model that wrote them
    with open_sampler(stage, settings.backend, generator, p.providers, settings.models) as sampler:
        yield Writer(p.prompt, settings, window, author, p.seed), sampler
