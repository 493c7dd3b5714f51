"""Labelled texts: what is in memory belongs to what is on the disk, and pairs are of one question."""

from collections import defaultdict
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.training.labelled import LabelledTexts


@dataclass(frozen=True)
class Text:
    problem_id: str
    question: str
    right: bool
    text: str = "甲"


Found = list[Text]
TEXTS = st.lists(
    st.builds(Text, st.sampled_from(["p", "p~1", "q"]), st.sampled_from("一二三"), st.booleans(), st.text())
)


@pytest.fixture(autouse=True, scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("labelled"))


def texts(found: Found) -> LabelledTexts[Text]:
    return LabelledTexts(Text, iter(found))


@given(TEXTS, st.data())
def test_labels_belong_to_the_texts(found: Found, data: st.DataObject) -> None:
    whole = texts(found)
    places = data.draw(st.lists(st.sampled_from(range(len(found))), unique=True) if found else st.just([]))
    for part, expected in (
        (whole, found),
        (whole.those(places), [found[place] for place in places]),
        (whole[1:], found[1:]),
    ):
        assert list(part) == expected and len(part) == len(expected)
        assert part.right.tolist() == [one.right for one in expected]
        assert part.origins == [one.problem_id.removesuffix("~1") for one in expected]
        assert part.digest() == texts(expected).digest()
        numbers = dict(zip((one.question for one in expected), part.questions, strict=True))
        assert part.questions.tolist() == [numbers[one.question] for one in expected]
        assert len(set(numbers.values())) == len(numbers)


@given(TEXTS)
def test_pairs_are_of_one_question_and_leave_none_out(found: Found) -> None:
    sides = defaultdict[str, tuple[list[int], list[int]]](lambda: ([], []))
    for place, one in enumerate(found):
        sides[one.question][not one.right].append(place)
    expected = [
        (right[number % len(right)], wrong[number % len(wrong)])
        for right, wrong in sides.values()
        if right and wrong
        for number in range(max(len(right), len(wrong)))
    ]
    assert texts(found).pairs().tolist() == [list(pair) for pair in expected]


def test_three_right_and_two_wrong_texts_make_three_pairs() -> None:
    found = [Text("p", "一", right) for right in (True, True, True, False, False)] + [Text("p", "二", True)]
    assert texts(found).pairs().tolist() == [[0, 3], [1, 4], [2, 3]]
    assert texts(found[:3]).pairs().shape == (0, 2)
