"""Training of the scorer, an outcome reward model: is this reasoning right?

A reasoning is labelled right or wrong by its final answer. There are two objectives. ``classify``: cross entropy in
which right and wrong reasonings weigh the same. ``pairwise``: a right reasoning shall score higher than a wrong one of
the same question. The loss of a scorer that learns nothing stays at ln 2 in both.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from peft import get_peft_model
from torch.nn.functional import cross_entropy
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from trl import RewardConfig

from augen.core import params
from augen.core.arrays import Bools, Floats, Ints
from augen.core.errors import AugenError
from augen.core.files import whole_folder
from augen.core.models import load_adapter, load_model, load_tokenizer
from augen.metrics.quality import scorer_quality
from augen.scorer.calibration import Calibration, calibrate
from augen.scorer.input_format import InputFormat, write_format
from augen.scorer.pairwise import PairCollator, PairTrainer, one_label, two_labels
from augen.scorer.report import LabelledReasoning, Reasonings, balanced_loss, pair_loss, report
from augen.training.launch import is_first, processes
from augen.training.rows import Row, longest_first, on_disk, tokens
from augen.training.trainer import (
    History,
    Ordered,
    check_names,
    lora_config,
    quiet_libraries,
    run_trainer,
    split_by_problem,
    training_arguments,
)

CURVES = ["loss", "eval_loss", "eval_auc", "eval_accuracy"]


@dataclass(frozen=True)
class Trained:
    """The result of a training; ``history`` is the trainer's log, ``model`` is None except in the first process."""

    model: PreTrainedModel | None
    tokenizer: Any
    calibration: Calibration
    metrics: dict[str, Any]
    history: History


def train_scorer(
    items: Reasonings,
    section: params.Scorer,
    seed: int,
    scratch: Path,
    generator: str = "",
    on_log: Callable[[History], None] | None = None,
) -> Trained:
    """Train on some of the problems, measure on the others; AugenError if either part lacks right or wrong reasonings.

    Resumes from the last checkpoint in `scratch`, if there is one. The result is the model of the evaluation with the
    best held-out AUC. Its report has metrics of their own for the texts whose author is `generator`.
    """
    quiet_libraries()
    check_names(section)
    train, held_out = _split(items, section, seed)
    tokenizer = _tokenizer(section)
    pairwise = section.objective == "pairwise"
    learned = scorer_rows(train, section, tokenizer, scratch)
    rows, order = longest_first(_rows(held_out, section, tokenizer, scratch, "held_out"), ["input_ids"])
    measured = held_out.those(order)

    torch.manual_seed(seed)
    model = _base(section, tokenizer)
    trainer = _trainer(
        section,
        training_arguments(section, seed, scratch, len(learned), processes()),
        train.right,
        # The head is trained whole.
        model=get_peft_model(model, lora_config(section, "SEQ_CLS", model)) if section.tuning == "lora" else model,
        train_dataset=learned,
        eval_dataset=rows,
        processing_class=tokenizer,
        compute_metrics=partial(_metrics, measured.right, measured.pairs() if pairwise else None),
    )
    run_trainer(trainer, on_log)
    margins = margins_of(trainer.predict(rows).predictions)
    trainer.save_model(str(scratch / "trained"))  # by all processes: each may hold a part of the weights
    fitted = calibrate(margins, measured.right, with_offset=pairwise)
    before = next(row for row in trainer.state.log_history if "eval_auc" in row)
    metrics = {
        "objective": section.objective,
        "trained_on": len(learned),
        "best_step": trainer.state.best_global_step,
        "auc_before": before["eval_auc"],
        **report(margins, measured, fitted, pairwise, generator),
    }
    saved = _saved_classifier(section, tokenizer, scratch / "trained") if is_first() else None
    return Trained(saved, tokenizer, fitted, metrics, trainer.state.log_history)


def _trainer(section: params.Scorer, arguments: dict[str, Any], right: Bools, **parts: Any) -> Trainer:
    """The trainer of the objective. `right` are the labels of the texts to train on; `parts` go to either trainer."""
    arguments |= {"metric_for_best_model": "auc", "greater_is_better": True, "load_best_model_at_end": True}
    parts["callbacks"] = [Patience(section.patience)] if section.patience else []
    if section.objective == "pairwise":
        # Rewards that stay near zero can be compared between questions (Eisenstein et al. 2023, 2312.09244).
        config = RewardConfig(**arguments, max_length=None, center_rewards_coefficient=0.01)
        return PairTrainer(args=config, data_collator=PairCollator(parts["processing_class"]), **parts)
    return BalancedTrainer(
        args=TrainingArguments(**arguments),
        data_collator=DataCollatorWithPadding(parts["processing_class"]),
        class_weights=class_weights(right),
        **parts,
    )


def save_scorer(trained: Trained, section: params.Scorer, folder: Path) -> None:
    if trained.model is None:
        raise ValueError("only the first process has the model")
    with whole_folder(folder) as partial:
        trained.model.save_pretrained(partial)
        trained.tokenizer.save_pretrained(partial)
        write_format(partial, InputFormat(section.input, section.max_length, *trained.calibration))


def _split(items: Reasonings, section: params.Scorer, seed: int) -> tuple[Reasonings, Reasonings]:
    train, held_out = map(items.those, split_by_problem(items.origins, section.held_out, seed))
    for name, part in (("to train on", train), ("held out", held_out)):
        right = int(part.right.sum())
        if not 0 < right < len(part):
            raise AugenError(
                f"{right} right and {len(part) - right} wrong reasonings {name}: both kinds are needed; "
                "reports/filter.json says what was dropped, scorer.held_out how many problems are held out"
            )
        if section.objective == "pairwise" and not len(part.pairs()):
            raise AugenError(
                f"no question {name} has both a right and a wrong reasoning: objective pairwise needs such, "
                "objective classify does not"
            )
    return train, held_out


def _tokenizer(section: params.Scorer) -> Any:
    tokenizer = load_tokenizer(section.base, "scorer.base")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def scorer_rows(items: Reasonings, section: params.Scorer, tokenizer: Any, folder: Path) -> Dataset:
    """The tokens to learn from: of each of `items`, or with the objective ``pairwise`` of pairs; see `on_disk`."""
    if section.objective == "classify":
        return _rows(items, section, tokenizer, folder, "train")
    encode = _encoder(section, tokenizer)

    def rows() -> Iterator[Row]:
        for right, wrong in items.pairs():
            yield {"chosen_ids": encode(items[right]), "rejected_ids": encode(items[wrong])}

    return on_disk(rows, folder, "pairs")


def _rows(
    items: Sequence[LabelledReasoning], section: params.Scorer, tokenizer: Any, folder: Path, name: str
) -> Dataset:
    encode = _encoder(section, tokenizer)
    return on_disk(lambda: ({"input_ids": encode(item), "labels": int(item.right)} for item in items), folder, name)


def _encoder(section: params.Scorer, tokenizer: Any) -> Callable[[LabelledReasoning], Ints]:
    texts = InputFormat(section.input, section.max_length)

    def encode(item: LabelledReasoning) -> Ints:
        s = item.sample
        return tokens(texts.encode(tokenizer, s.problem, s.question, s.reasoning))

    return encode


# --- the model: two labels when it is saved, one while it is trained on pairs


def _base(section: params.Scorer, tokenizer: Any) -> PreTrainedModel:
    model = load_model(
        AutoModelForSequenceClassification, section.base, "scorer.base", True, num_labels=2, dtype=torch.float32
    )
    model.config.pad_token_id = tokenizer.pad_token_id
    return one_label(model) if section.objective == "pairwise" else model


def _saved_classifier(section: params.Scorer, tokenizer: Any, folder: Path) -> PreTrainedModel:
    """The two-label classifier that the trainer saved in `folder`, with an adapter merged into its base."""
    if section.tuning == "lora":
        model = load_adapter(_base(section, tokenizer), folder, "scorer").merge_and_unload()
    else:
        model = load_model(AutoModelForSequenceClassification, folder, "scorer", dtype=torch.float32)
    return two_labels(model) if section.objective == "pairwise" else model


# --- training and measuring


class BalancedTrainer(Ordered, Trainer):
    """Weighs the two classes so that each contributes half of the loss."""

    loss_is_scaled_for_ga = (
        False  # compute_loss is a mean over one batch, so the trainer divides by the number of accumulated ones
    )

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


def class_weights(right: Bools) -> torch.Tensor:
    """Weights of (wrong, right) with which each class contributes half of the mean loss.

    >>> class_weights(np.array([True, True, True, False]))
    tensor([2.0000, 0.6667])
    """
    count = torch.tensor([(~right).sum(), right.sum()], dtype=torch.float32).clamp(min=1)
    return len(right) / (2 * count)


class Patience(TrainerCallback):
    """Stops once the held-out AUC has not risen for some evaluations.

    It reads them from the log and keeps no state of its own, so that it works in a resumed training too.
    """

    def __init__(self, evaluations: int) -> None:
        self.evaluations = evaluations

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        found = [row["eval_auc"] for row in state.log_history if row["step"] and "eval_auc" in row]
        if found and len(found) - 1 - int(np.argmax(found)) >= self.evaluations:
            control.should_training_stop = True

    on_train_begin = on_evaluate  # a training may be killed after it stopped early, and be resumed


def margins_of(logits: np.ndarray) -> Floats:
    """Logit of right minus logit of wrong, from logits (N, 2); logits (N, 1) are that difference already."""
    logits = logits.astype(np.float64)
    return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]


def _metrics(right: Bools, pairs: Ints | None, prediction: EvalPrediction) -> dict[str, float]:
    """The metrics of an evaluation on texts with the labels `right`; with `pairs` the loss is that of pairs."""
    margins = margins_of(prediction.predictions)
    quality = scorer_quality(Calibration().scores(margins), right)
    if quality is None:
        raise ValueError("one class alone is held out")
    return {
        # replaces the trainer's mean over batches
        "loss": balanced_loss(margins, right) if pairs is None else pair_loss(margins, pairs),
        "auc": quality.auc,
        "accuracy": float(((margins >= 0) == right).mean()),
    }
