"""Secrets come from environment variables, and from nowhere else; they are cut out of whatever is shown."""

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
    """The variables of the first of `choices` that are all set, with their values; Misconfigured if there is none."""
    for names in choices:
        if all(os.environ.get(name) for name in names):
            return {name: os.environ[name].strip() for name in names}
    wanted = ", or ".join(" and ".join(names) for names in choices)
    raise Misconfigured(f"{provider}: no key; set {wanted} in the environment")


def scrubbed(text: str) -> str:
    """`text` without the value of any secret: a server may quote a key in its error message."""
    for name in VARIABLES:
        if value := os.environ.get(name, "").strip():
            text = text.replace(value, f"${name}")
    return text
