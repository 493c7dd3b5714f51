"""Rewriting by a chat or translation model into another language and back, over any OpenAI-compatible server.

Every text is translated for itself, as models made for translation want it (Hunyuan-MT and the like). A text of several
problems is translated once in each round of copies. A reply that was refused, cut off or is empty is asked for again.
Where no attempt gives a translation, the draft stays as it is, and is dropped as unchanged.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from augen.core import params
from augen.core.seeds import seed_of
from augen.generation.base import UNASKED, Completion, Request, Sampler
from augen.generation.served.failures import Failure
from augen.rewriting import Draft

LANGUAGE = "zh"
NAMES = {  # of languages, as a prompt in Chinese says them; another pivot is named as it stands in params.yaml
    "zh": "中文", "en": "英语", "ja": "日语", "ko": "韩语", "fr": "法语", "de": "德语", "es": "西班牙语", "ru": "俄语",
    "pt": "葡萄牙语", "it": "意大利语", "vi": "越南语", "th": "泰语", "ar": "阿拉伯语", "yue": "粤语",
}  # fmt: skip


class Piece(NamedTuple):
    """A text and the round of copies for which it is translated: another round, another seed."""

    text: str
    copy: str


class RoundTrip:
    """A `Rewriter` that draws from `sampler`; `failures` lists the drafts with a text that nobody translated."""

    def __init__(self, sampler: Sampler, settings: params.Llm, pivot: str, seed: int) -> None:
        self._sampler, self._settings, self._pivot, self._seed = sampler, settings, pivot, seed
        self.failures: list[Failure] = []

    def __call__(self, drafts: Sequence[Draft], /) -> Iterator[Sequence[str]]:
        pieces = {draft.id: [Piece(text, draft.id.rpartition("~")[2]) for text in draft.texts] for draft in drafts}
        there, lost = self._translated([piece for own in pieces.values() for piece in own], self._pivot)
        back, lost_back = self._translated(list(there.values()), LANGUAGE)
        lost |= {piece: lost_back[pivoted] for piece, pivoted in there.items() if pivoted in lost_back}
        for draft in drafts:
            own = pieces[draft.id]
            if causes := [lost[piece] for piece in own if piece in lost]:
                self.failures.append(Failure(draft.id, causes[0], self._settings.attempts))
                yield draft.texts
            else:
                yield [back[there[piece]].text for piece in own]

    def _translated(self, pieces: Sequence[Piece], language: str) -> tuple[dict[Piece, Piece], dict[Piece, str]]:
        """The translation of each piece, and what became of the last attempt at those that have none."""
        done = {piece: piece for piece in pieces if not piece.text.strip()}
        causes: dict[Piece, str] = {}
        waiting = [piece for piece in dict.fromkeys(pieces) if piece not in done]
        for attempt in range(self._settings.attempts):
            if not waiting:
                break
            requests = [(self._request(piece, language, attempt), {"attempt": attempt}) for piece in waiting]
            label = f"into {language}, attempt {attempt + 1} of {self._settings.attempts}"
            for piece, completion in zip(waiting, self._sampler.draw(requests, label), strict=True):
                if cause := _fault(completion):
                    causes[piece] = cause
                else:
                    done[piece] = Piece(completion.text.strip(), piece.copy)
            waiting = [piece for piece in waiting if piece not in done]
        # Where requests are only counted, a text stands in for its translation: the way back is counted too.
        done |= {piece: piece for piece in waiting if causes[piece] == f"refused: {UNASKED}"}
        return done, {piece: causes[piece] for piece in waiting if piece not in done}

    def _request(self, piece: Piece, language: str, attempt: int) -> Request:
        asked = self._settings.translation_prompt.replace("{language}", NAMES.get(language, language))
        return Request(
            prompt=asked.replace("{text}", piece.text),
            seed=seed_of(self._seed, "round trip", language, piece.copy, piece.text, attempt),
            temperature=self._settings.temperature,
            top_p=1.0,
            max_tokens=self._settings.max_tokens,
        )


def _fault(completion: Completion) -> str | None:
    if completion.refused:
        return f"refused: {completion.refused}"
    if completion.finish == "length":
        return "translation cut off at max_tokens"
    return None if completion.text.strip() else "empty translation"
