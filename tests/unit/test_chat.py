"""What fits into a generator's window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.core import params
from augen.core.errors import AugenError
from augen.prompts.window import Window
from tests import params as tested
from tests.fakes import FakeWindow

TEXT = "甲比乙高。"  # 5 characters, 15 bytes


@pytest.mark.parametrize(("room", "fits"), [(4, False), (5, True), (15, True), (16, True), (100, True)])
def test_a_text_fits_if_its_tokens_do(room: int, fits: bool) -> None:
    assert FakeWindow(room + 7).fits(TEXT, new=7) is fits


def test_a_short_text_needs_no_tokenizer() -> None:
    model = params.Model(generator="no/such/model", revision=None, dtype="float32")
    window = Window(model, chat_template=False, max_model_len=30)
    assert window.wrap(TEXT) == TEXT
    assert window.fits(TEXT, new=14)


@given(lengths=st.lists(st.integers(1, 9), max_size=5), room=st.integers(0, 60))
def test_as_many_of_the_last_examples_as_fit(lengths: list[int], room: int) -> None:
    examples = [("例" * n, None) for n in lengths]

    def prompt(examples: object) -> str:
        return "".join(problem for problem, _ in examples) + TEXT  # type: ignore[attr-defined]

    text = FakeWindow(room + 3, before="<", after=">").fitted(prompt, examples, new=3)  # type: ignore[arg-type]
    kept = [n for n in range(len(lengths) + 1) if sum(lengths[n:]) + len(TEXT) + 2 <= room]
    assert text == (f"<{prompt(examples[kept[0] :])}>" if kept else None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompt.template_args": {"enable_thinking": False}}, "set chat_template to true"),
        ({"prompt.chat_template": True, "prompt.template_args": {"tokenize": True}}, "cannot have tokenize"),
        ({"prompt.chat_template": True, "prompt.template_args": {"messages": []}}, "cannot have messages"),
        ({"prompt.chat_template": True, "prompt.template_args": ["enable_thinking"]}, "prompt.template_args: "),
    ],
)
def test_arguments_that_cannot_be(changes: dict[str, object], said: str) -> None:
    with pytest.raises(AugenError, match=said):
        tested.params(changes)


def test_any_argument_of_a_template_is_taken() -> None:
    arguments = {"enable_thinking": False, "thinking_budget": 512, "effort": "low", "tools": None}
    p = tested.params({"prompt.chat_template": True, "prompt.template_args": arguments})
    assert p.prompt.template_args == arguments
