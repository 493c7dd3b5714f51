"""Sessions of requests, as the SDKs of Qianfan and Tencent have them, with a bound on the size of replies."""

import io
from typing import Any

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

from augen.generation.served.bounded import CHUNK, Bound


class BoundedAdapter(HTTPAdapter):
    def __init__(self, bound: Bound) -> None:
        super().__init__()
        self._bound = bound

    def send(self, request: PreparedRequest, *positional: Any, **named: Any) -> Response:
        """See ``HTTPAdapter.send``. Raises Refused for a reply beyond the bound."""
        reply = super().send(request, *positional, **named)
        try:
            body = self._bound.read(reply.iter_content(CHUNK))
        finally:
            reply.close()
        whole = Response()
        whole.status_code, whole.reason, whole.headers = reply.status_code, reply.reason, reply.headers
        whole.url, whole.encoding, whole.request = reply.url, reply.encoding, request
        whole.raw = io.BytesIO(body)
        return whole


def bind(session: Session, bound: Bound) -> None:
    """Read all replies to `session` within `bound`."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, BoundedAdapter(bound))
