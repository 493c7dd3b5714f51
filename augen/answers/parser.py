r"""The answer parser of the whole project: which option does a text written by a model choose in the end?

Thinking is taken off first (`thinking`). Of what is left, the last *statement* of an answer counts, so a text may
correct itself. A statement is a cue with a letter directly behind it. The cues stand in `cues`, by language:

* ``stated`` ones say that an answer follows: ``答案是：B``, ``故选B``, ``The answer is B``, ``\boxed{B}``,
  ``{"answer": "B"}``;
* ``corrected`` ones take back an earlier statement: ``不对，应该是C``;
* ``concluded`` ones only judge an option: ``因此，选项C最符合题意``. They count where nothing is stated, and only if
  all of them, with the first and the last line where these are a letter alone, name the same option.

These are no statements:

* a negation, a supposition or a question: ``答案不是A``, ``如果答案是A``, ``答案是A吗？``;
* a cue followed by a text instead of a letter: ``答案是 John``, ``答案是A城``, ``答案是 A+B``;
* any other letter.

>>> parse_answer("甲最高，选项是B。\n答案是：B", n_options=4)
'B'
>>> parse_answer("综上所述，只有选项C是正确的。", n_options=4)
'C'

Parsing takes linear time: the text is searched for cues once, what stands around a cue is read in windows of fixed
length, and every repetition in the regular expressions is bounded.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from augen.answers.cues import ASIDE, CLOSE, CUES, OPEN, VERDICTS, WRONG
from augen.answers.plain import Plain
from augen.answers.thinking import joined, spans
from augen.entries import LETTERS


def parse_answer(text: str | None, n_options: int) -> str | None:
    """The letter of the option that `text` chooses last, or None.

    Only the last statement counts. If it names several letters (``答案是A或B``, ``AB``, options on lines of their own)
    or a letter beyond the `n_options` options, the result is None. Where the model goes on to invent a next section (a
    heading ``### 题目`` or ``### 问题``, the mark that ends its turn), the text from there on is ignored. A text that
    was cut off while the model was thinking has no answer.
    """
    chosen = _chosen(text) if text else None
    return chosen.letter if chosen and chosen.letter in tuple(LETTERS[:n_options]) else None


def answer_place(text: str, n_options: int) -> int | None:
    """The position in `text` of the letter that `parse_answer` returns, or None if it returns None.

    >>> answer_place("甲最高。**答案是：Ｂ**", 4)
    10
    """
    chosen = _chosen(text)
    return chosen.place if chosen and chosen.letter in tuple(LETTERS[:n_options]) else None


class Statement(NamedTuple):
    """A letter that a text gives as its answer, and where; the letter is empty if it names several."""

    place: int
    letter: str
    kind: Literal["stated", "corrected", "concluded", "doubted"]


def _chosen(text: str) -> Statement | None:
    """The statement that decides, its place counted in the whole of `text`."""
    _, parts = spans(text)
    plain = Plain.of(joined(text, parts))
    found = sorted([*_after_cues(plain.text), *_before_cues(plain.text), *_alone(plain.text)])
    claimed = [statement.place for statement in found if statement.kind in ("stated", "doubted")]
    stated = [s for s in found if s.kind == "stated" or (s.kind == "corrected" and claimed and s.place > claimed[0])]
    concluded = [statement for statement in found if statement.kind == "concluded"]
    if stated:
        last = stated[-1]
    elif len({statement.letter for statement in concluded}) == 1:
        last = concluded[-1]
    else:
        return None
    place = plain.origin(last.place)
    for start, stop in parts:
        if place < stop - start:
            return last._replace(place=start + place)
        place -= stop - start
    raise AssertionError("the letter stands in one of the parts")


_WINDOW = 50  # characters before a cue that are looked at

# 如果正确答案是A, 不认为答案是A; but not 如果…，所以答案是A
_SUPPOSED = re.compile(
    r"""(?: (?: 如果 | 假如 | 假设 | 假定 | 假若 | 倘若 | 要是 | 若(?!干) | 即使 | 除非 | 是否 | 难道 | (?<!是)为什么
            | 不认为 | 不意味着 | 不代表 | 不能说 | 无法 )
            (?: (?! 所以 | 因此 | 故 | 则 | 那么 ) [^,.。;:!?\n] ){0,12}
          | \b (?i: if | whether | suppose | assum(?:e|ing) ) \b [^,.;:!?\n]{0,40} ) \Z""",
    re.VERBOSE,
)

# A capital letter on its own: not the beginning of a word (John), a name (A城), a formula (A+B, A=3) or a path (A→B).
# A small letter must have only punctuation around it, because "a" is a word.
_LETTER = re.compile(
    rf"""{OPEN}
    (?: (?P<several> [{LETTERS}]{{2,5}} ) (?![A-Za-z0-9])
      | (?P<letter>
          [A-Z] (?! [A-Za-z0-9·²_] | ['’][A-Za-z] )
                (?! [ ]? (?: [+=×÷^~%→⇒≥≤≠] | [<>][ ]?[A-Za-z0-9] | -[>A-Za-z0-9] ) )
                (?= [^\u3400-\u9fff] | $
                  | 选项 | 项 | 是 | 即 | 也就是 | 而 | 因为 | 由于 | 所以 | 因此 | 这 | 对应 | 表示 | 表明 | 最 | 才
                  | 其余 | 其他 | 正确 | 符合 | 错 | 不是 | 不对 | 不正确 | 吗 | 么 | 呢
                  | 和 | 与 | 或 | 及 | 以及 | 还是 | 且 | 并 | 的话 )
        | [a-z] (?= {CLOSE} (?: [.。;!] | </ | \n | $ ) )
        )
    ) {CLOSE}""",
    re.VERBOSE,
)

_END = re.compile(r"[ ]? (?: 选?项 | 才对 )? (?: [.。,;:!、\n(【<] | $ )", re.VERBOSE)

# 答案是A吗, 答案是A不对, 答案是A。等等，不对。
_DOUBTED = re.compile(
    rf"""{ASIDE} (?:选项|项)? [ ]?
    (?: 吗 | 么 | 呢 | \? | 不对 | 不正确 | 是?错 | 是不 | 的话 | is[ ](?:wrong|incorrect|not)
      | [,.。!\n ]{{1,2}} (?: 等等 | 等一下 | 哦 )? [,.。!…]{{0,3}} (?: 不对 | 错了 | 有误 ) (?= [,.。!…\n] | $ ) )""",
    re.VERBOSE,
)

# A和B, A、B, A or B. If only punctuation joins the letters, something must also end after the second one:
# 答案是A,B不对 names one answer.
_MORE = re.compile(
    rf"""{ASIDE} (?:选项|项)? [ ]?
    (?: 和 | 与 | 或 | 及 | 以及 | 还是 | [且并] (?:选|是)?[ ]?[A-Z]
      | (?: 、 | / | & | , | and\b | or\b )? [ ]? (?:选项)? [(\["'“]? [A-Z] {CLOSE}
        [ ]? (?: [.。;,、/)<\n] | $ | 和 | 与 | 或 | 都 | 均 | 两 | 中 | (?:and|or)\b )
      | [.、:] [^\n。;,]{{1,40}}? (?: 和 | 与 | 、 | 以及 | 或 ) [ ]? (?:选项)? [{LETTERS}] [.、:] )""",
    re.VERBOSE,
)

# Where an option stands on a line of its own, that of the next line.
_NEXT_LINE = re.compile(
    rf"""(?: [.、: ] [^\n]{{0,300}} )?
    \n [-•·\d. ]{{0,4}} (?:选项)? \(? (?P<letter> [{LETTERS}] ) (?: [.、:) ] | \n | $ )""",
    re.VERBOSE,
)


def _after_cues(text: str) -> Iterator[Statement]:
    """Every ``答案是：B``; one that is supposed is none."""
    for cue in (cue for cues in CUES.values() for cue in cues):
        for match in cue.pattern.finditer(text):
            letter = _LETTER.match(text, match.end())
            if letter is None or (cue.bare and not _END.match(text, letter.end())):
                continue
            before = text[max(0, match.start() - _WINDOW) : match.start()]
            if not cue.behind.search(before) or cue.not_behind.search(before) or _SUPPOSED.search(before):
                continue
            yield Statement(*_named(text, letter), "doubted" if _DOUBTED.match(text, letter.end()) else cue.kind)


def _named(text: str, letter: re.Match[str]) -> tuple[int, str]:
    """The place of a `letter` that was found, and which one it is; empty where others are named with it."""
    place, end = letter.start("letter"), letter.end()
    if letter["several"]:
        return letter.start("several"), ""
    following = _NEXT_LINE.match(text, end) if "\n" in letter[0] else None
    more = _MORE.match(text, end) or (following and following["letter"] > letter["letter"])
    return place, "" if more else letter["letter"].upper()


_ASKED = re.compile(r"[^,.。;!\n]{0,6} (?: 吗 | 么 | \? )", re.VERBOSE)


def _before_cues(text: str) -> Iterator[Statement]:
    """Every ``B是正确答案`` and ``因此选项C最符合题意``."""
    for kind, pattern in VERDICTS:
        for match in pattern.finditer(text):
            before = text[max(0, match.start() - _WINDOW) : match.start()]
            if not _SUPPOSED.search(before) and not _ASKED.match(text, match.end()):
                yield Statement(match.start("letter"), match["letter"], kind)


# --- letters alone


_ALONE = re.compile(rf"{OPEN} (?P<letter> [{LETTERS}] ) {CLOSE} [ ]? [.。]? [ ]? $", re.VERBOSE)
_WITH_TEXT = re.compile(
    rf"""{OPEN} (?P<letter> [{LETTERS}] ) {CLOSE} [ ]? [.、:]
    (?! .{{0,60}} (?: {WRONG} | 矛盾 | 排除 | 对 | 正确 | 成立 | 符合 | 不 ) ) .{{1,60}} $""",
    re.VERBOSE,
)
_OPTION_LINE = re.compile(rf"^ [-•· ]{{0,3}} \(? [{LETTERS}] [.、:)]", re.VERBOSE | re.MULTILINE)
_EXPLAINED = re.compile(
    r"[【\[(# ]{0,8} (?: 解 | 分析 | 理由 | 原因 | 说明 | 因为 | [Ee]xpla | [Rr]eason | [Bb]ecause )", re.VERBOSE
)


def _alone(text: str) -> Iterator[Statement]:
    """The first and the last line, where they are nothing but a letter.

    The first one may also be the option that is chosen, with its text. It is not the first of a list of options.
    """
    first, _, rest = text.strip(" \n").partition("\n")
    start = len(text) - len(text.lstrip(" \n"))
    found = _ALONE.match(first)
    if found is None and (_EXPLAINED.match(rest) or not _OPTION_LINE.search(rest)):
        found = _WITH_TEXT.match(first)
    if found:
        yield Statement(start + found.start("letter"), found["letter"], "concluded")
    last = text.rstrip(" \n").rpartition("\n")[2]
    if rest and (found := _ALONE.match(last)):
        yield Statement(text.rindex(last) + found.start("letter"), found["letter"], "concluded")
