"""Rewriting by a chat model, and writing reasonings: attempts, and what is said of those that failed."""

import json
from collections.abc import Mapping, Sequence

import pytest

from augen.core import params
from augen.entries import Entry, QuestionItem
from augen.generation.base import Completion, IndexedRequest, Request
from augen.generation.served.failures import Failure
from augen.reasoning.write import Writer, explain_right, explain_wrong
from augen.rewriting import Draft
from augen.rewriting.llm import LlmRewriter, parse_texts
from augen.rewriting.round_trip import RoundTrip
from tests.fakes import a_writer


class Script:
    """Draws what is written: completions by how often a prompt has been seen before."""

    def __init__(self, *completions: str | Completion) -> None:
        self.completions = completions
        self.seen: dict[str, int] = {}

    def draw(self, requests: Sequence[IndexedRequest], label: str) -> list[Completion]:
        drawn = []
        for request, index in requests:
            times = self.seen.get(request.prompt, 0)
            assert index["attempt"] == times
            self.seen[request.prompt] = times + 1
            text = self.completions[times]
            drawn.append(text if isinstance(text, Completion) else Completion(text, 5, "stop", "writer-7b"))
        return drawn

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("reply", "texts"),
    [
        ('["甲", "乙"]', ["甲", "乙"]),
        ('好的，改写如下：\n```json\n["甲 [1, 2]", "乙"]\n```\n', ["甲 [1, 2]", "乙"]),
        ('["甲"]', None),
        ('["甲", "乙", "丙"]', None),
        ('["甲", 2]', None),
        ('{"texts": ["甲", "乙"]', ["甲", "乙"]),
        ('["甲", "乙', None),
        ("我不能改写。", None),
        pytest.param("[" * 100_000 + "]", None, id="nested without end"),
        pytest.param("[" + "1" * 5000 + "]", None, id="a number of 5,000 digits"),
        ("", None),
    ],
)
def test_only_a_list_of_as_many_texts_is_taken(reply: str, texts: list[str] | None) -> None:
    assert parse_texts(reply, 2) == texts


LLM = params.Llm(
    method="paraphrase", translation_prompt="{text} → {language}",
    provider="openai", models=["writer-7b"], attempts=2, temperature=0.7, max_tokens=64,
)  # fmt: skip


def test_a_reply_that_cannot_be_used_is_asked_for_again_and_then_given_up() -> None:
    script = Script("no", json.dumps(["one", "two"]))
    drafts = [Draft("p~1", ("a", "b")), Draft("q~1", ("c",))]
    rewriter = LlmRewriter(script, LLM, seed=1)
    assert [list(texts) for texts in rewriter(drafts)] == [["one", "two"], ["c"]]
    assert rewriter.failures == [Failure("q~1", "no list of as many texts", 2)]


class Translators:
    """Answers `texts`, a list for each prompt, one after the other, and notes what was asked."""

    def __init__(self, texts: Mapping[str, list[str | Completion]]) -> None:
        self.texts, self.asked = texts, list[Request]()

    def draw(self, requests: Sequence[IndexedRequest], label: str) -> list[Completion]:
        drawn = []
        for request, index in requests:
            self.asked.append(request)
            text = self.texts[request.prompt][index["attempt"]]
            drawn.append(text if isinstance(text, Completion) else Completion(text, 5, "stop"))
        return drawn

    def close(self) -> None:
        pass


def test_a_round_trip_translates_every_text_once_there_and_back() -> None:
    there: dict[str, list[str | Completion]] = {"{甲}高 → 日语": ["高いのは甲 "], "是 → 日语": ["はい"]}
    back: dict[str, list[str | Completion]] = {"高いのは甲 → 中文": ["\n高的是甲"], "はい → 中文": ["对"]}
    translators = Translators({**there, **back})
    rewriter = RoundTrip(translators, LLM, "ja", seed=1)
    drafts = [Draft("p~1", ("{甲}高", "是")), Draft("q~1", ("是", " "))]
    assert [list(texts) for texts in rewriter(drafts)] == [["高的是甲", "对"], ["对", " "]]
    assert [request.prompt for request in translators.asked] == [*there, *back]
    assert rewriter.failures == []


def test_every_round_of_copies_has_its_own_seed_and_a_problem_does_not_change_with_the_others() -> None:
    translators = Translators({"是 → eo": ["jes"], "jes → 中文": ["对"]})
    list(RoundTrip(translators, LLM, "eo", seed=1)([Draft("p~1", ("是",)), Draft("p~2", ("是",))]))
    first, second = (request.seed for request in translators.asked[:2])
    assert first != second
    translators.asked.clear()
    list(RoundTrip(translators, LLM, "eo", seed=1)([Draft("q~2", ("是",))]))
    assert translators.asked[0].seed == second


def test_what_nobody_translates_leaves_its_problem_alone_and_is_listed() -> None:
    refused = Completion("", 0, "stop", refused="HTTP 400: taboo")
    cut = Completion("長い", 64, "length")
    translators = Translators({
        "a → 日语": [refused, refused], "b → 日语": ["", "ビー"], "c → 日语": ["シー"], "d → 日语": [cut, cut],
        "ビー → 中文": ["乙"], "シー → 中文": ["", ""],
    })  # fmt: skip
    rewriter = RoundTrip(translators, LLM, "ja", seed=1)
    drafts = [Draft("p~1", ("a", "b")), Draft("q~1", ("b",)), Draft("r~1", ("c", "b")), Draft("s~1", ("d",))]
    assert [list(texts) for texts in rewriter(drafts)] == [["a", "b"], ["乙"], ["c", "b"], ["d"]]
    assert rewriter.failures == [
        Failure("p~1", "refused: HTTP 400: taboo", 2),
        Failure("r~1", "empty translation", 2),
        Failure("s~1", "translation cut off at max_tokens", 2),
    ]


def writer(attempts: int) -> Writer:
    return a_writer(None, "local", attempts=attempts)


ENTRY = Entry("甲比乙高。", [QuestionItem("谁高？", ["乙", "甲", "丙"], answer="B")], id="p")


def test_attempts_go_on_until_the_answer_is_the_right_one() -> None:
    script = Script("想一想。\n答案是：A", "没有答案", "甲高。\n答案是：B")
    [entry], failures = explain_right([ENTRY], writer(3), script, hinted=True)
    assert (entry.questions[0].reasoning, entry.questions[0].author) == ("甲高。\n答案是：B", "writer-7b")
    assert failures == []


def test_what_was_wrong_with_every_attempt_is_kept() -> None:
    refused = Completion("", 0, "stop", refused="content_filter")
    script = Script("答案是：A", Completion("嗯", 64, "length"), refused, "嗯")
    [entry], failures = explain_right([ENTRY], writer(4), script, hinted=True)
    assert entry.questions[0].reasoning is None and entry.questions[0].author is None
    cause = "answer A; no answer, cut off at max_tokens; refused: content_filter; no answer"
    assert failures == [Failure("p#1", cause, 4)]


def test_the_mistakes_of_a_model_name_it_and_carry_their_wrong_answer() -> None:
    [entry], _, failures = explain_wrong([ENTRY], writer(2), Script("答案是：B", "答案是：C"), "sampled")
    item = entry.questions[0]
    assert (item.answer, item.reasoning, item.author) == ("C", "答案是：C", "writer-7b")
    assert failures == []
