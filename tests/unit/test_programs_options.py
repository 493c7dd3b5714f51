"""Which option a result chooses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.programs.language import AnswerSet, Result, Value
from augen.programs.options import Verdict, normalized, verdict

NUMERALS = "零一二三四五六七八九"


def result(*sets: tuple[tuple[Value, ...], str]) -> Result:
    return Result(tuple(AnswerSet(values, tuple(picks)) for values, picks in sets))


def chosen(value: Value, *options: str) -> str | None:
    return verdict(result(((value,), "")), options).letter


@pytest.mark.parametrize(
    ("value", "options", "letter"),
    [
        # Text
        ("乙", ["甲", "乙"], "B"),
        ("tom_lee", ["Ann Lee", "Tom Lee"], "B"),
        ("甲", ["“甲”。", "乙"], "A"),
        ("Ａ１", ["a1", "b1"], "A"),
        ("甲", ["甲乙", "乙"], None),
        ("", ["甲", "乙"], None),
        # Numbers
        (5, ["3", "5"], "B"),
        ("5", ["3", "5.0"], "B"),
        (5, ["3元", "5元"], "B"),
        (5, ["第三天", "第五天"], "B"),
        (12, ["十一个", "十二个", "二十个"], "B"),
        ("十二", ["11", "12"], "B"),
        (2024, ["二〇二四年", "2023年"], "A"),
        (12000, ["1.2万元", "1200元"], "A"),
        (35000, ["35,000", "3,500"], "A"),
        (-3, ["-3度", "3度"], "A"),
        (3, ["-3", "3"], "B"),
        (5, ["5元", "5元钱", "6元"], None),
        (5, ["5元", "无法确定"], None),
        (5, ["5元3角", "5元"], None),
        (5, ["3到5", "5到7"], None),
        (50, ["50%", "60%"], "A"),
        (1, ["星期一", "星期二"], "A"),
        (1, ["一定", "不一定"], None),
        # Yes and no
        ("是", ["对", "错"], "A"),
        ("否", ["正确", "错误"], "B"),
        ("否", ["能", "不能"], "B"),
        ("是", ["不会", "会"], "B"),
        ("是", ["可以。", "不可以。"], "A"),
        ("否", ["有", "没有"], "B"),
        ("是", ["假", "真"], "B"),
        ("否", ["Yes", "No"], "B"),
        ("是", ["False", "True"], "B"),
        ("是", ["对", "是"], "B"),
        ("是", ["对", "能"], None),
        ("是", ["甲", "乙"], None),
        ("否", ["存在", "不存在"], "B"),
        ("是", ["不合法", "合法"], "B"),
        ("yes", ["符合", "不符合", "无法判断"], "A"),
        ("no", ["有解", "无解"], "B"),
        ("no", ["有解", "没有解"], "B"),
        ("是", ["未完成", "完成"], "B"),
        ("是", ["合法", "不合理"], None),
        ("否", ["不存在", "不符合"], None),
        # Lists
        (("甲", "乙", "丙"), ["乙、甲、丙", "甲、乙、丙"], "B"),
        (("甲", "乙"), ["（甲，乙）", "（乙，甲）"], "A"),
        (("甲", "乙"), ["甲 乙", "乙 甲"], "A"),
        (("甲", "乙"), ["[甲,乙]", "[甲]"], "A"),
        (("甲", "乙", "丙"), ["丙→乙→甲", "甲→乙→丙"], "B"),
        (("甲", "乙"), ["乙甲", "甲乙"], "B"),
        (("甲", "乙"), ["1甲，2乙", "1乙，2甲"], "A"),
        ((1, 11), ["11、1", "1、11"], "B"),
        ((1, 2), ["一、二", "二、一"], "A"),
        (("甲",), ["甲", "乙"], "A"),
        (("甲", "乙"), ["甲", "乙"], None),
        (("tom", "ann_lee"), ["Tom, Ann Lee", "Ann, Tom"], None),  # a space parts
        (("tom", "ann"), ["Tom, Ann", "Ann, Tom"], "A"),
    ],
)
def test_one_value(value: Value, options: list[str], letter: str | None) -> None:
    assert chosen(value, *options) == letter


@pytest.mark.parametrize(
    ("given_result", "letter", "cause"),
    [
        (result(((1,), ""), ((1,), "")), "A", None),
        (result(((1,), ""), ((2,), "")), None, "several"),
        (result(((1, 2), "")), None, "several"),
        (result(((1,), ""), ((9,), "")), None, "several"),
        (result(((1, 9), "")), "A", None),
        (result(((9,), "")), None, "no_option"),
        (result(((9,), ""), ((8,), "")), None, "no_option"),
        (result(((), "")), None, "no_option"),
        (result(((), ""), ((1,), "")), None, "several"),
        (result(((), "b")), "B", None),
        (result(((), "B")), "B", None),
        (result(((), "ab")), None, "several"),
        (result(((), "bz")), "B", None),
        (result(((), "z")), None, "no_option"),
        (result(((), "c")), None, "no_option"),
        (result(((1,), "a")), "A", None),
        (result(((1,), "b")), None, "several"),
        (Result((), "time", "took long"), None, "time"),
    ],
)
def test_verdicts(given_result: Result, letter: str | None, cause: str | None) -> None:
    found = verdict(given_result, ["1", "2"])
    assert (found.letter, found.cause) == (letter, cause)
    assert bool(found.message) == (cause is not None)


def test_messages() -> None:
    assert verdict(result(((("甲", 1),), "")), ["甲"]) == Verdict(None, "no_option", "no option is the answer: 甲、1")
    assert verdict(result(((1,), ""), ((2,), "")), ["1", "2"]).message == "options A, B by the answers: 1; 2"


def in_chinese(number: int) -> str:
    """Numerals of a number below 100, written by hand."""
    tens, ones = divmod(number, 10)
    before = "" if tens == 0 else "十" if tens == 1 else NUMERALS[tens] + "十"
    return before + (NUMERALS[ones] if ones or not tens else "")


@given(st.lists(st.integers(0, 99), min_size=2, max_size=4, unique=True), st.data())
def test_numbers_however_they_are_written(numbers: list[int], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(numbers) - 1))
    chinese = data.draw(st.booleans())
    unit = data.draw(st.sampled_from(["{}", "{}元", "第{}天", " {} 个。"]))
    options = [unit.format(in_chinese(number) if chinese else number) for number in numbers]
    assert chosen(numbers[index], *options) == "ABCD"[index]


@given(st.permutations(["甲", "乙", "丙", "丁"]), st.sampled_from(["、", "，", ", ", " ", "→", ""]))
def test_lists_however_they_are_written(order: list[str], separator: str) -> None:
    other = [order[1], order[0], *order[2:]]
    assert chosen(tuple(order), separator.join(other), f"（{separator.join(order)}）") == "B"


VALUES = st.integers() | st.text(max_size=60) | st.lists(st.text(max_size=5) | st.integers(), max_size=4).map(tuple)
SETS = st.builds(
    AnswerSet, st.lists(VALUES, max_size=3).map(tuple), st.lists(st.text(max_size=3), max_size=2).map(tuple)
)


@given(st.lists(SETS, min_size=1, max_size=3), st.lists(st.text(max_size=12), min_size=1, max_size=10))
def test_anything_has_a_verdict(sets: list[AnswerSet], options: list[str]) -> None:
    found = verdict(Result(tuple(sets)), options)
    assert (found.letter is None) == (found.cause in ("several", "no_option"))
    assert found == verdict(Result(tuple(reversed(sets))), options) or found.letter is None


@given(st.text(max_size=30))
def test_an_option_is_itself(text: str) -> None:
    assert chosen(text, text + "甲", text) in ("B", None)
    if normalized(text + "甲") != normalized(text):
        assert chosen(text, text + "甲", text) == "B"


def test_long_numbers_are_text() -> None:
    digits = "9" * 5000
    assert chosen(digits, digits, "1") == "A"
    assert chosen("1", digits, "1") == "B"
