"""The section `providers` of params.yaml: address, limits, prices and fields of each."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from augen.core.params.values import (
    Amount,
    Count,
    Currency,
    ExtraBody,
    Positive,
    Rate,
    Section,
    Share,
    Text,
    holds_password,
)


class ProviderLimits(Section):
    """What all providers share: address, rates, concurrency, patience."""

    keys: ClassVar[str]  # the environment variables for them
    base_url: str | None
    requests_per_second: Rate | None
    requests_per_minute: Rate | None
    concurrency: Positive
    timeout_s: Rate
    retries: Count
    currency: Currency
    budget: Amount | None

    @model_validator(mode="after")
    def _no_password(self) -> "ProviderLimits":
        for name in ("base_url", "iam_url"):
            if holds_password(getattr(self, name, None) or ""):
                raise ValueError(
                    f"{name} holds a user name or a password, which dvc.lock and the run cache would keep: "
                    f"take it out and set {self.keys} in the environment instead"
                )
        return self


class Tencent(ProviderLimits):
    keys = "TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY"
    base_url: Text
    region: Text
    characters_per_request: Positive
    price: Amount


class Price(Section):
    """Of one model, per million tokens; `cached` for those of a prompt that the provider had cached.

    `batch` is the share of it all that is paid for what is sent in batches. Both are None where there is no such price.
    """

    model: Text
    prompt: Amount
    reply: Amount
    cached: Amount | None = None
    batch: Share | None = None


class Fields(Section):
    """What stands in a request beside model, prompt, temperature and top_p."""

    tokens_as: Literal["max_tokens", "max_completion_tokens"]
    seed: bool
    logprobs: bool
    reasoning_effort: Text | None
    extra_body: ExtraBody


class OwnFields(Section):
    """The fields in which one model differs from the others of its provider; those that are not set do not."""

    model: Text
    tokens_as: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    seed: bool = True
    logprobs: bool = False
    reasoning_effort: Text | None = None
    extra_body: ExtraBody = Field(default_factory=dict)


class Chat(ProviderLimits, Fields):
    keys = "OPENAI_API_KEY"
    tokens_per_minute: Rate | None
    prices: list[Price]
    models: list[OwnFields]

    def fields(self, model: str) -> Fields:
        """Those of a request to `model`: its own, then the provider's; of `extra_body` each field for itself."""
        merged = {name: getattr(self, name) for name in Fields.model_fields}
        for own in self.models:
            if own.model == model:
                extra = merged["extra_body"] | own.extra_body
                merged |= own.model_dump(exclude_unset=True, exclude={"model"}) | {"extra_body": extra}
        return Fields(**merged)


class Qianfan(Chat):
    keys = "QIANFAN_BEARER_TOKEN"
    iam_url: str | None

    @model_validator(mode="after")
    def _whole(self) -> "Qianfan":
        bodies = [self.extra_body, *(own.extra_body for own in self.models)]
        if any("stream" in body for body in bodies):
            raise ValueError("extra_body: replies of qianfan are not streamed here: leave stream out")
        return self


class OpenAI(Chat):
    batch: bool
    batch_lines: Positive
    batch_mib: Rate
    batch_window: Text
    batch_poll_s: Rate

    @model_validator(mode="after")
    def _not_streamed(self) -> "OpenAI":
        bodies = [self.extra_body, *(own.extra_body for own in self.models)]
        if self.batch and any(body.get("stream") for body in bodies):
            raise ValueError("extra_body: replies in a batch are not streamed: leave stream out, or set batch to false")
        return self


class Providers(Section):
    max_refused: Share
    max_wait_s: Amount
    max_request_s: Rate
    max_reply_mib: Rate
    tencent: Tencent
    qianfan: Qianfan
    openai: OpenAI
