"""Batches through the real openai SDK: every end that one can have, killed processes, and no line sent twice."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from augen.core.errors import AugenError
from augen.generation.base import Completion, Request
from augen.generation.open import open_sampler
from augen.generation.served import batch_records
from augen.generation.served import batches as batches_module
from augen.store.responses import Store
from demo.base import Reply, Settings
from demo.batches import ENDS, BatchServer, Fates
from demo.chat import MODELS, OpenAIServer
from tests.integration.forked import said
from tests.integration.paid import Repository, chat_changes, problems
from tests.params import params, write_params
from tools import account

Asked = list[tuple[Request, dict[str, Any]]]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, paid_environment: None) -> None:
    monkeypatch.setattr(batches_module, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(batches_module, "FULL_WAIT_S", 0.05)


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer(fates=Fates(validating_s=0.02, running_s=0.05)) as server:
        yield server


def changes(server: OpenAIServer, **more: Any) -> dict[str, Any]:
    batch = {"batch": True, "batch_poll_s": 0.02, "retries": 3, **more}
    return chat_changes("openai", server.url, **{f"providers.openai.{name}": value for name, value in batch.items()})


def requests(count: int, text: str = "问题") -> Asked:
    return [(Request(f"{text}{n}", n, 0.3, 1.0, 64), {"attempt": 0}) for n in range(count)]


def draw(server: OpenAIServer, asked: Asked, models: list[str] | None = None, **more: Any) -> list[Completion]:
    providers = params(changes(server, **more)).providers
    with open_sampler("reason_true", "openai", providers=providers, models=models or [MODELS[0]]) as sampler:
        return sampler.draw(asked, "test")


def singly(server: OpenAIServer, asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Completion]:
    """What the same requests get one by one, with a store of their own."""
    monkeypatch.setenv("AUGEN_CACHE", str(tmp_path / "other.sqlite"))
    return draw(server, asked, batch=False)


def running(tmp_path: Path) -> list[batch_records.Record]:
    with Store(tmp_path / "responses.sqlite") as store:
        return batch_records.running(store)


@pytest.mark.parametrize("fate", ["completed", "half", "expired", "failed", "full"])
def test_every_end_ends_well(
    server: BatchServer, fate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fates.next = [fate]
    answers = draw(server, requests(10))
    assert server.answered.total() == 10 and set(server.answered.values()) == {1}
    assert len(server.batches) == (1 if fate == "completed" else 2) and not running(tmp_path)
    assert draw(server, requests(10)) == answers and len(server.batches) < 3
    [first, *_] = server.batches.values()
    assert f"batch {first.id}: {ENDS[fate]}, " in capsys.readouterr().err
    assert singly(server, requests(10), tmp_path, monkeypatch) == answers


def test_a_batch_keeps_to_the_limits_and_to_one_model(server: BatchServer) -> None:
    server.fates.most_lines = 4
    draw(server, requests(20), models=list(MODELS), batch_lines=4)
    assert all(len(batch.lines) <= 4 for batch in server.batches.values()) and len(server.batches) >= 5
    server.fates.most_bytes = 1100
    draw(server, requests(20, "另一个问题"), batch_mib=1000 / 2**20)
    assert set(server.lines_sent.values()) == {1} and server.answered.total() == 40
    with pytest.raises(AugenError, match=r"bytes exceeds providers\.openai\.batch_mib"):
        draw(server, requests(1, "长" * 1000), batch_mib=1000 / 2**20)


def test_errors_of_lines_are_those_of_requests(server: BatchServer, tmp_path: Path) -> None:
    asked = [*requests(3), (Request("违禁词", 1, 0.3, 1.0, 64), {"attempt": 0})]
    with pytest.raises(AugenError, match="1 of 4 prompts were refused"):
        draw(server, asked)
    server.settings.replies = {"没钱": Reply(429, {"error": {"code": "insufficient_quota", "message": "exceeded"}})}
    with pytest.raises(AugenError, match=r"the quota is used up .* 3 of 4 are done"):
        draw(server, [*requests(3), *requests(1, "没钱")])
    server.settings.replies = {"坏": Reply(500, {"error": {"message": "broken"}})}
    with pytest.raises(AugenError, match="1 of 4 got no answer, the first: HTTP 500"):
        draw(server, [*requests(3), *requests(1, "坏")])
    assert server.answered.total() == 3 and not running(tmp_path)


@pytest.mark.parametrize("prompts", [4, 12])
@pytest.mark.parametrize("model", [0, 1])
def test_a_prompt_that_another_model_answers_was_not_refused(server: BatchServer, prompts: int, model: int) -> None:
    """Nor are ten refused prompts of one model the end where another one answers, whichever batch ends first."""
    server.settings.replies = {MODELS[model]: Reply(400, {"error": {"message": "no such thing"}})}
    asked = [(request, {"attempt": n}) for request, _ in requests(prompts) for n in range(2)]
    for batch in (True, False):
        completions = draw(server, asked, models=list(MODELS[:2]), batch=batch)
        assert sum(bool(completion.text) for completion in completions) == prompts
    with pytest.raises(AugenError, match=r"the first 1\d requests were all refused, the last one: .*no such thing"):
        draw(server, requests(12, "另一个问题"), models=[MODELS[model]])


def test_a_key_that_does_not_count_and_a_server_without_batches_are_named(
    server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OpenAIServer() as plain, pytest.raises(AugenError, match=r"set providers\.openai\.batch to false"):
        draw(plain, requests(2))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
    with pytest.raises(AugenError, match="check OPENAI_API_KEY"):
        draw(server, requests(2))
    assert not running(tmp_path)


@pytest.mark.parametrize(
    "script",
    [["500"], ["", "reset"], ["", "500"], ["", "", "500"], ["", "", "", "reset"], ["429"], ["", "reset", "500"]],
)
def test_a_reply_that_is_lost_loses_no_batch(server: BatchServer, script: list[str], tmp_path: Path) -> None:
    """Among them: the batch was begun, but its reply did not arrive."""
    server.settings.script = list(script)
    draw(server, requests(5))
    assert set(server.lines_sent.values()) == {1} == set(server.answered.values()) and not running(tmp_path)


def test_a_cancelled_batch_ends_the_run_and_the_next_one_sends_the_rest(
    server: BatchServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fates.running_s = 60.0
    failed: list[str] = []

    def run() -> None:
        with pytest.raises(AugenError) as raised:
            draw(server, requests(10))
        failed.append(str(raised.value))

    thread = threading.Thread(target=run)
    thread.start()
    while not server.batches:
        time.sleep(0.01)
    while not any(state for state in running(tmp_path) if state.id):
        time.sleep(0.01)
    seen = sum(server.outcomes.values())
    while sum(server.outcomes.values()) < seen + 3:  # the run has seen it running
        time.sleep(0.01)
    write_params(tmp_path / "params.yaml", changes(server))
    assert account.main([]) == 0
    said = capsys.readouterr().out
    assert "Running, not paid yet: 10 requests in 1 batch." in said and next(iter(server.batches)) in said
    assert account.main(["--cancel"]) == 0
    thread.join()
    [batch] = server.batches.values()
    answered = server.answered.total()
    assert f"batch {batch.id}: cancelled, {answered} of 10 requests of {MODELS[0]}" in capsys.readouterr().out
    assert f"the batch {batch.id} was cancelled" in failed[0] and answered == 5
    assert account.main(["--cancel"]) == 0 and "no batch is running" in capsys.readouterr().out
    server.fates.running_s = 0.05
    draw(server, requests(10))
    assert server.answered.total() == 10 and set(server.answered.values()) == {1}


def test_a_batch_costs_its_share_and_keeps_to_the_budget(server: BatchServer, tmp_path: Path) -> None:
    price: dict[str, Any] = {"prices": [{"model": MODELS[0], "prompt": 0.0, "reply": 1e6, "batch": 0.5}]}
    [first] = draw(server, requests(1), **price)  # a token is 0.5
    spent = json.loads((tmp_path / "reports/usage.json").read_text())["reason_true"]["paid"]["cost"]
    assert spent == first.tokens / 2
    with pytest.raises(AugenError, match=r"providers\.openai\.budget"):
        draw(server, requests(10), budget=spent + 64, **price)  # room for two at their dearest, 32 each
    spent = sum(len(batch.lines) for batch in server.batches.values())
    assert 3 <= spent < 6 and set(server.lines_sent.values()) == {1}
    draw(server, requests(10), **price)
    assert server.answered.total() == 10 and set(server.answered.values()) == {1}


class Killed(BaseException):
    pass


def test_what_is_running_is_waited_for_without_batch_too(
    server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know = batch_records.know

    def killed(store: Store, record: batch_records.Record, part: str, value: str) -> None:
        if part == "id":
            raise Killed
        know(store, record, part, value)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(batch_records, "know", killed)
        draw(server, requests(4))
    [record] = running(tmp_path)
    assert record.id is None and [batch.file for batch in server.batches.values()] == [record.file]
    draw(server, requests(6), batch=False)
    assert [len(batch.lines) for batch in server.batches.values()] == [len(record.keys)]
    assert server.answered.total() == 6 and set(server.answered.values()) == {1}


def test_two_processes_send_nothing_twice(server: BatchServer) -> None:
    results: list[list[Completion]] = []
    server.fates.running_s = 0.5
    threads = [threading.Thread(target=lambda: results.append(draw(server, requests(8)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3 and results[0] == results[1] == results[2]
    assert set(server.lines_sent.values()) == {1} == set(server.answered.values())


def finish(repository: Repository) -> None:
    stage = repository.fork("reason_true")
    stage.join(120)
    stage.kill()
    assert stage.exitcode == 0, said(repository.path)


def test_killed_again_and_again_nothing_is_sent_twice_and_the_outs_are_those_of_single_requests(
    tmp_path: Path,
) -> None:
    random = Random(7)
    with BatchServer(Settings(latency_s=0.03), fates=Fates(0.05, 0.2), wrong=0.4, mute=0.1) as server:
        disturbed = Repository(tmp_path / "disturbed", problems(12), changes(server, batch_lines=7, batch_poll_s=0.05))
        for _ in range(5):
            seen = sum(server.outcomes.values())
            stage = disturbed.fork("reason_true")
            while stage.is_alive() and sum(server.outcomes.values()) == seen:
                time.sleep(0.005)
            time.sleep(random.uniform(0, 0.6))
            stage.kill()
            stage.join()
        finish(disturbed)
        assert set(server.lines_sent.values()) == {1} == set(server.answered.values())
        assert len(server.batches) >= 7
    with BatchServer(Settings(), wrong=0.4, mute=0.1) as server:
        single = Repository(tmp_path / "single", problems(12), changes(server, batch=False))
        finish(single)
    for out in ("entries.pkl", "entries_aug.pkl"):
        outs = [(repository.path / "data/reasoned" / out).read_bytes() for repository in (disturbed, single)]
        assert outs[0] == outs[1]
