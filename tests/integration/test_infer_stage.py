"""The infer stage as DVC runs it: what is stored loads no model, and what dies in the middle loses what was in flight.

The models in models/tiny, a few of the default questions, the real stage in processes of its own.
"""

import json
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from augen.entries.jsonl import read_jsonl, write_jsonl
from augen.generation.engines import resolve
from augen.prompts.sections import query_text
from augen.retrieval.index import Embedder, rows_of, write_index
from augen.scorer.input_format import InputFormat, write_format
from tests.integration.forked import said
from tests.integration.paid import Repository

ROOT = Path(__file__).parents[2]
TINY = ROOT / "models/tiny"
# In a process that cannot import them, nothing can be loaded.
NO_MODELS = (
    "import sys, runpy\n"
    "sys.modules.update(dict.fromkeys(['vllm', 'torch', 'sentence_transformers']))\n"
    "runpy.run_module('stages.infer', run_name='__main__')\n"
)
STORED = re.compile(r"([\d,]+) samples from the store, ([\d,]+) drawn")


class Project(Repository):
    """A repository in which infer can run, with its index and its scorer."""

    def __init__(self, path: Path, changes: dict[str, Any]) -> None:
        settings = {
            "model.generator": str(TINY / "generator"),
            "rag.embedder": str(TINY / "embedder"),
            "prepare.test": "data/test.jsonl",
            "infer.engine": "transformers",
            "infer.adapter": False,
            "infer.max_tokens": 48,
            "voters": 5,
            "max_resample": 1,
            **changes,
        }
        self.settings = settings
        self.environment_changes: dict[str, str] = {}
        super().__init__(path, [], settings)
        entries = read_jsonl(ROOT / "data/raw/train.jsonl", answers="required")
        write_jsonl(path / "data/dev.jsonl", entries[:3])
        write_jsonl(path / "data/test.jsonl", read_jsonl(ROOT / "data/raw/test.jsonl", answers="optional")[:2])
        solved = entries[3:9]
        for item in (item for entry in solved for item in entry.questions):
            item.reasoning = f"想。\n答案是：{item.answer}"
        rows = list(rows_of(solved))
        texts = [query_text(entry.problem, item) for entry in solved for item in entry.questions]
        write_index(path / "models/index", rows, [Embedder(str(TINY / "embedder")).embed(texts)], len(texts))
        scorer = path / "models/scorer"
        scorer.mkdir(parents=True)
        for file in (TINY / "checker").iterdir():
            (scorer / file.name).write_bytes(file.read_bytes())
        write_format(scorer, InputFormat("full", 512))

    def set(self, **changes: Any) -> None:
        self.settings |= changes
        self.configure(self.settings)

    def infer(self, *command: str) -> "subprocess.CompletedProcess[str]":
        done = self.run(
            *(command or (sys.executable, "-m", "stages.infer")), timeout_s=2400, **self.environment_changes
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    @property
    def samples(self) -> list[str]:
        return (self.path / "data/samples.jsonl").read_text(encoding="utf-8").splitlines()

    def responses(self) -> dict[str, str]:
        """The samples in the store, by key; none where there is no store yet."""
        path = Path(self.environment_changes.get("AUGEN_CACHE", self.path / ".augen/responses.sqlite"))
        try:
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as store:
                rows = store.execute("SELECT key, value FROM responses").fetchall()
        except sqlite3.OperationalError:
            return {}
        return {key: value for key, value in rows if "finish" in value}


def counts(done: "subprocess.CompletedProcess[str]") -> tuple[int, int]:
    found = STORED.search(done.stdout)
    assert found, done.stdout
    return int(found[1].replace(",", "")), int(found[2].replace(",", ""))


def slots(samples: Sequence[str], voters: int) -> list[str]:
    return [line for line in samples if json.loads(line)["slot"] <= voters]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("infer") / "repository", {})


def test_more_and_fewer_voters_draw_what_is_missing_and_nothing_else(project: Project) -> None:
    drawn = counts(project.infer())[1]
    five, upload = project.samples, (project.path / "data/upload.jsonl").read_bytes()
    assert drawn == len(five) >= 5 * 5, "of five questions at least"

    project.set(voters=7)
    assert counts(project.infer()) == (len(five), len(project.samples) - len(five))
    assert slots(project.samples, 5) == five

    project.set(voters=3)
    started = time.monotonic()
    done = project.infer(sys.executable, "-c", NO_MODELS)
    print(f"with everything stored: {time.monotonic() - started:.1f} s")
    assert counts(done) == (len(project.samples), 0)
    assert project.samples == slots(five, 3)

    project.set(voters=5)
    assert counts(project.infer(sys.executable, "-c", NO_MODELS)) == (len(five), 0)
    assert project.samples == five
    assert (project.path / "data/upload.jsonl").read_bytes() == upload


def test_kill_9_in_the_middle_of_a_round_loses_only_what_was_in_flight(tmp_path: Path) -> None:
    """Killed twice, each time after a few more completions; the third run goes on, and its outs are as if undisturbed.

    One prompt at a time, so that completions arrive one after the other, and in no other batches when some are there.
    """
    project = Project(tmp_path, {"engine.batch_size": 1, "voters": 3, "infer.max_tokens": 32})
    project.infer()
    expected, all_of_them = project.samples, project.responses()

    project.environment_changes = {"AUGEN_CACHE": str(tmp_path / "killed.sqlite")}
    kept: dict[str, str] = {}
    for _ in range(2):
        process = project.fork("infer", **project.environment_changes)
        deadline = time.monotonic() + 2400
        while len(project.responses()) < len(kept) + 4:
            assert process.is_alive() and time.monotonic() < deadline, said(tmp_path)
            time.sleep(0.02)
        process.kill()
        process.join()
        now = project.responses()
        assert kept.items() <= now.items() <= all_of_them.items()
        assert len(now) < len(expected), "killed in the middle"
        kept = now

    assert counts(project.infer()) == (len(kept), len(expected) - len(kept))
    assert project.samples == expected
    assert project.responses() == all_of_them


def test_the_stage_on_ray_draws_what_its_engine_draws_in_one_process(tmp_path: Path) -> None:
    """Its samples are in the store under that engine's name: the same stage in one process finds all of them."""
    pytest.importorskip("ray", reason="ray is not installed")
    ray = {"engine.ray.workers": 1, "engine.ray.batch_size": 4, "voters": 2, "max_resample": 0}
    project = Project(tmp_path, {"infer.engine": "ray", "infer.max_tokens": 16, **ray})
    project.environment_changes = {"RAY_worker_niceness": "0"}  # else beside other tests it loads its model for minutes
    drawn = counts(project.infer())[1]
    samples = project.samples
    assert drawn == len(samples) >= 5 * 2

    project.set(**{"infer.engine": resolve("auto")})
    assert counts(project.infer(sys.executable, "-c", NO_MODELS)) == (drawn, 0)
    assert project.samples == samples
