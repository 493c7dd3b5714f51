"""The guards and the shared flow of rewriting, on single cases and on the real problems where present."""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.entries import Entry, QuestionItem
from augen.puzzles.dataset import puzzle_entries
from augen.rewriting import Draft, rewrite, texts_of, with_texts
from augen.rewriting.guards import (
    compare,
    is_about_translation,
    mentions,
    reordered,
    similarity,
    things,
)
from augen.rewriting.notation import chinese_number
from augen.rewriting.signs import negations, signs, turned
from tests.real import real_entries
from tests.rewrites import BOUNDS, CORRUPTIONS, HARMLESS, measured


def entry(problem: str = "甲喜欢乙，约翰有三个苹果。", question: str = "谁喜欢乙？", **item: object) -> Entry:
    options = ["甲", "约翰", "都不是"]
    return Entry(problem, [QuestionItem(question, options, "看第一句。\n答案是：A", "A")], "p~1")


def causes(before: str, after: str) -> list[str]:
    """What `compare` says about two versions of a problem with nothing to go wrong elsewhere."""
    return compare(entry(before), entry(after), **BOUNDS)


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        ("Kev 爱 Ann。", "史蒂夫爱 Ann。", "names_changed"),
        ("Kev 爱 Ann。", "kev 爱 Ann。", "names_changed"),
        ("甲比乙高。", "甲比丙高。", "names_changed"),
        ("玛丽比汤姆高。", "玛利比汤姆高。", "names_changed"),
        ("小明比小红高。", "小红比小明高。", "names_reordered"),
        ("Ann 爱 Bob。", "Bob 爱 Ann。", "names_reordered"),
        ("有三个盒子。", "有两个盒子。", "number_changed"),
        ("有三个盒子。", "有一些盒子。", "number_changed"),
        ("他排第一。", "他排在前。", "number_changed"),
        ("价格是 -5 元。", "价格是 5 元。", "number_changed"),
        ("价格是 2.5 元。", "价格是 25 元。", "number_changed"),
        ("列表 [1, 2]。", "列表 [2, 1]。", "numbers_reordered"),
        ("他不会滑雪。", "他很会滑雪。", "negation_changed"),
        ("颜色不同的球。", "颜色相同的球。", "negation_changed"),
        ("无人到场的会。", "有人到场的会。", "negation_changed"),
        ("约翰来了，乙走了。", "约翰来了，约翰走了。", "mentions_changed"),
        ("有一些人来了。", " ", "empty_field"),
        ("有一些人来了。", "很久很久以前，在一个遥远的地方，有一些人来了又走了。", "length_ratio"),
        ("很久很久以前，在一个遥远的地方，有一些人来了又走了。", "有一些人来了。", "length_ratio"),
    ],
)
def test_what_must_not_change(before: str, after: str, cause: str) -> None:
    assert cause in causes(before, after)
    assert causes(before, before) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("盒子有三个。", "盒子有 3 个。"),
        ("盒子有１２个。", "盒子有十二个。"),
        ("他有一只猫。", "他有猫。"),
        ("他是不是骑士？", "他是否是骑士？"),
        ("无论谁来都行。", "谁来都行的。"),
        ("他非常高。", "他特别高。"),
        ("颜色不同。", "颜色各异。"),
        ("别人先到。", "他人先到。"),
        ("他们自己走。", "他们独自走。"),
    ],
)
def test_what_may_change(before: str, after: str) -> None:
    assert causes(before, after) == []


def with_options(*options: str) -> Entry:
    return Entry("题目。", [QuestionItem("选哪个？", list(options), None, "A")], "p")


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        (("青色", "蓝色", "绿色"), ("蓝色", "蓝色", "绿色"), "options_collapsed"),
        (("蓝色", "蓝色", "绿色"), ("青色", "蓝色", "绿色"), "options_split"),
        (("去公园", "去学校", "去医院"), ("去学校", "去医院", "去公园"), "options_reordered"),
        (("是", "否"), ("否", "是"), "options_reordered"),
        (("是", "否"), ("是的，长官。", "否"), "length_ratio"),
        (("是", "否"), ("是", "否", "不知道"), "option_count"),
    ],
)
def test_options(before: tuple[str, ...], after: tuple[str, ...], cause: str) -> None:
    assert cause in compare(with_options(*before), with_options(*after), **BOUNDS)
    assert compare(with_options(*before), with_options(*before), **BOUNDS) == []


def test_options_that_were_equal_may_stay_so() -> None:
    assert compare(with_options("火车", "火车 ", "船"), with_options("列车", "列车", "船"), **BOUNDS) == []


def test_options_in_new_words_but_the_old_order_pass() -> None:
    before = ["乘火车去学校", "骑自行车去学校", "走路去学校"]
    assert not reordered(before, ["坐火车到学校", "骑单车到学校", "步行到学校"])
    assert reordered(before, ["骑单车到学校", "步行到学校", "坐火车到学校"])
    assert not reordered([], [])


def test_answers_questions_and_reasonings_must_stay() -> None:
    for change in (
        lambda e: setattr(e.questions[0], "answer", "B"),
        lambda e: setattr(e.questions[0], "reasoning", None),
    ):
        after = entry()
        change(after)
        assert compare(entry(), after, **BOUNDS) == ["answer_changed"]
    after = entry()
    after.questions.append(after.questions[0])
    assert compare(entry(), after, **BOUNDS) == ["question_count"]
    after = entry()
    after.questions[0].reasoning = "看第二句。\n答案是：A"
    assert compare(entry(), after, **BOUNDS) == ["number_changed"]


def test_bounds_are_inclusive_and_hold_for_every_field() -> None:
    assert compare(with_options("是", "否"), with_options("是的", "否"), **BOUNDS) == []
    assert compare(with_options("是", "否"), with_options("是的啊", "否"), **BOUNDS) == ["length_ratio"]


def test_causes_come_in_a_fixed_order() -> None:
    assert causes("Ann 不买 3 个。", "Bob 买 4 个。") == [
        "names_changed",
        "number_changed",
        "negation_changed",
    ]


@pytest.mark.parametrize(
    ("text", "names", "numbers"),
    [
        ("Ｔｏｍ 和 b1 走到 lg*，x_1 = 3", ["Tom", "b1", "lg", "x_1"], ["3"]),
        ("甲、乙和丁自己吃布丁", ["甲", "乙", "丁"], []),
        ("张三有三个三明治", ["张三"], ["3"]),
        ("一起、一些、一定、唯一", [], []),
        ("第一、周一、一月、十一月、三分之一", [], ["1", "1", "1", "11", "3", "1"]),
        ("十分高，十分钟", [], ["10"]),
        ("5-3 和 [-3]、(2)-1", [], ["5", "3", "-3", "2", "1"]),
        ("01 与 1", [], ["01", "1"]),
    ],
)
def test_signs(text: str, names: list[str], numbers: list[str]) -> None:
    assert signs(text) == (names, numbers)


@pytest.mark.parametrize(
    ("numeral", "value"),
    [("两", 2), ("十", 10), ("二十三", 23), ("一百零五", 105), ("三万", 30000), ("一千二百万零三", 12000003),
     ("二〇二六", 2026), ("一亿", 10**8), ("百", 100), ("十万", 100000)],
)  # fmt: skip
def test_chinese_numbers(numeral: str, value: int) -> None:
    assert chinese_number(numeral) == value


@pytest.mark.parametrize(
    ("text", "count"),
    [("没有", 1), ("不是没有", 2), ("是不是", 0), ("能不能、有没有、是否", 0), ("无论如何", 0), ("否则", 1),
     ("不得不", 0), ("未知", 1), ("未来", 0), ("不存在不同的", 2), ("类别与性别", 0)],
)  # fmt: skip
def test_negations(text: str, count: int) -> None:
    assert negations(text) == count


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("甲比乙高。", "甲比乙矮。"),
        ("a 大于 b", "a 小于 b"),
        ("所有鸟都会飞。", "有些鸟会飞。"),
        ("必须带伞。", "可以带伞。"),
        ("甲和乙来了。", "甲或乙来了。"),
        ("左边是甲，右边是乙。", "右边是甲，左边是乙。"),
        ("如果下雨，就带伞。", "只有下雨，才带伞。"),
        ("小王把书借给小李。", "小王把书从小李借走。"),
        ("小王送给小李一本书。", "小王收到小李一本书。"),
        ("小王向小李借了十元。", "小王借给小李十元。"),
        ("小王给小李两个苹果。", "小王得到小李两个苹果。"),
        ("他还租出一间房。", "他还租来一间房。"),
    ],
)
def test_opposites(before: str, after: str) -> None:
    assert turned(before, after) and turned(after, before)
    assert "opposite_sense" in causes(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("甲比乙高。", "甲高于乙。"),
        ("a 大于 b", "a 超过 b"),
        ("必须带伞。", "要带伞。"),
        ("如果下雨，就带伞。", "假如下雨，就带伞。"),
        ("根据以上信息，回答以下选择题", "依据上述资料，解答下列选择题"),
        ("去除小气的人，添加真话", "移除吝啬的人，加入实话"),
        ("有大约三只老虎，多少都行", "约有三只老虎，几只都行"),
        ("小王送给小李一本书。", "小王赠送给小李一本书。"),
        ("小王借给小李十元。", "小王借出十元给小李。"),
        ("小王收到小李的信。", "小王接到小李的信。"),
        ("小王向小李借了十元。", "小王从小李那里借来十元。"),
        ("甲得到5分，给出理由", "甲获得5分，说出理由"),
    ],
)
def test_what_is_no_opposite(before: str, after: str) -> None:
    assert not turned(before, after) and not turned(after, before)


def test_things_that_recur_keep_their_order() -> None:
    def change(problem: str) -> list[str]:
        before = Entry(problem, [QuestionItem("火车快吗？汽车呢？", ["快", "慢"], None, "A")], "p")
        after = Entry("火车比汽车快。", before.questions, "p")
        return compare(before, after, **BOUNDS)

    assert change("火车比汽车快。") == []
    assert change("汽车比火车快。") == ["things_reordered", "words_reordered"]
    assert change("火车比轮船快。") == []


def test_lines_and_the_end_of_a_problem() -> None:
    assert causes("甲喜欢乙。\n丙也是。", "甲喜欢乙。丙也是。") == ["lines_lost"]
    assert causes("甲喜欢乙。\n\n丙也是。", "甲喜欢乙。\n丙也是！") == []
    assert causes("甲喜欢乙，丙也是。", "甲喜欢乙，丙也") == ["cut_off"]


def test_similarity_by_hand() -> None:
    assert similarity("是", "是的") == pytest.approx(0.4)
    assert similarity("公园", "公园") == 1
    assert similarity("公园", "学校") == 0


def test_mentions_follow_the_text_of_the_option_and_the_longest_one() -> None:
    item = QuestionItem("公共汽车快吗？", ["汽车", "公共汽车", "可以", "船"], None, "A")
    puzzle = Entry("公共汽车比汽车快，船可以开。", [item])
    assert list(things(puzzle)) == [(0, 0), (0, 1)]
    assert mentions(puzzle, things(puzzle)) == [[(0, 1), (0, 0)], [(0, 1)]]
    assert mentions(puzzle, []) == [[], []]


@pytest.mark.parametrize(
    ("problem", "about"),
    [
        ("有一个英文到法文的词汇表：cat -> chat。", True),
        ("请把句子译成德语。", True),
        ("the 对应 le。", False),
        ("约翰会说英语和法语。", False),
    ],
)
def test_problems_about_translation(problem: str, about: bool) -> None:
    assert is_about_translation(Entry(problem, [QuestionItem("哪个？", ["a", "b"])])) is about


# The shared flow


def from_texts(change: Callable[[str], str]) -> Callable[[Sequence[Draft]], Iterable[list[str]]]:
    return lambda drafts: ([change(text) for text in draft.texts] for draft in drafts)


def test_rewrite_keeps_counts_and_names_the_copies() -> None:
    entries = [
        entry(),
        Entry("翻译：cat", [QuestionItem("?", ["猫", "狗"], None, "A")], "q"),
        Entry("没有可改的。", [QuestionItem("?", ["猫", "狗"], None, "B")], "r"),
        Entry("有人喜欢三个。", [QuestionItem("?", ["猫", "狗"], None, "B")], "s"),
    ]
    entries[0].id = "p"
    rewriter = from_texts(
        lambda text: text.replace("喜欢", "喜爱").replace("三个", "四个" if "有人" in text else "三个")
    )
    copies, account = rewrite(entries, rewriter, copies=2, **BOUNDS)
    assert account.counts == {"kept": 1, "repeated": 1, "about_translation": 1, "unchanged": 2, "number_changed": 2}
    assert [copy.id for copy in copies] == ["p~1"]
    assert copies[0].problem == "甲喜爱乙，约翰有三个苹果。"
    assert copies[0].questions[0].reasoning == "看第一句。\n答案是：A"
    assert copies[0].questions[0].answer == "A"
    assert entries[0].problem == "甲喜欢乙，约翰有三个苹果。"


def test_the_answer_line_is_never_handed_over() -> None:
    texts = texts_of(entry())
    assert texts[-1] == "看第一句。"
    assert with_texts(entry(), [*texts[:-1], "先看首句。"], id="x").questions[0].reasoning == "先看首句。\n答案是：A"


def test_a_backend_with_another_number_of_texts_is_a_defect() -> None:
    with pytest.raises(ValueError, match="more texts"):
        rewrite([entry()], lambda drafts: [(*draft.texts, "x") for draft in drafts], copies=1, **BOUNDS)


words = st.text(alphabet="甲乙不三3 Tom\n。、", max_size=20)
items = st.builds(
    QuestionItem,
    question=words,
    options=st.lists(words, min_size=2, max_size=5),
    reasoning=st.none() | words | words.map(lambda text: f"{text}\n答案是：A"),
    answer=st.just("A"),
)
entries_ = st.builds(Entry, problem=words, questions=st.lists(items, max_size=3), id=st.just("p"))


@given(entries_)
def test_texts_can_be_taken_out_and_put_back(before: Entry) -> None:
    assert with_texts(before, texts_of(before), id="p") == before
    assert compare(before, deepcopy(before), **BOUNDS) == []


# The real problems


def test_no_guard_minds_the_real_problems_themselves() -> None:
    assert [e.id for e in real_entries() if compare(e, deepcopy(e), **BOUNDS)] == []


@pytest.mark.parametrize("source", ["real", "generated"])
def test_corruptions_are_caught_and_harmless_rewrites_pass(
    source: str, record_property: Callable[[str, object], None]
) -> None:
    entries = list(real_entries()) if source == "real" else puzzle_entries(80, "guards", "puzzle")
    for makers, count, drop, worst in ((CORRUPTIONS, 20, True, 0.01), (HARMLESS, 25, False, 0.05)):
        outcomes = measured(entries, makers, count, seed=7, drop=drop)
        made, wrong = (sum(counts) for counts in zip(*((o.made, len(o.wrong)) for o in outcomes.values()), strict=True))
        record_property("dropped" if drop else "kept", f"{made - wrong}/{made}")
        shown = {name: outcome.shown() for name, outcome in outcomes.items() if outcome.wrong}
        assert made >= (290 if source == "real" else 150)
        assert wrong <= worst * made, shown
