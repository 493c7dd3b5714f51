"""The sections of params.yaml, one class each, in the order of the file; `providers` has a module of its own."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from augen.core.params.values import (
    TEMPLATE_OWN,
    Amount,
    Count,
    Fraction,
    Languages,
    Letter,
    Names,
    Portion,
    Positive,
    Rate,
    Section,
    Share,
    Temperature,
    Text,
    VllmOptions,
)


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
