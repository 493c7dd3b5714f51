"""``reports/data.md``: what the training data are, where they come from, and what was dropped. Pure.

The same inputs give the same page, byte for byte. Entries are counted as they pass (`Passed`) and not kept.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tabulate import tabulate

from augen.core.terminal import visible
from augen.entries import Entry, letter_of, origin
from augen.entries.reasoned import FILES, RIGHT_FILES, WRONG_FILES
from augen.filtering.causes import CAUSES, FilterAccount, digest_of

PAIRS = 20  # rewritten problems that are shown beside their originals
PAIR_LINES = 4  # changed lines of each
LINE_CHARS = 160
EXAMPLE_CHARS = 120
PROGRAM_FILES = ("entries", "entries_aug")  # whose programs are learned
_PLAIN_NAME = re.compile(r"\w[\w .,:;/@+~#()-]*")  # nothing in it is Markdown
SYNTHETIC = "synthetic_"  # how the ids of added puzzles begin


@dataclass
class Passed:
    """What the page says about entries, counted as they pass; `pairs`: also which questions each author has."""

    pairs: bool = False
    problems: int = 0
    options: Counter[int] = field(default_factory=Counter)  # questions by their number
    answers: Counter[str] = field(default_factory=Counter)
    argued: Counter[str] = field(default_factory=Counter)  # the answers of the questions with a reasoning
    written: Counter[str] = field(default_factory=Counter)  # reasonings by author
    programs: int = 0
    questions_of: dict[str, set[bytes]] = field(default_factory=dict)  # by author: those with a reasoning
    lengths: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))

    def of(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries as they come."""
        for entry in entries:
            self.add(entry)
            yield entry

    def add(self, entry: Entry) -> None:
        self.problems += 1
        self.lengths["problem"][len(entry.problem)] += 1
        for item in entry.questions:
            self.options[len(item.options)] += 1
            self.lengths["question"][len("\n".join([item.question, *item.options]))] += 1
            if item.answer:
                self.answers[item.answer] += 1
            if item.program:
                self.programs += 1
                self.lengths["program"][len(item.program)] += 1
            if item.reasoning:
                author = item.author or "unknown"
                self.written[author] += 1
                if item.answer:
                    self.argued[item.answer] += 1
                self.lengths["reasoning"][len(item.reasoning)] += 1
                if self.pairs:
                    self.questions_of.setdefault(author, set()).add(digest_of(entry.problem, item.question))


Files = Mapping[str, Passed]  # by the names of `FILES`


@dataclass(frozen=True)
class Data:
    """What the page is made from: entries before and after the filter, its accounts, and what the stages counted."""

    reasoned: Files
    kept: Files  # with `pairs`
    accounts: Mapping[str, FilterAccount]
    synthetic: Passed
    dev: Passed
    test: Passed
    rewriting: Mapping[str, Any]  # reports/translate.json
    shuffling: Mapping[str, int]  # questions by outcome; empty: shuffling is off
    copies: Sequence[tuple[Entry, Entry]]  # rewritten problems to show, each with its original


def page(data: Data) -> str:
    """The whole page, as Markdown."""
    parts = ["# The data", _sizes(data), _answers(data), _lengths(data), _yields(data), _authors(data), _dropped(data)]
    return "\n\n".join([*parts, _shuffling(data.shuffling), _rewriting(data)]) + "\n"


def _sizes(data: Data) -> str:
    rows = []
    for name, passed in (
        ("to train on", data.reasoned["entries"]),
        ("of these, solver-verified puzzles that were added", data.synthetic),
        ("rewritten copies", data.reasoned["entries_aug"]),
        ("dev", data.dev),
        ("test", data.test),
    ):
        options = ", ".join(f"{n}: {count:,}" for n, count in sorted(passed.options.items()))
        rows.append((name, f"{passed.problems:,}", f"{passed.options.total():,}", options))
    return _section("Sizes", rows, ("", "problems", "questions", "questions by number of options"))


def _answers(data: Data) -> str:
    rows = []
    trained, dev = data.reasoned["entries"], data.dev
    shown = {"to train on": trained.answers, "dev": dev.answers}
    shown |= {f"kept: {FILES[name]}": passed.argued for name, passed in data.kept.items()}  # no lone programs
    width = max((options for passed in (trained, dev, *data.kept.values()) for options in passed.options), default=2)
    for name, answers in shown.items():
        total = answers.total()
        shares = [f"{answers[letter_of(i)] / total:.1%}" if total else "" for i in range(width)]
        rows.append((name, f"{total:,}", *shares))
    letters = [letter_of(i) for i in range(width)]
    return _section("Answers", rows, ("", "answers", *letters))


def _lengths(data: Data) -> str:
    problems = data.reasoned["entries"].lengths
    lengths = {
        "problem": problems["problem"],
        "question and options": problems["question"],
        "right reasoning, kept": _together(data.kept, RIGHT_FILES, "reasoning"),
        "wrong reasoning, kept": _together(data.kept, WRONG_FILES, "reasoning"),
        "program, kept": _together(data.kept, PROGRAM_FILES, "program"),
    }
    rows = []
    for name, counts in lengths.items():
        if (last := counts.total() - 1) >= 0:
            median = (_at(counts, last // 2) + _at(counts, (last + 1) // 2)) / 2
            rows.append((name, f"{median:.0f}", f"{_at(counts, int(0.9 * last)):,}", f"{max(counts):,}"))
    return _section("Lengths", rows, ("characters", "median", "90 % are at most", "longest"))


def _together(files: Files, names: Iterable[str], kind: str) -> Counter[int]:
    return sum((files[name].lengths[kind] for name in names), Counter[int]())


def _at(counts: Counter[int], place: int) -> int:
    """The value at that place, from 0, of all values in ascending order."""
    for value, count in sorted(counts.items()):
        place -= count
        if place < 0:
            return value
    raise IndexError(place)


def _yields(data: Data) -> str:
    rows = []
    for name, title in FILES.items():
        asked, kept = data.accounts[name].questions, data.accounts[name].kept
        written = data.reasoned[name].written.total()
        rows.append((title, f"{asked:,}", f"{written:,}", _share(written, asked), f"{kept:,}", _share(kept, written)))
    headers = ("reasonings", "questions", "written", "", "kept", "of those written")
    return f"{_section('Yields', rows, headers)}\n\n{_programs(data)}"


def _programs(data: Data) -> str:
    """How many programs there are, and how many of them are all that is left of their question."""
    kept = sum(data.kept[name].programs for name in PROGRAM_FILES)
    alone = sum(data.accounts[name].programs for name in PROGRAM_FILES)
    return f"Programs to learn from: {kept:,}, of these {alone:,} of questions whose reasoning was dropped."


def _authors(data: Data) -> str:
    """How many right and wrong texts each author has, and for how many questions both."""
    texts = [sum((data.kept[name].written for name in names), Counter[str]()) for names in (RIGHT_FILES, WRONG_FILES)]
    rows = [
        (_name(author), f"{texts[0][author]:,}", f"{texts[1][author]:,}", f"{_with_both(data.kept, author):,}")
        for author in sorted(texts[0] | texts[1])
    ]
    return _section("Authors", rows, ("kept texts by", "right", "wrong", "questions with both"))


def _with_both(kept: Files, author: str) -> int:
    """For how many questions there are a right and a wrong text by `author`."""
    right, wrong = (
        set[bytes]().union(*(kept[name].questions_of.get(author, ()) for name in names))
        for names in (RIGHT_FILES, WRONG_FILES)
    )
    return len(right & wrong)


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
    parts += _pairs(data.copies)
    return "\n\n".join(parts)


class Chosen:
    """Up to `PAIRS` of the entries that pass, spread over all of them; in memory are fewer than twice as many."""

    def __init__(self) -> None:
        self._entries = list[Entry]()  # every `_stride`-th that passed
        self._stride, self._passed = 1, 0

    def add(self, entry: Entry) -> None:
        if self._passed % self._stride == 0:
            self._entries.append(entry)
        self._passed += 1
        if len(self._entries) == 2 * PAIRS:
            self._entries = self._entries[::2]
            self._stride *= 2

    def __iter__(self) -> Iterator[Entry]:
        count = len(self._entries)
        return (self._entries[i * count // min(count, PAIRS)] for i in range(min(count, PAIRS)))


def with_originals(copies: Iterable[Entry], originals: Iterable[Entry]) -> list[tuple[Entry, Entry]]:
    """Each copy with the original that it was rewritten from; `originals` are read until the last is found."""
    copies = list(copies)
    wanted = {origin(copy.id) for copy in copies}
    found = dict[str, Entry]()
    for entry in originals if wanted else ():
        if entry.id in wanted:
            found[entry.id] = entry
            if len(found) == len(wanted):
                break
    return [(copy, found[origin(copy.id)]) for copy in copies]


def _pairs(copies: Sequence[tuple[Entry, Entry]]) -> list[str]:
    """Each copy as a diff of its lines against the original; of the reasonings where these alone differ."""
    shown = []
    for copy, original in copies:
        before, after = map(_asked, (original, copy))
        if before == after:
            before, after = map(_reasoned, (original, copy))
        shown.append(f"{_name(copy.id)}\n\n```diff\n{_difference(before, after)}\n```")
    return ["### Before and after", *shown] if shown else []


def _asked(entry: Entry) -> str:
    return "\n".join([entry.problem, *(text for item in entry.questions for text in (item.question, *item.options))])


def _reasoned(entry: Entry) -> str:
    return "\n".join(item.reasoning or "" for item in entry.questions)


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
