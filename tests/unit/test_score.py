"""The scorer's input and its stored scores; the model itself is tested in tests/integration."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.core.errors import AugenError
from augen.entries import QuestionItem, Solution
from augen.prompts.sections import solve_prompt
from augen.scorer import score
from augen.scorer.input_format import InputFormat, read_format, write_format
from augen.scorer.score import stored_scores
from augen.store.responses import Store

END = 0


class Characters:
    """A tokenizer with one token per character."""

    eos_token_id = END

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        return {"input_ids": [ord(c) for c in text]}


def encoded(format_: InputFormat, problem: str, reasoning: str) -> str:
    ids = format_.encode(Characters(), problem, QuestionItem("谁高？", ["甲", "乙"]), reasoning)
    return "".join(map(chr, ids))


# --- input


def test_full_input_is_the_prompt_without_its_instruction_and_the_reasoning() -> None:
    text = encoded(InputFormat("full", 10_000), "甲比乙高。", "甲高。\n答案是：A")
    assert text == "### 题目\n甲比乙高。\n\n### 问题\n谁高？\nA: 甲\nB: 乙\n\n### 分析过程\n甲高。\n答案是：A"
    prompt = solve_prompt("解答。", "甲比乙高。", QuestionItem("谁高？", ["甲", "乙"]))
    assert text == prompt.removeprefix("解答。\n\n") + "甲高。\n答案是：A"


def test_reasoning_input_is_the_reasoning_alone() -> None:
    assert encoded(InputFormat("reasoning", 100), "甲比乙高。", " 甲高。\n答案是：A\n") == "甲高。\n答案是：A"


def test_the_problem_is_cut_at_its_end_and_nothing_else() -> None:
    whole = encoded(InputFormat("full", 10_000), "一二三四五六七八九十", "甲高。")
    cut = encoded(InputFormat("full", len(whole) - 4), "一二三四五六七八九十", "甲高。")
    assert cut == whole.replace("七八九十", "")


words = st.text(st.characters(categories=["Lo", "Nd"], max_codepoint=0x9FFF), max_size=60)


@given(problem=words, reasoning=words, max_length=st.integers(1, 150), kind=st.sampled_from(["full", "reasoning"]))
def test_the_end_of_the_reasoning_always_stays(problem: str, reasoning: str, max_length: int, kind: str) -> None:
    format_ = InputFormat(kind, max_length)  # type: ignore[arg-type]
    text = encoded(format_, problem, reasoning)
    assert 1 <= len(text) <= max_length
    shown = min(len(reasoning), max_length)
    assert text.endswith(reasoning[len(reasoning) - shown :])
    head, tail = format_.parts(problem, QuestionItem("谁高？", ["甲", "乙"]), reasoning)
    if len(head + tail) <= max_length:
        assert text == (head + tail or chr(END))
    elif len(tail) <= max_length:
        assert text == head[: max_length - len(tail)] + tail
    else:
        assert text == tail[-max_length:]


def test_nothing_to_read_is_the_end_of_text_token() -> None:
    """A row without tokens could not be padded to a batch."""
    assert InputFormat("reasoning", 10).encode(Characters(), "甲。", QuestionItem("？", ["1", "2"]), " \n") == [END]


# --- the folder


def test_the_format_comes_back_as_written(tmp_path: Path) -> None:
    write_format(tmp_path, InputFormat("reasoning", 77))
    assert read_format(tmp_path) == InputFormat("reasoning", 77)
    assert json.loads((tmp_path / "scorer.json").read_text()) == {
        "input": "reasoning",
        "max_length": 77,
        "temperature": 1.0,
        "offset": 0.0,
    }


def test_a_format_without_calibration_is_that_of_the_bare_logits(tmp_path: Path) -> None:
    (tmp_path / "scorer.json").write_text('{"input": "full", "max_length": 512}')
    assert read_format(tmp_path) == InputFormat("full", 512, temperature=1.0, offset=0.0)


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"input": "full"}', '{"input": "full", "length": 1}'])
def test_what_is_not_a_scorer(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "scorer.json").write_text(content)
    with pytest.raises(AugenError, match=r"not a scorer .*run `dvc repro train_scorer`"):
        read_format(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input", '"prompt"'),
        ("max_length", "0"),
        ("max_length", "-5"),
        ("max_length", '"512"'),
        ("max_length", "1e30"),
        ("temperature", "0"),
        ("temperature", "-1.0"),
        ("temperature", "NaN"),
        ("temperature", "true"),
        ("offset", "Infinity"),
        ("offset", "1e999"),
        ("offset", "null"),
        ("more", "1"),
    ],
)
def test_values_that_no_scorer_has_are_named(field: str, value: str, tmp_path: Path) -> None:
    fields = {"input": '"full"', "max_length": "512", "temperature": "1.5", "offset": "0.5"} | {field: value}
    content = ", ".join(f'"{name}": {told}' for name, told in fields.items())
    (tmp_path / "scorer.json").write_text(f"{{{content}}}")
    with pytest.raises(AugenError, match=rf"not a scorer \(scorer\.json: {field}: .*run `dvc repro train_scorer`"):
        read_format(tmp_path)


# --- stored scores


def sample(number: int) -> Solution:
    return Solution("题目。", QuestionItem("问？", ["1", "2"]), f"想{number}。")


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[list[Solution]]:
    """What every scorer that is loaded is asked to score, call by call; the score of 想5。 is 0.5.

    One that is closed adds an empty list.
    """
    calls: list[list[Solution]] = []

    def scores(samples: Sequence[Solution]) -> list[float]:
        calls.append(list(samples))
        return [int(s.reasoning[1:-1]) / 10 for s in samples]

    monkeypatch.setattr(score, "Scorer", lambda folder: SimpleNamespace(scores=scores, close=lambda: calls.append([])))
    return calls


def scorer_folder(folder: Path, weights: str = "weights") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_text(weights)
    write_format(folder, InputFormat("full", 512))
    return folder


def test_each_sample_is_scored_once(tmp_path: Path, loaded: list[list[Solution]]) -> None:
    folder = scorer_folder(tmp_path / "scorer")
    with Store(tmp_path / "responses.sqlite") as store:
        score = stored_scores(folder, store)
        assert score([sample(3), sample(1), sample(3)]) == [0.3, 0.1, 0.3]
        assert loaded == [[sample(3), sample(1)]]
        assert score([sample(1), sample(2)]) == [0.1, 0.2]
        assert loaded[1:] == [[sample(2)]]


def test_stored_scores_load_no_scorer(tmp_path: Path, loaded: list[list[Solution]]) -> None:
    folder = scorer_folder(tmp_path / "scorer")
    with Store(tmp_path / "responses.sqlite") as store:
        stored_scores(folder, store)([sample(4)])
    loaded.clear()
    with Store(tmp_path / "responses.sqlite") as store:
        assert stored_scores(folder, store)([sample(4)]) == [0.4]
        assert stored_scores(folder, store)([]) == []
    assert loaded == []


def test_another_scorer_scores_anew(tmp_path: Path, loaded: list[list[Solution]]) -> None:
    folder = scorer_folder(tmp_path / "scorer")
    with Store(tmp_path / "responses.sqlite") as store:
        stored_scores(folder, store)([sample(4)])
        stored_scores(scorer_folder(tmp_path / "scorer", "other weights"), store)([sample(4)])
        write_format(folder, InputFormat("reasoning", 512))
        stored_scores(folder, store)([sample(4)])
    assert len(loaded) == 3


def test_any_difference_between_samples_counts(tmp_path: Path, loaded: list[list[Solution]]) -> None:
    one = sample(1)
    others = [
        Solution("别的。", one.question, one.reasoning),
        Solution(one.problem, QuestionItem("别问？", ["1", "2"]), one.reasoning),
        Solution(one.problem, QuestionItem("问？", ["2", "1"]), one.reasoning),
    ]
    assert len({json.dumps(asdict(s)) for s in others}) == 3
    with Store(tmp_path / "responses.sqlite") as store:
        stored_scores(scorer_folder(tmp_path / "scorer"), store)([one, *others])
    assert loaded == [[one, *others]]


def test_generator_and_scorer_take_turns_on_a_device_that_holds_only_one(
    tmp_path: Path, loaded: list[list[Solution]]
) -> None:
    freed: list[int] = []  # how many calls the scorers had seen when the generator was released
    with Store(tmp_path / "responses.sqlite") as store:
        score = stored_scores(scorer_folder(tmp_path / "scorer"), store, lambda: freed.append(len(loaded)))
        assert score([sample(3)]) == [0.3]
        assert score([sample(3), sample(4)]) == [0.3, 0.4]
        assert loaded == [[sample(3)], [], [sample(4)], []], "loaded anew, and closed after each call"
        assert freed == [0, 2]
        assert score([sample(4)]) == [0.4]
        assert freed == [0, 2], "nothing to score: the generator may stay"
