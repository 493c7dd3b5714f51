"""Replies of bounded size: a server may send a body without an end, or a small one that unpacks to any size.

Every SDK reads a whole reply into memory, that of an error too. So the HTTP client within it is replaced by one that
reads the body itself, unpacked, and stops at the bound: `httpx_bound` for openai, `requests_bound` for the others.
"""

from collections.abc import Iterable

from augen.generation.served.errors import Refused

MIB = 2**20
CHUNK = 2**16  # bytes to read at a time
TOO_LARGE = "larger than providers.max_reply_mib"


class Bound:
    """The most that a reply may have, in MiB (2**20 bytes)."""

    def __init__(self, mib: float) -> None:
        self._mib = mib

    def read(self, chunks: Iterable[bytes]) -> bytes:
        """All `chunks` together. Raises Refused as soon as they are too many."""
        parts, left = [], int(self._mib * MIB)
        for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                raise Refused("too large a reply", f"it is {TOO_LARGE} ({self._mib:g})")
            parts.append(chunk)
        return b"".join(parts)
