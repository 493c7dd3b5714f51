"""What is a program, what is told without running it, and the forms of its answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.programs import library
from augen.programs.language import CAUSES, AnswerSet, Fault, Result, program_of, read
from augen.programs.worker import run


def fault(program: str) -> Result:
    with pytest.raises(Fault) as found:
        read(program)
    return found.value.result


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("answer(1).", "answer(1)."),
        ("  \nanswer(1).\n\n", "answer(1)."),
        ("Sure:\n```asp\nanswer(1).\n```\nHope it helps.", "answer(1)."),
        ("```\na.\n```\nbetter:\n```prolog\nanswer(2).\n```", "answer(2)."),
        ("```answer(3).```", "answer(3)."),
        ("the text was cut:\n```clingo\nanswer(4).\nb(", "answer(4).\nb("),
        ("```\nanswer(5).\n```\n```\n\n```", "answer(5)."),
        ("`answer(6).`", "`answer(6).`"),
        ("", ""),
    ],
)
def test_the_program_in_a_text(text: str, program: str) -> None:
    assert program_of(text) == program


def test_modules_are_blanked_out_in_place() -> None:
    source = read('% 路\n #use roads. #use roads.\n\nroad(1,2). % "\nanswer("%").')
    assert source.modules == ("roads",)
    assert source.text == '   \n                        \n\nroad(1,2).    \nanswer("%").'
    assert source.rules == library.module("roads")
    assert run('#use roads. road("甲",2). answer(X) :- reach("甲",X).', 9).answer_sets == (AnswerSet((2,), ()),)


def test_the_library_names_its_modules() -> None:
    assert "roads" in library.names()
    with pytest.raises(KeyError):
        library.module("../roads")


@pytest.mark.parametrize(
    ("program", "line", "column", "told"),
    [
        ("a.\n  父(1).", 2, 3, "父 outside of quotes: names are written in Latin letters"),
        ('a("父"). b，c.', 1, 10, "， outside"),
        ("a.\n\nb(\x00).", 3, 3, "U+0000"),
        ("\ufeffa.", 1, 1, "U+FEFF"),
        ('a.\nb("\n").', 2, 3, "a string that does not end"),
        ('b("\\t").', 1, 3, "a backslash other than"),
        ("a. %* %* *% b.", 1, 4, "without its *%"),
        ("a(1).\na(2147483648).", 2, 3, "a number above 2147483647"),
        ("#use lanes.\na.", 1, 6, "no module lanes; there are"),
        ("a.\n#use roads.", 2, 1, "before everything else"),
        ("#use roads", 1, 1, "#use NAME."),
    ],
)
def test_faults_have_their_place(program: str, line: int, column: int, told: str) -> None:
    result = fault(program)
    assert (result.cause, result.line, result.column) == ("syntax", line, column)
    assert told in result.message
    assert run(program, 9) == result


def test_clingo_s_messages_have_their_place_in_signs() -> None:
    result = run('a("甲乙").\n b("丙"). c :- , d.', 9)
    assert (result.cause, result.line, result.column) == ("syntax", 2, 15)
    result = run('a("甲").\nb("丙"). c(X) :- a("甲").', 9)
    assert (result.line, result.column) == (2, 9)
    assert result.message == "unsafe variables in:\n  c(X):-a(\"甲\").\nnote: 'X' is unsafe"
    assert run("answer(1) :- a", 9).line == 1
    assert run("answer(1).\n%*\n*%\nb(", 9).line == 4


def test_what_clingo_remarks_is_told_with_the_answer() -> None:
    result = run("answer(1).\nb :- cc.", 9)
    assert (result.cause, result.line, result.column) == (None, 2, 6)
    assert "cc" in result.message


@pytest.mark.parametrize(
    ("program", "sets"),
    [
        ("answer(3).", [((3,), ())]),
        ('answer("甲"). answer(-1). answer(tom). answer(f(1,"x")).', [((-1, "tom", "甲", 'f(1,"x")'), ())]),
        ('answer(2,"乙"). answer(10,tom). answer(1,7).', [(((7, "乙", "tom"),), ())]),
        ('answer(("甲",2)).', [((("甲", 2),), ())]),
        ('pick(a). pick("B"). pick(2).', [((), ("2", "B", "a"))]),
        ("yes :- not b.", [(("是",), ())]),
        ("yes :- b.", [(("否",), ())]),
        ("{yes}.", [(("否",), ()), (("是",), ())]),
        ("1 {yes; no} 1. :- no.", [(("是",), ())]),
        ("yes | no. :- yes.", [(("否",), ())]),
        ("#count{1 : yes : b} 0. b.", [(("否",), ())]),
        ("b :- yes.", [((), ())]),
        ("yes(1). -yes.", [((), ())]),
        ("{a(1..20)}. answer(1).", [((1,), ())]),
        ("{a; b}. answer(1) :- a. answer(2) :- not a.", [((1,), ()), ((2,), ())]),
        ("{a(1..3)} 2. #maximize{X : a(X)}. answer(X) :- X = #sum{Y : a(Y)}.", [((5,), ())]),
        (":~ a. [1] {a}. :~ not a. [1] answer(1) :- a. answer(2) :- not a.", [((1,), ()), ((2,), ())]),
        ("#const n = 3. answer(n). #show. #show b/1. #defined c/1. b(1) :- c(1).", [((3,), ())]),
        ("-answer(1). #false :- answer(1).", [((), ())]),
        ("answer(1).\r\nb.\r\n", [((1,), ())]),
    ],
)
def test_forms_of_the_answer(program: str, sets: list[tuple[tuple[object, ...], tuple[str, ...]]]) -> None:
    result = run(program, 9)
    assert result.cause is None, result
    assert [(s.values, s.picks) for s in result.answer_sets] == sets


def test_too_many_answers() -> None:
    assert len(run("1 {answer(1..9)} 1.", 9).answer_sets) == 9
    result = run("1 {answer(1..10)} 1.", 9)
    assert (result.cause, result.message) == ("several", "more than 9 different answers")


def test_a_fault_in_the_use_of_the_library_has_no_place() -> None:
    result = run("#use roads. #const reach = 1. #const road = reach. #const reach = 2.", 9)
    assert result.cause == "syntax" and result.line == 1


SCALARS = st.integers() | st.text()
RESULTS = st.builds(
    Result,
    st.lists(
        st.builds(
            AnswerSet,
            st.lists(SCALARS | st.lists(SCALARS).map(tuple)).map(tuple),
            st.lists(st.text()).map(tuple),
        )
    ).map(tuple),
    st.none() | st.sampled_from(sorted(CAUSES)),
    st.text(),
    st.none() | st.integers(1),
    st.none() | st.integers(1),
    st.booleans(),
)


@given(RESULTS)
def test_results_as_json(result: Result) -> None:
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result


@given(st.text(st.sampled_from('%*"\\ \n\r#use roads.include(甲1)a\x00\ud800')))
def test_reading_keeps_every_place(program: str) -> None:
    try:
        source = read(program)
    except Fault as fault:
        if fault.result.line is not None and fault.result.column is not None:
            line = program.split("\n")[fault.result.line - 1]
            assert 1 <= fault.result.column <= len(line) + 1
        return
    assert len(source.text) == len(program)
    assert all(kept in (sign, " ") for kept, sign in zip(source.text, program, strict=True))
    assert "#include" not in source.text and "\x00" not in source.text
