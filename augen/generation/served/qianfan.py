"""Baidu Qianfan, V2 (V1 was switched off in August 2026), through the qianfan SDK.

What the SDK does on its own is turned off: its limiter (which uses only 90 % of the limit that the first reply
names), its retries (which leave out 429 and 5xx), its cache, and its log, which quotes the headers of failed requests
and with them the token. Its calls block, in threads: its asynchronous ones lose the status code of errors.
"""

import ast
import logging
import os
from collections.abc import Sequence
from typing import Any

from augen.core import params
from augen.generation.served.account import Answer
from augen.generation.served.bounded import Bound
from augen.generation.served.chat import answer, json_or_text, retry_after
from augen.generation.served.errors import Misconfigured, Transient
from augen.generation.served.network import (
    REQUESTS_AUTHORITIES,
    check_base_url,
    check_proxies,
    required,
    unconnected,
)
from augen.generation.served.replies import Endpoint, ErrorReply, classified, read_error
from augen.generation.served.runner import Payload

NAME = "qianfan"
CHOICES = (["QIANFAN_BEARER_TOKEN"], ["QIANFAN_ACCESS_KEY", "QIANFAN_SECRET_KEY"])
VARIABLES = "QIANFAN_BEARER_TOKEN, or QIANFAN_ACCESS_KEY and QIANFAN_SECRET_KEY"


def base_url(settings: params.Qianfan) -> str:
    return settings.base_url or os.environ.get("QIANFAN_CONSOLE_API_BASE_URL") or "https://qianfan.baidubce.com"


class Qianfan:
    def __init__(self, settings: params.Qianfan, max_reply_mib: float) -> None:
        """Raises Misconfigured where no key is set."""
        required(NAME, *CHOICES)  # the SDK reads them itself
        self._endpoint = Endpoint(NAME, VARIABLES, base_url(settings))
        check_base_url(NAME, self._endpoint.base_url, VARIABLES)
        check_proxies(NAME, "socks")
        os.environ["QIANFAN_DISABLE_CACHE"] = "1"
        logging.getLogger("qianfan").disabled = True
        import qianfan

        from augen.generation.served.requests_bound import bind

        config = qianfan.get_config()
        config.CONSOLE_API_BASE_URL = self._endpoint.base_url
        if settings.iam_url:
            config.IAM_BASE_URL = settings.iam_url
        self._timeout_s = settings.timeout_s
        self._chat = qianfan.ChatCompletion(version="2", forcing_disable=True)
        bind(
            self._chat._real._client._client._session, Bound(max_reply_mib)
        )  # the SDK has no other way to its connection

    def send(self, payloads: Sequence[Payload]) -> list[Answer]:
        import requests
        from qianfan import errors

        (payload,) = payloads
        model = payload["model"]
        try:
            reply: Any = self._chat.do(**payload, retry_count=1, request_timeout=self._timeout_s)
        except errors.APIError as error:  # HTTP 200 with an error in its body
            raise classified(
                self._endpoint, ErrorReply(model, None, (str(error.error_code),), str(error.error_msg))
            ) from None
        except errors.RequestError as error:
            if error.status_code is None:
                raise Transient("broken reply") from None
            fault = read_error(model, error.status_code, *_failed(error))
            assert fault  # since the status is given
            raise classified(self._endpoint, fault) from None
        except (errors.AuthError, errors.AccessTokenExpiredError, errors.BearerTokenExpiredError) as error:
            raise Misconfigured(f"{NAME}: {type(error).__name__}; check {VARIABLES}") from None
        except requests.Timeout:
            raise Transient("timeout") from None
        except requests.RequestException as error:
            raise unconnected(NAME, str(error), REQUESTS_AUTHORITIES, type(error).__name__) from None
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):  # JSON, but not what the SDK expects
            raise Transient("broken reply") from None
        return [answer(self._endpoint, payload, reply.body)]


def _failed(error: Any) -> tuple[Any, float | None]:
    """The body of a reply whose status is not 200, and how long it says to wait.

    The SDK gives the body only within the exception's text, as Python writes a text. Nothing else is taken from there:
    the part before the body holds the request with its token.
    """
    quoted = str(error).rpartition("response body: ")[2].partition("\n")[0]
    try:
        body = ast.literal_eval(quoted)
    except (ValueError, SyntaxError, RecursionError, MemoryError):  # the last where it is nested too deeply
        body = ""
    return json_or_text(body), retry_after(error.headers)
