"""Programs for labelled questions, written by an engine that only pretends and run by the real solver."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from augen.entries import Entry, QuestionItem
from augen.generation.served.failures import Failure
from augen.programs.verdicts import SolveMany, stored_verdicts
from augen.prompts.sections import Example, program_prompt
from augen.reasoning.programs import lacking_program, write_programs
from augen.store.responses import Store
from tests.fakes import FakeEngine, FakeWindow, a_writer, sampler_of
from tests.params import params

RIGHT = "```\nanswer(X) :- X = 3 + 4.\n```"


def problem(id: str = "p", **changes: Any) -> Entry:
    return Entry("先放3个球，又放4个。", [replace(QuestionItem("共几个？", ["5", "7"], answer="B"), **changes)], id)


@pytest.fixture
def solve(tmp_path: Path) -> Iterator[SolveMany]:
    with Store(tmp_path / "results.sqlite") as store, stored_verdicts(store, params().programs) as solve:
        yield solve


def written(
    entries: list[Entry],
    texts: list[str],
    solve: SolveMany,
    folder: Path,
    examples: list[Example] | None = None,
    **settings: Any,
) -> tuple[list[Entry], list[Failure], FakeEngine]:
    """Each call of the engine writes the next of `texts`."""
    left = list(texts)
    engine = FakeEngine(lambda request: left.pop(0))
    writer = a_writer(**{"window": FakeWindow(), "author": "a model", "attempts": len(texts) or 1, **settings})
    with sampler_of(engine, folder) as sampler:
        shown = [examples or []] * len(lacking_program(entries))
        return *write_programs(entries, shown, writer, sampler, solve), engine


def test_the_first_program_that_gives_the_known_answer_is_kept(solve: SolveMany, tmp_path: Path) -> None:
    texts = ["answer(5).", "answer(7", RIGHT, "answer(7)."]
    [done], failures, engine = written([problem(reasoning="想。\n答案是：B", author="solver")], texts, solve, tmp_path)
    assert done.questions == [
        replace(problem().questions[0], reasoning="想。\n答案是：B", author="solver", program="answer(X) :- X = 3 + 4.")
    ]
    assert (failures, len(engine.asked)) == ([], 3)
    assert {r.prompt for r in engine.asked} == {program_prompt("写程序。", problem().problem, problem().questions[0])}
    assert len({r.seed for r in engine.asked}) == 3


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("answer(5).", "program: another answer: A"),
        ("answer(7", "program: syntax: line 1, column 9: syntax error, unexpected"),
        ("answer(9).", "program: no_option: no option is the answer: 9"),
        ("#include \"x\".", "program: forbidden: line 1, column 1: #include is not allowed"),
        ("", "program: no_option: no option is the answer: no answer(V) and no pick(L)"),
    ],
)  # fmt: skip
def test_what_fails_says_what_became_of_the_last_attempt(
    text: str, cause: str, solve: SolveMany, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries, [failure], _ = written([problem()], ["answer(5).", text], solve, tmp_path)
    assert entries == [problem()]
    assert (failure.request, failure.attempts) == ("p#1", 2)
    assert failure.cause.startswith(cause)
    count, others = capsys.readouterr().out.splitlines()[-2:]
    assert count == "programs: for 0 of the 1 questions that needed one"
    assert others == f"the others, by what became of the last attempt: 1 {cause.split(': ')[1]}"


def test_only_labelled_questions_without_a_program_need_one(solve: SolveMany, tmp_path: Path) -> None:
    entries = [problem("old", program="answer(7)."), problem("unlabelled", answer=None)]
    done, failures, engine = written(entries, [], solve, tmp_path)
    assert (done, failures, engine.opened) == (entries, [], 0)


def test_as_many_examples_as_fit_stand_in_the_prompt(solve: SolveMany, tmp_path: Path) -> None:
    item = QuestionItem("问？", ["1", "2"], answer="A", program="answer(1).")
    examples = [(f"例{n}。" * 20, item) for n in range(3)]
    prompt = program_prompt("写程序。", problem().problem, problem().questions[0], examples[1:])
    for number, window in enumerate((FakeWindow(len(prompt) + 64, "<", ">"), FakeWindow(len(prompt) + 66, "<", ">"))):
        _, _, engine = written([problem()], [RIGHT], solve, tmp_path / str(number), examples, window=window)
        assert [r.prompt.count("例") for r in engine.asked] == [20 * (number + 1)]
    _, _, engine = written([problem()], [RIGHT], solve, tmp_path / "served", examples, window=None)
    assert engine.asked[0].prompt.count("例") == 60
    _, [failure], engine = written([problem()], [RIGHT], solve, tmp_path / "short", examples, window=FakeWindow(70))
    assert (failure.cause, failure.attempts, engine.opened) == ("program: too long for engine.max_model_len", 0, 0)


def test_a_second_run_asks_for_nothing_and_runs_nothing(solve: SolveMany, tmp_path: Path) -> None:
    first, _, _ = written([problem()], ["answer(5).", RIGHT], solve, tmp_path)
    again, _, engine = written([problem()], ["answer(5).", "answer(5)."], solve, tmp_path)
    assert (again, engine.opened) == (first, 0)
