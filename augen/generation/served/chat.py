"""What chat providers share: a payload is the body of an OpenAI-like request, an answer is what is kept of the reply.

The answer to ``{"model": "m", "messages": […], "temperature": 0.3, …}`` is
``{"text": "…", "tokens": 57, "finish": "stop", "author": "m", "prompt_tokens": 180}``.
"""

from typing import Any

from augen.generation.served.errors import CallError, Misconfigured, Passing, QuotaUsedUp, Refused, SlowDown, Unusable
from augen.generation.served.runner import Payload, Value
from augen.generation.served.secrets import scrubbed

# 17, 18, 19, 336501 and 336502 are Qianfan's, for day, second, account, requests and tokens per minute.
_QUOTA = {"insufficient_quota", "insufficient_balance", "account_overdue", "17", "19"}
_SLOW_DOWN = {"rpm_rate_limit_exceeded", "tpm_rate_limit_exceeded", "rate_limit_exceeded", "18", "336501", "336502"}
# Of this request, not of all: its content, or its length.
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
_TOO_LONG = "maximum context length"  # vLLM says it in words only


def classified(
    provider: str,
    variables: str,
    model: str,
    status: int | None,
    code: str,
    message: str,
    retry_after_s: float | None = None,
) -> CallError | Misconfigured:
    """The error for an HTTP status (None: 200 with an error in its body) and the code in the reply's body.

    `variables` names the environment variables that hold the key.
    """
    message = scrubbed(message)
    cause = f"HTTP {status}" if status else "error"
    cause = f"{cause} {code}".strip()
    if code in _QUOTA or status == 402:
        return QuotaUsedUp(cause, message)
    if code in _SLOW_DOWN or status == 429:
        return SlowDown(cause, message, retry_after_s)
    if code in _REFUSED or (status == 400 and _TOO_LONG in message):
        return Refused(cause, message)
    if code == "invalid_model" or status == 404:
        return Misconfigured(f"{provider}: {cause}: {message}; is {model!r} one of its models (models in params.yaml)?")
    if status in (401, 403):
        return Misconfigured(f"{provider}: {cause}: {message}; check {variables}")
    if status is None or status >= 500 or status in (408, 409):
        return Passing(cause)
    return Misconfigured(f"{provider}: {cause}: {message}")


def answer(payload: Payload, reply: Any) -> Value:
    """What is kept of a completion. Raises Unusable for a chat model's without text.

    A prompt that is continued may have reached its end: there, no text is what the model wrote.
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
    """Seconds that the provider asks to wait, where its headers say so in seconds."""
    try:
        return float(headers["retry-after"])
    except (KeyError, TypeError, ValueError):
        return None
