"""Compares the outs in the working tree with dvc.lock by hashing every file again.

    python -m tools.artifacts                names each altered file, and ends with status 1 if there is one
    python -m tools.artifacts --published    says of each out whether it is the one of the run that README shows

The published run is the dvc.lock of the last commit. On any machine the outs of `SAME_EVERYWHERE` are the same to the
byte. What a model was trained on or drew depends on the machine: the order in which its cores add up numbers.

Without ``verify true`` on the remote (docs/SHARING.md), DVC does not check what it fetches: a file that somebody
altered there is checked out without a warning, and `dvc status` calls it up to date.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from tabulate import tabulate

from augen.core.errors import AugenError

SAME_EVERYWHERE = ("prepare", "translate")  # stages


def altered(root: Path) -> tuple[list[str], list[str]]:
    """``(altered, absent)``: files under `root` that differ from dvc.lock, and outs that are missing.

    Raises AugenError if there is no readable dvc.lock.
    """
    changed: list[str] = []
    absent: list[str] = []
    outs = [out for stage in read_lock(root / "dvc.lock").values() for out in stage["outs"] if "md5" in out]
    for out in outs:
        path = root / out["path"]
        if not path.exists():
            absent.append(out["path"])
        elif path.is_dir():
            changed += [f"{out['path']}{name}" for name in _differences(path, root, out["md5"])]
        elif _md5(path.read_bytes()) != out["md5"]:
            changed.append(out["path"])
    return changed, absent


def published(root: Path) -> list[tuple[str, str]]:
    """Each out of the dvc.lock under `root` and what it is beside the published one.

    Raises AugenError if there is no readable dvc.lock, or none in the last commit.
    """
    shown = subprocess.run(["git", "show", "HEAD:./dvc.lock"], cwd=root, capture_output=True, check=False)
    if shown.returncode:
        raise AugenError("the last commit has no dvc.lock: no run is published there")
    ours, theirs = read_lock(root / "dvc.lock"), stages_of(shown.stdout)
    rows = []
    for stage, content in ours.items():
        before = {out["path"]: out.get("md5") for out in theirs.get(stage, {}).get("outs", [])}
        for out in content["outs"]:
            if not (root / out["path"]).exists():
                meaning = "not there yet"
            elif before.get(out["path"]) == out.get("md5"):
                meaning = "the published one"
            elif content.get("params") != theirs.get(stage, {}).get("params"):
                meaning = "another one: params differ"
            elif stage in SAME_EVERYWHERE:
                meaning = "another one: its code or its inputs were changed"
            else:
                meaning = "another one, as expected: it depends on this machine's arithmetic"
            rows.append((out["path"], meaning))
    return rows


def stages_of(lock: bytes) -> dict[str, dict[str, Any]]:
    """The stages of a lock file, each with its list of outs."""
    stages = YAML(typ="safe").load(lock.decode("utf-8"))["stages"]
    return {name: {**stage, "outs": [dict(out) for out in stage.get("outs", [])]} for name, stage in stages.items()}


def read_lock(lock: Path) -> dict[str, dict[str, Any]]:
    """The stages in the file `lock`. Raises AugenError if it is not there or no lock file."""
    try:
        return stages_of(lock.read_bytes())
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


def main(against_published: bool = False) -> None:
    try:
        if against_published:
            print(tabulate(published(Path.cwd()), tablefmt="plain"))
            return
        changed, absent = altered(Path.cwd())
    except AugenError as error:
        sys.exit(str(error))
    if absent:
        print(f"not there (dvc pull fetches them): {', '.join(absent)}")
    if changed:
        sys.exit("\n".join(f"{path}: is not what dvc.lock says: altered after it was made" for path in changed))
    print("everything that is there is what dvc.lock says")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tools.artifacts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--published", action="store_true", help="compare with the run of the last commit")
    main(parser.parse_args().published)
