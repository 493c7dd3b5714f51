"""Each kind of reply that is no plain answer, sent to the real stage: what that says, pays and keeps."""

import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from augen.entries import Entry, QuestionItem
from augen.entries.jsonl import write_jsonl
from augen.entries.pickles import load_pickle
from demo.base import Reply, Settings
from demo.chat import MODELS, OPENAI_KEY, OpenAIServer, QianfanServer
from tests.integration.paid import Repository, chat_changes
from tests.integration.test_infer_stage import Project

TABOO = "违禁"  # stands in the problem that a server treats in its own way
USAGE = {"prompt_tokens": 10, "completion_tokens": 5}
MODEL = MODELS[0]


def problem(number: int, words: str) -> Entry:
    question = QuestionItem("谁高？", ["甲", "乙", "丙"], answer="A")
    return Entry(f"{words}：第{number}题，甲比乙高，乙比丙高。", [question], id=f"train_{number}")


FOUR = [problem(1, "身高"), problem(2, TABOO), problem(3, "身高"), problem(4, "身高")]


@dataclass(frozen=True)
class Ran:
    """A stage that has ended."""

    code: int
    out: str
    folder: Path

    @property
    def account(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "reports/usage.json").read_text())["reason_true"]
        return found

    @property
    def failed(self) -> dict[str, str]:
        lines = (self.folder / "reports/failed.jsonl").read_text(encoding="utf-8").splitlines()
        return {record["request"]: record["cause"] for record in map(json.loads, lines)}

    @property
    def stored(self) -> int:
        with sqlite3.connect(self.folder / ".augen/responses.sqlite") as store:
            return int(store.execute("SELECT count(*) FROM responses").fetchone()[0])

    @property
    def reasonings(self) -> list[str | None]:
        entries = load_pickle(self.folder / "data/reasoned/entries.pkl")
        return [item.reasoning for entry in entries for item in entry.questions]


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(Settings()) as server:
        yield server


class Stage:
    """reason_true in a folder of its own, with the models of `server`; may be run again."""

    def __init__(self, server: OpenAIServer | QianfanServer, folder: Path, entries: list[Entry]) -> None:
        self.server = server
        self.repository = Repository(folder, entries, self.changes())

    def changes(self, **more: Any) -> dict[str, Any]:
        once = {"reason_true.attempts": 1, "reason_true.models": [MODEL], **more}
        return chat_changes(self.server.name, self.server.url, **once)

    def run(self, changes: dict[str, Any] | None = None, **environment: str) -> Ran:
        self.repository.configure(self.changes(**(changes or {})))
        done = self.repository.stage("reason_true", **environment)
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout + done.stderr, self.repository.path)


@pytest.fixture
def stage(server: OpenAIServer, tmp_path: Path) -> Stage:
    return Stage(server, tmp_path / "repo", FOUR)


def error(message: str, code: Any = None, kind: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind or code, "code": code}}


def said(message: dict[str, Any], finish: str = "stop") -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": finish}], "usage": USAGE}


@pytest.mark.parametrize(
    ("reply", "words", "kept"),
    [
        (Reply(400, error("Content Exists Risk", "invalid_request_error")), "Content Exists Risk", 1),
        (Reply(400, error("with sensitive words: [x]", "sensitive_words_detected")), "sensitive words: [x]", 1),
        (Reply(451, error("blocked", "censorship_blocked")), "blocked", 1),
        (Reply(400, error("该请求未通过审核", "a_code_of_tomorrow")), "a_code_of_tomorrow: 该请求未通过审核", 0),
        (Reply(200, {"base_resp": {"status_code": 1026, "status_msg": "new_sensitive"}}), "new_sensitive", 1),
        (Reply(200, said({"content": ""}, "sensitive")), "sensitive", 1),
    ],
)
def test_a_refused_question_is_listed_and_the_others_are_answered(
    server: OpenAIServer, stage: Stage, reply: Reply, words: str, kept: int
) -> None:
    """What is refused for its content is not asked for again, unless the user says so."""
    server.settings.replies = {TABOO: reply}
    most = {"providers.max_refused": 0.3}
    ran = stage.run(most)
    assert ran.code == 0, ran.out
    assert [reasoning is None for reasoning in ran.reasonings] == [False, True, False, False]
    assert list(ran.failed) == ["train_2#1"] and words in ran.failed["train_2#1"]
    assert (ran.account["paid"]["answers"], ran.stored) == (3, 3 + kept)
    server.settings.replies = {}
    again = stage.run(most)
    assert again.account["requests"] == 1 - kept
    if kept:
        assert again.failed == ran.failed and again.account["refused"] == ran.account["refused"]
        forgotten = stage.repository.run(sys.executable, "-m", "augen.store", "forget-refusals", timeout_s=60)
        assert "1 refusals are forgotten" in forgotten.stdout, forgotten.stderr
        assert stage.run(most).account["paid"]["answers"] == 1


def test_more_refused_questions_than_allowed_end_the_stage_after_all_are_asked(
    server: OpenAIServer, stage: Stage
) -> None:
    server.settings.replies = {TABOO: Reply(400, error("Content Exists Risk", "invalid_request_error"))}
    ran = stage.run()
    assert ran.code == 1
    assert "1 of 4 prompts were refused (providers.max_refused is 0.05), the first: HTTP 400" in ran.out
    assert "Content Exists Risk" in ran.failed["train_2#1"] and ran.stored == 4
    assert not (ran.folder / "data/reasoned").exists()


def test_a_stage_in_which_everything_is_refused_fails_whatever_the_param_says(
    server: OpenAIServer, stage: Stage
) -> None:
    server.settings.replies = {"": Reply(400, error("Content Exists Risk", "invalid_request_error"))}
    ran = stage.run({"providers.max_refused": 1.0})
    assert ran.code == 1 and "4 of 4 prompts were refused" in ran.out
    assert len(ran.failed) == 4 and ran.stored == 4


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "thinking", "thinking": []}, {"type": "text", "text": "甲高。\n答案是：A"}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "是B？"}]}, {"text": "甲高。\n答案是：A"}],
        "<think>是B？\n答案是：B</think>甲高。\n答案是：A",
        "是B？\n答案是：B</think>\n\n甲高。\n答案是：A",
    ],
)
def test_a_text_is_found_and_thinking_is_kept_apart(server: OpenAIServer, stage: Stage, content: Any) -> None:
    server.settings.replies = {"": Reply(200, said({"content": content}))}
    ran = stage.run()
    assert ran.code == 0, ran.out
    assert ran.reasonings == ["甲高。\n答案是：A"] * 4
    assert ran.account["paid"]["tokens"] == 20


def test_thinking_without_a_text_is_paid_once_and_said(server: OpenAIServer, stage: Stage) -> None:
    server.settings.replies = {"": Reply(200, said({"content": None, "reasoning_content": "先看甲，答案是：A"}))}
    for requests in (4, 0):
        ran = stage.run()
        assert ran.code == 1 and "none of 4 replies holds a text; they hold nothing but thinking" in ran.out
        assert ran.account["requests"] == requests and ran.stored == 4
    assert (ran.account["from_store"]["answers"], ran.account["from_store"]["tokens"]) == (4, 20)
    server.settings.replies = {}
    again = stage.run({"providers.openai.extra_body": {"enable_thinking": False}})
    assert again.code == 0 and again.account["paid"]["answers"] == 4, "another request, another answer"


def test_a_guess_in_thinking_that_was_cut_off_is_no_answer(server: OpenAIServer, stage: Stage) -> None:
    cut = "<think>\n先假设甲说真话，那么答案是：A。但是这样一来乙"
    server.settings.replies = {TABOO: Reply(200, said({"content": cut}, "length"))}
    ran = stage.run()
    assert ran.code == 0 and ran.reasonings[1] is None
    assert ran.failed == {"train_2#1": "no answer, cut off at max_tokens"}


def test_empty_replies_are_in_the_account(server: OpenAIServer, stage: Stage) -> None:
    server.settings.replies = {TABOO: Reply(200, said({"content": ""}))}
    ran = stage.run({"providers.max_refused": 0.3, "providers.openai.prices": [
        {"model": MODEL, "prompt": 100.0, "reply": 1000.0}
    ]})  # fmt: skip
    assert ran.code == 0, ran.out
    assert ran.account["unusable"]["answers"] == 4 and ran.account["unusable"]["tokens"] == 20
    assert ran.account["unusable"]["cost"] == 4 * (10 * 100 + 5 * 1000) / 1e6
    assert "billed, but unusable: 4 replies" in ran.out
    assert ran.failed == {"train_2#1": "refused: empty reply"}


def test_a_quota_is_told_from_a_limit(server: OpenAIServer, stage: Stage) -> None:
    replies: list[tuple[int, dict[str, Any]]] = [
        (429, error("You exceeded your current token quota", None, "exceeded_current_quota_error")),
        (429, error("您的账户已欠费，请充值后重试", "1113")),
        (403, {"code": 30001, "message": "Sorry, your account balance is insufficient"}),
        (403, error("The free tier has been exhausted", "AllocationQuota.FreeTierOnly")),
    ]
    for status, body in replies:
        server.settings.replies = {"": Reply(status, body)}
        ran = stage.run()
        assert ran.code == 1 and ran.account["requests"] == 1
        assert "the quota is used up (HTTP " in ran.out and "check OPENAI_API_KEY" not in ran.out
        assert str(body.get("error", body)["message"]) in ran.out


def test_a_wait_longer_than_allowed_ends_the_stage_at_once(server: OpenAIServer, stage: Stage) -> None:
    server.settings.replies = {"": Reply(429, error("Limit of tokens per day", "tpd"), {"Retry-After": "3600"})}
    started = time.monotonic()
    ran = stage.run()
    assert ran.code == 1 and time.monotonic() - started < 30
    assert "Limit of tokens per day" in ran.out and "providers.max_wait_s (600)" in ran.out
    assert "to wait until " in ran.out


def test_a_wait_is_said(server: OpenAIServer, stage: Stage) -> None:
    server.settings.replies = {"": Reply(429, error("Slow down, please", "rpm"), {"Retry-After": "5"})}
    ran = stage.run({"providers.max_wait_s": 6})
    assert ran.code == 1
    assert "HTTP 429 rpm: Slow down, please; all requests wait 5 s, until " in ran.out
    assert ran.account["retries"] == {"HTTP 429 rpm": 1}


def test_an_error_with_status_200_is_an_error(server: OpenAIServer, stage: Stage) -> None:
    server.settings.replies = {"": Reply(200, error("Rate limit exceeded: free-models-per-min", 429))}
    ran = stage.run({"providers.max_wait_s": 2})
    assert ran.code == 1 and ran.stored == 0
    assert "Rate limit exceeded: free-models-per-min" in ran.out and "there are no answers any more" in ran.out


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (
            Reply(400, error("parameter.enable_thinking must be set to false for non-streaming calls", "x")),
            "extra_body",
        ),
        (
            Reply(422, {"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["seed"]}]}}),
            "seed",
        ),
        (Reply(404, {"detail": "Not Found"}), "check providers.openai.base_url"),
        (Reply(200, b"<!DOCTYPE html><html><title>Sign in</title></html>"), "a web page (Sign in), not JSON"),
        (Reply(404, b"404 page not found"), "404 page not found; nothing is served under this address"),
        (
            Reply(400, error("This model only support stream mode", "x")),
            "{stream: true, stream_options: {include_usage: true}}",
        ),
    ],
)
def test_a_fault_of_the_settings_costs_one_request_and_says_what_to_set(
    server: OpenAIServer, stage: Stage, reply: Reply, words: str
) -> None:
    server.settings.replies = {"": reply}
    ran = stage.run()
    assert ran.code == 1 and words in ran.out, ran.out
    assert ran.account["requests"] == 1


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"ALL_PROXY": "socks://127.0.0.1:7890"}, "the environment variable ALL_PROXY names a proxy of the kind socks"),
        ({"https_proxy": "socks4://127.0.0.1:7890"}, "https_proxy names a proxy of the kind socks4"),
        ({"all_proxy": "socks5://u:secret@127.0.0.1:7890"}, "all_proxy names a proxy of the kind socks5"),
        ({"OPENAI_API_KEY": "你的密钥"}, "OPENAI_API_KEY holds signs that no key has"),
        ({"OPENAI_API_KEY": "sk-1234\u200b"}, "OPENAI_API_KEY holds signs that no key has"),
        ({"SSL_CERT_FILE": "/no/such/file.pem"}, "SSL_CERT_FILE"),
        ({"HTTP_PROXY": "http://[::1"}, "HTTP_PROXY"),
    ],
)
def test_a_fault_of_the_environment_is_named(stage: Stage, environment: dict[str, str], words: str) -> None:
    ran = stage.run(None, **environment)
    assert ran.code == 1 and words in ran.out, ran.out
    assert "secret" not in ran.out and ran.account["requests"] == 0


@pytest.mark.parametrize("base_url", ["127.0.0.1:8000/v1", "http:///v1", "https://api.example.com/v1/chat/completions"])
def test_a_base_url_that_cannot_be_one_is_named(stage: Stage, base_url: str) -> None:
    ran = stage.run({"providers.openai.base_url": base_url})
    assert ran.code == 1 and f"providers.openai.base_url: '{base_url}'" in ran.out, ran.out


def test_a_server_that_streams_is_read(server: OpenAIServer, stage: Stage) -> None:
    chunks = [
        {"choices": [{"delta": {"reasoning_content": "是B？"}, "finish_reason": None}]},
        {"choices": [{"delta": {"content": "甲高。\n答案是：A"}, "finish_reason": "stop"}]},
        {"choices": [], "usage": USAGE},
    ]
    stream = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    server.settings.replies = {'"stream": true': Reply(200, stream.encode(), {"Content-Type": "text/event-stream"})}
    ran = stage.run({"providers.openai.extra_body": {"stream": True, "stream_options": {"include_usage": True}}})
    assert ran.code == 0, ran.out
    assert ran.reasonings == ["甲高。\n答案是：A"] * 4 and ran.account["paid"]["tokens"] == 20


@pytest.mark.parametrize("code", [336003, 336104, 336103])
def test_qianfans_older_codes_refuse_one_question(tmp_path: Path, code: int) -> None:
    with QianfanServer(Settings()) as server:
        server.settings.replies = {TABOO: Reply(200, {"error_code": code, "error_msg": "the max is 11200"})}
        ran = Stage(server, tmp_path / "repo", FOUR).run({"providers.max_refused": 0.3})
        assert ran.code == 0, ran.out
        assert ran.failed == {"train_2#1": f"refused: error {code}: the max is 11200"}
        kept = 4 if code == 336104 else 3  # a refusal of the content is not asked for again
        assert (ran.account["requests"], ran.stored) == (4, kept)


def test_what_is_sent_is_what_the_params_say(server: OpenAIServer, stage: Stage) -> None:
    own = {"model": MODEL, "tokens_as": "max_completion_tokens", "extra_body": {"top_k": 20, "temperature": None}}
    seen: list[Any] = []
    usual = server.answer

    def noted(request: BaseHTTPRequestHandler, body: Any) -> Reply:
        seen.append(body)
        return usual(request, body)

    server.answer = noted  # type: ignore[method-assign]
    ran = stage.run({
        "providers.openai.models": [own],
        "providers.openai.seed": False,
        "providers.openai.reasoning_effort": "low",
        "providers.openai.extra_body": {"enable_thinking": False},
    })  # fmt: skip
    assert ran.code == 0, ran.out
    for asked in seen:
        assert set(asked) == {
            "model", "messages", "top_p", "max_completion_tokens", "reasoning_effort", "enable_thinking", "top_k"
        }  # fmt: skip
        assert (asked["enable_thinking"], asked["top_k"], asked["reasoning_effort"]) == (False, 20, "low")
    assert len(seen) == 4
    assert OPENAI_KEY not in ran.out


def test_infer_lists_refused_questions_too(server: OpenAIServer, tmp_path: Path) -> None:
    server.settings.replies = {
        TABOO: Reply(400, error("Content Exists Risk", "invalid_request_error")),
        "": Reply(200, said({"content": "甲高。\n答案是：A"})),
    }
    project = Project(tmp_path / "repo", {
        "infer.engine": "openai", "infer.models": [MODEL], "infer.programs": 0, "prompt.chat_template": True,
        "providers.openai.base_url": f"{server.url}/v1", "providers.max_refused": 0.3, "rag.k": 0,
    })  # fmt: skip
    write_jsonl(project.path / "data/dev.jsonl", FOUR)
    write_jsonl(project.path / "data/test.jsonl", [problem(5, "身高")])
    done = project.infer()
    ran = Ran(done.returncode, done.stdout + done.stderr, project.path)
    assert list(ran.failed) == ["train_2#1"] and "Content Exists Risk" in ran.failed["train_2#1"]
    assert "1 questions have samples that were refused: reports/failed.jsonl lists them" in ran.out
    samples = [json.loads(line) for line in project.samples]
    refused = [sample for sample in samples if sample["question"] == "train_2#1"]
    assert {(s["answer"], s["cause"], s["accepted"]) for s in refused} == {(None, "refused", False)}
    assert {s["answer"] for s in samples if s["question"] != "train_2#1"} == {"A"}
