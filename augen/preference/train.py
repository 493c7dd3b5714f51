"""Trains an adapter further, by DPO or by GRPO, with the adapter as it was as the reference.

In both, `prefer.beta` says how dear it is to move away from the reference. For that TRL keeps a frozen copy of the
adapter, called ``ref``; the base model alone would pull the adapter back to what it was before fine-tuning.

A training that was killed goes on from its last checkpoint and ends with the weights that it would have had, GRPO too:
what it writes depends on the weights and on the random state, which the checkpoint holds.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
from transformers import AutoModelForCausalLM

from augen.adapter.train import one_after_another
from augen.core import params
from augen.core.models import load_adapter, load_model, load_tokenizer
from augen.core.seeds import seed_of
from augen.programs.verdicts import SolveMany
from augen.store.identity import content_hash
from augen.training.checkpoints import training_key
from augen.training.launch import processes
from augen.training.spilled import Spilled
from augen.training.trainer import History, check_names, curve_csv, quiet_libraries, run_trainer, training_arguments

CURVES = ["loss", "eval_loss", "preferred", "eval_preferred"]
T = TypeVar("T")
Split = tuple[Sequence[T], Sequence[T]]  # what is learned from, and what is held out


@dataclass(frozen=True)
class Start:
    """Where a training begins: the adapter, the model that it is for, and how it is trained."""

    adapter: Path
    model: params.Model
    training: params.Finetune
    section: params.Prefer
    seed: int

    @classmethod
    def of(cls, p: params.Params, adapter: Path, number: int) -> Self:
        """The start of the `number`-th training, which has a seed of its own."""
        training = p.prefer.training(p.finetune)
        return cls(adapter, p.model, training, p.prefer, seed_of(p.seed, "prefer", number))


@dataclass(frozen=True)
class Place:
    """The folder for checkpoints, and what is called with the whole log whenever it has grown."""

    scratch: Path
    on_log: Callable[[History], None] | None = None


@dataclass(frozen=True)
class Preferred:
    """A trained adapter, whose weights are in ``folder``; ``history`` is the trainer's log."""

    metrics: dict[str, Any]
    history: History
    folder: Path

    @property
    def told(self) -> str:
        """What it has learned, in a line."""
        m = self.metrics
        what = {"dpo": "pairs whose right text gained more", "grpo": "reward of a text"}[m["method"]]
        return (
            f"held-out {what} {m['held_out_preferred']:.3f} (before {m['held_out_preferred_before']:.3f}), "
            f"loss {m['held_out_loss']:.3f} ({m['held_out_loss_before']:.3f})"
        )


class Preferring:
    """Mixed into a trainer of TRL: it resumes, and logs as ``preferred`` what TRL calls `preferred_as`."""

    preferred_as: str
    model: Any
    is_fsdp_enabled: bool
    _metrics: Any

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Also load the adapter that is trained: where a checkpoint has others in folders, these alone are loaded."""
        super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
        if not self.is_fsdp_enabled:
            (model or self.model).load_adapter(resume_from_checkpoint, "default", is_trainable=True)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        for found in self._metrics.values():
            found["preferred"] += found.pop(self.preferred_as, [])
            if not found["preferred"]:
                del found["preferred"]
        super().log(logs, start_time)  # type: ignore[misc]


Method = Callable[[Split[Any], Start, Place], Preferred]


def method(section: params.Prefer, solve: SolveMany) -> Method:
    """The training that `section` names. It takes pairs for DPO, and for GRPO tasks, whose texts `solve` judges."""
    if section.method == "dpo":
        from augen.preference.dpo import prefer_pairs

        return prefer_pairs
    from augen.preference.grpo import prefer_rewarded  # imports vLLM where that is installed

    return partial(prefer_rewarded, solve=solve)


def identity(p: params.Params, adapters: Sequence[Path], found: Spilled[Any]) -> str:
    """A short name for the training of `adapters` on what was `found`, from all that the weights depend on."""
    inputs = [p.seed, p.prefer.model_dump(), p.programs.model_dump(), [content_hash(folder) for folder in adapters]]
    return training_key(p.prefer.training(p.finetune), p.model.generator, p.model.revision, [*inputs, found.digest()])


def curves(histories: Sequence[History]) -> str:
    """The logs of several trainings, one after the other, as CSV."""
    return curve_csv(one_after_another(histories), CURVES)


def opened(start: Start, scratch: Path, examples: int) -> tuple[Any, Any, dict[str, Any]]:
    """Tokenizer, model with the adapter to be trained, and the arguments that both configurations share.

    `examples` are those of an epoch. There is no dropout: texts are judged by the model that wrote them.
    """
    quiet_libraries()
    check_names(start.training)
    torch.manual_seed(start.seed)
    name, revision = start.model.generator, start.model.revision
    tokenizer = load_tokenizer(name, "model.generator", revision=revision)
    dtype = torch.bfloat16 if start.training.bf16 and torch.cuda.is_available() else torch.float32
    base = load_model(AutoModelForCausalLM, name, "model.generator", revision=revision, dtype=dtype)
    model = load_adapter(base, start.adapter, "prefer", trainable=True)
    arguments = training_arguments(start.training, start.seed, scratch, examples, processes())
    return tokenizer, model, arguments | {"disable_dropout": True, "beta": start.section.beta}


def trained(trainer: Any, counts: dict[str, Any], place: Place) -> Preferred:
    """Train, from the last checkpoint if there is one; `counts` go into the metrics."""
    started = time.perf_counter()
    run_trainer(trainer, place.on_log)
    print(f"{time.perf_counter() - started:.0f} s of training and evaluating")
    after = trainer.evaluate()
    before = next(row for row in trainer.state.log_history if "eval_preferred" in row)
    folder = place.scratch / "trained"
    trainer.save_model(str(folder))  # by all processes: each may hold a part of the weights
    shown = {"held_out_preferred": "eval_preferred", "held_out_loss": "eval_loss"}
    metrics = counts | {name: after[key] for name, key in shown.items()}
    metrics |= {f"{name}_before": before[key] for name, key in shown.items()}
    return Preferred(metrics, trainer.state.log_history, folder)
