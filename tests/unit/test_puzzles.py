"""Puzzles: every stated answer against a reader that shares no code with the families, and what a data set keeps."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from math import sqrt
from pathlib import Path
from random import Random
from typing import ClassVar, Self

import pytest

import augen.puzzles.__main__ as command_line
from augen.answers import parse_answer
from augen.entries import LETTERS, SOLVER, QuestionItem, letter_of
from augen.entries.jsonl import read_jsonl
from augen.puzzles import BASIC, FAMILIES, WORDINGS, NotProved, Puzzle, make
from augen.puzzles.base import Query, pose
from augen.puzzles.dataset import puzzle_entries
from augen.puzzles.solver import fact, prove
from tests.puzzle_readers import Kinship, Reader, kin
from tests.readers import READERS

ROOT = Path(__file__).parents[2]
DIFFICULTIES = range(1, 6)
EACH = 2
families = pytest.mark.parametrize("family", sorted(FAMILIES))


@cache
def puzzles(family: str) -> list[Puzzle]:
    """Some puzzles of each difficulty and wording, 30 in all."""
    return [
        make(family, Random(f"{family} {n} {d} {w}"), difficulty=d, wording=w, questions=3, entry_id=f"{n}_{d}_{w}")
        for d in DIFFICULTIES
        for w in range(WORDINGS)
        for n in range(EACH)
    ]


@cache
def reader(family: str, problem: str) -> Reader:
    return READERS[family](problem)


def asked(family: str) -> Iterator[tuple[Puzzle, int, QuestionItem]]:
    return ((p, i, item) for p in puzzles(family) for i, item in enumerate(p.entry.questions))


def steps(reasoning: str) -> str:
    """A reasoning without its conclusion and answer line."""
    return "\n".join(reasoning.splitlines()[:-2])


def test_every_family_has_a_reader() -> None:
    assert sorted(READERS) == sorted(FAMILIES)


@families
def test_exactly_the_stated_option_is_right(family: str) -> None:
    for puzzle, _, item in asked(family):
        read = reader(family, puzzle.entry.problem)
        right = [letter_of(i) for i, option in enumerate(item.options) if read.right(item.question, option)]
        assert right == [item.answer], (puzzle.entry.problem, item)


@families
def test_every_step_of_the_reasoning_is_true(family: str) -> None:
    for puzzle, _, item in asked(family):
        assert item.reasoning
        assert reader(family, puzzle.entry.problem).true(steps(item.reasoning)), (puzzle.entry.problem, item)


@families
def test_the_reasoning_names_the_option_and_ends_in_the_answer(family: str) -> None:
    for _, _, item in asked(family):
        assert item.reasoning and item.answer and item.author == SOLVER
        chosen = item.options[LETTERS.index(item.answer)]
        assert item.reasoning.splitlines()[-2:] == [f"所以：{chosen}，选{item.answer}。", f"答案是：{item.answer}"]
        assert parse_answer(item.reasoning, len(item.options)) == item.answer


@families
def test_options_are_distinct_and_questions_of_a_problem_differ(family: str) -> None:
    for puzzle in puzzles(family):
        for item in puzzle.entry.questions:
            assert 2 <= len(item.options) <= 5
            assert len(set(item.options)) == len(item.options), item
        assert len(puzzle.queries) == len(puzzle.entry.questions)
        texts = [(item.question, frozenset(item.options)) for item in puzzle.entry.questions]
        assert len(set(texts)) == len(texts), puzzle.entry


def test_no_letter_is_favoured() -> None:
    letters: dict[int, Counter[str | None]] = {}
    for family in FAMILIES:
        for _, _, item in asked(family):
            letters.setdefault(len(item.options), Counter())[item.answer] += 1
    for options, counts in letters.items():
        total, share = counts.total(), 1 / options
        for letter in LETTERS[:options]:
            deviation = abs(counts[letter] - total * share) / sqrt(total * share * (1 - share))
            assert deviation < 4, (options, counts)  # one in 16,000 by chance


@families
def test_the_same_seed_makes_the_same_puzzle(family: str) -> None:
    one, again, other = (
        make(family, Random(seed), difficulty=3, wording=1, questions=3, entry_id="x") for seed in (5, 5, 6)
    )
    assert one.entry == again.entry
    assert one.entry != other.entry


@families
def test_a_harder_puzzle_is_longer(family: str) -> None:
    def length(difficulty: int) -> int:
        own = puzzles(family)[(difficulty - 1) * EACH * WORDINGS : difficulty * EACH * WORDINGS]
        return sum(len(p.entry.problem) for p in own)

    assert length(5) > length(1)


# --- wrong reasonings


@families
def test_a_wrong_reasoning_argues_for_the_wanted_option(family: str) -> None:
    found = misled = 0
    for puzzle in puzzles(family)[::2]:
        rng = Random(puzzle.entry.id)
        item = puzzle.entry.questions[0]
        letter = rng.choice([letter_of(i) for i in range(len(item.options)) if letter_of(i) != item.answer])
        text = puzzle.wrong_reasoning(0, letter, rng)
        if text is None:
            continue
        found += 1
        option = item.options[LETTERS.index(letter)]
        assert text.splitlines()[-2:] == [f"所以：{option}，选{letter}。", f"答案是：{letter}"]
        assert parse_answer(text, len(item.options)) == letter
        assert steps(text) != steps(str(item.reasoning)), "a right reasoning with another conclusion"
        misled += not reader(family, puzzle.entry.problem).true(steps(text))
    # The rest is true of the problem, and answers another question than was asked (another plan, another day).
    assert misled >= found / 3 and misled


def test_where_no_changed_world_fits_there_is_no_wrong_reasoning() -> None:
    puzzle = puzzles("dial")[0]
    wrong = "B" if puzzle.entry.questions[0].answer == "A" else "A"
    assert puzzle.wrong_reasoning(0, wrong, Random(0), tries=0) is None


# --- the family tree of the reader, against relations that everybody knows


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("爸爸", "爸爸", "爷爷"),
        ("妈妈", "爸爸", "奶奶"),
        ("爸爸", "妈妈", "外公"),
        ("哥哥", "爸爸", "伯伯"),
        ("弟弟", "爸爸", "叔叔"),
        ("姐姐", "爸爸", "姑姑"),
        ("弟弟", "妈妈", "舅舅"),
        ("妹妹", "妈妈", "姨妈"),
        ("女儿", "儿子", "孙女"),
        ("女儿", "女儿", "外孙女"),
        ("爸爸", "哥哥", None),
    ],
)
def test_two_relations_together(first: str, second: str, together: str | None) -> None:
    assert kin(first, second) == together


def family_of(*facts: tuple[str, str, str]) -> Kinship:
    return Kinship("一家人：\n" + "".join(f"{a}是{b}的{r}。" for a, r, b in facts))


@pytest.mark.parametrize(
    "facts",
    [
        [("甲", "妹妹", "乙"), ("乙", "爸爸", "丙"), ("丁", "姐姐", "甲")],  # the sister of an aunt is an aunt
        [("甲", "妹妹", "乙"), ("乙", "爸爸", "丙"), ("戊", "爸爸", "乙"), ("丁", "女儿", "戊")],
    ],
)
def test_a_question_with_a_second_answer_by_way_of_others_is_refused(facts: list[tuple[str, str, str]]) -> None:
    problem = family_of(*facts)
    assert problem.right("谁是丙的姑姑？", "甲") and problem.right("谁是丙的姑姑？", "丁")
    world = FAMILIES["kinship"](tuple(facts), 0)  # type: ignore[call-arg]
    aunt = next(query for query in world.queries() if query.text == "谁是丙的姑姑？")
    with pytest.raises(NotProved):
        prove(world.program() + aunt.rules)
    of_whom = next(query for query in world.queries() if query.text == "甲是丙的什么人？")
    assert prove(world.program() + of_whom.rules).answer == "姑姑"


def test_a_family_with_two_fathers_is_refused() -> None:
    world = FAMILIES["kinship"]((("甲", "爸爸", "乙"), ("乙", "爸爸", "丙"), ("丁", "爸爸", "丙")), 0)  # type: ignore[call-arg]
    with pytest.raises(NotProved):
        pose(world, Random(0), questions=3, entry_id="x")


# --- what the solver accepts as a proof


def test_a_proof_has_the_answer_and_its_steps_in_order() -> None:
    proof = prove('step(2,"乙"). step(1,"甲"). step(10,3). answer("甲").')
    assert (proof.answer, proof.steps) == ("甲", ((1, "甲"), (2, "乙"), (10, 3)))
    assert prove("answer(7).").answer == 7


@pytest.mark.parametrize(
    "program",
    [
        "p.",  # no answer
        "answer(1). answer(2).",  # two in one model
        "1{answer(1); answer(2)}1.",  # possible, but not certain
        "answer(1) :- p. {p}.",  # an answer in only some models
        'answer(1). 1{step(1,"a"); step(1,"b")}1.',  # two derivations
        "answer(1). :- answer(1).",  # a contradiction
        "answer(1). 1{p(1..65)}1.",  # too many models to enumerate
    ],
)
def test_what_is_not_certain_is_not_proved(program: str) -> None:
    with pytest.raises(NotProved):
        prove(program)


def test_other_models_with_the_same_answer_do_no_harm() -> None:
    assert prove("answer(1). 1{p(1..64)}1.").answer == 1


def test_texts_are_quoted_for_the_solver() -> None:
    assert fact("over", "甲", 2) == 'over("甲",2).'
    assert prove(fact("answer", '说"是"')).answer == '说"是"'


class Ambiguous:
    """A world with one question that has two answers, and one that offers nothing to choose from."""

    uses: ClassVar = "ordering"
    wording = 0

    @classmethod
    def draw(cls, rng: Random, difficulty: int, wording: int) -> Self:
        return cls()

    def problem(self) -> str:
        return "甲或乙最高。"

    def facts(self) -> list[str]:
        return ["1{tall(1..2)}1."]

    def program(self) -> str:
        return "".join(self.facts())

    def queries(self) -> list[Query]:
        two = Query("谁最高？", "answer(X) :- tall(X).", lambda proof: "", ("1", "2"))
        alone = Query("几个最高？", "answer(1).", lambda proof: "", ("1",))
        return [two, alone]

    def changed(self, rng: Random) -> Self:
        return self


def test_ambiguous_worlds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotProved, match="no query of this world"):
        pose(Ambiguous(), Random(0), questions=2, entry_id="x")
    monkeypatch.setitem(FAMILIES, "ambiguous", Ambiguous)
    with pytest.raises(NotProved, match="ambiguous: no provable puzzle of difficulty 2 in 100 tries"):
        make("ambiguous", Random(0), difficulty=2, wording=0)


# --- data sets and their command line


def write(out: Path, *options: str) -> Path:
    command_line.main([*options, "--out", str(out)])
    return out


def test_a_data_set_takes_the_families_in_turn() -> None:
    entries = puzzle_entries(20, "any", "some")
    assert [e.id for e in entries][:2] == ["some_0000_dial", "some_0001_drugs"]
    assert len({e.id for e in entries}) == 20
    assert {e.id.rpartition("_")[2] for e in entries} == set(BASIC)
    assert all(2 <= len(e.questions) <= 3 or e.id.endswith("kinship") for e in entries)
    assert puzzle_entries(20, "any", "other")[3] == replace(entries[3], id="other_0003_knights")
    assert puzzle_entries(20, "another", "some") != entries


def test_reasonings_are_written_when_asked_for(tmp_path: Path) -> None:
    out = write(tmp_path / "some.jsonl", "--count", "9", "--seed", "s", "--prefix", "p", "--reasoning")
    assert read_jsonl(out, answers="required") == puzzle_entries(9, "s", "p", sorted(FAMILIES))


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_same_seed_writes_the_same_bytes_in_every_process(hash_seed: str, tmp_path: Path) -> None:
    options = ["--count", str(len(FAMILIES)), "--seed", "s", "--reasoning"]
    subprocess.run(
        [sys.executable, "-m", "augen.puzzles", *options, "--out", str(tmp_path / "there.jsonl")],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
    )
    here = write(tmp_path / "here.jsonl", *options)
    assert (tmp_path / "there.jsonl").read_bytes() == here.read_bytes()


@pytest.mark.parametrize("options", [["--count", "0", "--seed", "s"], ["--count", "3"], ["--seed", "s"]])
def test_a_wrong_command_line_writes_nothing(options: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        write(tmp_path / "some.jsonl", *options)
    assert ended.value.code == 2
    assert not (tmp_path / "some.jsonl").exists()
