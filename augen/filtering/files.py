"""The five files of reasoned questions through the filter, each read once; only what is counted stays in memory."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from augen.answers.shuffling import SHUFFLED_INTO, shuffled_entries
from augen.entries import Entry, Question, origin
from augen.entries.pickles import dump_pickle, stream_pickle
from augen.entries.reasoned import FILES, RIGHT_FILES
from augen.filtering.causes import (
    Digest,
    FilterAccount,
    RightAnswers,
    Rules,
    Seen,
    authors_by_question,
    filter_entries,
    question_text,
    right_answers,
)
from augen.filtering.report import SYNTHETIC, Chosen, Passed, with_originals


class HeldOut(Sequence[tuple[str, str]]):
    """The held-out questions as names and texts."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._questions = questions

    def __len__(self) -> int:
        return len(self._questions)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return map(self._named, self._questions)

    def __getitem__(self, place: int) -> tuple[str, str]:  # type: ignore[override]
        return self._named(self._questions[place])

    @staticmethod
    def _named(question: Question) -> tuple[str, str]:
        return f"{question.split} {question.id}", question_text(question.problem, question.item)


class Filtering:
    """The files `sources`, and those in the folder `target` with what is kept of them, once `run` has made them."""

    def __init__(self, sources: Mapping[str, Path], target: Path) -> None:
        self._sources, self._target = sources, target
        self.reasoned = {name: Passed() for name in FILES}
        self.kept: dict[str, Passed] = {}  # in the order of filtering
        self.accounts = {name: FilterAccount() for name in FILES}
        self.synthetic = Passed()
        self._ids: set[str] = set()  # of the problems
        self._copies = Chosen()
        self._authors: dict[bool, set[Digest]] = {True: set(), False: set()}  # of right and of wrong texts
        self._paired: set[Digest] = set()  # questions and authors of which a generator's own right sample is there

    def run(self, rules: Rules) -> None:
        """Filters all files. A question is compared with those that were kept of the files before its own."""
        self._paired = authors_by_question(self._read("entries_own"))
        seen = {"": Seen(), "_false": Seen()}
        for name in ("entries", "entries_aug"):
            answers: dict[Digest, str | None] = {}
            self._file(name, rules, seen=seen[""], answers=answers)
            self._file(f"{name}_false", rules, seen=seen["_false"], right=answers)
        self._file("entries_own", rules, unpaired=self._authors[False] - self._authors[True])

    def shuffle(self, copies: int, seed: int) -> Counter[str]:
        """Adds `copies` shuffled copies of each kept entry; returns counts of questions by outcome."""
        counts: Counter[str] = Counter()
        for name, sources in SHUFFLED_INTO.items() if copies else ():
            kept = chain.from_iterable(stream_pickle(self._target / f"{source}.pkl") for source in sources)
            made = self.kept[name].of(shuffled_entries(kept, copies, seed, counts))
            file = self._target / f"{name}.pkl"
            dump_pickle(file, chain(stream_pickle(file), made))
        return counts

    def copies(self) -> list[tuple[Entry, Entry]]:
        """Some rewritten problems, spread over those whose original is there too, each with that one."""
        return with_originals(self._copies, self._read("entries"))

    def _read(self, name: str) -> Iterator[Entry]:
        return stream_pickle(self._sources[name])

    def _file(
        self,
        name: str,
        rules: Rules,
        right: RightAnswers | None = None,
        unpaired: set[Digest] | None = None,
        seen: Seen | None = None,
        *,
        answers: dict[Digest, str | None] | None = None,
    ) -> None:
        """As `filter_entries`; the right answers of this file are added to `answers`."""
        self.kept[name] = Passed(pairs=True)

        def note(entry: Entry) -> None:
            self.reasoned[name].add(entry)
            if answers is not None:
                answers.update(right_answers([entry]))
            if name == "entries":
                self._ids.add(entry.id)
                if entry.id.startswith(SYNTHETIC):
                    self.synthetic.add(entry)
            elif name == "entries_aug" and origin(entry.id) in self._ids:
                self._copies.add(entry)

        def note_kept(entry: Entry) -> None:
            self.kept[name].add(entry)
            self._authors[name in RIGHT_FILES].update(authors_by_question([entry]) & self._paired)

        reasoned = _noted(self._read(name), note)
        kept = filter_entries(reasoned, rules, self.accounts[name], right, unpaired, seen)
        dump_pickle(self._target / f"{name}.pkl", _noted(kept, note_kept))


def _noted(entries: Iterable[Entry], note: Callable[[Entry], None]) -> Iterator[Entry]:
    for entry in entries:
        note(entry)
        yield entry
