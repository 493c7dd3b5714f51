"""Rows of a response store straight from the pages of its file, where SQLite cannot or will not read it.

No tree is followed: every page that looks like a leaf of a table is read, whether or not anything still points to it,
in the file and in its log. So what is found holds whatever else is damaged (the header, a parent page, the index), and
the checksum of each row says whether it is what was stored. The format: https://www.sqlite.org/fileformat.html.
"""

import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TABLE_LEAF, INDEX_LEAF = 0x0D, 0x0A
LOG_HEADER, FRAME_HEADER = 32, 24
DEFAULT_PAGE_SIZE = 4096
_INTEGER_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # by the type that a record's header gives

Buffer = bytes | mmap.mmap
Column = bytes | int | float | None


@dataclass(frozen=True)
class Pages:
    """The pages of one state of the file: those in `newer` lie in the log, at these offsets."""

    size: int  # of a page, in bytes
    file: Buffer
    log: Buffer
    newer: Mapping[int, int]

    def numbers(self) -> range:
        """The numbers of all pages; they start at 1."""
        return range(1, max(-(-len(self.file) // self.size), *self.newer, 0) + 1)

    def page(self, number: int) -> bytes:
        """Page `number`, filled up with zeros where the file ends early."""
        if number in self.newer:
            return self.log[self.newer[number] : self.newer[number] + self.size]
        return self.file[(number - 1) * self.size : number * self.size].ljust(self.size, b"\0")


def states(file: Buffer, log: Buffer) -> list[Pages]:
    """The state with the commits in the log, and that without."""
    size = _page_size(file, log)
    newer: dict[int, int] = {}
    salts = log[16:24]  # frames of an earlier round of the log have others
    last = (len(file) + len(log)) // size  # no page can have a higher number
    for start in range(LOG_HEADER, len(log) - size - FRAME_HEADER + 1, FRAME_HEADER + size):
        number = int.from_bytes(log[start : start + 4], "big")
        if log[start + 8 : start + 16] == salts and 0 < number <= last:
            newer[number] = start + FRAME_HEADER
    return [Pages(size, file, log, newer), Pages(size, file, log, {})]


def _page_size(file: Buffer, log: Buffer) -> int:
    sizes = [int.from_bytes(log[8:12], "big"), int.from_bytes(file[16:18], "big")]
    return next((size for size in sizes if 512 <= size <= 32768 and size & (size - 1) == 0), DEFAULT_PAGE_SIZE)


def records(pages: Pages, kind: int) -> Iterator[list[Column]]:
    """Records in all pages of `kind` (TABLE_LEAF or INDEX_LEAF); texts are bytes; unreadable ones are left out."""
    for number in pages.numbers():
        page = pages.page(number)
        start = 100 if number == 1 else 0  # the file's own header
        if page[start] != kind:
            continue
        cells = min(int.from_bytes(page[start + 3 : start + 5], "big"), (pages.size - start - 8) // 2)
        for [offset] in struct.iter_unpack(">H", page[start + 8 : start + 8 + 2 * cells]):
            try:
                yield _record(_payload(pages, page, offset, kind))
            except (IndexError, ValueError, struct.error):
                continue


def _payload(pages: Pages, page: bytes, offset: int, kind: int) -> bytes:
    """The bytes of the record whose cell is at `offset`, with those on overflow pages."""
    length, at = _varint(page, offset)
    if kind == TABLE_LEAF:
        _, at = _varint(page, at)  # its row number
    size = pages.size
    most = size - 35 if kind == TABLE_LEAF else (size - 12) * 64 // 255 - 23
    if length <= most:
        return page[at : at + length]
    if length > len(pages.file) + len(pages.log):
        raise ValueError("longer than the whole file")
    least = (size - 12) * 32 // 255 - 23
    here = least + (length - least) % (size - 4)
    here = here if here <= most else least
    parts = [page[at : at + here]]
    [following] = struct.unpack_from(">I", page, at + here)
    for _ in range(-(-(length - here) // (size - 4))):
        if following == 0:
            raise ValueError("the chain of overflow pages ends early")
        overflow = pages.page(following)
        parts.append(overflow[4:])
        [following] = struct.unpack_from(">I", overflow, 0)
    return b"".join(parts)[:length]


def _record(payload: bytes) -> list[Column]:
    end, at = _varint(payload, 0)
    kinds = []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    columns: list[Column] = []
    for kind in kinds:
        column, at = _column(payload, at, kind)
        columns.append(column)
    return columns


def _column(payload: bytes, at: int, kind: int) -> tuple[Column, int]:
    if kind == 0:
        return None, at
    if kind in (8, 9):
        return kind - 8, at
    if kind == 7:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    length = _INTEGER_SIZES[kind] if kind in _INTEGER_SIZES else (kind - 12) // 2
    if length < 0 or at + length > len(payload):
        raise ValueError("a column beyond the end of its record")
    content = payload[at : at + length]
    return int.from_bytes(content, "big", signed=True) if kind in _INTEGER_SIZES else content, at + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number of one to nine bytes at `at`, and where it ends."""
    value = 0
    for i in range(8):
        value = value << 7 | data[at + i] & 0x7F
        if data[at + i] < 0x80:
            return value, at + i + 1
    return value << 8 | data[at + 8], at + 9
