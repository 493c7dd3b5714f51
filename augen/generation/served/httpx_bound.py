"""The HTTP client of the openai SDK, with a bound on the size of replies."""

from typing import Any

import openai
from httpx2 import Request, Response

from augen.generation.served.bounded import CHUNK, Bound

_OF_PACKED = ("content-encoding", "content-length", "transfer-encoding")  # they do not hold of the body as it is read


class BoundedClient(openai.DefaultHttpxClient):
    """Follows no redirects: httpx would read their bodies whole."""

    def __init__(self, bound: Bound, **settings: Any) -> None:
        super().__init__(**settings, follow_redirects=False)
        self._bound = bound

    def send(self, request: Request, **settings: Any) -> Response:
        """See ``httpx.Client.send``. Raises Refused for a reply beyond the bound."""
        reply = super().send(request, **settings | {"stream": True})
        try:
            body = self._bound.read(reply.iter_bytes(CHUNK))
        finally:
            reply.close()
        headers = [(name, value) for name, value in reply.headers.multi_items() if name.lower() not in _OF_PACKED]
        return Response(reply.status_code, headers=headers, content=body, request=request)
