"""Rewriting by local translation models into another language and back: Marian, M2M100, NLLB, mBART, …

Any sequence-to-sequence model that transformers loads, one per direction (it may be the same one). Models of many
languages are told source and target by codes in their own way: ``zh`` and ``ja`` for M2M100, ``zho_Hans`` and
``jpn_Jpan`` for NLLB. Such models know sentences rather than pages, so long texts are translated in parts. Each
part's translation is kept in the store; if all are there, no model is loaded.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from augen.core import params
from augen.core.errors import AugenError
from augen.rewriting import Draft
from augen.rewriting.packing import is_blank, parts
from augen.store.identity import model_identity, refuse_pickled_weights
from augen.store.responses import Store, request_key


@dataclass(frozen=True)
class Direction:
    """A model and, for models of many languages, the codes of source and target."""

    model: str
    languages: tuple[str, str] | None


class Nmt:
    """A `Rewriter`: there with one model, back with another. Beam search or greedy, so the same text stays the same."""

    def __init__(self, settings: params.Nmt, store: Store) -> None:
        self._settings, self._store = settings, store
        self._there = _direction(settings.there, settings.there_languages)
        self._back = _direction(settings.back, settings.back_languages)

    def __call__(self, drafts: Sequence[Draft], /) -> Iterator[Sequence[str]]:
        texts = list(dict.fromkeys(text for draft in drafts for text in draft.texts))
        there = self._translated(texts, self._there)
        back = self._translated(there, self._back)
        rewritten = dict(zip(texts, back, strict=True))
        for draft in drafts:
            yield [rewritten[text] for text in draft.texts]

    def _translated(self, texts: Sequence[str], direction: Direction) -> list[str]:
        """`texts` in the other language, from the store as far as it goes."""
        in_parts = [parts(text, self._settings.max_chars) for text in texts]
        wanted = list(dict.fromkeys(part for text in in_parts for part in text if not is_blank(part)))
        keys = dict(zip(wanted, self._keys(wanted, direction), strict=True))
        found = self._store.get_many(keys.values())
        translations = {part: found[key]["text"] for part, key in keys.items() if key in found}
        missing = sorted((part for part in wanted if part not in translations), key=len, reverse=True)
        if missing:
            translations |= self._translate(missing, keys, direction)
        return ["".join(translations.get(part, part) for part in text) for text in in_parts]

    def _translate(self, missing: list[str], keys: dict[str, str], direction: Direction) -> dict[str, str]:
        """Translate in batches of similar length, and store each batch as it is done."""
        model, tokenizer, forced = _load(direction)
        translations: dict[str, str] = {}
        for start in tqdm(range(0, len(missing), self._settings.batch_size), desc=direction.model, file=sys.stderr):
            batch = missing[start : start + self._settings.batch_size]
            inputs = tokenizer(batch, return_tensors="pt", padding=True, truncation=True)  # (B, T)
            outputs = model.generate(
                **inputs.to(model.device),
                do_sample=False,
                num_beams=self._settings.beams,
                max_new_tokens=self._settings.max_new_tokens,
                **forced,
            )
            texts = tokenizer.batch_decode(outputs, skip_special_tokens=True)
            self._store.put_many({keys[part]: {"text": text} for part, text in zip(batch, texts, strict=True)})
            translations.update(zip(batch, texts, strict=True))
        return translations

    def _keys(self, texts: Sequence[str], direction: Direction) -> list[str]:
        """A translation is known by model, languages, search and text."""
        known_by = {
            "kind": "nmt",
            "model": model_identity(direction.model),
            "languages": direction.languages,
            "beams": self._settings.beams,
            "max_new_tokens": self._settings.max_new_tokens,
        }
        return [request_key({**known_by, "text": text}) for text in texts]


def _direction(model: str, languages: list[str] | None) -> Direction:
    return Direction(model, (languages[0], languages[1]) if languages else None)


def _load(direction: Direction) -> tuple[Any, Any, dict[str, int]]:
    """Model, tokenizer, and what forces the target language."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    source, target = direction.languages or (None, None)
    languages = {"src_lang": source, "tgt_lang": target} if source else {}
    refuse_pickled_weights(direction.model, "translate.nmt")
    try:
        tokenizer = AutoTokenizer.from_pretrained(direction.model, **languages)
        model = AutoModelForSeq2SeqLM.from_pretrained(direction.model, use_safetensors=True)
    except (OSError, ValueError, KeyError) as error:  # a language that the tokenizer does not know is a KeyError
        raise AugenError(f"translate.nmt: cannot load {direction.model}: {error}") from error
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    if target is None:
        return model, tokenizer, {}
    # M2M100 writes a language as __ja__, NLLB and mBART as the code itself.
    ids = [tokenizer.convert_tokens_to_ids(token) for token in (target, f"__{target}__")]
    known = [id for id in ids if id is not None and id != tokenizer.unk_token_id]
    if not known:
        raise AugenError(f"translate.nmt: {direction.model} has no language {target!r}")
    return model, tokenizer, {"forced_bos_token_id": known[0]}
