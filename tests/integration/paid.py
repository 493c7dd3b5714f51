"""What the tests of paid calls share: environments with keys, small repositories."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from augen.answering.answer import answer
from augen.answering.rounds import unscored
from augen.core.params import Params
from augen.entries import Entry, QuestionItem
from augen.entries.pickles import dump_pickle
from augen.generation.open import open_sources, sources_of
from augen.store.responses import Store, default_path
from demo.chat import MODELS, OPENAI_KEY, QIANFAN_TOKEN
from demo.tencent import SECRET_ID, SECRET_KEY
from stages import infer
from tests.integration.forked import fork
from tests.params import write_params

ROOT = Path(__file__).parents[2]
KEYS = {
    "TENCENTCLOUD_SECRET_ID": SECRET_ID,
    "TENCENTCLOUD_SECRET_KEY": SECRET_KEY,
    "QIANFAN_BEARER_TOKEN": QIANFAN_TOKEN,
    "OPENAI_API_KEY": OPENAI_KEY,
}


# What a chat provider makes of each fault of its server: the error's name, and how its text begins.
CHAT_FAULTS = {
    "429": "SlowDown: HTTP 429",
    "500": "Transient: HTTP 500",
    "reset": "Transient: connection",
    "hang": "Transient: timeout",
    "truncated": "Transient: broken reply",
    "wrong_count": "Unusable: no text in the reply",
    "empty": "Transient: broken reply",
}


def problems(count: int) -> list[Entry]:
    """Different problems of two questions each."""

    def question(number: int, ball: int) -> QuestionItem:
        text = f"选择题 {number}：第{ball}个盒子里有球，哪个说法正确？"
        return QuestionItem(text, ["都是空的", f"有{ball}个球", "不知道"], answer="A")

    def problem(ball: int) -> str:
        return f"下面有{ball + 1}个盒子，如果第{ball}个盒子里有球，那么其余的盒子都是空的。"

    return [Entry(problem(n + 1), [question(1, n + 1), question(2, n + 1)], id=f"train_{n:03d}") for n in range(count)]


class Repository:
    """A folder in which a stage's script can run: params.yaml, entries, and a dvc.yaml that marks its root."""

    def __init__(self, path: Path, entries: list[Entry], changes: Mapping[str, Any]) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.configure(changes)
        (path / "dvc.yaml").touch()
        dump_pickle(path / "data/entries_raw.pkl", entries)
        dump_pickle(path / "data/entries_aug.pkl", [])

    def configure(self, changes: Mapping[str, Any]) -> None:
        write_params(self.path / "params.yaml", changes)

    def environment(self, **changes: str) -> dict[str, str]:
        ours = {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        kept = {k: v for k, v in os.environ.items() if k not in ("AUGEN_CACHE", "DVC_ROOT") and k not in KEYS}
        return kept | ours | KEYS | changes

    def start(self, stage: str, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", f"stages.{stage}"],
            cwd=self.path,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def fork(self, stage: str, **environment: str) -> BaseProcess:
        """As ``start``, see `tests.integration.forked`."""
        return fork(self.path, stage, self.environment(**environment))

    def run(self, *command: str, timeout_s: float, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self.path,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def stage(self, stage: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return self.run(sys.executable, "-m", f"stages.{stage}", timeout_s=120, **environment)


def answer_served(p: Params) -> None:
    """What the stage `infer` draws from a provider as long as there is no scorer, which then accepts every answer."""
    problems, sources = infer.read_problems(p), sources_of(p, Path("models/adapter"), Path("models/preferred"))
    with Store(default_path()) as store, open_sources("infer", sources, p.providers) as sampler:
        shown = infer.examples_of(problems, p, store)
        answer(p, shown, infer.prompting_of(p, sources), sampler, unscored, store)


def assert_no_secrets(folder: Path, *outputs: str, secrets: Iterable[str]) -> None:
    """No file below `folder` (store, reports, outs) and none of `outputs` holds any of `secrets`."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name.startswith("responses.sqlite") for path in files)
    for secret in secrets:
        assert not [output for output in outputs if secret in output]
        assert not [path for path in files if secret.encode() in path.read_bytes()]


def chat_changes(provider: str, url: str, stage: str = "reason_true", **more: Any) -> dict[str, Any]:
    """`stage` written by `provider` at `url`, quickly."""
    base = url if provider == "qianfan" else f"{url}/v1"
    hinted = {"reason_true.hinted": True} if stage == "reason_true" else {"reason_false.negatives": "hinted"}
    return {
        **hinted,
        f"{stage}.attempts": 3,
        f"{stage}.temperature": 0.3,
        f"{stage}.backend": provider,
        f"{stage}.models": list(MODELS),
        f"providers.{provider}.base_url": base,
        f"providers.{provider}.requests_per_minute": None,
        f"providers.{provider}.timeout_s": 2.0,
        **more,
    }
