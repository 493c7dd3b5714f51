"""Engines sample completions from the generator, with or without the LoRA adapter.

``vllm`` is the fast one (GPU or CPU, many requests at once, fp8); ``transformers`` runs wherever torch does;
``ray`` runs one of the two on many machines. All behave alike; tests/integration/test_engines.py checks it::

    engine = open_engine("auto", EngineSettings("models/tiny/generator", max_model_len=1024))
    request = Request("### 题目 …", seed=1, temperature=1.0, top_p=1.0, max_tokens=64)
    [(index, completion)] = engine.generate([request])
    engine.close()
"""

import importlib.util
import sys
from typing import Any

from augen.core.errors import AugenError
from augen.generation.base import Engine, EngineSettings

NAMES = ("vllm", "transformers", "ray")
NOT_IMPORTED = (ImportError, OSError, RuntimeError)  # a vllm built for other hardware raises the last two


def resolve(name: str) -> str:
    """The engine that draws where `name` is given: ``auto`` is vllm where it is installed, else transformers.

    ``ray`` stands for the engine that its workers open, which is the same: a change between the two draws nothing
    anew. vllm is not imported, which takes seconds, so a run whose samples are all stored stays quick.
    """
    if name in ("auto", "ray"):
        return "vllm" if importlib.util.find_spec("vllm") else "transformers"
    if name not in NAMES:
        raise AugenError(f"infer.engine: {name!r} is no engine; take auto or one of {', '.join(NAMES)}")
    return name


def open_engine(name: str, settings: EngineSettings) -> Engine:
    """Load the generator into the engine `name` (``auto``, ``vllm``, ``transformers`` or ``ray``).

    With ``auto``, a vllm that is installed but cannot be imported is reported on stderr, and transformers is taken;
    the engine's ``name`` says which it is. Raises AugenError for a missing engine or model. vllm and ray load the
    weights when the first request comes.
    """
    engine = "ray" if name == "ray" else resolve(name)
    try:
        opened = _engine_class(engine)
    except NOT_IMPORTED as error:
        if name != "auto" or engine != "vllm":
            raise _missing(engine, error) from error
        print(f"vllm is installed but cannot be imported ({error}); using transformers", file=sys.stderr)
        opened = _engine_class("transformers")
    return opened(settings)


def _engine_class(name: str) -> Any:
    match name:
        case "vllm":
            from augen.generation.engines.vllm import VllmEngine

            return VllmEngine
        case "ray":
            from augen.generation.engines.ray import RayEngine

            return RayEngine
        case _:
            from augen.generation.engines.transformers import TransformersEngine

            return TransformersEngine


def _missing(name: str, error: Exception) -> AugenError:
    return AugenError(
        f"infer.engine: {name} cannot be imported ({error}); install requirements.txt on a machine without "
        "a GPU, requirements-gpu.txt on one with, or set infer.engine to auto"
    )
