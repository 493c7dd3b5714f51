"""Reads and checks ``params.yaml``: every unknown key, wrong type and impossible value is reported by name.

``params.yaml`` holds and documents every value; there are no defaults in the code. A stage loads the sections that
``dvc.yaml`` lists for it, and cannot read any other::

    from augen.core.params import load

    p = load("seed", "voters", "infer")
    p.infer.threshold          # 0.5
    p.finetune                 # AttributeError: this stage does not load 'finetune'

What each section may hold is in `sections` and `providers`, what a value may be in `values`.
"""

import difflib
from pathlib import Path
from typing import Any, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from augen.core.errors import AugenError
from augen.core.params.providers import (
    Chat,
    OpenAI,
    Price,
    ProviderLimits,
    Providers,
    Qianfan,
    Tencent,
)
from augen.core.params.sections import (
    Baseline,
    Drop,
    Engine,
    Filter,
    Finetune,
    Infer,
    Llm,
    Model,
    Nmt,
    Other,
    Prefer,
    Prepare,
    Pretrain,
    Programs,
    Prompt,
    Rag,
    Ray,
    Reason,
    ReasonFalse,
    ReasonTrue,
    Scorer,
    Training,
    Translate,
    generator_names,
)
from augen.core.params.values import Count, Positive, Section, holds_password

__all__ = [
    "Chat", "Drop", "Engine", "Finetune", "Llm", "Model", "Nmt", "OpenAI", "Other", "Params", "Prefer", "Price",
    "Programs", "Prompt", "ProviderLimits", "Providers", "Qianfan", "Rag", "Ray", "Reason", "Scorer", "Tencent",
    "Training", "Translate", "check", "generator_names", "holds_password", "load",
]  # fmt: skip


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
