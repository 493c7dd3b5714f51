"""Secrets come from environment variables and nowhere else, and are cut out of everything that is shown or kept."""

import os

VARIABLES = (
    "TENCENTCLOUD_SECRET_ID",
    "TENCENTCLOUD_SECRET_KEY",
    "QIANFAN_BEARER_TOKEN",
    "QIANFAN_ACCESS_KEY",
    "QIANFAN_SECRET_KEY",
    "OPENAI_API_KEY",
)


def scrubbed(text: str) -> str:
    """`text` without the value of any secret: a server may quote a key in its error message."""
    for name in VARIABLES:
        if value := os.environ.get(name, "").strip():
            text = text.replace(value, f"${name}")
    return text
