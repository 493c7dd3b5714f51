"""Training of the tiny generator: first copying, then puzzles.

Half an hour on puzzles alone ends near guessing. A few minutes of copying random tokens beforehand teach the attention
that every look-up needs (params.yaml: pretrain.copy_steps).
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM

from augen.pretrain.corpus import Sequence

IGNORED = -100
WATCHED = 300  # steps


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


def encode(sequence: Sequence, tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Token ids and labels of a text, with the end-of-text token after the last part."""
    ids: list[int] = []
    labels: list[int] = []
    for i, (text, learned) in enumerate(sequence.parts):
        part = tokenizer(text, add_special_tokens=False)["input_ids"]
        if i == len(sequence.parts) - 1:
            part = [*part, tokenizer.eos_token_id]
        ids += part
        labels += part if learned else [IGNORED] * len(part)
    return ids, labels


def copying(rng: Random, vocabulary: int, batch: int) -> tuple[Tensor, Tensor]:
    """`batch` rows of random tokens written twice; the loss is on the second half. Both (B, 2L)."""
    length = rng.randrange(8, 64)
    half = torch.tensor([[rng.randrange(2, vocabulary) for _ in range(length)] for _ in range(batch)])
    ids = torch.cat([half, half], dim=1)
    labels = ids.clone()
    labels[:, :length] = IGNORED
    return ids, labels


def with_copies(
    texts: Iterator[tuple[Tensor, Tensor]], rng: Random, vocabulary: int, every: int = 8
) -> Iterator[tuple[Tensor, Tensor]]:
    """`texts` with a batch of `copying` before each group of `every`.

    Tokens that no text has would otherwise all drift to one place: their only gradient says that they are not next.
    """
    for number, batch in enumerate(texts):
        if number % every == 0:
            yield copying(rng, vocabulary, batch=16)
        yield batch


def batches(
    rows: Iterable[tuple[list[int], list[int]]], tokens: int, rng: Random, window: int = 2000
) -> Iterator[tuple[Tensor, Tensor]]:
    """Right-padded batches of about `tokens` tokens; of every `window` rows those of similar length come together."""
    buffer: list[tuple[list[int], list[int]]] = []
    for row in rows:
        buffer.append(row)
        if len(buffer) == window:
            yield from _by_length(buffer, tokens, rng)
            buffer = []
    yield from _by_length(buffer, tokens, rng)


def _by_length(rows: list[tuple[list[int], list[int]]], tokens: int, rng: Random) -> Iterator[tuple[Tensor, Tensor]]:
    groups: list[list[tuple[list[int], list[int]]]] = [[]]
    for row in sorted(rows, key=lambda r: len(r[0])):
        if groups[-1] and (len(groups[-1]) + 1) * len(row[0]) > tokens:
            groups.append([])
        groups[-1].append(row)
    rng.shuffle(groups)
    for group in groups:
        if group:
            width = max(len(ids) for ids, _ in group)
            yield (
                torch.tensor([ids + [1] * (width - len(ids)) for ids, _ in group]),
                torch.tensor([labels + [IGNORED] * (width - len(labels)) for _, labels in group]),
            )


def loss_of(model: Qwen2ForCausalLM, ids: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy of the learned tokens. Right padding needs no mask under causal attention."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]  # (B, T-1, H)
    target = labels[:, 1:]
    learned = target != IGNORED
    return cross_entropy(model.lm_head(hidden[learned]), target[learned])


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a model in bfloat16: half the size to commit, with no measurable difference in what it does."""
    copy = type(model)(model.config)
    copy.load_state_dict(model.state_dict())
    copy.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def train(
    model: Qwen2ForCausalLM,
    steps: Iterable[tuple[Tensor, Tensor]],
    total: int,
    learning_rate: float,
    label: str,
    watch: Callable[[int, float], None] | None = None,
) -> None:
    """AdamW with a short warm-up and a cosine down to a tenth, for `total` steps; for `watch` see `fit`."""
    optimizer = adamw(model, learning_rate)
    warmup = min(100, max(1, total // 20))
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 1 / warmup, total_iters=warmup),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total - warmup, eta_min=learning_rate / 10),
        ],
        [warmup],
    )
    fit(model, tqdm(islice(steps, total), label, total, unit="step", mininterval=5), loss_of, schedule, watch)


def adamw(model: PreTrainedModel, learning_rate: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)


def fit(
    model: PreTrainedModel,
    progress: tqdm,
    loss_of: Callable[[Any, Tensor, Tensor], Tensor],
    schedule: Any,
    watch: Callable[[int, float], None] | None = None,
) -> None:
    """One step of the schedule's optimizer per batch of `progress`; `watch(step, loss)` after every `WATCHED`th step.

    The loss shown is a moving average.
    """
    model.train()
    mean = 0.0
    for step, (ids, labels) in enumerate(progress, start=1):
        loss = loss_of(model, ids, labels)
        schedule.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        schedule.optimizer.step()
        schedule.step()
        mean = loss.item() if step == 1 else 0.98 * mean + 0.02 * loss.item()
        progress.set_postfix(loss=f"{mean:.3f}")
        if watch and step % WATCHED == 0:
            watch(step, mean)
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
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False)
    out = model.generate(**inputs, **sampling)
    return tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
