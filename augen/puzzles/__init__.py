"""Chinese multiple-choice logic puzzles whose answers are proved by a solver.

>>> puzzle = make("ordering", Random(0), difficulty=2, wording=0, questions=2, entry_id="demo")
>>> puzzle.entry.questions[0].answer in "ABCD"
True

Each family is one module. Its world writes itself as text and as an answer-set program (``base.World``).
"""

from random import Random

from augen.puzzles.base import Puzzle, World, pose
from augen.puzzles.families.arithmetic import Arithmetic
from augen.puzzles.families.baskets import Baskets
from augen.puzzles.families.calendar import Calendar
from augen.puzzles.families.classes import Classes
from augen.puzzles.families.courses import Courses
from augen.puzzles.families.crossing import Crossing
from augen.puzzles.families.dial import Dial
from augen.puzzles.families.drugs import Drugs
from augen.puzzles.families.grammar import Grammar
from augen.puzzles.families.houses import Houses
from augen.puzzles.families.kinship import Kinship
from augen.puzzles.families.knights import Knights
from augen.puzzles.families.lexicon import Lexicon
from augen.puzzles.families.likes import Likes
from augen.puzzles.families.lists import Lists
from augen.puzzles.families.ordering import Ordering
from augen.puzzles.families.roads import Roads
from augen.puzzles.families.stacks import Stacks
from augen.puzzles.families.syllogisms import Syllogisms
from augen.puzzles.families.timetable import Timetable
from augen.puzzles.families.tolls import Tolls
from augen.puzzles.solver import NotProved

__all__ = ["BASIC", "FAMILIES", "MORE_WORDINGS", "WORDINGS", "NotProved", "Puzzle", "make"]

FAMILIES: dict[str, type[World]] = {
    "arithmetic": Arithmetic,
    "baskets": Baskets,
    "calendar": Calendar,
    "classes": Classes,
    "courses": Courses,
    "crossing": Crossing,
    "dial": Dial,
    "drugs": Drugs,
    "grammar": Grammar,
    "houses": Houses,
    "kinship": Kinship,
    "knights": Knights,
    "lexicon": Lexicon,
    "likes": Likes,
    "lists": Lists,
    "ordering": Ordering,
    "roads": Roads,
    "stacks": Stacks,
    "syllogisms": Syllogisms,
    "timetable": Timetable,
    "tolls": Tolls,
}
WORDINGS = 3  # phrasings of each family
MORE_WORDINGS = (3, 4)  # phrasings that only the families of BASIC have, to train base models on
TRIES = 100  # worlds drawn for one puzzle at most
# The families of the default data, and the only ones that the tiny models are trained on. A new family goes into
# FAMILIES only, so that the committed data and models stay the same.
BASIC = ("dial", "drugs", "kinship", "knights", "likes", "lists", "ordering", "roads", "timetable")


def make(family: str, rng: Random, *, difficulty: int, wording: int, questions: int = 2, entry_id: str = "") -> Puzzle:
    """A puzzle of `family` with up to `questions` proved questions; raises NotProved after `TRIES` worlds."""
    for _ in range(TRIES):
        try:
            return pose(FAMILIES[family].draw(rng, difficulty, wording), rng, questions, entry_id)
        except NotProved:
            continue
    raise NotProved(f"{family}: no provable puzzle of difficulty {difficulty} in {TRIES} tries")
