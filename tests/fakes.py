"""An engine that only pretends, behind the real sampler and store."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from augen.engines import Completion, Request
from augen.sampling import Identity, Sampler
from augen.store import Store

IDENTITY = Identity("fake", "sha256:generator", "float32", None, None)


class FakeEngine:
    """Writes what `write` says of each request, the last request first; counts how often it was opened."""

    name = "fake"

    def __init__(self, write: Callable[[Request], str]) -> None:
        self.write = write
        self.asked: list[Request] = []
        self.opened = 0

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        self.asked += requests
        for index in reversed(range(len(requests))):
            text = self.write(requests[index])
            yield index, Completion(text, tokens=len(text), finish="stop")

    def close(self) -> None:
        pass


@contextmanager
def sampler_of(engine: FakeEngine, folder: Path) -> Iterator[Sampler]:
    """A sampler of `engine`; samplers with the same `folder` share their store."""

    def opened() -> FakeEngine:
        engine.opened += 1
        return engine

    with Store(folder / "responses.sqlite") as store, Sampler(store, opened, IDENTITY) as sampler:
        yield sampler
