"""Training of the scorer: is this reasoning right?

Right and wrong reasonings weigh the same in the loss, so that a scorer which learns nothing stays at ln 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
)

from augen import params
from augen.entries import Entry
from augen.errors import AugenError
from augen.files import whole_folder
from augen.identity import refuse_pickled_weights
from augen.metrics import calibration, calibration_error, scorer_quality
from augen.scoring import Format, Scored, write_format
from augen.training import quiet, split_by_problem, training_arguments

LEARNED_NOTHING = log(2)  # the loss of a scorer that says one half of everything


@dataclass(frozen=True)
class Labelled:
    """One reasoning with its label, and who wrote it."""

    problem_id: str
    sample: Scored
    right: bool
    author: str


def labelled(entries: Sequence[Entry], right: bool) -> list[Labelled]:
    """Every question of `entries` that has a reasoning."""
    return [
        Labelled(entry.id, Scored(entry.problem, item, item.reasoning), right, item.author or "unknown")
        for entry in entries
        for item in entry.questions
        if item.reasoning
    ]


class BalancedTrainer(Trainer):
    """Weighs the two classes so that each is half of the loss."""

    loss_is_scaled_for_ga = False  # a mean over one batch: the trainer divides it by the accumulated batches

    def __init__(self, *args: Any, class_weights: torch.Tensor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.class_weights = class_weights

    def compute_loss(
        self, model: torch.nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> Any:
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        weights = self.class_weights.to(outputs.logits)
        loss = cross_entropy(outputs.logits, labels, weight=weights, reduction="none").mean()
        return (loss, outputs) if return_outputs else loss


@dataclass(frozen=True)
class Trained:
    """What a training ends with; ``history`` is the trainer's log."""

    model: PreTrainedModel
    tokenizer: Any
    metrics: dict[str, Any]
    history: list[dict[str, Any]]


def train_scorer(items: Sequence[Labelled], section: params.Scorer, seed: int, scratch: Path) -> Trained:
    """Train on a part of the problems, measure on the held-out rest; AugenError if either lacks a class."""
    train, held_out = split_by_problem(items, lambda item: item.problem_id, section.held_out, seed)
    for name, part in (("to train on", train), ("held out", held_out)):
        right = sum(i.right for i in part)
        if not 0 < right < len(part):
            raise AugenError(
                f"{right} right and {len(part) - right} wrong reasonings {name}: both kinds are needed; "
                "reports/filter.json says what was dropped, scorer.held_out how many problems are held out"
            )
    torch.manual_seed(seed)
    refuse_pickled_weights(section.base, "scorer.base")
    tokenizer = AutoTokenizer.from_pretrained(section.base)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForSequenceClassification.from_pretrained(
        section.base, num_labels=2, dtype=torch.float32, use_safetensors=True
    )
    model.config.pad_token_id = tokenizer.pad_token_id

    format_ = Format(section.input, section.max_length)

    def rows(part: Sequence[Labelled]) -> list[dict[str, Any]]:
        return [
            {
                "input_ids": format_.encode(tokenizer, i.sample.problem, i.sample.question, i.sample.reasoning),
                "labels": int(i.right),
            }
            for i in part
        ]

    trainer = BalancedTrainer(
        model=model,
        args=TrainingArguments(**training_arguments(section, seed, scratch, len(train))),
        train_dataset=rows(train),
        eval_dataset=rows(held_out),
        data_collator=DataCollatorWithPadding(tokenizer),
        class_weights=class_weights([i.right for i in train]),
        compute_metrics=lambda prediction: _quality(prediction.predictions, prediction.label_ids),
    )
    quiet(trainer)
    trainer.train()
    trainer.args.train_sampling_strategy = "random"  # grouped by length, predictions too come in another order
    logits = trainer.predict(rows(held_out)).predictions
    metrics = {"train": len(train), "held_out": len(held_out), **_report(logits, held_out)}
    return Trained(model, tokenizer, metrics, trainer.state.log_history)


def save_scorer(trained: Trained, section: params.Scorer, folder: Path) -> None:
    with whole_folder(folder) as partial:
        trained.model.save_pretrained(partial)
        trained.tokenizer.save_pretrained(partial)
        write_format(partial, Format(section.input, section.max_length))


def class_weights(right: Sequence[bool]) -> torch.Tensor:
    """Weights of (wrong, right) under which each class is half of the mean loss.

    >>> class_weights([True, True, True, False])
    tensor([2.0000, 0.6667])
    """
    count = torch.tensor([len(right) - sum(right), sum(right)], dtype=torch.float32).clamp(min=1)
    return len(right) / (2 * count)


def _probabilities(logits: np.ndarray) -> np.ndarray:
    """P(right) from logits (N, 2)."""
    return 1 / (1 + np.exp((logits[:, 0] - logits[:, 1]).astype(np.float64)))


def _balanced_loss(scores: np.ndarray, right: np.ndarray) -> float:
    """Cross entropy in which the classes present weigh the same."""
    chosen = np.log(np.clip(np.where(right, scores, 1 - scores), 1e-12, 1))
    return float(-np.mean([chosen[right == label].mean() for label in np.unique(right)]))


def _quality(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    scores, right = _probabilities(logits), labels == 1
    found = {"balanced_loss": _balanced_loss(scores, right), "accuracy": float(((scores >= 0.5) == right).mean())}
    if (quality := scorer_quality(scores, right)) is not None:
        found |= {"auc": quality.auc, "average_precision": quality.average_precision}
    return found


def _report(logits: np.ndarray, items: Sequence[Labelled]) -> dict[str, Any]:
    """Held-out quality, overall and with the right reasonings of each author against all wrong ones.

    An author who wrote only right or only wrong texts has no AUC of his own, hence the comparison.
    """
    scores = _probabilities(logits)
    right = np.array([i.right for i in items])
    labels = right.astype(int)
    overall = _quality(logits, labels)
    overall["calibration_error"] = calibration_error(calibration(scores, right))
    by_author = {}
    for author in sorted({i.author for i in items}):
        own = np.array([i.author == author for i in items])
        by_author[author] = {
            "texts": int(own.sum()),
            "right": int((own & right).sum()),
            **_quality(logits[own], labels[own]),
        }
    return {
        **overall,
        "learned_nothing": overall["balanced_loss"] >= LEARNED_NOTHING,
        "by_author": by_author,
    }
