"""What a provider can say instead of an answer, sorted by what has to be done about it.

A provider module turns every error of its SDK into one of these; the runner knows no others. Their texts are made
from codes and messages in the provider's replies, never from an SDK's exception text, which can hold secrets:
qianfan's holds the request's headers, and with them the token. A server may quote a key in any part of its reply, so
every error cuts the keys out of its own text.
"""

from collections.abc import Mapping
from typing import Any

from augen.core.errors import AugenError
from augen.generation.served.secrets import scrubbed
from augen.store.texts import storable


class CallError(Exception):
    """`cause` is a short, stable text to count by; `detail` is what the provider said about this one request.

    `billed` has the tokens of a reply that cannot be used and has to be paid all the same.
    """

    def __init__(self, cause: str, detail: str = "", billed: Mapping[str, Any] | None = None) -> None:
        cause = storable(scrubbed(cause))
        super().__init__(storable(scrubbed(f"{cause}: {detail}" if detail else cause)))
        self.cause = cause
        self.billed = billed


class Transient(CallError):
    """A server error, a timeout, a broken reply. The request is sent again after a while."""


class Unusable(Transient):
    """An answer without content, or a wrong number of answers. Sent again a few times, then counted as refused."""


class SlowDown(CallError):
    """Too many requests, tokens or characters per time: all requests pause, then this one is sent again."""

    def __init__(self, cause: str, detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(cause, detail)
        self.retry_after_s = retry_after_s


class Refused(CallError):
    """This request will never be answered (its content, its length); others may."""


class Filtered(Refused):
    """The provider does not answer such content, and will not the next time: the refusal is kept in the store."""


class QuotaUsedUp(CallError):
    """Nothing more will be answered until the next day, or until somebody pays."""


class NoAnswer(CallError):
    """The provider says slow down or fails again and again, with no answer in between: the run ends."""


class Misconfigured(AugenError):
    """No request can be answered with these settings: a wrong key, an unknown model. The message says what to set."""

    def __init__(self, message: str) -> None:
        super().__init__(storable(scrubbed(message)))
