"""What providers reply: errors in all their forms, and texts, thinking and log-probabilities wherever they stand."""

import json
from typing import Any

import pytest

from augen.generation.served.chat import answer, body_of, retry_after
from augen.generation.served.errors import (
    CallError,
    Misconfigured,
    QuotaUsedUp,
    Refused,
    SlowDown,
    Transient,
    Unusable,
)
from augen.generation.served.replies import Endpoint, classified, read_error

HERE = Endpoint("openai", "OPENAI_API_KEY", "http://127.0.0.1:1/v1")
CHAT = {"model": "m", "messages": [{"role": "user", "content": "问题"}]}


def error_of(status: int | None, body: Any) -> CallError | Misconfigured:
    found = read_error("m", status, body)
    assert found
    return classified(HERE, found)


def openai(message: str, code: Any = None, type_: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type_, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, openai("Content Exists Risk", "invalid_request_error", "invalid_request_error")),  # DeepSeek
        (400, openai("input contains sensitive words: [x]", "sensitive_words_detected", "new_api_error")),
        (400, openai("The request was rejected because it was considered high risk", None, "content_filter")),
        (400, openai("Input data may contain inappropriate content.", "data_inspection_failed")),
        (400, {"code": "DataInspectionFailed", "message": "Input data may contain …", "request_id": "1"}),
        (400, openai("系统检测到输入或生成内容可能包含不安全或敏感内容", "1301")),  # Zhipu
        (400, openai("Invalid prompt: your prompt was flagged …", "invalid_prompt")),
        (
            400,
            {
                "error": {
                    "message": "The response was filtered",
                    "code": "BadRequest",
                    "innererror": {"code": "ResponsibleAIPolicyViolation"},
                }
            },
        ),
        (400, openai("The request failed", "InputTextSensitiveContentDetected", "BadRequest")),  # Volcengine
        (451, openai("The content you provided …", "censorship_blocked")),
        (403, openai("m requires moderation on X. Your input was flagged", 403)),  # OpenRouter
        (None, {"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}),  # MiniMax
        (None, {"code": 10013, "message": "input audit failed", "sid": "x"}),  # Spark
        (None, {"error_code": 336104, "error_msg": "the user input is illegal"}),
        (None, {"error_code": 336003, "error_msg": "the max input characters is 11200"}),
        (400, openai("This model's maximum context length is 600 tokens. However, …", 400, "BadRequestError")),
        (400, openai("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]", "x")),
        (400, openai("Prompt 超长", "1261")),
        (413, "<html><head><title>413 Request Entity Too Large</title></head></html>"),
    ],
)
def test_one_prompt_is_refused(status: int | None, body: Any) -> None:
    error = error_of(status, body)
    assert isinstance(error, Refused), error
    assert ": " in str(error), "the provider's words are kept"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, openai("You exceeded your current token quota, please check …", None, "exceeded_current_quota_error")),
        (429, openai("您的账户已欠费，请充值后重试", "1113")),
        (429, openai("You exceeded your current quota, please check your plan", "insufficient_quota")),
        (403, {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None}),
        (403, openai("The free tier of the model has been exhausted.", "AllocationQuota.FreeTierOnly")),
        (400, openai("Access denied, please make sure your account is in good standing.", "Arrearage")),
        (402, openai("Insufficient Balance", "invalid_request_error", "unknown_error")),
        (403, openai("用户额度不足, 剩余额度: ＄0.01", "insufficient_user_quota", "new_api_error")),
        (403, openai("The request failed because your account has an overdue balance.", "AccountOverdueError")),
        (429, openai("Rate limit exceeded: free-models-per-day", 429)),
        (None, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
        (None, {"error_code": 17, "error_msg": "Open api daily request limit reached"}),
    ],
)
def test_the_quota_is_used_up(status: int | None, body: Any) -> None:
    assert isinstance(error_of(status, body), QuotaUsedUp), error_of(status, body)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (None, openai("Rate limit exceeded: free-models-per-min", 429)),  # OpenRouter
        (429, openai("Requests rate limit exceeded, please try again later.", "limit_requests")),  # DashScope
        (429, openai("Allocated quota exceeded, please increase your quota limit.", "Throttling.AllocationQuota")),
        (429, openai("您的账户已达到速率限制", "1302")),
        (429, openai("The engine is currently overloaded", None, "engine_overloaded_error")),
        (429, {"message": "Service tier capacity exceeded for this model", "code": "3505", "object": "error"}),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        (503, openai("System is too busy", "ServerOverloaded")),
        (429, [{"error": {"code": 429, "message": "Resource exhausted", "status": "RESOURCE_EXHAUSTED"}}]),  # Gemini
        (429, "Too Many Requests"),
        (None, {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}),
    ],
)
def test_it_was_too_fast(status: int | None, body: Any) -> None:
    assert isinstance(error_of(status, body), SlowDown), error_of(status, body)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, openai("Internal error", "internal_error")),
        (502, "<html><head><title>502 Bad Gateway</title></head></html>"),
        (None, openai("Provider returned error", 502)),
        (503, {"code": 50505, "message": "Model service is busy. Please try again later."}),
        (408, openai("Timed out", 408)),
        (None, {"error_code": 336100, "error_msg": "try again"}),
    ],
)
def test_the_server_has_a_problem(status: int | None, body: Any) -> None:
    assert type(error_of(status, body)) is Transient


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, {"detail": "Not Found"}, "check providers.openai.base_url (http://127.0.0.1:1/v1)"),
        (404, "404 page not found", "base_url"),
        (405, {"detail": "Method Not Allowed"}, "base_url"),
        (404, "<!DOCTYPE html><html><title>Nothing here</title></html>", "a web page (Nothing here)"),
        (404, openai("The model `m` does not exist.", 404, "NotFoundError"), "is 'm' one of its models"),
        (400, openai("Model Not Exist", "invalid_request_error"), "is 'm' one of its models"),
        (503, openai("No available channel for model m", "model_not_found", "new_api_error"), "one of its models"),
        (401, openai("Incorrect API key provided", "invalid_api_key"), "check OPENAI_API_KEY"),
        (401, '"Invalid token"', "check OPENAI_API_KEY"),
        (400, [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}}], "check OPEN"),
        (
            400,
            openai("parameter.enable_thinking must be set to false for non-streaming calls", "invalid_parameter_error"),
            "providers.openai.extra_body",
        ),
        (
            400,
            openai("This model only support stream mode, please enable the stream parameter", "x"),
            "{stream: true, stream_options: {include_usage: true}}",
        ),
        (
            422,
            {"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"]}]}},
            "under providers.openai: seed, logprobs, tokens_as, reasoning_effort, and extra_body",
        ),
        (
            400,
            openai("Unsupported parameter: 'max_tokens' is not supported with this model.", "unsupported_parameter"),
            "tokens_as",
        ),
        (400, openai("max_tokens is too large: 99999", "invalid_value"), "max_tokens is too large: 99999"),
        (422, {"detail": [{"loc": ["body", "logprobs"], "msg": "Extra inputs are not permitted"}]}, "logprobs"),
    ],
)
def test_a_fault_of_the_settings_says_what_to_set(status: int | None, body: Any, words: str) -> None:
    error = error_of(status, body)
    assert isinstance(error, Misconfigured) and words in str(error), error


@pytest.mark.parametrize("body", [{}, [], "", None, {"error": {}}, {"error": None}, {"detail": None}, 7])
def test_a_failure_without_words_has_a_cause_all_the_same(body: Any) -> None:
    assert "HTTP 418" in str(error_of(418, body))


@pytest.mark.parametrize("status", [100, 204, 299, 305, 418, 499, 599, 600, 999])
def test_every_status_is_some_error(status: int) -> None:
    assert f"HTTP {status}" in str(error_of(status, {"detail": "gone fishing"}))


# --- answers


def reply(message: dict[str, Any], finish: str | None = "stop", **choice: Any) -> dict[str, Any]:
    return {
        "choices": [{"message": {"role": "assistant", **message}, "finish_reason": finish, **choice}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    }


TEXT = "答案是：A"


@pytest.mark.parametrize(
    ("message", "text", "thinking"),
    [
        ({"content": TEXT}, TEXT, None),
        ({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": TEXT}]}, TEXT, None),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "先看甲。"}]},
                    {"type": "text", "text": "答案是："},
                    {"type": "text", "text": "A"},
                ]
            },
            TEXT,
            "先看甲。",
        ),
        ({"content": [{"text": TEXT}]}, TEXT, None),
        ({"content": ["答案是", "：A"]}, TEXT, None),
        ({"content": TEXT, "reasoning_content": "先看甲。"}, TEXT, "先看甲。"),
        ({"content": TEXT, "reasoning": "先看甲。"}, TEXT, "先看甲。"),
        ({"content": TEXT, "reasoning": "先看甲。", "reasoning_content": "先看甲。"}, TEXT, "先看甲。"),
        ({"content": None, "reasoning_content": "先看甲。"}, "", "先看甲。"),
        ({"content": [], "reasoning": "先看甲。"}, "", "先看甲。"),
        ({"content": "<think>先看甲。</think>" + TEXT}, "<think>先看甲。</think>" + TEXT, None),
    ],
)
def test_text_and_thinking_are_found(message: dict[str, Any], text: str, thinking: str | None) -> None:
    found = answer(HERE, CHAT, reply(message))
    assert (found["text"], found.get("thinking")) == (text, thinking)
    assert (found["tokens"], found["prompt_tokens"], found["finish"]) == (5, 10, "stop")


@pytest.mark.parametrize(
    ("body", "kind", "cause"),
    [
        (reply({"content": ""}), Unusable, "empty reply"),
        (reply({"content": None}), Unusable, "empty reply"),
        ({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}, Unusable, "no text in the reply"),
        (reply({"content": "甲"}, "content_filter"), Refused, "content_filter"),
        (reply({"content": ""}, "sensitive"), Refused, "sensitive"),  # Zhipu
        (reply({"content": None, "refusal": "I cannot help."}), Refused, "refusal: I cannot help."),
        (reply({"content": "甲"}, "insufficient_system_resource"), Transient, "broken off"),  # DeepSeek
    ],
)
def test_what_cannot_be_used_is_billed(body: Any, kind: type[CallError], cause: str) -> None:
    with pytest.raises(kind) as raised:
        answer(HERE, CHAT, body)
    assert str(raised.value).startswith(cause)
    assert raised.value.billed == {"author": "m", "prompt_tokens": 10, "tokens": 5}


def test_an_error_in_the_middle_of_a_reply_is_one() -> None:
    broken = reply({"content": "甲"}, "error", error={"code": 502, "message": "Provider disconnected"})
    with pytest.raises(Transient, match="HTTP 502: Provider disconnected"):
        answer(HERE, CHAT, broken)


@pytest.mark.parametrize("body", ["text", [], [1], 3, None, {"choices": None}, {"choices": [None]}, {"choices": ["x"]}])
def test_json_of_another_form_is_no_traceback(body: Any) -> None:
    with pytest.raises(Unusable, match="no text in the reply"):
        answer(HERE, CHAT, body)


@pytest.mark.parametrize(
    ("logprobs", "mean"),
    [
        ({"content": [{"token": "甲", "logprob": -0.5}, {"token": "。", "logprob": -0.1}]}, -0.3),
        ({"token_logprobs": [-1.0, -3.0], "tokens": ["a", "b"]}, -2.0),
        ({"content": []}, None),
        ({"content": None}, None),
        ({"content": [{"token": "甲"}]}, None),
        (None, None),
        ([], None),
    ],
)
def test_log_probabilities_are_averaged(logprobs: Any, mean: float | None) -> None:
    assert answer(HERE, CHAT, reply({"content": TEXT}, logprobs=logprobs)).get("logprob") == mean


def events(*chunks: Any) -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"delta": fields, "finish_reason": finish}]}


def test_a_stream_is_put_together() -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}
    text = events(delta(role="assistant"), delta(reasoning_content="先看"), delta(reasoning_content="甲。"),
                  delta(content="答案是"), delta("stop", content="：A"), usage)  # fmt: skip
    found = answer(HERE, CHAT, body_of(HERE, ": keep-alive\n\n" + text))
    assert (found["text"], found["thinking"], found["tokens"], found["finish"]) == (TEXT, "先看甲。", 5, "stop")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_lines_of_a_stream_end_where_the_server_ends_them_and_at_no_sign_of_a_text(end: str) -> None:
    text = "一\u2028二\u2029三\x85四"
    chunk = json.dumps(delta("stop", content=text), ensure_ascii=False)
    assert answer(HERE, CHAT, body_of(HERE, f"data: {chunk}{end}{end}data: [DONE]{end}"))["text"] == text


def test_a_stream_that_breaks_off_is_no_answer() -> None:
    with pytest.raises(Transient, match="the stream ends too early"):
        body_of(HERE, events(delta(content="答案是")))
    with pytest.raises(Transient, match="broken reply"):
        body_of(HERE, 'data: {"choices": [{"del')
    with pytest.raises(SlowDown, match="Slow down"):
        answer(HERE, CHAT, body_of(HERE, events({"error": {"code": 429, "message": "Slow down"}})))


def test_a_web_page_is_told_from_a_broken_reply() -> None:
    page = "\n<!DOCTYPE html><html><head><title>Sign in\n</title></head><body></body></html>"
    with pytest.raises(Misconfigured, match=r"a web page \(Sign in\), not JSON; check providers.openai.base_url"):
        body_of(HERE, page)
    with pytest.raises(Transient, match="broken reply: upstream error"):
        body_of(HERE, "upstream error")


def test_retry_after_may_be_a_date() -> None:
    assert retry_after({"retry-after": "3"}) == 3
    assert retry_after({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}) > 1e9  # type: ignore[operator]
    for nonsense in ("soon", "nan", "-5", "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert retry_after({"retry-after": nonsense}) is None
    assert retry_after({}) is None and retry_after(None) is None
