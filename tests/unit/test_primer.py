"""`prompt.program` of params.production.yaml, which teaches chat models to write programs: what it shows runs."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from augen.core.params import load
from augen.programs.language import program_of
from augen.programs.options import verdict
from augen.programs.solver import Limits, Solver

PRIMER = load("prompt", path=Path(__file__).parents[2] / "params.production.yaml").prompt.program
EXAMPLE = re.compile(r"^例[一二三]　(.*?)```\n(.*?)```", re.DOTALL | re.MULTILINE)
FACTS = (
    'road("东城","西城"). city("东城"). flood("北城"). person("甲"). person("乙"). day(1..5). '
    "p(1). p(2). price(1,7). price(2,9)."
)
# What its lines show, with the rule that answers.
SHOWN = [
    ("reach(X,Y) :- road(X,Y).  reach(X,Z) :- reach(X,Y), road(Y,Z).", "answer(X) :- reach(_,X).", "西城"),
    ("safe(X) :- city(X), not flood(X).", "answer(X) :- safe(X).", "东城"),
    ("1 { at(P,D) : day(D) } 1 :- person(P).", "answer(N) :- N = #count { P : at(P,_) }.", "2"),
    ("N = #count { X : p(X) }", "answer(N) :- N = #count { X : p(X) }.", "2"),
    ("S = #sum { V,X : price(X,V) }", "answer(S) :- S = #sum { V,X : price(X,V) }.", "16"),
    ("M = #max { V : price(_,V) }", "answer(M) :- M = #max { V : price(_,V) }.", "9"),
    ("X \\ Y（余数）|X-Y|", "answer(X \\ Y + |Y-X|) :- price(X,7), price(Y,9), X = Y-1.", "2"),
    (':- at("甲",D), at("乙",D).', "1 { at(P,1..2) } 1 :- person(P). answer(N) :- N = #sum { D,P : at(P,D) }.", "3"),
    ("1 { pick(a;b;c;d) } 1.", ":- not pick(a).", "一"),
]  # fmt: skip


@pytest.fixture(scope="module")
def solver() -> Iterator[Solver]:
    with Solver(Limits(), workers=1) as solver:
        yield solver


def test_its_examples_give_their_answers(solver: Solver) -> None:
    examples = EXAMPLE.findall(PRIMER)
    assert PRIMER.count("```") == 2 * len(examples) == 4
    found = []
    for text, program in examples:
        options = re.findall(r"[A-D]: (\S+)", text)
        assert len(options) >= 3 and program_of(f"```\n{program}```") == program.strip()
        [result] = solver.run([program])
        found.append((result.message, options[ord(verdict(result, options).letter or "") - ord("A")]))
    assert found == [("", "丁"), ("", "小刚在第1天")]


@pytest.mark.parametrize(("shown", "rule", "answer"), SHOWN)
def test_what_its_lines_show_is_in_the_language(shown: str, rule: str, answer: str, solver: Solver) -> None:
    assert shown in PRIMER
    statements = shown if shown.endswith(".") else ""
    [result] = solver.run([f"{FACTS}\n{statements}\n{rule}"])
    assert verdict(result, [answer, "别的"]).letter == "A", result


def test_the_mistakes_that_it_warns_of_are_mistakes(solver: Solver) -> None:
    wrong = re.search(r"错：(.*?\.) ", PRIMER)
    assert wrong and wrong[1] in PRIMER
    programs = [
        f"{FACTS} {wrong[1]}",
        f"{FACTS} answer(1) :- p(1) && p(2).",
        f"{FACTS} answer(1) :- p(1)，p(2).",
        "是(1).",
    ]
    assert [result.cause for result in solver.run(programs)] == ["syntax"] * len(programs)


def test_it_is_short() -> None:
    assert PRIMER.count("\n") < 60 and len(PRIMER) < 2500
