"""The scorer in use, an outcome reward model: the probability that a reasoning is right.

A scorer is a folder: a ``Qwen2ForSequenceClassification`` with two labels (0 wrong, 1 right), its tokenizer, and
``scorer.json``. That file says how the input is built, so that training and use cannot differ, and how the logits
become a score (`augen.scorer.calibration`)::

    {"input": "full", "max_length": 512, "temperature": 1.7, "offset": 0.0}
"""

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augen.core.cores import cores, spread
from augen.core.device import device
from augen.core.errors import AugenError
from augen.core.models import load_model, load_tokenizer
from augen.core.progress import progress
from augen.entries import Solution
from augen.scorer.input_format import read_format
from augen.scorer.shared_prefix import Group, batches, groups_of
from augen.store.identity import content_hash
from augen.store.responses import Store, request_key

if TYPE_CHECKING:
    import torch


class Scorer:
    """A trained scorer on a GPU, if there is one. A batch has at most `batch_tokens` tokens (default: by device)."""

    def __init__(self, folder: Path, batch_tokens: int | None = None) -> None:
        from transformers import AutoModelForSequenceClassification

        self.format = read_format(folder)
        self.tokenizer = load_tokenizer(folder, "scorer")
        self.model: Any = load_model(AutoModelForSequenceClassification, folder, "scorer")
        self.folder, self.device = folder, device()
        self.model.to(self.device).eval()
        if self.model.config.num_labels != 2:
            raise AugenError(f"{folder}: a scorer has 2 labels, this model has {self.model.config.num_labels}")
        # On a CPU a batch should fit into the caches: larger ones took 10 to 50 % longer, with a few million weights.
        self.batch_tokens = batch_tokens or (16_384 if self.device.type != "cpu" else 1_024)
        # A causal model: a shared prefix can reuse its KV cache.
        self._causal = "past_key_values" in signature(type(self.model).forward).parameters

    def scores(self, samples: Sequence[Solution], label: str = "scoring") -> list[float]:
        """P(right) of each sample, in the order of `samples`.

        A batch has texts of similar length. Equal texts are read once, and so is the beginning that the texts of a
        question share. Without a GPU each core works on batches of its own.
        """
        encoded = [tuple(self.format.encode(self.tokenizer, s.problem, s.question, s.reasoning)) for s in samples]
        if (most := max(map(max, encoded), default=0)) >= (known := self.model.get_input_embeddings().num_embeddings):
            raise AugenError(f"{self.folder}: its tokenizer has a token {most}, but its model knows only {known}")
        questions = {row: _question(sample) for row, sample in zip(encoded, samples, strict=True)}
        rows = [list(row) for row in questions]
        found: dict[tuple[int, ...], float] = {}
        groups = groups_of(rows, list(questions.values()) if self._causal else range(len(rows)))
        todo = batches(groups, rows, self.batch_tokens)
        with (
            progress(label, len(rows), unit="text") as bar,
            spread(min(cores(), len(todo))) if self.device.type == "cpu" and todo else nullcontext(map) as mapped,
        ):
            for members, read in mapped(partial(self._read, rows), todo):
                found |= zip(map(tuple, members), read, strict=True)
                bar.update(len(members))
        if any(map(math.isnan, found.values())):
            raise AugenError(f"{self.folder}: its model computes what is no number: its weights are damaged")
        return [found[row] for row in encoded]

    def close(self) -> None:
        """Free the memory, also on the device. The scorer cannot be used afterwards."""
        import torch

        self.model = None
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _read(self, rows: Sequence[list[int]], batch: Sequence[Group]) -> tuple[list[list[int]], list[float]]:
        """The rows of `batch`, and their scores."""
        members = [rows[i] for group in batch for i in group.members]
        return members, self._sharing(batch, rows) if batch[0].shared else self._batch(members)

    def _batch(self, rows: list[list[int]]) -> list[float]:
        """The score of each row."""
        import torch

        padded = self.tokenizer.pad({"input_ids": rows}, return_tensors="pt").to(self.device)
        with torch.inference_mode():
            return self._scores_of(self.model(**padded).logits)

    def _sharing(self, batch: Sequence[Group], rows: Sequence[list[int]]) -> list[float]:
        """The score of each member of each group: first reads the shared prefixes, then the rest of each member."""
        import torch

        def padded(part: list[list[int]], side: str) -> tuple["torch.Tensor", "torch.Tensor"]:
            found = self.tokenizer.pad({"input_ids": part}, padding_side=side, return_tensors="pt").to(self.device)
            return found["input_ids"], found["attention_mask"]

        owners = torch.tensor([n for n, group in enumerate(batch) for _ in group.members], device=self.device)
        # Prefixes are padded on the left and the rests on the right, so that no padding stands within a text.
        shared, before = padded([rows[group.members[0]][: group.shared] for group in batch], "left")  # (G, S)
        rest, after = padded([rows[i][group.shared :] for group in batch for i in group.members], "right")  # (B, T)
        lengths = before.sum(dim=1)[owners, None]  # (B, 1)
        with torch.inference_mode():
            cache = self.model.base_model(
                input_ids=shared,
                attention_mask=before,
                position_ids=(before.cumsum(dim=1) - 1).clamp(min=0),
                use_cache=True,
            ).past_key_values
            cache.batch_select_indices(owners)
            read = self.model(
                input_ids=rest,
                attention_mask=torch.cat([before[owners], after], dim=1),
                position_ids=lengths + torch.arange(rest.shape[1], device=self.device),
                past_key_values=cache,
            )
        return self._scores_of(read.logits)

    def _scores_of(self, logits: "torch.Tensor") -> list[float]:
        """From logits (B, 2)."""
        logits = logits.float()
        margins = logits[:, 1] - logits[:, 0]
        scores: list[float] = ((margins - self.format.offset) / self.format.temperature).sigmoid().tolist()
        return scores


def _question(sample: Solution) -> tuple[str, str, tuple[str, ...]]:
    """Equal for all samples of the same question."""
    return sample.problem, sample.question.question, tuple(sample.question.options)


def stored_scores(
    folder: Path, store: Store, make_room: Callable[[], None] | None = None
) -> Callable[[Sequence[Solution]], list[float]]:
    """A function that scores samples. The store keeps the scores, by the content of the scorer and of the sample.

    The scorer is loaded when the first score is missing, and stays loaded. If generator and scorer do not fit on the
    device together, give `make_room`, which unloads the generator: it is called before the scorer is loaded, and the
    scorer is closed after each call.
    """
    identity = content_hash(folder)
    loaded: list[Scorer] = []

    def score(samples: Sequence[Solution]) -> list[float]:
        keys = [_key(identity, sample) for sample in samples]
        found = store.fill(dict(zip(keys, samples, strict=True)), compute)
        return [float(found[key]["score"]) for key in keys]

    def compute(missing: dict[str, Solution]) -> Iterator[dict[str, dict[str, float]]]:
        if not loaded:
            if make_room:
                make_room()
            loaded.append(Scorer(folder))
        scores = loaded[0].scores(list(missing.values()))
        yield {key: {"score": score} for key, score in zip(missing, scores, strict=True)}
        if make_room:
            loaded.pop().close()

    return score


def known_scores(folder: Path, store: Store) -> Callable[[Sequence[Solution]], list[float | None]]:
    """As `stored_scores`, but nothing is computed: a sample has None where the store has no score of it."""
    identity = content_hash(folder)

    def score(samples: Sequence[Solution]) -> list[float | None]:
        keys = [_key(identity, sample) for sample in samples]
        found = store.get_many(keys)
        return [float(found[key]["score"]) if key in found else None for key in keys]

    return score


def _key(scorer: str, sample: Solution) -> str:
    return request_key({"kind": "score", "scorer": scorer, "sample": asdict(sample)})
