"""Models from elsewhere, loaded without running anything that came with them.

Every tokenizer, model, adapter and embedder is loaded through these functions. They refuse a folder that names code of
its own, and one whose weights would be read from pickles, by name and before any library opens it; and they tell the
library not to run code (``trust_remote_code``), so that it does not ask the user either. For a model of the hub, whose
files are not here yet, the library alone refuses. Whatever a library raises where a folder is damaged or odd becomes
an AugenError that names the folder.
"""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augen.core.errors import AugenError

if TYPE_CHECKING:
    from langchain_huggingface import HuggingFaceEmbeddings

# Weights in these files are or contain pickles, that is programs: they could do anything while they are loaded.
PICKLED_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl"})
# Files that a trainer leaves beside the weights, with paths and timings in them; no loader opens them.
LEFTOVERS = frozenset(
    {
        "training_args.bin",
        "optimizer.pt",
        "scheduler.pt",
        "scaler.pt",
        "trainer_state.json",
        "all_results.json",
    }
)
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")  # what loaders take before any pickle
ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
UNCHANGED = "unchanged.txt"  # stands in models/preferred where no adapter does
MOST_PER_BYTE = 4  # weights: two bits each
SAID = 400  # characters of what a library says about a folder


def load_tokenizer(model: str | Path, param: str, **options: Any) -> Any:
    """The tokenizer of `model`, a folder or hub id that the param `param` names; `options` go to the library.

    Raises AugenError for a folder that would run code, or that cannot be used.
    """
    from transformers import AutoTokenizer

    refuse_code(model, param)
    with _told(f"{param}: the tokenizer of {model} cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False, **options)
        if not tokenizer("甲 A", add_special_tokens=False)["input_ids"]:
            raise ValueError("it knows no token")
        return tokenizer


def load_config(model: str | Path, param: str, **options: Any) -> Any:
    """As `load_tokenizer`, what config.json says of a model."""
    refuse_code(model, param)
    with _told(f"{param}: config.json of {model} cannot be read"):
        return _config(model, **options)


def _config(model: str | Path, **options: Any) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(model, trust_remote_code=False, **options)


def load_model(kind: Any, model: str | Path, param: str, new_head: bool = False, **options: Any) -> Any:
    """As `load_tokenizer`, the model itself; `kind` is one of transformers' ``AutoModel…`` classes.

    Weights that are missing, or of another shape than config.json says, would become random numbers: that is a fault,
    but for those of a `new_head`.
    """
    refuse_code(model, param)
    with _told(f"{param}: {model} cannot be loaded"):
        _check_size(kind, model)
        reported = {"output_loading_info": True, "ignore_mismatched_sizes": True}
        loaded, found = kind.from_pretrained(
            model, use_safetensors=True, trust_remote_code=False, **reported, **options
        )
        body = f"{loaded.base_model_prefix}." if new_head else ""
        faults = [f"{name} is missing" for name in found["missing_keys"] if name.startswith(body)]
        for name, there, wanted in found["mismatched_keys"]:
            if name.startswith(body):
                faults.append(f"size mismatch: {name} is {tuple(there)}, must be {tuple(wanted)}")
        if faults:
            raise ValueError(f"of its weights {len(faults)} do not fit config.json; {min(faults)}")
        return loaded


def described(kind: Any, config: Any) -> Any:
    """The model that `config` describes, without numbers: its weights have names and shapes alone."""
    import torch

    with torch.device("meta"):
        return kind.from_config(config, trust_remote_code=False)


def _check_size(kind: Any, model: str | Path) -> None:
    """Raise ValueError where config.json of a folder describes so large a model that its files cannot hold it.

    The weights that are missing would be made up, and take all memory.
    """
    held = sum(file.stat().st_size for file in Path(model).glob("*.safetensors"))
    if not held:
        return
    weights = sum(part.numel() for part in described(kind, _config(model)).parameters())
    if weights > MOST_PER_BYTE * held:
        raise ValueError(f"config.json describes {weights:,} weights, and its files have {held:,} bytes")


def adapters_in(folder: Path) -> tuple[Path, ...]:
    """The adapters that a stage wrote to `folder`: there is one, or there are several in its folders 0, 1, …"""
    several = [path for path in folder.glob("*") if path.is_dir() and path.name.isdecimal()]
    return tuple(sorted(several, key=lambda path: int(path.name))) or (folder,)


def tuned_adapters(adapter: Path, preferred: Path) -> tuple[Path, ...]:
    """The adapters to answer with: in `preferred`, or in `adapter` if `preferred` is missing or holds `UNCHANGED`."""
    return adapters_in(preferred if preferred.is_dir() and not (preferred / UNCHANGED).exists() else adapter)


def load_adapter(model: Any, folder: Path, param: str, name: str = "default", trainable: bool = False) -> Any:
    """`model` with the LoRA adapter in `folder`, called `name`, before it, beside those that it has from here.

    Raises as `load_tokenizer` does.
    """
    from peft import PeftModel

    refuse_adapter_code(folder, param)
    with _told(f"{param}: {folder}: not a LoRA adapter for this model"), warnings.catch_warnings():
        warnings.filterwarnings("error", "Found missing adapter keys")
        if isinstance(model, PeftModel):
            model.load_adapter(str(folder), adapter_name=name, is_trainable=trainable)
            return model
        return PeftModel.from_pretrained(model, str(folder), adapter_name=name, is_trainable=trainable)


def load_embedder(model: str, param: str) -> "HuggingFaceEmbeddings":
    """As `load_tokenizer`, a sentence-transformers model; its vectors have length 1."""
    from langchain_huggingface import HuggingFaceEmbeddings

    refuse_code(model, param)
    with _told(f"{param}: {model} cannot be loaded as a sentence-transformers model"):
        return HuggingFaceEmbeddings(
            model_name=model,
            model_kwargs={"trust_remote_code": False, "model_kwargs": {"use_safetensors": True}},
            encode_kwargs={"normalize_embeddings": True},
        )


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Whatever a library raises becomes an AugenError that begins with `what`; they raise nearly everything."""
    try:
        yield
    except (AugenError, MemoryError):
        raise
    except ImportError as fault:  # weights that are quantized already want a package for each kind
        raise AugenError(
            f"{what} here: {fault}. vLLM reads AWQ and GPTQ by itself (infer.engine); to train an adapter, or to merge "
            "one on a CPU, name the model that is not quantized"
        ) from fault
    except Exception as fault:
        said = " ".join(str(fault).split())
        raise AugenError(
            f"{what} ({said[:SAID] or type(fault).__name__}); fetch or make it again, or name another one"
        ) from fault


def refuse_code(model: str | Path, param: str) -> None:
    """Raise AugenError if `model` (of the param `param`) is a folder that could run code while it is loaded.

    Such a folder names code of its own, or has pickles where the loader looks for weights: in itself or, for an
    embedder, in the folder of any of its modules.
    """
    for folder in (Path(model), *_modules(Path(model), param)):
        if not folder.is_dir():
            continue
        if (folder / ADAPTER_CONFIG).is_file():  # transformers would load the model that it names instead
            raise AugenError(f"{param}: {folder} holds an adapter ({ADAPTER_CONFIG}); name the folder of a whole model")
        _refuse_named_code(folder, param)
        _refuse_pickles(folder, param, WEIGHTS)


def refuse_adapter_code(folder: Path, param: str) -> None:
    """As `refuse_code`, for the folder of an adapter, which must be a LoRA adapter: other kinds load further models."""
    _refuse_named_code(folder, param)
    _refuse_pickles(folder, param, (ADAPTER_WEIGHTS,))
    config = _read(folder / ADAPTER_CONFIG, param) if (folder / ADAPTER_CONFIG).is_file() else {}
    kind = config.get("peft_type", "LORA") if isinstance(config, dict) else config
    if kind != "LORA":
        raise AugenError(f"{param}: {folder / ADAPTER_CONFIG}: peft_type is {kind!r}, must be LORA")


def _modules(folder: Path, param: str) -> Iterator[Path]:
    """The folders of an embedder's modules. A router has modules of its own, in folders below its own."""
    if not (folder / "modules.json").is_file():
        return
    listed = _read(folder / "modules.json", param)
    for module in listed if isinstance(listed, list) else [listed]:
        kind, path = (str(module.get(name, "")) if isinstance(module, dict) else "" for name in ("type", "path"))
        if not kind.startswith("sentence_transformers."):
            raise AugenError(
                f"{param}: {folder / 'modules.json'}: the module type {kind!r} is not one of sentence_transformers; "
                "code that comes with a model is never run"
            )
        yield folder / path
        if (folder / path / "router_config.json").is_file():
            yield from sorted(inner for inner in (folder / path).rglob("*") if inner.is_dir())


def _refuse_named_code(folder: Path, param: str) -> None:
    for file in sorted(folder.glob("*config*.json")):
        if named := next(_named_code(_read(file, param)), None):
            raise AugenError(
                f"{param}: {file}: {named}, and code that comes with a model is never run; use another model, or take "
                "this field out where the library knows the model's type without it"
            )


def _named_code(value: Any) -> Iterator[str]:
    """What in a configuration, at any depth, names code to be run."""
    if isinstance(value, list):
        for part in value:
            yield from _named_code(part)
    if not isinstance(value, dict):
        return
    for name, part in value.items():
        if name == "auto_map" and part:
            yield "auto_map names code of its own"
        elif name.endswith("attn_implementation") and "/" in str(part):
            yield f"{name} names a kernel to fetch"
        yield from _named_code(part)


def _refuse_pickles(folder: Path, param: str, taken_first: tuple[str, ...]) -> None:
    """Raise AugenError where weights of `folder` would be read from a pickle, whatever else lies there."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    pickled = [name for name in names if Path(name).suffix in PICKLED_SUFFIXES and name not in LEFTOVERS]
    first = next((name for name in taken_first if name in names), None)
    if first and first.endswith(".index.json"):
        index = _read(folder / first, param)
        parts = index.get("weight_map", {}).values() if isinstance(index, dict) else [first]
        pickled = sorted({str(part) for part in parts if not str(part).endswith(".safetensors")})
    if pickled and (not first or first.endswith(".index.json")):
        raise AugenError(
            f"{param}: the weights in {folder} are pickles ({', '.join(pickled[:3])}), which could run code when they "
            f"are loaded; only safetensors are read ({taken_first[0]}). Convert them where you trust them: load the "
            "model there and call its save_pretrained"
        )


def _read(file: Path, param: str) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise AugenError(f"{param}: {file}: cannot be read as JSON ({fault}); fetch or make the model again") from None
