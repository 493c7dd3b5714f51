"""Rejection fine-tuning of the generator: a LoRA adapter, trained on the reasonings and programs that passed.

Only the tokens of a reasoning or program count in the loss, not those of its prompt.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM
from trl import SFTConfig, SFTTrainer

from augen.adapter.lessons import Lesson
from augen.core import params
from augen.core.files import whole_folder, write_json
from augen.core.models import load_model, load_tokenizer
from augen.prompts.sections import completion
from augen.training.launch import processes
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

CURVES = ["loss", "eval_loss", "eval_mean_token_accuracy"]


class LessonTrainer(Ordered, SFTTrainer):
    """TRL's supervised fine-tuning, with the lessons in an order that survives a resumption."""


@dataclass(frozen=True)
class Adapter:
    """The result of fine-tuning; ``history`` is the trainer's log, the weights are in ``folder``."""

    trainer: LessonTrainer
    metrics: dict[str, Any]
    history: History
    folder: Path

    def save(self, folder: Path) -> None:
        """Write the adapter alone, without the trainer's other files."""
        with whole_folder(folder) as partial:
            shutil.copyfile(self.folder / "adapter_model.safetensors", partial / "adapter_model.safetensors")
            config = json.loads((self.folder / "adapter_config.json").read_text(encoding="utf-8"))
            config["target_modules"] = sorted(config["target_modules"])  # peft keeps a set, in another order every time
            write_json(partial / "adapter_config.json", config)


def finetune(
    taught: Sequence[Lesson],
    model: params.Model,
    section: params.Finetune,
    seed: int,
    scratch: Path,
    on_log: Callable[[History], None] | None = None,
) -> Adapter:
    """Train a LoRA adapter on all linear layers, with the loss on the completions only.

    Resumes from the last checkpoint in `scratch`, if there is one.
    """
    quiet_libraries()
    check_names(section)
    torch.manual_seed(seed)
    tokenizer = load_tokenizer(model.generator, "model.generator", revision=model.revision)
    base = load_model(
        AutoModelForCausalLM,
        model.generator,
        "model.generator",
        revision=model.revision,
        dtype=torch.bfloat16 if section.bf16 and torch.cuda.is_available() else torch.float32,
    )
    train, held_out = split_by_problem(taught, lambda lesson: lesson.problem_id, section.held_out, seed)
    arguments = training_arguments(section, seed, scratch, len(train), processes())
    trainer = LessonTrainer(
        model=base,
        args=SFTConfig(**arguments, max_length=None, completion_only_loss=True),
        train_dataset=_rows(train, tokenizer),
        eval_dataset=_rows(held_out, tokenizer),
        processing_class=tokenizer,
        peft_config=lora_config(section, "CAUSAL_LM", base),
    )
    run_trainer(trainer, on_log)
    metrics = {"lessons": len(train), "held_out": len(held_out), **_improvement(trainer)}
    trainer.save_model(str(scratch / "trained"))  # by all processes: each may hold a part of the weights
    return Adapter(trainer, metrics, trainer.state.log_history, scratch / "trained")


def _improvement(trainer: LessonTrainer) -> dict[str, Any]:
    """Held-out loss and token accuracy, after training and before."""
    after = trainer.evaluate()
    before = next(row for row in trainer.state.log_history if "eval_loss" in row)
    return {
        "held_out_loss": after["eval_loss"],
        "held_out_token_accuracy": after["eval_mean_token_accuracy"],
        "held_out_loss_before": before["eval_loss"],
        "held_out_token_accuracy_before": before["eval_mean_token_accuracy"],
        "learned_nothing": after["eval_loss"] >= before["eval_loss"],
    }


def _rows(taught: Sequence[Lesson], tokenizer: Any) -> Dataset:
    """Token ids with a mask of those to be learned, the longest lesson first.

    Prompt and completion are tokenized separately, because in sampling the prompt is tokenized alone.
    """
    rows = []
    for lesson in taught:
        prompt = tokenizer(lesson.prompt)["input_ids"]
        written = tokenizer(completion(lesson.text, tokenizer.eos_token), add_special_tokens=False)["input_ids"]
        mask = [0] * len(prompt) + [1] * len(written)
        rows.append({"input_ids": prompt + written, "completion_mask": mask})
    return Dataset.from_list(sorted(rows, key=lambda row: -len(row["input_ids"])))
