"""Texts of unknown origin, made safe for a terminal and for a line of a page."""

import re

# Control signs other than tab and line end, signs that turn the direction of writing, and halves of surrogate pairs.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def writable(text: str, encoding: str) -> str:
    """`text` in signs that `encoding` has: a hyphen for a dash, a question mark for what else it lacks.

    >>> writable("1 – 2 元", "ascii"), writable("1 – 2 元", "gbk")
    ('1 - 2 ?', '1 – 2 元')
    """
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.replace("–", "-").encode(encoding, "replace").decode(encoding)
    return text


def visible(text: str) -> str:
    r"""`text` with each sign that a terminal would obey, or could not write, spelt out.

    >>> visible("甲\x1b[2J乙\r")
    '甲\\x1b[2J乙\\r'
    """
    return _UNSAFE.sub(lambda sign: sign[0].encode("unicode_escape").decode(), text)
