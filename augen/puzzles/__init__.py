"""Chinese multiple-choice logic puzzles whose answers are proved by a solver.

>>> puzzle = make("ordering", Random(0), difficulty=2, wording=0, questions=2, entry_id="demo")
>>> puzzle.entry.questions[0].answer in "ABCD"
True

Each family is one module: a world that states itself as text and as an answer-set program (``base.World``).
"""

from random import Random

from augen.puzzles.arithmetic import Arithmetic
from augen.puzzles.base import AUTHOR, Puzzle, World, pose
from augen.puzzles.baskets import Baskets
from augen.puzzles.calendar import Calendar
from augen.puzzles.classes import Classes
from augen.puzzles.courses import Courses
from augen.puzzles.crossing import Crossing
from augen.puzzles.dial import Dial
from augen.puzzles.drugs import Drugs
from augen.puzzles.grammar import Grammar
from augen.puzzles.houses import Houses
from augen.puzzles.kinship import Kinship
from augen.puzzles.knights import Knights
from augen.puzzles.lexicon import Lexicon
from augen.puzzles.likes import Likes
from augen.puzzles.lists import Lists
from augen.puzzles.ordering import Ordering
from augen.puzzles.roads import Roads
from augen.puzzles.solver import NotProved
from augen.puzzles.stacks import Stacks
from augen.puzzles.syllogisms import Syllogisms
from augen.puzzles.timetable import Timetable
from augen.puzzles.tolls import Tolls

__all__ = ["AUTHOR", "BASIC", "FAMILIES", "WORDINGS", "NotProved", "Puzzle", "make"]

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
# The families of the default data, and the only ones that the tiny models are taught. Others are added to FAMILIES
# alone, so that committed data and models stay what they are.
BASIC = ("dial", "drugs", "kinship", "knights", "likes", "lists", "ordering", "roads", "timetable")


def make(
    family: str, rng: Random, *, difficulty: int, wording: int, questions: int = 2, entry_id: str = "", tries: int = 100
) -> Puzzle:
    """A puzzle of `family` with up to `questions` proved questions; NotProved if `tries` worlds gave none."""
    for _ in range(tries):
        try:
            return pose(FAMILIES[family].draw(rng, difficulty, wording), rng, questions, entry_id)
        except NotProved:
            continue
    raise NotProved(f"{family}: no provable puzzle of difficulty {difficulty} in {tries} tries")
