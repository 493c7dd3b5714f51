"""Near-duplicates by character n-grams, found exactly and without comparing every pair. Pure."""

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping


def normal(text: str) -> str:
    """`text` for comparisons: compatibility forms folded, white space removed."""
    return "".join(unicodedata.normalize("NFKC", text).split())


class NearDuplicates:
    """Finds, among known texts, the one whose character n-grams are most like those of a given text.

    Similarity is the Jaccard coefficient |A∩B| / |A∪B| of the n-gram sets; `match` is exact, unlike
    locality-sensitive hashing. Sets with a similarity of at least t share at least ⌈t·|A|⌉ and ⌈t·|B|⌉ n-grams.
    So if all n-grams are put in one order, the first |A| - ⌈t·|A|⌉ + 1 of A and the first |B| - ⌈t·|B|⌉ + 1 of B
    have at least one in common. With the rarest first, few texts share such an n-gram and have to be compared
    (prefix filtering; Chaudhuri et al. 2006, Bayardo et al. 2007).
    """

    def __init__(self, texts: Mapping[str, str], *, ngram: int, threshold: float) -> None:
        """`texts` maps names, which `match` returns, to texts; `threshold` in (0, 1]."""
        self.ngram, self.threshold = ngram, threshold
        self._sets = {name: ngrams(text, ngram) for name, text in texts.items()}
        self._frequency = Counter(gram for grams in self._sets.values() for gram in grams)
        self._index: defaultdict[str, list[str]] = defaultdict(list)
        for name, grams in self._sets.items():
            for gram in self._prefix(grams):
                self._index[gram].append(name)

    def match(self, text: str) -> tuple[str, float] | None:
        """Name and similarity of the most similar known text (the first by name of several), or None if below the
        threshold."""
        grams = ngrams(text, self.ngram)
        # Cheap test first: a similar text would have most of these n-grams.
        if not grams or len(grams & self._frequency.keys()) < self._shared(len(grams)):
            return None
        names = {name for gram in self._prefix(grams) for name in self._index.get(gram, ())}
        found = [(-jaccard(grams, self._sets[name]), name) for name in names]
        if not found or -min(found)[0] < self.threshold:
            return None
        similarity, name = min(found)
        return name, -similarity

    def _shared(self, size: int) -> int:
        """The fewest n-grams that a set of `size` shares with a similar one."""
        return math.ceil(self.threshold * size - 1e-9)  # 0.9 · 10 must not become 10 by rounding

    def _prefix(self, grams: set[str]) -> list[str]:
        by_rarity = sorted(grams, key=lambda gram: (self._frequency[gram], gram))
        return by_rarity[: len(grams) - self._shared(len(grams)) + 1]


def ngrams(text: str, n: int) -> set[str]:
    """The character n-grams of the normalised `text`; of a shorter text, the text itself."""
    text = normal(text)
    return {text[i : i + n] for i in range(max(1, len(text) - n + 1))} if text else set()


def jaccard(a: set[str], b: set[str]) -> float:
    """|a∩b| / |a∪b|; 0 for two empty sets."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if shared else 0.0
