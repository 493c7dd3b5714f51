"""Every fault of the table is said as docs/FAULTS.md has it, and leaves nothing half-written."""

import importlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from augen.core.run import run
from augen.generation.served.secrets import VARIABLES
from demo.__main__ import PORTS
from tests.dependencies import ROOT
from tests.faults import Fault, page, param, table, workplace
from tests.faults.files import OPENAI, unsolved
from tests.faults.models import with_code

ALL = [(area, fault) for area, faults in table().items() for fault in faults]
KEPT = (".augen/", "reports/usage.json")  # the response store and the account are no outs


def snapshot(folder: Path) -> dict[str, bytes]:
    files = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file() and "tiny" not in p.parts}
    return {name: path.read_bytes() for name, path in files.items() if not name.startswith(KEPT)}


def read_index() -> None:
    from augen.retrieval.index import read_index

    read_index(Path("models/index"))


def retrieve() -> None:
    from augen.entries import questions
    from augen.entries.jsonl import read_jsonl
    from augen.retrieval.examples import Retriever
    from augen.retrieval.index import Embedder, read_index

    [entry, *_] = read_jsonl("data/dev.jsonl", answers="required")
    retriever = Retriever(*read_index(Path("models/index")), Embedder("models/tiny/embedder"))
    retriever.examples(questions([entry])[:1], 1)


def identity() -> None:
    from augen.store.identity import model_identity

    model_identity("models/none")


def adapter() -> None:
    from augen.store.identity import content_hash

    content_hash(Path("models/adapter"))


def scorer() -> None:
    from augen.scorer.input_format import read_format

    read_format(Path("models/scorer"))


def generator() -> None:
    from augen.generation.base import EngineSettings
    from augen.generation.engines import open_engine

    open_engine("transformers", EngineSettings("models/generator"))


def adapted() -> None:
    from augen.generation.base import EngineSettings
    from augen.generation.engines import open_engine

    open_engine("transformers", EngineSettings("models/tiny/generator", adapters=(Path("models/adapter"),)))


def embedder() -> None:
    from augen.retrieval.index import Embedder

    Embedder("models/embedder")


def loaded_scorer() -> None:
    from augen.scorer.score import Scorer

    Scorer(Path("models/scorer"))


# What stages do first, without what they would load for it.
PARTS = {
    "read_index": read_index,
    "retrieve": retrieve,
    "identity": identity,
    "adapter": adapter,
    "scorer": scorer,
    "generator": generator,
    "adapted": adapted,
    "embedder": embedder,
    "loaded_scorer": loaded_scorer,
}


def command(name: str) -> Any:
    """The module that ``python -m name`` runs."""
    module = importlib.import_module(name)
    return importlib.import_module(f"{name}.__main__") if hasattr(module, "__path__") else module


def said(fault: Fault, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What the user sees when the stage or command runs here; it must end with status 1."""
    name, *arguments = fault.run.split()
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
    try:
        if name in PARTS:
            run(PARTS[name])
        elif "." in name:
            raise SystemExit(command(name).main())
        else:
            run(importlib.import_module(f"stages.{name}").main)
    except SystemExit as end:
        if isinstance(end.code, str):
            return end.code.removeprefix(f"{name}: ") if name in PARTS else end.code
        assert end.code == 1
        return capsys.readouterr().err.strip()
    raise AssertionError("nothing was said")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    workplace(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in (*VARIABLES, "AUGEN_CACHE", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(("area", "fault"), ALL, ids=[f"{area}: {fault.what}" for area, fault in ALL])
def test_fault(
    area: str, fault: Fault, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault.arrange(folder)
    before = snapshot(folder)
    message = said(fault, capsys, monkeypatch)
    pattern = ".*".join(map(re.escape, fault.says.split("…")))
    assert re.fullmatch(pattern, message, re.DOTALL), message
    assert "Traceback" not in message
    assert snapshot(folder).keys() - before.keys() <= finished(fault), "something was left behind"
    assert all(data == snapshot(folder).get(name, data) for name, data in before.items())


def finished(fault: Fault) -> set[str]:
    """Outs that were whole before the fault came: the account of `filter` is written after its four files."""
    names = ("entries", "entries_aug", "entries_false", "entries_aug_false")
    if fault.run == "filter":
        return {f"data/filtered/{name}.pkl" for name in names}
    return set()


def test_there_are_enough_and_the_page_shows_them() -> None:
    assert len(ALL) >= 60
    assert (ROOT / "docs/FAULTS.md").read_text(encoding="utf-8") == page(), "python -m tests.faults > docs/FAULTS.md"


# --- what needs a process of its own


def process(folder: Path, module: str, key: str = "", **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | ({"OPENAI_API_KEY": key} if key else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


@contextmanager
def endless(in_header: bool) -> Iterator[tuple[str, threading.Event]]:
    """A server whose reply to every request comes byte by byte and never ends; its URL, and "a request is here"."""
    asked, over = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: " if in_header else b"HTTP/1.1 200 OK\r\n\r\n")
            asked.set()
            with suppress(OSError):
                while not over.wait(0.2):
                    self.wfile.write(b" ")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        threading.Thread(target=http.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}/v1", asked
        finally:
            over.set()
            http.shutdown()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("in_header", [True, False], ids=["header", "body"])
def test_a_stage_ends_though_a_reply_does_not(folder: Path, ending: signal.Signals, in_header: bool) -> None:
    unsolved(folder)
    with endless(in_header) as (url, asked):
        param(OPENAI | {"providers.openai.base_url": url})(folder)
        started = process(folder, "stages.reason_true", key="sk-any")
        try:
            assert asked.wait(60)
            time.sleep(0.5)
            began = time.monotonic()
            started.send_signal(ending)
            message = started.communicate(timeout=30)[0]
            assert time.monotonic() - began < 5
        finally:
            started.kill()
    assert started.returncode == 130, message
    assert "reason_true: interrupted; what was drawn is stored" in message and "Traceback" not in message


@pytest.mark.parametrize("in_header", [True, False], ids=["header", "body"])
def test_a_reply_that_does_not_end_fails_at_its_deadline(folder: Path, in_header: bool) -> None:
    unsolved(folder)
    with endless(in_header) as (url, _):
        limits = {"providers.max_request_s": 1.0, "providers.openai.retries": 0, "providers.openai.concurrency": 2}
        param(OPENAI | limits | {"providers.openai.base_url": url})(folder)
        message = process(folder, "stages.reason_true", key="sk-any").communicate(timeout=60)[0]
    assert "timeout: no whole reply in 1 s" in message and "Traceback" not in message


@pytest.mark.parametrize(
    ("stage", "out"), [("prepare", "data/entries_raw.pkl"), ("filter", "data/.filter.partial/entries.pkl")]
)
def test_a_full_disk(stage: str, out: str, folder: Path) -> None:
    """No file may be larger than 64 bytes: what the operating system does then is what it does on a full disk."""
    before = snapshot(folder)
    limit = (64, 64)
    stopped = process(folder, f"stages.{stage}", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    message = stopped.communicate(timeout=120)[0]
    assert stopped.returncode == 1
    assert re.search(rf"^{stage}: {out}.*: cannot be written: File too large$", message, re.MULTILINE), message
    assert "Traceback" not in message
    assert snapshot(folder) == before


def test_a_yes_on_the_terminal_runs_no_code_of_a_model(folder: Path) -> None:
    with_code(folder)
    param({"model.generator": "models/generator"})(folder)
    load = "from augen.core.params import load; p = load('model'); from augen.prompts.window import Window; "
    load += "print(Window(p.model, True, 1024).length('甲'))"
    command = [sys.executable, "-c", load]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HOME": str(folder / "hub")}
    ended = subprocess.run(
        command, cwd=folder, env=environment, input="y\n" * 9, capture_output=True, text=True, timeout=120
    )
    assert not (folder / "made").exists()
    assert "auto_map names code of its own" in ended.stderr
    assert "[y/N]" not in ended.stdout + ended.stderr


def test_ctrl_c_leaves_no_out(folder: Path) -> None:
    """The input is a pipe, so that the test knows when the stage has counted and then read it, and begins to work."""
    param({"translate.copies": 20_000})(folder)
    (folder / "data/entries_aug.pkl").unlink()
    data = (folder / "data/entries_raw.pkl").read_bytes()
    (folder / "data/entries_raw.pkl").unlink()
    before = snapshot(folder)
    os.mkfifo(folder / "data/entries_raw.pkl")
    # Where the tests run in the background, children would be born deaf to Ctrl-C.
    started = process(folder, "stages.translate", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        (folder / "data/entries_raw.pkl").write_bytes(data)
        assert started.stdout and "8 problems to rewrite" in started.stdout.readline()
        (folder / "data/entries_raw.pkl").write_bytes(data)
        time.sleep(1)
        started.send_signal(signal.SIGINT)
        message = started.communicate(timeout=120)[0]
    finally:
        started.kill()
    assert started.returncode == 130, message
    assert "translate: interrupted; what was drawn is stored, `dvc repro` goes on from there" in message
    assert "Traceback" not in message
    assert snapshot(folder) == before


def test_a_port_in_use(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", PORTS["openai"]))
        taken.listen()
        started = process(ROOT, "demo")
        message = started.communicate(timeout=120)[0]
    assert started.returncode == 1
    assert message.strip().endswith("is in use (Address already in use): end what listens there"), message
