"""Baidu Qianfan, V2 (V1 was switched off in August 2026), through the qianfan SDK.

What the SDK does on its own is turned off: its limiter (which uses only 90 % of the limit that the first reply
names), its retries (which leave out 429 and 5xx), its cache, and its log, which quotes the headers of failed requests
and with them the token. Its calls block, in threads: its asynchronous ones lose the status code of errors.
"""

import logging
import os
import re
from collections.abc import Sequence
from typing import Any

from augen.core import params
from augen.generation.served.account import Answer
from augen.generation.served.chat import ErrorReply, answer, classified, retry_after
from augen.generation.served.errors import CallError, Misconfigured, Transient
from augen.generation.served.runner import Payload
from augen.generation.served.secrets import required

NAME = "qianfan"
CHOICES = (["QIANFAN_BEARER_TOKEN"], ["QIANFAN_ACCESS_KEY", "QIANFAN_SECRET_KEY"])
VARIABLES = "QIANFAN_BEARER_TOKEN, or QIANFAN_ACCESS_KEY and QIANFAN_SECRET_KEY"


def base_url(settings: params.Qianfan) -> str:
    return settings.base_url or os.environ.get("QIANFAN_CONSOLE_API_BASE_URL") or "https://qianfan.baidubce.com"


class Qianfan:
    def __init__(self, settings: params.Qianfan) -> None:
        """Raises Misconfigured where no key is set."""
        required(NAME, *CHOICES)  # the SDK reads them itself
        os.environ["QIANFAN_DISABLE_CACHE"] = "1"
        logging.getLogger("qianfan").disabled = True
        import qianfan

        config = qianfan.get_config()
        config.CONSOLE_API_BASE_URL = base_url(settings)
        if settings.iam_url:
            config.IAM_BASE_URL = settings.iam_url
        self._timeout_s = settings.timeout_s
        self._chat = qianfan.ChatCompletion(version="2", forcing_disable=True)

    def send(self, payloads: Sequence[Payload]) -> list[Answer]:
        import requests
        from qianfan import errors

        (payload,) = payloads
        model = payload["model"]
        try:
            reply: Any = self._chat.do(**payload, retry_count=1, request_timeout=self._timeout_s)
        except errors.APIError as error:  # HTTP 200 with an error in its body
            raise _classified(ErrorReply(model, None, str(error.error_code), error.error_msg)) from None
        except errors.RequestError as error:
            raise _of_status(model, error) from None
        except (errors.AuthError, errors.AccessTokenExpiredError, errors.BearerTokenExpiredError) as error:
            raise Misconfigured(f"{NAME}: {type(error).__name__}; check {VARIABLES}") from None
        except requests.Timeout:
            raise Transient("timeout") from None
        except requests.RequestException as error:
            raise Transient("connection", type(error).__name__) from None
        except (ValueError, KeyError, TypeError, AttributeError):  # JSON, but not what the SDK expects
            raise Transient("broken reply") from None
        body = reply.body
        if "error_code" in body:  # V1's form of an error, which the SDK's V2 takes for an answer
            raise _classified(ErrorReply(model, None, str(body["error_code"]), str(body.get("error_msg", ""))))
        return [answer(payload, body)]


def _classified(reply: ErrorReply) -> CallError | Misconfigured:
    return classified(NAME, VARIABLES, reply)


def _of_status(model: str, error: Any) -> CallError | Misconfigured:
    """The error for a reply whose status is not 200, or whose body is not JSON.

    The SDK gives its code only within the exception's text. Nothing but the reply's body is taken from that text: the
    part before the body holds the request with its token.
    """
    if error.status_code is None:
        return Transient("broken reply")
    body = str(error).rpartition("response body: ")[2]
    found = {
        name: match[1]
        for name in ("code", "error_code", "message", "error_msg")
        if (match := re.search(rf'"{name}"\s*:\s*"?([^",}}]*)', body))
    }
    code = found.get("code") or found.get("error_code") or ""
    message = found.get("message") or found.get("error_msg") or ""
    return _classified(ErrorReply(model, error.status_code, code, message, retry_after(error.headers)))
