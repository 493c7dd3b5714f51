"""Look at entry files and convert them, on the command line.

python -m augen.entries show data/entries_raw.pkl --limit 3
python -m augen.entries to-jsonl data/entries_raw.pkl entries.jsonl
python -m augen.entries from-jsonl entries.jsonl entries.pkl
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from augen.core.errors import AugenError
from augen.core.terminal import visible
from augen.entries import Entry, letter_of, questions
from augen.entries.jsonl import read_jsonl, write_jsonl
from augen.entries.pickles import dump_pickle, load_pickle
from augen.entries.records import EntriesError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m augen.entries``; returns the exit status."""
    options, unknown = _command_line().parse_known_args(arguments)
    if unknown:  # the command's usage, not that of the whole
        options.parser.error(f"unknown: {' '.join(unknown)}; --help lists what there is")
    try:
        options.run(options)
    except AugenError as error:
        print(visible(str(error)), file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m augen.entries",
        description="Look at entry files and convert them. A file whose name ends in .jsonl is JSON Lines "
        "(one problem a line), any other is a pickle of entries; reading one runs nothing that is in it.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    show = commands.add_parser("show", help="print the problems of a file for reading")
    show.add_argument("file", type=Path, metavar="FILE", help="a pickle of entries or a .jsonl file")
    show.add_argument("--limit", type=_count, metavar="N", help="print only the first N problems")
    show.set_defaults(parser=show, run=lambda o: _show(_load(o.file)[: o.limit]))
    to_jsonl = commands.add_parser("to-jsonl", help="write the entries of a pickle as JSON Lines")
    to_jsonl.set_defaults(parser=to_jsonl, run=lambda o: write_jsonl(_other(o.out, o.file), load_pickle(o.file)))
    from_jsonl = commands.add_parser("from-jsonl", help="write the entries of a JSON Lines file as a pickle")
    from_jsonl.set_defaults(
        parser=from_jsonl,
        run=lambda o: dump_pickle(_other(o.out, o.file), read_jsonl(o.file, answers="optional", copies=True)),
    )
    for command in (to_jsonl, from_jsonl):
        command.add_argument("file", type=Path, metavar="FILE", help="the file to read")
        command.add_argument("out", type=Path, metavar="OUT", help="the file to write; replaced if it exists")
    return parser


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _other(out: Path, file: Path) -> Path:
    if out.resolve() == file.resolve():
        raise EntriesError([f"{out}: is the file to read; name another one to write"])
    return out


def _load(path: Path) -> list[Entry]:
    return read_jsonl(path, answers="optional", copies=True) if path.suffix == ".jsonl" else load_pickle(path)


def _show(entries: Iterable[Entry]) -> None:
    for entry in entries:
        print(visible("\n".join(_lines(entry))))


def _lines(entry: Entry) -> Iterator[str]:
    yield f"=== {entry.id or '(no id)'}\n{entry.problem}\n"
    for question in questions([entry]):
        item = question.item
        yield f"--- {question.id}\n{item.question}"
        for position, option in enumerate(item.options):
            yield f"  {letter_of(position)}: {option}"
        yield f"answer: {item.answer or 'unknown'}"
        if item.reasoning is not None:
            yield f"reasoning by {item.author or 'unknown'}:\n{item.reasoning}"
        yield ""


if __name__ == "__main__":
    sys.exit(main())
