"""Runs a program by hand, and lists the library.

python -m augen.programs run puzzle.lp --option 甲 --option 乙
python -m augen.programs modules
"""

import argparse
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from augen.core.errors import AugenError
from augen.core.terminal import visible
from augen.entries import LETTERS, letter_of
from augen.programs import library
from augen.programs.language import CAUSES, AnswerSet, Result
from augen.programs.options import verdict
from augen.programs.solver import Limits, Solver


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m augen.programs``; returns the exit status."""
    asked, unknown = _command_line().parse_known_args(arguments)
    if unknown:  # the command's usage, not that of the whole
        asked.parser.error(f"unknown: {' '.join(unknown)}; --help lists what there is")
    try:
        return int(asked.run(asked))
    except AugenError as error:
        print(visible(str(error)), file=sys.stderr)
        return 1


def _command_line() -> argparse.ArgumentParser:
    usual = Limits()
    parser = argparse.ArgumentParser(
        prog="python -m augen.programs", description="Run an answer-set program as `infer` does, or list the library."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run a program and print what it answers")
    run.add_argument("file", type=Path, metavar="FILE", help="the program; - reads it from standard input")
    run.add_argument("--option", action="append", default=[], metavar="TEXT", help="an option, once for each, in order")
    run.add_argument("--seconds", type=float, default=usual.seconds, help="of processor time (default: %(default)s)")
    run.add_argument("--memory-mib", type=int, default=usual.memory_mib, help="of memory (default: %(default)s)")
    run.set_defaults(parser=run, run=_run)
    modules = commands.add_parser("modules", help="list what #use NAME. can take in")
    modules.set_defaults(parser=modules, run=_modules)
    return parser


def _run(asked: argparse.Namespace) -> int:
    if len(asked.option) > len(LETTERS):
        asked.parser.error(f"at most {len(LETTERS)} options")
    if asked.seconds <= 0 or asked.memory_mib < 64:
        asked.parser.error("--seconds must be above 0 and --memory-mib at least 64")
    name, program = str(asked.file), _text(asked.file)
    with Solver(Limits(asked.seconds, asked.memory_mib), workers=1) as solver:
        [result] = solver.run([program])
    for number, answer_set in enumerate(result.answer_sets, start=1):
        print(visible(f"answer set {number}: {_shown(answer_set)}"))
    if result.message:
        print(visible(_explained(name, program, result)), file=sys.stderr)
    if result.cause or not asked.option:
        return 1 if result.cause else 0
    for position, option in enumerate(asked.option):
        print(f"  {letter_of(position)}: {option}")
    chosen = verdict(result, asked.option)
    if chosen.letter:
        print(f"answer: {chosen.letter}")
        return 0
    print(visible(f"no answer ({chosen.cause}): {chosen.message}"), file=sys.stderr)
    return 1


def _modules(asked: argparse.Namespace) -> int:
    for name in library.names():
        print(name)
    return 0


def _text(file: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise AugenError(f"{file}: {error.strerror}; name a file that can be read") from None
    except UnicodeDecodeError as error:
        raise AugenError(f"{file}: not UTF-8 at byte {error.start}; save it as UTF-8") from None


def _shown(answer_set: AnswerSet) -> str:
    values = ["、".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in answer_set.values]
    return ", ".join([*values, *(f"pick {letter}" for letter in answer_set.picks)]) or "no answer(V) and no pick(L)"


def _explained(name: str, program: str, result: Result) -> str:
    """The message of `result`, with the line of the program it is about and a caret below the place."""
    kind = f"{result.cause} ({CAUSES[result.cause]})" if result.cause else "note"
    if result.line is None or result.column is None:
        return f"{name}: {kind}: {result.message}"
    line = program.split("\n")[result.line - 1].expandtabs(1).rstrip()
    before = sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in line[: result.column - 1])
    return f"{name}:{result.line}:{result.column}: {kind}: {result.message}\n  {line}\n  {' ' * before}^"


if __name__ == "__main__":
    sys.exit(main())
