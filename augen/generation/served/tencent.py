"""Tencent machine translation (TMT), TextTranslateBatch.

A payload is ``{"text": "甲比乙高。", "source": "zh", "target": "ja"}``; the payloads of one request share their
languages. The answer is ``{"text": "…", "characters": 5}``, with the characters that are billed for it.

It is called through `CommonClient`, because only some versions of the SDK have a method for TextTranslateBatch. The
SDK's own retryer is not used: it never clears its error, so one rate error followed by good answers still raises.
"""

import os
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from augen.core import params
from augen.generation.served.account import Answer
from augen.generation.served.bounded import TOO_LARGE, Bound
from augen.generation.served.errors import (
    CallError,
    Misconfigured,
    QuotaUsedUp,
    Refused,
    SlowDown,
    Transient,
    Unusable,
)
from augen.generation.served.network import REQUESTS_AUTHORITIES, check_proxies, required, unconnected
from augen.generation.served.runner import Payload

NAME = "tencent"
KEYS = ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY")

# How error codes begin; https://cloud.tencent.com/document/api/551/30637
_QUOTA = (
    "FailedOperation.NoFreeAmount",
    "FailedOperation.UserHasNoFreeAmount",
    "FailedOperation.ServiceIsolate",
    "FailedOperation.StopUsing",
)
_SLOW_DOWN = ("RequestLimitExceeded", "LimitExceeded.LimitedAccessFrequency")
_KEY = ("AuthFailure", "UnauthorizedOperation")
_TRANSIENT = (
    "InternalError",
    "FailedOperation.RequestAiLabErr",
    "ServerNetworkError",  # the SDK's own: an HTTP status other than 200
)
_THIS_TEXT = ("FailedOperation.LanguageRecognitionErr",)


class Tencent:
    def __init__(self, settings: params.Tencent, max_reply_mib: float) -> None:
        """Raises Misconfigured where a key is not set, or a proxy cannot be used."""
        self._secrets = required(NAME, KEYS)
        check_proxies(NAME, "socks")
        self._settings = settings
        self._bound = Bound(max_reply_mib)
        self._of_thread = threading.local()  # the SDK's session must not be shared
        self._client()  # loads the SDK now: if the first request waited for that, the next would come too soon

    def send(self, payloads: Sequence[Payload]) -> list[Answer]:
        import requests
        from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

        body = {
            "Source": payloads[0]["source"],
            "Target": payloads[0]["target"],
            "ProjectId": 0,
            "SourceTextList": [payload["text"] for payload in payloads],
        }
        try:
            reply = self._client().call_json("TextTranslateBatch", body)
            texts = reply["Response"]["TargetTextList"]
        except TencentCloudSDKException as error:
            raise classified(str(error.get_code()), str(error.get_message() or "")) from None
        except requests.Timeout:
            raise Transient("timeout") from None
        except requests.RequestException as error:  # the connection broke while the reply was read
            raise unconnected(NAME, str(error), REQUESTS_AUTHORITIES, type(error).__name__) from None
        except (ValueError, RecursionError, KeyError, TypeError):
            raise Transient("broken reply") from None
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise Transient("broken reply")
        if len(texts) != len(payloads):
            raise Unusable("wrong count", f"{len(texts)} translations of {len(payloads)} texts")
        if not any(text.strip() for text in texts):  # a single text without words may have an empty one
            raise Unusable("empty reply")
        return [
            {"text": text, "characters": len(payload["text"])} for text, payload in zip(texts, payloads, strict=True)
        ]

    def _client(self) -> Any:
        if not hasattr(self._of_thread, "client"):
            from tencentcloud.common.common_client import CommonClient
            from tencentcloud.common.credential import Credential
            from tencentcloud.common.profile.client_profile import ClientProfile
            from tencentcloud.common.profile.http_profile import HttpProfile

            from augen.generation.served.requests_bound import bind

            url = urlsplit(self._settings.base_url)
            http = HttpProfile(
                protocol=url.scheme, endpoint=url.netloc, reqTimeout=self._settings.timeout_s, keepAlive=True
            )
            http.certification = os.environ.get(REQUESTS_AUTHORITIES)  # None: those that come with the SDK
            credential = Credential(*(self._secrets[name] for name in KEYS))
            client = CommonClient(
                "tmt", "2018-03-21", credential, self._settings.region, ClientProfile(httpProfile=http)
            )
            bind(client.request.conn._session, self._bound)  # the SDK has no other way to its connection
            self._of_thread.client = client
        return self._of_thread.client


def classified(code: str, message: str) -> CallError | Misconfigured:
    """The error for one of TMT's codes."""
    if code.startswith(_QUOTA) or code == "LimitExceeded":
        return QuotaUsedUp(code, message)
    if code.startswith(_SLOW_DOWN):
        return SlowDown(code, message)
    if code.startswith(_KEY):
        return Misconfigured(f"{NAME}: {code}: {message}; check {' and '.join(KEYS)}")
    if code.startswith(_THIS_TEXT):
        return Refused(code, message)
    if code == "ClientNetworkError" and TOO_LARGE in message:
        return Refused("too large a reply", message)
    if code == "ClientNetworkError" and "timed out" in message:
        return Transient("timeout")
    if code == "ClientNetworkError":
        return unconnected(NAME, message, REQUESTS_AUTHORITIES, "")
    if code.startswith(_TRANSIENT):
        return Transient("HTTP error" if code == "ServerNetworkError" else code)
    if code == "UnsupportedOperation.TextTooLong":
        return Misconfigured(f"{NAME}: {code}: {message}; lower providers.tencent.characters_per_request")
    return Misconfigured(f"{NAME}: {code}: {message}; see https://cloud.tencent.com/document/api/551/30637")
