"""The scorer in use, an outcome reward model: the probability that a reasoning is right.

A scorer is a folder: a ``Qwen2ForSequenceClassification`` with two labels (0 wrong, 1 right), its tokenizer, and
``scorer.json``. That file says how the input is built, so that training and use cannot differ, and how the logits
become a score (`augen.scorer.calibration`)::

    {"input": "full", "max_length": 512, "temperature": 1.7, "offset": 0.0}
"""

import gc
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from augen.core.cores import cores, spread
from augen.core.errors import AugenError
from augen.entries import QuestionItem, Solution
from augen.prompts.sections import PROBLEM, REASONING, question_block
from augen.scorer.shared_prefix import Group, batches, groups_of
from augen.store.identity import content_hash, refuse_pickled_weights
from augen.store.responses import Store, request_key

if TYPE_CHECKING:
    import torch

CONFIG = "scorer.json"


@dataclass(frozen=True)
class InputFormat:
    """How a sample becomes the scorer's input, and how the two logits become a score.

    score = sigmoid((logit of right - logit of wrong - offset) / temperature)
    """

    input: Literal["full", "reasoning"]
    max_length: int  # tokens
    temperature: float = 1.0
    offset: float = 0.0

    def encode(self, tokenizer: Any, problem: str, question: QuestionItem, reasoning: str) -> list[int]:
        """Token ids, at most `max_length`. Too long a text is cut at the end of its problem, then at the beginning of
        the rest; the end of the reasoning is always kept.

        An empty text (``reasoning`` input of an empty reasoning) becomes the end-of-text token.
        """
        head, tail = self.parts(problem, question, reasoning)
        tail_ids = tokenizer(tail, add_special_tokens=False)["input_ids"][-self.max_length :]
        head_ids = tokenizer(head, add_special_tokens=False)["input_ids"] if head else []
        return head_ids[: self.max_length - len(tail_ids)] + tail_ids or [tokenizer.eos_token_id]

    def parts(self, problem: str, question: QuestionItem, reasoning: str) -> tuple[str, str]:
        """The text in two parts: the problem, which is cut first, and the rest."""
        if self.input == "reasoning":
            return "", reasoning.strip()
        block = question_block(problem, question)
        head = f"{PROBLEM}\n{problem.strip()}"
        return head, f"{block.removeprefix(head)}{REASONING}\n{reasoning.strip()}"


class Scorer:
    """A trained scorer on a GPU, if there is one. A batch has at most `batch_tokens` tokens (default: by device)."""

    def __init__(self, folder: Path, batch_tokens: int | None = None) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.format = read_format(folder)
        refuse_pickled_weights(folder, "scorer")
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder)
            self.model: Any = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True)
        except (OSError, ValueError, RuntimeError) as fault:
            raise AugenError(
                f"{folder}: cannot be loaded as a scorer ({fault}); run `dvc repro train_scorer`"
            ) from None
        self.device = _device()
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
        from tqdm import tqdm

        encoded = [tuple(self.format.encode(self.tokenizer, s.problem, s.question, s.reasoning)) for s in samples]
        questions = {row: _question(sample) for row, sample in zip(encoded, samples, strict=True)}
        rows = [list(row) for row in questions]
        found: dict[tuple[int, ...], float] = {}
        interval = 0.2 if sys.stderr.isatty() else 30.0  # in a log file a line every half minute is enough
        groups = groups_of(rows, list(questions.values()) if self._causal else range(len(rows)))
        todo = batches(groups, rows, self.batch_tokens)
        with (
            tqdm(total=len(rows), desc=label, unit="text", disable=not rows, mininterval=interval) as bar,
            spread(min(cores(), len(todo))) if self.device.type == "cpu" and todo else nullcontext(map) as mapped,
        ):
            for members, read in mapped(partial(self._read, rows), todo):
                found |= zip(map(tuple, members), read, strict=True)
                bar.update(len(members))
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
        return [float(p) for p in ((margins - self.format.offset) / self.format.temperature).sigmoid()]


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
        keys = [request_key({"kind": "score", "scorer": identity, "sample": asdict(s)}) for s in samples]
        found = store.get_many(keys)
        missing = {key: sample for key, sample in zip(keys, samples, strict=True) if key not in found}
        if missing:
            if not loaded:
                if make_room:
                    make_room()
                loaded.append(Scorer(folder))
            values = loaded[0].scores(list(missing.values()))
            new = {key: {"score": value} for key, value in zip(missing, values, strict=True)}
            store.put_many(new)
            if make_room:
                loaded.pop().close()
            found |= new
        return [float(found[key]["score"]) for key in keys]

    return score


def _device() -> "torch.device":
    import torch

    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def read_format(folder: Path) -> InputFormat:
    """The input format of the scorer in `folder`; AugenError if it is not a scorer."""
    try:
        return InputFormat(**json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as fault:
        raise AugenError(f"{folder}: not a scorer ({fault}); run `dvc repro train_scorer`") from None


def write_format(folder: Path, format_: InputFormat) -> None:
    (folder / CONFIG).write_text(json.dumps(asdict(format_), indent=2) + "\n", encoding="utf-8")
