"""GRPO (Shao et al. 2024, 2402.03300): learns from rewards of texts that the model writes for this, by TRL."""

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback

from augen.core.seeds import seed_of
from augen.preference.material import Task
from augen.preference.reward import rewards
from augen.preference.train import Place, Preferred, Preferring, Split, Start, opened, trained
from augen.programs.verdicts import SolveMany

with warnings.catch_warnings():  # of vLLM's version, which is not used here
    warnings.filterwarnings("ignore", "TRL currently supports vLLM")
    from trl import GRPOConfig, GRPOTrainer


class RewardTrainer(Preferring, GRPOTrainer):
    """Preferred is the mean reward. Its order of tasks and its evaluations survive a resumption."""

    preferred_as = "reward"

    def _get_train_sampler(self, dataset: Any = None) -> "_Groups":
        sampler = _Groups(super()._get_train_sampler(dataset), self.args.seed)
        self.add_callback(sampler)
        return sampler

    def evaluate(self, *arguments: Any, **named: Any) -> dict[str, float]:
        """With the same random numbers every time, and none of those that training goes on with."""
        with torch.random.fork_rng():
            torch.manual_seed(self.args.seed)
            found: dict[str, float] = super().evaluate(*arguments, **named)
        return found


class _Groups(TrainerCallback):
    """TRL's sampler, which repeats each task for its group; an epoch's order depends on seed and epoch alone."""

    def __init__(self, sampler: Any, seed: int) -> None:
        self.sampler, self.seed, self.epoch = sampler, seed, 0

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[int]:
        self.sampler.generator.manual_seed(seed_of(self.seed, "order of tasks", self.epoch))
        return iter(self.sampler)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.epoch = int(state.epoch or 0)


def prefer_rewarded(split: Split[Task], start: Start, place: Place, *, solve: SolveMany) -> Preferred:
    """Write several texts for each task and make those likelier that earn more than their mean.

    In an evaluation one text is written for each task that is held out. Resumes from the last checkpoint in
    `place.scratch`, if there is one.
    """
    train, held_out = split
    every, section = [*train, *held_out], start.section

    def earned(completions: list[str], number: list[int], **_: Any) -> list[float]:
        return rewards([every[n] for n in number], completions, solve)

    tokenizer, model, arguments = opened(start, place.scratch, len(train) * section.generations)
    rows = [{"prompt": task.prompt, "number": number} for number, task in enumerate(every)]
    config = GRPOConfig(
        **arguments,
        num_generations=section.generations,
        num_generations_eval=1,
        temperature=section.temperature,
        max_completion_length=section.max_tokens,
    )
    trainer = RewardTrainer(
        model=model,
        reward_funcs=earned,
        args=config,
        train_dataset=Dataset.from_list(rows[: len(train)]),
        eval_dataset=Dataset.from_list(rows[len(train) :]),
        processing_class=tokenizer,
    )
    return trained(trainer, {"method": "grpo", "tasks": len(train), "held_out": len(held_out)}, place)
