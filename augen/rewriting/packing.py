"""Packs as many texts into a request as its limit of characters allows, and cuts longer texts into parts.

Nothing is lost or moved: ``"".join(parts(text, limit)) == text``, and packs hold all items in their order.
"""

import re
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

# Where a text may be cut, best first: after a sentence, after a clause, at white space.
_ENDS = (re.compile(r"[。！？!?；;\n]+[”’」』）)]*|\.(?=\s)"), re.compile(r"[，,、：:]"), re.compile(r"\s"))
_OUTER_SPACE = re.compile(r"(\s*)(.*?)(\s*)", re.DOTALL)


def parts(text: str, limit: int) -> list[str]:
    """`text` in parts of at most `limit` characters. A part is white space only, or has none at either end.

    >>> parts("甲比乙高。乙比丙高。\\n谁最高？", 10)
    ['甲比乙高。乙比丙高。', '\\n', '谁最高？']
    """
    return [part for piece in _pieces(text, limit) for part in _outer_space(piece) if part]


def is_blank(part: str) -> bool:
    """Whether a part is white space only, and needs no translation."""
    return not part.strip()


def _outer_space(piece: str) -> tuple[str, ...]:
    match = _OUTER_SPACE.fullmatch(piece)
    assert match  # it matches every text
    return match.groups()


def _pieces(text: str, limit: int) -> Iterator[str]:
    while len(text) > limit:
        cut = _cut(text, limit)
        yield text[:cut]
        text = text[cut:]
    yield text


def _cut(text: str, limit: int) -> int:
    """Where to cut: after the last sentence that ends within `limit`, else clause, else white space, else at it."""
    for end in _ENDS:
        if cuts := [match.end() for match in end.finditer(text, 0, limit)]:
            return cuts[-1]
    return limit


class Packer(Generic[T]):
    """Fills one pack after the other, in order. A pack is complete when the next item does not fit into it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pack: list[T] = []
        self._size = 0

    def add(self, item: T, size: int) -> list[T] | None:
        """Put `item` into the current pack, or into a new one where it does not fit: then returns the complete one.

        Raises ValueError for an item that is larger than a whole pack.
        """
        if size > self._limit:
            raise ValueError(f"an item of {size} does not fit into {self._limit}")
        full = self.rest() if self._size + size > self._limit else None
        self._pack.append(item)
        self._size += size
        return full or None

    def rest(self) -> list[T]:
        """The current pack, which may be empty; the packer begins a new one."""
        pack, self._pack, self._size = self._pack, [], 0
        return pack
