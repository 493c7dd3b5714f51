"""Takes apart what a thinking model writes: its thinking, and the answer that it gives after it.

>>> split_thinking("<think>\\n先看甲，答案是A？不对。\\n</think>\\n\\n答案是：B")
('先看甲，答案是A？不对。', '答案是：B')
>>> split_thinking("先看甲。</think>答案是：B")  # the chat template had opened it
('先看甲。', '答案是：B')
>>> split_thinking("<think>先假设答案是A。但是")  # cut off: there is no answer yet
('先假设答案是A。但是', '')
>>> split_thinking("答案是：B")
('', '答案是：B')
"""

import re

# How models mark where thinking begins and ends. The last pair is that of gpt-oss.
MARKS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<思考>", "</思考>"),
    ("<seed:think>", "</seed:think>"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)
_OPENING, _CLOSING = ("|".join(map(re.escape, marks)) for marks in zip(*MARKS, strict=True))
_MARK = re.compile(f"(?P<opening>{_OPENING})|(?P<closing>{_CLOSING})", re.IGNORECASE)
_BEGUN = re.compile(rf"({_OPENING})\s*$", re.IGNORECASE)
_HALF_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}

Spans = list[tuple[int, int]]


def split_thinking(text: str) -> tuple[str, str]:
    """The thinking in `text` and the answer, both without the marks between them and white space around them.

    A text without such marks is an answer, returned as it stands. What comes before a closing mark without an opening
    one is thinking; so is what comes after an opening mark that is never closed.
    """
    thinking, answer = spans(text)
    if answer == [(0, len(text))]:
        return "", text
    return joined(text, thinking).strip(), joined(text, answer).strip()


def with_thinking(thinking: str, answer: str) -> str:
    """The one text that `split_thinking` takes apart into these two."""
    return f"<think>\n{thinking}\n</think>\n\n{answer}" if thinking else answer


def begun(prompt: str) -> str:
    """The opening mark with which `prompt` ends, as those of some chat templates do; empty where there is none.

    The model then goes on in the middle of its thinking, so put this before its text.
    """
    found = _BEGUN.search(prompt[-100:])
    return found[1] if found else ""


def spans(text: str) -> tuple[Spans, Spans]:
    """Where thinking and answer stand in `text`, as pairs of begin and end; the marks belong to neither."""
    thinking: Spans = []
    answer: Spans = []
    inside, at, end = False, 0, len(text.rstrip())
    for mark in _MARK.finditer(text.translate(_HALF_WIDTH)):
        (thinking if inside else answer).append((at, mark.start()))
        at = mark.end()
        # A closing mark too many, at the very end and after thinking that was closed, closes nothing.
        if mark["closing"] and not inside and not (thinking and at >= end):
            thinking += answer
            answer.clear()
        inside = bool(mark["opening"])
    (thinking if inside else answer).append((at, len(text)))
    return thinking, answer


def joined(text: str, parts: Spans) -> str:
    """The `parts` of `text` as one text."""
    return "".join(text[start:stop] for start, stop in parts)
