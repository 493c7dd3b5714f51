"""What a model is, as far as its samples depend on it: part of every key in the response store.

A model on disk is known by its content, so that a retrained one, though it has the same path, gets new
samples and a copied one keeps its own; a model on the hub by its id and revision.
"""

import hashlib
from pathlib import Path

from augen.core.errors import AugenError

# Weights, configuration, tokenizer and chat template: what is read when the model is loaded.
CONTENT_SUFFIXES = frozenset({".safetensors", ".bin", ".pt", ".json", ".txt", ".model", ".tiktoken", ".jinja"})
# What a trainer leaves beside them, with paths and timings in it.
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
# Weights in these are pickles or hold them: programs, which could do anything while they are loaded.
PICKLED_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl"})


def model_identity(model: str, revision: str | None = None) -> str:
    """Identity of a generator: ``sha256:…`` of a directory's content, or ``id@revision`` on the hub.

    A revision that can move (a branch) makes a moving model; pin a commit. Raises AugenError for a path under
    which there is no model.
    """
    path = Path(model)
    if path.is_dir():
        return content_hash(path)
    # A hub id is "name" or "owner/name"; where the first part is a directory here, a path was meant.
    if path.is_absolute() or len(path.parts) > 2 or Path(path.parts[0]).is_dir():
        raise AugenError(f"{model}: no such model directory; dvc pull fetches it, dvc repro makes it")
    return f"{model}@{revision or 'main'}"


def refuse_pickled_weights(model: str | Path, param: str) -> None:
    """Raise AugenError if `model` (of the param `param`) is a directory whose weights are not safetensors.

    Says nothing about hub models: those are loaded with ``use_safetensors=True``.
    """
    # An embedder may have weights in folders of its own, named 1_Pooling, 2_Dense, …
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

    Other files (README, checkpoints in subdirectories, what the trainer wrote for itself) do not count, nor
    does where the directory lies. Raises AugenError if there is no such file.
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
