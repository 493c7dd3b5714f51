"""How a sample becomes the scorer's input: part of every scorer, in its ``scorer.json``."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from augen.core.errors import AugenError
from augen.core.files import write_json
from augen.entries import QuestionItem
from augen.prompts.sections import REASONING, problem_section, question_block

CONFIG = "scorer.json"


@dataclass(frozen=True)
class InputFormat:
    """How a sample becomes the scorer's input, and how the two logits become a score.

    score = sigmoid((logit of right - logit of wrong - offset) / temperature)
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    input: Literal["full", "reasoning"]
    max_length: Annotated[int, Field(ge=1)]  # tokens
    temperature: Annotated[float, Field(gt=0)] = 1.0
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
        head = problem_section(problem)
        return head, f"{block.removeprefix(head)}{REASONING}\n{reasoning.strip()}"


def read_format(folder: Path) -> InputFormat:
    """The input format of the scorer in `folder`; AugenError if it is not a scorer."""
    try:
        return TypeAdapter(InputFormat).validate_json((folder / CONFIG).read_bytes())
    except ValidationError as fault:
        found = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in fault.errors())
        raise AugenError(f"{folder}: not a scorer ({CONFIG}: {found}); run `dvc repro train_scorer`") from None
    except OSError as fault:
        raise AugenError(f"{folder}: not a scorer ({fault}); run `dvc repro train_scorer`") from None


def write_format(folder: Path, format_: InputFormat) -> None:
    write_json(folder / CONFIG, asdict(format_))
