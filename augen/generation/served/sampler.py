"""A `Sampler` whose completions are written by the chat models of a provider.

Where there are several models, the prompts are spread over them, and the next attempt at a prompt goes to the next
model. Of a question's slots the first goes to the first model, the second to the second, and so on; a redraw goes to
the model after the last one. ``Completion.author`` names the model that wrote. A sample's key is made of provider, base
URL, model, prompt, every other field of the request, seed and index; like the samples of local engines it is drawn once
and kept. Only whether log-probabilities are asked for is no part of the key, because that does not change what is
written: what was paid for without them stays valid.

What a model thinks is kept as the server sends it, beside the text or in it, and is taken off when a sample is read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from augen.answers import split_thinking
from augen.answers.thinking import begun
from augen.core import params
from augen.core.seeds import seed_of
from augen.generation.base import Completion, IndexedRequest, Request
from augen.generation.served.batches import Batches
from augen.generation.served.runner import Asking, Call
from augen.prompts.sections import user_message
from augen.store.responses import request_key


class ChatSampler:
    """Draws through the store from `models` of the provider behind `runner`; `endpoint` says which one that is.

    With `chat` a prompt is a user's message, which the server wraps in the model's chat template; without, the model
    continues it as it stands. Where there are `batches`, these ask.
    """

    def __init__(
        self,
        runner: Asking,
        endpoint: Mapping[str, str],
        settings: params.Chat,
        models: Sequence[str],
        chat: bool,
        batches: Batches | None = None,
    ) -> None:
        self._runner = runner
        self._endpoint = endpoint
        self._fields = {model: settings.fields(model) for model in models}
        self._models = models
        self._chat = chat
        self._fetch = batches.fetch if batches else runner.fetch

    def draw(self, requests: Sequence[IndexedRequest], label: str) -> list[Completion]:
        """See ``Sampler.draw``. Where there will be no text, the completion is empty and ``refused`` says why.

        Raises AugenError when the run has to end before all have arrived.
        """
        calls = [self._call(request, index) for request, index in requests]
        self._runner.label = label
        self._fetch([[call] for call in calls])
        drawn = [self._completion(call.key, request) for call, (request, _) in zip(calls, requests, strict=True)]
        self._runner.forget()
        return drawn

    def close(self) -> None:
        """Nothing is loaded here that could be freed."""

    def _call(self, request: Request, index: Mapping[str, Any]) -> Call:
        if "slot" in index:
            turn = int(index["slot"]) - 1 + int(index["round"])
        else:
            turn = seed_of(request.prompt) + int(index.get("attempt", 0))
        model = self._models[turn % len(self._models)]
        payload = self._payload(request, model)
        key = {"kind": "chat", **self._endpoint, "payload": payload, "seed": request.seed, "index": dict(index)}
        if self._fields[model].logprobs:
            payload = payload | {"logprobs": True if self._chat else 1}
        # A token is hardly ever less than a character, so this is the most that the call can take.
        most = len(request.prompt) + request.max_tokens
        subject = f"prompt {seed_of(request.prompt)}"
        return Call(request_key(key), payload, characters=len(request.prompt), tokens=most, subject=subject)

    def _payload(self, request: Request, model: str) -> dict[str, Any]:
        """The body of a request to `model`, as far as it can change the answer."""
        fields = self._fields[model]
        chat = {"messages": [{"role": "user", "content": user_message(request.prompt)}]}
        payload = {
            "model": model,
            **(chat if self._chat else {"prompt": request.prompt}),
            "temperature": request.temperature,
            "top_p": request.top_p,
            fields.tokens_as: request.max_tokens,
        }
        if fields.seed:
            payload["seed"] = request.seed
        if fields.reasoning_effort:
            payload["reasoning_effort"] = fields.reasoning_effort
        return {name: value for name, value in (payload | fields.extra_body).items() if value is not None}

    def _completion(self, key: str, request: Request) -> Completion:
        if (answer := self._runner.answers.get(key)) is None:
            return Completion("", 0, "stop", refused=self._runner.refused[key])
        opening = "" if self._chat else begun(request.prompt)
        thinking, text = split_thinking(opening + answer["text"])
        return Completion(
            text,
            answer["tokens"],
            answer["finish"],
            answer["author"],
            # Log-probabilities of different models do not compare. Every question's first sample is by the first one.
            logprob=answer.get("logprob") if answer["author"] == self._models[0] else None,
            thinking="\n".join(filter(None, (answer.get("thinking"), thinking))),
        )
