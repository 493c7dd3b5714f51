"""Thinking and answer, taken apart, by example and by property."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.answers.thinking import MARKS, begun, spans, split_thinking, with_thinking

TEXTS = [
    ("答案是：B", "", "答案是：B"),
    ("  答案是：B\n", "", "  答案是：B\n"),
    ("", "", ""),
    ("<think>\n甲。\n</think>\n\n答案是：B", "甲。", "答案是：B"),
    ("<think>\n\n</think>\n\n答案是：B", "", "答案是：B"),  # Qwen3 that is told not to think
    ("好的。<think>甲。</think>答案是：B", "甲。", "好的。答案是：B"),
    ("<think>甲。</think>先看乙。<think>丙。</think>答案是：B", "甲。丙。", "先看乙。答案是：B"),
    ("<Think>甲。</THINK>答案是：B", "甲。", "答案是：B"),
    ("＜ｔｈｉｎｋ＞甲。＜／ｔｈｉｎｋ＞答案是：Ｂ", "甲。", "答案是：Ｂ"),
    # without an opening mark
    ("甲。\n</think>\n答案是：B", "甲。", "答案是：B"),
    ("甲。\n</think>", "甲。", ""),
    ("甲。</think>乙。</think>答案是：B", "甲。乙。", "答案是：B"),
    # never closed
    ("<think>答案是：A", "答案是：A", ""),
    ("<think>甲。</think>答案是：B<think>答案是：A", "甲。答案是：A", "答案是：B"),
    # marks within thinking, and one too many at the end
    ("<think>甲<think>乙</think>答案是：B", "甲乙", "答案是：B"),
    ("<think>甲。</think>答案是：B\n</think>\n", "甲。", "答案是：B"),
    ("<|channel|>analysis<|message|>甲。<|channel|>final<|message|>答案是：B", "甲。", "答案是：B"),
]


@pytest.mark.parametrize(("text", "thinking", "answer"), TEXTS)
def test_thinking_and_answer(text: str, thinking: str, answer: str) -> None:
    assert split_thinking(text) == (thinking, answer)


@pytest.mark.parametrize(("opening", "closing"), MARKS)
def test_every_mark(opening: str, closing: str) -> None:
    assert split_thinking(f"{opening}甲{closing}乙") == ("甲", "乙")
    assert split_thinking(f"甲{closing}乙") == ("甲", "乙")
    assert split_thinking(f"{opening}甲") == ("甲", "")


@pytest.mark.parametrize("prompt", ["<|im_start|>assistant\n<think>\n", "…[THINK]"])
def test_thinking_that_the_prompt_begins(prompt: str) -> None:
    assert split_thinking(begun(prompt) + "先假设答案是A") == ("先假设答案是A", "")
    assert split_thinking(begun(prompt) + "甲。</think>答案是：B") == ("甲。", "答案是：B")


@pytest.mark.parametrize("prompt", ["### 分析过程\n", "<think>\n\n</think>\n\n", ""])
def test_a_prompt_that_begins_no_thinking(prompt: str) -> None:
    assert begun(prompt) == ""


PLAIN = st.text("甲乙AB。 \n<>/")


@given(PLAIN.map(str.strip).filter(bool), PLAIN.map(str.strip))
def test_put_together_and_taken_apart(thinking: str, answer: str) -> None:
    assert split_thinking(with_thinking(thinking, answer)) == (thinking, answer)


@given(st.lists(st.sampled_from(["<think>", "</think>", "甲", "\n", "＜/think>"]), max_size=12).map("".join))
def test_every_character_has_its_part(text: str) -> None:
    thinking, answer = spans(text)
    places = [place for start, stop in [*thinking, *answer] for place in range(start, stop)]
    assert len(places) == len(set(places))
    assert [text[place] for place in sorted(places)] == [sign for sign in text if sign in "甲\n"]
