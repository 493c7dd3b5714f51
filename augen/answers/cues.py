"""What announces an answer: the cues that stand before its letter, by language, and the verdicts behind it.

All are verbose regular expressions for a `Plain` text; every repetition in them is bounded, so that a search takes
linear time.
"""

import re
from typing import Literal, NamedTuple

from augen.entries import LETTERS

Kind = Literal["stated", "corrected", "concluded"]


class Cue(NamedTuple):
    """What stands before the letter of a statement.

    `behind` says what has to stand directly before the cue, `not_behind` what must not. A `bare` cue is so short that
    something has to end after the letter, too.
    """

    kind: Kind
    pattern: re.Pattern[str]
    behind: re.Pattern[str]
    not_behind: re.Pattern[str]
    bare: bool


def _cue(kind: Kind, pattern: str, behind: str = "", not_behind: str = "(?!)", bare: bool = False) -> Cue:
    compiled, before, not_before = (re.compile(part, re.VERBOSE) for part in (pattern, behind, not_behind))
    return Cue(kind, compiled, before, not_before, bare)


# What may stand between a cue and its letter, and directly behind the letter.
OPEN = r"""(?: [ \n] | 选项 :? | (?i:option|choice|letter)\b | \\?[(\[{<] | ["'“‘「『【〔《] | -[ ] | [-=]{0,3}>{1,2}
              | \\[a-zA-Z]{2,12} (?: \{[a-z]{1,10}\} )? \{ | \\[,;!] | \\(?:left|quad|large|Large|bf|rm)\b | \}[ ]
              | [\u2190-\u21ff\u25a0-\u27bf\u2b00-\u2bff\U0001f300-\U0001faff] ){0,10}"""
CLOSE = r"""(?: \\?[)\]}>] | ["'”’」』】〕》] ){0,6}"""
ASIDE = r"(?: [ ]? (?: \( [^()\n]{1,40} \) | [“「] [^”」\n]{1,40} [”」] ) )? [ ]?"  # the option's text

_MAY = r"(?: 最终 | 应该 | 应当 | 应 | 就 | 只能 | 只可能 | 必定 | 必然 | 必须 | 显然 | 确实 | 也 ){0,2} [ ]?"
_IS = r"(?: (?: 是 | 为 | 即 | 选择? (?!项) | [:=] ) [ ]? ){1,3}"
_END_QUOTE = r"""["'”’」』)\]】]{0,2} [ ]?"""
_BE = "(?: (?: is | (?:would|should|must|will)[ ]be ) (?![A-Za-z]) | : | = ) [ ]? :?"
_SO = "综上 | 因此 | 所以 | 因而 | 故 | 可见 | 可知 | 总之 | 总的来说 | 最终"
_CLAIM = "说法 | 叙述 | 描述 | 陈述 | 表述 | 论述 | 结论 | 判断 | 推断 | 推论 | 推理 | 命题 | 一项 | 选项 | 选择"
WRONG = "错误? | 有误 | 不正确 | 不对 | 不符合? | 不成立 | 不合理 | 不可能 | 不恰当 | 为假 | 假"
_IN_CLAUSE = r"[^,.。;:!?\n]"

CUES: dict[str, list[Cue]] = {
    "Chinese": [
        # 正确答案应该是：, 答案选
        _cue("stated", rf"答案 (?:选项)? {_END_QUOTE} {_MAY} {_IS}", not_behind=r"(?: 错误 | 不正确 | 不 ) 的? \Z"),
        # 【答案】, 【参考答案】:
        _cue("stated", r"[【\[〖] [ ]? (?: 参考 | 正确 | 标准 | 最终 | 本题 )? 答案 [ ]? [】\]〗] [ ]? :? [ ]?"),
        # ### 答案, then the letter alone
        _cue("stated", rf"答案 {_END_QUOTE}", not_behind=r"(?: 错误 | 不正确 | 不 ) 的? \Z", bare=True),
        # 正确的选项为, 最终选择是
        _cue("stated", rf"(?: 正确的? | 最终 ) 选[项择] {_END_QUOTE} {_MAY} {_IS}", not_behind=r"不 \Z"),
        # 我的选择是
        _cue("stated", rf"我的 (?:最终)? (?: 选择 | 结论 ) {_MAY} {_IS}"),
        # 所以选, 应该选择, 改选, 选 at the beginning
        _cue(
            "stated",
            r"选择? (?!项) [ ]? :?",
            behind=r"""(?: ^ | [,.。;:!、\n] | 所以 | 因此 | 因而 | 故 | 综上 | 最终 | [本此该]题 | 我们? | [我就]会
                     | 改 | 只好 | (?<!不) (?: 应该 | 应当 | 应 | 只能 | 必须 | 可以 | (?<!应)该 ) ) [ ]? \Z""",
        ),
        # 答案不是A，而是B
        _cue(
            "stated", r"(?:而[是选]|(?:应该?|就)[是选])", behind=r"(?: 答案 | 选项 ) (?:并|也)? 不 [是选] [^\n]{1,8} \Z"
        ),
        # 不对，应该是C; 更正：应为B
        _cue(
            "corrected",
            r"""(?: 不对 | 不 (?=[,.。!]) | 错了 | 有误 | 矛盾了? | [更修纠改订]正 | 修[订改] | 等等 | 等一下
                  | 其实 | 抱歉 | 再想[一想]?[下想] | 实际上 | 事实上 | 准确地?说
                  | 重新 (?:考虑|检查|计算|推理|分析|看) | 经?检查 )
                [后为]?
                (?: [,.。:!?…\n ] | 那么 | 所以 | 因此 | 这里 | 本题 | 我 | 结果 | 最终 | 正确的? (?:选项)? ){0,5}
                (?: 应该? | 应当 | 改 )? (?: 是 | 为 | 选 | 成 | : ) [ ]? :?""",
            bare=True,
        ),
        # 最符合条件的选项是D, 正确的说法是：
        _cue(
            "concluded",
            rf"的 (?: {_CLAIM} ) {_MAY} (?:只有)? {_IS}",
            behind=rf"(?: 正确 | 符合 | 满足 | 成立 | 合理 | 合适 | 恰当 | 准确 | 唯一 | 最 ) {_IN_CLAUSE}{{0,12}} \Z",
            not_behind=rf"(?: {WRONG} ) {_IN_CLAUSE}{{0,4}} \Z",
        ),
        # 综上所述，错误的说法是B
        _cue(
            "concluded",
            rf"的 (?: {_CLAIM} )? {_MAY} (?:只有)? {_IS}",
            behind=rf"(?: {_SO} ) {_IN_CLAUSE}{{0,6}} ,? {_IN_CLAUSE}{{0,8}} (?: {WRONG} ) {_IN_CLAUSE}{{0,4}} \Z",
        ),
        # 下列说法错误的是：, with the option on the next line
        _cue(
            "concluded",
            r"的 (?: 是 | 为 ) [ ]? :? (?= \n )",
            behind=rf"(?: {_CLAIM} ) 中?,? (?: {WRONG} | 正确 | 符合{_IN_CLAUSE}{{1,4}} ) \Z",
        ),
        # 正确的是C, 符合题意的是
        _cue(
            "concluded",
            rf"的 {_MAY} (?:只有)? (?: 是 | 为 ) [ ]? :? [ ]?",
            behind=r"(?: 正确 | 符合题意 | 符合要求 ) \Z",
            not_behind=rf"(?: {WRONG} | 不符合题意 | 不符合要求 ) \Z",
        ),
    ],
    "English": [
        # The answer is:, the correct answer would be, Answer:
        _cue(
            "stated",
            rf"[Aa](?i:nswer) {_END_QUOTE} {_BE}",
            not_behind=r"(?i: wrong | incorrect | false | not[ ]the ) [ ] \Z",
        ),
        # the best option is, my choice would be
        _cue(
            "stated",
            rf"""(?: [Cc]orrect | [Rr]ight | [Bb]est | [Ff]inal | [Mm]y | CORRECT | FINAL ) [ ]
                 (?i: option | choice | letter | pick | statement ) {_END_QUOTE} {_BE}""",
        ),
        # I would pick B; Therefore, we choose B
        _cue(
            "stated",
            r"""(?: I | [Ww]e ) (?: [ ](?:would|will|shall|must|should|can) | 'd | 'll | [ ]therefore | [ ]thus )? [ ]
                (?: pick | choose | select | go[ ]with | opt[ ]for ) (?![A-Za-z])""",
        ),
        # ### Answer, then the letter on the next line
        _cue("stated", rf"[Aa](?i:nswer) {_END_QUOTE} (?=\n)", bare=True),
        # No, it should be C; Actually, it's C
        _cue(
            "corrected",
            r"""(?: [Nn]o | [Ww]ait | [Aa]ctually | [Cc]orrection | [Ss]orry | [Oo]n[ ]second[ ]thought | [Rr]ather )
                [,:.!… -]{1,3} (?: it | that | this | the[ ]answer )?
                (?: 's | [ ] (?: is | should[ ]be | must[ ]be | has[ ]to[ ]be ) )? [ ]?""",
            bare=True,
        ),
    ],
    "markup": [
        _cue("stated", r"\\ (?: boxed | fbox | framebox ) (?= [ ]? \{ )"),
        # <answer>, <final_answer>, <答案>
        _cue("stated", r"< (?: [Ff]inal[_ ]? )? (?: [Aa]nswer | ANSWER | ans | choice | option | 答案 | 选项 ) >"),
        # "answer":, 'final_answer':, "选项":
        _cue(
            "stated",
            r"""["'“] (?: [A-Za-z]{1,12} [_ ] ){0,2}
                (?: (?i: answer | choice | option ) (?: [_ ][A-Za-z]{1,8} )? | 答案 | 选项 | 选择 )
                ["'”] [ ]? :""",
        ),
    ],
}


def _verdict(kind: Kind, pattern: str) -> tuple[Kind, re.Pattern[str]]:
    return kind, re.compile(pattern, re.VERBOSE)


_ONE = rf"{OPEN} (?P<letter> [{LETTERS}] ) {CLOSE} {ASIDE}"
_TRULY = "(?: [才就也都是为] | 完全 | 显然 | 一定 | 必然 | 唯一 ){0,3}"

# What stands behind the letter of a statement.
VERDICTS = [
    # B是正确答案; not 如果B是正确答案, A和B是正确答案
    _verdict(
        "stated",
        rf"""(?<![A-Za-z0-9果若设和或与、,]) (?P<letter> [A-Z] )
        [)\]】"”]? {ASIDE} (?:选项|项)? [ ]? [就才]? [是为] (?:唯一)? 的?
        (?: 正确 | 最佳 | 最好 ) 的? [ ]? (?: 答案 | 选项 | 选择 )""",
    ),
    # Option C is the correct answer
    _verdict(
        "stated",
        r"""(?<![A-Za-z0-9]) (?P<letter> [A-Z] ) \)? [ ] is [ ] the [ ] (?:only[ ])? (?: correct | right | best ) [ ]
        (?: answer | option | choice )""",
    ),
    # 故A正确; a letter without 选项 may be a person, so only what is said of options counts
    _verdict(
        "concluded",
        rf"""(?: {_SO} | 只有 | 唯有 ) [^A-Za-z\n。;不]{{0,8}}? {_ONE} (?: 选?项 [ ]? )?
        (?: 的? (?: {_CLAIM} ) )? {_TRULY}
        (?: 正确 | 符合题意 | 符合要求 | 最符合 | 最合理 | 最佳 | 最准确 | 最恰当 | 最合适 )""",
    ),
    # 综上所述，只有选项C成立
    _verdict(
        "concluded",
        rf"""(?: {_SO} | 只有 | 唯有 ) [^A-Za-z\n。;不]{{0,8}}? 选项 {_ONE} {_TRULY}
        (?: 符合 | 满足 | 成立 | 对的 | 真 | 最(?!不) | 可行 )""",
    ),
    # 选项C最符合题意
    _verdict("concluded", rf"选项 {_ONE} [才就也是]{{0,2}} (?: 最(?!不) | 唯一 (?!不) )"),
    # Option C is correct
    _verdict(
        "concluded",
        rf"""(?: [Oo]ption | [Tt]herefore,? | [Tt]hus,? | [Ss]o,? | [Oo]nly | [Hh]ence,? ) [ ] (?:option[ ])? {_ONE}
        (?: is | must[ ]be ) [ ] (?:the[ ])? (?: correct | right | best | true ) \b""",
    ),
]
