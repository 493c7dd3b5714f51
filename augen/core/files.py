"""Outs are written whole or not at all.

What is being written has another name (``.NAME.partial``) and is locked: so `sweep` can tell what a killed process left
from what another one is writing.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from augen.core.errors import AugenError

WAIT_S = 0.01


def write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path`, making its folder; a crash leaves the old file or none, never half of one."""
    write_bytes(path, text.encode())


def write_lines(path: Path | str, lines: Iterable[str]) -> None:
    """`lines`, each with its end, one after the other as they come, and otherwise as `write_text`."""
    write_parts(path, (line.encode() for line in lines))


def write_bytes(path: Path | str, data: bytes) -> None:
    """`data` as `write_text` writes text."""
    write_parts(path, [data])


def write_parts(path: Path | str, parts: Iterable[bytes]) -> None:
    """`parts`, one after the other as they come, and otherwise as `write_text`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with _new(partial) as file:
        try:
            file.writelines(parts)
            file.flush()
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


@contextmanager
def _new(path: Path) -> Iterator[IO[bytes]]:
    """A new file, locked. What a killed process left there is removed; what another one is writing is waited for."""
    while True:
        _clear(path)
        try:
            file = path.open("xb")
        except FileExistsError:
            time.sleep(WAIT_S)
            continue
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(path, file.fileno()):  # else another took it for a left one before it was locked
                yield file
                return


def _clear(path: Path) -> None:
    """Remove the file that a killed process has left at `path`, or the link there, which must not be followed."""
    try:
        with _held(path) as descriptor:
            if _is_at(path, descriptor):
                path.unlink()
    except (FileNotFoundError, BlockingIOError):  # there is none; or another writes it now
        pass
    except OSError:
        path.unlink(missing_ok=True)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file is the one that has this name."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextmanager
def whole_folder(path: Path | str) -> Iterator[Path]:
    """A new folder beside `path` to write into, which takes its place when the block ends well, and else vanishes."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    _remove(partial)
    partial.mkdir(parents=True)
    try:
        with _held(partial):
            yield partial
            shutil.rmtree(path, ignore_errors=True)
            os.replace(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def sweep(*folders: Path) -> None:
    """Remove from `folders`, and the folders in them, what killed processes have left half-written."""
    for folder in folders:
        for place, inner, files in os.walk(folder):
            for name in [*inner, *files]:
                if name.startswith(".") and name.endswith(".partial"):
                    with suppress(OSError), _held(Path(place, name)):  # BlockingIOError: somebody writes it now
                        _remove(Path(place, name))


@contextmanager
def _held(path: Path) -> Iterator[int]:
    """Lock a file or folder, and open it; BlockingIOError if another process has."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    """Remove a folder or a file, if it is there; of a link the link, and never what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def written_together(stage: str, outs: Iterable[Path]) -> Iterator[Path]:
    """A new folder in ``data`` to write `outs` into, by their names: they take their places when the block ends well.

    The folder vanishes in the end, that of a killed run in the beginning.
    """
    scratch = Path("data", f".{stage}.partial")
    _remove(scratch)
    scratch.mkdir(parents=True)
    try:
        with _held(scratch):
            yield scratch
            for out in outs:
                out.parent.mkdir(parents=True, exist_ok=True)
                os.replace(scratch / out.name, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_json(path: Path | str, value: Any) -> None:
    """`value` as indented JSON with its keys in their own order."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path | str) -> Any:
    """The value of a JSON file that a stage wrote; AugenError where it is missing or none."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise AugenError(f"{path}: cannot be read ({fault}); run `dvc repro`, which writes it again") from None
