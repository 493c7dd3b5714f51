"""The rewriting backend that needs no model: words are replaced by synonyms, from a list made by hand.

``synonyms.tsv`` holds the groups. A word is replaced by the same other word throughout the entry
(problem, questions, options, reasonings) or nowhere, and only if that can be undone: the replacement
occurs nowhere in the entry before, and putting the old words back restores the entry. So two things that
had different names keep different names, and an option still matches the problem.

A word counts only where it stands as a word, not across two (关系列出现在 holds no 现在 and no 系列): the
text is segmented with `rjieba`, the maintained Rust port of jieba, by its dictionary alone
(``hmm=False``), so that the outcome does not depend on guesses about unknown names.
"""

import hashlib
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path

import rjieba

from augen.rewriting import Draft

DICTIONARY = Path(__file__).with_name("synonyms.tsv")
# What is quoted is spoken of as a word, and `code` must stay code.
_QUOTED = re.compile(r"“[^”\n]*”|‘[^’\n]*’|「[^」\n]*」|『[^』\n]*』|\"[^\"\n]*\"|'[^'\n]*'|`[^`\n]*`")


class Synonyms:
    """Replaces the share `rate` of the words of each draft that can be replaced, at least one.

    Which words, and by what, is drawn with a seed made of `seed` and the draft's id.
    """

    def __init__(self, *, rate: float, seed: int) -> None:
        self.rate, self.seed = rate, seed

    def __call__(self, drafts: Sequence[Draft], /) -> Iterator[list[str]]:
        for draft in drafts:
            yield substitute(draft.texts, self.mapping(draft))

    def mapping(self, draft: Draft) -> dict[str, str]:
        """Word → replacement for this draft; see `choose`."""
        digest = hashlib.sha256(f"{self.seed}/{draft.id}".encode()).digest()
        return choose(draft.texts, dictionary(), self.rate, random.Random(digest))


@cache
def dictionary(path: Path = DICTIONARY) -> Mapping[str, tuple[str, ...]]:
    """Each word that may be replaced → its possible replacements, as listed in `path`."""
    words: dict[str, tuple[str, ...]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        members = line.split("\t")
        names = [member.removeprefix(">") for member in members]
        for member in members:
            if not member.startswith(">"):
                words[member] = tuple(name for name in names if name != member)
    return words


def choose(texts: Sequence[str], words: Mapping[str, Sequence[str]], rate: float, rng: random.Random) -> dict[str, str]:
    """A mapping word → replacement that can be undone, for the share `rate` of the words that allow it."""
    cut = [(text, cuts(text)) for text in texts]
    candidates = [word for word in words if stands_alone(cut, word)]
    rng.shuffle(candidates)
    everything: dict[str, str] = {}
    for word in candidates:
        replacements = list(words[word])
        rng.shuffle(replacements)
        for replacement in replacements:
            extended = everything | {word: replacement}
            if is_invertible(texts, extended):
                everything = extended
                break
    count = max(1, round(rate * len(everything))) if rate > 0 else 0
    # A part of an invertible mapping is invertible: fewer words are put in that could be mistaken.
    return dict(list(everything.items())[:count])


def cuts(text: str) -> set[int]:
    """The offsets at which a replaceable word may begin or end: word boundaries outside quotations."""
    offsets = {0, *accumulate(map(len, rjieba.cut(text, False)))}
    for match in _QUOTED.finditer(text):
        offsets -= set(range(match.start() + 1, match.end()))
    return offsets


def stands_alone(texts: Sequence[tuple[str, set[int]]], word: str) -> bool:
    """Whether `word` occurs in the (text, `cuts`) pairs, and every time from cut to cut."""
    ends = [
        {at, at + len(word)} <= allowed
        for text, allowed in texts
        if word in text
        for at in range(len(text))
        if text.startswith(word, at)
    ]
    return bool(ends) and all(ends)


def is_invertible(texts: Sequence[str], mapping: Mapping[str, str]) -> bool:
    """Whether `mapping` replaces its words everywhere and the inverse restores `texts`."""
    inverse = {new: old for old, new in mapping.items()}
    if len(inverse) < len(mapping) or any(new in text for new in inverse for text in texts):
        return False
    replaced = substitute(texts, mapping)
    complete = not any(old in text for old in mapping for text in replaced)
    return complete and substitute(replaced, inverse) == list(texts)


def substitute(texts: Sequence[str], mapping: Mapping[str, str]) -> list[str]:
    """`texts` with every word of `mapping` replaced, all at once, longer words first."""
    if not mapping:
        return list(texts)
    words = sorted(mapping, key=lambda word: (-len(word), word))
    pattern = re.compile("|".join(map(re.escape, words)))
    return [pattern.sub(lambda match: mapping[match.group()], text) for text in texts]
