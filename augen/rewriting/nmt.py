"""Rewriting by local translation models into another language and back: Marian, M2M100, NLLB, mBART, …

Any sequence-to-sequence model that transformers loads will do, one per direction (it may be the same one). A model of
many languages gets source and target by its own codes: ``zh`` and ``ja`` for M2M100, ``zho_Hans`` and ``jpn_Jpan`` for
NLLB. Such models know sentences rather than pages, so long texts are translated in parts. Each part's translation is
kept in the store; if all are there, no model is loaded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from augen.core import params
from augen.core.device import device
from augen.core.errors import AugenError
from augen.core.models import load_model, load_tokenizer
from augen.core.progress import progress
from augen.rewriting import Draft
from augen.rewriting.packing import is_blank, parts
from augen.store.identity import model_identity
from augen.store.responses import Store, request_key
from augen.store.texts import storable


@dataclass(frozen=True)
class Direction:
    """A model and, if it knows many languages, the codes of source and target."""

    model: str
    languages: tuple[str, str] | None


class Nmt:
    """A `Rewriter`: there with one model, back with another. It never samples, so a text has one translation."""

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
        """`texts` in the other language, put together from the translations of their parts."""
        in_parts = [parts(text, self._settings.max_chars) for text in texts]
        to_translate = list(dict.fromkeys(part for text in in_parts for part in text if not is_blank(part)))
        keys = dict(zip(self._keys(to_translate, direction), to_translate, strict=True))
        found = self._store.fill(keys, lambda missing: self._translate(missing, direction))
        translations = {part: found[key]["text"] for key, part in keys.items()}
        return ["".join(translations.get(part, part) for part in text) for text in in_parts]

    def _translate(self, missing: dict[str, str], direction: Direction) -> Iterator[dict[str, dict[str, str]]]:
        """Translate `missing`, by key, in batches of similar length; yields each batch when it is done."""
        model, tokenizer, forced = _load(direction)
        size = self._settings.batch_size
        longest_first = sorted(missing.items(), key=lambda pair: len(pair[1]), reverse=True)
        with progress(direction.model, len(missing), unit="text") as bar:
            for start in range(0, len(missing), size):
                keys, batch = zip(*longest_first[start : start + size], strict=True)
                inputs = tokenizer(list(batch), return_tensors="pt", padding=True, truncation=True)  # (B, T)
                outputs = model.generate(
                    **inputs.to(model.device),
                    do_sample=False,
                    num_beams=self._settings.beams,
                    max_new_tokens=self._settings.max_new_tokens,
                    **forced,
                )
                texts = tokenizer.batch_decode(outputs, skip_special_tokens=True)
                yield {key: {"text": storable(text)} for key, text in zip(keys, texts, strict=True)}
                bar.update(len(batch))

    def _keys(self, texts: Sequence[str], direction: Direction) -> list[str]:
        """The keys of the translations of `texts`: everything that can change them."""
        identity = {
            "kind": "nmt",
            "model": model_identity(direction.model),
            "languages": direction.languages,
            "beams": self._settings.beams,
            "max_new_tokens": self._settings.max_new_tokens,
        }
        return [request_key({**identity, "text": text}) for text in texts]


def _direction(model: str, languages: list[str] | None) -> Direction:
    return Direction(model, (languages[0], languages[1]) if languages else None)


def _load(direction: Direction) -> tuple[Any, Any, dict[str, int]]:
    """Model, tokenizer, and the option of ``generate`` that forces the target language."""
    from transformers import AutoModelForSeq2SeqLM

    source, target = direction.languages or (None, None)
    languages = {"src_lang": source, "tgt_lang": target} if source else {}
    tokenizer = load_tokenizer(direction.model, "translate.nmt", **languages)
    model = load_model(AutoModelForSeq2SeqLM, direction.model, "translate.nmt")
    model.to(device()).eval()
    if target is None:
        return model, tokenizer, {}
    # M2M100 writes a language as __ja__, NLLB and mBART as the code itself.
    ids = [tokenizer.convert_tokens_to_ids(token) for token in (target, f"__{target}__")]
    known = [id for id in ids if id is not None and id != tokenizer.unk_token_id]
    if not known:
        raise AugenError(f"translate.nmt: {direction.model} has no language {target!r}")
    return model, tokenizer, {"forced_bos_token_id": known[0]}
