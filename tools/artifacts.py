"""Compares the outs in the working tree with dvc.lock by hashing every file again.

    python -m tools.artifacts    names each altered file, and ends with status 1 if there is one

Without ``verify true`` on the remote (docs/SHARING.md), DVC does not check what it fetches: a file that somebody
altered there is checked out without a warning, and `dvc status` calls it up to date.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from augen.core.errors import AugenError
from augen.core.run import no_arguments


def altered(root: Path) -> tuple[list[str], list[str]]:
    """``(altered, absent)``: files under `root` that differ from dvc.lock, and outs that are missing.

    Raises AugenError if there is no readable dvc.lock.
    """
    changed: list[str] = []
    absent: list[str] = []
    for out in _outs(root / "dvc.lock"):
        path = root / out["path"]
        if not path.exists():
            absent.append(out["path"])
        elif path.is_dir():
            changed += [f"{out['path']}{name}" for name in _differences(path, root, out["md5"])]
        elif _md5(path.read_bytes()) != out["md5"]:
            changed.append(out["path"])
    return changed, absent


def _outs(lock: Path) -> list[dict[str, Any]]:
    try:
        stages = YAML(typ="safe").load(lock.read_text(encoding="utf-8"))["stages"]
        return [out for stage in stages.values() for out in stage.get("outs", []) if "md5" in out]
    except FileNotFoundError:
        raise AugenError(f"{lock}: not found; dvc repro or dvc pull makes something that can be checked") from None
    except Exception as fault:
        raise AugenError(f"{lock}: not a lock file of DVC ({fault}); git checkout dvc.lock brings it back") from None


def _differences(folder: Path, root: Path, expected: str) -> list[str]:
    """The altered files of `folder` as ``/name``; one empty name, for the folder itself, if they cannot be told apart.

    They can if DVC's cache still has the true listing of the folder, whose MD5 is `expected`.
    """
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    rows = [
        {"md5": _md5(path.read_bytes()), "relpath": name} for name, path in sorted(found.items())
    ]  # as DVC lists it
    if _md5(json.dumps(rows).encode()) + ".dir" == expected:
        return []
    try:
        packed = (root / ".dvc/cache/files/md5" / expected[:2] / expected[2:]).read_bytes()
    except OSError:
        return [""]
    if _md5(packed) + ".dir" != expected:
        return [""]
    old, new = ({row["relpath"]: row["md5"] for row in listing} for listing in (json.loads(packed), rows))
    return [f"/{name}" for name in sorted({*old, *new}) if old.get(name) != new.get(name)]


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def main() -> None:
    try:
        changed, absent = altered(Path.cwd())
    except AugenError as error:
        sys.exit(str(error))
    if absent:
        print(f"not there (dvc pull fetches them): {', '.join(absent)}")
    if changed:
        sys.exit("\n".join(f"{path}: is not what dvc.lock says: altered after it was made" for path in changed))
    print("everything that is there is what dvc.lock says")


if __name__ == "__main__":
    no_arguments(main)
    main()
