"""The vLLM engine: continuous batching and prefix caching, on a GPU or a CPU.

Import this module only to use vLLM: the import sets vLLM's environment and loads it, which takes 5 s or more.
"""

import difflib
import gc
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from augen.core import cores  # noqa: F401  (reads the user's OMP_NUM_THREADS before it is set here)
from augen.core.errors import AugenError
from augen.core.models import load_adapter, load_model, refuse_adapter_code, refuse_code
from augen.generation.base import Completion, EngineSettings, Request, check_requests, decode, load_tokenizer, tokenize
from augen.generation.memory import check_fits, cpu_room, gpu_room

QUIET = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
ON_CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; vLLM would take most of the machine's memory
    "OMP_NUM_THREADS": "1",  # with the small models that suit a CPU, more threads only wait for each other
    "TORCH_COMPILE_DISABLE": "1",  # compiling takes longer than it saves
    "TORCHDYNAMO_DISABLE": "1",  # the function that counts ranks too, whose compiler fails in a path with a space
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # in this process: starts in 3 s, not 20
}


def _set_where_unset(environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        os.environ.setdefault(name, value)


def _restore(name: str, value: str | None) -> None:
    """Take back what vLLM has set for processes of its own: others complain of libraries in a path with a space."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


_set_where_unset(QUIET)

import torch  # noqa: E402  (reads its log level when it is imported)

CPU = not torch.cuda.is_available()
_SET_NUM_THREADS = torch.set_num_threads
if CPU:
    _set_where_unset(ON_CPU)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # torch may have been imported before

warnings.filterwarnings("ignore", category=FutureWarning, module="vllm")
logging.getLogger("torch._library.triton").setLevel(logging.ERROR)  # says that there is no triton on a CPU

from vllm import LLM, SamplingParams, __version__  # noqa: E402  (reads the environment when it is imported)
from vllm.engine.arg_utils import EngineArgs  # noqa: E402
from vllm.inputs import tokens_input  # noqa: E402
from vllm.lora.request import LoRARequest  # noqa: E402
from vllm.sampling_params import RequestOutputKind  # noqa: E402

# vLLM 0.32's LoRA kernels for the CPU have two faults. They copy the adapter's matrices for every single token,
# which takes 6 times as long as the plain model; and while decoding they apply the adapter to plain requests too.
# So on a CPU an adapter is merged into a second copy of the weights, and several take turns: that copy is loaded anew
# for each, in every round, in some seconds. On a GPU one copy serves them all, in one batch.
MERGE_ADAPTER = CPU
# vLLM's own errors: a model that it does not know, a wrong option, a kernel that this machine does not have.
LOADING = (OSError, ValueError, TypeError, NotImplementedError)
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # the values that vLLM takes for max_lora_rank


class VllmEngine:
    """A generator for vLLM; its weights are loaded for the first request (plain, or with an adapter)."""

    name = "vllm"

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        generator, adapters = settings.generator, settings.adapters
        self._options: dict[str, Any] = {
            "tokenizer": generator,
            "tokenizer_revision": settings.revision,
            "dtype": settings.dtype,
            "quantization": settings.quantization,
            "max_model_len": settings.max_model_len,
            "gpu_memory_utilization": settings.memory_share,
            "tensor_parallel_size": settings.tensor_parallel,
            "enable_prefix_caching": True,
            "load_format": "safetensors",  # "auto" would fall back to pickles
            "trust_remote_code": False,
            "use_tqdm_on_load": False,
        }
        if CPU:
            # Where only a part of a prompt has been computed, vLLM 0.32 sets back the request's random stream; on a
            # CPU that raises "CPU Generator does not use offset". So prompts are computed whole.
            self._options |= {
                "enforce_eager": True,
                "enable_chunked_prefill": False,
                "max_num_batched_tokens": max(settings.max_model_len, 4096),
                # Prompts with a common beginning share only whole blocks, and the default block of 128 tokens is about
                # as long as a prompt. With 32, the least that the kernels take, samples came 1.4 times as fast.
                "block_size": 32,
            }
        _check_options(settings.extra)
        self._options |= settings.extra
        refuse_code(generator, "model.generator")
        for adapter in adapters:
            refuse_adapter_code(adapter, "infer.adapter")
        self._loras: dict[int, LoRARequest] = {}  # by number; none where adapters are merged
        if adapters and not MERGE_ADAPTER:
            self._loras = {
                number: LoRARequest(f"{adapter.name} {number}", number, str(adapter.resolve()))
                for number, adapter in enumerate(adapters, start=1)
            }
            rank = max(map(lora_rank, adapters))
            self._options |= {"enable_lora": True, "max_loras": len(adapters), "max_lora_rank": rank}
        self._tokenizer = load_tokenizer(generator, settings.revision)
        self._models: dict[int, Any] = {}  # LLM by the adapter that is merged into its weights; 0: none

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """See ``Engine.generate``. vLLM gets all plain requests at once, then all with an adapter.

        Merged adapters take turns. The one whose weights are loaded begins.
        """
        prompts = tokenize(self._tokenizer, [request.prompt for request in requests])
        numbers = range(1, len(self._settings.adapters) + 1)
        check_requests(requests, [len(p) for p in prompts], self._settings.max_model_len, len(numbers))
        turns = [{*numbers}] if self._loras else sorted(({number} for number in numbers), key=self._not_loaded)
        for turn in [{0}, *turns]:
            chosen = [i for i, request in enumerate(requests) if request.adapter in turn]
            if chosen:
                done = self._run([requests[i] for i in chosen], [prompts[i] for i in chosen])
                yield from ((chosen[position], completion) for position, completion in done)

    def close(self) -> None:
        """See ``Engine.close``."""
        self._unload(set(self._models))

    def _not_loaded(self, turn: set[int]) -> bool:
        return not turn & self._models.keys()

    def _unload(self, numbers: set[int]) -> None:
        for number in numbers:
            self._models.pop(number).llm_engine.engine_core.shutdown()
        gc.collect()
        if not CPU:
            torch.cuda.empty_cache()

    def _model(self, adapter: int) -> Any:
        """The LLM for requests with that adapter, or without (0): one for all of them, unless adapters are merged.

        Of the merged ones only the last is kept.
        """
        generator, revision = self._settings.generator, self._settings.revision
        merged = 0 if self._loras else adapter
        if merged not in self._models:
            if merged and (others := self._models.keys() - {0}):
                self._unload(others)
            try:
                self._models[merged] = self._load_merged(merged) if merged else self._load(generator, revision)
            except LOADING as error:
                raise AugenError(self._unloadable(error)) from error
            except RuntimeError as error:
                if not merged:
                    raise
                folder = self._settings.adapters[merged - 1]
                raise AugenError(f"{folder}: not a LoRA adapter for {generator}: {error}") from error
        return self._models[merged]

    def _unloadable(self, error: Exception) -> str:
        """What to say of an error while loading, with the params that may be its cause."""
        given = {name: getattr(self._settings, name) for name in ("quantization", "tensor_parallel", "extra")}
        asked = ", ".join(f"engine.{name} {value}" for name, value in given.items() if value not in (None, 1, {}))
        said = f"model.generator: vLLM cannot load {self._settings.generator}: {error}"
        return f"{said}\nIt was asked for with {asked}" if asked else said

    def _load(self, model: str, revision: str | None) -> Any:
        settings = replace(self._settings, generator=model, revision=revision)
        free, total = (0, 0) if CPU else torch.cuda.mem_get_info()
        check_fits(settings, cpu_room() if CPU else gpu_room(free, total, settings))
        preloaded = os.environ.get("LD_PRELOAD")
        try:
            return LLM(model, revision=revision, **self._options)
        finally:
            torch.set_num_threads = _SET_NUM_THREADS  # vLLM's CPU worker has replaced it by one that only warns
            _restore("LD_PRELOAD", preloaded)

    def _load_merged(self, number: int) -> Any:
        """The generator with the adapter in its weights: W + scale · BA, added in float32, then rounded."""
        from transformers import AutoModelForCausalLM
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        generator, revision = self._settings.generator, self._settings.revision
        check_fits(replace(self._settings, dtype="float32"), cpu_room())
        plain = load_model(AutoModelForCausalLM, generator, "model.generator", revision=revision, dtype="auto")
        dtype = plain.dtype if self._settings.dtype == "auto" else getattr(torch, self._settings.dtype)
        folder = self._settings.adapters[number - 1]
        merged = load_adapter(plain.float(), folder, "infer.adapter").merge_and_unload()
        with TemporaryDirectory(prefix="augen-merged-") as directory:
            merged.to(dtype).save_pretrained(directory)
            del plain, merged
            return self._load(directory, revision=None)

    def _run(self, requests: Sequence[Request], prompts: Sequence[list[int]]) -> Iterator[tuple[int, Completion]]:
        """Complete `requests`, which one model can answer; yields ``(position, completion)``.

        Does the same as ``LLM.generate``, but yields each completion when it is done.
        """
        engine = self._model(requests[0].adapter).llm_engine
        names = []
        try:
            for position, (request, prompt) in enumerate(zip(requests, prompts, strict=True)):
                sampling, lora = _sampling(request), self._loras.get(request.adapter)
                names.append(engine.add_request(str(position), tokens_input(prompt), sampling, lora_request=lora))
            while engine.has_unfinished_requests():
                for output in engine.step():
                    yield int(output.request_id), self._completion(output.outputs[0])
        finally:
            engine.abort_request(names, internal=True)  # none is left, unless the caller stopped early

    def _completion(self, output: Any) -> Completion:
        # Not vLLM's decoder: it works token by token, which is slower and differs where a character is cut.
        tokens = list(output.token_ids)
        logprob = output.cumulative_logprob / len(tokens)
        return Completion(decode(self._tokenizer, tokens), len(tokens), output.finish_reason, logprob=logprob)


def _check_options(extra: Mapping[str, Any]) -> None:
    """Raise AugenError where engine.extra has what this vLLM does not know."""
    known = [field.name for field in fields(EngineArgs)]
    for name in extra:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; `vllm serve --help=all` lists them, with - for _"
            raise AugenError(f"engine.extra: vLLM {__version__} has no option {name}{hint}")


def _sampling(request: Request) -> SamplingParams:
    return SamplingParams(
        seed=request.seed,
        temperature=request.temperature,
        top_p=request.top_p,
        max_tokens=request.max_tokens,
        detokenize=False,
        logprobs=0,  # of the sampled token alone
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def lora_rank(adapter: Path) -> int:
    """The smallest rank that vLLM takes and the adapter's matrices fit into; AugenError if there is none."""
    path = adapter / "adapter_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AugenError(f"{path}: not the configuration of a LoRA adapter ({error})") from error
    rank = max([config["r"], *config.get("rank_pattern", {}).values()])
    if rank > LORA_RANKS[-1]:
        raise AugenError(f"{path}: rank {rank} is more than vLLM's {LORA_RANKS[-1]}; set infer.engine to transformers")
    return min(taken for taken in LORA_RANKS if taken >= rank)
