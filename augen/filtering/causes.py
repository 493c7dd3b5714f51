"""Which questions with reasonings are fit to train on, and why the others are not. Pure.

The causes for dropping a question, in the order in which they are looked for. A question is counted under the first
one that ``filter.drop`` in params.yaml switches on:

``no_reasoning``       nobody wrote one
``no_answer``          `parse_answer` finds no letter in it
``other_answer``       it ends in another letter than the one asked for
``right_answer``       it should argue for a wrong letter, but its letter is the right one
``leaks_hint``         it mentions the answer that its author was given ("根据给定的答案…")
``collapsed_options``  two options are the same text
``too_long``           problem, question, options and reasoning together exceed `max_chars` characters
``near_duplicate``     its problem, question and options are almost those of a dev or test question
``repeated``           the same row came before, or another problem with the same reasoning
``unbalanced``         a generator's own right sample without a wrong one of its own to pair it with

A program was checked when it was run, whatever its reasoning is like. So a question of a file of right reasonings
whose reasoning is dropped stays with its program alone, if nothing is wrong with the question itself.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from augen.answers import parse_answer
from augen.core.errors import AugenError
from augen.entries import Entry, QuestionItem, origin, question_id
from augen.filtering.near_duplicates import NearDuplicates, normal

CAUSES = (
    "no_reasoning",
    "no_answer",
    "other_answer",
    "right_answer",
    "leaks_hint",
    "collapsed_options",
    "too_long",
    "near_duplicate",
    "repeated",
    "unbalanced",
)
EXAMPLE_CHARS = 120

_GIVEN = "给定|给出|给予|提供|告知|告诉|指定"
_HINTS = re.compile(
    rf"(?:{_GIVEN})(?:了|的|我们的?|过)*(?:正确|标准|参考)?答案"  # 根据给定的答案, 题目告诉我们答案
    rf"|答案(?:已经?|被|是被|中已)(?:{_GIVEN}|知道|写明|标明)"  # 答案已经给出
    rf"|(?:已知|已有|预设|预先|既定|所给|标准|参考|提示)(?:的|中的)?(?:正确)?答案"  # 已知答案, 参考答案
    r"|正确答案(?:已经?|既然|早已)"  # 正确答案已经…
    r"|(?:既然|因为|由于|鉴于)(?:正确)?答案(?:是|为|选)"  # 既然答案是B
    r"|(?:符合|支持|解释|验证|证明|得到|推出)(?:了|这个|上述|该|题目的?)*(?:所给|给出的)答案"
    r"|为什么(?:正确)?答案(?:是|为|选)"
)


@dataclass
class FilterAccount:
    """What became of the questions of one file, with one dropped question and the reason for each cause.

    `programs` of the dropped questions stay without their reasoning.
    """

    questions: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    programs: int = 0
    examples: dict[str, dict[str, str]] = field(default_factory=dict)

    def drop(self, cause: str, question: str, detail: str) -> None:
        self.dropped[cause] += 1
        self.examples.setdefault(cause, {"question": question, "detail": detail})

    def as_dict(self) -> dict[str, object]:
        """Plain values for a JSON file, causes in alphabetical order."""
        return {
            "questions": self.questions,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "programs": self.programs,
            "examples": dict(sorted(self.examples.items())),
        }


@dataclass(frozen=True)
class Rules:
    """What is dropped of every file."""

    drop: AbstractSet[str]  # the causes that are switched on
    max_chars: int
    held_out: NearDuplicates | None  # the dev and test questions; None: near-duplicates are not looked for


Digest = bytes  # of texts, which are not kept
RightAnswers = Mapping[Digest, str | None]
Authors = AbstractSet[Digest]
Fault = tuple[str, str]  # cause, detail for the report


@dataclass
class Seen:
    """Of which texts (a reasoning, a program) which problem was the first to have one, and for which questions."""

    first: dict[Digest, str] = field(default_factory=dict)
    rows: set[Digest] = field(default_factory=set)


def digest_of(*parts: object) -> Digest:
    """What stands for `parts` in memory. Other parts have other digests, for all that can be expected of 16 bytes.

    >>> digest_of("甲", "乙") == digest_of("甲", "乙"), digest_of("甲乙") == digest_of("甲", "乙")
    (True, False)
    """
    return blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def right_answers(entries: Iterable[Entry]) -> dict[Digest, str | None]:
    """The answer of every question, by problem id, question and options.

    Not by position: a file of wrong reasonings may lack questions or have several reasonings for one.
    """
    return {_key(entry, item): item.answer for entry in entries for item in entry.questions}


def authors_by_question(entries: Iterable[Entry]) -> set[Digest]:
    """Each question with each author of a reasoning for it."""
    return {
        digest_of(_key(entry, item), item.author) for entry in entries for item in entry.questions if item.reasoning
    }


def _key(entry: Entry, item: QuestionItem) -> Digest:
    return digest_of(entry.id, item.question, *item.options)


def filter_entries(
    entries: Iterable[Entry],
    rules: Rules,
    account: FilterAccount,
    right: RightAnswers | None = None,
    unpaired: Authors | None = None,
    seen: Seen | None = None,
) -> Iterator[Entry]:
    """The entries with only those questions that may be trained on; `account` counts these and the others.

    A file of wrong reasonings comes with the `right` answers of its questions (see `right_answers`); its
    ``item.answer`` is the wrong letter that was asked for. A file of a generator's own right samples comes with the
    `unpaired` questions and authors (see `authors_by_question`): those with a wrong reasoning and no right one. Only
    samples for these are kept, so that each question has as many right as wrong texts by the same author. `seen`
    holds what was kept of earlier files; what is kept of this one is added. Entries that lose all their questions
    vanish; the input is not changed. Raises AugenError if `right` lacks a question.
    """
    seen = Seen() if seen is None else seen
    for entry in entries:
        items: list[QuestionItem] = []
        for index, item in enumerate(entry.questions):
            account.questions += 1
            faults = _faults(entry, item, rules, right, unpaired, seen)
            fault = next((fault for fault in faults if fault[0] in rules.drop), None)
            if fault is None:
                account.kept += 1
            else:
                account.drop(fault[0], question_id(entry, index), fault[1])
                item = replace(item, reasoning=None, author=None)
                faults = _question_faults(entry, item, rules, seen)
                in_right_file = right is None and unpaired is None
                if not (in_right_file and item.program) or any(cause in rules.drop for cause, _ in faults):
                    continue
                account.programs += 1
            items.append(item)
            _remember(entry, item, seen)
        if items:
            yield replace(entry, questions=items)


def _faults(
    entry: Entry, item: QuestionItem, rules: Rules, right: RightAnswers | None, unpaired: Authors | None, seen: Seen
) -> Iterator[Fault]:
    """All faults of a question, in the order of `CAUSES`. A generator: the checks after the first that counts are
    never made."""
    yield from _reasoning_faults(entry, item, right)
    yield from _question_faults(entry, item, rules, seen)
    if unpaired is not None and digest_of(_key(entry, item), item.author) not in unpaired:
        yield "unbalanced", "no wrong text of this author was kept, or another right one of it was"


def _question_faults(entry: Entry, item: QuestionItem, rules: Rules, seen: Seen) -> Iterator[Fault]:
    """The faults that do not lie in the reasoning."""
    options = [normal(option) for option in item.options]
    if len(set(options)) < len(options):
        yield "collapsed_options", " / ".join(item.options)[:EXAMPLE_CHARS]
    text = question_text(entry.problem, item)
    chars = len(text) + len(item.reasoning or "")
    if chars > rules.max_chars:
        yield "too_long", f"{chars} characters"
    if rules.held_out is not None and (match := rules.held_out.match(text)):
        yield "near_duplicate", f"{match[0]}, similarity {match[1]:.3f}"
    if first := _repeats(entry, item, seen):
        yield "repeated", f"as in {first}"


def _reasoning_faults(entry: Entry, item: QuestionItem, right: RightAnswers | None) -> Iterator[Fault]:
    if item.reasoning is None or not item.reasoning.strip():
        yield "no_reasoning", "no text"
        return
    letter = parse_answer(item.reasoning, len(item.options))
    if letter is None:
        yield "no_answer", f"…{item.reasoning.strip()[-EXAMPLE_CHARS:]}"
    elif letter != item.answer:
        yield "other_answer", f"asked for {item.answer}, found {letter}"
    if right is not None:
        try:
            answer = right[_key(entry, item)]
        except KeyError:
            asked = question_id(entry, entry.questions.index(item))
            raise AugenError(
                f"{asked}: a wrong reasoning for a question that the file with the right "
                "answers does not hold; run `dvc repro` so that both files come from the same entries"
            ) from None
        if letter is not None and letter == answer:
            yield "right_answer", f"argues for {letter}, which is right"
    if excerpt := find_hint(item.reasoning):
        yield "leaks_hint", excerpt


def find_hint(reasoning: str) -> str | None:
    """The passage of `reasoning`, with some context, that mentions an answer given to its author."""
    if (found := _HINTS.search(reasoning)) is None:
        return None
    return reasoning[max(0, found.start() - EXAMPLE_CHARS // 2) : found.end() + EXAMPLE_CHARS // 2]


def _repeats(entry: Entry, item: QuestionItem, seen: Seen) -> str | None:
    """The id of the problem that has this reasoning, or without one this program, already; or None.

    Rewritten copies of one problem may share a reasoning: perhaps nothing in it had to be reworded. The same row
    twice is always a repetition.
    """
    if not (text := item.reasoning or item.program):
        return None
    own, question = origin(entry.id), normal(question_text(entry.problem, item))
    text = normal(text)
    first = seen.first.get(digest_of(text), own)
    return first if first != own or digest_of(text, question) in seen.rows else None


def _remember(entry: Entry, item: QuestionItem, seen: Seen) -> None:
    question = normal(question_text(entry.problem, item))
    for text in map(normal, filter(None, (item.reasoning, item.program))):
        seen.first.setdefault(digest_of(text), origin(entry.id))
        seen.rows.add(digest_of(text, question))


def question_text(problem: str, item: QuestionItem) -> str:
    """Problem, question and options, one a line: what makes two questions the same."""
    return "\n".join([problem, item.question, *item.options])
