"""Training of the tiny checker, the base of the scorer: a Qwen2 with a two-label head that has seen errors before.

A large language model knows roughly what a mistake looks like. A tiny one does not, and a few thousand labelled
reasonings do not teach it. So the checker learns from what the generator itself writes for easy puzzles, where the
place of the first error is known: every token before it is labelled right, every token from it on wrong (process
supervision, Lightman et al. 2023, https://arxiv.org/abs/2305.20050).

The checker is the generator with some layers on top. The generator's last layer knows what should come next. The new
layers see that beside what did come, and only have to compare. Their outputs are zero at first, so that nothing of the
generator is lost. What the samples of the pipeline look like is left to ``train_scorer``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM, Qwen2ForSequenceClassification

from augen.entries import QuestionItem
from augen.pretrain.batches import IGNORED, Row, by_length
from augen.pretrain.corpus import DIFFICULTIES, WORDINGS_SEEN
from augen.pretrain.generator import adamw, fit, written
from augen.prompts.sections import solve_prompt
from augen.puzzles import BASIC, make
from augen.scorer.input_format import InputFormat

FORMAT = InputFormat("full", 1024)
WRONG, RIGHT = 0, 1
BATCH = 2048  # samples drawn at once
BATCH_TOKENS = 4096  # of a training step
SAMPLING = {"max_new_tokens": 200, "do_sample": True, "temperature": 1.2, "top_k": 0}  # hot: errors in many places


@dataclass(frozen=True)
class Checked:
    """A reasoning beside the solver's own: where they begin to differ is the first error."""

    problem: str
    item: QuestionItem  # with the solver's reasoning
    reasoning: str


def questions(rng: Random, puzzles: int) -> list[tuple[str, QuestionItem]]:
    """Up to three questions, with the solver's reasoning, of each of `puzzles` easy puzzles."""
    found = []
    for _ in range(puzzles):
        family, difficulty, wording = rng.choice(BASIC), rng.choice(DIFFICULTIES), rng.choice(WORDINGS_SEEN)
        entry = make(family, rng, difficulty=difficulty, wording=wording, questions=3).entry
        found += [(entry.problem, item) for item in entry.questions]
    return found


def sampled(
    generator: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    asked: Sequence[tuple[str, QuestionItem]],
    instruction: str,
) -> Iterator[Checked]:
    """What the generator itself writes, right or wrong."""
    by_length = sorted(asked, key=lambda pair: len(pair[0]))
    for start in tqdm(range(0, len(by_length), BATCH), desc="samples", unit="batch"):
        part = by_length[start : start + BATCH]
        prompts = [solve_prompt(instruction, *question) for question in part]
        for (problem, item), text in zip(part, written(generator, tokenizer, prompts, **SAMPLING), strict=True):
            yield Checked(problem, item, text.strip())


def encode(checked: Checked, tokenizer: PreTrainedTokenizerBase) -> Row:
    """Token ids, and a label for each token of the reasoning: whether it and all tokens before it are right."""

    def ids_of(reasoning: str) -> list[int]:
        return FORMAT.encode(tokenizer, checked.problem, checked.item, reasoning)

    ids, right, prompt = ids_of(checked.reasoning), ids_of(str(checked.item.reasoning)), len(ids_of(""))
    same = next((i for i, (a, b) in enumerate(zip(ids, right, strict=False)) if a != b), min(len(ids), len(right)))
    if ids == right:
        same = len(ids)
    labels = [IGNORED] * prompt + [RIGHT if i < same else WRONG for i in range(prompt, len(ids))]
    return ids, labels


def new_checker(generator: Qwen2ForCausalLM, layers: int) -> Qwen2ForSequenceClassification:
    """The generator with a two-label head and `layers` more layers, which add nothing yet."""
    shape: dict[str, Any] = generator.config.to_dict()
    depth = shape["num_hidden_layers"] + layers
    config = type(generator.config)(**(shape | {"num_hidden_layers": depth, "layer_types": None}))
    checker = Qwen2ForSequenceClassification(config).to(generator.device)
    checker.model.load_state_dict(generator.model.state_dict(), strict=False)
    for layer in checker.model.layers[generator.config.num_hidden_layers :]:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
        torch.nn.init.zeros_(layer.mlp.down_proj.weight)
    return checker


def train_checker(
    checker: Qwen2ForSequenceClassification,
    rows: list[Row],
    epochs: int,
    learning_rate: float,
    rng: Random,
) -> None:
    """Train on `rows` of `encode`; both classes weigh the same."""
    steps = [batch for _ in range(epochs) for batch in by_length(rows, BATCH_TOKENS, rng)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        adamw(checker, learning_rate), learning_rate, total_steps=len(steps), pct_start=0.1
    )
    fit(checker, tqdm(steps, "checker", unit="step", mininterval=5), _loss, schedule)


def _loss(checker: Qwen2ForSequenceClassification, ids: Tensor, labels: Tensor) -> Tensor:
    hidden = checker.model(input_ids=ids, use_cache=False).last_hidden_state  # (B, T, H)
    learned = labels != IGNORED
    target = labels[learned]
    count = torch.stack([(target == label).sum() for label in (WRONG, RIGHT)]).clamp(min=1)
    return cross_entropy(checker.score(hidden[learned]).float(), target, weight=len(target) / (2 * count))
