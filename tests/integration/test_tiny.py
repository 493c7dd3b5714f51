"""How the tiny models are made: their texts, their tokenizer, and a checker that begins as its generator."""

from pathlib import Path
from random import Random

import pytest
import torch
from transformers import AutoTokenizer, Qwen2ForCausalLM, Qwen2ForSequenceClassification, Qwen2Tokenizer

from augen.answers import parse_answer
from augen.core.params import Prompt
from augen.entries import QuestionItem
from augen.pretrain import checker, generator
from augen.pretrain.checker import RIGHT, WRONG, Checked
from augen.pretrain.corpus import DIFFICULTIES, Sequence, hardest_at, sequences
from augen.pretrain.generator import IGNORED
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
    return sequences(60, PROMPT, "test", DIFFICULTIES[-1], programs=0.5)


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


def test_easy_puzzles_come_first() -> None:
    asked = [hardest_at(i / 100) for i in range(101)]
    assert asked == sorted(asked) and asked[0] == DIFFICULTIES[0] and asked[40] == DIFFICULTIES[-1]


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
    batches = list(generator.batches(rows, 100, Random(0), window=64))
    assert all(ids.numel() <= max(100, 37) and ids.shape == labels.shape for ids, labels in batches)
    assert sorted(int(ids[i, 0]) for ids, _ in batches for i in range(len(ids))) == [2 + n for n in range(200)]


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
    checker.train_checker(judge, rows, epochs=3, batch_tokens=400, learning_rate=1e-3, rng=Random(0))
    assert [name for name, weight in judge.named_parameters() if torch.equal(weight, before[name])] == []

    generator.save(judge, tokenizer, tmp_path)
    loaded = Qwen2ForSequenceClassification.from_pretrained(tmp_path)
    assert loaded.num_labels == 2 and loaded.config.num_hidden_layers == 3
