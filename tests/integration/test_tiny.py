"""How the tiny models are made: their texts, their tokenizer, and a checker that begins as its generator."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, Qwen2ForCausalLM, Qwen2ForSequenceClassification, Qwen2Tokenizer

from augen.answers import parse_answer
from augen.core.params import Prompt
from augen.entries import QuestionItem
from augen.pretrain import batches, checker, generator
from augen.pretrain.batches import IGNORED, Texts
from augen.pretrain.checker import RIGHT, WRONG, Checked
from augen.pretrain.corpus import Sequence, questions_of_all_wordings, sequences
from augen.pretrain.tokenizer import build_tokenizer

ROOT = Path(__file__).parents[2]
ITEM = QuestionItem("谁高？", ["甲", "乙"], "甲比乙高。\n所以：甲，选A。\n答案是：A", "A", "solver")
PROMPT = Prompt(
    solve="请解答。",
    explain="请解释。",
    program="请写程序。",
    chat_template=False,
    template_args={},
    keep_thinking=False,
)


@pytest.fixture(scope="module")
def texts() -> list[Sequence]:
    return list(sequences(60, PROMPT, "test"))


@pytest.fixture(scope="module")
def tokenizer(texts: list[Sequence]) -> Qwen2Tokenizer:
    return build_tokenizer((s.text for s in texts), 600)


@pytest.fixture
def model(tokenizer: Qwen2Tokenizer) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    return generator.new_model(tokenizer, hidden=64, layers=2)


def test_every_text_ends_in_a_learned_reasoning_or_program(texts: list[Sequence]) -> None:
    assert {"请解答", "请解释", "请写程"} == {text.parts[0][0][:3] for text in texts}
    for text in texts:
        completion, learned = text.parts[-1]
        assert learned and not text.parts[0][1]
        if text.parts[0][0].startswith("请写程"):
            assert completion.startswith("#use ") and completion.endswith(".")
        else:
            assert parse_answer(completion, 5) is not None


def test_a_fact_of_a_program_is_a_token_per_word_and_one_between() -> None:
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models/tiny/generator")
    parts = [tokenizer.decode([i]) for i in tokenizer('rel("己","弟弟","甲").\n')["input_ids"]]
    assert parts == ['rel("', "己", '","', "弟弟", '","', "甲", '").\n']


def test_the_words_of_every_wording_are_tokens() -> None:
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models/tiny/generator")
    tokens = [tokenizer.decode([i]) for q in questions_of_all_wordings("test", 300) for i in tokenizer(q)["input_ids"]]
    assert sum("\ufffd" in token for token in tokens) < 0.01 * len(tokens)  # parts of characters


def test_the_tokenizer_spells_everything_and_survives_loading(
    tokenizer: Qwen2Tokenizer, texts: list[Sequence], tmp_path: Path
) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for text in [*(s.text for s in texts), "生僻字：龘靐，emoji🙂。"]:
        ids = tokenizer(text)["input_ids"]
        assert loaded(text)["input_ids"] == ids
        assert tokenizer.decode(ids) == text


def test_batches_hold_every_row_once_within_their_size() -> None:
    rows = [([2 + n] * (n % 37 + 1), [2 + n] * (n % 37 + 1)) for n in range(200)]
    made = batches.by_length(rows, 100, Random(0))
    assert all(ids.size <= 100 and ids.shape == labels.shape for ids, labels in made)
    assert sorted(int(row[0]) for ids, _ in made for row in ids) == [2 + n for n in range(200)]


def test_texts_are_written_ahead_in_their_order(tokenizer: Qwen2Tokenizer) -> None:
    write = Texts(tokenizer, PROMPT, "test", tokens=2048, puzzles=2)
    with batches.ahead(write, workers=2) as written:
        found = [next(written) for _ in range(12)]
    for number, made in enumerate(found):
        for (ids, labels), (wanted, learned) in zip(made, write(number), strict=True):
            assert np.array_equal(ids, wanted) and np.array_equal(labels, learned)


def test_what_repeats_is_what_copying_teaches() -> None:
    ids, labels = batches.copying(np.random.default_rng(0), vocabulary=50, tokens=4096)
    assert ids.shape == labels.shape == (16, batches.COPIED) and ids.min() > batches.PAD and ids.max() < 50
    for row, taught in zip(ids, labels, strict=True):
        period = int((taught == IGNORED).sum())
        assert 4 <= period <= batches.COPIED // 2
        assert (row[period:] == row[:-period]).all() and (taught[period:] == row[period:]).all()


def test_the_first_difference_is_the_first_error(tokenizer: Qwen2Tokenizer) -> None:
    wrong = "甲比乙高。\n所以：乙，选B。\n答案是：B"
    ids, labels = checker.encode(Checked("甲比乙高。", ITEM, wrong), tokenizer)
    judged = [(i, label) for i, label in zip(ids, labels, strict=True) if label != IGNORED]
    assert tokenizer.decode([i for i, _ in judged]) == wrong
    right = [i for i, label in judged if label == RIGHT]
    assert tokenizer.decode(right) == "甲比乙高。\n所以："
    assert {label for _, label in judged[len(right) :]} == {WRONG}
    _, labels = checker.encode(Checked("甲比乙高。", ITEM, str(ITEM.reasoning)), tokenizer)
    assert {label for label in labels if label != IGNORED} == {RIGHT}


def test_a_new_checker_sees_what_its_generator_sees(model: Qwen2ForCausalLM) -> None:
    judge = checker.new_checker(model, layers=2)
    assert judge.config.num_hidden_layers == 4 and model.config.num_hidden_layers == 2
    ids = torch.tensor([[5, 6, 7, 8, 5, 6]])
    with torch.inference_mode():
        assert torch.equal(judge.model(ids).last_hidden_state, model.model(ids).last_hidden_state)


def test_the_checker_learns_in_all_its_layers(
    model: Qwen2ForCausalLM, tokenizer: Qwen2Tokenizer, tmp_path: Path
) -> None:
    judge = checker.new_checker(model, layers=1)
    before = {name: weight.clone() for name, weight in judge.named_parameters()}
    texts = [str(ITEM.reasoning), "乙比甲高。\n所以：乙，选B。\n答案是：B"]
    rows = [checker.encode(Checked("甲比乙高。", ITEM, text), tokenizer) for text in texts * 8]
    checker.train_checker(judge, rows, epochs=3, learning_rate=1e-3, rng=Random(0))
    assert [name for name, weight in judge.named_parameters() if torch.equal(weight, before[name])] == []

    generator.save(judge, tokenizer, tmp_path)
    loaded = Qwen2ForSequenceClassification.from_pretrained(tmp_path)
    assert loaded.num_labels == 2 and loaded.config.num_hidden_layers == 3
