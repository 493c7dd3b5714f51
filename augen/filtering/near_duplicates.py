"""Near-duplicates by character n-grams, found exactly and without comparing every pair. Pure."""

import math
import unicodedata
from array import array
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

MIX = np.uint64(0x9E3779B97F4A7C15)  # an odd number without pattern: the golden ratio (Knuth, volume 3, 6.4)
CACHED = 10_000  # known texts whose n-grams stay in memory: some match again and again
BUCKETS = 22  # bits of a hash by which n-grams are counted
COMMON = 4  # of their first n-grams similar texts share so many


def normal(text: str) -> str:
    """`text` for comparisons: compatibility forms folded, white space removed."""
    return "".join(unicodedata.normalize("NFKC", text).split())


class NearDuplicates:
    """Finds, among known texts, the one whose character n-grams are most like those of a given text.

    Similarity is the Jaccard coefficient |A∩B| / |A∪B| of the n-gram sets; `match` is exact, unlike
    locality-sensitive hashing. Sets with a similarity of at least t share at least ⌈t·|A|⌉ and ⌈t·|B|⌉ n-grams.
    So if all n-grams are put in one order, the first |A| - ⌈t·|A|⌉ + c of A and the first |B| - ⌈t·|B|⌉ + c of B have
    at least c in common, for any c up to ⌈t·|A|⌉. With the rarest first, few texts share so many and have to be
    compared (prefix filtering; Chaudhuri et al. 2006, with several n-grams in common Wang et al. 2012). Puzzles of one
    template share rare n-grams by chance: with c = 1 each is compared with more texts the more there are.

    Any order will do, so how rare an n-gram is may be counted by a part of its hash. In memory are the hashes of those
    first n-grams; the texts to compare are read where they are.
    """

    def __init__(self, texts: Sequence[tuple[str, str]], *, ngram: int, threshold: float) -> None:
        """`texts` are names, which `match` returns, with texts; `threshold` in (0, 1]."""
        self.ngram, self.threshold = ngram, threshold
        self._texts = texts
        self._known = lru_cache(CACHED)(self._read)
        self._frequency = np.zeros(1 << BUCKETS, np.uint32)
        sizes, keys, numbers = array("l"), array("Q"), array("l")
        for _, text in texts:
            self._frequency[self._buckets(hashes(text, ngram))] += 1
        for number, (_, text) in enumerate(texts):
            grams = hashes(text, ngram)
            sizes.append(len(grams))
            prefix = self._prefix(grams)
            keys.frombytes(prefix.tobytes())
            numbers.extend([number] * len(prefix))
        order = np.argsort(np.array(keys, np.uint64), kind="stable")
        self._keys = np.array(keys, np.uint64)[order]
        self._numbers = np.array(numbers, np.int32)[order]
        self._sizes = np.array(sizes, np.int32)

    def match(self, text: str) -> tuple[str, float] | None:
        """Name and similarity of the most similar known text (the first by name of several), or None if below the
        threshold."""
        grams = hashes(text, self.ngram)
        # Cheap test first: a similar text would have most of these n-grams.
        known = np.count_nonzero(self._frequency[self._buckets(grams)])
        if not len(grams) or known < self._shared(len(grams)) or not len(self._keys):
            return None
        prefix = self._prefix(grams)
        places = zip(*(np.searchsorted(self._keys, prefix, side) for side in ("left", "right")), strict=True)
        sharing, shared = np.unique(np.concatenate([self._numbers[a:b] for a, b in places]), return_counts=True)
        candidates = sharing[shared >= min(COMMON, self._shared(len(grams)))].tolist()
        near = [number for number in candidates if self._may_be_near(len(grams), int(self._sizes[number]))]
        own = ngrams(text, self.ngram) if near else set()
        found = [(-jaccard(own, other), name) for name, other in map(self._known, near)]
        if not found or -min(found)[0] < self.threshold:
            return None
        similarity, name = min(found)
        return name, -similarity

    def _read(self, number: int) -> tuple[str, set[str]]:
        """Name and n-grams of a known text."""
        name, text = self._texts[number]
        return name, ngrams(text, self.ngram)

    def _may_be_near(self, size: int, other: int) -> bool:
        """Whether sets of these sizes can be similar."""
        return min(size, other) >= self._shared(max(size, other))

    def _shared(self, size: int) -> int:
        """The fewest n-grams that a set of `size` shares with a similar one."""
        return math.ceil(self.threshold * size - 1e-9)  # 0.9 · 10 must not become 10 by rounding

    def _prefix(self, grams: Hashes) -> Hashes:
        by_rarity = np.lexsort((grams, self._frequency[self._buckets(grams)]))
        return grams[by_rarity[: len(grams) - self._shared(len(grams)) + COMMON]] if len(grams) else grams

    def _buckets(self, grams: Hashes) -> Hashes:
        return grams >> np.uint64(64 - BUCKETS)


def hashes(text: str, n: int) -> Hashes:
    """The 64-bit hashes of the `ngrams`, in ascending order."""
    codes = np.frombuffer(normal(text).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    if not len(codes):
        return codes
    windows = np.zeros(max(1, len(codes) - n + 1), np.uint64)
    for i in range(min(n, len(codes))):
        windows = (windows ^ codes[i : i + len(windows)]) * MIX
        windows ^= windows >> np.uint64(29)
    return np.unique(windows)


def ngrams(text: str, n: int) -> set[str]:
    """The character n-grams of the normalised `text`; of a shorter text, the text itself."""
    text = normal(text)
    return {text[i : i + n] for i in range(max(1, len(text) - n + 1))} if text else set()


def jaccard(a: set[str], b: set[str]) -> float:
    """|a∩b| / |a∪b|; 0 for two empty sets."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if shared else 0.0
