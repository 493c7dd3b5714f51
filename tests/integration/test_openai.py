"""Reasonings and rewriting through the real openai SDK against a compatible server."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from augen.core.errors import AugenError
from augen.entries.pickles import load_pickle
from augen.generation.base import Completion, Request
from augen.generation.open import open_sampler
from augen.generation.served.errors import CallError, Misconfigured, QuotaUsedUp, Refused, SlowDown
from augen.generation.served.openai import OpenAI
from augen.store.responses import Store, request_key
from demo.base import Reply, Settings
from demo.chat import MODELS, OpenAIServer
from tests.integration.paid import CHAT_FAULTS, KEYS, Repository, assert_no_secrets, chat_changes, problems
from tests.params import params

pytestmark = pytest.mark.usefixtures("paid_environment")


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(Settings(hang_s=10)) as server:
        yield server


def changes(server: OpenAIServer, **more: Any) -> dict[str, Any]:
    return chat_changes("openai", server.url, **{"providers.openai.timeout_s": 1.0, **more})


def send(server: OpenAIServer, model: str = MODELS[0], text: str = "### 答案\n答案是：C") -> Any:
    payload = {"model": model, "temperature": 0.3, "top_p": 1.0, "max_tokens": 64, "seed": 1}
    provider = OpenAI(params(changes(server)).providers.openai, 1)
    return provider.send([{**payload, "messages": [{"role": "user", "content": text}]}])


def draw(server: OpenAIServer, requests: list[tuple[Request, dict[str, Any]]], **more: Any) -> list[Completion]:
    providers = params(changes(server, **more)).providers
    with open_sampler("reason_true", "openai", providers=providers, models=MODELS) as sampler:
        return sampler.draw(requests, "test")


def request(text: str, seed: int = 1, **more: Any) -> Request:
    return Request(text, **{"seed": seed, "temperature": 0.3, "top_p": 1.0, "max_tokens": 64, **more})


@pytest.mark.parametrize("fault", CHAT_FAULTS)
def test_every_fault_is_told_from_the_others(server: OpenAIServer, fault: str) -> None:
    server.settings.script.append(fault)
    with pytest.raises(CallError) as raised:
        send(server)
    assert f"{type(raised.value).__name__}: {raised.value}".startswith(CHAT_FAULTS[fault])
    if isinstance(raised.value, SlowDown):
        assert raised.value.retry_after_s == 1.0
    assert len(server.arrivals) == 1  # the SDK itself sends nothing again


def test_what_cannot_pass_says_what_to_do(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured, match=r"model_not_found.*is 'no-such-model' one of its models"):
        send(server, model="no-such-model")
    with pytest.raises(Refused, match="data_inspection_failed"):
        send(server, text="违禁词")
    server.settings.quota = 0
    with pytest.raises(QuotaUsedUp, match="insufficient_quota"):
        send(server)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-key-98765")
    with pytest.raises(Misconfigured, match="check OPENAI_API_KEY") as raised:
        send(server)
    assert "sk-wrong-key-98765" not in str(raised.value)


def test_every_sample_is_its_own_and_is_paid_once(server: OpenAIServer) -> None:
    """Anything that can change an answer makes another request of it, the index included."""
    base = request("问题")
    different: list[tuple[Request, dict[str, Any]]] = [
        (base, {"slot": 1, "round": 0}),
        (base, {"slot": 2, "round": 0}),
        (base, {"slot": 1, "round": 1}),
        (request("问题", seed=2), {"slot": 1, "round": 0}),
        (request("问题？"), {"slot": 1, "round": 0}),
        (request("问题", temperature=0.4), {"slot": 1, "round": 0}),
        (request("问题", top_p=0.9), {"slot": 1, "round": 0}),
        (request("问题", max_tokens=65), {"slot": 1, "round": 0}),
    ]
    first = draw(server, different)
    assert server.answered.total() == len(different)
    assert draw(server, [different[0], *reversed(different)]) == [first[0], *reversed(first)]
    assert server.answered.total() == len(different)
    draw(server, [(base, {"slot": 3, "round": 0}), *different])  # one voter more: one sample more
    assert server.answered.total() == len(different) + 1


def test_what_was_paid_for_before_is_found_whatever_is_asked_beside_it(server: OpenAIServer, tmp_path: Path) -> None:
    """The key of a sample from before there were other fields; asking for log-probabilities makes no other."""
    payload = {
        "model": MODELS[0],
        "messages": [{"role": "user", "content": "问题"}],
        "temperature": 0.3,
        "top_p": 1.0,
        "max_tokens": 64,
        "seed": 1,
    }
    place = {"slot": 1, "round": 0}
    endpoint = {"provider": "openai", "base_url": f"{server.url}/v1"}
    key = request_key({"kind": "chat", **endpoint, "payload": payload, "seed": 1, "index": place})
    old = {"text": "答案是：A", "tokens": 5, "finish": "stop", "author": MODELS[0], "prompt_tokens": 3}
    with Store(tmp_path / "responses.sqlite") as store:
        store.put_many({key: old})
    for logprobs in (False, True):
        [completion] = draw(server, [(request("问题"), place)], **{"providers.openai.logprobs": logprobs})
        assert (completion.text, completion.logprob) == ("答案是：A", None)
    assert server.answered.total() == 0
    draw(server, [(request("问题"), place)], **{"providers.openai.extra_body": {"top_k": 20}})
    assert server.answered.total() == 1


def test_a_failed_attempt_goes_to_the_next_model(server: OpenAIServer) -> None:
    completions = draw(server, [(request("问题"), {"attempt": n}) for n in range(4)])
    authors = [completion.author for completion in completions]
    assert authors[0] != authors[1] and authors[:2] == authors[2:]


def test_a_refused_prompt_is_an_empty_completion_beside_good_ones(server: OpenAIServer) -> None:
    requests: list[tuple[Request, dict[str, Any]]] = [(request("问题"), {}), (request("违禁词"), {})]
    with pytest.raises(AugenError, match=r"1 of 2 prompts were refused \(providers\.max_refused is 0\.05\)"):
        draw(server, requests)
    good, refused = draw(server, requests, **{"providers.max_refused": 0.5})
    assert good.text and good.refused is None
    assert refused.text == "" and "data_inspection_failed" in str(refused.refused)


def test_tokens_per_minute_hold_and_what_was_not_used_is_given_back(server: OpenAIServer) -> None:
    """Of 64 + 2 reserved tokens about 50 are used: more fit into a minute than the reservations would allow."""
    requests: list[tuple[Request, dict[str, Any]]] = [(request(f"{n:02d}"), {}) for n in range(12)]
    completions = draw(
        server, requests, **{"providers.openai.tokens_per_minute": 700, "providers.openai.concurrency": 1}
    )
    assert sum(completion.tokens for completion in completions) <= 700 < 12 * 66


def test_more_tokens_than_a_whole_limit_are_named(server: OpenAIServer) -> None:
    with pytest.raises(AugenError, match="tokens exceeds the limit of 50"):
        draw(server, [(request("问题"), {})], **{"providers.openai.tokens_per_minute": 50})


def test_wrong_reasonings_argue_for_wrong_answers(server: OpenAIServer, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repo", problems(5), chat_changes("openai", server.url, stage="reason_false"))
    done = repository.stage("reason_false")
    assert done.returncode == 0, done.stderr
    items = [i for e in load_pickle(repository.path / "data/reasoned/entries_false.pkl") for i in e.questions]
    assert len(items) == 10
    assert all(item.answer in ("B", "C") and item.reasoning and item.author in MODELS for item in items)
    wrong = repository.stage("reason_false", OPENAI_API_KEY="sk-wrong-key-98765", AUGEN_CACHE="other.sqlite")
    assert wrong.returncode == 1 and "check OPENAI_API_KEY" in wrong.stderr
    outputs = done.stdout + done.stderr, wrong.stdout + wrong.stderr
    assert_no_secrets(repository.path, *outputs, secrets=[*KEYS.values(), "sk-wrong-key-98765"])


@pytest.mark.parametrize(("method", "answers"), [("paraphrase", 5), ("round_trip", 44)])
def test_rewriting_by_a_chat_model(server: OpenAIServer, tmp_path: Path, method: str, answers: int) -> None:
    settings = {
        "translate.llm.method": method,
        "translate.backend": "llm",
        "providers.openai.base_url": f"{server.url}/v1",
        "translate.llm.models": [MODELS[1]],
    }
    repository = Repository(tmp_path / "repo", problems(5), settings)
    done = repository.stage("translate")
    assert done.returncode == 0, done.stderr
    copies = load_pickle(repository.path / "data/entries_aug.pkl")
    assert [copy.id for copy in copies] == [f"train_{n:03d}~1" for n in range(5)]
    assert all("假如" in copy.problem and "如果" not in copy.problem for copy in copies)
    assert json.loads((repository.path / "reports/usage.json").read_text())["translate"]["paid"]["answers"] == answers


@pytest.mark.parametrize(
    "reply",
    [
        Reply(400, {"error": {"code": KEYS["OPENAI_API_KEY"], "message": "no"}}),
        Reply(401, {"error": {"type": KEYS["OPENAI_API_KEY"], "message": "no"}}),
        Reply(429, {"code": f"limit of {KEYS['OPENAI_API_KEY']}"}),
        Reply(500, {"error": {"status": KEYS["OPENAI_API_KEY"], "message": KEYS["OPENAI_API_KEY"]}}),
        Reply(200, f"<html><title>{KEYS['OPENAI_API_KEY']}</title></html>".encode()),
    ],
    ids=["code", "type", "code beside", "status", "title"],
)
def test_a_key_that_a_server_quotes_is_neither_shown_nor_kept(
    server: OpenAIServer, tmp_path: Path, reply: Reply
) -> None:
    server.settings.replies = {"": reply}
    quick = {"providers.openai.retries": 0, "providers.openai.concurrency": 1, "providers.max_wait_s": 0.5}
    repository = Repository(tmp_path / "repo", problems(2), chat_changes("openai", server.url) | quick)
    ended = repository.stage("reason_true")
    assert ended.returncode == 1 and "Traceback" not in ended.stderr, ended.stderr
    assert "$OPENAI_API_KEY" in ended.stdout + ended.stderr
    assert_no_secrets(repository.path, ended.stdout, ended.stderr, secrets=KEYS.values())


HALF, NUL = "\ud800", "\0"


def odd_reply(text: str) -> Reply:
    choices = [{"message": {"content": text}, "finish_reason": "stop"}]
    body = {"choices": choices, "usage": {"prompt_tokens": "many", "completion_tokens": 1e400}}
    return Reply(200, json.dumps(body).encode())


def test_an_answer_that_no_file_can_hold_is_made_writable_before_it_is_stored(
    server: OpenAIServer, tmp_path: Path
) -> None:
    text = f"逐条排除{HALF}不符合{NUL}条件的选项，剩下的就是所求。" * 3 + "\n答案是：A"
    server.settings.replies = {"": odd_reply(text)}
    repository = Repository(tmp_path / "repo", problems(2), chat_changes("openai", server.url))
    for _ in range(2):  # once from the server, once from the store
        done = repository.stage("reason_true")
        assert done.returncode == 0, done.stderr
        [first, *_] = [i for e in load_pickle(repository.path / "data/reasoned/entries.pkl") for i in e.questions]
        assert first.reasoning and "逐条排除\ufffd不符合\ufffd条件" in first.reasoning
    assert len(server.arrivals) == 4


def test_what_an_earlier_version_stored_as_it_was_blocks_no_stage(server: OpenAIServer, tmp_path: Path) -> None:
    asked = request("谁最高？"), {"attempt": 0}
    [drawn] = draw(server, [asked])
    with sqlite3.connect(tmp_path / "responses.sqlite") as connection:
        connection.execute("UPDATE responses SET value = json_set(value, '$.text', 'x') ")
        [value] = connection.execute("SELECT value FROM responses").fetchone()
        changed = value.replace('"x"', '"x\\ud800"')
        connection.execute("UPDATE responses SET value = ?, checksum = NULL", [changed])  # as version 0 had none
    [again] = draw(server, [asked])
    assert (drawn.text != again.text, again.text, len(server.arrivals)) == (True, "x\ufffd", 1)


def test_words_of_a_refusal_that_no_file_can_hold_are_written(server: OpenAIServer, tmp_path: Path) -> None:
    body = json.dumps({"error": {"code": "content_filter", "message": f"no{HALF}{NUL}"}}).encode()
    server.settings.replies = {"": Reply(400, body)}
    repository = Repository(tmp_path / "repo", problems(2), chat_changes("openai", server.url))
    ended = repository.stage("reason_true")
    assert ended.returncode == 1 and "Traceback" not in ended.stderr, ended.stderr
    assert "content_filter: no\ufffd\ufffd" in ended.stderr
