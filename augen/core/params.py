"""Reads and checks ``params.yaml``: every unknown key, wrong type and impossible value is reported by name.

``params.yaml`` holds and documents every value; there are no defaults in the code. A stage loads the sections that
``dvc.yaml`` lists for it, and cannot read any other::

    from augen.core.params import load

    p = load("seed", "voters", "infer")
    p.infer.threshold          # 0.5
    p.finetune                 # AttributeError: this stage does not load 'finetune'
"""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from augen.core.errors import AugenError

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Portion = Annotated[float, Field(gt=0, le=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(gt=0)]
Amount = Annotated[float, Field(ge=0)]
Temperature = Annotated[float, Field(ge=0, le=2)]
Letter = Annotated[str, Field(pattern="^[A-Z]$")]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
Text = Annotated[str, Field(min_length=1)]
# One name or a list of names; always read as a list.
Names = Annotated[
    list[Text], BeforeValidator(lambda value: [value] if isinstance(value, str) else value), Field(min_length=1)
]
# Arguments with which every chat template is called.
TEMPLATE_OWN = {"conversation", "messages", "chat_template", "add_generation_prompt", "tokenize", "return_dict"}
SET_ELSEWHERE = (
    "model",
    "messages",
    "prompt",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "logprobs",
    "reasoning_effort",
)


def holds_password(url: str) -> bool:
    """Whether a URL has ``user@`` or ``user:password@`` before its host."""
    return re.match(r"(\w+:)?(//)?[^/?#]*@", url.strip()) is not None


def _no_field_twice(body: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if twice := [name for name in SET_ELSEWHERE if name in body]:
        raise ValueError(f"{', '.join(twice)} cannot be set here, it has a place of its own")
    return body


# Options of vLLM that are set by params of their own, or that engines rely on.
VLLM_SET_ELSEWHERE = frozenset(
    re.findall(
        r"\w+",
        """model tokenizer revision tokenizer_revision dtype quantization max_model_len gpu_memory_utilization
        tensor_parallel_size enable_lora max_loras max_lora_rank runner convert logprobs_mode use_tqdm_on_load""",
    )
)
# Those with which vLLM would run code, load what nobody has checked, or send something elsewhere.
VLLM_UNSAFE = frozenset(
    re.findall(
        r"\w+",
        """trust_remote_code load_format model_loader_extra_config config_format hf_config_path hf_token
        code_revision model_weights model_class_overrides pt_load_map_location download_dir ignore_patterns
        enable_prompt_embeds worker_cls worker_extension_cls scheduler_cls logits_processors io_processor_plugin
        reasoning_parser_plugin speculative_config spec_model compilation_config additional_config
        kv_transfer_config kv_events_config ec_transfer_config weight_transfer_config profiler_config
        logging_config log_config_file otlp_traces_endpoint allowed_local_media_path allowed_media_domains
        master_addr data_parallel_address auto_map attn_implementation _attn_implementation""",
    )
)


def _safe_options(options: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The options as they are; ValueError where one is not for engine.extra, at any depth."""
    if twice := sorted(options.keys() & VLLM_SET_ELSEWHERE):
        raise ValueError(f"{', '.join(twice)} cannot be set here, it has a place of its own")
    levels: list[JsonValue] = [options]
    while levels:
        level = levels.pop()
        if isinstance(level, dict):
            if unsafe := sorted(level.keys() & VLLM_UNSAFE):
                raise ValueError(f"{unsafe[0]} is refused: vLLM could run or load with it what nobody has checked")
            levels += level.values()
        elif isinstance(level, list):
            levels += level
    return options


VllmOptions = Annotated[dict[Text, JsonValue], AfterValidator(_safe_options)]
ExtraBody = Annotated[dict[str, JsonValue], AfterValidator(_no_field_twice)]
Languages = Annotated[list[Text], Field(min_length=2, max_length=2)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Model(Section):
    generator: Text
    revision: str | None
    dtype: Literal["auto", "float32", "bfloat16", "float16"]


class Ray(Section):
    address: Annotated[str, Field(pattern=r"^[^:/\s]+:\d+$")] | None
    workers: Positive | None
    gpus: Share
    batch_size: Positive


class Engine(Section):
    max_model_len: Positive
    memory_share: Portion
    quantization: Literal["fp8"] | None
    tensor_parallel: Positive
    batch_size: Positive
    extra: VllmOptions
    ray: Ray


class Prompt(Section):
    solve: Text
    explain: Text
    program: Text
    chat_template: bool
    template_args: dict[Text, Any]
    keep_thinking: bool

    @model_validator(mode="after")
    def _arguments(self) -> "Prompt":
        if self.template_args and not self.chat_template:
            raise ValueError("template_args are arguments of the chat template: set chat_template to true")
        if given := sorted(self.template_args.keys() & TEMPLATE_OWN):
            raise ValueError(f"template_args cannot have {given[0]}, which is set for every prompt")
        return self


class Rag(Section):
    k: Count
    embedder: Text
    query_prompt: Text | None


class Pretrain(Section):
    seed: Count
    vocabulary: Annotated[int, Field(ge=300)]
    hidden: Annotated[int, Field(ge=32, multiple_of=32)]
    layers: Positive
    copy_steps: Count
    steps: Positive
    batch_tokens: Positive
    learning_rate: Rate
    checker_puzzles: Positive
    checker_layers: Positive
    checker_epochs: Positive
    checker_learning_rate: Rate
    pairs: Positive
    dimensions: Positive
    threads: Positive


class Prepare(Section):
    train: Text
    test: Text
    limit: Positive | None
    dev_fraction: Fraction
    vote_fraction: Annotated[float, Field(ge=0, le=0.5)]
    synthetic: Count
    families: Names
    library: bool


class Baseline(Section):
    samples: Positive
    temperature: Temperature
    max_tokens: Positive


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
    extra_body: ExtraBody = {}


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


class Nmt(Section):
    there: Text
    there_languages: Languages | None
    back: Text
    back_languages: Languages | None
    beams: Positive
    batch_size: Positive
    max_chars: Positive
    max_new_tokens: Positive


class Llm(Section):
    method: Literal["paraphrase", "round_trip"]
    translation_prompt: Annotated[str, Field(pattern=r"(?s)(\{language\}.*\{text\}|\{text\}.*\{language\})")]
    provider: Literal["qianfan", "openai"]
    models: list[Text]
    attempts: Positive
    temperature: Temperature
    max_tokens: Positive


class Translate(Section):
    backend: Literal["synonyms", "tencent", "nmt", "llm", "none"]
    limit: Positive | None
    copies: Positive
    rate: Share
    min_length_ratio: Rate
    max_length_ratio: Rate
    pivot: Text
    nmt: Nmt
    llm: Llm

    @model_validator(mode="after")
    def _ordered(self) -> "Translate":
        if self.min_length_ratio >= self.max_length_ratio:
            raise ValueError("min_length_ratio must be below max_length_ratio")
        if self.backend == "llm" and not self.llm.models:
            raise ValueError("backend llm needs at least one name in llm.models")
        return self


class Reason(Section):
    """What reason_true and reason_false share."""

    backend: Literal["local", "qianfan", "openai"]
    models: list[Text]
    attempts: Positive
    temperature: Temperature
    max_tokens: Positive

    @model_validator(mode="after")
    def _named_model(self) -> "Reason":
        if self.backend != "local" and not self.models:
            raise ValueError(f"backend {self.backend} needs at least one name in models")
        return self


class ReasonTrue(Reason):
    adapter: Text | None
    hinted: bool
    choose: Literal["first", "likeliest"]
    only_uncertain: bool
    only_wrong: bool
    programs: bool
    program_examples: Count

    @model_validator(mode="after")
    def _tells_certainty(self) -> "ReasonTrue":
        if self.only_uncertain and self.hinted:
            raise ValueError("only_uncertain needs attempts without the answer: set hinted or only_uncertain to false")
        if self.only_uncertain and self.attempts == 1:
            raise ValueError("only_uncertain needs at least 2 attempts: one is always right or always wrong")
        return self

    @model_validator(mode="after")
    def _earlier_adapter(self) -> "ReasonTrue":
        if self.adapter and self.backend != "local":
            raise ValueError(f"backend {self.backend} cannot load an adapter: set adapter to null")
        if self.adapter and Path("models/adapter") in (Path(self.adapter), *Path(self.adapter).parents):
            raise ValueError("adapter models/adapter is what this run will train: name a copy of an earlier one")
        return self


class ReasonFalse(Reason):
    limit: Positive | None
    negatives: Literal["hinted", "sampled"]


class Drop(Section):
    """A switch for each cause of `augen.filtering.causes`."""

    no_reasoning: bool
    no_answer: bool
    other_answer: bool
    right_answer: bool
    leaks_hint: bool
    collapsed_options: bool
    too_long: bool
    near_duplicate: bool
    repeated: bool
    unbalanced: bool


class Filter(Section):
    drop: Drop
    max_chars: Positive
    near_duplicates: Portion
    ngram: Positive
    shuffled: Count


class Training(Section):
    """What the training of the scorer and of the adapter share."""

    max_length: Positive
    held_out: Fraction
    epochs: Rate
    batch_size: Positive
    gradient_accumulation: Positive
    learning_rate: Rate
    scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup"]
    warmup: Share
    optimizer: Text
    weight_decay: Amount
    max_grad_norm: Amount
    bf16: bool
    gradient_checkpointing: bool
    rank: Positive
    alpha: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    evaluations: Positive
    report_to: list[Text]
    launch: Text | None


class Scorer(Training):
    base: Text
    input: Literal["full", "reasoning"]
    objective: Literal["classify", "pairwise"]
    tuning: Literal["full", "lora"]
    patience: Positive | None

    @model_validator(mode="after")
    def _lomo(self) -> "Scorer":
        if self.optimizer == "lomo" and self.gradient_accumulation > 1:
            raise ValueError("optimizer lomo updates during backward: set gradient_accumulation to 1")
        return self


class Finetune(Training):
    reasonings: Positive | None
    copies: bool
    target: Literal["reasoning", "answer"]
    pseudo: Text | None
    adapters: Positive
    share: Portion


class Prefer(Section):
    """Preference training of the adapters; what it does not name is as in finetune."""

    method: Literal["none", "dpo", "grpo"]
    learning_rate: Rate
    beta: Amount
    epochs: Rate
    batch_size: Positive
    gradient_accumulation: Positive
    held_out: Fraction
    evaluations: Positive
    questions: Positive
    generations: Annotated[int, Field(ge=2)]
    temperature: Annotated[float, Field(gt=0, le=2)]
    max_tokens: Positive

    @model_validator(mode="after")
    def _fits(self) -> "Prefer":
        if self.method == "dpo" and not self.beta:
            raise ValueError("method dpo learns nothing with beta 0: set beta to 0.1, say")
        if self.method == "grpo" and self.batch_size * self.gradient_accumulation % self.generations:
            raise ValueError("method grpo needs a batch_size × gradient_accumulation that is a multiple of generations")
        return self

    def training(self, finetune: Finetune) -> Finetune:
        """`finetune` with the values that this section has of its own."""
        own = {name: value for name, value in self if name in Training.model_fields}
        return finetune.model_copy(update=own)


class Programs(Section):
    seconds: Rate
    memory_mib: Annotated[int, Field(ge=64)]
    max_answers: Positive


LocalOrServed = Literal["auto", "vllm", "transformers", "ray", "openai"]


class Other(Section):
    """A further generator. What is None is as with the first one."""

    generator: Text
    engine: LocalOrServed = "auto"
    revision: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] | None = None
    adapter: Text | None = None
    max_model_len: Positive | None = None
    chat_template: bool | None = None
    template_args: dict[Text, Any] | None = None

    @model_validator(mode="after")
    def _served(self) -> "Other":
        if self.engine == "openai" and self.adapter:
            raise ValueError("engine openai cannot load an adapter: the server can; name it as generator")
        return self


class Infer(Section):
    engine: LocalOrServed
    models: list[Text]
    adapter: bool
    others: list[Other]
    generator_weights: list[Annotated[float, Field(gt=0, le=100)]] | None
    temperature: Temperature
    top_p: Portion
    max_tokens: Positive
    threshold: Share
    resample: Literal["slot", "question"]
    vote: Literal["majority", "likelihood", "weighted", "best"]
    adaptive: bool
    certainty: Annotated[float, Field(gt=0.5, lt=1)]
    shuffle_options: bool
    fallback: Letter
    share_device: bool
    programs: Count
    program_weight: Annotated[float, Field(ge=0, le=100)] | None
    program_temperature: Temperature
    program_max_tokens: Positive

    @model_validator(mode="after")
    def _served(self) -> "Infer":
        if self.engine == "openai" and not self.models:
            raise ValueError("engine openai needs at least one name in models")
        if self.engine == "openai" and self.adapter:
            raise ValueError(
                "engine openai cannot load an adapter: the server can; name it in models and set adapter to false"
            )
        return self

    @model_validator(mode="after")
    def _shared(self) -> "Infer":
        if self.others and self.engine == "openai" and len(self.models) > 1:
            raise ValueError(
                "models: beside others name one model, and the rest there, so that each has slots of its own"
            )
        if self.generator_weights and len(self.generator_weights) != 1 + len(self.others):
            raise ValueError(f"generator_weights: give {1 + len(self.others)}: the first generator's, then others'")
        return self


def generator_names(model: Model, infer: Infer) -> list[str]:
    """How reports call the generators that share the slots of `infer`, in the order of their turns."""
    own = model.generator + (" + models/adapter" if infer.adapter else "")
    others = [f"{other.generator} + {other.adapter}" if other.adapter else other.generator for other in infer.others]
    return [", ".join(infer.models) if infer.engine == "openai" else own, *others]


class Params(Section):
    seed: Count
    voters: Positive
    max_resample: Count
    model: Model
    engine: Engine
    prompt: Prompt
    rag: Rag
    pretrain: Pretrain
    prepare: Prepare
    baseline: Baseline
    providers: Providers
    translate: Translate
    reason_true: ReasonTrue
    reason_false: ReasonFalse
    filter: Filter
    scorer: Scorer
    finetune: Finetune
    prefer: Prefer
    programs: Programs
    infer: Infer

    @model_validator(mode="after")
    def _reasons(self) -> "Params":
        if self.prefer.method != "none" and self.finetune.target == "answer":
            raise ValueError(
                f"prefer.method {self.prefer.method} judges reasonings, and with finetune.target answer the adapter "
                "writes none: set prefer.method to none, or finetune.target to reasoning"
            )
        return self


class _View:
    """The sections of `Params` that a stage loads; any other raises AttributeError."""

    def __init__(self, params: Params, sections: tuple[str, ...]) -> None:
        self._params, self._sections = params, sections

    def __getattr__(self, name: str) -> Any:
        if name not in self._sections:
            raise AttributeError(f"this stage does not load {name!r}: add it to load(…) and to dvc.yaml")
        return getattr(self._params, name)


def load(*sections: str, path: Path | str = "params.yaml") -> Params:
    """Check the whole file and return its top-level `sections`.

    Raises AugenError with one line per fault: file, key, what was found and what is allowed.
    """
    path = Path(path)
    try:
        # DVC's own parser (YAML 1.2). It reads 1e-5, as `dvc exp run -S` writes it, as a number, and refuses a key
        # that is given twice.
        raw = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AugenError(f"{path}: not found; run from the repository's root, where dvc.yaml is") from None
    except MarkedYAMLError as fault:
        line = f":{fault.problem_mark.line + 1}" if fault.problem_mark else ""
        raise AugenError(f"{path}{line}: not valid YAML: {fault.problem or fault.context}") from None
    except (YAMLError, UnicodeDecodeError) as fault:
        raise AugenError(f"{path}: not valid YAML: {' '.join(str(fault).split())}") from None
    if not isinstance(raw, dict):
        raise AugenError(f"{path}: expected a mapping of sections, found {type(raw).__name__}")
    params = check(raw, str(path))
    return cast(Params, _View(params, sections))


def check(raw: dict[str, Any], source: str) -> Params:
    """`raw` as `Params`; raises AugenError naming each faulty key of `source`."""
    try:
        return Params.model_validate(raw)
    except ValidationError as fault:
        lines = [f"{source}: {_describe(error, raw)}" for error in fault.errors()]
        raise AugenError("\n".join(lines)) from None


def _describe(error: Any, raw: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "(file)"
    match error["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(str(error["loc"][-1]), _keys(error["loc"][:-1]), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(_keys(error['loc'][:-1]))}"
            return f"{key}: unknown key{hint}"
        case "missing":
            return f"{key}: missing; see the commented params.yaml of the repository"
        case _:
            message = error["msg"].removeprefix("Value error, ")
            found = error["input"]
            shown = "" if isinstance(found, dict) else f", found {found!r}"
            return f"{key}: {message[0].lower()}{message[1:]}{shown}"


def _keys(location: tuple[Any, ...]) -> list[str]:
    model: type[BaseModel] = Params
    for part in location:
        if isinstance(part, str):  # a number is a position in a list, whose element type was just found
            found = model.model_fields[part].annotation
            model = cast(type[BaseModel], get_args(found)[0] if get_origin(found) is list else found)
    return list(model.model_fields)
