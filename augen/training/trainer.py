"""What all trainings share: the held-out split, arguments from params, the order of batches, the curves."""

import re
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import gcd
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from torch.utils.data import SequentialSampler
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback
from transformers.integrations.integration_utils import get_reporting_integration_callbacks
from transformers.training_args import OptimizerNames

from augen.core import params
from augen.core.arrays import Ints
from augen.core.errors import AugenError
from augen.core.seeds import seed_of
from augen.entries import origin
from augen.training.checkpoints import resume_point
from augen.training.rows import lengths_of

History = list[dict[str, Any]]
LOGS_PER_EVALUATION = 4  # points on the training curve between two on the held-out one
SHOWN = {"loss": "loss", "eval_loss": "held-out loss"}  # on the progress bar: key in the trainer's log, and its name
GROUPED = 16  # batches sorted by length together: little padding, and every epoch still has another order


def split_by_problem(problem_ids: Iterable[str], held_out: float, seed: int) -> tuple[list[int], list[int]]:
    """``(train, held out)``: the places of items, given the id of each one's problem.

    All items of a problem and of its rewritten copies fall on the same side. About the share `held_out` of the
    problems is held out, at least one problem falls on each side; AugenError if there are fewer than two problems.
    """
    number: dict[str, int] = {}
    of = array("q", (number.setdefault(origin(id), len(number)) for id in problem_ids))
    problems = sorted(number)
    if len(problems) < 2:
        raise AugenError(
            f"data/filtered: at least 2 problems are needed to train on, one of them held out; "
            f"there {'is 1' if problems else 'are none'}, and reports/filter.json says what was dropped"
        )
    Random(seed).shuffle(problems)
    out = {number[problem] for problem in problems[: min(len(problems) - 1, max(1, round(held_out * len(problems))))]}
    train = [place for place, problem in enumerate(of) if problem not in out]
    return train, [place for place, problem in enumerate(of) if problem in out]


def training_arguments(
    section: params.Training, seed: int, scratch: Path, examples: int, processes: int = 1
) -> dict[str, Any]:
    """`section` as keyword arguments for the configuration of any of the trainers.

    A step sees the same examples on any number of processes; AugenError if they cannot be shared out evenly.
    """
    if section.optimizer == "lomo" and processes > 1:
        raise AugenError("optimizer lomo updates within one process: take another, or set launch to null")
    batch, accumulation = shared_out(section.batch_size, section.gradient_accumulation, processes)
    steps = max(1, round(examples / section.batch_size / section.gradient_accumulation * section.epochs))
    log_every = max(1, steps // (LOGS_PER_EVALUATION * section.evaluations))
    # A checkpoint is saved only where the loss has just been logged and measured: a training resumed from it then
    # logs the same as one that was never stopped.
    measure_every = log_every * max(1, steps // section.evaluations // log_every)
    return {
        "output_dir": str(scratch),
        "num_train_epochs": section.epochs,
        "per_device_train_batch_size": batch,
        "per_device_eval_batch_size": 2 * batch,
        "gradient_accumulation_steps": accumulation,
        "learning_rate": section.learning_rate,
        "lr_scheduler_type": section.scheduler,
        "warmup_steps": section.warmup if section.warmup < 1 else steps,
        "optim": section.optimizer,
        "weight_decay": section.weight_decay,
        "max_grad_norm": section.max_grad_norm,
        "bf16": section.bf16,
        "gradient_checkpointing": section.gradient_checkpointing,
        "seed": seed,
        "data_seed": seed,
        "eval_strategy": "steps",
        "eval_steps": measure_every,
        # How good the untrained model is; a resumed training has that in its log already.
        "eval_on_start": resume_point(scratch) is None,
        "logging_steps": log_every,
        "save_strategy": "steps",
        "save_steps": measure_every,
        "save_total_limit": 2,
        "report_to": section.report_to or "none",
        "dataloader_pin_memory": False,
        "remove_unused_columns": False,
    }


def shared_out(batch_size: int, accumulation: int, processes: int) -> tuple[int, int]:
    """``(batch, accumulated batches)`` of each process, so that a step has `batch_size` × `accumulation` examples.

    >>> shared_out(32, 1, processes=2), shared_out(1, 2, processes=2), shared_out(8, 3, processes=2)
    ((16, 1), (1, 1), (4, 3))
    """
    examples, rest = divmod(batch_size * accumulation, processes)
    if rest or not examples:
        raise AugenError(
            f"batch_size × gradient_accumulation = {batch_size * accumulation} examples a step "
            f"cannot be shared out evenly among {processes} processes"
        )
    batch = gcd(batch_size, examples)
    return batch, examples // batch


def check_names(section: params.Training) -> None:
    """AugenError if `section` names an optimizer that does not exist, or a tracker that is not installed."""
    names = [str(name.value) for name in OptimizerNames]
    if section.optimizer not in names:
        raise AugenError(f"optimizer {section.optimizer!r} is unknown; transformers has {', '.join(names)}")
    for name in section.report_to:
        try:
            [callback] = get_reporting_integration_callbacks([name])
            callback()
        except ValueError as error:
            raise AugenError(f"report_to: {error}") from None
        except (ImportError, RuntimeError):
            raise AugenError(f"report_to: {name} is not installed: pip install {name}, or take it out") from None


def grouped_by_length(lengths: Ints, batch: int, rng: Random) -> Ints:
    """All places in `lengths` (N,) in a random order in which each batch of `batch` places is of similar lengths.

    A batch with the longest comes first, so that memory runs out at once or never; an incomplete batch comes last.

    >>> grouped_by_length(np.array([5, 1, 9, 2, 8, 1]), batch=2, rng=Random(0))
    array([2, 4, 1, 5, 0, 3])
    """
    order = _shuffled(len(lengths), rng)
    chunks = np.arange(len(order)) // (batch * GROUPED)
    order = order[np.lexsort((-lengths[order], chunks))]
    whole = len(order) // batch * batch
    batches, rest = order[:whole].reshape(-1, batch), order[whole:]
    batches = batches[_shuffled(len(batches), rng)]
    without_longest = lengths[batches[:, 0]] < lengths.max(initial=0)
    return np.concatenate([batches[np.argsort(without_longest, kind="stable")].ravel(), rest])


def _shuffled(count: int, rng: Random) -> Ints:
    numbers = array("q", range(count))
    rng.shuffle(numbers)
    return np.array(numbers, np.int64)


class _EpochOrder(TrainerCallback):
    """A sampler: the order of an epoch depends on the seed and the epoch alone, so that training can resume anywhere.

    It is a callback to learn the epoch: accelerate's ``set_epoch`` misses it if several processes resume in mid-epoch.
    """

    def __init__(self, lengths: Ints, batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed, self.epoch = lengths, batch, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        rng = Random(seed_of(self.seed, "order of examples", self.epoch))
        return map(int, grouped_by_length(self.lengths, self.batch, rng))

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.epoch = int(state.epoch or 0)


class Ordered:
    """Mixed into a trainer: batches of similar length in training, the given order in evaluation.

    The trainer's own grouping takes its order from the global random state, which is lost when training resumes from
    a checkpoint in mid-epoch.
    """

    def _get_train_sampler(self, train_dataset: Any = None) -> _EpochOrder:
        trainer: Any = self
        rows = trainer.train_dataset if train_dataset is None else train_dataset
        lengths = lengths_of(rows, [name for name in rows.column_names if name.endswith("ids")]).max(axis=1)
        args = trainer.args
        step = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        sampler = _EpochOrder(lengths, step, args.seed)
        trainer.add_callback(sampler)
        return sampler

    def _get_eval_sampler(self, eval_dataset: Any) -> SequentialSampler:
        return SequentialSampler(eval_dataset)


# Layers that get no LoRA: those with which a model sees or hears, since our texts teach them nothing; and those of
# Mamba that peft cannot adapt.
SENSES = r".*(vision|visual|audio|multi_modal).*"
OF_MAMBA = r".*(out_proj|conv1d)"
MAMBA = frozenset({"falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h"})


def lora_config(section: params.Training, task: str, model: Any) -> Any:
    """A LoRA adapter on all linear layers of `model` that can learn from texts, for peft's `task`."""
    from peft import LoraConfig

    left_out = OF_MAMBA if model.config.model_type in MAMBA else SENSES
    any_there = any(re.fullmatch(left_out, name) for name, _ in model.named_modules())
    return LoraConfig(
        task,
        r=section.rank,
        lora_alpha=section.alpha,
        lora_dropout=section.dropout,
        target_modules="all-linear",
        exclude_modules=left_out if any_there else None,
    )


def quiet_libraries() -> None:
    """Turn off the libraries' own bars for reading weights and copying rows, which would break into ours."""
    from datasets import disable_progress_bars
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    disable_progress_bars()


class Progress(ProgressCallback):
    """The progress bar of transformers, with the last losses on it instead of a printed line at every log.

    In a log file it is a line every half minute, and evaluations have no bar. `on_log` is given the whole log whenever
    it has grown.
    """

    terminal = sys.stderr.isatty()
    training_bar: Any

    def __init__(self, on_log: Callable[[History], None] | None) -> None:
        super().__init__()
        self.report = on_log
        self.losses: dict[str, str] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        super().on_train_begin(args, state, control, **kwargs)
        self.current_step = state.global_step
        if self.training_bar is not None:
            bar = self.training_bar
            bar.n = bar.initial = bar.last_print_n = state.global_step
            bar.mininterval = 0.1 if self.terminal else 30.0
            bar.set_description_str("training", refresh=False)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.terminal:
            super().on_prediction_step(args, state, control, **kwargs)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        self.losses |= {name: f"{name} {float(logs[key]):.3f}" for key, name in SHOWN.items() if key in logs}
        if self.training_bar is not None:
            self.training_bar.set_postfix_str(", ".join(self.losses.values()), refresh=self.terminal)
        if self.report is not None and state.is_world_process_zero:
            self.report(state.log_history)


def run_trainer(trainer: Trainer, on_log: Callable[[History], None] | None = None) -> None:
    """Train, from the last checkpoint if there is one; `on_log` is called with the whole log whenever it has grown."""
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    trainer.add_callback(Progress(on_log))
    checkpoint = resume_point(Path(str(trainer.args.output_dir)))
    if checkpoint is not None:
        print(f"going on from step {checkpoint.name.rpartition('-')[2]}, where an earlier run was stopped", flush=True)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))


def curve_csv(history: Iterable[dict[str, Any]], columns: Sequence[str]) -> str:
    """A trainer's log as CSV: ``step`` and `columns`, one line per logged step, empty where not logged.

    >>> print(curve_csv([{"step": 5, "loss": 1.5}, {"step": 5, "eval_loss": 1.25}], ["loss", "eval_loss"]), end="")
    step,loss,eval_loss
    5,1.5,1.25
    """
    rows: dict[int, dict[str, Any]] = {}
    for record in history:
        if any(column in record for column in columns):
            rows.setdefault(int(record["step"]), {}).update(record)
    lines = [",".join(["step", *columns])]
    lines += [",".join([str(step), *(_number(rows[step].get(column)) for column in columns)]) for step in sorted(rows)]
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{float(value):.6g}"
