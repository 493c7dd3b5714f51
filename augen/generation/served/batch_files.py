"""Requests as files, answered within a day: the Batch API of OpenAI, which DashScope and Zhipu share.

A file has a line for each request, ``{"custom_id": …, "method": "POST", "url": …, "body": …}``. It is uploaded, a batch
is made of it, and when that ends there are up to two files: lines with answers and lines with errors, in any order.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from augen.core import params
from augen.generation.served.account import Answer
from augen.generation.served.chat import answer
from augen.generation.served.errors import CallError, Misconfigured
from augen.generation.served.openai import OpenAI, as_call_errors, path_of
from augen.generation.served.replies import Endpoint, ErrorReply, classified, read_error
from augen.generation.served.runner import Call, Payload

FILE_MIB = 512  # of a file with answers, at most
GONE = "gone"
ENDED = ("completed", "failed", "expired", "cancelled", GONE)
CLOCKS_S = 3600.0  # by which the provider's clock may differ

Outcome = Answer | CallError | Misconfigured


@dataclass(frozen=True)
class State:
    """What the provider says of a batch."""

    id: str
    status: str
    answered: int  # lines
    failed: int
    files: tuple[str, ...]  # with answers, then with errors, as far as there are any
    errors: tuple[Mapping[str, Any], ...]  # of the whole batch: code, message, perhaps line (from 1)


class BatchFiles:
    """The batches of one account. Every method raises `CallError`s and Misconfigured, as a provider's ``send`` does."""

    def __init__(self, settings: params.OpenAI) -> None:
        connection = OpenAI(settings, FILE_MIB)
        self.endpoint, self._client = connection.endpoint, connection.client
        self._window: Any = settings.batch_window
        import openai

        self._not_found = openai.NotFoundError

    def url(self, payload: Payload) -> str:
        """What stands in a line for the address: /v1/chat/completions, or with the last part of another base URL."""
        return "/" + urlsplit(self.endpoint.base_url).path.rstrip("/").rpartition("/")[2] + path_of(payload)

    def line(self, call: Call) -> bytes:
        request = {"custom_id": call.key, "method": "POST", "url": self.url(call.payload), "body": call.payload}
        return json.dumps(request, ensure_ascii=False).encode("utf-8", "replace") + b"\n"

    def upload(self, name: str, lines: Sequence[bytes]) -> str:
        """The id of a new file with these `lines`."""
        with self._asking():
            return self._client.files.create(file=(f"{name}.jsonl", b"".join(lines)), purpose="batch").id

    def create(self, file: str, url: str) -> State:
        """Start a batch. Where this fails, it may have been started all the same: see ``find``."""
        endpoint: Any = url
        with self._asking():
            return _state(
                self._client.batches.create(
                    input_file_id=file, endpoint=endpoint, completion_window=self._window, metadata={"by": "augen"}
                )
            )

    def find(self, file: str, since: float) -> State | None:
        """The batch that was made of `file` after the time `since`, if there is one."""
        with self._asking():
            for batch in self._client.batches.list(limit=100):  # the newest first
                if batch.input_file_id == file:
                    return _state(batch)
                if batch.created_at < since - CLOCKS_S:
                    break
        return None

    def state(self, id: str) -> State:
        """Its ``status`` is "gone" where the provider knows no such batch any more."""
        with self._asking():
            try:
                return _state(self._client.batches.retrieve(id))
            except self._not_found:
                return State(id, GONE, 0, 0, (), ())

    def cancel(self, id: str) -> State:
        with self._asking():
            return _state(self._client.batches.cancel(id))

    def delete(self, file: str) -> None:
        """After this no batch can be made of `file`."""
        with self._asking(), suppress(self._not_found):
            self._client.files.delete(file)

    def results(self, file: str) -> Iterator[Mapping[str, Any]]:
        """The lines of a file with answers or errors; one that is no JSON is left out."""
        with self._asking():
            content = self._client.files.content(file).content
        for line in content.splitlines():
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict):
                yield found

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            with as_call_errors(self.endpoint, ""):
                yield
        except Misconfigured as error:
            raise Misconfigured(
                f"{error}; this was said to a request of the Batch API: where there is none, set "
                "providers.openai.batch to false"
            ) from None


def outcome(endpoint: Endpoint, payload: Payload, line: Mapping[str, Any]) -> Outcome:
    """What a line of a result says: an answer, or what a request of its own would have raised.

    Of `payload` only the model counts, and whether a prompt was continued.
    """
    response = line.get("response") if isinstance(line.get("response"), Mapping) else None
    status, body = (response.get("status_code"), response.get("body")) if response else (None, None)
    if response is None or status != 200:
        said = body if body else {"error": line.get("error") or "no reply"}
        fault = read_error(payload["model"], status, said)
        assert fault  # since something is said
        return classified(endpoint, fault)
    try:
        return answer(endpoint, payload, body) | {"batch": True}
    except CallError as error:
        error.billed = error.billed and {**error.billed, "batch": True}
        return error
    except Misconfigured as error:
        return error


def failure(endpoint: Endpoint, model: str, error: Mapping[str, Any]) -> CallError | Misconfigured:
    """What an error of a whole batch means."""
    codes = tuple(str(error[name]) for name in ("code",) if error.get(name))
    return classified(endpoint, ErrorReply(model, 400, codes, str(error.get("message") or "")))


def _state(batch: Any) -> State:
    counts = batch.request_counts
    answered, failed = (counts.completed or 0, counts.failed or 0) if counts else (0, 0)
    files = tuple(file for file in (batch.output_file_id, batch.error_file_id) if file)
    errors = tuple(error.to_dict() for error in (batch.errors.data if batch.errors else None) or ())
    return State(batch.id, batch.status, answered, failed, files, errors)
