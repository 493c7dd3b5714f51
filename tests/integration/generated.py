"""What transformers itself writes: the reference of the engines, and an adapter for them."""

from collections.abc import Sequence
from pathlib import Path
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


def random_adapter(generator: Path, targets: str | list[str], path: Path) -> None:
    """Write a random LoRA adapter for `generator`, on its modules `targets`, to the folder `path`."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2ForCausalLM

    lora = LoraConfig(r=4, lora_alpha=8, target_modules=targets, task_type="CAUSAL_LM")
    model = get_peft_model(Qwen2ForCausalLM.from_pretrained(generator), lora)
    torch.manual_seed(1)
    for name, weights in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.1)
    model.save_pretrained(path)
