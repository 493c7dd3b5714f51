"""The ray engine on a real cluster of two nodes with one CPU each; tests/integration/test_engines.py has its contract.

The workers run the transformers engine, which loads in half the time of vLLM.
"""

import os
import secrets

# Before Ray is imported, which reads them once; so these tests have a process of their own (make test).
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="ray is not installed")

from ray.cluster_utils import Cluster

from augen.core import params
from augen.core.errors import AugenError
from augen.generation.base import Completion, Engine, EngineSettings, Request
from augen.generation.engines import open_engine
from augen.generation.engines.ray import OBJECTS, RayEngine

# Ray's workers give way to everything else: beside other tests they would load their models for minutes.
os.environ.setdefault("RAY_worker_niceness", "0")
ROOT = Path(__file__).parents[2]
GENERATOR = str(ROOT / "models/tiny/generator")
PROMPTS = (
    "### 题目\n三个人比身高：甲比乙高，乙比丙高。\n### 问题\n谁最高？\nA: 乙\nB: 甲\nC: 丙\n### 分析过程\n",
    "### 题目\n路网：东城到西城有路，西城到南城有路。\n### 问题\n从东城能到南城吗？\nA: 能\nB: 不能\n### 分析过程\n",
)
REQUESTS = [Request(PROMPTS[seed % 2], seed, temperature=1.0, top_p=0.95, max_tokens=48) for seed in range(96)]
ALONE = EngineSettings(GENERATOR, max_model_len=512)


@dataclass
class Nodes:
    cluster: Cluster
    second: Any  # the node that may be stopped

    def engine(self, quantization: str | None = None, **changed: Any) -> RayEngine:
        ray = {"address": self.cluster.address, "workers": None, "gpus": 0, "batch_size": 8, **changed}
        return RayEngine(replace(ALONE, quantization=quantization, ray=params.Ray(**ray)), "transformers")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    node: dict[str, Any] = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": OBJECTS, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    yield Nodes(cluster, cluster.add_node(**node))
    cluster.shutdown()


@pytest.fixture(scope="module")
def alone() -> list[Completion]:
    """What one process draws."""
    engine = open_engine("transformers", ALONE)
    return in_order(engine.generate(REQUESTS))


@pytest.fixture(scope="module")
def engine(nodes: Nodes) -> Iterator[RayEngine]:
    engine = nodes.engine()
    for _ in range(1000):  # until both have their model: from then on both have work
        in_order(engine.generate(REQUESTS[:8]))
        if len(engine._idle) == 2:
            break
    yield engine
    engine.close()


def in_order(pairs: Iterator[tuple[int, Completion]]) -> list[Completion]:
    return [completion for _, completion in sorted(pairs, key=lambda pair: pair[0])]


def differing(one: Sequence[Completion], other: Sequence[Completion]) -> int:
    return sum((a.text, a.tokens, a.finish) != (b.text, b.tokens, b.finish) for a, b in zip(one, other, strict=True))


def test_a_gpu_that_no_node_has(nodes: Nodes) -> None:
    engine = nodes.engine(gpus=1)
    try:
        with pytest.raises(
            AugenError, match=r"engine\.ray\.gpus: .* 1 CPU and 1 GPU, but .*1 CPU and 0 GPU, 1 CPU and"
        ):
            next(engine.generate(REQUESTS))
    finally:
        engine.close()


def test_what_is_wrong_on_a_worker_is_said_here(nodes: Nodes) -> None:
    engine = nodes.engine(quantization="fp8", workers=1)
    try:
        with pytest.raises(AugenError, match=r"^engine\.quantization: the transformers engine cannot do 'fp8'"):
            next(engine.generate(REQUESTS))
    finally:
        engine.close()


def test_two_nodes_draw_what_one_process_draws(engine: Engine, alone: list[Completion]) -> None:
    drawn = in_order(engine.generate(REQUESTS))
    assert len({completion.text for completion in drawn}) > len(PROMPTS)
    # Batches have another shape than in one process; where rounding tips a token, a text may differ.
    assert differing(drawn, alone) <= 1


def test_a_node_that_stops_half_way_costs_its_batch_alone(
    engine: Engine, alone: list[Completion], nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    arrived = []
    drawing = engine.generate(REQUESTS)
    for _ in range(24):
        arrived.append(next(drawing))
    nodes.cluster.remove_node(nodes.second, allow_graceful=False)
    arrived += drawing
    assert sorted(index for index, _ in arrived) == list(range(len(REQUESTS)))  # each once
    assert differing(in_order(iter(arrived)), alone) <= 1
    assert "engine.ray: a worker is lost; its 8 samples are drawn by another" in capsys.readouterr().err


def test_no_cluster_at_the_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        ray = params.Ray(address=address, workers=None, gpus=0, batch_size=8)
        engine = RayEngine(replace(ALONE, ray=ray), "transformers")
        with pytest.raises(AugenError, match=rf"engine\.ray\.address: no Ray cluster at '{address}' .*HOST:PORT"):
            next(engine.generate(REQUESTS))
