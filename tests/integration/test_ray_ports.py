"""Where Ray listens, looked up in the sockets of its processes, and who may join: a real head with a token."""

import json
import os
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="ray is not installed")

ROOT = Path(__file__).parents[2]
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
DRAWS = """
import json, os, sys
import psutil
from augen.core import params
from augen.core.errors import AugenError
from augen.generation.base import EngineSettings, Request
from augen.generation.engines.ray import RayEngine

address = sys.argv[1] if len(sys.argv) > 1 else None
section = params.Ray(address=address, workers=1, gpus=0, batch_size=2)
engine = RayEngine(EngineSettings("models/tiny/generator", max_model_len=256, ray=section), "transformers")
try:
    drawn = list(engine.generate([Request("甲比乙高。", 1, temperature=1.0, top_p=1.0, max_tokens=4)]))
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    hosts = [c.laddr.ip for p in processes for c in p.net_connections() if c.status == "LISTEN"]
    print(json.dumps({"drawn": len(drawn), "hosts": hosts}))
    engine.close()
except AugenError as error:
    print(json.dumps({"error": str(error)}))
os._exit(0)
"""
HEAD = """
import sys
from ray.cluster_utils import Cluster
node = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 256 * 2**20, "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=node)
print("address", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "PYTHONPATH": str(ROOT)}
BARE = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | QUIET


def draw(*arguments: str, **environment: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", DRAWS, *arguments],
        cwd=ROOT,
        env=BARE | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    said = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert said, done.stderr[-2000:]
    found: dict[str, object] = json.loads(said[-1])
    return found


def test_a_cluster_of_this_machine_alone_listens_on_the_loopback_address() -> None:
    found = draw()
    assert found.get("drawn") == 1, found
    assert isinstance(hosts := found["hosts"], list) and len(hosts) >= 5
    assert set(hosts) <= LOOPBACK


def test_only_who_has_the_token_joins_a_cluster(tmp_path: Path) -> None:
    token, another = ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)} for _ in range(2))
    head = subprocess.Popen(
        [sys.executable, "-c", HEAD],
        env=BARE | token,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert head.stdout
        address = next(line for line in head.stdout if line.startswith("address")).split()[1]
        asking = ({"HOME": str(tmp_path)}, {"RAY_AUTH_MODE": "disabled"}, another, token)
        with ThreadPoolExecutor(len(asking)) as together:  # each waits more than it works
            found = [str(one) for one in together.map(lambda environment: draw(address, **environment), asking)]
        assert "no token of the cluster; start its nodes" in found[0]
        assert "engine.ray.address: cannot use" in found[1] and "engine.ray.address: cannot use" in found[2]
        assert "'drawn': 1" in found[3], found[3]
    finally:
        head.communicate("", timeout=60)
