"""Reasoning for right and wrong answers, written by an engine that only pretends."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from augen.entries import Entry, QuestionItem, question_id
from augen.generation.base import Completion, Request
from augen.generation.served.failures import Failure
from augen.prompts.sections import explain_prompt, solve_prompt
from augen.reasoning.write import (
    Negatives,
    Wanted,
    Writer,
    chosen,
    explain_right,
    explain_wrong,
    missed,
    wrong_letters,
)
from tests.fakes import FakeEngine, FakeWindow, a_writer, sampler_of


def writer(**other: Any) -> Writer:
    return a_writer(**{"window": FakeWindow(), "author": "a model", **other})


def entry(*answers: str, id: str = "p", options: tuple[str, ...] = ("1", "2", "3", "4")) -> Entry:
    return Entry("题目。", [QuestionItem(f"问{i}？", list(options), answer=a) for i, a in enumerate(answers)], id)


def hinted(request: Request) -> str:
    """The letter that an explaining prompt gives away."""
    found = re.search("### 答案\n答案是：([A-Z])", request.prompt)
    assert found
    return found[1]


def obedient(request: Request) -> str:
    return f" 因为所以。\n答案是：{hinted(request)}\n"


def stubborn(*letters: str | None) -> Callable[[Request], str]:
    """Writes these answers one call after the other, the last one ever after; None writes none at all."""
    left = list(letters)

    def write(request: Request) -> str:
        letter = left.pop(0) if len(left) > 1 else left[0]
        return f"想一想。\n答案是：{letter}" if letter else "想一想。"

    return write


def right(
    entries: list[Entry], engine: FakeEngine, folder: Path, with_hint: bool = True, **settings: Any
) -> list[Entry]:
    with sampler_of(engine, folder) as sampler:
        return explain_right(entries, writer(**settings), sampler, with_hint)[0]


def wrong(entries: list[Entry], engine: FakeEngine, folder: Path, kind: Negatives, **settings: Any) -> list[Entry]:
    with sampler_of(engine, folder) as sampler:
        return explain_wrong(entries, writer(**settings), sampler, kind)[0]


# --- right


def test_the_right_answer_is_given_and_its_reasoning_kept(tmp_path: Path) -> None:
    engine = FakeEngine(obedient)
    [done] = right([entry("B", "C")], engine, tmp_path)
    assert [q.reasoning for q in done.questions] == ["因为所以。\n答案是：B", "因为所以。\n答案是：C"]
    assert [(q.answer, q.author) for q in done.questions] == [("B", "a model"), ("C", "a model")]
    item = entry("B").questions[0]
    request = next(r for r in engine.asked if "问0" in r.prompt)
    assert request.prompt == explain_prompt("解释。", "题目。", item, "B")
    assert (request.temperature, request.max_tokens, request.top_p, request.adapter) == (0.3, 64, 1.0, False)


def test_without_a_hint_the_question_is_solved_until_it_is_right(tmp_path: Path) -> None:
    engine = FakeEngine(stubborn("A", None, "B"))
    [done] = right([entry("B")], engine, tmp_path, with_hint=False, attempts=4)
    assert {r.prompt for r in engine.asked} == {solve_prompt("解答。", "题目。", entry("B").questions[0])}
    assert len(engine.asked) == 3
    assert (done.questions[0].reasoning, done.questions[0].answer) == ("想一想。\n答案是：B", "B")


@pytest.mark.parametrize("with_hint", [True, False])
def test_attempts_end_as_soon_as_a_text_is_accepted(with_hint: bool, tmp_path: Path) -> None:
    engine = FakeEngine(stubborn("A", "B"))
    [done] = right([entry("B")], engine, tmp_path, with_hint, attempts=5)
    assert len(engine.asked) == 2
    assert done.questions[0].reasoning == "想一想。\n答案是：B"


def test_only_open_questions_are_tried_again(tmp_path: Path) -> None:
    engine = FakeEngine(lambda r: obedient(r) if "问0" in r.prompt else "想一想。\n答案是：A")
    [done] = right([entry("B", "C")], engine, tmp_path, attempts=3)
    assert sorted("问0" in r.prompt for r in engine.asked) == [False, False, False, True]
    assert [bool(q.reasoning) for q in done.questions] == [True, False]


def test_each_attempt_has_its_own_seed(tmp_path: Path) -> None:
    engine = FakeEngine(stubborn("A"))
    right([entry("B", "C")], engine, tmp_path, attempts=3)
    assert len({r.seed for r in engine.asked}) == 6


def test_what_never_becomes_welcome_stays_without_reasoning(tmp_path: Path) -> None:
    [done] = right([entry("B")], FakeEngine(stubborn("A")), tmp_path)
    assert (done.questions[0].reasoning, done.questions[0].author, done.questions[0].answer) == (None, None, "B")


def test_a_text_without_an_answer_is_not_welcome(tmp_path: Path) -> None:
    engine = FakeEngine(stubborn(None, None, "B"))
    [done] = right([entry("B")], engine, tmp_path, attempts=3)
    assert len(engine.asked) == 3
    assert done.questions[0].reasoning == "想一想。\n答案是：B"


def test_an_existing_reasoning_is_kept_and_nothing_asked(tmp_path: Path) -> None:
    before = Entry("题目。", [QuestionItem("问？", ["1", "2"], "旧。\n答案是：A", "A", "solver")], "p")
    engine = FakeEngine(obedient)
    assert right([before], engine, tmp_path) == [before]
    assert engine.opened == 0


def test_a_question_without_answer_is_left_alone(tmp_path: Path) -> None:
    unanswered = Entry("题目。", [QuestionItem("问？", ["1", "2"])], "p")
    engine = FakeEngine(obedient)
    assert right([unanswered], engine, tmp_path) == [unanswered]
    assert wrong([unanswered], engine, tmp_path, "hinted") == [unanswered]
    assert engine.opened == 0


def test_prompts_are_wrapped(tmp_path: Path) -> None:
    engine = FakeEngine(obedient)
    right([entry("B")], engine, tmp_path, window=FakeWindow(before="<user>", after="<assistant>"))
    assert engine.asked[0].prompt.startswith("<user>解释。") and engine.asked[0].prompt.endswith("<assistant>")


def test_a_question_that_is_too_long_is_not_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [entry("B", id="short"), Entry("长" * 200, entry("B").questions, "long")]
    room = len(explain_prompt("解释。", "题目。", entry("B").questions[0], "B"))
    for kind in ("true", "hinted"):
        engine = FakeEngine(obedient)
        window = FakeWindow(room + 64)  # and not a character more than the short one needs
        if kind == "true":
            short, long = right(entries, engine, tmp_path, window=window)
        else:
            short, long = wrong(entries, engine, tmp_path, "hinted", window=window)
        assert len(engine.asked) == 1
        assert short.questions[0].reasoning and not long.questions[0].reasoning
        assert "1 questions are too long for engine.max_model_len" in capsys.readouterr().out


def test_the_input_is_not_changed(tmp_path: Path) -> None:
    before = entry("B", "C")
    right([before], FakeEngine(obedient), tmp_path)
    wrong([before], FakeEngine(obedient), tmp_path, "hinted")
    assert before == entry("B", "C")


def test_a_second_run_asks_for_nothing(tmp_path: Path) -> None:
    first = right([entry("B", "C")], FakeEngine(stubborn("A", "C", "B", "C")), tmp_path)
    engine = FakeEngine(stubborn("D"))
    assert right([entry("B", "C")], engine, tmp_path) == first
    assert engine.opened == 0


def test_more_attempts_ask_only_for_the_new_ones(tmp_path: Path) -> None:
    right([entry("B")], FakeEngine(stubborn("A")), tmp_path, attempts=2)
    engine = FakeEngine(obedient)
    [done] = right([entry("B")], engine, tmp_path, attempts=3)
    assert len(engine.asked) == 1 and done.questions[0].reasoning


# --- right, several to choose from


def told(*attempts: tuple[str, float | None]) -> FakeEngine:
    """Writes these answers with these log-probabilities, one attempt after the other, to each question alike."""
    seeds: dict[str, list[int]] = {}

    def attempt(request: Request) -> tuple[str, float | None]:
        asked = seeds.setdefault(request.prompt, [])
        if request.seed not in asked:
            asked.append(request.seed)
        return attempts[asked.index(request.seed)]

    return FakeEngine(
        lambda request: f"{attempt(request)[1]}\n答案是：{attempt(request)[0]}", lambda request: attempt(request)[1]
    )


def lesson(engine: FakeEngine, folder: Path, **how: Any) -> tuple[str | None, list[Failure]]:
    """The first line of the reasoning kept for a question whose answer is B, and the failures."""
    with sampler_of(engine, folder) as sampler:
        [done], failures = explain_right([entry("B")], writer(attempts=4), sampler, hinted=False, wanted=Wanted(**how))
    text = done.questions[0].reasoning
    assert (done.questions[0].author is None) == (text is None)
    return text and text.splitlines()[0], failures


def test_the_likeliest_of_the_right_ones_is_kept_and_every_attempt_drawn(tmp_path: Path) -> None:
    engine = told(("B", -0.4), ("A", -0.1), ("B", -0.2), ("B", -0.3))
    assert lesson(engine, tmp_path, choose="likeliest") == ("-0.2", [])
    assert len(engine.asked) == 4


def test_the_first_asks_no_more_and_likeliest_takes_over_what_it_drew(tmp_path: Path) -> None:
    engine = told(("A", -0.1), ("B", -0.4), ("B", -0.3), ("B", -0.2))
    assert lesson(engine, tmp_path) == ("-0.4", []) and len(engine.asked) == 2
    assert lesson(engine, tmp_path, choose="likeliest") == ("-0.2", []) and len(engine.asked) == 4
    assert lesson(engine, tmp_path) == ("-0.4", []) and len(engine.asked) == 4


@pytest.mark.parametrize(
    ("attempts", "kept"),
    [
        ([("A", -0.1), ("B", None), ("B", None), ("A", None)], 1),  # none known: the first
        ([("B", None), ("B", -2.0), ("B", -3.0), ("B", None)], 1),  # known ones go before unknown ones
        ([("A", None), ("B", -1.0), ("B", -1.0), ("B", -1.0)], 1),  # equals: the first
    ],
)
def test_where_the_log_probability_says_nothing_the_first_is_kept(
    attempts: list[tuple[str, float | None]], kept: int, tmp_path: Path
) -> None:
    texts = [Completion(f"{place}", 1, "stop", logprob=mean) for place, (_, mean) in enumerate(attempts)]
    right = [text for text, (letter, _) in zip(texts, attempts, strict=True) if letter == "B"]
    assert chosen(right, "likeliest").text == str(kept)
    assert chosen(right).text == right[0].text


@pytest.mark.parametrize(
    ("letters", "first", "likeliest", "failures"),
    [
        ("BBBB", None, None, 0),  # always right
        ("ABAB", "-0.3", "-0.1", 0),
        ("BBBA", "-0.4", "-0.2", 0),
        ("AAAC", None, None, 1),  # never right
    ],
)
def test_only_questions_that_are_sometimes_right_give_lessons(
    letters: str, first: str | None, likeliest: str | None, failures: int, tmp_path: Path
) -> None:
    engine = told(*zip(letters, (-0.4, -0.3, -0.2, -0.1), strict=True))
    text, failed = lesson(engine, tmp_path, only_uncertain=True)
    assert (text, len(failed), len(engine.asked)) == (first, failures, 4)
    assert lesson(engine, tmp_path, only_uncertain=True, choose="likeliest")[0] == likeliest


def test_a_reasoning_that_was_there_is_kept_however_certain_the_question_is(tmp_path: Path) -> None:
    before = Entry("题目。", [QuestionItem("问？", ["1", "2"], "旧。\n答案是：A", "A", "solver")], "p")
    with sampler_of(FakeEngine(obedient), tmp_path) as sampler:
        assert explain_right([before], writer(), sampler, False, Wanted("likeliest", only_uncertain=True)) == (
            [before],
            [],
        )


def test_only_questions_that_most_plain_samples_miss_are_explained(tmp_path: Path) -> None:
    """Of four samples: right in 1, 2 and 3; a draw is no miss, and no answer is no right one."""
    letters = {"p#1": "BAA", "p#2": "BBA", "p#3": "BBB"}
    seen: Counter[str] = Counter()

    def plain(request: Request) -> str:
        [asked] = re.findall(r"问(\d)？", request.prompt)
        question = f"p#{int(asked) + 1}"
        seen[question] += 1
        return f"答案是：{letter}" if (letter := f"{letters[question]}?"[seen[question] - 1]) != "?" else "不知道。"

    entries = [entry("B", "B", "B")]
    with sampler_of(FakeEngine(plain), tmp_path) as sampler:
        found = missed(entries, writer(attempts=4), sampler)
        assert found == {"p#1"} and set(seen.values()) == {4}
        engine = FakeEngine(obedient)
    with sampler_of(engine, tmp_path) as sampler:
        [done], failures = explain_right(entries, writer(), sampler, True, Wanted(among=found))
    assert [q.reasoning is not None for q in done.questions] == [True, False, False]
    assert len(engine.asked) == 1 and not failures


# --- wrong, hinted


def test_the_hint_is_a_wrong_letter_and_becomes_the_answer(tmp_path: Path) -> None:
    entries = [entry("B", "C", id=f"p{i}") for i in range(10)]
    engine = FakeEngine(obedient)
    done = wrong(entries, engine, tmp_path, "hinted")
    for before, after in zip(entries, done, strict=True):
        for old, new in zip(before.questions, after.questions, strict=True):
            assert new.answer in set("ABCD") - {old.answer}
            assert new.reasoning == f"因为所以。\n答案是：{new.answer}"
            assert new.author == "a model"


def test_every_wrong_letter_is_drawn_about_equally_often(tmp_path: Path) -> None:
    engine = FakeEngine(obedient)
    done = wrong([entry("B", id=f"p{i}") for i in range(300)], engine, tmp_path, "hinted")
    counts = {letter: sum(e.questions[0].answer == letter for e in done) for letter in "ACD"}
    assert sum(counts.values()) == 300
    assert all(70 < count < 130 for count in counts.values()), counts  # 100 ± 3.7 standard errors


def test_the_letter_belongs_to_the_question_and_the_seed(tmp_path: Path) -> None:
    def letters(entries: list[Entry], seed: int) -> dict[str, str | None]:
        done = wrong(entries, FakeEngine(obedient), tmp_path, "hinted", seed=seed)
        return {question_id(e, 0): e.questions[0].answer for e in done}

    entries = [entry("B", id=f"p{i}") for i in range(20)]
    one = letters(entries, seed=1)
    assert letters(entries[::-1][:5], seed=1) == {key: one[key] for key in list(one)[::-1][:5]}
    assert letters(entries, seed=2) != one


def test_an_option_that_says_the_same_as_the_right_one_is_never_argued_against(tmp_path: Path) -> None:
    equal = [entry("A", id=f"p{i}", options=("3", "4", "3")) for i in range(20)]
    done = wrong(equal, FakeEngine(obedient), tmp_path, "hinted")
    assert {e.questions[0].answer for e in done} == {"B"}


def test_where_all_options_are_equal_nothing_is_asked(tmp_path: Path) -> None:
    engine = FakeEngine(obedient)
    [done] = wrong([entry("A", options=("3", "3"))], engine, tmp_path, "hinted")
    assert engine.opened == 0
    assert (done.questions[0].reasoning, done.questions[0].answer) == (None, None)


@pytest.mark.parametrize("letter", ["B", None])
def test_hinted_keeps_only_what_ends_in_the_hint(letter: str | None, tmp_path: Path) -> None:
    engine = FakeEngine(stubborn(letter))  # B is right, None is no answer
    [done] = wrong([entry("B")], engine, tmp_path, "hinted", attempts=2)
    assert len(engine.asked) == 2
    assert (done.questions[0].reasoning, done.questions[0].answer, done.questions[0].author) == (None, None, None)


def test_an_existing_reasoning_is_no_obstacle(tmp_path: Path) -> None:
    solved = Entry("题目。", [QuestionItem("问？", ["1", "2"], "旧。\n答案是：A", "A", "solver")], "p")
    [done] = wrong([solved], FakeEngine(obedient), tmp_path, "hinted")
    assert done.questions[0].reasoning == "因为所以。\n答案是：B"


# --- wrong, sampled


def test_sampled_solves_without_a_hint_and_keeps_what_went_wrong(tmp_path: Path) -> None:
    engine = FakeEngine(lambda r: f"想。\n答案是：{'A' if '问0' in r.prompt else 'B'}")
    [done] = wrong([entry("B", "B")], engine, tmp_path, "sampled")
    assert [(q.answer, q.reasoning) for q in done.questions] == [("A", "想。\n答案是：A"), (None, None)]
    assert [q.author for q in done.questions] == ["a model", None]
    item = entry("B").questions[0]
    assert next(r.prompt for r in engine.asked if "问0" in r.prompt) == solve_prompt("解答。", "题目。", item)


@pytest.mark.parametrize("letter", [None, "E"])
def test_sampled_does_not_keep_a_text_without_a_wrong_option(letter: str | None, tmp_path: Path) -> None:
    [done] = wrong([entry("B")], FakeEngine(stubborn(letter)), tmp_path, "sampled")
    assert done.questions[0].reasoning is None


def test_sampled_does_not_keep_an_equal_option(tmp_path: Path) -> None:
    [done] = wrong([entry("A", options=("3", "4", "3"))], FakeEngine(stubborn("C")), tmp_path, "sampled")
    assert done.questions[0].reasoning is None


def both(engine: FakeEngine, folder: Path, kind: Negatives = "sampled", attempts: int = 4) -> tuple[Any, Any]:
    """What became of the one question, wrong and right, as (answer, reasoning, author)."""
    with sampler_of(engine, folder) as sampler:
        wrong, own, _ = explain_wrong([entry("B")], writer(attempts=attempts), sampler, kind)
    found = [(e.questions[0].answer, e.questions[0].reasoning, e.questions[0].author) for e in [*wrong, *own]]
    return found[0], found[1] if own else None


def test_sampled_collects_a_right_text_of_the_same_author_in_the_same_draws(tmp_path: Path) -> None:
    engine = FakeEngine(stubborn("B", "A", "C"))
    wrong, right = both(engine, tmp_path)
    assert wrong == ("A", "想一想。\n答案是：A", "a model")
    assert right == ("B", "想一想。\n答案是：B", "a model")
    assert len(engine.asked) == 2
    assert {r.prompt for r in engine.asked} == {solve_prompt("解答。", "题目。", entry("B").questions[0])}


def test_sampled_draws_until_it_has_both(tmp_path: Path) -> None:
    engine = FakeEngine(stubborn("A", None, "C", "B"))
    wrong, right = both(engine, tmp_path)
    assert (wrong[0], right[0], len(engine.asked)) == ("A", "B", 4)


def test_sampled_without_a_right_text_is_no_failure(tmp_path: Path) -> None:
    with sampler_of(FakeEngine(stubborn("A")), tmp_path) as sampler:
        wrong, own, failures = explain_wrong([entry("B")], writer(attempts=2), sampler, "sampled")
    assert (wrong[0].questions[0].answer, own[0].questions[0].reasoning, failures) == ("A", None, [])


def test_hinted_has_no_right_texts(tmp_path: Path) -> None:
    assert both(FakeEngine(obedient), tmp_path, "hinted")[1] is None


@pytest.mark.parametrize(
    ("options", "answer", "letters"),
    [
        (["1", "2", "3", "4"], "C", ["A", "B", "D"]),
        (["1", "2"], "A", ["B"]),
        (["1", "1", "2"], "A", ["C"]),
        (["1", "2"], None, []),
    ],
)
def test_wrong_letters(options: list[str], answer: str | None, letters: list[str]) -> None:
    assert wrong_letters(QuestionItem("问？", options, answer=answer)) == letters


@pytest.mark.parametrize(
    ("keep", "taught"),
    [(False, "看1。\n答案是：B"), (True, "<think>\n先猜答案是：A。\n</think>\n\n看1。\n答案是：B")],
)
def test_lessons_have_thinking_only_on_request(keep: bool, taught: str, tmp_path: Path) -> None:
    engine = FakeEngine(lambda request: "<think>先猜答案是：A。</think>\n看1。\n答案是：B")
    plain = writer()
    who = replace(plain, prompt=plain.prompt.model_copy(update={"keep_thinking": keep}))
    with sampler_of(engine, tmp_path) as sampler:
        [explained], failures = explain_right([entry("B")], who, sampler, hinted=False)
    assert explained.questions[0].reasoning == taught and not failures


def test_an_answer_in_the_thinking_alone_is_none(tmp_path: Path) -> None:
    engine = FakeEngine(lambda request: "<think>先假设答案是：B。但是")
    with sampler_of(engine, tmp_path) as sampler:
        [explained], [failure] = explain_right([entry("B")], writer(attempts=1), sampler, hinted=False)
    assert explained.questions[0].reasoning is None
    assert failure.cause == "no answer"
