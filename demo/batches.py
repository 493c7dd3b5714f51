"""The Batch API of an OpenAI-compatible server: files of requests, answered after a while.

A batch is validating, then in_progress, then it ends as its fate says: ``completed``; ``half`` (completed, but every
second line failed with status 500); ``expired`` (half of the lines were not reached, as when it is cancelled);
``failed`` (as a whole, nothing is paid); ``full`` (failed, as too much is waiting). ``fates`` are those of the next
batches; then all complete. A reply depends on its request alone. What a batch answers counts as paid when it ends.
"""

import json
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from demo.base import Reply, Settings
from demo.chat import OpenAIServer

ENDS = {"completed": "completed", "half": "completed", "expired": "expired", "failed": "failed", "full": "failed"}
FAULTS = {"failed": ("internal_error", "The batch failed."), "full": ("token_limit_exceeded", "Enqueued token limit.")}


@dataclass
class Fates:
    """How batches go; may be changed while the server runs."""

    validating_s: float = 0.1
    running_s: float = 0.3
    most_lines: int = 50_000
    most_bytes: int = 200_000_000
    next: list[str] = field(default_factory=list)


@dataclass
class Batch:
    """A batch, and its lines. `end` is None while it runs."""

    id: str
    file: str
    url: str
    window: str
    fate: str
    lines: list[dict[str, Any]]
    began: float = field(default_factory=time.time)
    cancelled: bool = False
    end: dict[str, Any] | None = None


class BatchServer(OpenAIServer):
    """An `OpenAIServer` that takes batches too. `lines_sent` counts the lines of all batches that were begun, by id."""

    def __init__(
        self, settings: Settings | None = None, port: int = 0, *, fates: Fates | None = None, **more: float
    ) -> None:
        super().__init__(settings, port, **more)
        self.fates = fates or Fates()
        self.lines_sent: Counter[str] = Counter()
        self.batches: dict[str, Batch] = {}
        self._files: dict[str, bytes] = {}

    def _reply(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[Reply, str]:
        kind, *rest = urlsplit(request.path).path.removeprefix("/v1/").split("/")
        if kind not in ("files", "batches"):
            return super()._reply(request, body)
        if refusal := self.authorized(request, body):
            return refusal, ""
        fault = self.settings.script.pop(0) if self.settings.script else ""
        if fault in ("429", "500"):
            return (self.too_fast() if fault == "429" else self.broken()), fault
        with self._lock:
            route = self._of_files if kind == "files" else self._of_batches
            return route(request, rest, body), fault

    # --- files

    def _of_files(self, request: BaseHTTPRequestHandler, rest: list[str], body: bytes) -> Reply:
        if request.command == "POST":
            parts = _parts(request.headers["Content-Type"], body)
            if parts.get("purpose") != b"batch":
                return self.error(400, "invalid_purpose", "the purpose of a file has to be batch")
            id = f"file-{uuid.uuid4().hex[:12]}"
            self._files[id] = parts["file"]
            return Reply(200, self._file(id))
        if not rest or rest[0] not in self._files:
            return self.error(404, "not_found", "No such File object")
        if request.command == "DELETE":
            del self._files[rest[0]]
            return Reply(200, {"id": rest[0], "object": "file", "deleted": True})
        return Reply(200, self._files[rest[0]] if rest[1:] == ["content"] else self._file(rest[0]))

    def _file(self, id: str) -> dict[str, Any]:
        size = len(self._files[id])
        return {
            "id": id,
            "object": "file",
            "bytes": size,
            "created_at": int(time.time()),
            "filename": "batch.jsonl",
            "purpose": "batch",
            "status": "processed",
        }

    # --- batches

    def _of_batches(self, request: BaseHTTPRequestHandler, rest: list[str], body: bytes) -> Reply:
        if request.command == "POST" and not rest:
            return self._begin(json.loads(body))
        if not rest:
            return self._list(parse_qs(urlsplit(request.path).query))
        if rest[0] not in self.batches:
            return self.error(404, "not_found", f"No batch found with id {rest[0]}")
        batch = self.batches[rest[0]]
        if rest[1:] == ["cancel"]:
            batch.cancelled = True
        return Reply(200, self._seen(batch))

    def _begin(self, asked: dict[str, Any]) -> Reply:
        content = self._files.get(asked["input_file_id"])
        if content is None:
            return self.error(400, "invalid_request", "No such File object")
        lines = [json.loads(line) for line in content.splitlines()]
        fate = self.fates.next.pop(0) if self.fates.next else "completed"
        url, window = asked["endpoint"], asked["completion_window"]
        batch = Batch(f"batch_{uuid.uuid4().hex[:12]}", asked["input_file_id"], url, window, fate, lines)
        self.batches[batch.id] = batch
        self.lines_sent.update(line["custom_id"] for line in lines)
        self.arrivals.append(time.monotonic())
        return Reply(200, self._seen(batch))

    def _list(self, query: dict[str, list[str]]) -> Reply:
        limit = int(query.get("limit", ["20"])[0])
        found = [self._seen(batch) for batch in reversed(self.batches.values())]
        if after := query.get("after"):
            ids = [batch["id"] for batch in found]
            found = found[ids.index(after[0]) + 1 :]
        page = found[:limit]
        return Reply(200, {"object": "list", "data": page, "has_more": len(found) > limit})

    def _seen(self, batch: Batch) -> dict[str, Any]:
        """The batch as it is now."""
        seconds = time.time() - batch.began - self.fates.validating_s
        status, done = "validating", 0
        if batch.end is None and (seconds >= self.fates.running_s or batch.cancelled):
            batch.end = self._ended(batch, len(batch.lines) // 2 if seconds >= 0 else 0)
        elif seconds >= 0:
            status = "in_progress"
            done = int(min(1.0, seconds / self.fates.running_s) * len(batch.lines))
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.url,
            "input_file_id": batch.file,
            "completion_window": batch.window,
            "created_at": int(batch.began),
            "status": status,
            "request_counts": {"total": len(batch.lines), "completed": done, "failed": 0},
            **(batch.end or {}),
        }

    def _ended(self, batch: Batch, reached: int) -> dict[str, Any]:
        if error := self._invalid(batch):
            return {"status": "failed", "errors": {"object": "list", "data": [error]}}
        status = "cancelled" if batch.cancelled else ENDS[batch.fate]
        answered: list[bytes] = []
        failed: list[bytes] = []
        for number, line in enumerate(batch.lines):
            if not (number < reached if batch.cancelled else batch.fate != "expired" or number % 2):
                code = f"batch_{status}"
                failed.append(_result(line, None, {"code": code, "message": "This request was not executed."}))
                continue
            reply = self.broken() if batch.fate == "half" and number % 2 else self._answered(line["body"])
            (answered if reply.status == 200 else failed).append(_result(line, reply, None))
            self.answered.update(reply.paid)
        files: dict[str, Any] = {}
        for name, results in (("output_file_id", answered), ("error_file_id", failed)):
            if results:
                files[name] = f"file-{uuid.uuid4().hex[:12]}"
                self._files[files[name]] = b"".join(reversed(results))  # the order is not that of the requests
        counts = {"total": len(batch.lines), "completed": len(answered), "failed": len(failed)}
        return {"status": status, "request_counts": counts, **files}

    def _answered(self, body: dict[str, Any]) -> Reply:
        text = json.dumps(body, ensure_ascii=False)
        for words, reply in self.settings.replies.items():
            if words in text:
                return reply
        return self.completion(body)

    def _invalid(self, batch: Batch) -> dict[str, Any] | None:
        """What is wrong with a batch as a whole, if anything is."""
        ids = [line["custom_id"] for line in batch.lines]
        if batch.fate in FAULTS:
            code, message = FAULTS[batch.fate]
        elif len(ids) > self.fates.most_lines:
            code, message = "invalid_batch", "Too many requests."
        elif len(self._files.get(batch.file, b"")) > self.fates.most_bytes:
            code, message = "invalid_batch", "The file is too large."
        elif len(set(ids)) < len(ids):
            code, message = "duplicate_custom_id", "A custom_id is there twice."
        elif any(line["url"] != batch.url or line["method"] != "POST" for line in batch.lines):
            code, message = "mismatched_url", f"All requests have to be for {batch.url}."
        elif len({line["body"]["model"] for line in batch.lines}) > 1:
            code, message = "mismatched_model", "All requests of a batch have to be for the same model."
        else:
            return None
        return {"code": code, "message": message, "line": None, "param": None}


def _result(line: dict[str, Any], reply: Reply | None, error: dict[str, Any] | None) -> bytes:
    response = {"status_code": reply.status, "request_id": uuid.uuid4().hex, "body": reply.body} if reply else None
    result = {"id": uuid.uuid4().hex, "custom_id": line["custom_id"], "response": response, "error": error}
    return json.dumps(result, ensure_ascii=False).encode() + b"\n"


def _parts(content_type: str, body: bytes) -> dict[str, bytes]:
    """The parts of a form, by name."""
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    return {
        str(part.get_param("name", header="content-disposition")): bytes(part.get_payload(decode=True) or b"")
        for part in message.iter_parts()
    }
