"""Bodies without an end, and small ones that unpack to 256 MiB: refused at the limit, in bounded memory.

And JSON that Python does not read.
"""

import itertools
import resource
import threading
import zlib
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from augen.generation.served.errors import Refused, Transient
from augen.generation.served.openai import OpenAI
from augen.generation.served.qianfan import Qianfan
from augen.generation.served.tencent import Tencent
from demo.chat import MODELS
from tests.integration.paid import KEYS
from tests.params import params

PART = b'{"choices": "' + b" " * 65536


def large_once_unpacked() -> Iterator[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)  # gzip
    for _ in range(256):
        yield packer.compress(b" " * 2**20)
    yield packer.flush()


PACKED = b"".join(large_once_unpacked())


class Endless(BaseHTTPRequestHandler):
    """Sends what `parts` has until the client has had enough."""

    status: ClassVar[int] = 200
    parts: ClassVar[Iterable[bytes]] = ()
    headers_sent: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for part in self.parts:
                self.wfile.write(part)
        except OSError:
            pass

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def send(provider: str, url: str) -> None:
    p = params({f"providers.{provider}.base_url": url, f"providers.{provider}.timeout_s": 5.0}).providers
    chat = {"model": MODELS[0], "messages": [{"role": "user", "content": "问题"}]}
    match provider:
        case "openai":
            OpenAI(p.openai, max_reply_mib=1).send([chat])
        case "qianfan":
            Qianfan(p.qianfan, max_reply_mib=1).send([chat])
        case _:
            Tencent(p.tencent, max_reply_mib=1).send([{"text": "甲", "source": "zh", "target": "ja"}])


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("provider", ["openai", "qianfan", "tencent"])
def test_a_reply_beyond_the_limit_is_refused(
    url: str, provider: str, packed: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Endless, "status", status)
    monkeypatch.setattr(Endless, "parts", [PACKED] if packed else itertools.repeat(PART))
    monkeypatch.setattr(Endless, "headers_sent", {"Content-Encoding": "gzip"} if packed else {})
    with pytest.raises(Refused, match=r"too large a reply: .*providers\.max_reply_mib \(1\)"):
        send(provider, url)  # loads the SDK, too
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Refused):
        send(provider, url)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KiB


def test_a_redirect_with_an_endless_body_is_not_read(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Endless, "status", 308)
    monkeypatch.setattr(Endless, "parts", itertools.repeat(PART))
    monkeypatch.setattr(Endless, "headers_sent", {"Location": "/elsewhere"})
    for provider in ("openai", "qianfan", "tencent"):
        with pytest.raises(Refused, match="too large a reply"):
            send(provider, url)


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("provider", ["openai", "qianfan", "tencent"])
@pytest.mark.parametrize("body", ["[" * 100_000, "1" * 5000, "response body: " + "-" * 100_000], ids=len)
def test_json_that_python_does_not_read_is_a_broken_reply(
    url: str, provider: str, status: int, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Endless, "status", status)
    monkeypatch.setattr(Endless, "parts", [body.encode()])
    monkeypatch.setattr(Endless, "headers_sent", {"Content-Type": "application/json"})
    with pytest.raises(Transient):
        send(provider, url)
