"""Check and repair a response store, on the command line.

python -m augen.store check
python -m augen.store repair .augen/responses.sqlite
python -m augen.store forget-refusals
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from augen.core.errors import AugenError
from augen.core.terminal import visible
from augen.store.database import NewerStore
from augen.store.repair import NAMED, check, repair
from augen.store.responses import Store, default_path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m augen.store``; returns the exit status."""
    options = _command_line().parse_args(arguments)
    try:
        options.run(options.file or default_path())
    except AugenError as error:
        print(visible(str(error)), file=sys.stderr)
        return 1
    return 0


def _command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m augen.store",
        description="Check and repair a response store, the file that keeps what was drawn or paid for.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    checks = commands.add_parser("check", help="read all of it and say what is not sound; status 1 if anything is")
    checks.set_defaults(run=_check)
    repairs = commands.add_parser(
        "repair", help="put a sound copy in its place, keep the old file under another name, say what was lost"
    )
    repairs.set_defaults(run=_repair)
    forgets = commands.add_parser(
        "forget-refusals",
        help="have asked for again what providers refused for its content, by dvc repro --force",
    )
    forgets.set_defaults(run=_forget_refusals)
    for command in (checks, repairs, forgets):
        command.add_argument(
            "file", type=Path, nargs="?", metavar="FILE", help="the store; by default that of this repository"
        )
    return parser


def _check(path: Path) -> None:
    found = check(path)
    if found.unsound:
        raise AugenError(
            f"{path}: {found.responses:,} responses are sound; not sound:\n{_list(found.unsound)}\n"
            f"`python -m augen.store repair {path}` saves what is sound"
        )
    print(f"{path}: sound, version {found.version}, {found.responses:,} responses")


def _repair(path: Path) -> None:
    try:
        found = check(path)
    except NewerStore:
        raise
    except AugenError as error:
        print(visible(str(error)), file=sys.stderr)
    else:
        if not found.unsound:
            print(f"{path}: sound, {found.responses:,} responses; there is nothing to repair")
            return
        print(_list(found.unsound))
    done = repair(path)
    print(f"{path}: {done.responses:,} responses were saved; the damaged file is kept as {done.kept_as}")
    if done.lost:
        print(f"lost, and asked for again when needed:\n{_list(done.lost)}")
    else:
        print("no lost response is known by name; what lay on missing pages is asked for again when needed")


def _forget_refusals(path: Path) -> None:
    if not path.exists():
        raise AugenError(f"{path}: there is no store")
    with Store(path) as store:
        print(f"{path}: {store.forget_refusals():,} refusals are forgotten")


def _list(items: Sequence[str]) -> str:
    more = [f"  and {len(items) - NAMED:,} more"] if len(items) > NAMED else []
    return visible("\n".join([*(f"  {item}" for item in items[:NAMED]), *more]))


if __name__ == "__main__":
    sys.exit(main())
