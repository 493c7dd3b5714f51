"""The filter: every cause alone, each switch on and off, and near-duplicates against brute force."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.core.errors import AugenError
from augen.core.files import read_json, write_json
from augen.core.params import Drop
from augen.entries import Entry, QuestionItem
from augen.entries.jsonl import read_jsonl, write_jsonl
from augen.entries.pickles import dump_pickle
from augen.entries.reasoned import FILES
from augen.filtering.causes import (
    CAUSES,
    FilterAccount,
    Rules,
    Seen,
    authors_by_question,
    filter_entries,
    find_hint,
    question_text,
    right_answers,
)
from augen.filtering.near_duplicates import NearDuplicates, jaccard, ngrams
from stages import filter as stage
from tests.params import write_params

PROBLEM = "三个人比身高：甲比乙高，乙比丙高，丙比丁高，而戊比他们四个人都高。"
RIGHT = "甲比乙高，乙比丙高。\n所以甲最高。\n答案是：A"


def entry(reasoning: str | None = RIGHT, answer: str = "A", *, id: str = "p", problem: str = PROBLEM) -> Entry:
    item = QuestionItem("四个人里谁最高？", ["甲", "乙", "丙", "丁"], reasoning, answer, "solver")
    return Entry(problem, [item], id)


def run(*entries: Entry, **settings: object) -> tuple[list[Entry], FilterAccount]:
    rules: dict[str, object] = {"max_chars": 2000, "drop": set(CAUSES), "held_out": None}
    rules |= {name: settings.pop(name) for name in rules.keys() & settings.keys()}
    account = FilterAccount()
    return list(filter_entries(entries, Rules(**rules), account, **settings)), account  # type: ignore[arg-type]


def causes(*entries: Entry, **settings: object) -> dict[str, int]:
    return dict(run(*entries, **settings)[1].dropped)


def test_what_is_good_stays_as_it_is() -> None:
    assert run(entry()) == ([entry()], FilterAccount(questions=1, kept=1))


@pytest.mark.parametrize(
    ("reasoning", "cause"),
    [
        (None, "no_reasoning"),
        (" \n", "no_reasoning"),
        ("甲最高。", "no_answer"),
        ("甲最高。\n答案是：E", "no_answer"),
        ("丙最高。\n答案是：C", "other_answer"),
        ("根据给定的答案，甲最高。\n答案是：A", "leaks_hint"),
    ],
)
def test_faults_of_a_reasoning(reasoning: str | None, cause: str) -> None:
    assert causes(entry(reasoning)) == {cause: 1}


@pytest.mark.parametrize(
    "phrase",
    [
        "根据给定的答案", "题目给出的答案是甲", "题目已经给出了正确答案", "已知答案是A",
        "正确答案已经给出", "既然答案是B，那么", "因为正确答案是甲", "按照参考答案",
        "标准答案为A", "答案已给出", "根据提供的正确答案", "为什么答案是A呢",
    ],
)  # fmt: skip
def test_phrases_that_give_the_hint_away(phrase: str) -> None:
    reasoning = f"我们来看。{phrase}，所以甲最高。\n答案是：A"
    assert find_hint(reasoning) is not None
    assert causes(entry(reasoning)) == {"leaks_hint": 1}
    assert causes(entry(reasoning), drop=set(CAUSES) - {"leaks_hint"}) == {}


@pytest.mark.parametrize(
    "reasoning",
    [
        RIGHT,
        "题目给出的条件是甲高。因此正确答案是A。\n答案是：A",
        "已知甲高，所以答案为A。\n答案是：A",
        "给定列表[1]。\n答案是：A",
    ],
)
def test_phrases_that_do_not(reasoning: str) -> None:
    assert find_hint(reasoning) is None
    assert causes(entry(reasoning)) == {}


def test_wrong_reasonings_must_end_in_the_wrong_letter_asked_for() -> None:
    right = right_answers([entry()])
    wrong = "丙比甲高。\n答案是：C"
    assert causes(entry(wrong, "C"), right=right) == {}
    assert causes(entry(wrong, "B"), right=right) == {"other_answer": 1}
    assert causes(entry(RIGHT, "A"), right=right) == {"right_answer": 1}
    assert causes(entry(RIGHT, "A")) == {}


def test_a_wrong_reasoning_for_an_unknown_question_is_named() -> None:
    with pytest.raises(AugenError, match=r"q#1: .*dvc repro"):
        run(entry("丙。\n答案是：C", "C", id="q"), right=right_answers([entry()]))


def test_right_answers_are_found_whatever_the_position() -> None:
    both = entry()
    other = QuestionItem("谁最矮？", ["甲", "丁"], None, "B")
    both.questions.append(other)
    alone = Entry(PROBLEM, [replace(other, reasoning="甲最矮。\n答案是：A", answer="A")], "p")
    assert causes(alone, right=right_answers([both])) == {}


def test_collapsed_options() -> None:
    twice = entry()
    twice.questions[0].options[2] = " 乙"
    assert causes(twice) == {"collapsed_options": 1}


def test_too_long_counts_problem_question_options_and_reasoning() -> None:
    item = entry().questions[0]
    chars = len(question_text(PROBLEM, item)) + len(RIGHT)
    assert causes(entry(), max_chars=chars) == {}
    assert causes(entry(), max_chars=chars - 1) == {"too_long": 1}


def test_repetitions() -> None:
    same_row, copy = entry(id="p"), entry(id="p~1", problem="另一种说法：" + PROBLEM)
    other_problem = entry(id="q", problem="别的题目。")
    assert causes(entry(), same_row) == {"repeated": 1}
    assert causes(entry(), copy) == {}
    assert causes(entry(), other_problem) == {"repeated": 1}
    assert causes(entry(), entry(RIGHT.replace("所以", "因此"))) == {}


def test_own_right_samples_make_the_wrong_ones_even() -> None:
    question = entry().questions[0]
    wrong = entry("丙比甲高。\n答案是：C", "C")
    assert causes(entry(), unpaired=authors_by_question([wrong])) == {}
    assert causes(entry(), unpaired=authors_by_question([wrong]) - authors_by_question([entry()])) == {"unbalanced": 1}
    assert causes(entry(), unpaired=authors_by_question([])) == {"unbalanced": 1}
    other = Entry(PROBLEM, [replace(question, author="another", reasoning=wrong.questions[0].reasoning)], "p")
    assert causes(entry(), unpaired=authors_by_question([other])) == {"unbalanced": 1}
    assert authors_by_question([entry(None)]) == set()


FAULTY = {
    "no_reasoning": entry(None),
    "no_answer": entry("甲最高。"),
    "other_answer": entry("丙最高。\n答案是：C"),
    "right_answer": entry(),
    "leaks_hint": entry("根据给定的答案，甲最高。\n答案是：A"),
    "collapsed_options": Entry(
        PROBLEM, [replace(entry().questions[0], options=["甲", "乙", "乙", "丁"], reasoning="看。\n答案是：A")], "p"
    ),
    "too_long": entry("甲高。" * 1000 + "\n答案是：A"),
    "near_duplicate": entry("看。\n答案是：A"),
    "repeated": entry(),
    "unbalanced": entry(),
}


def faulty(cause: str, drop: set[str]) -> dict[str, int]:
    """What is dropped of entries with no fault but `cause`."""
    one = FAULTY[cause]
    settings: dict[str, object] = {"drop": drop}
    match cause:
        case "right_answer":
            settings["right"] = right_answers([entry()])
        case "near_duplicate":
            settings["held_out"] = near({"dev#1": question_text(PROBLEM, one.questions[0])})
        case "unbalanced":
            settings["unpaired"] = set()
    return causes(*[one] * (2 if cause == "repeated" else 1), **settings)


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_has_a_switch(cause: str) -> None:
    assert faulty(cause, set(CAUSES)) == {cause: 1}
    assert faulty(cause, {cause}) == {cause: 1}
    assert faulty(cause, set(CAUSES) - {cause}) == {}


def test_the_switches_in_params_are_the_causes() -> None:
    assert tuple(Drop.model_fields) == CAUSES


def test_questions_without_reasoning_are_no_repetitions_of_each_other() -> None:
    assert causes(entry(None), entry(None, id="q"), drop={"repeated"}) == {}


def test_what_an_earlier_file_had_is_a_repetition() -> None:
    seen = Seen()
    assert causes(entry(), seen=seen) == {}
    assert causes(entry(id="p~1"), entry(id="p~1", problem="另一种说法：" + PROBLEM), seen=seen) == {"repeated": 1}


def test_a_dropped_reasoning_makes_no_later_one_a_repetition() -> None:
    long = entry(id="long", problem=PROBLEM * 100)
    assert causes(long, entry(id="q")) == {"too_long": 1}


def test_entries_keep_their_other_questions_and_vanish_without_any() -> None:
    two = entry()
    two.questions.append(QuestionItem("谁最矮？", ["甲", "丁"], None, "B"))
    kept, report = run(two, entry(None, id="q"))
    assert kept == [entry()]
    assert len(two.questions) == 2
    assert report.as_dict() == {
        "questions": 3,
        "kept": 1,
        "dropped": {"no_reasoning": 2},
        "programs": 0,
        "examples": {"no_reasoning": {"question": "p#2", "detail": "no text"}},
    }


PROGRAM = 'over("甲","乙"). answer(X) :- over(X,_).'


def programmed(reasoning: str | None, **changes: str) -> Entry:
    made = entry(reasoning, **changes)
    made.questions[0].program = PROGRAM
    return made


@pytest.mark.parametrize(
    "reasoning", [None, "甲最高。", "甲最高。\n答案是：B", "正确答案已经给出。\n答案是：A", "长" * 3000]
)
def test_a_question_keeps_its_program_when_its_reasoning_is_dropped(reasoning: str | None) -> None:
    [kept], report = run(programmed(reasoning))
    assert kept.questions == [replace(programmed(None).questions[0], author=None)]
    assert (report.kept, report.dropped.total(), report.programs) == (0, 1, 1)
    assert run(entry(reasoning))[0] == [], "without a program nothing is left"


def test_a_program_goes_with_its_question() -> None:
    text = question_text(PROBLEM, entry().questions[0])
    for reasoning in (RIGHT, None):
        assert run(programmed(reasoning), held_out=near({"dev#1": text}))[0] == []
        assert run(programmed(reasoning, problem="长" * 3000))[0] == []
    kept, report = run(programmed(RIGHT), programmed(RIGHT), programmed(None), programmed(None, id="q"))
    assert kept == [programmed(RIGHT)], "the same row and the same program, of the same problem and of another"
    assert (report.kept, report.programs, dict(report.dropped)) == (1, 0, {"repeated": 1, "no_reasoning": 2})
    assert len(run(programmed(None), programmed(None, id="p~1", problem=f"听说，{PROBLEM}"))[0]) == 2


def test_wrong_reasonings_and_a_generators_own_leave_no_program_behind() -> None:
    wrong = programmed("甲最高。", answer="B")
    assert run(wrong, right=right_answers([entry()]))[0] == []
    assert run(programmed(RIGHT), unpaired=set())[0] == []


def near(texts: dict[str, str], threshold: float = 0.9, ngram: int = 5) -> NearDuplicates:
    return NearDuplicates(list(texts.items()), ngram=ngram, threshold=threshold)


def test_near_duplicates_of_held_out_questions() -> None:
    text = question_text(PROBLEM, entry().questions[0])
    assert causes(entry(), held_out=near({"dev#1": text})) == {"near_duplicate": 1}
    assert causes(entry(), held_out=near({"dev#1": text.replace("甲", "己")})) == {}
    assert causes(entry(), held_out=near({"dev#1": text.replace("甲", "己")}, 0.5)) == {"near_duplicate": 1}
    assert causes(entry(), held_out=None) == {}
    assert causes(entry(), held_out=near({})) == {}


def test_similarity_by_hand() -> None:
    assert ngrams("甲 乙\n丙丁", 3) == {"甲乙丙", "乙丙丁"}
    assert ngrams("甲乙", 3) == {"甲乙"}
    assert ngrams(" ", 3) == set()
    assert jaccard({"a", "b", "c"}, {"b", "c", "d"}) == 0.5
    assert jaccard(set(), set()) == 0
    assert near({"x": "甲乙丙丁", "y": "甲乙丙戊"}, 0.3, 2).match("甲乙丙") == ("x", pytest.approx(2 / 3))


short = st.text(alphabet="甲乙丙", max_size=24)


@given(
    known=st.lists(short, max_size=6),
    text=short,
    threshold=st.sampled_from([0.1, 1 / 3, 0.5, 0.6, 0.7, 0.9, 1.0]),
    ngram=st.integers(1, 4),
)
def test_near_duplicates_equal_brute_force(known: list[str], text: str, threshold: float, ngram: int) -> None:
    texts = {f"t{i}": other for i, other in enumerate(known)}
    scored = [(-jaccard(ngrams(text, ngram), ngrams(other, ngram)), name) for name, other in texts.items()]
    expected = min([pair for pair in scored if -pair[0] >= threshold], default=None)
    found = near(texts, threshold, ngram).match(text)
    assert found == (None if expected is None else (expected[1], -expected[0]))


@pytest.mark.parametrize("held_out", ["data/dev.jsonl", "data/votes.jsonl", "data/raw/test.jsonl"])
def test_the_stage_trains_on_no_held_out_question(
    held_out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path / "params.yaml")
    other = Entry("丙在丁左边，丁在戊左边。", [QuestionItem("谁在最左边？", ["丙", "丁", "戊"], answer="A")], "other")
    for path in ("data/dev.jsonl", "data/votes.jsonl", "data/raw/test.jsonl"):
        write_jsonl(path, [entry(None, id="same") if path == held_out else other])
    write_json("reports/translate.json", {"counts": {}, "examples": {}})
    for name in FILES:
        dump_pickle(f"data/reasoned/{name}.pkl", [entry()] if name == "entries" else [])
    stage.main()
    assert read_json("reports/filter.json")["entries"]["dropped"] == {"near_duplicate": 1}


def test_the_votes_may_be_of_no_problem(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "votes.jsonl", [])
    assert read_jsonl(tmp_path / "votes.jsonl", answers="required", may_be_empty=True) == []
    with pytest.raises(AugenError, match="the file is empty"):
        read_jsonl(tmp_path / "votes.jsonl", answers="required")
