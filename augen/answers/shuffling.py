"""Copies of questions with their options in another order, as further training data.

The letters in the reasoning change with them::

    A: 甲  B: 乙  C: 丙      A和C都错，选B。\\n答案是：B
    A: 丙  B: 甲  C: 乙      B和A都错，选C。\\n答案是：C

A letter that is not an option (a node A of a graph, a variable) must stay. If it is not certain which letters are
options, the question is not copied: a wrong letter costs more than a missing copy. There are two causes:

* ``letters``: the puzzle has letters of its own and the reasoning uses letters without a word like 选项 or 答案; or the
  reasoning has variables (设A为…), several letters in one word (AB), or names an option by its number;
* ``position``: an option refers to others by position or letter (以上都不对, A和B).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from random import Random

from augen.answers import parse_answer
from augen.core.seeds import seed_of
from augen.entries import LETTERS, Entry, QuestionItem, letter_of, question_id

SHUFFLED = "shuffled"

_WIDE = {chr(0xFEE0 + ord(letter)): letter for letter in LETTERS}
_ALONE = re.compile(rf"(?<![A-Za-z0-9_'’])[{LETTERS}{''.join(_WIDE)}](?![A-Za-z0-9_])")
_WORD = re.compile(rf"(?<![A-Za-z0-9_])[{LETTERS}]{{2,5}}(?![A-Za-z0-9_])")
# What may stand around a letter. Each takes all it can at once, so that the time stays linear in what follows a letter.
_OPEN = r"""[ \t]*+(?>(?:\\?boxed\{|\\text\{|[("'“‘「『【（〔《*\\$])*)[ \t]*+"""
_CLOSING = r"""(?:[)"'”’」』】）〕》*}$]|\\(?!text\{))*"""
_CLOSE = rf"[ \t]*+(?>{_CLOSING})[ \t]*+"
# Words before or behind a letter that show that it names an option.
_BEFORE = re.compile(
    rf"(?:选项?|选择|排除|答案)(?:只能|应该|应当|应|就|必须|必定|也)?(?:是|为|选项?|：|:|\s)*{_OPEN}$|boxed\{{$|(?:^|\n){_OPEN}$"
)
_BEHIND = re.compile(rf"{_CLOSE}(?:(?:[这两三四]+个)?选项|项(?![目链]))")
_LIST_BEHIND = re.compile(rf"[ \t]*+{_CLOSING}[ \t]*+[：:.、．)）]")  # A: at the beginning of a line
_JOINED = re.compile(rf"{_CLOSE}(?:和|与|、|或|及|以及|,|，|/|或者)?{_OPEN}(?:选项)?{_OPEN}")
# Words that show that it may name something else.
_VARIABLE_BEFORE = re.compile(r"(?:设|令|记|用|把|将|变量|集合|[=+×÷<>≤≥→\-])[ \t]*$")
_VARIABLE_BEHIND = re.compile(r"[ \t]*(?:[=+×÷<>≤≥→\-]|代表|[点城市站号人队组班级村镇国型类])")
_BY_NUMBER = re.compile(
    r"第[一二三四五1-5]个?(?:选项|选择|项|个答案)|[前后][一二两三]?[个项]选项|[前后]者|最后一?个?(?:选项|项)"
    r"|选项[ ]?[一二三四五1-5①-⑤]|[Ⓐ-Ⓙ]|(?:选项?|选择|答案[是为]?[：:]?)[ ]?[a-j](?![A-Za-z])"
)
_BY_PLACE = re.compile(
    r"[以之][上下]|[上下]述|[前后][一二两三几]?[个项者]|其[他它余]|都不|都[是对错正]|皆|均|全部?(?:正确|错误|对|错)|选项"
    rf"|^[ ]*[{LETTERS}](?:[ ]*(?:和|与|、|或|及|,|，)[ ]*[{LETTERS}])+"
)


# The file that gets shuffled copies, and the files whose entries are copied. Both the right and the wrong texts of an
# author are copied; otherwise that author would have more wrong than right texts.
SHUFFLED_INTO = {
    "entries_aug": ("entries", "entries_aug"),
    "entries_aug_false": ("entries_false", "entries_aug_false"),
    "entries_own": ("entries_own",),
}


def shuffled_entries(entries: Iterable[Entry], copies: int, seed: int, counts: Counter[str]) -> Iterator[Entry]:
    """`copies` of each entry (``train_012~s1``) with shuffled questions; `counts` of questions are added up.

    The counts are ``shuffled`` and, by cause, those that could not be shuffled; such questions are left out, and so
    are entries that have no other. The order depends on `seed` and the id of the question.
    """
    for entry in entries:
        for copy in range(1, copies + 1):
            items = []
            for index, item in enumerate(entry.questions):
                rng = Random(seed_of(seed, "option order", question_id(entry, index), copy))
                new = shuffled(entry.problem, item, drawn_order(len(item.options), rng))
                counts[new if isinstance(new, str) else SHUFFLED] += 1
                if isinstance(new, QuestionItem):
                    items.append(new)
            if items:
                yield replace(entry, questions=items, id=f"{entry.id}~s{copy}")


def drawn_order(options: int, rng: Random) -> tuple[int, ...]:
    """A random order other than the given one: ``order[i]`` is the former position of the option at position ``i``."""
    given = tuple(range(options))
    while (order := tuple(rng.sample(given, options))) == given:
        pass
    return order


def shuffled(problem: str, item: QuestionItem, order: Sequence[int]) -> QuestionItem | str:
    """`item` with its options in another `order`, or the cause why that is not safe."""
    if any(_BY_PLACE.search(option) or option.strip() in tuple(LETTERS) for option in item.options):
        return "position"
    letters = {letter_of(old): letter_of(new) for new, old in enumerate(order)}
    reasoning = item.reasoning
    if reasoning is not None:
        puzzle = "\n".join([problem, item.question, *item.options])
        mapped = map_letters(reasoning, letters, puzzle)
        before, after = (parse_answer(text, len(order)) for text in (reasoning, mapped))
        if mapped is None or (letters[before] if before else None) != after:
            return "letters"
        reasoning = mapped
    return replace(
        item,
        options=[item.options[old] for old in order],
        reasoning=reasoning,
        answer=letters[item.answer] if item.answer else None,
        program=None if "pick(" in (item.program or "") else item.program,  # what it picks is a position
    )


def map_letters(text: str, letters: dict[str, str], puzzle: str) -> str | None:
    """`text` with the letters of options replaced by `letters`; None if it is uncertain which letters are options.

    `puzzle` is problem, question and options. A letter that stands alone there is a name in the puzzle.

    >>> swap = {"A": "B", "B": "A"}
    >>> map_letters("A错，所以选B。", swap, "谁最高？甲 乙")
    'B错，所以选A。'
    >>> map_letters("A在B左边，所以选B。", swap, "A在B左边，谁在左边？") is None
    True
    >>> map_letters("先看左边，选项B对。", swap, "A在B左边，谁在左边？")
    '先看左边，选项A对。'
    """
    if _BY_NUMBER.search(text) or any(set(word) <= letters.keys() for word in _WORD.findall(text)):
        return None
    found = [match for match in _ALONE.finditer(text) if _plain(match.group()) in letters]
    has_names = any(_plain(letter) in letters for letter in _ALONE.findall(puzzle))
    for group in _groups(text, found):
        if not any(_names_option(text, match) for match in group) and (
            has_names or any(_may_be_variable(text, match) for match in group)
        ):
            return None
    parts, at = [], 0
    for match in found:
        new = letters[_plain(match.group())]
        parts += [text[at : match.start()], chr(0xFEE0 + ord(new)) if match.group() in _WIDE else new]
        at = match.end()
    return "".join([*parts, text[at:]])


def _plain(letter: str) -> str:
    return _WIDE.get(letter, letter)


def _groups(text: str, found: Sequence[re.Match[str]]) -> list[list[re.Match[str]]]:
    """Groups of letters in one list, such as 选项A、B和C: they all name the same kind of thing."""
    groups: list[list[re.Match[str]]] = []
    for match in found:
        if groups and _JOINED.fullmatch(text, groups[-1][-1].end(), match.start()):
            groups[-1].append(match)
        else:
            groups.append([match])
    return groups


def _names_option(text: str, match: re.Match[str]) -> bool:
    before = text[max(0, match.start() - 16) : match.start()]
    if _BEHIND.match(text, match.end()):
        return True
    if not (cue := _BEFORE.search(before)):
        return False
    begins_line = cue.group().lstrip().strip("*( （") == ""
    return not begins_line or bool(_LIST_BEHIND.match(text, match.end()))


def _may_be_variable(text: str, match: re.Match[str]) -> bool:
    before = text[max(0, match.start() - 4) : match.start()]
    return bool(_VARIABLE_BEFORE.search(before) or _VARIABLE_BEHIND.match(text, match.end()))
