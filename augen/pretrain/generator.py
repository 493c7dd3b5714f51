"""Training of the tiny generator: first copying, then puzzles.

Puzzles alone are learned slowly. Copying random tokens beforehand teaches the attention that every look-up needs.
"""

from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM

from augen.pretrain.batches import IGNORED, Batch

WATCHED = 3  # times in a training
SHOWN = 20  # steps


def new_model(tokenizer: PreTrainedTokenizerBase, hidden: int, layers: int) -> Qwen2ForCausalLM:
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            intermediate_size=hidden * 8 // 3,
            num_hidden_layers=layers,
            num_attention_heads=hidden // 32,
            num_key_value_heads=hidden // 32,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
        )
    )


def loss_of(model: Qwen2ForCausalLM, ids: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy of the learned tokens. Right padding needs no mask under causal attention."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]  # (B, T-1, H)
    target = labels[:, 1:]
    learned = target != IGNORED
    return cross_entropy(model.lm_head(hidden[learned]).float(), target[learned])


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a model in bfloat16: half the size to commit, with no measurable difference in what it does."""
    copy = type(model)(deepcopy(model.config))  # saving notes the type of the weights there
    copy.load_state_dict(model.state_dict())
    copy.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def train(
    model: Qwen2ForCausalLM,
    batches: Iterable[Batch],
    steps: int,
    learning_rate: float,
    label: str,
    watch: Callable[[int, float], None] | None = None,
) -> None:
    """AdamW with a short warm-up and a cosine down to a fiftieth, for `steps` steps; for `watch` see `fit`."""
    optimizer = adamw(model, learning_rate)
    warmup = min(200, max(1, steps // 20))
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 1 / warmup, total_iters=warmup),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps - warmup), eta_min=learning_rate / 50),
        ],
        [warmup],
    )
    fit(model, tqdm(islice(batches, steps), label, steps, unit="step", mininterval=5), loss_of, schedule, watch)


def adamw(model: PreTrainedModel, learning_rate: float) -> torch.optim.AdamW:
    on_gpu = model.device.type == "cuda"
    return torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=on_gpu)


def fit(
    model: PreTrainedModel,
    progress: tqdm,
    loss_of: Callable[[Any, Tensor, Tensor], Tensor],
    schedule: Any,
    watch: Callable[[int, float], None] | None = None,
) -> None:
    """One step of the schedule's optimizer per batch of `progress`, in bfloat16 on a GPU.

    The loss shown is a moving average; ``watch(step, loss)`` gets it `WATCHED` times.
    """
    model.train()
    device, mean = model.device, torch.zeros((), device=model.device)
    for step, batch in enumerate(progress, start=1):
        ids, labels = (torch.from_numpy(array).to(device, torch.long) for array in batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = loss_of(model, ids, labels)
        schedule.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        schedule.optimizer.step()
        schedule.step()
        mean = torch.lerp(mean if step > 1 else loss.detach(), loss.detach(), 0.02)
        if step % SHOWN == 0:
            progress.set_postfix(loss=f"{mean.item():.3f}", refresh=False)
        if watch and step % max(1, progress.total // WATCHED) == 0:
            watch(step, mean.item())
            model.train()


@torch.inference_mode()
def written(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[str],
    **sampling: Any,
) -> list[str]:
    """What the model writes after each prompt; `sampling` goes to ``generate``."""
    model.eval()
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False).to(model.device)
    out = model.generate(**inputs, **sampling)
    return tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
