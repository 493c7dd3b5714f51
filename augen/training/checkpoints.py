"""Where a training keeps its checkpoints, so that it can resume after it was killed.

DVC deletes the outs of a stage before it runs, so checkpoints lie elsewhere: beside the response store, in
``.augen/checkpoints/<stage>-<key>`` (see `augen.store.responses.default_path`). The key is made of everything that the
trained weights depend on: with other data, params, code or library versions, training starts from the beginning. The
folder is removed once the stage has written its outs.
"""

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock, Timeout

from augen.core import params
from augen.store.identity import model_identity
from augen.store.responses import default_path, request_key
from augen.training.launch import broadcast, end, is_first

_WITHOUT_EFFECT = {"report_to", "launch"}  # params that do not change the weights
_LIBRARIES = ("accelerate", "peft", "torch", "transformers", "trl")


def _sources(package: Path) -> dict[str, str]:
    """A digest of the sources in every folder of `package`."""
    digests = {}
    for folder in sorted(path for path in package.iterdir() if path.is_dir()):
        found = hashlib.sha256()
        for path in sorted(folder.rglob("*.py")):
            found.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
        digests[folder.name] = found.hexdigest()
    return digests


# Now, as they are imported: they may have been edited when the key is asked for.
_SOURCES = _sources(Path(__file__).parents[1])


def training_key(section: params.Training, base: str, revision: str | None, inputs: Sequence[Any]) -> str:
    """A short name for the training of `base` on `inputs` (JSON values) with the params `section`.

    It also covers the versions of the libraries and the code: every folder from which the stage has imported.
    """
    parts = {
        "params": section.model_dump(exclude=_WITHOUT_EFFECT),
        "base": model_identity(base, revision),
        "inputs": inputs,
        "code": {folder: digest for folder, digest in _SOURCES.items() if f"augen.{folder}" in sys.modules},
        "libraries": {name: version(name) for name in _LIBRARIES},
    }
    return request_key(parts)[:16]


@contextmanager
def workplace(stage: str, key: str) -> Iterator[Path]:
    """The folder for the checkpoints of this training, the same for all its processes.

    It is removed when the block ends, and stays after an error or a kill. If another run of the same training is
    using it, a temporary folder takes its place, from which no later run can resume.
    """
    with ExitStack() as held:
        folder = broadcast(lambda: _folder(stage, key, held))
        yield folder
        if is_first():
            shutil.rmtree(folder, ignore_errors=True)
        end()


def _folder(stage: str, key: str, held: ExitStack) -> Path:
    root = default_path().parent / "checkpoints"
    folder = root / f"{stage}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        held.enter_context(FileLock(folder / "lock", blocking=False))  # released when this process ends, in any way
    except Timeout:
        print(f"{folder}: another run is training the same; this one will begin anew if it is stopped")
        return Path(held.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
    for checkpoint in [path for path in folder.rglob("checkpoint-*") if path.is_dir()]:
        if not _complete(checkpoint):
            shutil.rmtree(checkpoint)
    others = [path.name for path in sorted(root.glob(f"{stage}-*")) if path != folder]
    if others:
        print(f"{root}: left there by stopped trainings with other params or data: {', '.join(others)}")
    return folder


def resume_point(folder: Path) -> Path | None:
    """The last complete checkpoint in `folder`."""
    complete = [checkpoint for checkpoint in _checkpoints(folder) if _complete(checkpoint)]
    return max(complete, key=_step, default=None)


def _checkpoints(folder: Path) -> list[Path]:
    return [path for path in folder.glob("checkpoint-*") if path.is_dir()]


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _complete(checkpoint: Path) -> bool:
    """Whether the trainer finished writing it: the state file is written last."""
    try:
        return bool(json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["global_step"])
    except (OSError, ValueError, KeyError):
        return False
