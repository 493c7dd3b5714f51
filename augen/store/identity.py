"""The identity of a model, which is part of every key in the response store.

A model on disk is identified by its content: a retrained model gets new samples under the same path, and a copied
model keeps its samples under another one. A model on the hub is identified by its id and revision.
"""

import hashlib
import time
from pathlib import Path

from augen.core.errors import AugenError
from augen.core.models import LEFTOVERS

# Weights, configuration, tokenizer and chat template: the files that are read when the model is loaded.
CONTENT_SUFFIXES = frozenset({".safetensors", ".bin", ".pt", ".json", ".txt", ".model", ".tiktoken", ".jinja"})

FRESH_NS = 2 * 10**9  # so old a file is before its time tells whether it changed, on any file system
_HASHES: dict[tuple[Path, int, int, int, int], str] = {}


def model_identity(model: str, revision: str | None = None) -> str:
    """Identity of a generator: ``sha256:…`` of a directory's content, or ``id@revision`` on the hub.

    Pin a commit: the model behind a branch can change without notice. Raises AugenError for a path without a model.
    """
    path = Path(model)
    if path.is_dir():
        return content_hash(path)
    # A hub id is "name" or "owner/name"; where the first part is a directory here, a path is meant.
    if path.is_absolute() or len(path.parts) > 2 or Path(path.parts[0]).is_dir():
        raise AugenError(f"{model}: no such model directory; dvc pull fetches it, dvc repro makes it")
    return f"{model}@{revision or 'main'}"


def content_hash(directory: Path) -> str:
    """``sha256:…`` over names and bytes of the files in `directory` that make up a model or an adapter.

    Neither other files count (README, checkpoints in subdirectories, a trainer's leftovers) nor the directory's path.
    Raises AugenError if there is no such file.
    """
    files = sorted(
        path
        for path in (directory.iterdir() if directory.is_dir() else ())
        if path.is_file() and path.suffix in CONTENT_SUFFIXES and path.name not in LEFTOVERS
    )
    if not files:
        raise AugenError(f"{directory}: no model files there; dvc pull fetches them, dvc repro makes them")
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0{_hash_of(path)}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def _hash_of(path: Path) -> str:
    """SHA-256 (hex) of a file, which is read once in this process unless it changes.

    One that was written a moment ago is read again each time: it may change again before its time does.
    """
    now = time.time_ns()
    found = path.stat()
    key = (path.resolve(), found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if (known := _HASHES.get(key)) is not None:
        return known
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    if now - found.st_mtime_ns > FRESH_NS:
        _HASHES[key] = content
    return content
