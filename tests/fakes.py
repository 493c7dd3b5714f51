"""A fake engine for the real sampler and store, and a context window that takes each character for a token."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from augen.core import params
from augen.generation.base import Completion, Request
from augen.generation.sampler import EngineSampler, Identity
from augen.prompts.window import Window
from augen.reasoning.write import Writer
from augen.store.responses import Store

IDENTITY = Identity("fake", "sha256:generator", "float32", None)


class FakeWindow(Window):
    """A token is a character; `before` and `after` are the chat template."""

    def __init__(self, max_model_len: int = 10_000, before: str = "", after: str = "") -> None:
        model = params.Model(generator="models/none", revision=None, dtype="float32")
        super().__init__(model, chat_template=False, max_model_len=max_model_len)
        self.before, self.after = before, after

    def wrap(self, prompt: str) -> str:
        return f"{self.before}{prompt}{self.after}"

    def length(self, text: str) -> int:
        return len(text)


class FakeEngine:
    """Answers each request with `write(request)`, the last request first; counts how often it was opened."""

    name = "fake"

    def __init__(
        self, write: Callable[[Request], str], logprob: Callable[[Request], float | None] | None = None
    ) -> None:
        self.write = write
        self.logprob = logprob or (lambda request: None)
        self.asked: list[Request] = []
        self.opened = 0

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        self.asked += requests
        for index in reversed(range(len(requests))):
            text = self.write(requests[index])
            logprob = self.logprob(requests[index])
            yield index, Completion(text, tokens=len(text), finish="stop", logprob=logprob)

    def close(self) -> None:
        pass


def a_writer(window: Window | None, author: str, seed: int = 1, **settings: Any) -> Writer:
    """Who writes reasonings; `settings` are fields of params.Reason."""
    prompt = params.Prompt(
        solve="解答。", explain="解释。", program="写程序。", chat_template=False, template_args={}, keep_thinking=False
    )
    given = {"backend": "local", "models": [], "attempts": 3, "temperature": 0.3, "max_tokens": 64, **settings}
    return Writer(prompt, params.Reason(**given), window, author, seed)


@contextmanager
def sampler_of(engine: FakeEngine, folder: Path) -> Iterator[EngineSampler]:
    """A sampler of `engine`; samplers with the same `folder` share their store."""

    def opened() -> FakeEngine:
        engine.opened += 1
        return engine

    with Store(folder / "responses.sqlite") as store, EngineSampler(store, opened, IDENTITY) as sampler:
        yield sampler
