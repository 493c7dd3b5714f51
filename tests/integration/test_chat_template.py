"""The arguments of a chat template, given to a real tokenizer."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from augen.core import params
from augen.core.errors import AugenError
from augen.prompts.window import Window

TINY = Path(__file__).parents[2] / "models/tiny/generator"
TEXT = "甲比乙高。"

# As in Qwen3: told not to think, the model goes on behind an empty thought.
TEMPLATE = (
    "{% for m in messages %}<|user|>{{ m.content }}{% endfor %}<|assistant|>"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
)


def chat_window(**template_args: object) -> Window:
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    tokenizer.chat_template = TEMPLATE
    model = params.Model(generator=str(TINY), revision=None, dtype="float32")
    window = Window(model, chat_template=True, max_model_len=1000, template_args=template_args)
    window.__dict__["_tokenizer"] = tokenizer
    return window


def test_the_chat_template_gets_its_arguments() -> None:
    assert chat_window().wrap(TEXT) == f"<|user|>{TEXT}<|assistant|>"
    assert chat_window(enable_thinking=True).wrap(TEXT) == f"<|user|>{TEXT}<|assistant|>"
    assert chat_window(enable_thinking=False).wrap(TEXT) == f"<|user|>{TEXT}<|assistant|><think>\n\n</think>\n\n"


def test_an_argument_that_the_template_does_not_know_is_no_silent_one() -> None:
    with pytest.raises(AugenError, match=r"prompt\.template_args: the chat template of .* knows no enable_thinkin$"):
        chat_window(enable_thinkin=False).wrap(TEXT)
