"""Whether what lies in the working tree is what dvc.lock says: every out is hashed anew.

    python -m tools.artifacts    names each out that was altered, down to the file, and ends with 1 if there is one

DVC believes what it has fetched: a file that somebody altered on a remote is checked out without a word, and `dvc
status` calls it up to date, unless the remote has ``verify true`` (docs/SHARING.md). This looks at the bytes.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from augen.core.errors import AugenError
from augen.core.run import no_arguments

Listing = list[dict[str, str]]  # md5 and relpath of each file of a folder, as DVC writes it


def altered(root: Path) -> tuple[list[str], list[str]]:
    """``(altered, absent)``: the files under `root` that are not those of dvc.lock, and the outs that are not there.

    Raises AugenError where there is no dvc.lock that can be read.
    """
    changed: list[str] = []
    absent: list[str] = []
    for out in _outs(root / "dvc.lock"):
        path = root / out["path"]
        if not path.exists():
            absent.append(out["path"])
        elif path.is_dir():
            found = _listing(path)
            if _md5(_packed(found)) + ".dir" != out["md5"]:
                changed += [f"{out['path']}{name}" for name in _differences(found, root, out["md5"])]
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


def _listing(folder: Path) -> Listing:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rows = [{"md5": _md5(path.read_bytes()), "relpath": path.relative_to(folder).as_posix()} for path in files]
    return sorted(rows, key=lambda row: row["relpath"])


def _differences(found: Listing, root: Path, expected: str) -> list[str]:
    """The altered files as ``/name``; one empty name (the folder itself) where the true listing is not at hand."""
    try:
        packed = (root / ".dvc/cache/files/md5" / expected[:2] / expected[2:]).read_bytes()
    except OSError:
        return [""]
    if _md5(packed) + ".dir" != expected:
        return [""]
    old, new = ({row["relpath"]: row["md5"] for row in rows} for rows in (json.loads(packed), found))
    return [f"/{name}" for name in sorted({*old, *new}) if old.get(name) != new.get(name)]


def _packed(listing: Listing) -> bytes:
    return json.dumps(listing, sort_keys=True).encode()


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
