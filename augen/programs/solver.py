"""Runs programs in workers (`augen.programs.worker`), several at once, and keeps their results in the response store.

::

    with Solver(Limits(), workers=2) as solver:
        results = solver.run(programs)

        results = stored_results(programs, store, solver)   # runs only those that the store does not hold
"""

import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from augen.core.errors import AugenError
from augen.programs.language import Fault, Result, read
from augen.store.responses import Store, request_key

ROOT = Path(__file__).parents[2]
STARTING_S = 120  # until a worker is ready, on a machine however busy
PATIENCE_FACTOR, PATIENCE_EXTRA_S = 10, 10  # a worker itself kills a program that takes too long on the clock
_COMMAND = [sys.executable, "-P", "-c", "from augen.programs.worker import main; main()"]
VERSION = 1  # of what the worker makes of a program; part of the key of a stored result


@dataclass(frozen=True)
class Limits:
    """What one program may take. More different answers than `max_answers` count as several, whatever they are."""

    seconds: float = 2.0  # of processor time
    memory_mib: int = 512  # of address space; the worker itself takes about 30
    max_answers: int = 64


class Solver:
    """Up to `workers` processes that run programs. They are started when needed and end with the solver.

    Programs are untrusted; see `augen.programs.worker` on what holds them. Usable from several threads. Whoever runs a
    program gets an AugenError if no worker can be started.
    """

    def __init__(self, limits: Limits, workers: int) -> None:
        self.limits = limits
        self._folder = tempfile.TemporaryDirectory(prefix="augen-programs-")
        self._workers = [_Worker(self._folder.name) for _ in range(workers)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._closed = False
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="programs")

    def run(self, programs: Sequence[str]) -> list[Result]:
        """The result of each program, in order; equal programs are run once."""
        found = dict(self.each(programs))
        return [found[program] for program in programs]

    def each(self, programs: Sequence[str]) -> Iterator[tuple[str, Result]]:
        """Every distinct program with its result, as they arrive."""
        running = {self._pool.submit(self._run, program): program for program in dict.fromkeys(programs)}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        finally:
            for future in running:
                future.cancel()

    def close(self) -> None:
        """End the workers. A `run` that still goes on in another thread ends with a RuntimeError."""
        self._closed = True
        for worker in self._workers:
            worker.kill()  # the thread that waits for its reply goes on
        self._pool.shutdown()
        for worker in self._workers:
            worker.close()
        self._folder.cleanup()

    def __enter__(self) -> "Solver":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, program: str) -> Result:
        if self._closed:
            raise RuntimeError("the solver was closed")
        worker = self._idle.get()
        try:
            return worker.run(program, self.limits)
        except AugenError:
            if self._closed:  # it was killed before it was ready
                raise RuntimeError("the solver was closed") from None
            raise
        finally:
            self._idle.put(worker)


class _Worker:
    """One worker process, which is replaced when it has died. Used by one thread at a time, except for `kill`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, program: str, limits: Limits) -> Result:
        line = json.dumps({"program": program, **asdict(limits)}).encode() + b"\n"
        try:
            output = self._sent(line)
        except BrokenPipeError:  # it died while it was idle, so it never saw the program
            self.close()
            output = self._sent(line)
        reply = _line(output, PATIENCE_FACTOR * limits.seconds + PATIENCE_EXTRA_S)
        if reply:
            return Result.from_json(json.loads(reply))
        self.close()
        if reply is None:
            return Result((), "time", "the worker did not answer in time", settled=False)
        return Result((), "crash", "the worker was killed", settled=False)

    def _sent(self, line: bytes) -> int:
        """Send a request, to a new process if there is none; returns the file descriptor of its replies."""
        if self._process is None:
            self._start()
        assert self._process and self._process.stdin and self._process.stdout
        self._process.stdin.write(line)
        self._process.stdin.flush()
        return self._process.stdout.fileno()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            env=_environment(),
            start_new_session=True,
        )
        assert self._process.stdout
        if not _line(self._process.stdout.fileno(), STARTING_S):
            self.close()
            raise AugenError(f"the process that runs programs does not start: {_cause(self._folder)}")

    def kill(self) -> None:
        if process := self._process:
            with suppress(ProcessLookupError):  # its whole session: a program may still run
                os.killpg(process.pid, signal.SIGKILL)

    def close(self) -> None:
        if process := self._process:
            self.kill()
            process.wait()
            assert process.stdin and process.stdout
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.stdout.close()
            self._process = None


def _environment() -> dict[str, str]:
    """Of a worker: no keys, and the packages that this process has."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _cause(folder: str) -> str:
    """Why a worker does not start: what it says last when it is started once more."""
    try:
        done = subprocess.run(
            _COMMAND, input=b"", capture_output=True, cwd=folder, env=_environment(), timeout=STARTING_S
        )
    except subprocess.TimeoutExpired:
        return f"it is not ready after {STARTING_S} s"
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return said[-1] if said else f"it ended with status {done.returncode}"


def _line(pipe: int, seconds: float) -> bytes | None:
    """The line that is written to `pipe`; empty if it ends before, None if `seconds` are over before."""
    deadline = time.monotonic() + seconds
    poll = select.poll()  # not select: that knows no file descriptor above 1023
    poll.register(pipe, select.POLLIN)
    line = b""
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        if not (part := os.read(pipe, 2**16)):
            return b""
        line += part
        if line.endswith(b"\n"):
            return line
    return None


def stored_results(programs: Sequence[str], store: Store, solver: Solver) -> list[Result]:
    """The result of each program, in order, from `store` or else run now; each is stored as it arrives.

    A result that something other than the program may have caused is not stored (`Result.settled`).
    """
    keys = [_key(program, solver.limits) for program in programs]
    passing: dict[str, dict[str, Any]] = {}

    def compute(missing: dict[str, str]) -> Iterator[Mapping[str, dict[str, Any]]]:
        key_of = {program: key for key, program in missing.items()}
        for program, result in solver.each(list(key_of)):
            value = {key_of[program]: result.to_json()}
            if result.settled:
                yield value
            else:
                passing.update(value)

    found = store.fill(dict(zip(keys, programs, strict=True)), compute)
    return [Result.from_json((found | passing)[key]) for key in keys]


def _key(program: str, limits: Limits) -> str:
    try:
        rules = read(program).rules
    except Fault:
        rules = ""
    return request_key(
        {
            "kind": "program",
            "program": program,
            "rules": rules,
            "limits": asdict(limits),
            "clingo": version("clingo"),
            "version": VERSION,
        }
    )
