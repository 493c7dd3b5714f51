"""Any server with an OpenAI-like API: vLLM, DashScope, DeepSeek, Ollama, …, through the openai SDK.

A payload with ``messages`` goes to the chat API; the text of one with ``prompt`` is continued as it stands (vLLM,
Ollama).
"""

import os
from collections.abc import Sequence

from augen.core import params
from augen.generation.served.account import Answer
from augen.generation.served.chat import ErrorReply, answer, classified, retry_after
from augen.generation.served.errors import Transient
from augen.generation.served.runner import Payload
from augen.generation.served.secrets import required

NAME = "openai"
KEY = "OPENAI_API_KEY"


def base_url(settings: params.Chat) -> str:
    return settings.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"


class OpenAI:
    def __init__(self, settings: params.Chat) -> None:
        """Raises Misconfigured where no key is set."""
        key = required(NAME, [KEY])[KEY]
        import openai

        # max_retries: the runner retries, and counts. Threads may share the client.
        self._client = openai.OpenAI(
            api_key=key, base_url=base_url(settings), timeout=settings.timeout_s, max_retries=0
        )

    def send(self, payloads: Sequence[Payload]) -> list[Answer]:
        import openai

        (payload,) = payloads
        try:
            endpoint = self._client.chat.completions if "messages" in payload else self._client.completions
            reply = endpoint.with_raw_response.create(**payload)
            return [answer(payload, reply.http_response.json())]
        except openai.APITimeoutError:
            raise Transient("timeout") from None
        except openai.APIStatusError as error:
            body = error.body if isinstance(error.body, dict) else {}
            code, message = str(error.code or body.get("code") or ""), str(body.get("message") or "")
            wait_s = retry_after(error.response.headers)
            fault = ErrorReply(payload["model"], error.status_code, code, message, wait_s)
            raise classified(NAME, KEY, fault) from None
        except openai.APIConnectionError:
            raise Transient("connection") from None
        except ValueError:  # JSON that is cut off, or no JSON at all
            raise Transient("broken reply") from None
