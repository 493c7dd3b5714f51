"""Fine-tuning of the generator: a LoRA adapter on prompts exactly as inference builds them.

The loss counts the reasoning only. Examples in a training prompt never come from its own problem.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from augen import params
from augen.entries import Entry, QuestionItem
from augen.prompts import completion, solve_prompt
from augen.retrieval import Retriever
from augen.training import split_by_problem, training_arguments


@dataclass(frozen=True)
class Lesson:
    """A prompt, and what the generator should write after it."""

    problem_id: str
    prompt: str
    reasoning: str


def lessons(
    entries: Sequence[Entry], retriever: Retriever, k: int, instruction: str, wrap: Callable[[str], str]
) -> list[Lesson]:
    """One lesson per question with a reasoning, with `k` retrieved examples in its prompt."""
    solved = [(e.problem, q, e.id) for e in entries for q in e.questions if q.reasoning]
    found = retriever.examples(solved, k)
    return [
        Lesson(entry_id, wrap(solve_prompt(instruction, problem, item, shots)), _reasoning(item))
        for (problem, item, entry_id), shots in zip(solved, found, strict=True)
    ]


def _reasoning(item: QuestionItem) -> str:
    if item.reasoning is None:
        raise ValueError("a lesson needs a reasoning")
    return item.reasoning


@dataclass(frozen=True)
class Adapter:
    """What fine-tuning ends with; ``history`` is the trainer's log."""

    trainer: SFTTrainer
    metrics: dict[str, Any]
    history: list[dict[str, Any]]

    def save(self, folder: Path) -> None:
        self.trainer.model.save_pretrained(folder)


def finetune(
    taught: Sequence[Lesson], model: params.Model, section: params.Finetune, seed: int, scratch: Path
) -> Adapter:
    """Train a LoRA adapter on all linear layers; lessons longer than ``max_length`` tokens are left out."""
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(model.generator, revision=model.revision)
    base = AutoModelForCausalLM.from_pretrained(
        model.generator,
        revision=model.revision,
        dtype=torch.bfloat16 if section.bf16 and torch.cuda.is_available() else torch.float32,
        use_safetensors=True,
    )
    train, held_out = split_by_problem(taught, lambda lesson: lesson.problem_id, section.held_out, seed)
    rows = {
        name: _rows(part, tokenizer, section.max_length) for name, part in (("train", train), ("held_out", held_out))
    }
    left_out = len(taught) - sum(len(part) for part in rows.values())
    print(f"{len(rows['train']):,} lessons, {len(rows['held_out']):,} held out, {left_out} too long and left out")

    trainer = SFTTrainer(
        model=base,
        args=SFTConfig(
            **training_arguments(section, seed, scratch, len(rows["train"])),
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
    trainer.train()
    final = trainer.evaluate()
    metrics = {
        "lessons": len(rows["train"]),
        "held_out": len(rows["held_out"]),
        "left_out": left_out,
        "held_out_loss": final["eval_loss"],
        "held_out_token_accuracy": final.get("eval_mean_token_accuracy"),
    }
    return Adapter(trainer, metrics, trainer.state.log_history)


def _rows(taught: Sequence[Lesson], tokenizer: Any, max_length: int) -> Dataset:
    """Token ids with a mask of what is to be learned; prompt and reasoning are tokenized apart, as when sampling."""
    rows = []
    for lesson in taught:
        prompt = tokenizer(lesson.prompt)["input_ids"]
        written = tokenizer(completion(lesson.reasoning, tokenizer.eos_token), add_special_tokens=False)["input_ids"]
        if len(prompt) + len(written) <= max_length:
            mask = [0] * len(prompt) + [1] * len(written)
            rows.append({"input_ids": prompt + written, "completion_mask": mask})
    return Dataset.from_list(rows)
