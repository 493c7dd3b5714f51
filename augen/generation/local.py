"""The generator of params.yaml behind the response store, as a sampler that stages draw from."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from augen.core import params
from augen.generation.base import Engine
from augen.generation.engines import open_engine, resolve
from augen.generation.sampler import Identity, Sampler
from augen.store.identity import content_hash, model_identity
from augen.store.responses import Store, default_path


@contextmanager
def local_sampler(
    model: params.Model, engine: params.Engine, name: str = "auto", adapter: Path | None = None
) -> Iterator[Sampler]:
    """A `Sampler` of `model` on the engine `name`; nothing is loaded until a sample is missing in the store."""
    identity = Identity(
        engine=resolve(name),
        generator=model_identity(model.generator, model.revision),
        dtype=model.dtype,
        quantization=engine.quantization,
        adapter=content_hash(adapter) if adapter else None,
    )

    def open_() -> Engine:
        return open_engine(
            name,
            model.generator,
            revision=model.revision,
            dtype=model.dtype,
            adapter=adapter,
            **engine.model_dump(),
        )

    with Store(default_path()) as store, Sampler(store, open_, identity) as sampler:
        yield sampler
        used = sampler.usage
        print(
            f"{used.from_store:,} samples from the store, {used.drawn:,} drawn"
            + (f": {used.tokens:,} tokens in {used.seconds:.0f} s" if used.drawn else "")
        )
