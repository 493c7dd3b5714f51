"""Which option of a question a program's result chooses.

>>> result = Result((AnswerSet((3,), ()),))
>>> verdict(result, ["第二天", "第三天", "第四天"]).letter
'B'
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from augen.entries import letter_of
from augen.programs.language import AnswerSet, Result, Value

# fmt: off
_AFFIRM = frozenset([
    "是", "是的", "对", "对的", "正确", "能", "能够", "会", "可以", "可能", "有", "真", "为真", "成立", "yes", "true",
])
_DENY = frozenset([
    "否", "不是", "错", "错误", "错的", "不对", "不正确", "不", "不能", "不能够", "不会", "不可以", "不可能", "没有",
    "无", "假", "为假", "不成立", "no", "false",
])
# fmt: on
_NEGATIONS = ("不", "没", "没有", "无", "非", "未")
_ENDS = " \"'“”‘’「」『』《》.。,，、;；:：!！?？"
_BRACKETS = "()（）[]【】{}<>〈〉"
_SEPARATOR = re.compile(r"->|[,、→\s]+")
_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_MYRIADS = {"万": 10**4, "亿": 10**8}
_NUMBER = re.compile(
    r"(?:(?<![0-9])-)?[0-9]+(?:,[0-9]{3}(?![0-9]))*(?:\.[0-9]+)?[十百千万亿]*|[零〇一二两三四五六七八九十百千万亿]+"
)


@dataclass(frozen=True)
class Verdict:
    """The letter of the option that a result chooses, or the cause (of `augen.programs.language.CAUSES`) of none.

    The message begins with the place in the program that it is about, if there is one.
    """

    letter: str | None
    cause: str | None = None
    message: str = ""


def verdict(result: Result, options: Sequence[str]) -> Verdict:
    """What `result` says about a question with `options`: a letter only if every answer set gives the same single one.

    A value is compared with the options in this order, and the first comparison that finds one counts: as text; as a
    number, also where every option holds exactly one number; 是 and 否 with options that affirm or deny (with the
    negated form of another option: 存在, 不存在); a list with
    an option's parts. A value that is no option is ignored: "which of these" may be asked of a rule that knows more.

    >>> verdict(Result((AnswerSet(("甲", "丁"), ()),)), ["丙", "丁"]).letter
    'B'
    """
    if result.cause:
        place = "" if result.line is None else f"line {result.line}, column {result.column}: "
        return Verdict(None, result.cause, f"{place}{result.message}")
    chosen = {frozenset(_choices(answer_set, options)) for answer_set in result.answer_sets}
    letters = sorted(frozenset().union(*chosen))
    if len(chosen) == 1 and len(letters) == 1:
        return Verdict(letters[0])
    told = "; ".join(_shown(answer_set) for answer_set in result.answer_sets[:4])
    if letters:
        return Verdict(None, "several", f"options {', '.join(letters)} by the answers: {told}")
    return Verdict(None, "no_option", f"no option is the answer: {told}")


def _choices(answer_set: AnswerSet, options: Sequence[str]) -> Iterator[str]:
    """The letters that `answer_set` chooses."""
    letters = [letter_of(i) for i in range(len(options))]
    for pick in answer_set.picks:
        if (letter := normalized(pick).upper()) in letters:
            yield letter
    for value in answer_set.values:
        yield from (letters[i] for i in _matches(value, options))


def _shown(answer_set: AnswerSet) -> str:
    values = ["、".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in answer_set.values]
    return (" and ".join([*values, *answer_set.picks]) or "no answer(V) and no pick(L)")[:200]


def _matches(value: Value, options: Sequence[str]) -> list[int]:
    """The positions of the options that `value` is, by the first comparison that finds any."""
    if isinstance(value, tuple):
        return [i for i, option in enumerate(options) if _same_list(value, option)]
    text = normalized(str(value))
    if found := [i for i, option in enumerate(options) if normalized(option) == text]:
        return found
    if (number := _as_number(text)) is not None:
        if found := [i for i, option in enumerate(options) if _as_number(normalized(option)) == number]:
            return found
        held = [_numbers(normalized(option)) for option in options]
        if all(len(numbers) == 1 for numbers in held):
            return [i for i, numbers in enumerate(held) if numbers == [number]]
    own = [normalized(option) for option in options]
    denials = {word: _negated(word) & set(own) for word in own}
    affirm = _AFFIRM | {word for word in own if denials[word]}
    deny = _DENY.union(*denials.values())
    for words, said in ((_AFFIRM, affirm), (_DENY, deny)):
        if text in words:
            return [i for i, word in enumerate(own) if word in said]
    return []


def _negated(word: str) -> set[str]:
    """The negated forms of a word: 存在 → 不存在, 有解 → 无解.

    >>> "不合法" in _negated("合法"), "没有解" in _negated("有解")
    (True, True)
    """
    without = [word, word[1:]] if word.startswith("有") else [word]
    return {negation + rest for negation in _NEGATIONS for rest in without if rest}


def normalized(text: str) -> str:
    """`text` for comparison: one width and case, without white space and underscores, quotes and end punctuation.

    >>> normalized("“Ｔｏｍ Lee”。"), normalized("tom_lee")
    ('tomlee', 'tomlee')
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    # Again, because what white space kept apart may compose: a and ´ become á.
    return unicodedata.normalize("NFKC", re.sub(r"[\s_]+", "", text)).strip(_ENDS)


def _same_list(value: tuple[int | str, ...], option: str) -> bool:
    """Whether the parts of `option` are the elements of `value`, in order, with or without numbers before them."""
    elements = [normalized(str(element)) for element in value]
    text = unicodedata.normalize("NFKC", option).casefold().strip(_ENDS).strip(_BRACKETS)
    parts = [part for part in map(normalized, _SEPARATOR.split(text)) if part]
    if parts == elements or (len(parts) == 1 < len(elements) and parts[0] == "".join(elements)):
        return True
    if len(parts) != len(elements):
        return False
    pairs = zip(parts, elements, strict=True)
    if all(p == e or ((n := _as_number(e)) is not None and _as_number(p) == n) for p, e in pairs):
        return True
    return parts == [f"{i}{element}" for i, element in enumerate(elements, start=1)]


def _as_number(text: str) -> Fraction | None:
    """The number that `text` is and nothing else."""
    found = _NUMBER.fullmatch(text)
    return _value(found[0]) if found else None


def _numbers(text: str) -> list[Fraction]:
    """The numbers in a normalized text.

    >>> [str(n) for n in _numbers("第十二天有3.5万元,也就是35,000元")]
    ['12', '35000', '35000']
    """
    return [value for found in _NUMBER.finditer(text) if (value := _value(found[0])) is not None]


def _value(number: str) -> Fraction | None:
    """The value of a number in Arabic or Chinese numerals; None for signs that make no number, such as 万 alone."""
    if len(number) > 40:
        return None
    arabic = number.rstrip("十百千万亿")
    if arabic and arabic[-1] in "0123456789":
        scale = 1
        for unit in number[len(arabic) :]:
            scale *= (_UNITS | _MYRIADS)[unit]
        return Fraction(arabic.replace(",", "")) * scale
    value = _chinese(number)
    return None if value is None else Fraction(value)


def _chinese(number: str) -> int | None:
    """The value of Chinese numerals up to 亿, also as digits alone.

    >>> [_chinese(number) for number in ("十二", "二〇二四", "三百零五", "两万一千", "一亿二千万", "万")]
    [12, 2024, 305, 21000, 120000000, None]
    """
    if all(sign in _DIGITS for sign in number):
        return int("".join(str(_DIGITS[sign]) for sign in number))
    if number in "百千万亿":
        return None
    total = section = digit = 0
    for sign in number:
        if sign in _DIGITS:
            digit = _DIGITS[sign]
        elif sign in _UNITS:
            section, digit = section + (digit or 1) * _UNITS[sign], 0
        else:
            total, section, digit = total + (section + digit) * _MYRIADS[sign], 0, 0
    return total + section + digit
