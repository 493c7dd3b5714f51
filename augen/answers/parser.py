r"""The one answer parser: which option does a text that a model wrote finally choose?

The last statement of an answer wins, so a reasoning that corrects itself counts as corrected. A statement
is a *cue* (``答案是：``, ``故选``, ``The answer is``, ``\boxed{``) directly followed by a letter, or a letter
followed by ``是正确答案``. No statement is

* a negation, a supposition or a question: ``答案不是A``, ``如果答案是A``, ``答案是A吗？``;
* a text instead of a letter: ``答案是 John``, ``答案是A城``, ``答案是 A+B``;
* a letter without a cue.

>>> parse_answer("甲最高，选项是B。\n答案是：B", n_options=4)
'B'

Linear time: after `_normalized`, white space is at most one character long, and every repetition in the
expressions below is bounded.
"""

import re

from augen.entries import LETTERS


def parse_answer(text: str | None, n_options: int) -> str | None:
    """The letter of the option that `text` chooses last, or None.

    None also where the last statement is unusable, whatever was stated before: it names several letters
    (``答案是A或B``, ``AB``) or one beyond the `n_options` options. Text from a made-up next section on (a
    heading ``### 题目`` or ``### 问题``, a line of ``---``) is ignored.
    """
    _, letter, _ = _last_statement(text or "")
    return letter if letter in tuple(LETTERS[:n_options]) else None


def answer_place(text: str, n_options: int) -> int | None:
    """Where in `text` the letter stands that `parse_answer` returns, to show it; None where that is None.

    >>> answer_place("甲最高。**答案是：Ｂ**", 4)
    10
    """
    _, letter, place = _last_statement(text)
    if letter not in tuple(LETTERS[:n_options]):
        return None
    # The letter is the same one among the signs that normalization keeps; hyphens, which it strips, are none of them.
    kept = len(_DROPPED.sub("", _normalized(text)[:place]))
    return [match.start() for match in _KEPT.finditer(text)][kept]


def _last_statement(text: str) -> tuple[int, str, int]:
    """(position of the statement, its letter, position of the letter) in the normalized text; no letter: empty."""
    own = _NEXT_SECTION.split(_normalized(text), maxsplit=1)[0]
    return max([*_statements_after_cues(own), *_statements_before_cues(own)], default=(0, "", 0))


def _statements_after_cues(text: str) -> list[tuple[int, str, int]]:
    """Every ``答案是：B`` as in `_last_statement`; the letter is empty where several are named."""
    statements = []
    for cue in _CUE.finditer(text):
        letter = _LETTER.match(text, cue.end())
        if letter is None or cue["supposed"] or _DOUBTED.match(text, letter.end()):
            continue
        if cue["bare"] and not _END.match(text, letter.end()):
            continue
        several = letter["several"] or _MORE.match(text, letter.end())
        statements.append((cue.end(), "" if several else letter["letter"].upper(), letter.start("letter")))
    return statements


def _statements_before_cues(text: str) -> list[tuple[int, str, int]]:
    """Every ``B是正确答案`` as in `_last_statement`."""
    return [(match.start("letter"), match["letter"], match.start("letter")) for match in _LETTER_FIRST.finditer(text)]


def _normalized(text: str) -> str:
    """Half-width signs, no markdown emphasis, white space of any length as one space or line end."""
    text = text.translate(_HALF_WIDTH)
    text = _WHITE_SPACE.sub(lambda match: "\n" if "\n" in match[0] or "\r" in match[0] else " ", text)
    return text.strip(" \n-")  # a line of --- before anything was said ends nothing


_WHITE_SPACE = re.compile(r"\s+")
_IGNORED = "*`$_\u200b\ufeff"  # emphasis, code, mathematics, signs without width
_HALF_WIDTH: dict[int, str | None] = {
    **{ord(c): None for c in _IGNORED},
    **{ord("Ⓐ") + i: chr(ord("A") + i) for i in range(26)},
    **{code: None if (half := chr(code - 0xFEE0)) in _IGNORED else half for code in range(0xFF01, 0xFF5F)},
}

# What normalization may remove, in full width too, and what it keeps.
_REMOVED = rf"\s\-{re.escape(_IGNORED)}" + "".join(chr(ord(c) + 0xFEE0) for c in "-*`$_")
_DROPPED, _KEPT = re.compile(f"[{_REMOVED}]+"), re.compile(f"[^{_REMOVED}]")

# A heading of the prompts that begins a new puzzle; "### 问题分析" is part of an answer.
_NEXT_SECTION = re.compile(
    r"""^ [ ]? (?: \#{1,6} [ ]? (?:题目|问题) [ ]? [\d一二三四五六七八九十]{0,3} (?![\u4e00-\u9fff])
                 | -{3} -*+ [ ]? $ )""",
    re.VERBOSE | re.MULTILINE,
)

# What may stand between a cue and its letter, and directly behind the letter.
_OPEN = r"""(?: [ \n] | 选项 | (?i:option|choice)\b | \\?[(\[{<] | ["'“‘「『【〔《]
              | \\(?:boxed|text|textbf|mathrm|mathbf)\{ ){0,8}"""
_CLOSE = r"""(?: \\?[)\]}>] | ["'”’」』】〕》] ){0,6}"""

_CUE = re.compile(
    r"""
    (?P<supposed>                                   # 如果正确答案是A, 不认为答案是A
        (?: 如果 | 假如 | 假设 | 假定 | 倘若 | 若(?!干) | 即使 | 除非 | 是否 | 难道 | (?<!是)为什么
          | 不认为 | 不意味着 | 不代表 | 不能说 | 无法 | (?i: \bif\b | \bwhether\b ) )
        (?: (?!所以|因此|故|则|那么) [^,.。;:!?\n] ){0,12}?
    )?
    (?:
        (?<!错误) (?<!错误的) (?<!不)                   # 正确答案应该是：, 正确的选项为, 答案选
        (?: (?<!不正确) (?<!不正确的) 答案 (?:选项)? | 正确的?选[项择] | 最终选[项择] ) ["'”’」』)\]】]? [ ]?
        (?: 最终 | 应该 | 应当 | 应 | 就 | 只能 | 只可能 | 必定 | 必然 | 必须 | 显然 | 也 ){0,2} [ ]?
        (?: (?: 是 | 为 | 即 | 选择? (?!项) | [:=] ) [ ]? ){1,3}

      | (?P<bare> 答案 ["'”’」』)\]】]? )              # ### 答案, then the letter alone

      | (?: 所以 | 因此 | 因而 | 故 | 综上 | 最终 | 本题 | 我们?   # 所以选, 应该选择, 选 at the beginning
          | (?<!不) (?: 应该 | 应当 | 应 | 只能 | 必须 | 可以 )
          | ^ | (?<=[,.。;:!、\n]) ) [ ]? 选择? (?!项) [ ]? :?

      | (?i: \b (?<!wrong[ ]) (?<!incorrect[ ])     # The answer is:, Correct option:
          (?: answer | (?:correct|right|best) [ ] (?:option|choice) ) [)\]]? [ ]?
          (?: is (?![a-z]) | : | = ) [ ]? :? )

      | \\boxed (?= \{ )
    )
    """,
    re.VERBOSE,
)

# A capital that stands for itself: not the beginning of a word (John), a name (A城), a formula (A+B, A=3)
# or a path (A→B). A small letter only with nothing but signs around it, since "a" is a word.
_LETTER = re.compile(
    rf"""{_OPEN}
    (?: (?P<several> [{LETTERS}]{{2,5}} ) (?![A-Za-z0-9])
      | (?P<letter>
          [A-Z] (?! [A-Za-z0-9·²] | ['’][A-Za-z] )
                (?! [ ]? (?: [+=×÷^~%→⇒≥≤≠] | [<>][ ]?[A-Za-z0-9] | -[>A-Za-z0-9] ) )
                (?= [^\u3400-\u9fff] | $
                  | 选项 | 项 | 是 | 即 | 也就是 | 而 | 因为 | 由于 | 所以 | 因此 | 这 | 对应 | 表示 | 表明
                  | 正确 | 符合 | 错 | 不是 | 不对 | 不正确 | 吗 | 么 | 和 | 与 | 或 | 及 | 以及 | 还是 )
        | [a-z] (?= {_CLOSE} (?: [.。;!] | \n | $ ) )
        )
    ) {_CLOSE}""",
    re.VERBOSE,
)

_END = re.compile(r"[ ]? (?: [.。,;:!、\n] | $ )", re.VERBOSE)

# 答案是A吗, 答案是A不对
_DOUBTED = re.compile(r"(?:选项|项)? [ ]? (?: 吗 | 么 | \? | 不对 | 不正确 | 是?错 | 是不 )", re.VERBOSE)

# A和B, A、B, A or B. After mere punctuation the second letter must end something as well:
# 答案是A,B不对 names one answer.
_MORE = re.compile(
    rf"""(?:选项|项)? [ ]? (?: 和 | 与 | 或 | 及 | 以及 | 还是
           | (?: 、 | / | & | , | and\b | or\b )? [ ]? (?:选项)? [(\["'“]? [A-Z] {_CLOSE}
             [ ]? (?: [.。;,、/)\n] | $ | 和 | 与 | 或 | 都 | 均 | 两 | 中 | (?:and|or)\b ) )""",
    re.VERBOSE,
)

# B是正确答案, Option B is the correct answer; not 如果B是正确答案, A和B是正确答案
_LETTER_FIRST = re.compile(
    r"""(?<![A-Za-z0-9果若设和或与]) (?P<letter> [A-Z] )
    (?: [)\]】"]? [ ]? (?:选项|项)? [ ]? [就才]? [是为] (?:唯一)? 的?
        (?: 正确 | 最佳 ) 的? [ ]? (?: 答案 | 选项 )
      | \)? [ ] is [ ] the [ ] (?:only[ ])? (?: correct | right | best ) [ ] (?: answer | option | choice )
    ) (?! 吗 | [ ]? \? )""",
    re.VERBOSE,
)
