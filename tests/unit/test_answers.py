"""The answer parser, by example and by property."""

import time
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from augen.answers import answer_place, parse_answer
from augen.answers.plain import _FOLDED

STATEMENTS = [
    # the answer line and its variants
    ("答案是：B", "B"),
    ("答案是:B", "B"),
    ("答案是B", "B"),
    ("答案是 B。", "B"),
    ("答案为B", "B"),
    ("答案：B", "B"),
    ("答案：(B)", "B"),
    ("答案是：（Ｂ）", "B"),
    ("答案应为：Ｃ", "C"),
    ("正确答案为 B", "B"),
    ("因此答案就是D！", "D"),
    ("综上所述，答案应该是 D。", "D"),
    ("答案选C", "C"),
    ("答案：选 B", "B"),
    ("所以正确的选项是 C", "C"),
    ("【答案】B", "B"),
    ("答案是：【C】", "C"),
    ("答案是“C”", "C"),
    ("答案是'C'", "C"),
    ("答案是<B>", "B"),
    # option word, option text, explanation behind the letter
    ("答案是：选项B", "B"),
    ("答案为选项 Ｃ：橙子", "C"),
    ("答案是B选项", "B"),
    ("答案是：B. 苹果", "B"),
    ("答案是B、苹果", "B"),
    ("答案是B - 苹果", "B"),
    ("答案是：C (苹果)", "C"),
    ("答案是B，因为A不对", "B"),
    ("答案是B因为其余都不对", "B"),
    ("答案是A，B不对", "A"),
    ("答案是A不是B", "A"),
    ("答案是：C\nA. 苹果\nB. 梨", "C"),
    # markdown and LaTeX
    ("**答案：B**", "B"),
    ("最终答案是：\n\n**C**", "C"),
    ("### 答案\nB", "B"),
    ("### 答案\n\nB: 苹果", "B"),
    ("### 分析过程\n甲最高。\n\n### 答案\nD", "D"),
    ("### 答案\n答案是：`D`", "D"),
    (r"\boxed{B}", "B"),
    (r"答案是 $\boxed{\text{B}}$。", "B"),
    (r"Final Answer: The final answer is $\boxed{C}$", "C"),
    # to choose
    ("所以选B", "B"),
    ("故选（B）", "B"),
    ("因此，选 C。", "C"),
    ("应该选择B", "B"),
    ("应该选择选项C", "C"),
    ("选B", "B"),
    ("我选 D", "D"),
    # the letter first
    ("B是正确答案", "B"),
    ("选项B就是唯一正确的选项。", "B"),
    ("Option C is the correct answer", "C"),
    # English
    ("The answer is B", "B"),
    ("The correct answer is: (B).", "B"),
    ("Answer: C", "C"),
    ("the best option is D because nothing else fits", "D"),
    # small letters only where nothing but signs surrounds them
    ("答案是 b", "B"),
    ("答案是：b) 苹果", None),
    ("the answer is (b)", "B"),
    ("The answer is a dog", None),
    ("答案是：[a, b, c]", None),
    ("答案是 ['a', 'b']", None),
    ("答案是B。列表的答案是 ['a'] 和 ['b']", "B"),
    # the last statement wins
    ("答案是A。不，答案是C", "C"),
    ("答案是A吗？不，答案是C", "C"),
    ("B是正确答案。再想一想：答案是C", "C"),
    ("答案是C，所以B是正确答案", "B"),
    # suppositions, negations, doubts
    ("如果答案是A，那么矛盾。", None),
    ("答案是D。如果正确答案是A，那么矛盾。", "D"),
    ("若干步后答案是B", "B"),
    ("这就是为什么答案是B", "B"),
    ("为什么答案是B", None),
    ("答案不是A", None),
    ("答案并非A", None),
    ("不选A", None),
    ("我们不应该选A", None),
    ("答案是B。所以不选A。", "B"),
    ("错误答案是A", None),
    ("the wrong answer is A", None),
    ("answer is not A", None),
    ("答案是A不对", None),
    ("所以选项A错误", None),
    # a text, not a letter
    ("答案是 John", None),
    ("答案是B。国家的答案是 Uganda", "B"),
    ("答案是A城", None),
    ("答案是A1", None),
    ("答案是 A+B", None),
    ("答案是A→B→C", None),
    ("答案是A-B", None),
    ("答案是 A's", None),
    ("选择题 1：", None),
    # several letters, letters beyond the options
    ("答案是A和B", None),
    ("答案是：A 或 B", None),
    ("答案是A、B", None),
    ("答案是A, B", None),
    ("答案是A/B", None),
    ("答案是选项B和选项C", None),
    ("answer is A or B", None),
    ("答案是AB", None),
    ("答案是C。答案是AB", None),
    ("AB", None),
    ("答案是F", None),
    ("答案是B\n答案是F", None),
    # what comes after a made-up next section
    ("答案是B\n\n### 题目\n甲比乙高。\n答案是C", "B"),
    ("答案是B\n### 问题 2：\n答案是C", "B"),
    ("答案是D\n#### 题目二\n答案是C", "D"),
    ("答案是B\n---\n### 题目\n甲比乙高。\n答案是C", "B"),
    ("答案是B<|im_end|>\n<|im_start|>user\n答案是C", "B"),
    ("### 问题\n答案是C", None),
    ("### 问题分析\n答案是C", "C"),
    ("---\n答案：C", "C"),
    # nothing
    ("答案", None),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize(("text", "letter"), STATEMENTS)
def test_statements(text: str | None, letter: str | None) -> None:
    assert parse_answer(text, 4) == letter


def test_letters_end_with_the_options() -> None:
    assert parse_answer("答案是：C", 3) == "C"
    assert parse_answer("答案是：C", 2) is None


# Answers only where nothing stands before them.
FIRST_LINES = ("B",)

# Texts made of what the parser looks for, in any order, and of anything else.
WORDS = ("答案", "答案是", "答案：", "选项", "如果", "所以选", "正确", "John", "\\boxed{", "answer is")
SIGNS = "选不故和或、，。（）()*ABEFb \n"
PIECES = st.sampled_from(WORDS) | st.sampled_from(SIGNS) | st.text(max_size=5)
TEXTS = st.lists(PIECES, max_size=25).map("".join)
OPTIONS = st.integers(2, 5)


@given(TEXTS, OPTIONS)
def test_only_letters_of_the_options(text: str, n_options: int) -> None:
    assert parse_answer(text, n_options) in {None, *"ABCDE"[:n_options]}


# No piece begins a section, behind which everything is ignored.
@given(TEXTS.filter(lambda text: not set(text) & set("-－#＃")), OPTIONS, st.data())
def test_a_last_answer_line_always_counts(text: str, n_options: int, data: st.DataObject) -> None:
    letter = data.draw(st.sampled_from("ABCDE"[:n_options]))
    assert parse_answer(f"{text}\n答案是：{letter}", n_options) == letter


WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}


@given(TEXTS, OPTIONS)
def test_width_does_not_matter(text: str, n_options: int) -> None:
    assert parse_answer(text.translate(WIDE), n_options) == parse_answer(text, n_options)


@given(st.text("甲乙丙比高矮，。：()ABCx1 \n", max_size=60), st.sampled_from(STATEMENTS))
def test_text_without_answer_words_does_not_matter(prefix: str, case: tuple[str | None, str | None]) -> None:
    text, letter = case
    assume(text not in FIRST_LINES)
    assert parse_answer(f"甲：{prefix}。乙高。\n{text or ''}", 4) == letter


CUES = (
    "答案",
    "答案是",
    "答案是A或",
    "答案 \n",
    "如果",
    "如果答",
    "选",
    "所以选",
    "正确的",
    "B是正",
    "answer is ",
    "if ",
    "的选项是",
    "最合理的选项是",
    "因此选项A(",
    "I would ",
    "不对",
)
OTHERS = (
    "\\boxed{",
    "\\",
    "选项",
    "A、",
    "A",
    " ",
    "\n",
    "答案是 (",
    "「",
    "-",
    "- ",
    "#",
    "### 题",
    "<think>",
    "</think>",
    "<b ",
    "_",
    "A. 甲\n",
    "\n---",
    "👉",
)


def seconds(text: str) -> float:
    started = time.process_time()
    parse_answer(text, 4)
    return time.process_time() - started


@pytest.mark.parametrize("unit", CUES + OTHERS)
def test_time_grows_with_the_length(unit: str) -> None:
    """Sixteen times the text would take a quadratic search 256 times as long."""
    repeats = 4_000 // len(unit)
    bound = 80 * min(seconds(unit * repeats) for _ in range(3)) + 0.01
    assert any(seconds(unit * repeats * 16) < bound for _ in range(3)), "what else the machine does only adds to it"


@pytest.mark.parametrize(("text", "answer"), [pair for pair in STATEMENTS if pair[1] is not None])
def test_the_place_of_the_letter(text: str, answer: str) -> None:
    for around in ("{}", "---\n\n- 甲：**A** ＊ 乙\n\n{}", "　\u200b先是 A-B。\n\n{}\n\n---\n\n### 题目\n答案是D"):
        shown = around.format(text)
        place = answer_place(shown, 5)
        assert (place is None) == (parse_answer(shown, 5) is None)
        if place is not None:
            assert unicodedata.normalize("NFKC", shown[place]).upper() == parse_answer(shown, 5)
            assert shown.index(text) <= place < shown.index(text) + len(text)


@given(st.text(alphabet="答案是选：AＢⒸ *`-－＊$_\n\u3000\u200b。", max_size=30))
def test_the_place_of_any_letter(text: str) -> None:
    letter, place = parse_answer(text, 4), answer_place(text, 4)
    assert (place is None) == (letter is None)
    if place is not None:
        assert letter == _FOLDED.get(ord(text[place]), text[place])
