"""Requests and completions, the engines and samplers that turn one into the other, and what all engines share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from augen.answers import with_thinking
from augen.core import models, params
from augen.core.errors import AugenError


@dataclass(frozen=True)
class Request:
    """One sample to draw. The requests of one call may differ in every field."""

    prompt: str
    seed: int  # 0 ≤ seed < 2**63
    temperature: float  # 0 to 2; 0: greedy, the seed then has no effect
    top_p: float  # 1: no cut
    max_tokens: int  # new tokens, at most
    adapter: int = 0  # with which of the engine's LoRA adapters to sample, counted from 1; 0: without


# A request, and which of the samples with this request is meant: {"slot": 1, "round": 0} or {"attempt": 0}.
IndexedRequest = tuple[Request, Mapping[str, Any]]


@dataclass(frozen=True)
class Completion:
    """What the model wrote after a prompt, without its end-of-text token and other special tokens."""

    text: str  # the answer, without what the model thought before it
    tokens: int  # generated, those of the thinking and the end-of-text token included
    finish: Literal["stop", "length"]  # stop: the model ended its text; length: it reached max_tokens
    author: str | None = None  # which model wrote it, where a sampler asks several
    refused: str | None = None  # why there is no text, where a provider will not write one
    # Mean log-probability of the tokens under the model's own distribution (temperature 1, no cut); None: unknown.
    # Rounding changes it a little, so completions with equal texts are equal whatever it is.
    logprob: float | None = field(default=None, compare=False)
    thinking: str = ""  # what the model thought before its answer; empty: it did not think, or does not show it

    def reasoning(self, keep_thinking: bool) -> str:
        """What a scorer judges and lessons teach: the answer's text, with the thinking before it if that is kept."""
        return with_thinking(self.thinking, self.text) if keep_thinking else self.text


UNASKED = "not asked yet"  # why a completion is refused where requests are counted, not sent


class Sampler(Protocol):
    """Writes texts on request and keeps them: `EngineSampler` with a local engine, `ChatSampler` with served models."""

    def draw(self, requests: Sequence[IndexedRequest], label: str) -> list[Completion]:
        """The completion of each request, in order, with a progress bar called `label` on stderr.

        Equal requests with equal indices are one sample; requests that differ in either never share one. What has
        arrived is stored, also when an error ends the call.
        """
        ...

    def close(self) -> None:
        """Free the device's memory. A later ``draw`` takes it again."""
        ...


@dataclass(frozen=True)
class EngineSettings:
    """What an engine is opened with; the fields are those of `model` and `engine` in params.yaml."""

    generator: str  # directory of the model, or its id on the Hugging Face hub
    revision: str | None = None  # commit, tag or branch of a hub model
    dtype: str = "float32"  # of weights and activations, by torch's name: float32, bfloat16, float16
    adapters: tuple[Path, ...] = ()  # directories of the LoRA adapters that requests name by their place
    max_model_len: int = 1024  # tokens of a prompt and its completion together, at most
    memory_share: float = 0.7  # share of the GPU's memory that vllm takes; on a CPU its cache takes 1 GiB
    quantization: str | None = None  # vllm alone: fp8
    tensor_parallel: int = 1  # vllm alone: devices over which the weights are spread
    extra: Mapping[str, Any] = field(default_factory=dict)  # vllm alone: further options of its own
    batch_size: int = 64  # requests that the transformers engine runs at once; vllm finds its own
    ray: params.Ray | None = None  # ray alone


class Engine(Protocol):
    """A loaded generator.

    The same request gives the same completion, whatever other requests are in the call and in whatever order. Only
    rounding can change that: kernels add numbers in another order in a batch of another shape, which can tip the
    choice between two tokens that are almost equally likely.
    """

    name: str

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield ``(index into requests, completion)`` once for each request, as they finish, in any order.

        Raises AugenError before anything is generated if a request can never be answered: a prompt that
        leaves no room for ``max_tokens``, or an ``adapter`` that the engine does not have.
        """
        ...

    def close(self) -> None:
        """Free the memory, the device's too. The engine cannot be used again; closing twice does no harm."""
        ...


def load_tokenizer(generator: str, revision: str | None) -> Any:
    """The generator's tokenizer; AugenError where there is no model."""
    return models.load_tokenizer(generator, "model.generator", revision=revision)


def tokenize(tokenizer: Any, prompts: Sequence[str]) -> list[list[int]]:
    """Token ids of each prompt, with the tokenizer's special tokens.

    A prompt wrapped in a chat template may begin with the beginning-of-text token; it does not get a second one.
    """
    start = tokenizer.bos_token
    return [
        tokenizer(prompt, add_special_tokens=not (start and prompt.startswith(start))).input_ids for prompt in prompts
    ]


def decode(tokenizer: Any, tokens: list[int]) -> str:
    """The text of generated `tokens`, without end-of-text and other special tokens."""
    return tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def check_requests(
    requests: Sequence[Request], prompt_tokens: Sequence[int], max_model_len: int, adapters: int
) -> None:
    """Raise AugenError if one of `requests`, whose prompts have `prompt_tokens`, can never be answered.

    The engine was opened with so many `adapters`. Prompts that are too long are not cut here: only the caller knows
    which part, such as a worked example, can go.
    """
    if (asked := max((request.adapter for request in requests), default=0)) > adapters:
        opened = f"with {adapters}" if adapters else "without one"
        raise AugenError(f"a sample is to be drawn with adapter {asked}, but the engine was opened {opened}")
    too_long = [
        (index, tokens, request.max_tokens)
        for index, (request, tokens) in enumerate(zip(requests, prompt_tokens, strict=True))
        if tokens + request.max_tokens > max_model_len
    ]
    if not too_long:
        return
    index, tokens, new = too_long[0]
    others = f" (so do {len(too_long) - 1} more)" if len(too_long) > 1 else ""
    raise AugenError(
        f"request {index} of {len(requests)}: {tokens} prompt tokens and max_tokens {new} exceed "
        f"engine.max_model_len {max_model_len}{others}; "
        "lower rag.k or max_tokens, or raise engine.max_model_len"
    )
