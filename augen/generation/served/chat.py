"""What chat providers share: a payload is the body of an OpenAI-like request; of the reply, the answer is kept.

The answer to ``{"model": "m", "messages": […], "temperature": 0.3, …}`` is
``{"text": "…", "tokens": 57, "finish": "stop", "author": "m", "prompt_tokens": 180}``. It has ``thinking`` too where
the server keeps that apart from the text; ``cached_tokens``, how many of the prompt's tokens the server had cached, if
any; and ``logprob``, the mean over all tokens, where that is asked for and given.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from augen.generation.served.account import Answer
from augen.generation.served.errors import Filtered, Misconfigured, Transient, Unusable
from augen.generation.served.replies import (
    BROKEN_OFF,
    CUT_OFF,
    FILTERED,
    MOST_WORDS,
    Endpoint,
    as_json,
    classified,
    page_title,
    read_error,
)
from augen.generation.served.runner import Payload
from augen.generation.served.secrets import scrubbed

# What reading a reply raises that is JSON and yet not what a server sends: texts for objects, numbers without end.
ODD = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)
THINKING = ("reasoning_content", "reasoning", "thinking")  # where servers put it beside the text


def answer(endpoint: Endpoint, payload: Payload, reply: Any) -> Answer:
    """What is kept of a completion. Raises the error that the reply holds, or Unusable where there is no text at all.

    A reply with nothing but thinking is an answer without text: asked again, the model would think again. Where a
    prompt is continued as it stands, an empty text is a valid answer too: the model saw nothing to add.
    """
    model = payload["model"]
    if error := read_error(model, None, reply):
        raise classified(endpoint, error)
    billed = _billed(model, reply)
    try:
        choice = reply["choices"][0]
        message = {"content": choice["text"]} if "prompt" in payload else choice["message"]
        text, thinking = _texts(message)
        finish = str(choice.get("finish_reason") or "stop").lower()
        logprob = _mean_logprob(choice.get("logprobs"))
    except ODD:
        raise Unusable("no text in the reply", scrubbed(as_json(reply))[:MOST_WORDS], billed) from None
    if finish in FILTERED or message.get("refusal"):
        why = message.get("refusal") or ""
        why = why if isinstance(why, str) else as_json(why)
        raise Filtered(finish if finish in FILTERED else "refusal", why, billed)
    if finish in BROKEN_OFF:
        raise Transient(f"broken off ({finish})", billed=billed)
    if not (text.strip() or thinking.strip()) and finish not in CUT_OFF and "prompt" not in payload:
        raise Unusable("empty reply", billed=billed)
    found: Answer = {"text": text, "finish": "length" if finish in CUT_OFF else "stop", **billed}
    if thinking:
        found["thinking"] = thinking
    if logprob is not None:
        found["logprob"] = logprob
    return found


def body_of(endpoint: Endpoint, text: str) -> Any:
    """The JSON of a reply with status 200, which may be streamed.

    Raises Misconfigured for a web page, and Transient for what is cut off.
    """
    if text.lstrip().startswith(("data:", "event:", "id:", ":")):
        try:
            return _assembled(text)
        except ODD:
            raise Transient("broken reply", scrubbed(text.strip())[:MOST_WORDS]) from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if title := page_title(text):
            raise Misconfigured(
                f"{endpoint.provider}: the reply is a web page ({title}), not JSON; check "
                f"providers.{endpoint.provider}.base_url ({endpoint.base_url}): that of most servers ends in /v1; or a "
                "proxy or a gateway stands between"
            ) from None
        raise Transient("broken reply", scrubbed(text.strip())[:MOST_WORDS]) from None


def json_or_text(text: str) -> Any:
    """What the body of a failed request holds."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def retry_after(headers: Any) -> float | None:
    """How many seconds to wait, where the provider's headers say it in seconds or as a date."""
    value: Any = (headers or {}).get("retry-after")
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _billed(model: str, reply: Any) -> dict[str, Any]:
    """The author and the tokens of a reply; those of its thinking are among ``tokens``."""
    usage = reply.get("usage") if isinstance(reply, Mapping) else None
    counts = usage if isinstance(usage, Mapping) else {}
    billed = {
        "author": model,
        "prompt_tokens": _count(counts.get("prompt_tokens")),
        "tokens": _count(counts.get("completion_tokens")),
    }
    cached = _cached(counts)
    return billed | {"cached_tokens": cached} if cached else billed


def _cached(usage: Mapping[str, Any]) -> int:
    """How many tokens of the prompt the provider had cached: as OpenAI and most others say it, or as DeepSeek does."""
    details = usage.get("prompt_tokens_details")
    said = details.get("cached_tokens") if isinstance(details, Mapping) else None
    return _count(said) or _count(usage.get("prompt_cache_hit_tokens"))


def _count(value: Any) -> int:
    """A number of tokens; 0 where a server sends something else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else 0


def _texts(message: Mapping[str, Any]) -> tuple[str, str]:
    """The text of a message and the thinking beside it."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [content]
    thinking = [next((message[name] for name in THINKING if message.get(name)), None)]
    text: list[Any] = []
    for part in parts:
        kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
        (thinking if kind in THINKING else text).append(part)
    return "".join(map(_plain, text)), "\n".join(filter(None, map(_plain, thinking)))


def _plain(part: Any) -> str:
    """The text of one part of a message's content, whose parts may hold parts (Mistral)."""
    if isinstance(part, str):
        return part
    if isinstance(part, Sequence):
        return "".join(map(_plain, part))
    if isinstance(part, Mapping):
        return "".join(_plain(part[name]) for name in ("text", *THINKING, "content") if part.get(name))
    return ""


def _mean_logprob(logprobs: Any) -> float | None:
    """The mean log-probability of the tokens, in the form of the chat API or of the older one."""
    if not isinstance(logprobs, Mapping):
        return None
    tokens = logprobs.get("content")
    values = [t.get("logprob") for t in tokens] if isinstance(tokens, list) else logprobs.get("token_logprobs") or []
    known = [value for value in values if isinstance(value, int | float) and math.isfinite(value)]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def _assembled(text: str) -> Any:
    """The reply whose parts are the events of a stream.

    Raises Transient where the stream ends too early, and what `ODD` holds where its parts are none.
    """
    # The line ends of event streams. splitlines cuts at U+2028 and the like too, which JSON texts hold as they are.
    lines = re.split("\r\n|\n|\r", text)
    events = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    whole: dict[str, Any] = {}
    message: dict[str, str] = {}
    logprobs: list[Any] = []
    finish = None
    for event in events:
        if event == "[DONE]":
            continue
        chunk = json.loads(event)
        if chunk.get("error") or "choices" not in chunk:
            return chunk
        whole["usage"] = chunk.get("usage") or whole.get("usage")
        for choice in chunk["choices"][:1]:
            delta = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
            content, thinking = _texts(delta)
            message["content"] = message.get("content", "") + content
            message["reasoning_content"] = message.get("reasoning_content", "") + thinking
            logprobs += (choice.get("logprobs") or {}).get("content") or []
            finish = choice.get("finish_reason") or finish
    if finish is None:
        raise Transient("broken reply", "the stream ends too early")
    choice = {"message": message, "text": message["content"], "finish_reason": finish}
    return whole | {"choices": [choice | ({"logprobs": {"content": logprobs}} if logprobs else {})]}
