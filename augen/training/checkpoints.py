"""Where a training keeps its checkpoints, so that one that was killed goes on where it was.

DVC deletes a stage's outs before it runs, so checkpoints lie outside: beside the response store, in
``.augen/checkpoints/<stage>-<key>`` (see `augen.store.responses.default_path`). The key is made of everything that the
trained weights depend on; other data, params, code or versions begin anew. What is there is removed once the stage
has written its outs.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock, Timeout

from augen.core import params
from augen.store.identity import model_identity
from augen.store.responses import default_path, request_key
from augen.training.launch import end, is_first, shared

# What does not change the weights.
_OF_THE_MACHINE = {"report_to", "launch"}
_LIBRARIES = ("accelerate", "peft", "torch", "transformers", "trl")


def training_key(section: params.Training, base: str, revision: str | None, inputs: Sequence[Any]) -> str:
    """A short name for the training of `base` on `inputs` (JSON and dataclasses) as `section` says.

    A part of it are the versions of the libraries and the folders of this code that the stage has imported from.
    """
    parts = {
        "params": section.model_dump(exclude=_OF_THE_MACHINE),
        "base": model_identity(base, revision),
        "inputs": json.dumps(inputs, default=asdict),
        "code": _code(),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }
    return request_key(parts)[:16]


def _code() -> dict[str, str]:
    """The content of every folder of this library from which the running stage has imported anything."""
    library = Path(__file__).parents[1]
    loaded = {name.split(".")[1] for name in sys.modules if name.startswith("augen.")}
    digests = {}
    for folder in sorted(loaded):
        digest = hashlib.sha256()
        for path in sorted((library / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(library)}\0".encode() + path.read_bytes())
        digests[folder] = digest.hexdigest()
    return digests


@contextmanager
def workplace(stage: str, key: str) -> Iterator[Path]:
    """The folder for the checkpoints of this training, the same for all its processes.

    Kept when the block is left by an error or a kill, removed when it ends well. Where another run of the same
    training holds it, a temporary folder takes its place, whose training cannot be gone on with.
    """
    with ExitStack() as held:
        folder = shared(lambda: _folder(stage, key, held))
        yield folder
        if is_first():
            shutil.rmtree(folder, ignore_errors=True)
        end()


def _folder(stage: str, key: str, held: ExitStack) -> Path:
    root = default_path().parent / "checkpoints"
    folder = root / f"{stage}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        held.enter_context(FileLock(folder / "lock", blocking=False))  # ends with this process, however that ends
    except Timeout:
        print(f"{folder}: another run is training the same; this one will begin anew if it is stopped")
        return Path(held.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
    for checkpoint in _checkpoints(folder):
        if not _complete(checkpoint):
            shutil.rmtree(checkpoint)
    others = [path.name for path in sorted(root.glob(f"{stage}-*")) if path != folder]
    if others:
        print(f"{root}: left there by stopped trainings with other params or data: {', '.join(others)}")
    return folder


def resume_point(folder: Path) -> Path | None:
    """The last whole checkpoint in `folder`."""
    whole = [checkpoint for checkpoint in _checkpoints(folder) if _complete(checkpoint)]
    return max(whole, key=_step, default=None)


def _checkpoints(folder: Path) -> list[Path]:
    return [path for path in folder.glob("checkpoint-*") if path.is_dir()]


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _complete(checkpoint: Path) -> bool:
    """Whether the trainer got to the end of writing it: its state is what it writes last."""
    try:
        return bool(json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["global_step"])
    except (OSError, ValueError, KeyError):
        return False
