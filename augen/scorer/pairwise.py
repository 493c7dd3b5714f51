"""The pairwise objective: a right reasoning shall score higher than a wrong one of the same question.

TRL's RewardTrainer learns one number per text (Bradley-Terry, -log sigmoid(right - wrong)), but a scorer has two
logits. For training its head is folded into one logit, their difference; afterwards the head is unfolded again. So the
saved model is the same kind of classifier as with the objective ``classify``.
"""

from typing import Any

import torch
from transformers import DataCollatorWithPadding, PreTrainedModel
from trl import RewardTrainer
from trl.trainer.reward_trainer import DataCollatorForPreference

from augen.core.errors import AugenError
from augen.training.trainer import Ordered


def one_label(model: PreTrainedModel) -> PreTrainedModel:
    """`model` with one logit, the difference of its two; AugenError if its head is of another kind."""
    head = getattr(model, "score", None)
    if not isinstance(head, torch.nn.Linear) or head.bias is not None:
        raise AugenError(f"objective pairwise needs a base with a linear head without bias, not {type(model).__name__}")
    return _with_head(model, head.weight[1:] - head.weight[:1])


def two_labels(model: PreTrainedModel) -> PreTrainedModel:
    """`model` with two logits (wrong, right) whose difference is the one that it has."""
    half = model.score.weight / 2
    return _with_head(model, torch.cat([-half, half]))


def _with_head(model: PreTrainedModel, weight: torch.Tensor) -> PreTrainedModel:
    labels, width = weight.shape
    head = torch.nn.Linear(width, labels, bias=False, device=weight.device, dtype=weight.dtype)
    with torch.no_grad():
        head.weight.copy_(weight)
    model.score = head
    model.num_labels = model.config.num_labels = labels
    return model


class PairCollator:
    """Pads pairs for training and single texts for evaluation."""

    def __init__(self, tokenizer: Any) -> None:
        self.pairs = DataCollatorForPreference(pad_token_id=tokenizer.pad_token_id)
        self.texts = DataCollatorWithPadding(tokenizer)

    def __call__(self, rows: list[dict[str, Any]]) -> Any:
        return self.pairs(rows) if "chosen_ids" in rows[0] else self.texts(rows)


class PairTrainer(Ordered, RewardTrainer):
    """Trains on pairs; evaluates on single texts, because the scorer is used on those."""

    def __init__(self, *args: Any, eval_dataset: Any, **kwargs: Any) -> None:
        super().__init__(*args, eval_dataset=kwargs["train_dataset"], **kwargs)
        self.eval_dataset = eval_dataset  # set afterwards, because RewardTrainer only takes pairs
        self.label_names = ["labels"]

    def compute_loss(
        self, model: torch.nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **kwargs: Any
    ) -> Any:
        if "labels" not in inputs:
            return super().compute_loss(model, inputs, return_outputs=return_outputs, **kwargs)
        del inputs["labels"]
        outputs = model(**inputs)
        loss = torch.zeros((), device=outputs.logits.device)  # the held-out loss is computed later, from all logits
        return (loss, outputs) if return_outputs else loss
