"""Options in another order: letters move along or the question stays, and every shuffle can be undone."""

from collections import Counter
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from random import Random
from time import process_time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from augen.answers import parse_answer
from augen.answers.shuffling import drawn_order, map_letters, shuffled, shuffled_entries
from augen.core.files import write_json
from augen.entries import Entry, QuestionItem
from augen.entries.jsonl import write_jsonl
from augen.entries.pickles import dump_pickle, load_pickle
from augen.entries.reasoned import FILES
from stages import filter as stage
from tests.params import write_params

SWAP = {"A": "B", "B": "A"}
PLAIN = "谁最高？\n甲\n乙"
WITH_NAMES = "A在B左边，C在D左边。谁在左边？"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("所以选B。\n答案是：B", "所以选A。\n答案是：A"),
        ("A和B都错", "B和A都错"),
        ("选项A、B，（Ａ）和**B**", "选项B、A，（Ｂ）和**A**"),
        ("A: 甲\nB: 乙\n正确的是 B。", "B: 甲\nA: 乙\n正确的是 A。"),
        (r"\boxed{A}，\boxed{\text{B}}", r"\boxed{B}，\boxed{\text{A}}"),
        ("C是什么都行，Bob和b1、AI也是", "C是什么都行，Bob和b1、AI也是"),
        ("排除A，B选项正确", "排除B，A选项正确"),
    ],
)
def test_letters_that_move(text: str, expected: str) -> None:
    assert map_letters(text, SWAP, PLAIN) == expected
    assert map_letters(expected, SWAP, PLAIN) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("看左边。选项A不对，答案是：B", "看左边。选项B不对，答案是：A"),
        ("所以A、B选项都错", "所以B、A选项都错"),
        ("(A) 甲\n(B) 乙", "(B) 甲\n(A) 乙"),
        ("E在左边，选A", "E在左边，选B"),
        (r"选A\text{B}", r"选B\text{A}"),
        (r"**A** **选项 \(B", r"**B** **选项 \(A"),
        ("A)) 甲\nB * : 乙", "B)) 甲\nA * : 乙"),
    ],
)
def test_letters_that_move_where_the_puzzle_has_names(text: str, expected: str) -> None:
    assert map_letters(text, SWAP, WITH_NAMES) == expected


# What an author may repeat without end, such as the blanks of a table or of a line that is filled up.
@pytest.mark.parametrize("filling", [" ", "\t", "*", "* ", "$", "\\", "”", "boxed{"])
@pytest.mark.parametrize(
    ("before", "behind"),
    [("排除A", "x，选B。"), ("| 选项A", "| 甲不是 |\n答案是：B"), ("\nA", "x，选B。"), ("A", "B错，选B。")],
)
def test_long_runs_take_no_time(before: str, behind: str, filling: str) -> None:
    long, few = (f"{before}{filling * n}{behind}" for n in (10_000, 3))
    start = process_time()
    mapped = map_letters(long, SWAP, PLAIN)
    assert process_time() - start < 1
    assert mapped and mapped.replace(filling * 10_000, filling * 3) == map_letters(few, SWAP, PLAIN)


@pytest.mark.parametrize("text", ["A在B左边，选B", "最左边的是A", "A 是正确的", "AB都对", "\nA 在左边"])
def test_letters_that_may_be_names(text: str) -> None:
    assert map_letters(text, SWAP, WITH_NAMES) is None


@pytest.mark.parametrize(
    "text",
    [
        "设A为甲的身高，选B",
        "A=3，选B",
        "A>B，选A",
        "A点到B点",
        "第二个选项对，选B",
        "前者对，选A",
        "AB都错",
        "选b",
        "选项2对",
    ],
)
def test_texts_that_are_not_certain(text: str) -> None:
    assert map_letters(text, SWAP, PLAIN) is None


def question(*options: str, reasoning: str | None = "看第一句。\n所以选B。\n答案是：B") -> QuestionItem:
    return QuestionItem("谁最高？", list(options), reasoning, "B", "solver")


def test_a_question_by_hand() -> None:
    assert shuffled("甲比乙矮。", question("甲", "乙", "丙"), (2, 0, 1)) == QuestionItem(
        "谁最高？", ["丙", "甲", "乙"], "看第一句。\n所以选C。\n答案是：C", "C", "solver"
    )
    unsolved = shuffled("甲比乙矮。", question("甲", "乙", reasoning=None), (1, 0))
    assert unsolved == QuestionItem("谁最高？", ["乙", "甲"], None, "A", "solver")


@pytest.mark.parametrize(
    "option", ["以上都不对", "A和B", "A、C", "其余都错", "B", "两者皆可", "前两个", "没有一个选项对"]
)
def test_options_that_depend_on_their_place(option: str) -> None:
    assert shuffled("甲比乙矮。", question("甲", "乙", option), (2, 0, 1)) == "position"


def test_a_reasoning_whose_answer_would_be_another_stays() -> None:
    assert shuffled("甲比乙矮。", question("甲", "乙", reasoning="设A为甲。\n答案是：B"), (1, 0)) == "letters"


PIECES = "选项A|A|B|C|D|和|、|都错|所以选B|\n|A: |甲|设|。|答案是：C|(D)|=|Ｂ|AB|第二个选项|Bob|，"
pieces = st.sampled_from(PIECES.split("|"))
texts = st.lists(pieces, max_size=12).map("".join)


@given(texts, st.permutations("ABCD"), st.sampled_from([PLAIN, WITH_NAMES]))
def test_mapping_back_restores_the_text(text: str, targets: list[str], puzzle: str) -> None:
    letters = dict(zip("ABCD", targets, strict=True))
    mapped = map_letters(text, letters, puzzle)
    assume(mapped is not None)
    assert map_letters(mapped or "", {new: old for old, new in letters.items()}, puzzle) == text


@given(texts, st.sampled_from("ABCD"), st.permutations(range(4)))
def test_shuffling_back_restores_the_question(steps: str, answer: str, order: list[int]) -> None:
    item = QuestionItem("谁？", ["甲", "乙", "丙", "丁"], f"{steps}\n答案是：{answer}", answer, "a model")
    new = shuffled("题目。", item, order)
    assume(isinstance(new, QuestionItem))
    assert isinstance(new, QuestionItem) and new.answer and item.answer
    assert new.options[ord(new.answer) - 65] == item.options[ord(item.answer) - 65]
    assert parse_answer(new.reasoning, 4) == new.answer
    assert shuffled("题目。", new, [order.index(i) for i in range(4)]) == item


@given(st.integers(2, 5), st.integers(0, 50))
def test_a_drawn_order_is_another_order(options: int, seed: int) -> None:
    order = drawn_order(options, Random(seed))
    assert order in set(permutations(range(options))) - {tuple(range(options))}


def test_copies_of_entries() -> None:
    entries = [
        Entry("甲比乙矮。", [question("甲", "乙", "丙"), question("甲", "乙", "以上都不对")], "p"),
        Entry("A在左边。", [question("甲", "乙", reasoning="A在左边。\n答案是：B")], "q~1"),
    ]
    counts = Counter[str]()
    made = list(shuffled_entries(entries, 2, 1, counts))
    assert counts == {"shuffled": 2, "position": 2, "letters": 2}
    assert [(entry.id, len(entry.questions)) for entry in made] == [("p~s1", 1), ("p~s2", 1)]
    assert list(shuffled_entries(entries[::-1], 2, 1, Counter())) == made
    nothing = Counter[str]()
    assert list(shuffled_entries(entries, 0, 1, nothing)) == [] and not nothing
    assert entries[0].questions[0] == question("甲", "乙", "丙")


def test_copies_leave_an_author_with_as_many_right_as_wrong_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage itself: the right answer explained by a teacher, a wrong and a right text sampled from one pupil."""
    item = QuestionItem("谁最高？", ["甲", "乙"], "甲比乙高。\n答案是：A", "A", "teacher")
    wrong = replace(item, reasoning="乙最高。\n答案是：B", answer="B", author="pupil")
    own = replace(item, reasoning="高的是甲。\n答案是：A", author="pupil")
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path / "params.yaml", {"filter.shuffled": 1})
    other = Entry("丙在丁左边，丁在戊左边。", [QuestionItem("谁在最左边？", ["丙", "丁", "戊"], answer="A")], "other")
    for path in ("data/dev.jsonl", "data/votes.jsonl", "data/raw/test.jsonl"):
        write_jsonl(path, [other])
    write_json("reports/translate.json", {"counts": {}, "examples": {}})
    for name, found in (("entries", item), ("entries_false", wrong), ("entries_own", own)):
        dump_pickle(f"data/reasoned/{name}.pkl", [Entry("甲比乙高。", [found], "p")])
    for name in ("entries_aug", "entries_aug_false"):
        dump_pickle(f"data/reasoned/{name}.pkl", [])
    stage.main()
    authors = {
        name: Counter(i.author for e in load_pickle(f"data/filtered/{name}.pkl") for i in e.questions) for name in FILES
    }
    assert authors["entries_false"] + authors["entries_aug_false"] == Counter(pupil=2)
    assert authors["entries_own"] == Counter(pupil=2)
    assert authors["entries"] + authors["entries_aug"] == Counter(teacher=2)
