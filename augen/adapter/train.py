"""Rejection fine-tuning of the generator: a LoRA adapter, trained on the reasonings and programs that passed.

Only the tokens of a reasoning or program count in the loss, not those of its prompt.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from sys import intern
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM
from trl import SFTConfig, SFTTrainer

from augen.adapter.exact import OTHER, exact_shares, family_shares
from augen.adapter.lessons import Lesson
from augen.core import params
from augen.core.files import whole_folder, write_json
from augen.core.models import load_model, load_tokenizer
from augen.core.seeds import seed_of
from augen.entries import family_of, origin
from augen.prompts.sections import completion
from augen.training.launch import processes
from augen.training.rows import Row, longest_first, on_disk, tokens
from augen.training.spilled import Spilled
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

UNLEARNED = -100  # the label of a token that does not count in the loss
CURVES = ["loss", "eval_loss", "eval_mean_token_accuracy", "eval_exact_reasoning", "eval_exact_program"]


@dataclass(frozen=True)
class Course:
    """What one adapter is trained on and measured on, and the seed of its weights and of the order of its lessons."""

    train: Sequence[Lesson]
    held_out: Sequence[Lesson]
    seed: int


def courses(taught: Spilled[Lesson], section: params.Finetune, seed: int) -> list[Course]:
    """A course for each of the adapters of `section`; all hold out the same problems.

    Each has a seed of its own, the first one `seed`, and takes by it the share of the other problems that is wanted.
    """
    of = [intern(origin(lesson.problem_id)) for lesson in taught]
    train, held_out = split_by_problem(of, section.held_out, seed)
    problems = sorted({of[place] for place in train})
    size = max(1, round(section.share * len(problems)))
    found = []
    for number in range(section.adapters):
        own = seed_of(seed, "adapter", number) if number else seed
        taken = set(Random(seed_of(own, "share")).sample(problems, size))
        learned = taught.those(place for place in train if of[place] in taken)
        found.append(Course(learned, taught.those(held_out), own))
    return found


class LessonTrainer(Ordered, SFTTrainer):
    """TRL's supervised fine-tuning, with the lessons in an order that survives a resumption.

    Its log says of every evaluation which share of the lessons the model would write to the letter.
    """

    _exact: list[torch.Tensor]  # (B,) by batch of the evaluation that runs: whether it would write each lesson so

    def __init__(self, **arguments: Any) -> None:
        self._exact = []
        super().__init__(**arguments)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        def watched(**arguments: Any) -> Any:
            """The model's outputs say of each token whether it is the likeliest; TRL itself only counts these."""
            outputs = model(**arguments)
            exact = (outputs.is_top1 | ~outputs.label_mask).all(dim=1)
            self._exact.append(self.accelerator.gather_for_metrics(exact))  # of all processes, in the lessons' order
            return outputs

        seen = model if self.model.training else watched
        return super().compute_loss(seen, inputs, return_outputs, num_items_in_batch)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if self._exact:
            rows = self.eval_dataset
            logs.update(exact_shares(rows["kind"], rows["family"], torch.cat(self._exact).tolist()))
            self._exact.clear()
        super().log(logs, start_time)


@dataclass(frozen=True)
class Adapter:
    """The result of fine-tuning; ``history`` is the trainer's log, the weights are in ``folder``."""

    trainer: LessonTrainer
    metrics: dict[str, Any]
    history: History
    folder: Path

    def save(self, folder: Path) -> None:
        """Write the adapter alone, without the trainer's other files."""
        save_adapters([self.folder], folder)


def save_adapters(trained: Sequence[Path], folder: Path) -> None:
    """Write the adapter of a trainer's folder to `folder`; of several each to a folder there, with its number."""
    with whole_folder(folder) as partial:
        for number, source in enumerate(trained):
            target = partial / str(number) if len(trained) > 1 else partial
            target.mkdir(exist_ok=True)
            shutil.copyfile(source / "adapter_model.safetensors", target / "adapter_model.safetensors")
            config = json.loads((source / "adapter_config.json").read_text(encoding="utf-8"))
            config["target_modules"] = sorted(config["target_modules"])  # peft keeps a set, in another order every time
            write_json(target / "adapter_config.json", config)


def one_after_another(histories: Sequence[History]) -> History:
    """The logs of several trainings as one: the steps of each go on where those of the one before it ended.

    >>> one_after_another([[{"step": 0}, {"step": 8}], [{"step": 0}, {"step": 8}]])
    [{'step': 0}, {'step': 8}, {'step': 9}, {'step': 17}]
    """
    joined: History = []
    for history in histories:
        first = joined[-1]["step"] + 1 if joined else 0
        joined += [row | {"step": first + row["step"]} for row in history]
    return joined


def finetune(
    course: Course,
    model: params.Model,
    section: params.Finetune,
    scratch: Path,
    on_log: Callable[[History], None] | None = None,
) -> Adapter:
    """Train a LoRA adapter on all linear layers, with the loss on the completions only.

    Resumes from the last checkpoint in `scratch`, if there is one.
    """
    quiet_libraries()
    check_names(section)
    torch.manual_seed(course.seed)
    tokenizer = load_tokenizer(model.generator, "model.generator", revision=model.revision)
    base = load_model(
        AutoModelForCausalLM,
        model.generator,
        "model.generator",
        revision=model.revision,
        dtype=torch.bfloat16 if section.bf16 and torch.cuda.is_available() else torch.float32,
    )
    arguments = training_arguments(section, course.seed, scratch, len(course.train), processes())
    trainer = LessonTrainer(
        model=base,
        args=SFTConfig(**arguments, max_length=None),
        train_dataset=lesson_rows(course.train, tokenizer, scratch, "train"),
        eval_dataset=lesson_rows(course.held_out, tokenizer, scratch, "held_out"),
        processing_class=tokenizer,
        peft_config=lora_config(section, "CAUSAL_LM", base),
    )
    started = time.perf_counter()
    run_trainer(trainer, on_log)
    seconds = time.perf_counter() - started
    after = trainer.evaluate()
    print(f"{after['eval_num_tokens'] / seconds:,.0f} tokens a second in {seconds:.0f} s of training and evaluating")
    lessons = {"lessons": len(course.train), "held_out": len(course.held_out)}
    metrics = lessons | _improvement(trainer.state.log_history, after)
    trainer.save_model(str(scratch / "trained"))  # by all processes: each may hold a part of the weights
    return Adapter(trainer, metrics, trainer.state.log_history, scratch / "trained")


def _improvement(history: History, after: dict[str, Any]) -> dict[str, Any]:
    """Held-out loss, token accuracy and shares of lessons written to the letter, after training and before."""
    before = next(row for row in history if "eval_loss" in row)
    kinds = [kind for kind in ("reasoning", "program") if f"eval_exact_{kind}" in after]
    by_family: dict[str, dict[str, float]] = {}
    for family, kind, _, share in family_shares(after):
        by_family.setdefault(family, {})[kind] = share
    return {
        "held_out_loss": after["eval_loss"],
        "held_out_token_accuracy": after["eval_mean_token_accuracy"],
        "held_out_loss_before": before["eval_loss"],
        "held_out_token_accuracy_before": before["eval_mean_token_accuracy"],
        **{f"held_out_exact_{kind}": after[f"eval_exact_{kind}"] for kind in kinds},
        **{f"held_out_exact_{kind}_before": before[f"eval_exact_{kind}"] for kind in kinds},
        "held_out_exact_by_family": by_family,
        "learned_nothing": after["eval_loss"] >= before["eval_loss"],
    }


def lesson_rows(taught: Sequence[Lesson], tokenizer: Any, folder: Path, name: str) -> Dataset:
    """Token ids, those to be learned as labels, and what each lesson is, the longest first; see `on_disk`.

    Prompt and completion are tokenized separately, because in sampling the prompt is tokenized alone.
    """

    def rows() -> Iterator[Row]:
        for lesson in taught:
            prompt = tokenizer(lesson.prompt)["input_ids"]
            written = tokenizer(completion(lesson.text, tokenizer.eos_token), add_special_tokens=False)["input_ids"]
            labels = [UNLEARNED] * len(prompt) + written
            group = {"kind": lesson.kind, "family": family_of(lesson.problem_id) or OTHER}
            yield {"input_ids": tokens(prompt + written), "labels": tokens(labels), **group}

    return longest_first(on_disk(rows, folder, name), ["input_ids"])[0]
