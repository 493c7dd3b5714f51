r"""The answer parser of the whole project: which option does a text written by a model choose in the end?

The last statement of an answer counts, so a reasoning may correct itself. A statement is a *cue* (``答案是：``,
``故选``, ``The answer is``, ``\boxed{``) directly followed by a letter, or a letter followed by ``是正确答案``. These
are not statements:

* a negation, a supposition or a question: ``答案不是A``, ``如果答案是A``, ``答案是A吗？``;
* a cue followed by a text instead of a letter: ``答案是 John``, ``答案是A城``, ``答案是 A+B``;
* a letter without a cue.

>>> parse_answer("甲最高，选项是B。\n答案是：B", n_options=4)
'B'

Parsing takes linear time: `_normalized` shortens white space to one character, and every repetition in the regular
expressions below is bounded.
"""

import re

from augen.entries import LETTERS


def parse_answer(text: str | None, n_options: int) -> str | None:
    """The letter of the option that `text` chooses last, or None.

    Only the last statement counts. If it names several letters (``答案是A或B``, ``AB``) or a letter beyond the
    `n_options` options, the result is None. Where the model goes on to invent a next section (a heading ``### 题目``
    or ``### 问题``, a line of ``---``), the text from there on is ignored.
    """
    _, letter, _ = _last_statement(text or "")
    return letter if letter in tuple(LETTERS[:n_options]) else None


def answer_place(text: str, n_options: int) -> int | None:
    """The position in `text` of the letter that `parse_answer` returns, or None if it returns None.

    >>> answer_place("甲最高。**答案是：Ｂ**", 4)
    10
    """
    _, letter, place = _last_statement(text)
    if letter not in tuple(LETTERS[:n_options]):
        return None
    # Normalization keeps the order of the signs in _KEPT. So count those before the letter and find the same one in
    # `text`. Hyphens are not among them, because normalization strips some.
    kept = len(_DROPPED.sub("", _normalized(text)[:place]))
    return [match.start() for match in _KEPT.finditer(text)][kept]


def _last_statement(text: str) -> tuple[int, str, int]:
    """(position of the statement, letter, position of the letter) in the normalized text; the letter may be empty."""
    own = _NEXT_SECTION.split(_normalized(text), maxsplit=1)[0]
    return max([*_statements_after_cues(own), *_statements_before_cues(own)], default=(0, "", 0))


def _statements_after_cues(text: str) -> list[tuple[int, str, int]]:
    """Every ``答案是：B``, as tuples of `_last_statement`; the letter is empty if several are named."""
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
    """Every ``B是正确答案``, as tuples of `_last_statement`."""
    return [(match.start("letter"), match["letter"], match.start("letter")) for match in _LETTER_FIRST.finditer(text)]


def _normalized(text: str) -> str:
    """`text` with half-width signs, without markdown emphasis, each run of white space as one space or line end."""
    text = text.translate(_HALF_WIDTH)
    text = _WHITE_SPACE.sub(lambda match: "\n" if "\n" in match[0] or "\r" in match[0] else " ", text)
    return text.strip(" \n-")  # a line of --- at the beginning ends no section


_WHITE_SPACE = re.compile(r"\s+")
_IGNORED = "*`$_\u200b\ufeff"  # emphasis, code, mathematics, zero-width signs
_HALF_WIDTH: dict[int, str | None] = {
    **{ord(c): None for c in _IGNORED},
    **{ord("Ⓐ") + i: chr(ord("A") + i) for i in range(26)},
    **{code: None if (half := chr(code - 0xFEE0)) in _IGNORED else half for code in range(0xFF01, 0xFF5F)},
}

# Signs that normalization may remove, also in full width, and signs that it keeps.
_REMOVED = rf"\s\-{re.escape(_IGNORED)}" + "".join(chr(ord(c) + 0xFEE0) for c in "-*`$_")
_DROPPED, _KEPT = re.compile(f"[{_REMOVED}]+"), re.compile(f"[^{_REMOVED}]")

# A heading that begins a new puzzle in our prompts; "### 问题分析" is part of an answer.
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

# A capital letter on its own: not the beginning of a word (John), a name (A城), a formula (A+B, A=3) or a path (A→B).
# A small letter must have only punctuation around it, because "a" is a word.
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

# A和B, A、B, A or B. If only punctuation joins the letters, something must also end after the second one:
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
