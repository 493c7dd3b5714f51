"""Packing: nothing over the limit, nothing lost, nothing moved."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augen.rewriting.packing import Packer, is_blank, parts

texts = st.text(st.sampled_from("甲乙 \n。，.;A9”"), max_size=60)
limits = st.integers(1, 25)


def packed(given: list[str], limit: int) -> list[list[str]]:
    packer = Packer[str](limit)
    full = [packer.add(text, len(text)) for text in given]
    return [pack for pack in (*full, packer.rest()) if pack]


@settings(max_examples=300, deadline=None)
@given(text=texts, limit=limits)
def test_parts_are_within_the_limit_and_join_to_the_text(text: str, limit: int) -> None:
    cut = parts(text, limit)
    assert "".join(cut) == text
    assert all(0 < len(part) <= limit for part in cut)
    assert all(is_blank(part) or part == part.strip() for part in cut)


@settings(max_examples=300, deadline=None)
@given(given_texts=st.lists(texts, max_size=30), limit=st.integers(60, 200))
def test_packs_are_within_the_limit_and_hold_all_texts_in_order(given_texts: list[str], limit: int) -> None:
    packs = packed(given_texts, limit)
    assert [text for one in packs for text in one] == given_texts
    assert all(one and sum(map(len, one)) <= limit for one in packs)


@settings(max_examples=100, deadline=None)
@given(given_texts=st.lists(texts.filter(bool), min_size=2, max_size=30), limit=st.integers(60, 200))
def test_no_pack_could_have_taken_the_next_text(given_texts: list[str], limit: int) -> None:
    packs = packed(given_texts, limit)
    for one, following in pairwise(packs):
        assert sum(map(len, one)) + len(following[0]) > limit


def test_a_long_text_is_cut_at_sentence_ends() -> None:
    assert parts("甲比乙高。乙比丙高！谁最高？", 6) == ["甲比乙高。", "乙比丙高！", "谁最高？"]


def test_without_a_sentence_end_it_is_cut_at_a_comma_then_at_space_then_anywhere() -> None:
    assert parts("甲高，乙矮，丙中", 6) == ["甲高，乙矮，", "丙中"]
    assert parts("abc defgh", 5) == ["abc", " ", "defgh"]
    assert parts("甲乙丙丁戊", 2) == ["甲乙", "丙丁", "戊"]


def test_a_number_is_not_a_sentence_end() -> None:
    assert parts("价格为3.5元钱", 7) == ["价格为3.5元", "钱"]


def test_outer_white_space_is_kept_apart() -> None:
    assert parts(" 甲\n乙\n", 10) == [" ", "甲\n乙", "\n"]
    assert parts("", 10) == []


def test_an_item_that_fits_into_no_pack_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Packer[str](5).add("甲乙丙丁戊己", 6)
