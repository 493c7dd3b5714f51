"""What every engine takes and gives, and what all of them do alike."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from augen.core.errors import AugenError


@dataclass(frozen=True)
class Request:
    """One sample to draw. The requests of one call may differ in every field."""

    prompt: str
    seed: int  # 0 ≤ seed < 2**63
    temperature: float  # 0 to 2; 0: greedy, the seed then has no effect
    top_p: float  # 1: no cut
    max_tokens: int  # at most so many new tokens
    adapter: bool = False  # sample with the LoRA adapter that the engine was opened with


@dataclass(frozen=True)
class Completion:
    """What the model wrote after a prompt, without its end-of-text token and other special tokens."""

    text: str
    tokens: int  # generated, the end-of-text token included
    finish: Literal["stop", "length"]  # stop: the model ended its text; length: max_tokens were reached
    author: str | None = None  # which model wrote it, where a sampler asks several
    refused: str | None = None  # why there is no text, where a provider will not write one
    # Mean log-probability of the tokens, by the model's own distribution (temperature 1, no cut); None: not told. Texts
    # that are equal are the same completion, whatever rounding makes of this.
    logprob: float | None = field(default=None, compare=False)


class Engine(Protocol):
    """A loaded generator.

    The same request gives the same completion whatever stands beside it in the call and in whichever order,
    up to rounding: kernels add numbers in another order in a batch of another shape, and where two tokens are
    almost equally likely that can tip the choice.
    """

    name: str

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield ``(index into requests, completion)`` once for each request, as they finish, in any order.

        Raises AugenError before anything is generated if a request can never be answered: a prompt that
        leaves no room for ``max_tokens``, or ``adapter`` without an adapter.
        """
        ...

    def close(self) -> None:
        """Free the memory, that of the device too. To be used no more; closing twice does no harm."""
        ...


def load_tokenizer(generator: str, revision: str | None) -> Any:
    """The generator's tokenizer; AugenError where there is no model."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(generator, revision=revision)
    except (OSError, ValueError) as error:
        raise AugenError(f"model.generator: cannot load the tokenizer of {generator}: {error}") from error


def tokenize(tokenizer: Any, prompts: Sequence[str]) -> list[list[int]]:
    """Token ids of each prompt, with the special tokens of the tokenizer; a list per prompt.

    A prompt that a chat template has wrapped begins with the beginning-of-text token already, where the model
    has one; it does not get a second.
    """
    start = tokenizer.bos_token
    return [
        tokenizer(prompt, add_special_tokens=not (start and prompt.startswith(start))).input_ids for prompt in prompts
    ]


def decode(tokenizer: Any, tokens: list[int]) -> str:
    """The text of generated `tokens`, without end-of-text and other special tokens."""
    return tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def check_requests(
    requests: Sequence[Request], prompt_tokens: Sequence[int], max_model_len: int, has_adapter: bool
) -> None:
    """Raise AugenError if one of `requests`, whose prompts have `prompt_tokens`, can never be answered.

    Too long prompts are not cut here: which part (a worked example) can go, only their writer knows.
    """
    if not has_adapter and any(request.adapter for request in requests):
        raise AugenError("a sample is to be drawn with the adapter, but the engine was opened without one")
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
