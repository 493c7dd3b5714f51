"""A server whose certificate nobody vouches for is named at the first request, and is not asked again and again."""

import datetime
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from augen.generation.base import Request
from augen.generation.open import open_sampler
from augen.generation.served.errors import Misconfigured
from augen.generation.served.openai import OpenAI
from augen.generation.served.qianfan import Qianfan
from augen.generation.served.tencent import Tencent
from tests.integration.paid import chat_changes
from tests.params import params

MIB = 1.0  # that a reply may have
CHAT = [{"model": "m", "messages": [{"role": "user", "content": "甲"}], "max_tokens": 4}]


@dataclass
class Behind:
    """A server on 127.0.0.1; `connections` are those that were begun, the file `authority` vouches for it."""

    url: str
    authority: Path
    connections: list[Any] = field(default_factory=list)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key, both made for this test."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(pem)
    return folder / "cert.pem", folder / "key.pem"


def serving(folder: Path, tls: bool) -> Iterator[Behind]:
    connections: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_error(404)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def get_request(self) -> Any:
            connections.append(None)
            return super().get_request()

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    cert, key = certificate(folder)
    with Server(("127.0.0.1", 0), Handler) as http:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            http.socket = context.wrap_socket(http.socket, server_side=True)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield Behind(f"https://127.0.0.1:{http.server_address[1]}", cert, connections)
        http.shutdown()


pytestmark = pytest.mark.usefixtures("paid_environment")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Behind]:
    yield from serving(tmp_path, tls=True)


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Behind]:
    yield from serving(tmp_path, tls=False)


def send(name: str, url: str) -> Any:
    changes = {f"providers.{name}.base_url": url} | ({"providers.qianfan.iam_url": url} if name == "qianfan" else {})
    providers = params(changes).providers
    if name == "tencent":
        return Tencent(providers.tencent, MIB).send([{"text": "甲", "source": "zh", "target": "ja"}])
    return (OpenAI(providers.openai, MIB) if name == "openai" else Qianfan(providers.qianfan, MIB)).send(CHAT)


@pytest.mark.parametrize("name", ["openai", "qianfan", "tencent"])
def test_a_certificate_that_nobody_vouches_for(name: str, server: Behind) -> None:
    with pytest.raises(Misconfigured, match=rf"{name}: the server's certificate is not trusted \(self-signed cert"):
        send(name, server.url)


@pytest.mark.parametrize("name", ["openai", "qianfan", "tencent"])
def test_a_server_without_tls(name: str, plain: Behind) -> None:
    with pytest.raises(Misconfigured, match=rf"{name}: the server does not speak TLS: providers\.{name}\.base_url"):
        send(name, plain.url)


@pytest.mark.parametrize("name", ["openai", "qianfan", "tencent"])
def test_the_variable_that_is_named_helps(name: str, server: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is trusted and asked: what it says then, 404, is another error."""
    monkeypatch.setenv("SSL_CERT_FILE" if name == "openai" else "REQUESTS_CA_BUNDLE", str(server.authority))
    with pytest.raises(Exception) as raised:
        send(name, server.url)
    assert ("certificate" not in str(raised.value) and "404" in str(raised.value)) or "HTTP error" in str(raised.value)


def test_it_is_asked_once(server: Behind) -> None:
    more: dict[str, Any] = {"providers.openai.retries": 5, "providers.openai.concurrency": 1}
    changes = chat_changes("openai", server.url, **more)
    request = Request("甲", seed=1, temperature=0.3, top_p=1.0, max_tokens=8)
    with (
        open_sampler("reason_true", "openai", providers=params(changes).providers, models=["m"]) as sampler,
        pytest.raises(Misconfigured, match="certificate is not trusted"),
    ):
        sampler.draw([(request, {"problem": "p"})], "test")
    assert len(server.connections) == 1
