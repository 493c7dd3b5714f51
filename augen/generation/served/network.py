"""Faults of the way to a server that no further try can mend: a key, a proxy variable, a URL."""

import importlib.util
import os
import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from augen.core.params import holds_password
from augen.generation.served.errors import CallError, Misconfigured, Transient

PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")
FINAL_PATHS = ("/chat/completions", "/completions")  # which are not part of a base URL
REQUESTS_AUTHORITIES = "REQUESTS_CA_BUNDLE"  # what the library requests reads
# As OpenSSL says it, which every SDK quotes.
_UNTRUSTED = re.compile(r"certificate verify failed: (?P<why>[^()]*)")
_NO_TLS = re.compile(r"SSL: (WRONG_VERSION_NUMBER|HTTP_REQUEST|RECORD_LAYER_FAILURE)")


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


def check_base_url(provider: str, url: str, variables: str) -> None:
    """Raise Misconfigured where `url` cannot be the address of a server; `variables` are to hold the key."""
    if holds_password(url):  # such a URL is not shown
        raise Misconfigured(f"{provider}: base_url holds a user name or a password: set {variables} instead")
    param = f"{provider}: providers.{provider}.base_url: {url!r}"
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound:
        raise Misconfigured(f"{param} is no URL of a server; it has to look like http://127.0.0.1:8000/v1")
    if any(parts.path.rstrip("/").endswith(path) for path in FINAL_PATHS):
        raise Misconfigured(f"{param} must end before /chat/completions, which is added for every request")


def unconnected(provider: str, said: str, authorities: str, shown: str) -> CallError | Misconfigured:
    """The error for a connection that failed: a `Transient` one that says `shown`, unless every further try fails, too.

    `said` is the text of the SDK's error, which is not shown; `authorities` is the environment variable that names the
    file of the certificates that are trusted.
    """
    if untrusted := _UNTRUSTED.search(said):
        return Misconfigured(
            f"{provider}: the server's certificate is not trusted ({untrusted['why'].strip()}): either this is not the "
            f"server that providers.{provider}.base_url means, or {authorities} has to name the file (PEM) with the "
            "certificate of its authority"
        )
    if _NO_TLS.search(said):
        return Misconfigured(
            f"{provider}: the server does not speak TLS: providers.{provider}.base_url has to begin with http://, or "
            "to name another port"
        )
    return Transient("connection", shown)


def check_proxies(provider: str, socks: str) -> None:
    """Raise Misconfigured, which names the variable, where a proxy cannot be used.

    `socks` is the module that the provider's SDK needs for SOCKS proxies.
    """
    for name, scheme in _proxies():
        if scheme in ("socks5", "socks5h") and importlib.util.find_spec(socks):
            continue
        if scheme not in ("http", "https"):
            raise Misconfigured(
                f"{provider}: the environment variable {name} names a proxy of the kind {scheme}://, which cannot be "
                f"used here; unset it, or name the http:// address of the same proxy"
                + (f" (or install {socks})" if scheme.startswith("socks5") else "")
            )


def _proxies() -> Iterator[tuple[str, str]]:
    """Variables that name a proxy, and its scheme; the value itself may hold a password."""
    for name in PROXIES:
        for spelling in (name, name.lower()):
            if value := os.environ.get(spelling, "").strip():
                yield spelling, value.split("://")[0].lower() if "://" in value else "http"
