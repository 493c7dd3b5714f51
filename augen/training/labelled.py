"""Reasonings that are labelled right or wrong: their texts on the disk, their labels in memory."""

from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from copy import copy
from hashlib import blake2b
from typing import Protocol, Self, TypeVar, overload

import numpy as np

from augen.core.arrays import Bools, Ints
from augen.entries import origin
from augen.training.spilled import Spilled


class Labelled(Protocol):
    """A reasoning with its label; `question` is equal for all reasonings of the same question."""

    @property
    def problem_id(self) -> str: ...

    @property
    def question(self) -> Hashable: ...

    @property
    def right(self) -> bool: ...


L = TypeVar("L", bound=Labelled)


class LabelledTexts(Sequence[L]):
    """`values` of the dataclass `kind`, which lie in a file (see `Spilled`) and are read from it every time.

    In memory are of each, in their order, `right`: its label; `questions`: the number of its question; `origins`: the
    id of its problem, or of the one that this was rewritten from.
    """

    def __init__(self, kind: type[L], values: Iterable[L]) -> None:
        right, questions, origins = bytearray(), array("l"), list[str]()
        numbers, names = dict[bytes, int](), dict[str, str]()

        def noted() -> Iterator[L]:
            for value in values:
                right.append(value.right)
                key = blake2b(repr(value.question).encode("utf-8", "surrogatepass"), digest_size=16).digest()
                questions.append(numbers.setdefault(key, len(numbers)))
                name = origin(value.problem_id)
                origins.append(names.setdefault(name, name))
                yield value

        self._texts = Spilled(kind, noted())
        self.right: Bools = np.array(right, np.bool_)
        self.questions: Ints = np.array(questions, np.int64)
        self.origins = origins

    def those(self, places: Sequence[int] | Ints) -> Self:
        """The texts at `places`, in that order."""
        part = copy(self)
        part._texts = self._texts.those(places)
        part.right, part.questions = self.right[places], self.questions[places]
        part.origins = [self.origins[place] for place in places]
        return part

    def digest(self) -> str:
        """A SHA-256 of all texts, in their order."""
        return self._texts.digest()

    def pairs(self) -> Ints:
        """Places of right and wrong texts (pairs, 2) of the same question.

        Every text of a question that has both kinds is in at least one pair. Three right and two wrong ones make three
        pairs: each text counts about the same, however many texts a question has.
        """
        _, own = np.unique(self.questions, return_inverse=True)
        sides = [np.bincount(own, label, minlength=1).astype(np.int64) for label in (self.right, ~self.right)]
        pairs = np.where(np.minimum(*sides) > 0, np.maximum(*sides), 0)
        question = np.repeat(np.arange(len(pairs)), pairs)
        number = np.arange(len(question)) - np.repeat(np.cumsum(pairs) - pairs, pairs)  # within the question
        columns = []
        for label, counts in zip((self.right, ~self.right), sides, strict=True):
            places = np.flatnonzero(label)
            places = places[np.argsort(own[places], kind="stable")]
            columns.append(places[(np.cumsum(counts) - counts)[question] + number % counts[question]])
        return np.stack(columns, axis=1)

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, place: int) -> L: ...

    @overload
    def __getitem__(self, place: slice) -> Self: ...

    def __getitem__(self, place: int | slice) -> L | Self:
        if isinstance(place, slice):
            return self.those(range(*place.indices(len(self))))
        return self._texts[place]
