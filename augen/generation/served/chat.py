"""What chat providers share: a payload is the body of an OpenAI-like request; of the reply, the answer is kept.

The answer to ``{"model": "m", "messages": […], "temperature": 0.3, …}`` is
``{"text": "…", "tokens": 57, "finish": "stop", "author": "m", "prompt_tokens": 180}``.
"""

from dataclasses import dataclass
from typing import Any

from augen.generation.served.account import Answer
from augen.generation.served.errors import (
    CallError,
    Misconfigured,
    QuotaUsedUp,
    Refused,
    SlowDown,
    Transient,
    Unusable,
)
from augen.generation.served.runner import Payload
from augen.generation.served.secrets import scrubbed

# Qianfan's numbers: 17 is its daily limit, 18 per second, 19 the account's, 336501 requests and 336502 tokens a minute.
_QUOTA = {"insufficient_quota", "insufficient_balance", "account_overdue", "17", "19"}
_SLOW_DOWN = {"rpm_rate_limit_exceeded", "tpm_rate_limit_exceeded", "rate_limit_exceeded", "18", "336501", "336502"}
# Faults of this one request: its content, or its length.
_REFUSED = {
    "content_filter",
    "content_policy_violation",
    "data_inspection_failed",
    "unsafe_request",
    "system_unsafe",
    "user_setting_unsafe",
    "context_length_exceeded",
    "tokens_too_long",
    "characters_too_long",
    "string_above_max_length",
}
_TOO_LONG = "maximum context length"  # vLLM gives no code for it


@dataclass(frozen=True)
class ErrorReply:
    """What a provider replied to a request for `model` instead of an answer."""

    model: str
    status: int | None  # of HTTP; None: 200, with an error in the body
    code: str  # from the body, as is the message
    message: str
    retry_after_s: float | None = None


def classified(provider: str, variables: str, reply: ErrorReply) -> CallError | Misconfigured:
    """The error for `reply`. `variables` names the environment variables that hold the key."""
    status, code = reply.status, reply.code
    message = scrubbed(reply.message)
    cause = f"HTTP {status}" if status else "error"
    cause = f"{cause} {code}".strip()
    if code in _QUOTA or status == 402:
        return QuotaUsedUp(cause, message)
    if code in _SLOW_DOWN or status == 429:
        return SlowDown(cause, message, reply.retry_after_s)
    if code in _REFUSED or (status == 400 and _TOO_LONG in message):
        return Refused(cause, message)
    if code == "invalid_model" or status == 404:
        question = f"is {reply.model!r} one of its models (models in params.yaml)?"
        return Misconfigured(f"{provider}: {cause}: {message}; {question}")
    if status in (401, 403):
        return Misconfigured(f"{provider}: {cause}: {message}; check {variables}")
    if status is None or status >= 500 or status in (408, 409):
        return Transient(cause)
    return Misconfigured(f"{provider}: {cause}: {message}")


def answer(payload: Payload, reply: Any) -> Answer:
    """What is kept of a completion. Raises Unusable where a chat model wrote no text.

    Where a prompt is continued as it stands, an empty text is a valid answer: the model saw nothing to add.
    """
    continued = "prompt" in payload
    try:
        choice = reply["choices"][0]
        text = (choice["text"] if continued else choice["message"].get("content")) or ""
        usage = reply.get("usage") or {}
        finish = choice.get("finish_reason") or "stop"
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Unusable("no text in the reply") from None
    if finish == "content_filter":
        raise Refused("content_filter")
    if not text.strip() and finish != "length" and not continued:
        raise Unusable("empty reply")
    return {
        "text": text,
        "tokens": int(usage.get("completion_tokens") or 0),
        "finish": "length" if finish == "length" else "stop",
        "author": payload["model"],
        "prompt_tokens": int(usage.get("prompt_tokens") or 0),
    }


def retry_after(headers: Any) -> float | None:
    """How many seconds to wait, where the provider's headers say it in seconds."""
    try:
        return float(headers["retry-after"])
    except (KeyError, TypeError, ValueError):
        return None
