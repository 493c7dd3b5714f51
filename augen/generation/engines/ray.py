"""The ray engine: copies of a local engine on many machines, fed by this process.

Each worker is a Ray actor that opens vllm (or transformers) exactly as a single process would. So its samples are
those of that engine, and are stored under its name. Requests go out in batches to whichever worker is free; a batch
is yielded when it is done. When a worker is lost (its machine stopped, out of memory), its batch goes to another one,
and a new worker starts where there is room.

Why actors, not the vLLM processor of ``ray.data.llm``: that one runs vLLM only, decodes in its own way (another text
where a character is cut), uses on a CPU the LoRA kernels that `engines.vllm` avoids, and delivers rows when Ray Data
hands them on, not when a batch is done.

Every machine needs this environment and the models under the same paths (a shared folder, or ids of the hub). The
code is sent along.

Whoever reaches a port of Ray, and has its token, runs code there. A cluster that is started here, for this machine
alone, listens on the loopback address. One that is joined must have been started with a token
(``RAY_AUTH_MODE=token``), which is given in the environment, unless it is said that it has none.
"""

import os
import socket
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import augen
from augen.core.errors import AugenError
from augen.generation.base import Completion, EngineSettings, Request, check_requests, load_tokenizer, tokenize
from augen.generation.engines import open_engine, resolve

# Ray reads these when it is imported: it sends no usage figures, and prints no line when all is well.
for _name, _value in {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402
from ray._private import ray_constants  # noqa: E402
from ray.exceptions import RayError, RayTaskError  # noqa: E402

MODE, TOKEN = "RAY_AUTH_MODE", Path("~/.ray/auth_token")  # where Ray looks for a token
OBJECTS = 256 * 2**20  # bytes of a local cluster's object store; prompts and texts are small
LOOK_S = 30.0  # how often to look for room while no worker is busy with a batch
ON_CPU = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}  # see augen.generation.engines.vllm


class Worker:
    """One engine, on one of the machines."""

    def __init__(self, name: str, settings: EngineSettings) -> None:
        self._name, self._settings = name, settings
        self._engine: Any = None

    def open(self) -> None:
        """Load the engine. Not in the constructor: an AugenError from there would reach nobody."""
        self._engine = open_engine(self._name, self._settings)

    def complete(self, requests: list[Request]) -> list[Completion]:
        """The completions in the order of `requests`."""
        done = dict(self._engine.generate(requests))
        return [done[index] for index in range(len(requests))]


class RayEngine:
    """A generator on the workers of a Ray cluster, which load it for the first request.

    `name` is the engine that the workers open, and also this engine's name, since its samples are the same.
    """

    def __init__(self, settings: EngineSettings, name: str | None = None) -> None:
        if settings.ray is None:
            raise AugenError("engine.ray: the ray engine needs its settings; see params.yaml")
        if settings.tensor_parallel > 1:
            raise AugenError("engine.tensor_parallel: a worker of ray has one GPU or none; set it to 1, or use vllm")
        self.name = name or resolve("ray")
        self._cluster = settings.ray
        self._settings = replace(
            settings,
            generator=_everywhere(settings.generator),
            adapters=tuple(adapter.resolve() for adapter in settings.adapters),
            ray=None,
        )
        self._tokenizer = load_tokenizer(settings.generator, settings.revision)
        self._connected = False
        self._workers = 0  # as many as are to run
        self._idle: list[Any] = []
        # By call: the worker and its batch; None where nobody waits (the worker opens its engine, or the caller left).
        self._busy: dict[Any, tuple[Any, list[int] | None]] = {}
        self._losses = 0  # workers lost since a call last succeeded

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """See ``Engine.generate``. Batches are slices of `requests`, in their order."""
        prompts = tokenize(self._tokenizer, [request.prompt for request in requests])
        adapters = len(self._settings.adapters)
        check_requests(requests, [len(p) for p in prompts], self._settings.max_model_len, adapters)
        if not requests:
            return
        self._connect()
        size = self._cluster.batch_size
        waiting = deque(list(range(at, min(at + size, len(requests)))) for at in range(0, len(requests), size))
        left = len(waiting)
        try:
            while left:
                while waiting and self._idle:
                    worker, batch = self._idle.pop(), waiting.popleft()
                    self._busy[worker.complete.remote([requests[i] for i in batch])] = worker, batch
                for batch, completions in self._finished():
                    if completions is None:
                        waiting.appendleft(batch)
                    else:
                        left -= 1
                        yield from zip(batch, completions, strict=True)
        finally:
            self._busy = {call: (worker, None) for call, (worker, _) in self._busy.items()}

    def close(self) -> None:
        """See ``Engine.close``. Stops the workers, and the cluster if it was started here."""
        if self._connected:
            for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
                ray.kill(worker)
            self._idle, self._busy, self._connected = [], {}, False
            ray.shutdown()

    def _finished(self) -> Iterator[tuple[list[int], list[Completion] | None]]:
        """Wait for a call to end; yields its batch with the completions, or with None if the worker is lost."""
        done, _ = ray.wait(list(self._busy), num_returns=1, timeout=LOOK_S)
        if not done and all(batch is None for _, batch in self._busy.values()):
            self._room()  # an error where no node is left
            print("engine.ray: waiting for a worker that has its model loaded", file=sys.stderr)
        for call in done:
            worker, batch = self._busy.pop(call)
            try:
                completions = ray.get(call)
            except RayTaskError as error:  # the engine's own error: another worker would fail in the same way
                if isinstance(error.cause, AugenError):
                    raise error.cause from None
                raise
            except RayError as error:
                self._replace(error, batch)
                completions = None
            else:
                self._idle.append(worker)
                self._losses = 0
            if batch is not None:
                yield batch, completions

    def _replace(self, error: RayError, batch: list[int] | None) -> None:
        self._losses += 1
        if self._losses > 3 * self._workers:
            raise AugenError(
                f"engine.ray: {self._losses} workers in a row were lost, the last with: {str(error).strip()}"
            ) from error
        again = f"; its {len(batch)} samples are drawn by another" if batch else ""
        print(f"engine.ray: a worker is lost{again}", file=sys.stderr)
        self._start()

    def _start(self) -> None:
        """Start a worker; Ray places it as soon as a node has room."""
        gpus = self._cluster.gpus
        worker = self._actor.options(
            num_cpus=1, num_gpus=gpus, runtime_env={"env_vars": ON_CPU if not gpus else {}}
        ).remote(self.name, self._settings)
        self._busy[worker.open.remote()] = worker, None

    def _connect(self) -> None:
        """Join the cluster, or start one here, and start the workers."""
        if self._connected:
            return
        address = self._cluster.address or os.environ.get("RAY_ADDRESS")
        options: dict[str, Any] = {"address": address} if address else _local()
        if address:
            _require_token()
            _reach(address)
            # Where something listens that is no cluster: one try of 40 s, not 20 of them.
            os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")
        try:
            ray.init(
                **options,
                logging_level="ERROR",
                log_to_driver=False,
                runtime_env={"py_modules": list(augen.__path__), "excludes": ["**/__pycache__"]},
            )
        except (ConnectionError, RuntimeError, ValueError, RayError) as error:
            raise AugenError(f"engine.ray.address: cannot use {address or 'a local cluster'}: {error}") from error
        self._connected = True
        self._actor = ray.remote(Worker)
        room = self._room()
        self._workers = self._cluster.workers or room
        if self._workers > room:
            print(f"engine.ray: room for {room} of {self._workers} workers; the others wait for nodes", file=sys.stderr)
        for _ in range(self._workers):
            self._start()

    def _room(self) -> int:
        """How many workers the nodes can hold at once; AugenError if none."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = self._cluster.gpus
        room = sum(int(min(node.get("CPU", 0), node.get("GPU", 0) // gpus if gpus else float("inf"))) for node in nodes)
        if not room:
            found = ", ".join(f"{node.get('CPU', 0):.0f} CPU and {node.get('GPU', 0):.0f} GPU" for node in nodes)
            raise AugenError(
                f"engine.ray.gpus: a worker is to have 1 CPU and {gpus:g} GPU, but no node has that "
                f"({found or 'no node is left'})"
            )
        return room


def _local() -> dict[str, Any]:
    """The options of a cluster for this machine alone, after what makes it one: loopback addresses.

    Ray binds to the loopback address where clusters are not enabled, as on Windows and macOS; its processes read
    that in the environment, and this one has read it when ray was imported.
    """
    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False
    return {"address": "local", "include_dashboard": False, "object_store_memory": OBJECTS}


def _require_token() -> None:
    """Raise AugenError where the environment says neither the token of a cluster nor that it has none."""
    if MODE not in os.environ and not TOKEN.expanduser().is_file():
        raise AugenError(
            f"engine.ray.address: no token of the cluster; start its nodes and this with {MODE}=token and the same "
            f"secret in RAY_AUTH_TOKEN or the file {TOKEN}, or set {MODE}=disabled if nobody else can reach its ports"
        )


def _reach(address: str) -> None:
    """Raise AugenError where nothing listens; Ray would try for a minute, or end the process."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise AugenError(
            f"engine.ray.address: no Ray cluster at {address!r} ({error}); give HOST:PORT of its head "
            "(`ray start --head` prints it), or null for one on this machine"
        ) from error


def _everywhere(generator: str) -> str:
    """A model's folder as an absolute path, since workers run in another folder; an id of the hub as it is."""
    return str(Path(generator).resolve()) if Path(generator).exists() else generator
