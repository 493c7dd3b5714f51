"""What a provider can say instead of an answer, by what has to be done about it.

A provider module turns every error of its SDK into one of these; the runner knows nothing else. Their texts
are made from codes and messages of the provider's replies, never from an SDK's exception text: qianfan's, for
one, holds the request's headers and with them the token.
"""

from augen.core.errors import AugenError


class CallError(Exception):
    """`cause` is a short, stable text to count by; `detail` is what the provider said about this very request."""

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(f"{cause}: {detail}" if detail else cause)
        self.cause = cause


class Passing(CallError):
    """May pass: a server error, a timeout, a broken reply. The request is sent again after a while."""


class Unusable(Passing):
    """An answer, but none that can be used: nothing in it, or another count. Sent again a few times, then refused."""


class SlowDown(CallError):
    """Too many requests, tokens or characters per time: everybody pauses, then the request is sent again."""

    def __init__(self, cause: str, detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(cause, detail)
        self.retry_after_s = retry_after_s


class Refused(CallError):
    """This request will never be answered (its content, its length); others may."""


class QuotaUsedUp(CallError):
    """Nothing more will be answered today, or until somebody pays."""


class NoAnswer(CallError):
    """The provider says slow down, or fails, again and again, and answers nothing between: the run ends."""


class Misconfigured(AugenError):
    """No request of this kind can be answered: a wrong key, an unknown model. The message says what to set."""
