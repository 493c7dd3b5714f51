"""Rewritten copies of problems: same logic, other words.

Every backend is a callable from drafts to texts (`Rewriter`). What all backends share is here: which texts of an entry
are rewritten, how the copy is put together, which entries are left alone, and the guards (`augen.rewriting.guards`)
that drop a copy whose meaning may have changed. A translator only has to send ``draft.texts`` there and back; it may
pack the texts of several drafts into one request.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from augen.entries import Entry, QuestionItem
from augen.rewriting.guards import compare, fields, is_about_translation

KEPT = "kept"


@dataclass(frozen=True)
class Draft:
    """One copy to be written: its id (``train_012~1``) and the texts of its origin, to be rewritten together.

    A backend that draws at random takes its seed from `id`, so a copy does not depend on which other copies are made.
    """

    id: str
    texts: tuple[str, ...]


@dataclass
class Tally:
    """How many copies were kept and dropped, by cause, and an example of each cause.

    The example is the first text that changed in the first such copy; where none changed, the problem with an empty
    text after it.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, dict[str, str]] = field(default_factory=dict)

    def drop(self, cause: str, before: Entry, after: Entry) -> None:
        self.counts[cause] += 1
        if cause not in self.examples:
            pairs = zip(fields(before), fields(after), strict=False)
            name, old, new = next(((n, a, b) for (n, a), (_, b) in pairs if a != b), ("problem", before.problem, ""))
            self.examples[cause] = {"problem": before.id, "text": name, "before": old, "after": new}

    def add(self, other: "Tally") -> None:
        """Count what `other` has counted, which came after this."""
        self.counts += other.counts
        self.examples = other.examples | self.examples

    def as_dict(self) -> dict[str, object]:
        """For a JSON file, causes in alphabetical order."""
        return {"counts": dict(sorted(self.counts.items())), "examples": dict(sorted(self.examples.items()))}


class Rewriter(Protocol):
    """A backend: for each draft, in order, as many texts as the draft has."""

    def __call__(self, drafts: Sequence[Draft], /) -> Iterable[Sequence[str]]: ...


def rewrite(
    entries: Sequence[Entry],
    rewriter: Rewriter,
    *,
    copies: int,
    min_length_ratio: float,
    max_length_ratio: float,
) -> tuple[list[Entry], Tally]:
    """Up to `copies` rewritten copies of each entry, and the tally of what was kept and dropped.

    Causes: ``about_translation`` (counted once per entry: its words are its subject), ``unchanged``, ``repeated``
    (equal to an earlier copy of the same entry) and those of `guards.compare`. A copy with several causes counts under
    the first. Copies are in the order of their origins; answers and authors stay.
    """
    tally = Tally()
    origins: list[Entry] = []
    for entry in entries:
        if is_about_translation(entry):
            tally.drop("about_translation", entry, entry)
        else:
            origins += [entry] * copies
    drafts = [Draft(f"{entry.id}~{i % copies + 1}", texts_of(entry)) for i, entry in enumerate(origins)]

    kept: list[Entry] = []
    seen: set[tuple[str, ...]] = set()
    for entry, draft, texts in zip(origins, drafts, rewriter(drafts), strict=True):
        copy = with_texts(entry, texts, id=draft.id)
        cause = _cause(entry, copy, seen, min_length_ratio, max_length_ratio)
        if cause is None:
            tally.counts[KEPT] += 1
            kept.append(copy)
            seen.add((entry.id, *texts))
        else:
            tally.drop(cause, entry, copy)
    return kept, tally


def texts_of(entry: Entry) -> tuple[str, ...]:
    """The texts that a backend may rewrite: the problem, then each question's text, options and reasoning.

    The answer line that ends a reasoning is left out, so that no backend can damage it.
    """
    texts = [entry.problem]
    for item in entry.questions:
        texts += [item.question, *item.options]
        if item.reasoning is not None:
            texts.append(_split_answer_line(item.reasoning)[0])
    return tuple(texts)


def with_texts(entry: Entry, texts: Iterable[str], *, id: str) -> Entry:
    """The inverse of `texts_of`: `entry` with `texts` in place of its own, under a new id."""
    given = iter(texts)
    copy = Entry(problem=next(given), questions=[_with_texts(item, given) for item in entry.questions], id=id)
    if next(given, None) is not None:
        raise ValueError(f"{id}: the backend returned more texts than it was given")
    return copy


def _with_texts(item: QuestionItem, texts: Iterator[str]) -> QuestionItem:
    # The program speaks of the words of the original.
    copy = replace(item, question=next(texts), options=[next(texts) for _ in item.options], program=None)
    if item.reasoning is not None:
        copy.reasoning = next(texts) + _split_answer_line(item.reasoning)[1]
    return copy


def _split_answer_line(reasoning: str) -> tuple[str, str]:
    """``("先看甲。", "\\n答案是：B")``; the second part is empty if the last line is not an answer."""
    body, newline, last = reasoning.rstrip().rpartition("\n")
    return (body, newline + last) if last.startswith("答案") else (reasoning, "")


def _cause(
    before: Entry, after: Entry, seen: set[tuple[str, ...]], min_length_ratio: float, max_length_ratio: float
) -> str | None:
    texts = texts_of(after)
    if texts == texts_of(before):
        return "unchanged"
    if (before.id, *texts) in seen:
        return "repeated"
    causes = compare(before, after, min_length_ratio=min_length_ratio, max_length_ratio=max_length_ratio)
    return causes[0] if causes else None
