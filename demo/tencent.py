"""Tencent TMT: TextTranslateBatch with TC3-HMAC-SHA256, 5 requests a second, less than 6,000 characters a request.

It 'translates' by putting `MARK` before each text. On the way back it removes all marks and replaces some words, so
that copies differ from their originals and pass the guards. With `collapse` all short texts become the same text on
the way back, as real machine translation does now and then.
"""

import hashlib
import hmac
import json
import re
import time
import uuid
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

from demo.base import Reply, Server, Settings

MARK = "〓"
SECRET_ID, SECRET_KEY = "AKID-loopback-0123456789", "tencent-secret-key-loopback"
OTHER_WORDS = (("如果", "假如"), ("选择题", "单选题"), ("下面", "以下"), ("，", "；"))


class TencentServer(Server):
    name = "tencent"

    def __init__(
        self, settings: Settings | None = None, port: int = 0, *, max_chars: int = 6000, collapse: bool = False
    ) -> None:
        super().__init__(settings or Settings(requests_per_second=5), port)
        self.max_chars, self.collapse = max_chars, collapse
        self.sizes: list[int] = []  # characters of each admitted request

    def authorized(self, request: BaseHTTPRequestHandler, body: bytes) -> Reply | None:
        """https://cloud.tencent.com/document/api/551/30636"""
        header = request.headers.get("Authorization", "")
        found = re.fullmatch(
            r"TC3-HMAC-SHA256 Credential=([^/]+)/([\d-]+)/tmt/tc3_request, "
            r"SignedHeaders=content-type;host, Signature=([0-9a-f]{64})",
            header,
        )
        if not found:
            return self._error("AuthFailure.InvalidAuthorization", "Authorization is not in the right form.")
        secret_id, date, signature = found.groups()
        if secret_id != SECRET_ID:
            return self._error("AuthFailure.SecretIdNotFound", f"The SecretId {secret_id} is not found.")
        timestamp = int(request.headers["X-TC-Timestamp"])
        if abs(time.time() - timestamp) > 300 or date != datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d"):
            return self._error("AuthFailure.SignatureExpire", "The signature has expired.")
        canonical = (
            f"POST\n/\n\ncontent-type:{request.headers['Content-Type']}\nhost:{request.headers['Host']}\n\n"
            f"content-type;host\n{hashlib.sha256(body).hexdigest()}"
        )
        scope = f"{date}/tmt/tc3_request"
        to_sign = f"TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"TC3{SECRET_KEY}".encode()
        for part in (date, "tmt", "tc3_request", to_sign):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(key.hex(), signature):
            return self._error("AuthFailure.SignatureFailure", "The provided credentials could not be validated.")
        return None

    def answer(self, request: BaseHTTPRequestHandler, body: Any) -> Reply:
        if request.headers["X-TC-Action"] != "TextTranslateBatch":
            return self._error("InvalidAction", f"The action {request.headers['X-TC-Action']} does not exist.")
        texts, source, target = body["SourceTextList"], body["Source"], body["Target"]
        size = sum(map(len, texts))
        if size >= self.max_chars:
            return self._error("UnsupportedOperation.TextTooLong", f"{size} characters, {self.max_chars} are too many.")
        self.sizes.append(size)
        return self._response(
            {
                "Source": source,
                "Target": target,
                "TargetTextList": [self.translated(text, target) for text in texts],
                "UsedAmount": size,
            },
            paid=tuple(f"{target}: {text}" for text in texts),
        )

    def translated(self, text: str, target: str) -> str:
        if self.collapse and target == "zh" and len(text.replace(MARK, "")) < 4:
            return "是的，长官。"
        return translated(text, target)

    def too_fast(self) -> Reply:
        return self._error("RequestLimitExceeded", "Your current request times equals to `6` in a second.")

    def out_of_quota(self) -> Reply:
        return self._error("FailedOperation.NoFreeAmount", "The free amount of this month is used up.")

    def broken(self) -> Reply:
        if self._random.random() < 0.5:
            return self._error("InternalError.BackendTimeout", "The backend timed out.")
        return super().broken()

    def miscounted(self, reply: Reply) -> Any:
        body = json.loads(json.dumps(reply.body))
        if "TargetTextList" in body["Response"]:
            body["Response"]["TargetTextList"].pop()
        return body

    @staticmethod
    def _response(response: dict[str, Any], paid: tuple[str, ...] = ()) -> Reply:
        return Reply(200, {"Response": {**response, "RequestId": str(uuid.uuid4())}}, paid=paid)

    def _error(self, code: str, message: str) -> Reply:
        """Errors come with status 200."""
        return self._response({"Error": {"Code": code, "Message": message}})


def translated(text: str, target: str) -> str:
    """`text` in the language `target`."""
    if target != "zh":
        return MARK + text
    text = text.replace(MARK, "")
    for word, other in OTHER_WORDS:
        text = text.replace(word, other)
    return text
