"""What arrives is made storable and writable before it is stored: no file can hold every text that a server sends."""

import re
from typing import Any

# Half of a surrogate pair, which UTF-8 cannot express, and NUL, which ends a text for many programs.
_UNWRITABLE = re.compile("[\ud800-\udfff\0]")


def storable(value: Any) -> Any:
    """`value`, made of what JSON knows, with U+FFFD for every character of its texts that no file can hold.

    >>> storable({"text": "甲\\ud800乙", "tokens": 3})
    {'text': '甲�乙', 'tokens': 3}
    """
    if isinstance(value, str):
        return _UNWRITABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {storable(name): storable(part) for name, part in value.items()}
    return [storable(part) for part in value] if isinstance(value, list) else value
