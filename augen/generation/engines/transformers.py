"""The transformers engine: ``model.forward`` with a key-value cache, wherever torch runs.

It has a decoding loop of its own, because ``model.generate`` has one temperature and one random stream per call.
Here every row has its own, so a sample depends on its seed alone and not on its neighbours. A finished row leaves
the batch, so a short completion does not wait for a long one.
"""

import gc
import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.utils.logging import disable_progress_bar

from augen.core.device import device
from augen.core.errors import AugenError
from augen.core.models import load_adapter, load_model
from augen.generation.base import Completion, EngineSettings, Request, check_requests, decode, load_tokenizer, tokenize
from augen.generation.memory import check_fits, local_room


class TransformersEngine:
    """A generator loaded with transformers on the GPU (CUDA, then Apple's) or else the CPU."""

    name = "transformers"

    def __init__(self, settings: EngineSettings) -> None:
        unset: dict[str, Any] = {"quantization": None, "tensor_parallel": 1, "extra": {}}
        for param, off in unset.items():
            if (value := getattr(settings, param)) != off:
                neutral = "null" if off is None else off
                raise AugenError(
                    f"engine.{param}: the transformers engine cannot do {value!r}; set it to {neutral} or use vllm"
                )
        disable_progress_bar()  # of loading weights; augen.generation.sampler shows the one of the samples
        self._settings = settings
        self._device = device()
        self._tokenizer = load_tokenizer(settings.generator, settings.revision)
        check_fits(settings, local_room())
        model = load_model(
            AutoModelForCausalLM,
            settings.generator,
            "model.generator",
            revision=settings.revision,
            dtype=settings.dtype,
        )
        self._tokens = model.get_input_embeddings().num_embeddings
        self._end = _end_tokens(self._tokenizer, model)
        self._lora: Any = None
        for number, adapter in enumerate(settings.adapters, start=1):
            model = load_adapter(model, adapter, "infer.adapter", _name(number))
            self._lora = model.base_model
        self._model: Any = model.to(self._device).eval()

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """See ``Engine.generate``. Prompts of similar length run together, the longest first."""
        prompts = tokenize(self._tokenizer, [request.prompt for request in requests])
        adapters = len(self._settings.adapters)
        check_requests(requests, [len(p) for p in prompts], self._settings.max_model_len, adapters)
        if any(max(prompt, default=0) >= self._tokens for prompt in prompts):
            raise AugenError(
                f"model.generator: the tokenizer of {self._settings.generator} has more tokens than the model, which "
                f"knows {self._tokens}; fetch or make it again"
            )

        order = sorted(range(len(requests)), key=lambda i: (requests[i].adapter, -len(prompts[i])))
        for adapter, group in groupby(order, key=lambda i: requests[i].adapter):
            rows = list(group)
            for start in range(0, len(rows), self._settings.batch_size):
                batch = rows[start : start + self._settings.batch_size]
                self._switch_adapter(adapter)
                done = self._decode([requests[i] for i in batch], [prompts[i] for i in batch])
                yield from ((batch[position], completion) for position, completion in done)

    def close(self) -> None:
        """See ``Engine.close``."""
        self._model = self._lora = None
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _switch_adapter(self, number: int) -> None:
        if number:
            self._lora.enable_adapter_layers()
            self._lora.set_adapter(_name(number))
        elif self._lora is not None:
            self._lora.disable_adapter_layers()

    def _decode(self, requests: Sequence[Request], prompts: Sequence[list[int]]) -> Iterator[tuple[int, Completion]]:
        """Complete one batch; yields ``(position in the batch, completion)``. B shrinks as rows finish."""
        ids, mask = (part.to(self._device) for part in pad_left(prompts))  # both (B, T)
        temperature = torch.tensor([request.temperature for request in requests], device=self._device)  # (B,)
        top_p = torch.tensor([request.top_p for request in requests], device=self._device)  # (B,)
        uniforms = uniform_streams(requests).to(self._device)  # (B, most new tokens)
        cache = DynamicCache(config=self._model.config)
        written: list[list[int]] = [[] for _ in requests]
        sums = [0.0] * len(requests)  # of the log-probabilities
        open_rows = list(range(len(requests)))

        for step in range(uniforms.shape[1]):
            logits = self._forward(ids, mask, cache)  # (B, V)
            tokens = choose(logits, temperature, top_p, uniforms[:, step])  # (B,)
            logprobs = logits.log_softmax(dim=-1).gather(1, tokens[:, None])[:, 0]  # (B,)

            unfinished = []
            for place, (row, token, logprob) in enumerate(
                zip(open_rows, tokens.tolist(), logprobs.tolist(), strict=True)
            ):
                if math.isnan(logprob):
                    raise AugenError(
                        f"model.generator: {self._settings.generator} computes what is no number: its weights or those "
                        f"of its adapter are damaged, or too large for model.dtype {self._settings.dtype}"
                    )
                written[row].append(token)
                sums[row] += logprob
                if token in self._end or len(written[row]) == requests[row].max_tokens:
                    yield row, self._completion(written[row], sums[row])
                else:
                    unfinished.append(place)
            if len(unfinished) < len(open_rows):
                if not unfinished:
                    return
                keep = torch.tensor(unfinished, device=self._device)
                tokens, mask, temperature, top_p, uniforms = (
                    part[keep] for part in (tokens, mask, temperature, top_p, uniforms)
                )
                cache.reorder_cache(keep)  # not batch_select_indices: layers of linear attention do not have it
                open_rows = [open_rows[place] for place in unfinished]
            ids = tokens[:, None]
            mask = torch.cat([mask, torch.ones_like(ids)], dim=1)

    # Not around the whole loop: a generator that yields inside it would leave the mode on for its caller.
    @torch.inference_mode()
    def _forward(self, ids: Tensor, mask: Tensor, cache: DynamicCache) -> Tensor:
        """Next-token logits (B, V) in float32 after `ids`: whole prompts (B, T), then one token (B, 1) each time."""
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        out = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float()

    def _completion(self, tokens: list[int], logprob: float) -> Completion:
        finish: Literal["stop", "length"] = "stop" if tokens[-1] in self._end else "length"
        return Completion(decode(self._tokenizer, tokens), len(tokens), finish, logprob=logprob / len(tokens))


def _name(number: int) -> str:
    """What peft calls an adapter."""
    return f"adapter_{number}"


def choose(logits: Tensor, temperature: Tensor, top_p: Tensor, uniform: Tensor) -> Tensor:
    """The next token of each row, (B,), from logits (B, V) and three (B,): temperature 0 is greedy.

    Samples by inverting the cumulative distribution: takes the token in whose share of [0, 1) `uniform` falls. So
    one random number per token is enough, and it can be drawn on the CPU, the same for every device.
    """
    greedy = temperature == 0
    probabilities = (logits / torch.where(greedy, 1.0, temperature)[:, None]).softmax(dim=-1)
    if (top_p < 1).any():
        probabilities = nucleus(probabilities, top_p)
    cumulative = probabilities.cumsum(dim=-1)  # (B, V); its end is not exactly 1
    total = cumulative[:, -1]
    # Rounding must not move the point to the very end, where no token is left.
    point = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    # Where nothing is a number, the end is found: the caller sees by the log-probability that there is no token.
    sampled = torch.searchsorted(cumulative, point[:, None], right=True)[:, 0].clamp(max=logits.shape[1] - 1)
    return torch.where(greedy, logits.argmax(dim=-1), sampled)


def nucleus(probabilities: Tensor, top_p: Tensor) -> Tensor:
    """`probabilities` (B, V), set to 0 outside the smallest set of likeliest tokens that adds up to `top_p` (B,).

    Holtzman et al. 2020, "The curious case of neural text degeneration". The likeliest token always stays.

    >>> nucleus(torch.tensor([[0.2, 0.5, 0.3]]), torch.tensor([0.6]))
    tensor([[0.0000, 0.5000, 0.3000]])
    """
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered  # sum over the likelier tokens
    kept = (before < top_p[:, None]) | (order == order[:, :1])
    return torch.zeros_like(probabilities).scatter(-1, order, ordered * kept)


def uniform_streams(requests: Sequence[Request]) -> Tensor:
    """Uniform numbers from [0, 1), drawn from each request's seed: (B, most new tokens), 0 beyond its own."""
    streams = [
        torch.rand(request.max_tokens, generator=torch.Generator().manual_seed(request.seed)) for request in requests
    ]
    return torch.nn.utils.rnn.pad_sequence(streams, batch_first=True)


def pad_left(prompts: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both (B, longest prompt), padded in front: all prompts end in the last column."""
    width = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return ids, mask


def _end_tokens(tokenizer: Any, model: Any) -> frozenset[int]:
    """Every token that ends a text: the tokenizer's, and those in ``generation_config.json`` (chat models: several)."""
    configured = model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    if odd := [token for token in listed if not isinstance(token, int | None)]:
        raise AugenError(
            f"model.generator: {model.name_or_path}: generation_config.json: eos_token_id: {odd[0]!r} is not the "
            "number of a token; correct it there, or name another model"
        )
    return frozenset(token for token in (tokenizer.eos_token_id, *listed) if token is not None)
