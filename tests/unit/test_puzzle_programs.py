"""The program of a puzzle's question gives the stated answer, and the library's modules are what they say they are."""

import re
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from clingo import ast
from hypothesis import given, settings
from hypothesis import strategies as st

from augen.programs import library
from augen.programs.options import Verdict, verdict
from augen.programs.solver import Limits, Solver
from augen.puzzles import BASIC, FAMILIES, MORE_WORDINGS, WORDINGS, Puzzle, make

families = pytest.mark.parametrize("family", sorted(FAMILIES))
modules = pytest.mark.parametrize("name", library.names())
difficulties, wordings, seeds = st.integers(1, 5), st.integers(0, WORDINGS - 1), st.integers(0, 10**6)
SAID = {("answer", 1), ("answer", 2), ("pick", 1), ("yes", 0)}

Signature = tuple[str, int]  # name and number of arguments of a predicate


@pytest.fixture(scope="module")
def solver() -> Iterator[Solver]:
    with Solver(Limits(), workers=1) as started:
        yield started


def puzzle(family: str, difficulty: int, wording: int, seed: int) -> Puzzle:
    return make(family, Random(seed), difficulty=difficulty, wording=wording, questions=3)


# --- questions


@families
@settings(max_examples=3, deadline=None)
@given(difficulty=difficulties, wording=wordings, seed=seeds)
def test_the_program_of_a_question_gives_its_answer(
    solver: Solver, family: str, difficulty: int, wording: int, seed: int
) -> None:
    posed = puzzle(family, difficulty, wording, seed)
    programs = [posed.program(i, library) for i in range(len(posed.queries)) for library in (True, False)]
    for i, (program, result) in enumerate(zip(programs, solver.run(programs), strict=True)):
        item = posed.entry.questions[i // 2]
        assert verdict(result, item.options) == Verdict(item.answer), (posed.entry.problem, item.question, program)


@families
@settings(max_examples=3, deadline=None)
@given(difficulty=difficulties, wording=wordings, seed=seeds)
def test_facts_do_not_depend_on_the_wording(family: str, difficulty: int, wording: int, seed: int) -> None:
    world: Any = puzzle(family, difficulty, wording, seed).world
    wordings = (*range(WORDINGS), *(MORE_WORDINGS if family in BASIC else ()))
    others = [replace(world, wording=other) for other in wordings]
    assert all(other.facts() == world.facts() for other in others)
    assert len({other.problem() for other in others}) == len(wordings)


@families
@settings(max_examples=3, deadline=None)
@given(difficulty=difficulties, wording=wordings, seed=seeds)
def test_a_program_says_only_what_its_module_explains(family: str, difficulty: int, wording: int, seed: int) -> None:
    posed = puzzle(family, difficulty, wording, seed)
    explained = told(posed.world.uses, "facts") | told(posed.world.uses, "asked") | SAID
    for i in range(len(posed.queries)):
        used, *rest = posed.program(i).split("\n")
        assert used == f"#use {posed.world.uses}."
        heads, bodies = signatures("\n".join(rest))
        assert heads | bodies <= explained


# --- modules


@modules
def test_a_module_reads_and_derives_what_its_comments_name(name: str) -> None:
    heads, bodies = signatures(library.module(name))
    facts, asked = told(name, "facts"), told(name, "asked")
    assert facts and facts <= bodies
    assert asked and asked <= heads | facts


@modules
def test_a_module_derives_nothing_that_a_question_may_say(name: str) -> None:
    assert not signatures(library.module(name))[0] & SAID


def test_every_family_has_a_module_of_its_own() -> None:
    assert sorted(family.uses for family in FAMILIES.values()) == list(library.names())


def test_a_module_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        library.module("nowhere")


def told(name: str, section: str) -> set[Signature]:
    """The predicates in the comment of the module `name` that begins with ``% section:``."""
    comment = re.search(rf"^% {section}:(.*\n(?:%  .*\n)*)", library.module(name), re.MULTILINE)
    assert comment, f"{name} has no comment % {section}:"
    return {(found[1], found[2].count(",") + 1) for found in re.finditer(r"([a-z]\w*)\(([^()]+)\)", comment[1])}


def signatures(program: str) -> tuple[set[Signature], set[Signature]]:
    """The predicates in the heads of the rules of `program`, and those in their bodies and conditions."""
    heads: set[Signature] = set()
    bodies: set[Signature] = set()

    def collect(node: ast.AST, into: set[Signature]) -> None:
        if node.ast_type is ast.ASTType.SymbolicAtom:
            into.add((node.symbol.name, len(node.symbol.arguments)))
        for key, child in node.items():
            children = child if isinstance(child, ast.ASTSequence) else [child]
            for one in children:
                if isinstance(one, ast.AST):
                    collect(one, bodies if key in ("body", "condition") else into)

    ast.parse_string(program, lambda statement: collect(statement, heads))
    return heads, bodies
