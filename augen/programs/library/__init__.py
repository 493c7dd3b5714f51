"""Rules of puzzle families, which a program takes in by ``#use NAME.``: one module per ``.lp`` file beside this one."""

from pathlib import Path

_FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The names of all modules, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.lp")))


def module(name: str) -> str:
    """The rules of the module `name`; raises KeyError if there is none."""
    if name not in names():
        raise KeyError(name)
    return (_FOLDER / f"{name}.lp").read_text(encoding="utf-8")
