"""Right and wrong reasonings of the same question, two and two."""

from collections.abc import Hashable, Iterable
from hashlib import blake2b
from typing import Protocol


class Judged(Protocol):
    """A reasoning with its label; `question` is equal for all reasonings of the same question."""

    @property
    def question(self) -> Hashable: ...

    @property
    def right(self) -> bool: ...


def pairs_of(items: Iterable[Judged]) -> list[tuple[int, int]]:
    """Indices of (right, wrong) reasonings of the same question.

    Every reasoning of a question that has both kinds is in at least one pair. Three right and two wrong ones make
    three pairs: each text counts about the same, however many texts a question has.
    """
    sides: dict[bytes, tuple[list[int], list[int]]] = {}
    for index, item in enumerate(items):
        key = blake2b(repr(item.question).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        right, wrong = sides.setdefault(key, ([], []))
        (right if item.right else wrong).append(index)
    return [
        (right[i % len(right)], wrong[i % len(wrong)])
        for right, wrong in sides.values()
        if right and wrong
        for i in range(max(len(right), len(wrong)))
    ]
