"""Servers of bad manners: each says something to whoever connects, and closes, or goes on for ever."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import repeat

# What is sent after the head of a request: bytes at once, or a function that is given the connection and "it is over".
Manner = bytes | Callable[[socket.socket, threading.Event], None]


@contextmanager
def served(manner: Manner) -> Iterator[str]:
    """The URL of a server on 127.0.0.1 with this `manner`."""
    over = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10)
            connection.recv(65536)
            if isinstance(manner, bytes):
                connection.sendall(manner)
            else:
                manner(connection, over)

    def accept() -> None:
        while not over.is_set():
            with suppress(OSError):
                connection = listening.accept()[0]
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            accepting.join()


def reply(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def endless(start: bytes, part: bytes, pause_s: float = 0.0) -> Manner:
    def manner(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        for again in repeat(part):
            if over.wait(pause_s):
                return
            connection.sendall(again)

    return manner


def reset(start: bytes) -> Manner:
    """What ends with a reset of the connection."""

    def manner(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return manner


def silent(connection: socket.socket, over: threading.Event) -> None:
    over.wait(30)


def text(content: bytes) -> bytes:
    return reply(b'{"choices": [{"message": {"content": ' + content + b'}, "finish_reason": "stop"}]}')


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MANNERS: dict[str, Manner] = {
    "a sound reply": text('"甲高。\\n答案是：A"'.encode()),
    "no reply": b"",
    "silence": silent,
    "a header byte by byte": endless(HEAD + b"X: ", b" ", 0.2),
    "a body byte by byte": endless(HEAD + b"\r\n", b" ", 0.2),
    "a body without end": endless(HEAD + b"\r\n", b" " * 65536, 0.01),
    "headers without end": endless(HEAD, b"X: " + b"y" * 8000 + b"\r\n", 0.01),
    "chunks without end": endless(CHUNKED, b"1\r\n \r\n", 0.01),
    "continue without end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    "a reset at once": reset(b""),
    "a reset in the header": reset(HEAD),
    "a reset in the body": reset(HEAD + b'\r\n{"choices": ['),
    "a body shorter than announced": reply(b"{}", length=999),
    "a body longer than announced": reply(b'{"choices": []}', length=3),
    "a length of 2**63": reply(b"{}", length=2**63),
    "a negative length": reply(b"{}", length=-5),
    "two lengths": reply(b"{}", "Content-Length: 9"),
    "chunks that are none": CHUNKED + b"zz\r\nx",
    "a chunk of 2**63 bytes": CHUNKED + b"8000000000000000\r\nx",
    "gzip that is none": reply(b"{}", "Content-Encoding: gzip"),
    "an unknown encoding": reply(b"{}", "Content-Encoding: odd"),
    "a status of 999": reply(b"{}", status="999 Odd"),
    "a status that is none": b"HTTP/1.1 OK\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "noise": bytes(range(256)) * 64,
    "a redirect to itself": reply(b"", "Location: /v1/chat/completions", status="307 Away"),
    "a redirect to a closed port": reply(b"", "Location: http://127.0.0.1:9/v1", status="307 Away"),
    "a redirect to a file": reply(b"", "Location: file:///etc/passwd", status="302 Away"),
    "a web page": reply(b"<!doctype html><title>Sign in</title>", "Content-Type: text/html"),
    "a web page as an error": reply(b"<html><h1>Bad gateway</h1>", status="502 Bad"),
    "half a surrogate pair": text(b'"\\ud800"'),
    "NUL and escapes": text(b'"\\u0000\\u001b[2J\\u009b"'),
    "bytes that are not UTF-8": reply(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'),
    "UTF-16": reply('{"choices": []}'.encode("utf-16")),
    "a text of a million signs": text(b'"' + b"a" * 1_000_000 + b'"'),
    "nested deeply": reply(b'{"choices":' * 10_000),
    "a number of 5,000 digits": reply(b'{"choices": ' + b"9" * 5_000 + b"}"),
    "numbers that are none": reply(
        b'{"choices": [{"message": {"content": "A"}}], "usage": {"completion_tokens": NaN}}'
    ),
    "tokens below 0": reply(b'{"choices": [{"message": {"content": "A"}}], "usage": {"completion_tokens": -7}}'),
    "no choices": reply(b'{"choices": []}'),
    "choices that are a text": reply(b'{"choices": "x"}'),
    "a message that is a list": reply(b'{"choices": [{"message": ["x"]}]}'),
    "an error that is a number": reply(b'{"error": 7}', status="400 Bad"),
    "to wait for ten years": reply(b"{}", "Retry-After: 315360000", status="503 Busy"),
    "a stream that ends too early": reply(b'data: {"choices": [{"delta": {"content": "A"}}]}\n\n'),
    "a stream of noise": reply(b"data: \xff\n\ndata: {\n\n"),
}
