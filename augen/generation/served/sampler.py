"""A sampler whose samples are written by paid chat models: the same `draw` as augen.generation.sampler.Sampler has.

::

    with chat_sampler("qianfan", p.providers, ["Yi-34B-Chat", "Qianfan-Chinese-Llama-2-13B"], "reason_true") as sampler:
        completions = sampler.draw([(request, {"attempt": 0}), …], "right reasonings")

Where several models are to be asked, the prompts are spread over them, and the next attempt at a prompt goes to the
next model; of a question's slots the first goes to the first model, the second to the second, and a redraw to the
next. ``Completion.author`` names the one that wrote. A sample is known by provider, base URL, model, prompt,
every sampling parameter, seed and index; like the samples of local engines it is drawn once and kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from augen.core import params
from augen.core.seeds import seed_of
from augen.generation.base import Completion, Request
from augen.generation.sampler import Item
from augen.generation.served.account import Value
from augen.generation.served.opening import open_runner
from augen.generation.served.runner import Item as CallItem
from augen.generation.served.runner import Provider, Runner
from augen.store.responses import request_key

ChatProvider = Literal["qianfan", "openai"]


class ChatSampler:
    """Draws through the store from `models` of the provider behind `runner`.

    With `chat` a prompt is a user's message, which the server wraps in the model's chat template; without, it is
    continued as it stands.
    """

    def __init__(
        self, runner: Runner, identity: Mapping[str, Any], models: Sequence[str], send_seed: bool, chat: bool = True
    ) -> None:
        self._runner = runner
        self._identity = identity
        self._models = models
        self._send_seed = send_seed
        self._chat = chat

    def draw(self, items: Sequence[Item], label: str) -> list[Completion]:
        """The completion of each item, in the order of `items`; an empty one, `refused`, where there will be none.

        Raises AugenError when the run has to end; what had arrived by then is stored.
        """
        calls = [self._call(request, index) for request, index in items]
        self._runner.label = label
        self._runner.fetch([[call] for call in calls])
        return [self._completion(call.key) for call in calls]

    def close(self) -> None:
        """Nothing is loaded here that could be freed."""

    def _call(self, request: Request, index: Mapping[str, Any]) -> CallItem:
        if "slot" in index:
            turn = int(index["slot"]) - 1 + int(index["round"])
        else:
            turn = seed_of(request.prompt) + int(index.get("attempt", 0))
        payload = {
            "model": self._models[turn % len(self._models)],
            **(
                {"messages": [{"role": "user", "content": request.prompt}]}
                if self._chat
                else {"prompt": request.prompt}
            ),
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_tokens,
        }
        if self._send_seed:
            payload["seed"] = request.seed
        known_by = {"kind": "chat", **self._identity, "payload": payload, "seed": request.seed, "index": dict(index)}
        # A token is hardly ever less than a character, so this is what it can take at most.
        return CallItem(request_key(known_by), payload, tokens=len(request.prompt) + request.max_tokens)

    def _completion(self, key: str) -> Completion:
        if value := self._runner.values.get(key):
            return Completion(value["text"], value["tokens"], value["finish"], value["author"])
        return Completion("", 0, "stop", refused=self._runner.refused[key])


@contextmanager
def chat_sampler(
    provider: ChatProvider, providers: params.Providers, models: Sequence[str], stage: str, chat: bool = True
) -> Iterator[ChatSampler]:
    """A `ChatSampler` of `models`; its account is printed and kept as that of `stage` when it ends, however it ends."""
    settings: params.Chat = getattr(providers, provider)
    open_provider, base_url = _provider(provider, settings)

    prices = {price.model: price for price in settings.prices}

    def cost(value: Value) -> float | None:
        if (price := prices.get(value["author"])) is None:
            return None
        return (value["prompt_tokens"] * price.prompt + value["tokens"] * price.reply) / 1e6

    with open_runner(stage, provider, open_provider, settings, cost) as runner:
        # Qianfan's models differ in whether they take a seed.
        yield ChatSampler(runner, {"provider": provider, "base_url": base_url}, models, provider == "openai", chat)


def _provider(name: ChatProvider, settings: Any) -> tuple[Callable[[], Provider], str]:
    """How to open the provider when it is needed, and the URL that will be asked."""
    if name == "qianfan":
        from augen.generation.served import qianfan

        return lambda: qianfan.Qianfan(settings), qianfan.base_url(settings)
    from augen.generation.served import openai

    return lambda: openai.OpenAI(settings), openai.base_url(settings)
