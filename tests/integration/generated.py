"""What transformers itself writes: the reference of the engines."""

from collections.abc import Sequence
from typing import Any

from augen.generation.base import Request


def generated(model: Any, tokenizer: Any, requests: Sequence[Request]) -> list[str]:
    """The greedy texts of ``model.generate``, one prompt at a time."""
    texts = []
    for request in requests:
        prompt = tokenizer(request.prompt, return_tensors="pt")
        out = model.generate(**prompt, do_sample=False, max_new_tokens=request.max_tokens)
        texts.append(tokenizer.decode(out[0, prompt.input_ids.shape[1] :], skip_special_tokens=True))
    return texts
