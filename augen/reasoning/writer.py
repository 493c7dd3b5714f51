"""Who writes the reasonings of a stage: the generator, or paid models, as its ``backend`` in params.yaml says."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from augen.core import params
from augen.core.errors import AugenError
from augen.entries import Entry, in_blocks
from augen.generation.base import Sampler
from augen.generation.open import Generator, open_sampler
from augen.generation.planning import Plan
from augen.reasoning.write import Writer, missed


def author_of(settings: params.Reason, model: params.Model, adapter: str | None = None) -> str:
    """Who writes, to be printed."""
    if settings.backend != "local":
        return f"{', '.join(settings.models)} ({settings.backend})"
    return f"{model.generator} with {adapter}" if adapter else model.generator


@contextmanager
def open_writer(
    stage: str, settings: params.Reason, p: params.Params, adapter: str | None = None, plan: Plan | None = None
) -> Iterator[tuple[Writer, Sampler]]:
    """How `stage` asks for texts, and what it draws them from: the local generator with the folder `adapter`, if any.

    With a `plan` nothing is drawn, and what would be is noted there.
    Raises AugenError if there is no adapter in that folder.
    """
    folder = Path(adapter) if adapter else None
    if folder and not (folder / "adapter_config.json").is_file():
        raise AugenError(
            f"params.yaml: {stage}.adapter: no adapter in {folder}; keep one of an earlier run there "
            f"(cp -rL models/adapter {folder}), or set it to null; of several adapters name one, as {folder / '0'}"
        )
    generator = (
        Generator(p.model, p.engine, p.prompt, (folder,) if folder else ()) if settings.backend == "local" else None
    )
    window = generator.window("local") if generator else None
    # Paid completions name the model that wrote them.
    author = author_of(settings, p.model, adapter) if generator else ""
    with open_sampler(stage, settings.backend, generator, p.providers, settings.models, plan) as sampler:
        yield Writer(p.prompt, settings, window, author, p.seed, adapter is not None), sampler


def missed_by_generator(stage: str, entries: Iterable[Entry], p: params.Params) -> frozenset[str]:
    """As ``missed``, by the plain generator on its local engine, sampled for `stage` as in `baseline`."""
    b = p.baseline
    how = params.Reason(
        backend="local", models=[], attempts=b.samples, temperature=b.temperature, max_tokens=b.max_tokens
    )
    with open_writer(stage, how, p) as (writer, sampler):
        return frozenset().union(*(missed(block, writer, sampler) for block in in_blocks(entries)))
