"""What a served model is sent."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from augen.entries import QuestionItem
from augen.generation.base import Request
from augen.generation.served.runner import Call, Runner
from augen.generation.served.sampler import ChatSampler
from augen.prompts.sections import solve_prompt
from tests.params import params

SOLVE = solve_prompt(params().prompt.solve, "甲比乙高。", QuestionItem("谁高？", ["甲", "乙"]))


class Recorder:
    """A runner that keeps the payloads and answers each with the letter A."""

    label = ""

    def __init__(self) -> None:
        self.payloads: list[Any] = []
        self.answers: dict[str, Any] = {}

    def fetch(self, calls: Sequence[Sequence[Call]]) -> None:
        for (call,) in calls:
            self.payloads.append(call.payload)
            self.answers[call.key] = {"text": "A", "tokens": 1, "finish": "stop", "author": "m", "prompt_tokens": 9}


def sent(prompt: str, chat: bool) -> Any:
    runner = Recorder()
    endpoint = {"provider": "openai", "base_url": "http://x/v1"}
    sampler = ChatSampler(cast(Runner, runner), endpoint, params().providers.openai, ["m"], chat)
    sampler.draw([(Request(prompt, 1, 1.0, 1.0, 8), {"slot": 1, "round": 0})], "test")
    return runner.payloads[0]


def test_with_the_default_params_a_chat_model_is_told_the_format() -> None:
    (message,) = sent(SOLVE, chat=True)["messages"]
    assert "最后一行写“答案是：”和所选选项的字母" in message["content"].partition("### 题目")[0]


@pytest.mark.parametrize("prompt", ["把下面的句子换一种说法。", "请写程序。\n\n### 题目\n甲。\n\n### 程序\n"])
def test_what_asks_for_no_answer_is_sent_as_it_is(prompt: str) -> None:
    assert sent(prompt, chat=True)["messages"] == [{"role": "user", "content": prompt}]


def test_a_model_that_continues_prompts_gets_them_as_they_are() -> None:
    assert sent(SOLVE, chat=False)["prompt"] == SOLVE
