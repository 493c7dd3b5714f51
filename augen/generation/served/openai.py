"""Any server with an OpenAI-like API: vLLM, DashScope, DeepSeek, Ollama, …, through the openai SDK.

A payload with ``messages`` goes to the chat API; the text of one with ``prompt`` is continued as it stands (vLLM,
Ollama). A payload is the request's whole body, whatever fields it has: of the SDK only the connection is used.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from augen.core import params
from augen.generation.served.account import Answer
from augen.generation.served.bounded import Bound
from augen.generation.served.chat import answer, body_of, json_or_text, retry_after
from augen.generation.served.errors import Misconfigured, Refused, Transient
from augen.generation.served.network import check_base_url, check_proxies, required, unconnected
from augen.generation.served.replies import Endpoint, classified, read_error
from augen.generation.served.runner import Payload
from augen.generation.served.secrets import scrubbed

if TYPE_CHECKING:
    import openai

NAME = "openai"
KEY = "OPENAI_API_KEY"


def base_url(settings: params.OpenAI) -> str:
    return settings.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"


class OpenAI:
    def __init__(self, settings: params.OpenAI, max_reply_mib: float) -> None:
        """Raises Misconfigured where no key is set, or where the address or a proxy is none."""
        self.endpoint = Endpoint(NAME, KEY, base_url(settings))
        self.client = _connected(settings, self.endpoint.base_url, max_reply_mib)

    def send(self, payloads: Sequence[Payload]) -> list[Answer]:
        import httpx2

        (payload,) = payloads
        with as_call_errors(self.endpoint, payload["model"]):
            reply = self.client.post(path_of(payload), cast_to=httpx2.Response, body=dict(payload))
        return [answer(self.endpoint, payload, body_of(self.endpoint, reply.text))]


def path_of(payload: Payload) -> str:
    """What is added to the base URL for this payload."""
    return "/chat/completions" if "messages" in payload else "/completions"


def _connected(settings: params.OpenAI, url: str, max_reply_mib: float) -> "openai.OpenAI":
    key = required(NAME, [KEY])[KEY]
    check_base_url(NAME, url, KEY)
    check_proxies(NAME, "socksio")
    import httpx2
    import openai

    from augen.generation.served.httpx_bound import BoundedClient

    # max_retries: the runner retries, and counts. Threads may share the client.
    try:
        return openai.OpenAI(
            api_key=key,
            base_url=url,
            timeout=settings.timeout_s,
            max_retries=0,
            http_client=BoundedClient(Bound(max_reply_mib)),
        )
    except (ValueError, OSError, httpx2.InvalidURL) as error:  # a proxy without an address, no such certificates
        raise Misconfigured(
            f"{NAME}: no connection can be made: {scrubbed(str(error))}; look at HTTP_PROXY, HTTPS_PROXY, "
            "ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR in the environment"
        ) from None


@contextmanager
def as_call_errors(endpoint: Endpoint, model: str) -> Iterator[None]:
    """Turn what the SDK raises in the block into the errors that the runner knows."""
    import openai

    try:
        yield
    except openai.APITimeoutError:
        raise Transient("timeout") from None
    except openai.APIStatusError as error:
        response = error.response
        body, wait_s = json_or_text(response.text), retry_after(response.headers)
        fault = read_error(model, error.status_code, body, wait_s)
        assert fault  # since the status is given
        raise classified(endpoint, fault) from None
    except openai.APIConnectionError as error:
        if isinstance(error.__cause__, Refused):
            raise error.__cause__ from None
        said = str(error.__cause__ or "")
        raise unconnected(NAME, said, "SSL_CERT_FILE", scrubbed(said)) from None
