"""Training of the scorer: is this reasoning right?

Two objectives. ``classify``: cross entropy, in which right and wrong reasonings weigh the same. ``pairwise``: a right
reasoning above a wrong one of the same question. A scorer that learns nothing stays at ln 2 in both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from trl import RewardConfig

from augen.core import params
from augen.core.arrays import Floats
from augen.core.errors import AugenError
from augen.core.files import whole_folder
from augen.metrics.quality import scorer_quality
from augen.scorer.calibration import Calibration, calibrate
from augen.scorer.pairwise import PairCollator, PairTrainer, one_label, pairs_of, two_labels
from augen.scorer.report import LabelledReasoning, balanced_loss, pair_loss, report
from augen.scorer.score import InputFormat, write_format
from augen.store.identity import refuse_pickled_weights
from augen.training.launch import is_first, processes
from augen.training.trainer import (
    History,
    Ordered,
    check_names,
    quiet_libraries,
    run_trainer,
    split_by_problem,
    training_arguments,
)

CURVES = ["loss", "eval_loss", "eval_auc", "eval_accuracy"]


@dataclass(frozen=True)
class Trained:
    """What a training ends with; ``history`` is the trainer's log, ``model`` None but in the first process."""

    model: PreTrainedModel | None
    tokenizer: Any
    calibration: Calibration
    metrics: dict[str, Any]
    history: History


def train_scorer(
    items: Sequence[LabelledReasoning],
    section: params.Scorer,
    seed: int,
    scratch: Path,
    generator: str = "",
    on_log: Callable[[History], None] | None = None,
) -> Trained:
    """Train on a part of the problems, measure on the held-out rest; AugenError if either lacks a class.

    Goes on from the last checkpoint in `scratch`. Of all evaluations on the held-out part the model of the one with
    the best AUC is taken. `generator` is the author whose texts the report looks at apart.
    """
    quiet_libraries()
    check_names(section)
    train, held_out = _split(items, section, seed)
    refuse_pickled_weights(section.base, "scorer.base")
    tokenizer, texts = AutoTokenizer.from_pretrained(section.base), InputFormat(section.input, section.max_length)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    pairwise = section.objective == "pairwise"

    def ids(part: Sequence[LabelledReasoning]) -> list[list[int]]:
        samples = [item.sample for item in part]
        return [texts.encode(tokenizer, s.problem, s.question, s.reasoning) for s in samples]

    # Measured in batches of similar length.
    encoded = sorted(zip(ids(held_out), held_out, strict=True), key=lambda pair: -len(pair[0]))
    held_out = [item for _, item in encoded]
    rows = [{"input_ids": found, "labels": int(item.right)} for found, item in encoded]
    measured = _Measured(held_out, pairwise)

    torch.manual_seed(seed)
    model = _with_adapter(_base(section, tokenizer), section) if section.tuning == "lora" else _base(section, tokenizer)
    examples = len(pairs_of(train)) if pairwise else len(train)
    arguments = training_arguments(section, seed, scratch, examples, processes()) | {
        "metric_for_best_model": "auc",
        "greater_is_better": True,
        "load_best_model_at_end": True,
    }
    shared_by_both = {
        "model": model,
        "eval_dataset": rows,
        "processing_class": tokenizer,
        "compute_metrics": lambda prediction: measured(prediction.predictions),
        "callbacks": [Patience(section.patience)] if section.patience else [],
    }
    trainer: Trainer
    if pairwise:
        trainer = PairTrainer(
            # Rewards that stay near zero can be compared between questions (Eisenstein et al. 2023, 2312.09244).
            args=RewardConfig(**arguments, max_length=None, center_rewards_coefficient=0.01),
            train_dataset=_pair_rows(train, ids(train)),
            data_collator=PairCollator(tokenizer),
            **shared_by_both,
        )
    else:
        trainer = BalancedTrainer(
            args=TrainingArguments(**arguments),
            train_dataset=[
                {"input_ids": found, "labels": int(item.right)} for found, item in zip(ids(train), train, strict=True)
            ],
            data_collator=DataCollatorWithPadding(tokenizer),
            class_weights=class_weights([item.right for item in train]),
            **shared_by_both,
        )
    run_trainer(trainer, on_log)
    margins = margins_of(trainer.predict(rows).predictions)
    trainer.save_model(str(scratch / "trained"))  # by all processes: each may hold a part of the weights
    found = calibrate(margins, measured.right, with_offset=pairwise)
    before = next(row for row in trainer.state.log_history if "eval_auc" in row)
    metrics = {
        "objective": section.objective,
        "trained_on": examples,
        "best_step": trainer.state.best_global_step,
        "auc_before": before["eval_auc"],
        **report(margins, held_out, found, pairwise, generator),
    }
    plain = _plain(section, tokenizer, scratch / "trained") if is_first() else None
    return Trained(plain, tokenizer, found, metrics, trainer.state.log_history)


def save_scorer(trained: Trained, section: params.Scorer, folder: Path) -> None:
    if trained.model is None:
        raise ValueError("only the first process has the model")
    with whole_folder(folder) as partial:
        trained.model.save_pretrained(partial)
        trained.tokenizer.save_pretrained(partial)
        write_format(partial, InputFormat(section.input, section.max_length, *trained.calibration))


def _split(
    items: Sequence[LabelledReasoning], section: params.Scorer, seed: int
) -> tuple[list[LabelledReasoning], list[LabelledReasoning]]:
    train, held_out = split_by_problem(items, lambda item: item.problem_id, section.held_out, seed)
    for name, part in (("to train on", train), ("held out", held_out)):
        right = sum(i.right for i in part)
        if not 0 < right < len(part):
            raise AugenError(
                f"{right} right and {len(part) - right} wrong reasonings {name}: both kinds are needed; "
                "reports/filter.json says what was dropped, scorer.held_out how many problems are held out"
            )
        if section.objective == "pairwise" and not pairs_of(part):
            raise AugenError(
                f"no question {name} has both a right and a wrong reasoning: objective pairwise needs such, "
                "objective classify does not"
            )
    return train, held_out


def _pair_rows(items: Sequence[LabelledReasoning], ids: Sequence[list[int]]) -> Dataset:
    return Dataset.from_list(
        [{"chosen_ids": ids[right], "rejected_ids": ids[wrong]} for right, wrong in pairs_of(items)]
    )


# --- the model: two labels when it is saved, one while it is trained on pairs


def _base(section: params.Scorer, tokenizer: Any) -> PreTrainedModel:
    model = AutoModelForSequenceClassification.from_pretrained(
        section.base, num_labels=2, dtype=torch.float32, use_safetensors=True
    )
    model.config.pad_token_id = tokenizer.pad_token_id
    return one_label(model) if section.objective == "pairwise" else model


def _with_adapter(model: PreTrainedModel, section: params.Scorer) -> PeftModel:
    adapter = LoraConfig(
        r=section.rank,
        lora_alpha=section.alpha,
        lora_dropout=section.dropout,
        target_modules="all-linear",
        task_type="SEQ_CLS",  # the head is trained whole
    )
    return get_peft_model(model, adapter)


def _plain(section: params.Scorer, tokenizer: Any, folder: Path) -> PreTrainedModel:
    """The classifier that a trainer saved in `folder`, an adapter merged into its base."""
    if section.tuning == "lora":
        model = PeftModel.from_pretrained(_base(section, tokenizer), folder).merge_and_unload()
    else:
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    return two_labels(model) if section.objective == "pairwise" else model


# --- training and measuring


class BalancedTrainer(Ordered, Trainer):
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


def class_weights(right: Sequence[bool]) -> torch.Tensor:
    """Weights of (wrong, right) under which each class is half of the mean loss.

    >>> class_weights([True, True, True, False])
    tensor([2.0000, 0.6667])
    """
    count = torch.tensor([len(right) - sum(right), sum(right)], dtype=torch.float32).clamp(min=1)
    return len(right) / (2 * count)


class Patience(TrainerCallback):
    """Stops once the held-out AUC has not risen for some evaluations; it knows them from the log alone."""

    def __init__(self, evaluations: int) -> None:
        self.evaluations = evaluations

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        found = [row["eval_auc"] for row in state.log_history if row["step"] and "eval_auc" in row]
        if found and len(found) - 1 - int(np.argmax(found)) >= self.evaluations:
            control.should_training_stop = True

    on_train_begin = on_evaluate  # it may have been killed after it had stopped


def margins_of(logits: np.ndarray) -> Floats:
    """Logit of right less that of wrong, from logits (N, 2), or (N, 1) where they are that already."""
    logits = logits.astype(np.float64)
    return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]


class _Measured:
    """The metrics of an evaluation; held-out texts are in the order of `items`."""

    def __init__(self, items: Sequence[LabelledReasoning], pairwise: bool) -> None:
        self.right = np.array([item.right for item in items])
        self.pairs = pairs_of(items) if pairwise else None

    def loss(self, margins: Floats) -> float:
        return balanced_loss(margins, self.right) if self.pairs is None else pair_loss(margins, self.pairs)

    def __call__(self, logits: np.ndarray) -> dict[str, float]:
        margins = margins_of(logits)
        quality = scorer_quality(Calibration().scores(margins), self.right)
        if quality is None:
            raise ValueError("one class alone is held out")
        return {
            "loss": self.loss(margins),  # in the place of a mean over batches
            "auc": quality.auc,
            "accuracy": float(((margins >= 0) == self.right).mean()),
        }
