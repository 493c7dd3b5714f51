"""What both trainings share: the held-out split, arguments from params, the order of batches, the curves."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import gcd
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

from augen.core import params
from augen.core.errors import AugenError
from augen.core.seeds import seed_of
from augen.entries import origin
from augen.training.checkpoints import resume_point

if TYPE_CHECKING:
    from transformers import Trainer

T = TypeVar("T")
History = list[dict[str, Any]]
LOGS_PER_EVALUATION = 4  # points on the training curve between two on the held-out one
SHOWN = {"loss": "loss", "eval_loss": "held-out loss"}  # on the bar: names in the trainer's log, and in words
GROUPED = 16  # batches that are sorted by length together: less padding, and still another order every epoch


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


def training_arguments(
    section: params.Training, seed: int, scratch: Path, examples: int, processes: int = 1
) -> dict[str, Any]:
    """`section` as the keyword arguments that the trainers' configurations have in common.

    A step sees the same examples on any number of processes; AugenError where they cannot be shared out evenly.
    """
    if section.optimizer == "lomo" and processes > 1:
        raise AugenError("optimizer lomo updates within one process: take another, or set launch to null")
    batch, accumulation = shared_out(section.batch_size, section.gradient_accumulation, processes)
    steps = max(1, round(examples / section.batch_size / section.gradient_accumulation * section.epochs))
    log_every = max(1, steps // (LOGS_PER_EVALUATION * section.evaluations))
    # A checkpoint is taken where the loss has just been logged and measured, so that a training which goes on from
    # it logs what an undisturbed one would have logged.
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
        # Also how good the untrained model is; a training that goes on has that in its log already.
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
    """``(batch, accumulated batches)`` of each process, for the steps of `batch_size` × `accumulation` examples.

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
    """AugenError where `section` names an optimizer that does not exist, or a tracker that is not installed."""
    from transformers.integrations.integration_utils import get_reporting_integration_callbacks
    from transformers.training_args import OptimizerNames

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


def grouped_by_length(lengths: Sequence[int], batch: int, rng: Random) -> list[int]:
    """All indices in random order, such that every `batch` following ones are of similar length.

    The longest come first, so that memory runs out at once or never; a rest smaller than a batch comes last.

    >>> grouped_by_length([5, 1, 9, 2, 8, 1], batch=2, rng=Random(0))
    [2, 4, 1, 5, 0, 3]
    """
    order = list(range(len(lengths)))
    rng.shuffle(order)
    size = batch * GROUPED
    chunks = (order[start : start + size] for start in range(0, len(order), size))
    flat = [index for chunk in chunks for index in sorted(chunk, key=lambda i: -lengths[i])]
    batches = [flat[start : start + batch] for start in range(0, len(flat), batch)]
    rest = [batches.pop()] if batches and len(batches[-1]) < batch else []
    rng.shuffle(batches)
    batches.sort(key=lambda found: lengths[found[0]] < max(lengths))  # only whether it holds a longest one
    return [index for found in batches + rest for index in found]


class _Grouped:
    """The order of an epoch: it depends on the seed and the epoch alone, so that a training can go on anywhere."""

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed, self.epoch = lengths, batch, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        rng = Random(seed_of(self.seed, "order of examples", self.epoch))
        return iter(grouped_by_length(self.lengths, self.batch, rng))


class Ordered:
    """Mixed into a trainer: batches of similar length in training, the given order when measuring.

    The trainer's own grouping draws its order from the global random state, which a training that goes on from a
    checkpoint in the middle of an epoch no longer has.
    """

    def _get_train_sampler(self, train_dataset: Any = None) -> _Grouped:
        from transformers import TrainerCallback

        trainer: Any = self
        rows = trainer.train_dataset if train_dataset is None else train_dataset
        lengths = [max(len(ids) for name, ids in row.items() if name.endswith("ids")) for row in rows]
        args = trainer.args
        step = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        sampler = _Grouped(lengths, step, args.seed)

        class Epochs(TrainerCallback):
            def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                sampler.epoch = int(state.epoch or 0)

        trainer.add_callback(Epochs())
        return sampler

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        from torch.utils.data import SequentialSampler

        return SequentialSampler(eval_dataset)


def quiet_libraries() -> None:
    """No bars of the libraries' own: for reading weights, for copying rows; at checkpoints they break into ours."""
    from datasets import disable_progress_bars
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    disable_progress_bars()


def run_trainer(trainer: "Trainer", on_log: Callable[[History], None] | None = None) -> None:
    """Train, from the last checkpoint where there is one; `on_log` is given the whole log whenever it grows."""
    from transformers import PrinterCallback, ProgressCallback, TrainerCallback

    terminal = sys.stderr.isatty()  # in a log file a line every half minute is enough, and measuring gets none

    class LossOnBar(ProgressCallback):
        """One progress bar with the last losses on it, instead of a line of figures at every log."""

        prediction_bar: Any

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.losses: dict[str, str] = {}
            self.current_step = state.global_step
            if state.is_world_process_zero:
                self.training_bar = tqdm(
                    total=state.max_steps,
                    initial=state.global_step,
                    desc="training",
                    unit="step",
                    mininterval=0.2 if terminal else 30.0,
                    dynamic_ncols=True,
                )

        def on_prediction_step(
            self, args: Any, state: Any, control: Any, eval_dataloader: Any = None, **kwargs: Any
        ) -> None:
            if state.is_world_process_zero and terminal:
                if self.prediction_bar is None:
                    total = len(eval_dataloader)
                    self.prediction_bar = tqdm(
                        total=total, desc="measuring on what is held out", unit="batch", leave=False, dynamic_ncols=True
                    )
                self.prediction_bar.update(1)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            for key in SHOWN.keys() & (logs or {}).keys():
                self.losses[key] = f"{SHOWN[key]} {float(logs[key]):.3f}"
            if state.is_world_process_zero and self.training_bar is not None and self.losses:
                shown = ", ".join(self.losses[key] for key in SHOWN if key in self.losses)
                self.training_bar.set_postfix_str(shown, refresh=terminal)

    class Told(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if on_log is not None and state.is_world_process_zero:
                on_log(state.log_history)

    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    trainer.add_callback(LossOnBar)
    trainer.add_callback(Told())
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
