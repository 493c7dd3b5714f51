"""Fine-tuning of the generator: a LoRA adapter on prompts exactly as inference builds them.

The loss counts the reasoning only. Examples in a training prompt never come from its own problem.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from augen.core import params
from augen.core.files import whole_folder, write_json
from augen.entries import Entry, QuestionItem
from augen.prompts.sections import completion, solve_prompt
from augen.prompts.window import Window
from augen.retrieval.index import Retriever
from augen.store.identity import refuse_pickled_weights
from augen.training.launch import processes
from augen.training.trainer import (
    History,
    Ordered,
    check_names,
    quiet_libraries,
    run_trainer,
    split_by_problem,
    training_arguments,
)

CURVES = ["loss", "eval_loss", "eval_mean_token_accuracy"]


@dataclass(frozen=True)
class Lesson:
    """A prompt, and what the generator should write after it."""

    problem_id: str
    prompt: str
    reasoning: str


def lessons(entries: Sequence[Entry], retriever: Retriever, k: int, instruction: str, window: Window) -> list[Lesson]:
    """One lesson per question with a reasoning, its prompt as inference builds it with `k` retrieved examples.

    Examples that would make it longer than `window` are dropped, as inference does; a question that does not fit
    even without examples is left out.
    """
    solved = [(e.problem, q, e.id) for e in entries for q in e.questions if q.reasoning]
    found = retriever.examples(solved, k)
    taught = []
    for (problem, item, entry_id), shots in zip(solved, found, strict=True):
        reasoning = _reasoning(item)
        room = window.length(reasoning) + 1  # and the end-of-text token
        prompt = window.fitted(partial(solve_prompt, instruction, problem, item), shots, room)
        if prompt is not None:
            taught.append(Lesson(entry_id, prompt, reasoning))
    too_long = len(solved) - len(taught)
    print(
        f"{len(taught):,} lessons"
        + (f"; {too_long:,} questions are too long for finetune.max_length" if too_long else "")
    )
    return taught


def _reasoning(item: QuestionItem) -> str:
    if item.reasoning is None:
        raise ValueError("a lesson needs a reasoning")
    return item.reasoning


class LessonTrainer(Ordered, SFTTrainer):
    """Supervised fine-tuning with lessons in an order that a training can go on with."""


@dataclass(frozen=True)
class Adapter:
    """What fine-tuning ends with; ``history`` is the trainer's log, ``folder`` where the adapter was left."""

    trainer: LessonTrainer
    metrics: dict[str, Any]
    history: History
    folder: Path

    def save(self, folder: Path) -> None:
        """The adapter alone, without what the trainer notes for itself."""
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
    """Train a LoRA adapter on all linear layers, with the loss on the reasonings only.

    Goes on from the last checkpoint in `scratch`.
    """
    quiet_libraries()
    check_names(section)
    torch.manual_seed(seed)
    refuse_pickled_weights(model.generator, "model.generator")
    tokenizer = AutoTokenizer.from_pretrained(model.generator, revision=model.revision)
    base = AutoModelForCausalLM.from_pretrained(
        model.generator,
        revision=model.revision,
        dtype=torch.bfloat16 if section.bf16 and torch.cuda.is_available() else torch.float32,
        use_safetensors=True,
    )
    train, held_out = split_by_problem(taught, lambda lesson: lesson.problem_id, section.held_out, seed)
    rows = {name: _rows(part, tokenizer) for name, part in (("train", train), ("held_out", held_out))}
    trainer = LessonTrainer(
        model=base,
        args=SFTConfig(
            **training_arguments(section, seed, scratch, len(rows["train"]), processes()),
            max_length=None,
            completion_only_loss=True,
        ),
        train_dataset=rows["train"],
        eval_dataset=rows["held_out"],
        processing_class=tokenizer,
        peft_config=LoraConfig(
            r=section.rank,
            lora_alpha=section.alpha,
            lora_dropout=section.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    run_trainer(trainer, on_log)
    final = trainer.evaluate()
    trainer.save_model(str(scratch / "trained"))  # by all processes: each may hold a part of the weights
    before = next(row for row in trainer.state.log_history if "eval_loss" in row)
    metrics = {
        "lessons": len(rows["train"]),
        "held_out": len(rows["held_out"]),
        "held_out_loss": final["eval_loss"],
        "held_out_token_accuracy": final["eval_mean_token_accuracy"],
        "held_out_loss_before": before["eval_loss"],
        "held_out_token_accuracy_before": before["eval_mean_token_accuracy"],
        "learned_nothing": final["eval_loss"] >= before["eval_loss"],
    }
    return Adapter(trainer, metrics, trainer.state.log_history, scratch / "trained")


def _rows(taught: Sequence[Lesson], tokenizer: Any) -> Dataset:
    """Token ids, longest first, and what of them is to be learned.

    Prompt and reasoning are tokenized apart, as when sampling.
    """
    rows = []
    for lesson in taught:
        prompt = tokenizer(lesson.prompt)["input_ids"]
        written = tokenizer(completion(lesson.reasoning, tokenizer.eos_token), add_special_tokens=False)["input_ids"]
        mask = [0] * len(prompt) + [1] * len(written)
        rows.append({"input_ids": prompt + written, "completion_mask": mask})
    return Dataset.from_list(sorted(rows, key=lambda row: -len(row["input_ids"])))
