"""``reports/data.md``: what the training data are, where they come from, and what was dropped. Pure.

The same inputs give the same page, byte for byte.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tabulate import tabulate

from augen.core.terminal import visible
from augen.entries import Entry, QuestionItem, letter_of, origin
from augen.entries.reasoned import FILES, RIGHT_FILES, WRONG_FILES
from augen.filtering.causes import CAUSES, FilterAccount

PAIRS = 20  # rewritten problems that are shown beside their originals
PAIR_LINES = 4  # changed lines of each
LINE_CHARS = 160
EXAMPLE_CHARS = 120
PROGRAM_FILES = ("entries", "entries_aug")  # whose programs are learned
_PLAIN_NAME = re.compile(r"\w[\w .,:;/@+~#()-]*")  # nothing in it is Markdown
SYNTHETIC = "synthetic_"  # how the ids of added puzzles begin

Files = Mapping[str, Sequence[Entry]]  # by the names of `FILES`


@dataclass(frozen=True)
class Data:
    """What the page is made from: entries before and after the filter, its accounts, and what the stages counted."""

    reasoned: Files
    kept: Files
    accounts: Mapping[str, FilterAccount]
    dev: Sequence[Entry]
    test: Sequence[Entry]
    rewriting: Mapping[str, Any]  # reports/translate.json
    shuffling: Mapping[str, int]  # questions by outcome; empty: shuffling is off


def page(data: Data) -> str:
    """The whole page, as Markdown."""
    parts = ["# The data", _sizes(data), _answers(data), _lengths(data), _yields(data), _authors(data), _dropped(data)]
    return "\n\n".join([*parts, _shuffling(data.shuffling), _rewriting(data)]) + "\n"


def _sizes(data: Data) -> str:
    problems = data.reasoned["entries"]
    synthetic = [entry for entry in problems if entry.id.startswith(SYNTHETIC)]
    rows = []
    for name, entries in (
        ("to train on", problems),
        ("of these, solver-verified puzzles that were added", synthetic),
        ("rewritten copies", data.reasoned["entries_aug"]),
        ("dev", data.dev),
        ("test", data.test),
    ):
        counts = Counter(len(item.options) for item in _items(entries))
        options = ", ".join(f"{n}: {count:,}" for n, count in sorted(counts.items()))
        rows.append((name, f"{len(entries):,}", f"{counts.total():,}", options))
    return _section("Sizes", rows, ("", "problems", "questions", "questions by number of options"))


def _answers(data: Data) -> str:
    rows = []
    shown = {"to train on": data.reasoned["entries"], "dev": data.dev}
    shown |= {f"kept: {FILES[name]}": entries for name, entries in data.kept.items()}
    width = max((len(item.options) for entries in shown.values() for item in _items(entries)), default=2)
    for name, entries in shown.items():
        counts = Counter(item.answer for item in _items(entries) if item.answer)
        total = counts.total()
        shares = [f"{counts[letter_of(i)] / total:.1%}" if total else "" for i in range(width)]
        rows.append((name, f"{total:,}", *shares))
    letters = [letter_of(i) for i in range(width)]
    return _section("Answers", rows, ("", "answers", *letters))


def _lengths(data: Data) -> str:
    rights = [entry for name in RIGHT_FILES for entry in data.kept[name]]
    wrongs = [entry for name in WRONG_FILES for entry in data.kept[name]]
    problems = data.reasoned["entries"]
    lengths = {
        "problem": [len(entry.problem) for entry in problems],
        "question and options": [len("\n".join([i.question, *i.options])) for i in _items(problems)],
        "right reasoning, kept": [len(item.reasoning) for item in _items(rights) if item.reasoning],
        "wrong reasoning, kept": [len(item.reasoning) for item in _items(wrongs) if item.reasoning],
        "program, kept": [len(i.program) for name in PROGRAM_FILES for i in _items(data.kept[name]) if i.program],
    }
    rows = [
        (name, f"{median(found):.0f}", f"{sorted(found)[int(0.9 * (len(found) - 1))]:,}", f"{max(found):,}")
        for name, found in lengths.items()
        if found
    ]
    return _section("Lengths", rows, ("characters", "median", "90 % are at most", "longest"))


def _yields(data: Data) -> str:
    rows = []
    for name, title in FILES.items():
        asked, kept = data.accounts[name].questions, data.accounts[name].kept
        written = sum(1 for item in _items(data.reasoned[name]) if item.reasoning)
        rows.append((title, f"{asked:,}", f"{written:,}", _share(written, asked), f"{kept:,}", _share(kept, written)))
    headers = ("reasonings", "questions", "written", "", "kept", "of those written")
    return f"{_section('Yields', rows, headers)}\n\n{_programs(data)}"


def _programs(data: Data) -> str:
    """How many programs there are, and how many of them are all that is left of their question."""
    kept = sum(1 for name in PROGRAM_FILES for item in _items(data.kept[name]) if item.program)
    alone = sum(data.accounts[name].programs for name in PROGRAM_FILES)
    return f"Programs to learn from: {kept:,}, of these {alone:,} of questions whose reasoning was dropped."


def _authors(data: Data) -> str:
    """How many right and wrong texts each author has, and for how many questions both."""
    texts: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    questions: dict[bool, set[tuple[str, str, str]]] = {True: set(), False: set()}
    for name, entries in data.kept.items():
        right = name in RIGHT_FILES
        for entry in entries:
            for item in entry.questions:
                if not item.reasoning:  # kept for its program
                    continue
                author = item.author or "unknown"
                texts[right][author] += 1
                questions[right].add((author, entry.problem, item.question))
    both = Counter(author for author, *_ in questions[True] & questions[False])
    rows = [
        (_name(author), f"{texts[True][author]:,}", f"{texts[False][author]:,}", f"{both[author]:,}")
        for author in sorted(texts[True] | texts[False])
    ]
    return _section("Authors", rows, ("kept texts by", "right", "wrong", "questions with both"))


def _dropped(data: Data) -> str:
    found = [cause for cause in CAUSES if any(account.dropped[cause] for account in data.accounts.values())]
    rows = [(cause, *(f"{account.dropped[cause]:,}" for account in data.accounts.values())) for cause in found]
    table = _section("Dropped by the filter", rows, ("cause", *(FILES[name] for name in data.accounts)))
    examples = []
    for cause in found:
        example = next(account.examples[cause] for account in data.accounts.values() if cause in account.examples)
        examples.append(f"- `{cause}`, {_name(example['question'])}: {_inline(example['detail'])}")
    return "\n\n".join([table, "One of each:", "\n".join(examples)]) if examples else f"{table}\n\nNothing."


def _shuffling(counts: Mapping[str, int]) -> str:
    title = "## Options in another order\n\n"
    if not counts:
        return f"{title}Not asked for (`filter.shuffled`)."
    rows = [(cause, f"{count:,}") for cause, count in sorted(counts.items())]
    why = (
        "`letters`: the letters in the reasoning cannot be told from others with certainty; "
        "`position`: an option speaks of others by their place."
    )
    return f"{title}{_table(rows, ('questions', ''))}\n\n{why}"


def _rewriting(data: Data) -> str:
    counts, examples = data.rewriting["counts"], data.rewriting["examples"]
    title = "## Rewriting\n\n"
    if not counts:
        return f"{title}Not asked for (`translate.backend`)."
    parts = [title + _table([(cause, f"{count:,}") for cause, count in sorted(counts.items())], ("copies", ""))]
    if examples:
        parts.append("One of each that was dropped:")
        for cause, example in sorted(examples.items()):
            shown = f": {_inline(example['before'])}"
            if example["after"]:
                shown = f"\n\n```diff\n{_difference(example['before'], example['after'])}\n```"
            parts.append(f"`{cause}`, {_name(example['problem'])}, {example['text']}{shown}")
    parts += _pairs(data.reasoned["entries"], data.reasoned["entries_aug"])
    return "\n\n".join(parts)


def _pairs(originals: Sequence[Entry], copies: Sequence[Entry]) -> list[str]:
    """Up to `PAIRS` copies, spread over the file, each as a diff of its lines against the original."""
    by_id = {entry.id: entry for entry in originals}
    there = [copy for copy in copies if origin(copy.id) in by_id]
    chosen = [there[i * len(there) // PAIRS] for i in range(PAIRS)] if len(there) > PAIRS else there
    shown = []
    for copy in chosen:
        before, after = ("\n".join(_texts(entry)) for entry in (by_id[origin(copy.id)], copy))
        shown.append(f"{_name(copy.id)}\n\n```diff\n{_difference(before, after)}\n```")
    return ["### Before and after", *shown] if shown else []


def _texts(entry: Entry) -> list[str]:
    return [entry.problem, *(text for item in entry.questions for text in (item.question, *item.options))]


def _difference(before: str, after: str) -> str:
    """The first lines that differ, as in a diff."""
    old, new = (text.split("\n") for text in (before, after))
    if len(old) != len(new):
        old, new = [before.replace("\n", " ")], [after.replace("\n", " ")]
    changed = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    lines = []
    for a, b in changed[:PAIR_LINES]:
        start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), 0)
        lines += [f"- {_window(a, start)}", f"+ {_window(b, start)}"]
    if len(changed) > PAIR_LINES:
        lines.append(f"  … and {len(changed) - PAIR_LINES} more lines")
    return "\n".join(lines)


def _window(line: str, at: int) -> str:
    """At most `LINE_CHARS` of `line`, around the position `at`."""
    start = max(0, min(at - LINE_CHARS // 4, len(line) - LINE_CHARS))
    part = visible(line[start : start + LINE_CHARS])
    return f"{'…' if start else ''}{part}{'…' if start + LINE_CHARS < len(line) else ''}"


def _items(entries: Iterable[Entry]) -> list[QuestionItem]:
    return [item for entry in entries for item in entry.questions]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""


def _inline(text: str) -> str:
    """`text` on one line, as code, so that Markdown and HTML in it have no effect."""
    line = visible(" ".join(text.split()))[: 2 * EXAMPLE_CHARS]
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"`{line}`"


def _name(text: str) -> str:
    """A name from the data as it is, or as code where a sign in it could mean something; also for a table's cell."""
    return text if _PLAIN_NAME.fullmatch(text) else _inline(text).replace("|", "\\|")


def _section(title: str, rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    return f"## {title}\n\n{_table(rows, headers)}"


def _table(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    align = ["left", *["right"] * (len(headers) - 1)]
    return tabulate(rows, headers, tablefmt="github", colalign=align if rows else None, disable_numparse=True)
