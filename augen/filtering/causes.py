"""Which questions with reasonings are fit to train on, and why the others are not. Pure.

Causes, in the order in which they are looked for (a question counts under the first that ``filter.drop`` in
params.yaml switches on):

``no_reasoning``       nobody wrote one
``no_answer``          `parse_answer` finds no letter in it
``other_answer``       it ends in another letter than was asked for
``right_answer``       it was to argue for a wrong letter, but the letter is the right one
``leaks_hint``         it speaks of the answer that was given to its author ("根据给定的答案…")
``collapsed_options``  two options are the same text
``too_long``           problem, question, options and reasoning together exceed `max_chars` characters
``near_duplicate``     its problem, question and options are almost those of a dev or test question
``repeated``           the same row, or the same reasoning about another problem, came before
``unbalanced``         a generator's own right sample, where its wrong one is missing or another right one is there
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from augen.answers import parse_answer
from augen.core.errors import AugenError
from augen.entries import Entry, QuestionItem, origin, question_id

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
class Report:
    """What became of the questions of one file; an example per cause says which question and what of it."""

    questions: int = 0
    kept: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
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
            "examples": dict(sorted(self.examples.items())),
        }


QuestionKey = tuple[str, str, tuple[str, ...]]


def right_answers(entries: Iterable[Entry]) -> dict[QuestionKey, str | None]:
    """The answer of every question, to be looked up by problem id, question and options.

    By text, not by position: a file of wrong reasonings may lack questions or hold one several times.
    """
    return {_key(entry, item): item.answer for entry in entries for item in entry.questions}


def _key(entry: Entry, item: QuestionItem) -> QuestionKey:
    return entry.id, item.question, tuple(item.options)


def signed(entries: Iterable[Entry]) -> set[tuple[QuestionKey, str | None]]:
    """Which author has written a reasoning for which question."""
    return {(_key(entry, item), item.author) for entry in entries for item in entry.questions if item.reasoning}


def filter_entries(
    entries: Sequence[Entry],
    *,
    right: Mapping[QuestionKey, str | None] | None = None,
    wanted: AbstractSet[tuple[QuestionKey, str | None]] | None = None,
    drop: AbstractSet[str],
    max_chars: int,
    held_out: "NearDuplicates | None",
    seen: "Seen | None" = None,
) -> tuple[list[Entry], Report]:
    """The entries with only those questions that may be trained on, and the account of the others.

    For reasonings that argue for wrong answers, `right` holds the right ones (see `right_answers`), and
    ``item.answer`` is the wrong letter that was asked for. Of a generator's own right samples only the `wanted` ones
    are kept (see `signed`), so that each question has as many right as wrong texts of that author. Only the causes in
    `drop` count; `held_out` indexes the dev and test questions, None looks for no near-duplicates; `seen` is what
    was kept of files before, and what is kept of this one is added to it. Entries that lose all their questions
    vanish; the input is not changed. Raises AugenError if `right` lacks a question.
    """
    report = Report()
    kept: list[Entry] = []
    seen = {} if seen is None else seen
    for entry in entries:
        items: list[QuestionItem] = []
        for index, item in enumerate(entry.questions):
            report.questions += 1
            faults = _faults(entry, index, right, wanted, max_chars, held_out, seen)
            fault = next((fault for fault in faults if fault[0] in drop), None)
            if fault is None:
                items.append(item)
                _remember(entry, item, seen)
            else:
                report.drop(fault[0], question_id(entry, index), fault[1])
        if items:
            kept.append(replace(entry, questions=items))
            report.kept += len(items)
    return kept, report


Fault = tuple[str, str]  # cause, detail for the report
Seen = dict[str, tuple[str, set[str]]]  # reasoning → its first origin, and its rows there


def _faults(
    entry: Entry,
    index: int,
    right: Mapping[QuestionKey, str | None] | None,
    wanted: AbstractSet[tuple[QuestionKey, str | None]] | None,
    max_chars: int,
    held_out: "NearDuplicates | None",
    seen: Seen,
) -> Iterator[Fault]:
    """Everything that is wrong with a question, in the order of `CAUSES`; each is looked for when it is asked for."""
    item = entry.questions[index]
    yield from _reasoning_faults(entry, index, right)
    options = [normal(option) for option in item.options]
    if len(set(options)) < len(options):
        yield "collapsed_options", " / ".join(item.options)[:EXAMPLE_CHARS]
    text = question_text(entry.problem, item)
    chars = len(text) + len(item.reasoning or "")
    if chars > max_chars:
        yield "too_long", f"{chars} characters"
    if held_out is not None and (match := held_out.match(text)):
        yield "near_duplicate", f"{match[0]}, similarity {match[1]:.3f}"
    if first := _repeats(entry, item, seen):
        yield "repeated", f"as in {first}"
    if wanted is not None and (_key(entry, item), item.author) not in wanted:
        yield "unbalanced", "no wrong text of this author was kept, or another right one of it was"


def _reasoning_faults(entry: Entry, index: int, right: Mapping[QuestionKey, str | None] | None) -> Iterator[Fault]:
    item = entry.questions[index]
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
            raise AugenError(
                f"{question_id(entry, index)}: a wrong reasoning for a question that the file with the right "
                "answers does not hold; run `dvc repro` so that both files come from the same entries"
            ) from None
        if letter is not None and letter == answer:
            yield "right_answer", f"argues for {letter}, which is right"
    if excerpt := find_hint(item.reasoning):
        yield "leaks_hint", excerpt


def find_hint(reasoning: str) -> str | None:
    """Where `reasoning` speaks of an answer that its author was given, with what stands around it."""
    if (found := _HINTS.search(reasoning)) is None:
        return None
    return reasoning[max(0, found.start() - EXAMPLE_CHARS // 2) : found.end() + EXAMPLE_CHARS // 2]


def _repeats(entry: Entry, item: QuestionItem, seen: Seen) -> str | None:
    """The id of the problem that has this reasoning already; rewritten copies of one problem may share it.

    (Nothing in it had to be reworded.) The same row twice is a repetition in any case.
    """
    if not item.reasoning:
        return None
    first, rows = seen.get(normal(item.reasoning), (origin(entry.id), set()))
    repeated = first != origin(entry.id) or normal(question_text(entry.problem, item)) in rows
    return first if repeated else None


def _remember(entry: Entry, item: QuestionItem, seen: Seen) -> None:
    if item.reasoning:
        _, rows = seen.setdefault(normal(item.reasoning), (origin(entry.id), set()))
        rows.add(normal(question_text(entry.problem, item)))


def question_text(problem: str, item: QuestionItem) -> str:
    """Problem, question and options, one a line: what makes two questions the same."""
    return "\n".join([problem, item.question, *item.options])


def normal(text: str) -> str:
    """`text` for comparisons: compatibility forms folded, white space removed."""
    return "".join(unicodedata.normalize("NFKC", text).split())


class NearDuplicates:
    """Finds, among known texts, one whose character n-grams are almost those of a given text.

    Similarity is the Jaccard coefficient |A∩B| / |A∪B| of the n-gram sets; `match` is exact, unlike
    locality-sensitive hashing. If it is at least t, then A and B share at least ⌈t·|A|⌉ n-grams, so two of
    them cannot avoid each other among the |A| - ⌈t·|A|⌉ + 1 n-grams of A and the |B| - ⌈t·|B|⌉ + 1 of B
    that come first in any common order; rarest first, few texts have to be compared at all (prefix
    filtering; Chaudhuri et al. 2006, Bayardo et al. 2007).
    """

    def __init__(self, texts: Mapping[str, str], *, ngram: int, threshold: float) -> None:
        """`texts` maps names, which `match` returns, to texts; `threshold` in (0, 1]."""
        self.ngram, self.threshold = ngram, threshold
        self._sets = {name: ngrams(text, ngram) for name, text in texts.items()}
        self._frequency = Counter(gram for grams in self._sets.values() for gram in grams)
        self._index: defaultdict[str, list[str]] = defaultdict(list)
        for name, grams in self._sets.items():
            for gram in self._prefix(grams):
                self._index[gram].append(name)

    def match(self, text: str) -> tuple[str, float] | None:
        """The most similar known text and its similarity, if at least the threshold; ties: first by name."""
        grams = ngrams(text, self.ngram)
        # Two sets can only be similar enough if most of each is known to the other's side.
        if not grams or len(grams & self._frequency.keys()) < self._shared(len(grams)):
            return None
        names = {name for gram in self._prefix(grams) for name in self._index.get(gram, ())}
        found = [(-jaccard(grams, self._sets[name]), name) for name in names]
        if not found or -min(found)[0] < self.threshold:
            return None
        similarity, name = min(found)
        return name, -similarity

    def _shared(self, size: int) -> int:
        """How many n-grams a set of `size` shares at least with any set that is similar enough."""
        return math.ceil(self.threshold * size - 1e-9)  # 0.9 · 10 must not become 10 by rounding

    def _prefix(self, grams: set[str]) -> list[str]:
        by_rarity = sorted(grams, key=lambda gram: (self._frequency[gram], gram))
        return by_rarity[: len(grams) - self._shared(len(grams)) + 1]


def ngrams(text: str, n: int) -> set[str]:
    """The character n-grams of the normalised `text`; of a shorter text, the text itself."""
    text = normal(text)
    return {text[i : i + n] for i in range(max(1, len(text) - n + 1))} if text else set()


def jaccard(a: set[str], b: set[str]) -> float:
    """|a∩b| / |a∪b|; 0 for two empty sets."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if shared else 0.0
