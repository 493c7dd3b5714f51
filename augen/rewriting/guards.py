"""Did a rewriting keep the puzzle? Pure comparisons of an entry before and after, field by field.

What machine translation there and back does to puzzles, and which guard sees it::

    Kev 爱 Ann → 史蒂夫爱 Ann                      names_changed
    甲比乙高 → 乙比甲高                            names_reordered
    三个、列表 [1, 2] → 两个、列表 [2, 1]          number_changed, numbers_reordered
    不会滑雪 → 会滑雪                              negation_changed
    甲比乙高、所有人 → 甲比乙矮、有些人            opposite_sense
    火车比汽车快 → 汽车比火车快                    things_reordered
    a < b、P ∧ Q → a > b、P ∨ Q                    symbols_changed
    6公斤 → 6斤                                    unit_changed
    甲是乙的侄子 → 甲是乙的孙子                    kinship_changed
    红比蓝多 → 蓝比红多                            colours_exchanged
    李雷比韩梅梅高 → 韩梅梅比李雷高                words_reordered
    青色 / 蓝色 / 绿色 → 蓝色 / 蓝色 / 绿色        options_collapsed
    是 → 是的，长官。                              length_ratio
    a line, or the end, is missing                 lines_lost, cut_off

A guard that fires wrongly costs one copy; one that stays silent puts a wrong answer into the training
data. So the guards are strict where the two are hard to tell apart (order of names, for instance).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from itertools import groupby

import rjieba

from augen.entries import Entry, QuestionItem
from augen.rewriting.notation import plain_numbers, symbols_changed, units
from augen.rewriting.relations import colours_exchanged, kinship
from augen.rewriting.signs import any_of, negations, signs, turned

# How much better another order of the options must fit, in bigram similarity summed over the options.
REORDER_MARGIN = 0.25


# Options that are an answer and no thing: how often the problem holds 可以 says nothing.
_ANSWER = re.compile(
    r"\W*(?:不?(?:是|能|会|可以|可能|正确|存在|一定|确定|相同|知道)的?|错误|无法确定|没有|以上都.*)\W*"
)

_LANGUAGE = "(?:英|法|德|日|韩|俄|拉丁|西班牙|意大利|葡萄牙|阿拉伯|希腊|荷兰|中|汉|外)[文语]"
_TRANSLATION = re.compile(
    "翻译|译成|译为|译作|词汇表|单词表"
    rf"|{_LANGUAGE}(?:单词|词汇|句子|短语)|{_LANGUAGE}(?:到|转|变)(?:成|为)?{_LANGUAGE}"
)


def is_about_translation(entry: Entry) -> bool:
    """Whether the puzzle is about words of two languages: rewriting would change its very subject."""
    return any(_TRANSLATION.search(text) for _, text in fields(entry))


def compare(before: Entry, after: Entry, *, min_length_ratio: float, max_length_ratio: float) -> list[str]:
    """Causes for which `after` is no faithful rewriting of `before`, in a fixed order; empty: it passes.

    ``question_count``, ``option_count``     something was lost or added (then nothing else is compared)
    ``answer_changed``                       the answer letter, or whether there is a reasoning
    ``empty_field``                          a text became blank
    ``options_collapsed``, ``options_split`` options that differed became equal, or the reverse
    ``options_reordered``                    another order of the new options fits the old ones better
    ``names_changed``, ``names_reordered``   Latin words, given names, 甲乙丙丁 of a field
    ``number_changed``, ``numbers_reordered`` numbers of a field; 三, ３ and 3 are the same, so are 3万 and 30000
    ``symbols_changed``                      operators, logical signs, brackets of formulas; 大于 may stand for >
    ``unit_changed``                         units of measure; 公里 and km are the same
    ``kinship_changed``, ``colours_exchanged`` terms of kinship, colours
    ``negation_changed``                     how many negations a field has
    ``opposite_sense``                       a word became its opposite (`signs.turned`)
    ``mentions_changed``                     where problem and questions name the options
    ``things_reordered``                     the order of nouns that occur more than once in the entry
    ``words_reordered``                      a text, or one clause of it, has the same characters in another order
    ``lines_lost``, ``cut_off``              a field has fewer lines, the problem no full stop or the like at its end
    ``length_ratio``                         characters after ÷ before outside the bounds (both inclusive),
                                             for the entry or for one field
    """
    if len(before.questions) != len(after.questions):
        return ["question_count"]
    pairs = list(zip(before.questions, after.questions, strict=True))
    if any(len(old.options) != len(new.options) for old, new in pairs):
        return ["option_count"]
    if any(old.answer != new.answer or _has_reasoning(old) != _has_reasoning(new) for old, new in pairs):
        return ["answer_changed"]

    causes: set[str] = set()
    for old, new in pairs:
        causes |= _compare_options(old.options, new.options)
    if exchanged([item.options for item in before.questions], [item.options for item in after.questions]):
        causes.add("options_reordered")
    if _is_closed(before.problem) and not _is_closed(after.problem):
        causes.add("cut_off")
    recurring = _recurring(before)
    places = things(before).keys() & things(after).keys()
    if mentions(before, places) != mentions(after, places):
        causes.add("mentions_changed")
    lengths: list[tuple[int, int]] = []
    for (_, old_text), (_, new_text) in zip(fields(before), fields(after), strict=True):
        causes |= _compare_texts(old_text, new_text, recurring)
        lengths.append((length(plain_numbers(old_text)), length(plain_numbers(new_text))))
    lengths.append((sum(old for old, _ in lengths), sum(new for _, new in lengths)))
    if not all(min_length_ratio * old <= new <= max_length_ratio * old for old, new in lengths):
        causes.add("length_ratio")
    return [cause for cause in _ORDER if cause in causes]


_ORDER = (
    "empty_field",
    "options_collapsed",
    "options_split",
    "options_reordered",
    "names_changed",
    "names_reordered",
    "number_changed",
    "numbers_reordered",
    "symbols_changed",
    "unit_changed",
    "kinship_changed",
    "colours_exchanged",
    "negation_changed",
    "opposite_sense",
    "mentions_changed",
    "things_reordered",
    "words_reordered",
    "lines_lost",
    "cut_off",
    "length_ratio",
)


def fields(entry: Entry) -> Iterator[tuple[str, str]]:
    """Every text of `entry` with its name: ``problem``, ``question 1``, ``option 1.1`` …"""
    yield "problem", entry.problem
    for n, item in enumerate(entry.questions, start=1):
        yield f"question {n}", item.question
        for k, option in enumerate(item.options):
            yield f"option {n}.{k + 1}", option
        if item.reasoning is not None:
            yield f"reasoning {n}", item.reasoning


def _has_reasoning(item: QuestionItem) -> bool:
    return item.reasoning is not None


def _compare_texts(before: str, after: str, recurring: AbstractSet[str]) -> set[str]:
    if before == after:
        return set()
    causes: set[str] = set()
    if before.strip() and not after.strip():
        causes.add("empty_field")
    (old_names, old_numbers), (new_names, new_numbers) = signs(before), signs(after)
    if old_names != new_names:
        causes.add("names_changed" if Counter(old_names) != Counter(new_names) else "names_reordered")
    if old_numbers != new_numbers and _plain_numbers(before) != _plain_numbers(after):
        same = Counter(old_numbers) == Counter(new_numbers)
        causes.add("numbers_reordered" if same else "number_changed")
    if symbols_changed(before, after):
        causes.add("symbols_changed")
    if units(before) != units(after) and units(plain_numbers(before)) != units(plain_numbers(after)):
        causes.add("unit_changed")
    if kinship(before) != kinship(after):
        causes.add("kinship_changed")
    if colours_exchanged(before, after):
        causes.add("colours_exchanged")
    if negations(before) != negations(after):
        causes.add("negation_changed")
    if turned(before, after):
        causes.add("opposite_sense")
    if _things_reordered(before, after, recurring):
        causes.add("things_reordered")
    if words_reordered(before, after):
        causes.add("words_reordered")
    if _lines(after) < _lines(before):
        causes.add("lines_lost")
    return causes


def _plain_numbers(text: str) -> list[str]:
    return signs(plain_numbers(text))[1]


_CLAUSE = re.compile(r"[,;.:!?，。；：！？、\n]+")


def words_reordered(before: str, after: str) -> bool:
    """Whether a text, or one of its clauses, has the same characters in another order: two of its words were exchanged.

    >>> words_reordered("李雷比韩梅梅高，都来了", "韩梅梅比李雷高，都到了")
    True
    """
    old, new = _CLAUSE.split(before), _CLAUSE.split(after)
    pairs = list(zip(old, new, strict=True)) if len(old) == len(new) else []
    return any(_permuted(*pair) for pair in [("".join(old), "".join(new)), *pairs])


def _permuted(before: str, after: str) -> bool:
    """Not where only neighbours are turned round, as in two forms of one word: 寻找, 找寻."""
    old, new = plain(before), plain(after)
    if old == new or len(old) != len(new) or sorted(old) != sorted(new):
        return False
    runs = groupby(zip(old, new, strict=True), key=lambda pair: pair[0] != pair[1])
    changed = [list(zip(*run, strict=True)) for differs, run in runs if differs]
    return any(len(first) > 3 or sorted(first) != sorted(second) for first, second in changed)


def _lines(text: str) -> int:
    return sum(1 for line in text.split("\n") if line.strip())


def _is_closed(text: str) -> bool:
    """Whether `text` ends with a sign of punctuation."""
    return unicodedata.category((text.rstrip() or " ")[-1]).startswith("P")


@lru_cache(maxsize=4096)
def _nouns(text: str) -> tuple[str, ...]:
    """The nouns and names of two signs or more in `text`, in order, by the dictionary of `rjieba`."""
    return tuple(word for word, tag in rjieba.tag(text, False) if tag[0] in "nst" and len(word) > 1)


def _recurring(entry: Entry) -> set[str]:
    """The nouns that occur more than once in `entry`: what it is about."""
    counts = Counter(noun for _, text in fields(entry) for noun in _nouns(text))
    return {noun for noun, count in counts.items() if count > 1}


def _things_reordered(before: str, after: str, recurring: AbstractSet[str]) -> bool:
    """Whether nouns that both texts have equally often, of the `recurring` ones, stand in another order.

    Or two of them have exchanged their places, and so how often they occur.
    """
    old, new = _nouns(before), _nouns(after)
    in_old, in_new = Counter(old), Counter(new)
    same = {noun for noun in recurring & in_old.keys() if in_old[noun] == in_new[noun]}
    changes = {(in_old[noun], in_new[noun]) for noun in recurring - same}
    if any((new_count, old_count) in changes for old_count, new_count in changes if old_count and new_count):
        return True
    return [noun for noun in old if noun in same] != [noun for noun in new if noun in same]


def _compare_options(before: Sequence[str], after: Sequence[str]) -> set[str]:
    causes: set[str] = set()
    old, new = [plain(option) for option in before], [plain(option) for option in after]
    pairs = [(i, j) for i in range(len(old)) for j in range(i)]
    if any(old[i] != old[j] and new[i] == new[j] for i, j in pairs):
        causes.add("options_collapsed")
    if any(old[i] == old[j] and new[i] != new[j] for i, j in pairs):
        causes.add("options_split")
    if reordered(old, new):
        causes.add("options_reordered")
    return causes


def plain(text: str) -> str:
    """`text` as it is compared: compatibility forms folded, no white space, no closing full stop."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).rstrip("。.")


def length(text: str) -> int:
    """Characters of `text` without white space and a closing full stop."""
    return len(plain(text)) or len(text.strip())


Place = tuple[int, int]  # question and option, counted from 0


def things(entry: Entry) -> dict[Place, str]:
    """The options that are the text of some thing: neither a single character nor an answer as 不存在."""
    return {
        (n, k): name
        for n, item in enumerate(entry.questions)
        for k, option in enumerate(item.options)
        if len(name := _name(option)) > 1 and not _ANSWER.fullmatch(option)
    }


def _name(option: str) -> str:
    """An option as it would stand in a sentence."""
    return plain_numbers(option).strip().rstrip("。.")


def mentions(entry: Entry, places: Iterable[Place]) -> list[list[Place]]:
    """Which of the options at `places` the problem, and then each question, names, in order.

    Shows a name that was swapped, or renamed in one place only, in whatever script it is written. Equal
    options are told by the first of them.
    """
    first: dict[str, Place] = {}
    for n, k in sorted(places):
        first.setdefault(_name(entry.questions[n].options[k]), (n, k))
    pattern = re.compile(any_of(list(first)) or "(?!)")  # (?!) matches nothing
    texts = [entry.problem, *(item.question for item in entry.questions)]
    return [[first[found] for found in pattern.findall(plain_numbers(text))] for text in texts]


def exchanged(before: Sequence[Sequence[str]], after: Sequence[Sequence[str]]) -> bool:
    """Whether two questions have each other's options, the options of each question given as texts."""
    old, new = ([[plain(option) for option in options] for options in side] for side in (before, after))
    return any(old[i] != old[j] and new[i] == old[j] and new[j] == old[i] for i in range(len(old)) for j in range(i))


def reordered(before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether the options `after` match those `before` clearly better in another order.

    Two that have exchanged their texts are another order, however alike they are. Otherwise compares the best
    assignment of new options to old ones with the given one, by similarity of their character bigrams (Dice).
    """
    if exchanged([[option] for option in before], [[option] for option in after]):
        return True

    import numpy as np
    from scipy.optimize import linear_sum_assignment  # half a second, which only those pay who compare

    old_bigrams, new_bigrams = ([_bigrams(option) for option in options] for options in (before, after))
    grid = np.array([[_dice(old, new) for new in new_bigrams] for old in old_bigrams])
    if not grid.size:
        return False
    rows, columns = linear_sum_assignment(grid, maximize=True)
    return bool(grid[rows, columns].sum() > np.trace(grid) + REORDER_MARGIN)


def similarity(a: str, b: str) -> float:
    """Dice coefficient of the character bigrams of two texts, their ends marked: 1 for equal, 0 for unlike.

    >>> similarity("是", "是的")  # {^是, 是$} and {^是, 是的, 的$} share one of five
    0.4
    """
    return _dice(_bigrams(a), _bigrams(b))


def _dice(first: Counter[str], second: Counter[str]) -> float:
    return 2 * (first & second).total() / (first.total() + second.total())


def _bigrams(text: str) -> Counter[str]:
    marked = f"^{text}$"
    return Counter(marked[i : i + 2] for i in range(len(marked) - 1))
