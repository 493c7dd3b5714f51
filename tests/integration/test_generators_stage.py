"""The infer stage with several generators: two local ones that take turns on the device, and a served one.

The models in models/tiny, the loopback server of the demo, the real stage in processes of its own.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from augen.entries.jsonl import read_jsonl, write_jsonl
from demo.chat import MODELS, OpenAIServer
from tests.integration.generated import random_adapter
from tests.integration.test_infer_stage import NO_MODELS, ROOT, STORED, TINY, Project

# Says when an engine is opened and closed.
TOLD = (
    "import runpy\n"
    "from augen.generation.engines.transformers import TransformersEngine as Engine\n"
    "opened, closed = Engine.__init__, Engine.close\n"
    "def init(self, settings):\n"
    "    opened(self, settings)\n"
    "    print('opened', len(settings.adapters))\n"
    "def close(self):\n"
    "    closed(self)\n"
    "    print('closed', len(self._settings.adapters))\n"
    "Engine.__init__, Engine.close = init, close\n"
    "runpy.run_module('stages.infer', run_name='__main__')\n"
)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random LoRA adapter for the generator in models/tiny."""
    path = tmp_path_factory.mktemp("models") / "adapter"
    random_adapter(TINY / "generator", ["q_proj", "v_proj"], path)
    return path


def own(samples: Sequence[dict[str, Any]], slot: int) -> list[dict[str, Any]]:
    """Those of a slot, without what depends on the others: ranks, and by which generator where there are several."""
    return [
        {name: value for name, value in sample.items() if name not in ("logprob_rank", "generator")}
        for sample in samples
        if sample["slot"] == slot
    ]


def test_local_and_served_generators_share_the_votes(adapter: Path, tmp_path: Path) -> None:
    """One alone; then two that take turns on the device; then a third, which is served and needs no local model."""
    settings = {"voters": 3, "max_resample": 0, "infer.programs": 2, "infer.max_tokens": 16}
    project = Project(tmp_path / "repository", settings | {"infer.program_max_tokens": 16})
    entries = read_jsonl(ROOT / "data/raw/train.jsonl", answers="required")
    for name, entry in (("votes", entries[20]), ("dev", entries[21]), ("test", entries[22])):
        entry.questions = entry.questions[:2]
        write_jsonl(project.path / f"data/{name}.jsonl", [entry])
    weights = project.path / "data/vote_weights.json"

    project.infer()
    alone = list(map(json.loads, project.samples))
    assert "generators" not in json.loads(weights.read_text()) and "generator" not in alone[0]

    local = {"generator": str(TINY / "generator"), "engine": "transformers", "adapter": str(adapter)}
    project.set(**{"infer.others": [local], "infer.share_device": False})
    done = project.infer(sys.executable, "-c", TOLD)
    turns = [line for line in done.stdout.splitlines() if line.startswith(("opened", "closed"))]
    assert turns == ["opened 1", "closed 1"] * 2, "the first one's samples are all stored"
    two = list(map(json.loads, project.samples))
    assert {(sample["mode"], sample["slot"], sample["generator"]) for sample in two} == {
        *{("steps", 1, 1), ("steps", 2, 2), ("steps", 3, 1)},
        *{("program", 1, 1), ("program", 2, 2)},
    }
    assert own(two, 1) == own(alone, 1) and own(two, 3) == own(alone, 3)
    assert own(two, 2) != own(alone, 2), "the adapter writes something else"
    learned = json.loads(weights.read_text())["generators"]
    assert (learned["source"], sum(learned["votes"])) == ("learned", pytest.approx(2))

    with OpenAIServer() as server:
        served = {"generator": MODELS[0], "engine": "openai", "chat_template": True}
        changes = {"infer.others": [local, served], "infer.generator_weights": [1.0, 1.0, 2.0]}
        project.set(**changes, **{"providers.openai.base_url": f"{server.url}/v1", "infer.share_device": True})
        done = project.infer(sys.executable, "-c", TOLD)
        assert "opened" not in done.stdout and f"{MODELS[0]}: one reasoning counts as 1.5 votes" in done.stdout
        three, stored = list(map(json.loads, project.samples)), project.samples
        assert own(three, 1) == own(two, 1) and own(three, 2) == own(two, 2)
        replies = [sample for sample in three if sample["slot"] == 3]
        assert {(sample["generator"], sample["logprob_rank"]) for sample in replies} == {(3, None)}
        assert len(server.arrivals) == len(replies) == 6
        assert json.loads(weights.read_text())["generators"]["votes"] == [0.75, 0.75, 1.5]
        done = project.infer(sys.executable, "-c", NO_MODELS)
        assert project.samples == stored and len(server.arrivals) == 6
        assert [drawn for _, drawn in STORED.findall(done.stdout)] == ["0", "0"]
