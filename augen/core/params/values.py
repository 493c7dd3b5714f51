"""What a value of params.yaml may be, beyond its type; and what every section has in common."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Portion = Annotated[float, Field(gt=0, le=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(gt=0)]
Amount = Annotated[float, Field(ge=0)]
Temperature = Annotated[float, Field(ge=0, le=2)]
Letter = Annotated[str, Field(pattern="^[A-J]$")]  # of an option, as in augen.entries.LETTERS
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
