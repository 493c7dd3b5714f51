"""Engines: they sample completions from the generator, with or without the LoRA adapter.

``vllm`` is the fast one (GPU or CPU, many requests at once, fp8); ``transformers`` runs on anything that
torch runs on; ``ray`` has one of the two work on many machines. All do the same (tests/integration/test_engines.py
holds them to it)::

    engine = open_engine("auto", "models/tiny/generator", max_model_len=1024)
    request = Request("### 题目 …", seed=1, temperature=1.0, top_p=1.0, max_tokens=64)
    [(index, completion)] = engine.generate([request])
    engine.close()
"""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augen.core.errors import AugenError
from augen.generation.base import Completion, Engine, Request

__all__ = ["Completion", "Engine", "Request", "open_engine", "resolve"]

NAMES = ("vllm", "transformers", "ray")


def resolve(name: str) -> str:
    """The engine that draws where `name` is given: ``auto`` is vllm where it is installed, else transformers.

    ``ray`` stands for what its workers open, which is the same: changing between the two draws nothing anew.
    Does not import it (that takes seconds), so that a run whose samples are all stored stays quick.
    """
    if name in ("auto", "ray"):
        return "vllm" if importlib.util.find_spec("vllm") else "transformers"
    if name not in NAMES:
        raise AugenError(f"infer.engine: {name!r} is no engine; take auto or one of {', '.join(NAMES)}")
    return name


def open_engine(
    name: str,
    generator: str,
    *,
    revision: str | None = None,
    dtype: str = "float32",
    adapter: Path | None = None,
    max_model_len: int = 1024,
    memory_share: float = 0.7,
    quantization: str | None = None,
    batch_size: int = 64,
    ray: Mapping[str, Any] | None = None,
) -> Engine:
    """Load the generator into the engine `name` (``auto``, ``vllm``, ``transformers`` or ``ray``).

    Args:
        generator: directory of the model, or its id on the Hugging Face hub.
        revision: commit, tag or branch of a hub model.
        dtype: of weights and activations, by torch's name: ``float32``, ``bfloat16``, ``float16``.
        adapter: directory of a LoRA adapter for requests with ``adapter=True``.
        max_model_len: prompt and new tokens of one request together, at most.
        memory_share: share of the GPU's memory that vllm takes; on a CPU its cache takes a fixed 1 GiB.
        quantization: passed to vllm (``fp8``); the transformers engine has none.
        batch_size: requests that the transformers engine runs at once; vllm finds its own.
        ray: ``engine.ray`` of params.yaml, for ``ray`` alone.

    With ``auto``, a vllm that is installed but cannot be imported is reported on stderr and transformers is
    taken; the engine's ``name`` says which it is. Raises AugenError for a missing engine or model. vllm loads
    the weights when the first request comes.
    """
    if name == "ray":
        try:
            from augen.generation.engines.ray import RayEngine
        except ImportError as error:
            raise AugenError(_missing("ray", error)) from error
        if ray is None:
            raise AugenError("engine.ray: the ray engine needs its settings; see params.yaml")
        options = {
            "revision": revision,
            "dtype": dtype,
            "adapter": adapter,
            "max_model_len": max_model_len,
            "memory_share": memory_share,
            "quantization": quantization,
            "batch_size": batch_size,
        }
        return RayEngine(resolve(name), generator, options, ray)
    if resolve(name) == "vllm":
        try:
            from augen.generation.engines.vllm import VllmEngine
        except (ImportError, OSError, RuntimeError) as error:  # what a build for other hardware raises, too
            if name != "auto":
                raise AugenError(_missing("vllm", error)) from error
            print(f"vllm is installed but cannot be imported ({error}); using transformers", file=sys.stderr)
        else:
            return VllmEngine(
                generator,
                revision=revision,
                dtype=dtype,
                adapter=adapter,
                max_model_len=max_model_len,
                memory_share=memory_share,
                quantization=quantization,
            )
    if quantization is not None:
        raise AugenError(
            f"engine.quantization: the transformers engine cannot do {quantization!r}; set it to null or use vllm"
        )
    try:
        from augen.generation.engines.transformers import TransformersEngine
    except ImportError as error:
        raise AugenError(_missing("transformers", error)) from error
    return TransformersEngine(
        generator,
        revision=revision,
        dtype=dtype,
        adapter=adapter,
        max_model_len=max_model_len,
        batch_size=batch_size,
    )


def _missing(name: str, error: Exception) -> str:
    return (
        f"infer.engine: {name} cannot be imported ({error}); install requirements.txt on a machine without "
        "a GPU, requirements-gpu.txt on one with, or set infer.engine to auto"
    )
