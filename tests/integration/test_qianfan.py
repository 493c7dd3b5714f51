"""Reasonings through the real Qianfan SDK against a server that behaves as V2 does."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from augen.answers import parse_answer
from augen.entries.pickles import load_pickle
from augen.generation.base import Request
from augen.generation.open import open_sampler
from demo.base import Settings
from demo.chat import MODELS, QIANFAN_ACCESS_KEY, QIANFAN_SECRET_KEY, QianfanServer
from tests.integration.paid import CHAT_FAULTS, KEYS, ROOT, Repository, assert_no_secrets, chat_changes, problems
from tests.params import params


@pytest.fixture
def server() -> Iterator[QianfanServer]:
    with QianfanServer(Settings(hang_s=10)) as server:
        yield server


def changes(server: QianfanServer, **more: Any) -> dict[str, Any]:
    return chat_changes("qianfan", server.url, **more)


# What the SDK makes of every kind of reply. In a process of its own, because it keeps its settings for good.
FAULTS = """
import json, sys
from augen.generation.served.errors import CallError, Misconfigured
from augen.generation.served.qianfan import Qianfan
from demo.base import Settings
from demo.chat import MODELS, QianfanServer
from tests.integration.paid import CHAT_FAULTS, chat_changes
from tests.params import params

with QianfanServer(Settings(hang_s=5)) as server:
    changes = chat_changes("qianfan", server.url, **{"providers.qianfan.timeout_s": 0.5})
    provider = Qianfan(params(changes).providers.qianfan, 1)
    payload = {"model": MODELS[0], "temperature": 0.3, "top_p": 1.0, "max_tokens": 64}
    def ask(model=MODELS[0], text="### 答案\\n答案是：C"):
        try:
            return provider.send([{**payload, "model": model, "messages": [{"role": "user", "content": text}]}])
        except (CallError, Misconfigured) as error:
            return f"{type(error).__name__}: {error}"
    found = {"good": ask()}
    for fault in CHAT_FAULTS:
        server.settings.script.append(fault)
        found[fault] = ask()
    found["model"] = ask(model="no-such-model")
    found["content"] = ask(text="违禁词")
    server.settings.quota = 0
    found["quota"] = ask()
print(json.dumps(found))
"""


def run_python(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    import os

    kept = {name: value for name, value in os.environ.items() if name not in KEYS}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=kept | environment, capture_output=True, text=True, timeout=60
    )


def test_every_fault_is_told_from_the_others() -> None:
    done = run_python(FAULTS, **KEYS)
    assert done.stderr == "", done.stderr  # the SDK would log the failed request's headers, token included
    found = json.loads(done.stdout)
    [good] = found.pop("good")
    assert parse_answer(good["text"], 4) == "C"
    assert (good["author"], good["finish"]) == (MODELS[0], "stop")
    assert good["tokens"] > 0 and good["prompt_tokens"] > 0
    expected = CHAT_FAULTS | {
        "429": "SlowDown: HTTP 429 rpm_rate_limit_exceeded",
        "model": "Misconfigured: qianfan: HTTP 401 invalid_model",
        "content": "Filtered: HTTP 400 data_inspection_failed",
        "quota": "QuotaUsedUp: error 17",
    }
    assert {name: found[name][: len(start)] for name, start in expected.items()} == expected


def test_a_pair_of_keys_is_turned_into_a_token(server: QianfanServer, tmp_path: Path) -> None:
    more = {"providers.qianfan.iam_url": server.url}
    repository = Repository(tmp_path / "repo", problems(2), changes(server, **more))
    pair = {"QIANFAN_ACCESS_KEY": QIANFAN_ACCESS_KEY, "QIANFAN_SECRET_KEY": QIANFAN_SECRET_KEY}
    done = repository.stage("reason_true", QIANFAN_BEARER_TOKEN="", **pair)
    assert done.returncode == 0, done.stderr
    assert len(server.answered) == 4


def test_a_wrong_key_stops_at_the_first_request_and_is_shown_nowhere(server: QianfanServer, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo", problems(10), changes(server))
    done = repository.stage("reason_true", QIANFAN_BEARER_TOKEN="bce-v3/wrong-token-5678")
    assert done.returncode == 1
    assert "check QIANFAN_BEARER_TOKEN" in done.stderr
    assert sum(server.outcomes.values()) == 1
    assert "Traceback" not in done.stderr
    assert not (repository.path / "data/reasoned").exists()
    unset = repository.stage("reason_true", QIANFAN_BEARER_TOKEN="")
    assert "set QIANFAN_BEARER_TOKEN, or QIANFAN_ACCESS_KEY and QIANFAN_SECRET_KEY in the environment" in unset.stderr
    server.settings.script += ["", "429", "500", "truncated", "reset"]
    good = repository.stage("reason_true")
    assert good.returncode == 0, good.stderr
    outputs = done.stdout + done.stderr, good.stdout + good.stderr
    assert_no_secrets(repository.path, *outputs, secrets=[*KEYS.values(), "bce-v3/wrong-token-5678"])


def test_reasonings_end_in_their_answers_and_name_who_wrote_them(tmp_path: Path) -> None:
    with QianfanServer(Settings(), wrong=0.2, mute=0.1) as server:
        repository = Repository(tmp_path / "repo", problems(30), changes(server))
        done = repository.stage("reason_true")
        assert done.returncode == 0, done.stderr
        items = [i for e in load_pickle(repository.path / "data/reasoned/entries.pkl") for i in e.questions]
        failed = [json.loads(line) for line in (repository.path / "reports/failed.jsonl").read_text().splitlines()]
        written = [item for item in items if item.reasoning]
        assert all(parse_answer(item.reasoning, 3) == item.answer for item in written)
        assert {item.author for item in written} == set(MODELS)
        assert len(written) + len(failed) == 60 > len(written) > 50
        for failure in failed:
            assert failure["stage"] == "reason_true" and failure["attempts"] == 3
            assert failure["request"].startswith("train_") and "#" in failure["request"]
            assert set(failure["cause"].split("; ")) <= {"answer B", "no answer"}

        usage = json.loads((repository.path / "reports/usage.json").read_text())["reason_true"]
        assert usage["paid"]["answers"] == server.answered.total() > 60
        assert usage["paid"]["unpriced"] == usage["paid"]["answers"]  # no prices are given for these models

        # Again, with another attempt allowed: only those that failed are asked about.
        before = Counter(server.answered)
        repository.configure(changes(server, **{"reason_true.attempts": 4}))
        assert repository.stage("reason_true").returncode == 0
        assert (server.answered - before).total() == len(failed)


@pytest.mark.usefixtures("paid_environment")
def test_the_sdks_own_limiter_does_not_slow_us_down() -> None:
    """Its limiter would take 90 % of what the header of the first reply names, and in steps of ten seconds."""
    with QianfanServer(Settings(requests_per_minute=60)) as server:
        p = params(changes(server))
        requests = [(Request(f"问题{n}", n, 0.3, 1.0, 64), {"attempt": 0}) for n in range(30)]
        with open_sampler("reason_true", "qianfan", providers=p.providers, models=MODELS) as sampler:
            completions = sampler.draw(requests, "test")
        assert len(completions) == 30
        assert server.arrivals[-1] - server.arrivals[0] < 8
