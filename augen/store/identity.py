"""The identity of a model, which is part of every key in the response store.

A model on disk is identified by its content: a retrained model gets new samples under the same path, and a copied
model keeps its samples under another one. A model on the hub is identified by its id and revision.
"""

import hashlib
from pathlib import Path

from augen.core.errors import AugenError

# Weights, configuration, tokenizer and chat template: the files that are read when the model is loaded.
CONTENT_SUFFIXES = frozenset({".safetensors", ".bin", ".pt", ".json", ".txt", ".model", ".tiktoken", ".jinja"})
# Files that a trainer leaves beside them, with paths and timings in them.
LEFTOVERS = frozenset(
    {
        "training_args.bin",
        "optimizer.pt",
        "scheduler.pt",
        "scaler.pt",
        "trainer_state.json",
        "all_results.json",
    }
)
# Weights in these files are or contain pickles, that is programs: they could do anything while they are loaded.
PICKLED_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl"})


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


def refuse_pickled_weights(model: str | Path, param: str) -> None:
    """Raise AugenError if `model` (of the param `param`) is a directory whose weights are not safetensors.

    Hub models are not checked here: they are loaded with ``use_safetensors=True``.
    """
    # An embedder may have weights in subfolders named 1_Pooling, 2_Dense, …
    for folder in (Path(model), *sorted(Path(model).glob("[0-9]*_*"))):
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        pickled = [name for name in names if Path(name).suffix in PICKLED_SUFFIXES and name not in LEFTOVERS]
        if pickled and not any(name.endswith(".safetensors") for name in names):
            raise AugenError(
                f"{param}: the weights in {folder} are pickles ({', '.join(pickled[:3])}), which could run code when "
                "they are loaded; only safetensors are read. Convert them where you trust them: load the model there "
                "and call its save_pretrained"
            )


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
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name}\0{content}\n".encode())
    return f"sha256:{digest.hexdigest()}"
