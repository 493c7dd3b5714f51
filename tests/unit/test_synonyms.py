"""Replacement by synonyms: whole words, everywhere or nowhere, and always to be undone."""

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from augen.entries import Entry, QuestionItem
from augen.rewriting import KEPT, Draft, rewrite, texts_of
from augen.rewriting.guards import compare
from augen.rewriting.signs import negations, signs
from augen.rewriting.synonyms import (
    DICTIONARY,
    Synonyms,
    choose,
    cuts,
    dictionary,
    is_invertible,
    stands_alone,
    substitute,
)
from tests.real import real_entries

BOUNDS = {"min_length_ratio": 0.5, "max_length_ratio": 2.0}
LOGIC = re.compile(
    "如果|假如|只要|除非|所有|因为|所以|必须|应该|可以|可能|能够|需要|等于|大于|小于|多于|少于|相同|一样|至少|至多"
    "|[只才都全每任某或且则若最都但仅均皆]|[父母兄弟姐妹爸妈爷奶叔姑舅姨孙妻]|[红黄蓝绿白黑紫灰]色?|[东南北左右]"
)
# Members that hold such a sign without its sense, or with it on both sides.
EXEMPT = set("都市 最大公约数 最大公因数 规则 准则 法则 以下规则 下列规则 西红柿 红薯 圆白菜 奶酪 母鸡".split())  # noqa: SIM905


def groups() -> list[list[str]]:
    lines = DICTIONARY.read_text(encoding="utf-8").splitlines()
    return [[member.removeprefix(">") for member in line.split("\t")] for line in lines if line and line[0] != "#"]


def test_the_dictionary_is_well_formed() -> None:
    assert len(groups()) >= 150
    for group in groups():
        assert len(group) == len(set(group)) >= 2, group
        assert all(len(word) >= 2 and word == word.strip() for word in group), group
        assert not any(a != b and a in b for a in group for b in group), group
    sources = [
        member
        for line in DICTIONARY.read_text(encoding="utf-8").splitlines()
        if line and line[0] != "#"
        for member in line.split("\t")
        if not member.startswith(">")
    ]
    assert [word for word, count in Counter(sources).items() if count > 1] == []
    assert set(dictionary()) == set(sources)


def test_the_dictionary_leaves_logic_names_and_numbers_alone() -> None:
    for group in groups():
        for word in group:
            assert signs(word) == ([], []), word
            assert negations(word) == 0, word
            assert word in EXEMPT or not LOGIC.search(word), word


def puzzle() -> Entry:
    return Entry(
        "甲喜欢苹果。喜欢苹果的人都不喜欢香蕉。每个学生只有一位朋友。",
        [QuestionItem("谁喜欢苹果？", ["甲", "学生", "朋友"], "甲喜欢苹果。\n答案是：A", "A", "solver")],
        "p",
    )


def rewritten(entry: Entry, *, rate: float = 1.0, seed: int = 1) -> Entry:
    copies, _ = rewrite([entry], Synonyms(rate=rate, seed=seed), copies=1, **BOUNDS)
    return copies[0]


def test_a_word_changes_everywhere() -> None:
    assert rewritten(puzzle()) == Entry(
        "甲喜爱苹果。喜爱苹果的人都不喜爱香蕉。每个学员只有一位友人。",
        [QuestionItem("谁喜爱苹果？", ["甲", "学员", "友人"], "甲喜爱苹果。\n答案是：A", "A", "solver")],
        "p~1",
    )


def words_in(*texts: str) -> set[str]:
    """The words of the dictionary that may be replaced in `texts`."""
    return set(choose(texts, dictionary(), 1.0, random.Random(0)))


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        (["甲喜欢乙，乙喜爱丙"], {"喜欢", "喜爱"}),  # two words must not become one
        (["甲喜欢乙", "喜爱"], {"喜欢", "喜爱"}),  # not even across fields
        (["填入“喜欢”或别的词", "甲喜欢乙"], {"喜欢"}),  # spoken of as a word
        (["运行 `删除` 指令", "删除甲"], {"删除"}),
        (["火车站在左边，乘火车"], {"火车"}),  # part of a longer word, here or there
    ],
)
def test_words_that_must_stay(texts: list[str], kept: set[str]) -> None:
    assert not words_in(*texts) & kept


def test_what_stands_alone() -> None:
    def alone(text: str, word: str) -> bool:
        return stands_alone([(text, cuts(text))], word)

    assert alone("他出发了", "出发")
    assert not alone("他走了", "出发")
    assert not alone("他说“出发”", "出发")
    assert not alone("发生活动", "生活")
    assert alone("回答以下选择题", "回答以下选择题")  # several words at once


def test_a_third_synonym_is_taken_where_the_second_is_present() -> None:
    assert choose(["甲嫉妒乙，丙妒忌丁"], {"嫉妒": ("妒忌", "忌妒")}, 1.0, random.Random(0)) == {"嫉妒": "忌妒"}


@pytest.mark.parametrize(
    ("texts", "mapping", "invertible"),
    [
        (["甲乙丙"], {"甲": "丁"}, True),
        (["甲乙丙"], {"甲": "乙"}, False),  # there already
        (["甲乙丙"], {"甲": "丁", "乙": "丁"}, False),  # two become one
        (["甲乙丙"], {"甲": "丁戊", "乙": "己"}, True),
        (["甲戊"], {"甲": "丁"}, True),
        (["丁甲"], {"甲": "戊", "丁": "己"}, True),
        (["戊甲甲"], {"甲": "甲丁"}, False),  # the old word would remain
        (["甲己"], {"甲": "戊", "乙": "戊己"}, False),  # undone, 戊己 would become 乙
    ],
)
def test_invertible(texts: list[str], mapping: dict[str, str], invertible: bool) -> None:
    assert is_invertible(texts, mapping) is invertible


def test_rate_and_seed() -> None:
    texts = ("甲喜欢乙。到达城市的学生讨厌火车，害怕医生，出发的顺序和数量。",)
    sizes = {rate: len(Synonyms(rate=rate, seed=1).mapping(Draft("p~1", texts))) for rate in (0, 0.01, 0.5, 1.0)}
    assert sizes == {0: 0, 0.01: 1, 0.5: 6, 1.0: 11}
    of = [Synonyms(rate=0.5, seed=seed).mapping(Draft(id, texts)) for seed in (1, 2) for id in ("p~1", "p~2")]
    assert len({tuple(sorted(mapping.items())) for mapping in of}) == 4


def test_a_copy_does_not_depend_on_the_others() -> None:
    draft, other = Draft("p~1", texts_of(puzzle())), Draft("q~1", ("到达城市",))
    backend = Synonyms(rate=0.5, seed=3)
    assert list(backend([other, draft]))[1:] == list(backend([draft]))


def test_nothing_to_replace_is_counted() -> None:
    entry = Entry("甲高于乙。", [QuestionItem("谁高？", ["甲", "乙"], None, "A")], "p")
    copies, account = rewrite([entry], Synonyms(rate=1.0, seed=1), copies=2, **BOUNDS)
    assert (copies, account.counts) == ([], {"unchanged": 2})


pieces = st.sampled_from([*sorted(dictionary()), *"甲乙不都有在的，。“”", "选择题", "生", "Tom", "3"])
texts_ = st.lists(st.lists(pieces, max_size=12).map("".join), min_size=1, max_size=5)


@example(["测试题考试"], 0, 1.0)  # of which one new word is a part of the other
@given(texts_, st.integers(0, 5), st.floats(0, 1))
def test_putting_the_old_words_back_restores_the_texts(texts: list[str], seed: int, rate: float) -> None:
    mapping = choose(texts, dictionary(), rate, random.Random(seed))
    replaced = substitute(texts, mapping)
    inverse = {new: old for old, new in mapping.items()}
    assert substitute(replaced, inverse) == texts
    for old, new in mapping.items():
        others = [*texts, *(word for word in inverse if word != new)]
        if not any(new in other for other in others):  # as a part of a longer word
            assert sum(text.count(old) for text in texts) == sum(text.count(new) for text in replaced)
        assert not any(old in text for text in replaced)


FORMS = ("所有{0}都是{1}。", "没有{0}是{1}。", "有些{0}是{1}。", "如果{0}，就不{1}。", "{0}的都{1}。")
TERMS = tuple(sorted(dictionary()))


@given(
    st.lists(st.tuples(st.sampled_from(FORMS), st.sampled_from(TERMS), st.sampled_from(TERMS)), min_size=2, max_size=5),
    st.integers(0, 5),
)
def test_a_syllogism_stays_a_syllogism(sentences: list[tuple[str, str, str]], seed: int) -> None:
    """The same forms, filled with terms that are equal where they were equal and differ where they differed."""

    def filled(name: Mapping[str, str]) -> str:
        return "".join(form.format(name[a], name[b]) for form, a, b in sentences)

    terms = {term: term for _, a, b in sentences for term in (a, b)}
    options = [sentences[0][1], sentences[-1][2]]
    before = [filled(terms), f"{options[0]}是{options[1]}吗？", *options]
    assume(all(stands_alone([(text, cuts(text)) for text in before], term) for term in terms))
    mapping = choose(before, dictionary(), 1.0, random.Random(seed))
    after = substitute(before, mapping)
    renamed = {term: substitute([term], mapping)[0] for term in terms}
    assert len(set(renamed.values())) == len(terms)
    assert after[0] == filled(renamed)
    assert after[2:] == [renamed[option] for option in options]


def test_few_copies_of_real_problems_are_dropped(record_property: Callable[[str, object], None]) -> None:
    entries = real_entries()[::3]
    copies, account = rewrite(entries, Synonyms(rate=1.0, seed=42), copies=1, **BOUNDS)
    counts = account.counts
    record_property("counts", dict(counts))
    dropped = counts.total() - counts[KEPT] - counts["about_translation"] - counts["unchanged"]
    assert dropped <= 0.05 * len(entries), counts
    assert counts["unchanged"] <= 0.05 * len(entries), counts
    by_id = {entry.id: entry for entry in entries}
    assert not any(compare(copy, by_id[copy.id.split("~")[0]], **BOUNDS) for copy in copies)
