"""What the three servers share: limits as providers count them, faults, and a count of what was answered."""

import json
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, ClassVar

FAULTS = ("429", "500", "reset", "hang", "truncated", "wrong_count", "empty")


class Rate:
    """Admits at most `amount` in every window of `period_s` seconds, by time of arrival. Refusals do not count."""

    def __init__(self, amount: float, period_s: float) -> None:
        self.amount, self.period_s = amount, period_s
        self._log: deque[tuple[float, float]] = deque()
        self._lock = threading.Lock()

    def admits(self, amount: float) -> bool:
        with self._lock:
            now = time.monotonic()
            while self._log and self._log[0][0] + self.period_s <= now:
                self._log.popleft()
            if sum(a for _, a in self._log) + amount > self.amount:
                return False
            self._log.append((now, amount))
            return True


@dataclass
class Reply:
    """Status, body (JSON, or bytes as they are), headers; `paid` are the items that this reply answers."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    paid: tuple[str, ...] = ()


@dataclass
class Settings:
    """How a server behaves; may be changed while it runs."""

    latency_s: float = 0.0
    requests_per_second: float | None = None
    requests_per_minute: float | None = None
    quota: int | None = None  # answers until the quota is used up
    faults: Mapping[str, float] = field(default_factory=dict)  # share of the requests that suffer it, by fault
    script: list[str] = field(default_factory=list)  # faults of the next requests ("": none), before `faults` apply
    replies: Mapping[str, Reply] = field(default_factory=dict)  # to requests whose body holds these words; "": to all
    hang_s: float = 30.0
    seed: int = 0


class Server:
    """Runs in threads of this process while its ``with`` block lasts, at ``url``."""

    name: ClassVar[str]

    def __init__(self, settings: Settings | None = None, port: int = 0) -> None:
        self.settings = settings or Settings()
        self.answered: Counter[str] = Counter()  # items whose answers were sent in full
        self.outcomes: Counter[str] = Counter()  # requests, by status or fault
        self.arrivals: list[float] = []  # of requests that were let through
        self._random = Random(self.settings.seed)
        self._lock = threading.Lock()
        self._rates: dict[tuple[str, float], Rate] = {}
        self._closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle(self) -> None:
                with suppress(ConnectionError):  # the client is gone: killed, or timed out
                    super().handle()

            def do_POST(self) -> None:
                server._handle(self)

            do_GET = do_DELETE = do_POST

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    # --- what a provider defines

    def authorized(self, request: BaseHTTPRequestHandler, body: bytes) -> Reply | None:
        """The reply to a request with a wrong signature or key; None where it is right."""
        raise NotImplementedError

    def answer(self, request: BaseHTTPRequestHandler, body: Any) -> Reply:
        raise NotImplementedError

    def too_fast(self) -> Reply:
        raise NotImplementedError

    def out_of_quota(self) -> Reply:
        raise NotImplementedError

    def broken(self) -> Reply:
        return Reply(500, {"error": {"code": "internal_error", "message": "Internal error"}})

    def miscounted(self, reply: Reply) -> Any:
        """The body of `reply` with another number of answers than was asked for."""
        raise NotImplementedError

    # --- one request

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        reply, fault = self._reply(request, body)
        if self._closing.wait(self.settings.latency_s):
            return
        self._count(fault or str(reply.status))
        try:
            if fault == "reset":
                request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                request.close_connection = True
                request.connection.close()
            elif fault == "hang":
                self._closing.wait(self.settings.hang_s)
                request.close_connection = True
            elif fault == "empty":
                self._write(request, reply, b"")
            elif fault == "truncated":
                whole = _json(reply.body)
                self._write(request, reply, whole[: len(whole) // 2])
            elif fault == "wrong_count":
                self._write(request, reply, _json(self.miscounted(reply)))
            else:
                self._write(request, reply, _json(reply.body))
                with self._lock:
                    self.answered.update(reply.paid)
        except OSError:  # the client is gone: killed, or timed out
            pass

    def _reply(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[Reply, str]:
        """The reply to send, and the fault that it suffers."""
        if refusal := self.authorized(request, body):
            return refusal, ""
        if request.command == "GET":
            return self.answer(request, None), ""
        if not self._admitted("requests", 1):
            self._count("too fast")
            return self.too_fast(), ""
        with self._lock:
            self.arrivals.append(time.monotonic())
            fault = self._fault()
        if fault == "429":
            return self.too_fast(), fault
        if fault == "500":
            return self.broken(), fault
        with self._lock:
            if self.settings.quota is not None:
                if self.settings.quota <= 0:
                    return self.out_of_quota(), ""
                self.settings.quota -= 1
        if "json" not in request.headers.get("Content-Type", ""):
            return self.answer(request, None), fault
        text = json.dumps(asked := json.loads(body), ensure_ascii=False)
        for words, reply in self.settings.replies.items():
            if words in text:
                return reply, fault
        return self.answer(request, asked), fault

    def _admitted(self, kind: str, amount: float) -> bool:
        limits = ((self.settings.requests_per_second, 1.0), (self.settings.requests_per_minute, 60.0))
        return all(
            self._rates.setdefault((kind, period_s), Rate(limit, period_s)).admits(amount)
            for limit, period_s in limits
            if limit is not None
        )

    def _fault(self) -> str:
        if self.settings.script:
            return self.settings.script.pop(0)
        drawn = self._random.random()
        for fault, share in self.settings.faults.items():
            if drawn < share:
                return fault
            drawn -= share
        return ""

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1

    @staticmethod
    def _write(request: BaseHTTPRequestHandler, reply: Reply, body: bytes) -> None:
        request.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
        request.wfile.flush()

    # --- life

    def start(self) -> "Server":
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> Any:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _json(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
