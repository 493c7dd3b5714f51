"""Rewriting by local translation models: tiny random Marian and M2M100 models, made here, and the store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from augen.core.errors import AugenError
from augen.core.params import Nmt as Settings
from augen.rewriting import Draft
from augen.rewriting import nmt as nmt_module
from augen.rewriting.nmt import Nmt
from augen.store.responses import Store
from stages import translate
from tests.integration.paid import Repository, problems

TEXTS = [
    "下面有三个盒子，如果第一个盒子里有球。",
    "选择题：哪个说法正确？",
    "都是空的",
    "不知道",
    "all boxes are empty.",
]


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentencepiece model of a few dozen pieces."""
    import sentencepiece

    folder = tmp_path_factory.mktemp("pieces")
    (folder / "texts.txt").write_text("\n".join(TEXTS * 20), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "texts.txt"),
        model_prefix=str(folder / "spm"),
        vocab_size=70,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return folder / "spm.model"


def vocabulary(pieces: Path, *special: str) -> dict[str, int]:
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    known = [model.id_to_piece(i) for i in range(model.get_piece_size())]
    return {piece: i for i, piece in enumerate(dict.fromkeys([*special, *known]))}


@pytest.fixture(scope="module")
def marian(pieces: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    import torch
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    folder = tmp_path_factory.mktemp("marian")
    words = vocabulary(pieces, "</s>", "<unk>", "<pad>")
    (folder / "vocab.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
    tokenizer = MarianTokenizer(
        str(pieces), str(pieces), str(folder / "vocab.json"), source_lang="zh", target_lang="en"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=len(words), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=128, init_std=1.0,
        pad_token_id=words["<pad>"], eos_token_id=words["</s>"], decoder_start_token_id=words["<pad>"],
    )  # fmt: skip
    MarianMTModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def m2m100(pieces: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration, M2M100Tokenizer

    folder = tmp_path_factory.mktemp("m2m100")
    words = vocabulary(pieces, "<s>", "<pad>", "</s>", "<unk>")
    (folder / "vocab.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
    tokenizer = M2M100Tokenizer(str(folder / "vocab.json"), str(pieces), src_lang="zh", tgt_lang="ja")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=len(words) + 110, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=128, init_std=1.0,
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2,
    )  # fmt: skip
    M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "responses.sqlite") as store:
        yield store


def settings(there: str, back: str, **more: Any) -> Settings:
    languages: dict[str, Any] = {"there_languages": None, "back_languages": None}
    sizes = {"beams": 1, "batch_size": 2, "max_chars": 20, "max_new_tokens": 12}
    return Settings(**{"there": there, "back": back, **languages, **sizes, **more})


DRAFTS = [Draft("p~1", (TEXTS[0] * 3, TEXTS[1], " ", TEXTS[2], TEXTS[3])), Draft("q~1", (TEXTS[4], TEXTS[2]))]


@pytest.mark.parametrize("beams", [1, 3])
def test_there_and_back_with_two_models(marian: str, store: Store, beams: int) -> None:
    rewritten = [list(texts) for texts in Nmt(settings(marian, marian, beams=beams), store)(DRAFTS)]
    assert [len(texts) for texts in rewritten] == [5, 2]
    assert rewritten[0][2] == " "
    assert rewritten[0][3] == rewritten[1][1]  # the same text, the same translation
    assert rewritten[0][:2] != list(DRAFTS[0].texts[:2])


def test_a_model_of_many_languages_is_told_which(m2m100: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    forced: list[int] = []
    load = nmt_module._load

    def watched(direction: Any) -> Any:
        model, tokenizer, options = load(direction)
        forced.append(options["forced_bos_token_id"])
        assert tokenizer.src_lang == direction.languages[0]
        assert options["forced_bos_token_id"] == tokenizer.get_lang_id(direction.languages[1])
        return model, tokenizer, options

    monkeypatch.setattr(nmt_module, "_load", watched)
    pair = {"there_languages": ["zh", "ja"], "back_languages": ["ja", "zh"]}
    rewritten = list(Nmt(settings(m2m100, m2m100, **pair), store)(DRAFTS))
    assert [len(texts) for texts in rewritten] == [5, 2]
    assert len(set(forced)) == 2
    with pytest.raises(AugenError, match="has no language 'klingon'"):
        list(Nmt(settings(m2m100, m2m100, there_languages=["zh", "klingon"]), store)(DRAFTS))


def test_what_is_stored_needs_no_model_and_other_settings_are_other_translations(
    marian: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = [list(texts) for texts in Nmt(settings(marian, marian), store)(DRAFTS)]

    def no_model(direction: Any) -> Any:
        raise LookupError("loaded")

    monkeypatch.setattr(nmt_module, "_load", no_model)
    assert [list(texts) for texts in Nmt(settings(marian, marian), store)(DRAFTS)] == first
    with pytest.raises(LookupError, match="loaded"):
        list(Nmt(settings(marian, marian, beams=2), store)(DRAFTS))


def test_a_model_that_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(AugenError, match="no such model"):
        list(Nmt(settings(str(tmp_path / "none"), "x"), store)(DRAFTS))


def test_the_stage_uses_it_and_drops_what_it_spoils(
    marian: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nmt = settings(marian, marian).model_dump()
    repository = Repository(tmp_path / "repo", problems(2), {"translate.backend": "nmt", "translate.nmt": nmt})
    monkeypatch.chdir(repository.path)
    monkeypatch.delenv("AUGEN_CACHE", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    translate.main()
    assert "0 of 2 copies kept" in capsys.readouterr().out  # it knows no Chinese
