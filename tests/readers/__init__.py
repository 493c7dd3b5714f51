"""Readers of all families: see `tests.puzzle_readers` for what one is."""

from tests import puzzle_readers
from tests.puzzle_readers import Reader
from tests.readers.language import Grammar, Lexicon
from tests.readers.numbers import Arithmetic, Baskets, Calendar, Tolls
from tests.readers.search import Crossing, Houses, Stacks
from tests.readers.sets import Classes, Courses, Syllogisms

READERS: dict[str, type[Reader]] = puzzle_readers.READERS | {
    "arithmetic": Arithmetic,
    "baskets": Baskets,
    "calendar": Calendar,
    "classes": Classes,
    "courses": Courses,
    "crossing": Crossing,
    "grammar": Grammar,
    "houses": Houses,
    "lexicon": Lexicon,
    "stacks": Stacks,
    "syllogisms": Syllogisms,
    "tolls": Tolls,
}
