"""Qianfan V2 and an OpenAI-compatible server: chat completions with bearer keys, 429 with headers, errors as JSON.

The model explains the answer that a prompt gives. A share `wrong` of its texts ends in another answer, and a share
`mute` in none, so that a second attempt is needed; prompt, seed and model decide which. A prompt with a JSON list of
texts gets the list back in other words, and one that asks for a translation is answered as by `demo.tencent`.
"""

import hashlib
import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

from demo.base import Reply, Server, Settings
from demo.tencent import OTHER_WORDS, translated

QIANFAN_TOKEN = "bce-v3/ALTAK-loopback/0123456789abcdef"
QIANFAN_ACCESS_KEY, QIANFAN_SECRET_KEY = "ALTAK-loopback-access", "qianfan-secret-key-loopback"
OPENAI_KEY = "sk-loopback-0123456789"
MODELS = ("ernie-4.5-turbo-128k", "ernie-5.0")


class ChatServer(Server):
    """What both have in common."""

    path: str

    def __init__(
        self, settings: Settings | None = None, port: int = 0, *, wrong: float = 0.0, mute: float = 0.0
    ) -> None:
        super().__init__(settings, port)
        self.wrong, self.mute = wrong, mute

    def answer(self, request: BaseHTTPRequestHandler, body: Any) -> Reply:
        if request.path != self.path:
            return self.error(404, "not_found", f"no such path {request.path}")
        return self.completion(body)

    def completion(self, body: Any) -> Reply:
        """The reply to a request, however it came."""
        if body["model"] not in MODELS:
            return self.no_such_model(body["model"])
        prompt = body["messages"][-1]["content"]
        if "违禁词" in prompt:
            return self.error(400, "data_inspection_failed", "the prompt may contain inappropriate content")
        text = self.text(prompt, body)
        tokens = {"prompt_tokens": len(prompt) * 5 // 8, "completion_tokens": len(text) * 5 // 8}
        return Reply(
            200,
            {
                "id": f"as-{uuid.uuid4().hex[:10]}",
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "choices": [
                    {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", "flag": 0}
                ],
                "usage": {**tokens, "total_tokens": sum(tokens.values())},
            },
            headers=self.headers(),
            paid=(json.dumps(body, sort_keys=True, ensure_ascii=False),),
        )

    def text(self, prompt: str, body: Any) -> str:
        if "JSON 列表" in prompt:
            texts = json.loads(prompt[prompt.index("[") :])
            return "```json\n" + json.dumps([_other_words(text) for text in texts], ensure_ascii=False) + "\n```"
        if asked := re.fullmatch(r"把下面的文本翻译成(.+?)，.*?\n\n(.*)", prompt, re.DOTALL):
            return translated(asked[2], "zh" if asked[1] == "中文" else "ja")
        given = re.search(r"### 答案\n答案是：([A-Z])", prompt)
        letter = given[1] if given else "A"
        drawn = int(hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:8], 16) / 2**32
        reasoning = "根据题目，逐条排除不符合条件的选项，剩下的就是所求。" * 3
        if drawn < self.mute:
            return reasoning
        if drawn < self.mute + self.wrong:
            letter = "B" if letter == "A" else "A"
        return f"{reasoning}\n答案是：{letter}"

    def headers(self) -> dict[str, str]:
        limit = self.settings.requests_per_minute
        return {} if limit is None else {"X-Ratelimit-Limit-Requests": str(int(limit))}

    def no_such_model(self, model: str) -> Reply:
        raise NotImplementedError

    def error(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Reply:
        error = {"code": code, "message": message, "type": "invalid_request_error"}
        return Reply(status, {"error": error, "id": f"as-{uuid.uuid4().hex[:10]}"}, headers=headers or {})

    def miscounted(self, reply: Reply) -> Any:
        return {**reply.body, "choices": []}


class QianfanServer(ChatServer):
    """Qianfan V2, and the IAM service that makes a bearer token from access key and secret key."""

    name = "qianfan"
    path = "/v2/chat/completions"

    def authorized(self, request: BaseHTTPRequestHandler, body: bytes) -> Reply | None:
        header = request.headers.get("Authorization", "")
        if request.path.startswith("/v1/BCE-BEARER/token"):
            if header.startswith(f"bce-auth-v1/{QIANFAN_ACCESS_KEY}/"):
                return None
            return self.error(403, "AccessDenied", "Could not find credential.")
        if header == f"Bearer {QIANFAN_TOKEN}":
            return None
        return self.error(401, "invalid_iam_token", "IAM Certification failed")

    def answer(self, request: BaseHTTPRequestHandler, body: Any) -> Reply:
        if request.command == "GET":
            now = datetime.now(UTC)
            times = {
                "createTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "expireTime": (now + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            return Reply(200, {"userId": "u", "token": QIANFAN_TOKEN, "status": "enable", **times})
        return super().answer(request, body)

    def too_fast(self) -> Reply:
        return self.error(429, "rpm_rate_limit_exceeded", "Rate limit reached for RPM", self.headers())

    def out_of_quota(self) -> Reply:
        """The error of a daily quota still has V1's form, with status 200."""
        return Reply(200, {"error_code": 17, "error_msg": "Open api daily request limit reached"})

    def no_such_model(self, model: str) -> Reply:
        return self.error(401, "invalid_model", f"No permission to use the model {model}")


class OpenAIServer(ChatServer):
    name = "openai"
    path = "/v1/chat/completions"

    def authorized(self, request: BaseHTTPRequestHandler, body: bytes) -> Reply | None:
        header = request.headers.get("Authorization", "")
        if header == f"Bearer {OPENAI_KEY}":
            return None
        return self.error(401, "invalid_api_key", f"Incorrect API key provided: {header.removeprefix('Bearer ')}.")

    def too_fast(self) -> Reply:
        return self.error(429, "rate_limit_exceeded", "Rate limit reached", {"Retry-After": "1"})

    def out_of_quota(self) -> Reply:
        return self.error(429, "insufficient_quota", "You exceeded your current quota")

    def no_such_model(self, model: str) -> Reply:
        return self.error(404, "model_not_found", f"The model {model} does not exist")


def _other_words(text: str) -> str:
    for word, other in OTHER_WORDS:
        text = text.replace(word, other)
    return text
