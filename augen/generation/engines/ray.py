"""The ray engine: copies of a local engine on many machines, fed by this process.

Each worker is a Ray actor that opens vllm (or transformers) exactly as one process would, so the samples are
those of that engine and are stored under its name. Requests go out in batches, to whichever worker is free;
a batch is yielded when it is done. The batch of a worker that is lost (its machine stopped, out of memory) goes
to another one, and a worker in its place is started where there is room.

Actors, not the vLLM processor of ``ray.data.llm``: that one decodes with a server of its own (another text where a
character is cut, and on a CPU the LoRA kernels that `engines.vllm` keeps away from), runs vLLM only, and shows
rows when Ray Data hands them on, not when a batch is done.

Every machine needs this environment and the models under the same paths (a shared folder, or ids of the hub); the
code is sent along.
"""

import os
import socket
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from augen.core.errors import AugenError
from augen.generation.base import Completion, Request, check_requests, load_tokenizer, tokenize

# Read by Ray when it is imported. No figures are sent anywhere; no lines about what is fine.
for _name, _value in {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402
from ray.exceptions import RayError, RayTaskError  # noqa: E402

OBJECTS = 256 * 2**20  # bytes of a local cluster's object store: prompts and texts are small
LOOK_S = 30.0  # how often to look for room while no worker is at work
ON_CPU = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}  # see augen.generation.engines.vllm


class Worker:
    """What runs on the other machines: one engine."""

    def __init__(self, name: str, generator: str, options: Mapping[str, Any]) -> None:
        self._open = name, generator, options
        self._engine: Any = None

    def open(self) -> None:
        """Load the engine; not in the constructor, where an AugenError would reach nobody."""
        from augen.generation.engines import open_engine

        name, generator, options = self._open
        self._engine = open_engine(name, generator, **options)

    def complete(self, requests: list[Request]) -> list[Completion]:
        """The completions in the order of `requests`."""
        done = dict(self._engine.generate(requests))
        return [done[index] for index in range(len(requests))]


class RayEngine:
    """A generator on the workers of a Ray cluster; they load it for the first request.

    Args:
        name: of the engine that the workers open; also this engine's name, since its samples are the same.
        options: of ``open_engine``, for the workers.
        settings: ``engine.ray`` of params.yaml.
    """

    def __init__(self, name: str, generator: str, options: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        self.name = name
        self._generator = _everywhere(generator)
        adapter: Path | None = options["adapter"]
        self._options = {**options, "adapter": adapter and adapter.resolve()}
        self._settings = settings
        self._tokenizer = load_tokenizer(generator, options["revision"])
        self._connected = False
        self._wanted = 0  # workers
        self._idle: list[Any] = []
        # What each worker that is not idle is doing: a batch, or None where nobody waits for it (it opens its
        # engine, or the caller has gone).
        self._busy: dict[Any, tuple[Any, list[int] | None]] = {}
        self._losses = 0  # workers since a batch was done

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """See ``Engine.generate``. Batches are slices of `requests`, in their order."""
        prompts = tokenize(self._tokenizer, [request.prompt for request in requests])
        has_adapter = self._options["adapter"] is not None
        check_requests(requests, [len(p) for p in prompts], self._options["max_model_len"], has_adapter)
        if not requests:
            return
        self._connect()
        size = self._settings["batch_size"]
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
        """Wait for calls to end; yields each batch with its completions, or with None if its worker is lost."""
        done, _ = ray.wait(list(self._busy), num_returns=1, timeout=LOOK_S)
        if not done and all(batch is None for _, batch in self._busy.values()):
            self._room()
            print("engine.ray: waiting for a worker that has its model loaded", file=sys.stderr)
        for call in done:
            worker, batch = self._busy.pop(call)
            try:
                completions = ray.get(call)
            except RayTaskError as error:  # the engine's own: another worker would fail alike
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
        if self._losses > 3 * self._wanted:
            raise AugenError(
                f"engine.ray: {self._losses} workers in a row were lost, the last with: {str(error).strip()}"
            ) from error
        again = f"; its {len(batch)} samples are drawn by another" if batch else ""
        print(f"engine.ray: a worker is lost{again}", file=sys.stderr)
        self._start()

    def _start(self) -> None:
        """Start a worker; Ray places it as soon as a node has room."""
        gpus = self._settings["gpus"]
        worker = self._actor.options(
            num_cpus=1, num_gpus=gpus, runtime_env={"env_vars": ON_CPU if not gpus else {}}
        ).remote(self.name, self._generator, self._options)
        self._busy[worker.open.remote()] = worker, None

    def _connect(self) -> None:
        """Join the cluster, or start one here, and start the workers."""
        if self._connected:
            return
        address = self._settings["address"] or os.environ.get("RAY_ADDRESS")
        package = Path(__file__).parents[1]
        options: dict[str, Any] = {"address": address} if address else _local()
        if address:
            _reach(address)
            # One try of 40 s, not 20, at what listens but is no cluster.
            os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")
        try:
            ray.init(
                **options,
                logging_level="ERROR",
                log_to_driver=False,
                runtime_env={"py_modules": [str(package)], "excludes": ["**/__pycache__"]},
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise AugenError(f"engine.ray.address: cannot use {address or 'a local cluster'}: {error}") from error
        self._connected = True
        self._actor = ray.remote(Worker)
        room = self._room()
        self._wanted = self._settings["workers"] or room
        if self._wanted > room:
            print(f"engine.ray: room for {room} of {self._wanted} workers; the others wait for nodes", file=sys.stderr)
        for _ in range(self._wanted):
            self._start()

    def _room(self) -> int:
        """How many workers the nodes can hold at once; AugenError if none."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = self._settings["gpus"]
        room = sum(int(min(node.get("CPU", 0), node.get("GPU", 0) // gpus if gpus else float("inf"))) for node in nodes)
        if not room:
            found = ", ".join(f"{node.get('CPU', 0):.0f} CPU and {node.get('GPU', 0):.0f} GPU" for node in nodes)
            raise AugenError(
                f"engine.ray.gpus: a worker is to have 1 CPU and {gpus} GPU, but no node has that "
                f"({found or 'no node is left'})"
            )
        return room


def _local() -> dict[str, Any]:
    return {"address": "local", "include_dashboard": False, "object_store_memory": OBJECTS}


def _reach(address: str) -> None:
    """AugenError where nothing listens; Ray itself would try for a minute, or end the process."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise AugenError(
            f"engine.ray.address: no Ray cluster at {address!r} ({error}); give HOST:PORT of its head "
            "(`ray start --head` prints it), or null for one on this machine"
        ) from error


def _everywhere(generator: str) -> str:
    """A folder's path from the root, since workers run in another folder; an id of the hub as it is."""
    return str(Path(generator).resolve()) if Path(generator).exists() else generator
