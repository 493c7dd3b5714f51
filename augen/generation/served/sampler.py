"""A `Sampler` whose completions are written by the chat models of a provider.

Where there are several models, the prompts are spread over them, and the next attempt at a prompt goes to the next
model. Of a question's slots the first goes to the first model, the second to the second, and so on; a redraw goes to
the model after the last one. ``Completion.author`` names the model that wrote. A sample's key is made of provider, base
URL, model, prompt, every sampling parameter, seed and index; like the samples of local engines it is drawn once and
kept.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from augen.core.seeds import seed_of
from augen.generation.base import Completion, IndexedRequest, Request
from augen.generation.served.runner import Call, Runner
from augen.prompts.sections import user_message
from augen.store.responses import request_key


class ChatSampler:
    """Draws through the store from `models` of the provider behind `runner`; `endpoint` says which one that is.

    With `chat` a prompt is a user's message, which the server wraps in the model's chat template; without, the model
    continues it as it stands.
    """

    def __init__(self, runner: Runner, endpoint: Mapping[str, str], models: Sequence[str], chat: bool = True) -> None:
        self._runner = runner
        self._endpoint = endpoint
        self._models = models
        self._chat = chat

    def draw(self, requests: Sequence[IndexedRequest], label: str) -> list[Completion]:
        """See ``Sampler.draw``. Where there will be no text, the completion is empty and ``refused`` says why.

        Raises AugenError when the run has to end before all have arrived.
        """
        calls = [self._call(request, index) for request, index in requests]
        self._runner.label = label
        self._runner.fetch([[call] for call in calls])
        return [self._completion(call.key) for call in calls]

    def close(self) -> None:
        """Nothing is loaded here that could be freed."""

    def _call(self, request: Request, index: Mapping[str, Any]) -> Call:
        if "slot" in index:
            turn = int(index["slot"]) - 1 + int(index["round"])
        else:
            turn = seed_of(request.prompt) + int(index.get("attempt", 0))
        prompt = (
            {"messages": [{"role": "user", "content": user_message(request.prompt)}]}
            if self._chat
            else {"prompt": request.prompt}
        )
        payload = {
            "model": self._models[turn % len(self._models)],
            **prompt,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_tokens,
        }
        if self._endpoint["provider"] == "openai":  # of Qianfan's models only some take a seed
            payload["seed"] = request.seed
        key = {"kind": "chat", **self._endpoint, "payload": payload, "seed": request.seed, "index": dict(index)}
        # A token is hardly ever less than a character, so this is the most that the call can take.
        return Call(request_key(key), payload, tokens=len(request.prompt) + request.max_tokens)

    def _completion(self, key: str) -> Completion:
        if answer := self._runner.answers.get(key):
            return Completion(answer["text"], answer["tokens"], answer["finish"], answer["author"])
        return Completion("", 0, "stop", refused=self._runner.refused[key])
