"""What tests of the trainings share: params of small trainings, problems to learn from, and which weights moved."""

from pathlib import Path
from typing import Any

import torch

from augen.core import params
from augen.entries import Entry, QuestionItem

SHARED: dict[str, Any] = {
    "held_out": 0.2,
    "epochs": 3,
    "batch_size": 4,
    "gradient_accumulation": 1,
    "learning_rate": 2e-4,
    "scheduler": "constant",
    "warmup": 0.0,
    "optimizer": "adamw_torch",
    "bf16": False,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "gradient_checkpointing": False,
    "rank": 4,
    "alpha": 8,
    "dropout": 0.0,
    "evaluations": 8,
    "report_to": [],
    "launch": None,
}


def scorer_section(base: Path, **changes: Any) -> params.Scorer:
    own = {"base": str(base), "input": "full", "max_length": 160, "objective": "classify", "tuning": "full"}
    return params.Scorer(**(SHARED | own | {"patience": None} | changes))


def finetune_section(**changes: Any) -> params.Finetune:
    own = {"max_length": 300, "reasonings": None, "copies": True, "target": "reasoning", "pseudo": None}
    return params.Finetune(**(SHARED | own | {"adapters": 1, "share": 1.0} | changes))


def item(number: int) -> QuestionItem:
    return QuestionItem("谁高？", ["甲", "乙"], f"{'甲' * (number % 5)}高。\n答案是：A", "A", "solver")


def entry(number: int, problem_id: str = "") -> Entry:
    return Entry(f"甲比乙高{number}。", [item(number)], problem_id or f"p{number}")


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}
