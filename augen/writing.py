"""Who writes the reasonings of a stage: the generator, or paid models, as its ``backend`` in params.yaml says."""

from collections.abc import Iterator
from contextlib import contextmanager

from augen import params
from augen.calls.chat import chat_sampler
from augen.chat import wrapper
from augen.local import local_sampler
from augen.reasoning import Writer
from augen.sampling import Draws


@contextmanager
def open_writer(stage: str, settings: params.Reason, p: params.Params) -> Iterator[tuple[Writer, Draws]]:
    """How `stage` asks for texts, and what it draws them from."""

    def writer(author: str, chat_template: bool) -> Writer:
        return Writer(
            solve=p.prompt.solve,
            explain=p.prompt.explain,
            wrap=wrapper(p.model.generator, p.model.revision, chat_template),
            author=author,
            seed=p.seed,
            attempts=settings.attempts,
            temperature=settings.temperature,
            max_tokens=settings.max_tokens,
        )

    if settings.backend == "local":
        with local_sampler(p.model, p.engine) as local:
            yield writer(p.model.generator, p.prompt.chat_template), local
    else:
        with chat_sampler(settings.backend, p.providers, settings.models, stage) as paid:
            yield writer("", chat_template=False), paid  # each completion names its model; the provider has templates
