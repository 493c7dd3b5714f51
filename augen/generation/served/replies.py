"""What chat providers reply instead of an answer: one table of their codes, what they mean and what is done.

`read_error` finds code and message in any of the forms that an error's body has; `classified` takes the first row of
`ROWS` that matches. A row matches a reply with one of its `codes` (where ``*`` stands for anything), or with one of its
`words` in the message and, if it has `statuses` too, one of these. A row without words matches by its `statuses`.
Providers' own codes come before what a status means everywhere.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from augen.generation.served.errors import CallError, Filtered, Misconfigured, QuotaUsedUp, Refused, SlowDown, Transient
from augen.generation.served.secrets import scrubbed

MOST_WORDS = 300  # characters of a server's message that are kept
MOST_NAME = 80  # characters of a code, or of a page's title


@dataclass(frozen=True)
class Endpoint:
    """Who was asked: the names that a message to the user needs."""

    provider: str
    variables: str  # the environment variables that hold the key
    base_url: str


@dataclass(frozen=True)
class ErrorReply:
    """What a provider replied to a request for `model` instead of an answer."""

    model: str
    status: int | None  # of HTTP; None: 200, with an error in the body
    codes: tuple[str, ...]  # from the body, the most telling first, as is the message
    message: str
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Row:
    """One kind of reply. `advice` goes to the user; it may name {model}, {provider}, {variables} and {base_url}."""

    meaning: str
    outcome: type[CallError] | type[Misconfigured]
    codes: str = ""  # in lower case, with white space between them
    words: str = ""  # a regular expression, looked for in the message whatever its case
    statuses: tuple[int | None, ...] = ()
    advice: str = ""

    def matches(self, reply: ErrorReply) -> bool:
        codes = self.codes.split()
        if any(fnmatchcase(code.lower(), pattern) for code in reply.codes for pattern in codes):
            return True
        if self.words:
            fitting = not self.statuses or reply.status in self.statuses
            return fitting and re.search(self.words, reply.message, re.IGNORECASE) is not None
        return reply.status in self.statuses


ROWS = (
    Row(
        "the provider does not answer this content",
        Filtered,
        # OpenAI and Azure; DashScope; Qianfan; new-api; Volcengine; StepFun; Gemini; Zhipu; MiniMax; Spark; vLLM-like
        """content_filter content_policy_violation responsibleaipolicyviolation invalid_prompt data_inspection_failed
        datainspectionfailed *.datainspectionfailed unsafe_request system_unsafe user_setting_unsafe 336104
        sensitive_words_detected *sensitivecontentdetected* censorship_blocked content_moderation* moderation_blocked
        prohibited_content 1301 1026 1027 10013 10014 10019""",
        "content exists risk|high risk|sensitive (words?|content|information)|inappropriate content|requires moderation"
        "|(input|prompt) was flagged|敏感|不安全|违规内容|内容违规",
        (None, 400, 403, 422, 451),
    ),
    Row("the provider may not answer this where you are", Refused, statuses=(451,)),
    Row(
        "this prompt is too long for the model, or not in a form that it takes",
        Refused,
        """context_length_exceeded tokens_too_long characters_too_long string_above_max_length request_too_large
        336003 336007 336103 1261 10907""",
        r"maximum context length|context (length|window) (exceeded|is exceeded)|exceeds? .{0,40}context (length|window)"
        r"|(prompt|input|messages?) (is|are|was) too long|input length"
        "|max(imum)? (input|prompt) (characters|tokens|length)"
        "|(输入|提示词?|文本).{0,8}(超长|过长)|超(过|出).{0,12}(上下文|输入).{0,6}(长度|限制)",
        (None, 400, 413, 422),
    ),
    Row("this prompt is too large", Refused, statuses=(413,)),
    Row(
        "a limit per minute, though it sounds like a quota",
        SlowDown,
        "limit_requests limit_burst_rate limit_tokens throttling throttling.*",
        "allocated quota exceeded|(requests|tokens) per min",
    ),
    Row(
        "what was paid for, or is free, is used up",
        QuotaUsedUp,
        # OpenAI; Moonshot; Qianfan; DashScope; new-api; Volcengine; SiliconFlow; Zhipu; MiniMax; Spark
        """insufficient_quota insufficient_balance insufficientbalance exceeded_current_quota_error account_overdue
        accountoverdueerror arrearage allocationquota.* insufficient_user_quota pre_consume_token_quota_failed
        quotaexceeded setlimitexceeded billing_* 17 19 30001 1112 1113 1304 1308 1309 1310 1008 2056 11201""",
        "balance.{0,20}insufficient|insufficient.{0,12}(balance|credit|fund|quota)|exceeded your current.{0,8} quota"
        "|free (quota|tier|trial).{0,30}(exhausted|used up|exceeded)|good standing|per-day|daily.{0,20}limit"
        "|余额不足|欠费|(额度|配额|资源包).{0,8}(用尽|用完|耗尽|不足|超)",
    ),
    Row("what was paid for is used up", QuotaUsedUp, statuses=(402,)),
    Row(
        "too much at once",
        SlowDown,
        """rpm_rate_limit_exceeded tpm_rate_limit_exceeded *rate_limit* *ratelimitexceeded requestbursttoofast
        *overloaded* server_high_load resource_exhausted too_many_requests 18 336501 336502 1302 1303 1305 1002 1039
        11202 11203 3505 token_limit_exceeded""",
        statuses=(429, 529),
    ),
    Row(
        "there is no such model, or not for this key",
        Misconfigured,
        """invalid_model *model_not_found *modelnotfound* model_not_exist invalidendpointormodel* modelnotopen 1211
        1311 20012""",
        "(model|模型).{0,80}(not|n't) (exist|found|available)|no such model|模型.{0,40}(不存在|未开通)|无可用渠道"
        "|no available channel|no endpoints found",
        advice="is {model!r} one of its models (models in params.yaml)?",
    ),
    Row(
        "the key does not count",
        Misconfigured,
        "invalid_api_key invalidapikey invalid_authentication_error authentication_error invalid_iam_token",
        "api key not valid|(incorrect|invalid) (api )?(key|token)|无效的令牌",
        advice="check {variables}",
    ),
    Row("the key does not count", Misconfigured, statuses=(401,), advice="check {variables}"),
    Row(
        "the server does not allow this, for a reason of its own",
        Misconfigured,
        statuses=(403,),
        advice="the model {model!r}, the address {base_url}, your region or a right of the key's account may be why",
    ),
    Row(
        "the model streams its replies",
        Misconfigured,
        "",
        r"stream mode|non-?stream|enable the stream|only support.{0,20}stream|stream.{0,20}(must|should) be .{0,4}true",
        advice="where the model thinks, {{enable_thinking: false}} in providers.{provider}.extra_body may do; "
        "else set it to {{stream: true, stream_options: {{include_usage: true}}}} (openai alone): streamed replies are "
        "read too",
    ),
    Row(
        "nothing is served under this address",
        Misconfigured,
        statuses=(301, 302, 307, 308, 404, 405),
        advice="check providers.{provider}.base_url ({base_url}): that of most servers ends in /v1; or else the model "
        "{model!r} is none of theirs",
    ),
    Row("the server has a problem", Transient, "internal_error internal_server_error server_error"),
    Row(
        "the server does not take a field of the request",
        Misconfigured,
        "extra_forbidden unsupported_parameter unsupported_value unknown_parameter",
        "extra inputs|(unsupported|unknown|unrecognized|invalid) (field|parameter|argument)"
        "|does not support|not supported"
        "|logprobs|max_tokens|max_completion_tokens|temperature|top_p|seed|enable_thinking|reasoning_effort",
        (400, 422),
        "what is sent is set under providers.{provider}: seed, logprobs, tokens_as, reasoning_effort, and extra_body, "
        "where null leaves a field out",
    ),
    Row("no code that is known here, so perhaps this prompt alone", Refused, statuses=(400, 422)),
    Row("the server has a problem", Transient, statuses=(None, 408, 409, 425, *range(500, 600))),
    Row("no known kind of reply", Misconfigured, statuses=tuple(range(300, 500)), advice="see the provider's manual"),
)

# How a choice may end, other than by the model's own decision.
CUT_OFF = {"length", "max_tokens", "model_length", "max_output_reached", "model_context_window_exceeded"}
FILTERED = {"content_filter", "sensitive", "content_filtered", "prohibited_content", "safety", "refusal"}
BROKEN_OFF = {"error", "network_error", "insufficient_system_resource", "abort"}


def classified(endpoint: Endpoint, reply: ErrorReply) -> CallError | Misconfigured:
    """The error for `reply`, by the first row that matches; of a status that nobody defined the last."""
    row = next((row for row in ROWS if row.matches(reply)), ROWS[-1])
    cause = f"HTTP {reply.status}" if reply.status else "error"
    cause = " ".join([cause, *(scrubbed(code)[:MOST_NAME] for code in reply.codes[:1])])
    message = scrubbed(reply.message)[:MOST_WORDS]
    if issubclass(row.outcome, SlowDown):
        return row.outcome(cause, message, reply.retry_after_s)
    if issubclass(row.outcome, CallError):
        return row.outcome(cause, message)
    said = ": ".join(filter(None, (endpoint.provider, cause, message)))
    advice = row.advice.format(model=reply.model, **vars(endpoint))
    return row.outcome(f"{said}; {row.meaning}: {advice}")


@dataclass
class _Found:
    codes: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


def read_error(model: str, status: int | None, body: Any, retry_after_s: float | None = None) -> ErrorReply | None:
    """The error that a reply's `body` (JSON, or text) holds; None where `status` is None (200) and there is none.

    >>> read_error("m", None, {"error": {"message": "Slow down", "code": 429}}).status
    429
    >>> read_error("m", None, {"choices": [], "error": None}) is None
    True
    """
    found = _Found()
    for part in _error_parts(body, failed=status is not None):
        _collect(part, found)
    if status is None and not (found.codes or found.messages):
        return None
    codes = list(dict.fromkeys(found.codes))
    numbers = [int(code) for code in codes if re.fullmatch("[45][0-9][0-9]", code)]
    if status is None and numbers:  # the status that the provider behind this one replied with
        status = numbers[0]
    codes = [code for code in codes if code != str(status)]
    return ErrorReply(model, status, tuple(codes), ": ".join(dict.fromkeys(found.messages)), retry_after_s)


def page_title(text: str) -> str | None:
    """What a web page is called; None where `text` is none."""
    if not re.match(r"\s*<(!doctype|html|head|\?xml|body|center|h1)\b", text, re.IGNORECASE):
        return None
    title = re.search(r"<(title|h1)[^>]*>\s*(.*?)\s*</\1", text, re.IGNORECASE | re.DOTALL)
    return scrubbed(title[2])[:MOST_NAME] if title else "without a title"


def as_json(value: Any) -> str:
    """A part of a reply for a message; JSON that is nested too deeply to be written again is not shown."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "JSON, deeply nested"


def _error_parts(body: Any, failed: bool) -> Iterator[Any]:
    """The parts of `body` that speak of an error; where the request `failed`, the whole of it does."""
    if isinstance(body, list) and body and isinstance(body[0], Mapping):  # Gemini
        body = body[0]
    elif isinstance(body, str) and failed and body.strip():
        title = page_title(body)
        yield f"a web page ({title})" if title else body.strip()
    if not isinstance(body, Mapping):
        return
    for name in ("error", "error_code", "base_resp"):
        if body.get(name):
            yield body[name] if name != "error_code" else body
    if isinstance(response := body.get("Response"), Mapping) and response.get("Error"):  # Tencent
        yield response["Error"]
    code = body.get("code")
    whole = "choices" not in body and (body.get("object") == "error" or code not in (None, 0, "0", 200, "200", ""))
    if failed or whole or body.get("type") == "error":
        yield {name: value for name, value in body.items() if name != "error"}
    choices = body.get("choices")
    for choice in choices if isinstance(choices, list) else ():  # OpenRouter: what broke off in the middle
        if isinstance(choice, Mapping) and choice.get("error"):
            yield choice["error"]


def _collect(part: Any, found: _Found) -> None:
    """Put codes and messages of `part`, which may stand at any depth, into `found`."""
    if not isinstance(part, Mapping):
        found.messages.append(part if isinstance(part, str) else as_json(part))
        return
    if part.get("status_code") == 0:  # MiniMax says in this way that all is well
        return
    for name in ("code", "error_code", "status_code", "Code", "type", "status"):
        value = part.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            found.codes.append(str(value))
    for name in ("message", "msg", "error_msg", "status_msg", "Message", "detail"):
        if (value := part.get(name)) is not None and value != "":
            found.messages.append(value if isinstance(value, str) else as_json(value))
    for inner in (part.get("innererror"), part.get("metadata")):
        if isinstance(inner, Mapping):
            _collect({"code": inner.get("code"), "message": inner.get("raw") or inner.get("reasons")}, found)
