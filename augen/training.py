"""What both trainings share: arguments from params, the held-out split, curves for ``dvc plots``."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from augen import params
from augen.entries import origin
from augen.errors import AugenError

if TYPE_CHECKING:
    from transformers import Trainer

T = TypeVar("T")
EVALUATIONS = 8  # points on the held-out curve


def split_by_problem(
    items: Sequence[T], problem_of: Callable[[T], str], held_out: float, seed: int
) -> tuple[list[T], list[T]]:
    """``(train, held out)``: all items of a problem, rewritten copies too, fall on the same side.

    About `held_out` of the problems, at least one on each side; AugenError if there are fewer than two.
    """
    problems = sorted({origin(problem_of(item)) for item in items})
    if len(problems) < 2:
        raise AugenError(f"{len(problems)} problems to train on: at least 2 are needed, one of them held out")
    Random(seed).shuffle(problems)
    out = set(problems[: min(len(problems) - 1, max(1, round(held_out * len(problems))))])
    train = [item for item in items if origin(problem_of(item)) not in out]
    return train, [item for item in items if origin(problem_of(item)) in out]


def training_arguments(section: params.Training, seed: int, scratch: Path, examples: int) -> dict[str, Any]:
    """`section` as the keyword arguments that ``TrainingArguments`` and ``SFTConfig`` have in common."""
    steps = max(1, round(examples / section.batch_size / section.gradient_accumulation * section.epochs))
    return {
        "output_dir": str(scratch),
        "num_train_epochs": section.epochs,
        "per_device_train_batch_size": section.batch_size,
        "per_device_eval_batch_size": 2 * section.batch_size,
        "gradient_accumulation_steps": section.gradient_accumulation,
        "learning_rate": section.learning_rate,
        "lr_scheduler_type": section.scheduler,
        "warmup_steps": section.warmup if section.warmup < 1 else steps,
        "optim": section.optimizer,
        "bf16": section.bf16,
        "seed": seed,
        "data_seed": seed,
        "train_sampling_strategy": "group_by_length",
        "eval_strategy": "steps",
        "eval_steps": max(1, steps // EVALUATIONS),
        "logging_steps": max(1, steps // (4 * EVALUATIONS)),
        "save_strategy": "no",
        "report_to": "none",
        "dataloader_pin_memory": False,
    }


def quiet(trainer: "Trainer") -> None:
    """Let `trainer` show one progress bar with the loss in it, instead of a line of figures at every log."""
    from transformers import PrinterCallback, ProgressCallback

    class LossOnBar(ProgressCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            shown = {key: f"{float(value):.3f}" for key, value in (logs or {}).items() if key in ("loss", "eval_loss")}
            if state.is_world_process_zero and self.training_bar is not None and shown:
                self.training_bar.set_postfix(shown)

    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    trainer.add_callback(LossOnBar)


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
