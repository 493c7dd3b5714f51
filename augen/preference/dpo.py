"""DPO (Rafailov et al. 2023, 2305.18290): learns from pairs of texts that are there already, by TRL."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import DPOConfig, DPOTrainer

from augen.core.arrays import Ints
from augen.preference.material import Pair
from augen.preference.train import Place, Preferred, Preferring, Split, Start, opened, trained
from augen.prompts.sections import completion
from augen.training.rows import Row, longest_first, on_disk, tokens
from augen.training.trainer import Ordered


class PairTrainer(Preferring, Ordered, DPOTrainer):
    """Takes rows of tokens. Preferred is the share of pairs whose right text has gained more than its wrong one."""

    preferred_as = "rewards/accuracies"

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


def prefer_pairs(split: Split[Pair], start: Start, place: Place) -> Preferred:
    """Make the right text of a pair likelier than the wrong one, compared with the adapter in the beginning.

    Resumes from the last checkpoint in `place.scratch`, if there is one.
    """
    train, held_out = split
    tokenizer, model, arguments = opened(start, place.scratch, len(train))
    trainer = PairTrainer(
        model=model,
        args=DPOConfig(**arguments, max_length=None),
        train_dataset=_rows(train, tokenizer, place.scratch, "train"),
        eval_dataset=_rows(held_out, tokenizer, place.scratch, "held_out"),
        processing_class=tokenizer,
    )
    return trained(trainer, {"method": "dpo", "pairs": len(train), "held_out": len(held_out)}, place)


def _rows(found: Sequence[Pair], tokenizer: Any, folder: Path, name: str) -> Dataset:
    """Token ids of prompts and of both texts, the longest first. The prompt is tokenized alone, as in sampling."""

    def written(text: str) -> Ints:
        return tokens(tokenizer(completion(text, tokenizer.eos_token), add_special_tokens=False)["input_ids"])

    def rows() -> Iterator[Row]:
        for pair in found:
            ids = tokens(tokenizer(pair.prompt)["input_ids"])
            yield {"prompt_ids": ids, "chosen_ids": written(pair.right), "rejected_ids": written(pair.wrong)}

    made = on_disk(rows, folder, name)
    return longest_first(made, made.column_names)[0]
