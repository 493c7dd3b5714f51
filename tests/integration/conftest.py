"""A tiny model for every integration test: real files, real architecture, random weights, made in a second.

``tiny_model``    directory of a Qwen2 generator (2 layers, 64 wide, ~120,000 parameters, up to 512 tokens) with its
                  tokenizer: byte-level BPE, so that any text can be encoded; end of text and padding differ.
``tiny_adapter``  directory of a LoRA adapter for it, rank 4 on every linear layer, that visibly changes what it
                  writes (a fresh peft adapter would not: its B matrices are zero).

Both are made once per session and must not be changed: copy what a test wants to alter. Weights are drawn wide
enough that next-token probabilities are far from equal; otherwise greedy decoding would hang on rounding.
"""

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny matrices; and other test processes want the other cores

END, PADDING = "<|endoftext|>", "<|padding|>"
LONGEST = ("training_runs", "infer_stage", "engines", "ray_ports", "preference_runs", "training_parts", "generators")

TEXTS = (
    "请解答下面的逻辑单选题。",
    "### 题目\n三个人比身高：甲比乙高，乙比丙高。",
    "### 问题\n谁最高？\nA: 乙\nB: 甲\nC: 丙",
    "### 分析过程\n甲比乙高，乙比丙高，所以甲最高。\n答案是：B",
    "### 题目\n路网：东城到西城有路，西城到南城有路，南城到东城没有路。",
    "### 问题\n从东城能到南城吗？\nA: 能\nB: 不能",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take minutes go first, so that at the end none of them is left for one process alone."""
    first = tuple(f"test_{name}" for name in LONGEST)
    items.sort(key=lambda item: 0 if item.path.parent.name == "e2e" else 1 if item.path.name.startswith(first) else 2)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a tiny random Qwen2 generator with its tokenizer."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    path = tmp_path_factory.mktemp("models") / "generator"
    tokenizer = _tokenizer()
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.15,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def tiny_adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a random LoRA adapter for ``tiny_model``."""
    from tests.integration.generated import random_adapter

    path = tmp_path_factory.mktemp("models") / "adapter"
    random_adapter(tiny_model, "all-linear", path)
    return path


@pytest.fixture
def paid_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The keys of all providers, a store of the test's own, and an empty working directory."""
    from tests.integration.paid import KEYS

    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AUGEN_CACHE", str(tmp_path / "responses.sqlite"))
    monkeypatch.chdir(tmp_path)


def _tokenizer():  # type: ignore[no-untyped-def]  # transformers is imported only where it is needed
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=[END, PADDING],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(TEXTS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=END, pad_token=PADDING)
