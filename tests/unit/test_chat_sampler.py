"""What a served model is sent."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from augen.entries import QuestionItem
from augen.generation.base import Completion, Request
from augen.generation.served.runner import Call, Runner
from augen.generation.served.sampler import ChatSampler
from augen.prompts.sections import solve_prompt
from tests.params import params

SOLVE = solve_prompt(params().prompt.solve, "甲比乙高。", QuestionItem("谁高？", ["甲", "乙"]))


class Recorder:
    """A runner that keeps the payloads and answers each with the letter A."""

    label = ""

    def __init__(self, **answer: Any) -> None:
        self.calls: list[Call] = []
        self.answers: dict[str, Any] = {}
        self.answer = {"text": "A", "tokens": 1, "finish": "stop", "prompt_tokens": 9} | answer

    def fetch(self, calls: Sequence[Sequence[Call]]) -> None:
        for (call,) in calls:
            self.calls.append(call)
            self.answers[call.key] = self.answer | {"author": call.payload["model"]}

    def forget(self) -> None:
        self.answers.clear()


def draw(
    runner: Recorder, prompt: str, chat: bool, authors: Sequence[str] = ("m",), **changes: Any
) -> list[Completion]:
    """A sample by each of `authors`."""
    settings = params({f"providers.openai.{name}": value for name, value in changes.items()}).providers.openai
    endpoint = {"provider": "openai", "base_url": "http://x/v1"}
    sampler = ChatSampler(cast(Runner, runner), endpoint, settings, authors, chat)
    request = Request(prompt, 1, 1.0, 1.0, 8)
    return sampler.draw([(request, {"slot": slot + 1, "round": 0}) for slot in range(len(authors))], "test")


def sent(prompt: str, chat: bool, **changes: Any) -> Any:
    runner = Recorder()
    draw(runner, prompt, chat, **changes)
    return runner.calls[0].payload


def test_with_the_default_params_a_chat_model_is_told_the_format() -> None:
    (message,) = sent(SOLVE, chat=True)["messages"]
    assert "最后一行写“答案是：”和所选选项的字母" in message["content"].partition("### 题目")[0]


@pytest.mark.parametrize("prompt", ["把下面的句子换一种说法。", "请写程序。\n\n### 题目\n甲。\n\n### 程序\n"])
def test_what_asks_for_no_answer_is_sent_as_it_is(prompt: str) -> None:
    assert sent(prompt, chat=True)["messages"] == [{"role": "user", "content": prompt}]


def test_a_model_that_continues_prompts_gets_them_as_they_are() -> None:
    assert sent(SOLVE, chat=False)["prompt"] == SOLVE


PLAIN = {"model": "m", "temperature": 1.0, "top_p": 1.0, "max_tokens": 8, "seed": 1}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, PLAIN),
        ({"seed": False}, {name: value for name, value in PLAIN.items() if name != "seed"}),
        ({"extra_body": {"top_p": None, "top_k": 20}}, {**PLAIN, "top_k": 20} | {"top_p": None}),
        ({"reasoning_effort": "low"}, {**PLAIN, "reasoning_effort": "low"}),
        ({"logprobs": True}, {**PLAIN, "logprobs": True}),
        ({"tokens_as": "max_completion_tokens"}, {**PLAIN, "max_tokens": None, "max_completion_tokens": 8}),
        (
            {"extra_body": {"a": 1, "b": 2}, "models": [{"model": "m", "seed": False, "extra_body": {"b": 3}}]},
            {**PLAIN, "seed": None, "a": 1, "b": 3},
        ),
        ({"models": [{"model": "other", "seed": False}]}, PLAIN),
    ],
)
def test_the_fields_of_a_request_are_those_of_its_model(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    payload = sent("问题", chat=True, **changes)
    assert payload.pop("messages") == [{"role": "user", "content": "问题"}]
    assert payload == {name: value for name, value in expected.items() if value is not None}


def test_log_probabilities_make_no_other_key_and_everything_else_does() -> None:
    different: list[dict[str, Any]] = [
        {}, {"seed": False}, {"reasoning_effort": "low"}, {"extra_body": {"enable_thinking": False}},
        {"extra_body": {"enable_thinking": True}}, {"tokens_as": "max_completion_tokens"},
    ]  # fmt: skip
    keys = []
    for changes in different:
        plain, asking = Recorder(), Recorder()
        draw(plain, "问题", chat=True, **changes)
        draw(asking, "问题", chat=True, logprobs=True, **changes)
        assert plain.calls[0].key == asking.calls[0].key
        keys.append(plain.calls[0].key)
    assert len(set(keys)) == len(different)


@pytest.mark.parametrize(
    ("prompt", "chat", "answer", "text", "thinking"),
    [
        ("问题", True, {"text": "B"}, "B", ""),
        ("问题", True, {"text": "B", "thinking": "是A？"}, "B", "是A？"),
        ("问题", True, {"text": "<think>是A？</think>\n\nB"}, "B", "是A？"),
        ("问题", True, {"text": "是A？</think>B"}, "B", "是A？"),
        ("问题", True, {"text": "<think>是A？", "finish": "length"}, "", "是A？"),
        ("问题", True, {"text": "", "thinking": "是A？"}, "", "是A？"),
        ("问题<think>\n", False, {"text": "是A？", "finish": "length"}, "", "是A？"),
        ("问题<think>\n", False, {"text": "是A？</think>B"}, "B", "是A？"),
    ],
)
def test_thinking_is_taken_off_wherever_it_comes(
    prompt: str, chat: bool, answer: dict[str, Any], text: str, thinking: str
) -> None:
    [completion] = draw(Recorder(**answer), prompt, chat)
    assert (completion.text, completion.thinking) == (text, thinking)


def test_log_probabilities_of_other_models_than_the_first_do_not_compare() -> None:
    completions = draw(Recorder(logprob=-0.5), "问题", True, ["m", "n"], logprobs=True)
    assert [(c.author, c.logprob) for c in completions] == [("m", -0.5), ("n", None)]
