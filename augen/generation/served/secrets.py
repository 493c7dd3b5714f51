"""Secrets come from environment variables and nowhere else, and are cut out of everything that is shown."""

import os
from collections.abc import Sequence

from augen.generation.served.errors import Misconfigured

VARIABLES = (
    "TENCENTCLOUD_SECRET_ID",
    "TENCENTCLOUD_SECRET_KEY",
    "QIANFAN_BEARER_TOKEN",
    "QIANFAN_ACCESS_KEY",
    "QIANFAN_SECRET_KEY",
    "OPENAI_API_KEY",
)


def required(provider: str, *choices: Sequence[str]) -> dict[str, str]:
    """The values, by name, of the first of `choices` whose variables are all set.

    Raises Misconfigured if there is none, or if a value cannot be sent in an HTTP header.
    """
    for names in choices:
        if all(os.environ.get(name) for name in names):
            values = {name: os.environ[name].strip() for name in names}
            for name, value in values.items():
                if not (value.isascii() and value.isprintable()):
                    raise Misconfigured(
                        f"{provider}: {name} holds signs that no key has (other than ASCII, or a line break): "
                        "set it to the key itself"
                    )
            return values
    needed = ", or ".join(" and ".join(names) for names in choices)
    raise Misconfigured(f"{provider}: no key; set {needed} in the environment")


def scrubbed(text: str) -> str:
    """`text` without the value of any secret: a server may quote a key in its error message."""
    for name in VARIABLES:
        if value := os.environ.get(name, "").strip():
            text = text.replace(value, f"${name}")
    return text
