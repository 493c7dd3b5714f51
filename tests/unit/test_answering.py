"""The round loop: what is drawn, what of it is stored, and how samples become answers."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.answering.questions import Examples, Prompting, answered, example_lines
from augen.answering.rounds import Answering, Programs, Rounds, unscored
from augen.answering.weighing import ProgramTally, program_lines, weight_of
from augen.entries import Entry, Question, QuestionItem, Solution, questions
from augen.generation.base import Completion, Request
from augen.programs.options import Verdict
from augen.prompts.sections import program_prompt, solve_prompt
from augen.voting.grid import SampleGrid
from augen.voting.samples import Sample, sample_lines
from augen.voting.settings import VotingSettings
from augen.voting.weights import HIGHEST, Weight
from tests.fakes import FakeEngine, FakeWindow, sampler_of

OPTIONS = ["东", "西", "南", "北"]
SAMPLING = Prompting("解答。", FakeWindow(), seed=7, temperature=1.0, top_p=0.9, max_tokens=32, adapters=1)
ROUNDS = VotingSettings(voters=5, max_resample=2, threshold=0.5)


def asked(count: int, **other: Any) -> list[Question]:
    return [
        replace(Question(f"p{i}#1", f"p{i}", f"题目{i}。", QuestionItem("往哪走？", OPTIONS), "dev"), **other)
        for i in range(count)
    ]


def says(letter: str) -> Callable[[Request], str]:
    return lambda request: f"走。\n答案是：{letter}"


def varied(request: Request) -> str:
    """A text that depends on the seed alone, now and then without an answer."""
    letter = "ABCD?"[request.seed % 5]
    return f"想{request.seed}。" + ("" if letter == "?" else f"\n答案是：{letter}")


def by_text(samples: Sequence[Solution]) -> list[float]:
    """A score that depends on the text alone."""
    return [sum(map(ord, s.reasoning)) % 100 / 100 for s in samples]


def constant(score: float) -> Callable[[Sequence[Solution]], list[float]]:
    return lambda samples: [score] * len(samples)


def answering(
    questions: list[Question],
    engine: FakeEngine,
    folder: Path,
    score: Any = unscored,
    sampling: Prompting = SAMPLING,
    examples: Examples | None = None,
    **changes: Any,
) -> Answering:
    shown = [()] * len(questions) if examples is None else examples
    with sampler_of(engine, folder) as sampler:
        return Rounds(questions, shown, sampling, replace(ROUNDS, **changes)).run(sampler, score)


def run(*arguments: Any, **changes: Any) -> list[list[Sample]]:
    """The samples of each question; those of `ROUNDS` are accepted from 0.5 on."""
    return answering(*arguments, **changes).samples


def lines(history: Sequence[Sequence[Sample]]) -> list[str]:
    return list(sample_lines((sample for drawn in history for sample in drawn), 0.5))


# --- thinking


THOUGHT = "<think>\n先猜答案是：A。\n</think>\n\n走。\n答案是：B"


@pytest.mark.parametrize(("keep", "judged"), [(False, "走。\n答案是：B"), (True, THOUGHT)])
def test_thinking_is_kept_apart_and_judged_only_on_request(keep: bool, judged: str, tmp_path: Path) -> None:
    seen: list[str] = []

    def score(samples: Sequence[Solution]) -> list[float]:
        seen.extend(sample.reasoning for sample in samples)
        return [0.9] * len(samples)

    [drawn] = run(asked(1), FakeEngine(lambda request: THOUGHT), tmp_path, score, replace(SAMPLING, keep_thinking=keep))
    assert {(d.text, d.thinking, d.answer) for d in drawn} == {("走。\n答案是：B", "先猜答案是：A。", "B")}
    assert {d.tokens for d in drawn} == {len(THOUGHT)}, "of both"
    assert set(seen) == {judged}
    assert json.loads(lines([drawn])[0])["thinking"] == "先猜答案是：A。"


@pytest.mark.parametrize("text", ["<think>先猜答案是：A。", "<think>答案是：A</think>"])
def test_what_was_cut_off_while_thinking_has_no_answer(text: str, tmp_path: Path) -> None:
    [drawn] = run(asked(1), FakeEngine(lambda request: text), tmp_path, constant(0.9))
    assert {(d.text, d.answer) for d in drawn} == {("", None)}
    assert all("答案是：A" in d.thinking for d in drawn)


def test_a_template_that_begins_the_thinking(tmp_path: Path) -> None:
    sampling = replace(SAMPLING, window=FakeWindow(after="<think>\n"))
    [drawn] = run(asked(1), FakeEngine(lambda request: "猜A。</think>答案是：C"), tmp_path, unscored, sampling)
    assert {(d.text, d.thinking, d.answer) for d in drawn} == {("答案是：C", "猜A。", "C")}
    [cut] = run(asked(1), FakeEngine(says("A")), tmp_path, unscored, replace(sampling, seed=8))
    assert {(d.text, d.answer) for d in cut} == {("", None)}


# --- which samples are drawn


def test_one_sample_per_slot_when_all_are_accepted(tmp_path: Path) -> None:
    engine = FakeEngine(says("B"))
    history = run(asked(3), engine, tmp_path, constant(0.9))
    assert [[(d.slot, d.round) for d in drawn] for drawn in history] == [[(s, 0) for s in range(1, 6)]] * 3
    assert len(engine.asked) == 15 and engine.opened == 1
    first = history[1][0]
    assert (first.split, first.question, first.answer, first.score, first.accepted(0.5)) == (
        "dev",
        "p1#1",
        "B",
        0.9,
        True,
    )
    assert (first.text, first.tokens, first.finish) == ("走。\n答案是：B", len("走。\n答案是：B"), "stop")


def test_every_sample_has_its_own_seed_and_its_request_is_as_asked_for(tmp_path: Path) -> None:
    engine = FakeEngine(says("B"))
    history = run(asked(3), engine, tmp_path, constant(0.1))
    seeds = [d.seed for drawn in history for d in drawn]
    assert len(set(seeds)) == len(seeds) == 3 * 5 * 3
    assert {r.seed for r in engine.asked} == set(seeds)
    assert {(r.temperature, r.top_p, r.max_tokens, r.adapter) for r in engine.asked} == {(1.0, 0.9, 32, True)}


def test_more_voters_ask_the_engine_only_for_the_new_ones(tmp_path: Path) -> None:
    five = run(asked(4), FakeEngine(varied), tmp_path, by_text)
    engine = FakeEngine(varied)
    seven = run(asked(4), engine, tmp_path, by_text, voters=7)
    assert {d.slot for drawn in seven for d in drawn if d.seed in {r.seed for r in engine.asked}} == {6, 7}
    assert len(engine.asked) == sum(d.slot > 5 for drawn in seven for d in drawn)
    assert [[d for d in drawn if d.slot <= 5] for drawn in seven] == five


def test_fewer_voters_open_no_engine(tmp_path: Path) -> None:
    seven = run(asked(4), FakeEngine(varied), tmp_path, by_text, voters=7)
    engine = FakeEngine(varied)
    five = run(asked(4), engine, tmp_path, by_text, voters=5)
    assert engine.opened == 0
    assert five == [[d for d in drawn if d.slot <= 5] for drawn in seven]


def test_another_threshold_draws_only_what_it_rejects_anew(tmp_path: Path) -> None:
    mild = run(asked(6), FakeEngine(varied), tmp_path, by_text, threshold=0.3)
    engine = FakeEngine(varied)
    strict = run(asked(6), engine, tmp_path, by_text, threshold=0.7)
    known = {d.seed for drawn in mild for d in drawn}
    new = {d.seed for drawn in strict for d in drawn} - known
    assert new and {r.seed for r in engine.asked} == new


@pytest.mark.parametrize("max_resample", [0, 1, 3])
def test_rejected_slots_are_drawn_again_up_to_max_resample(max_resample: int, tmp_path: Path) -> None:
    history = run(asked(2), FakeEngine(says("B")), tmp_path, constant(0.2), max_resample=max_resample)
    expected = [(slot, round_) for round_ in range(max_resample + 1) for slot in range(1, 6)]
    assert [[(d.slot, d.round) for d in drawn] for drawn in history] == [expected] * 2
    assert not any(d.accepted(0.5) for drawn in history for d in drawn)


def test_a_slot_closes_with_its_first_accepted_sample(tmp_path: Path) -> None:
    def third_is_good(samples: Sequence[Solution]) -> list[float]:
        return [0.9 if i == 2 else 0.1 for i in range(len(samples))]

    [drawn] = run(asked(1), FakeEngine(says("B")), tmp_path, third_is_good, max_resample=1)
    again = [(1, 1), (2, 1), (4, 1), (5, 1)]
    assert [(d.slot, d.round) for d in drawn] == [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), *again]
    assert [(d.slot, d.round) for d in drawn if d.accepted(0.5)] == [(3, 0), (4, 1)]


def test_a_sample_without_an_answer_is_rejected_whatever_its_score(tmp_path: Path) -> None:
    [drawn] = run(asked(1), FakeEngine(lambda r: "想一想。"), tmp_path, constant(0.99), max_resample=1)
    assert len(drawn) == 10
    assert {(d.answer, d.accepted(0.5)) for d in drawn} == {(None, False)}


def test_without_a_scorer_every_answer_is_accepted(tmp_path: Path) -> None:
    [drawn] = run(asked(1), FakeEngine(says("C")), tmp_path, unscored)
    assert [(d.score, d.accepted(0.5)) for d in drawn] == [(None, True)] * 5


def test_a_question_is_drawn_again_only_if_all_were_rejected(tmp_path: Path) -> None:
    def only_first_question(samples: Sequence[Solution]) -> list[float]:
        return [0.9 if s.problem == "题目0。" and i == 1 else 0.1 for i, s in enumerate(samples)]

    history = run(asked(2), FakeEngine(says("B")), tmp_path, only_first_question, resample="question", max_resample=1)
    assert [len(drawn) for drawn in history] == [5, 10]


def test_the_rank_is_that_among_the_first_samples_of_all_questions(tmp_path: Path) -> None:
    """The surest question needs one vote, the others more; what is stored has the same rank again."""
    sure = {"题目0。": -0.1, "题目1。": -0.5, "题目2。": -0.9, "题目3。": -2.0}
    engine = FakeEngine(says("B"), lambda r: next(value for text, value in sure.items() if text in r.prompt))
    history = run(asked(4), engine, tmp_path, constant(0.9), adaptive=True, certainty=0.8)
    assert [drawn[0].logprob_rank for drawn in history] == [87, 62, 37, 12]
    assert [len(drawn) for drawn in history] == [1, 1, 2, 3]
    again = FakeEngine(says("B"))
    assert run(asked(4), again, tmp_path, constant(0.9), adaptive=True, certainty=0.8) == history
    assert not again.opened


def test_a_question_alone_is_neither_sure_nor_unsure(tmp_path: Path) -> None:
    [drawn] = run(
        asked(1), FakeEngine(says("B"), lambda r: -3.0), tmp_path, constant(0.9), adaptive=True, certainty=0.8
    )
    assert [d.logprob_rank for d in drawn] == [50, 50]


def test_where_most_samples_have_no_logprob_none_has_a_rank(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in a store of before, to which a new question is added."""
    run(asked(3), FakeEngine(says("B")), tmp_path, constant(0.9), adaptive=True, certainty=0.8)
    engine = FakeEngine(says("B"), lambda r: -1.0)
    history = run(asked(4), engine, tmp_path, constant(0.9), adaptive=True, certainty=0.8)
    assert {d.logprob_rank for drawn in history for d in drawn} == {None}
    assert [len(drawn) for drawn in history] == [2, 2, 2, 2], "0.95 by votes alone"
    assert "3 of 4 questions have a first sample without log-probability" in capsys.readouterr().out


def test_adaptive_stops_when_the_lead_is_decided(tmp_path: Path) -> None:
    [drawn] = run(asked(1), FakeEngine(says("B")), tmp_path, constant(0.9), voters=9, adaptive=True)
    assert [(d.slot, d.round) for d in drawn] == [(1, 0), (2, 0), (3, 0)]


def test_all_open_samples_of_all_questions_are_sent_together(tmp_path: Path) -> None:
    calls: list[int] = []

    class Counting(FakeEngine):
        def generate(self, requests: Sequence[Request]) -> Any:
            calls.append(len(requests))
            return super().generate(requests)

    run(asked(6), Counting(says("B")), tmp_path, constant(0.1), max_resample=1)
    assert calls == [30, 30]


def test_no_questions_open_no_engine(tmp_path: Path) -> None:
    engine = FakeEngine(varied)
    assert run([], engine, tmp_path) == []
    assert engine.opened == 0


# --- slots of programs

PROGRAMS = replace(SAMPLING, instruction="写程序。", temperature=0.3, max_tokens=64, mode="program")


class Solver:
    """Programs here are the text of an option; any other is one that the solver cannot read."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, programs: Sequence[str], options: Sequence[Sequence[str]]) -> list[Verdict]:
        self.asked += programs
        return [
            Verdict("ABCD"[own.index(program)]) if program in own else Verdict(None, "syntax", f"unknown: {program}")
            for program, own in zip(programs, options, strict=True)
        ]


def is_program(request: Request) -> bool:
    return request.prompt.endswith("### 程序\n")


def writes(program: Callable[[Request], str], reasoning: Callable[[Request], str]) -> Callable[[Request], str]:
    return lambda request: program(request) if is_program(request) else reasoning(request)


def with_programs(
    questions: list[Question],
    engine: FakeEngine,
    folder: Path,
    solver: Solver | None = None,
    sampling: Prompting = PROGRAMS,
    examples: Examples | None = None,
    worked: Examples | None = None,
    **changes: Any,
) -> Answering:
    """Two slots of programs and two of reasonings, which a score of 0.9 accepts."""
    settings = replace(ROUNDS, **({"voters": 2, "programs": 2, "max_resample": 1} | changes))
    nothing: Examples = [()] * len(questions)
    shown = nothing if examples is None else examples
    programs, reasoning = (
        Programs(sampling, solver or Solver(), nothing if worked is None else worked),
        replace(SAMPLING, shuffle_options=sampling.shuffle_options),
    )
    with sampler_of(engine, folder) as sampler:
        return Rounds(questions, shown, reasoning, settings, programs).run(sampler, constant(0.9))


def places(samples: Sequence[Sample]) -> list[tuple[str, int, int]]:
    return [(sample.mode, sample.slot, sample.round) for sample in samples]


def test_programs_are_asked_for_in_their_own_way(tmp_path: Path) -> None:
    engine = FakeEngine(writes(lambda r: "西", says("B")))
    [question] = asked(1)
    found = with_programs([question], engine, tmp_path)
    assert places(found.samples[0]) == [("program", 1, 0), ("program", 2, 0), ("steps", 1, 0), ("steps", 2, 0)]
    assert [(s.answer, s.score, s.accepted(0.5)) for s in found.samples[0]] == [("B", None, True)] * 2 + [
        ("B", 0.9, True)
    ] * 2
    programs = [request for request in engine.asked if is_program(request)]
    assert {(r.prompt, r.temperature, r.max_tokens, r.top_p, r.adapter) for r in programs} == {
        (program_prompt("写程序。", "题目0。", question.item), 0.3, 64, 0.9, True)
    }
    assert len({r.seed for r in engine.asked}) == len(engine.asked) == 4
    expected = [prompting.seed_of(question, slot, 0) for prompting in (PROGRAMS, SAMPLING) for slot in (1, 2)]
    assert [s.seed for s in found.samples[0]] == expected


def test_reasonings_are_the_same_with_and_without_programs(tmp_path: Path) -> None:
    """As samples, and as what is in the store: only programs are asked for."""
    alone = answering(asked(4), FakeEngine(varied), tmp_path, constant(0.9), voters=2, max_resample=1)
    engine = FakeEngine(writes(lambda r: "西", varied))
    both = with_programs(asked(4), engine, tmp_path)
    assert [[s for s in drawn if s.mode == "steps"] for drawn in both.samples] == alone.samples
    assert engine.asked and all(map(is_program, engine.asked))


def test_abstentions_are_drawn_again_and_say_why(tmp_path: Path) -> None:
    first = {PROGRAMS.seed_of(question, 1, 0) for question in asked(1)}
    engine = FakeEngine(writes(lambda r: "西" if r.seed in first else "？", says("B")))
    solver = Solver()
    [drawn] = with_programs(asked(1), engine, tmp_path, solver).samples
    assert places(drawn) == [("program", 1, 0), ("program", 2, 0), ("steps", 1, 0), ("steps", 2, 0), ("program", 2, 1)]
    told = ("syntax", "unknown: ？")
    assert [(s.cause, s.detail) for s in drawn] == [(None, ""), told, (None, ""), (None, ""), told]
    assert solver.asked == ["西", "？", "？"], "no reasoning is run"


def test_what_was_cut_or_refused_is_not_run(tmp_path: Path) -> None:
    class Cutting(FakeEngine):
        def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
            for index, completion in super().generate(requests):
                cut = is_program(requests[index]) and "题目0" in requests[index].prompt
                refused = "不便回答" if is_program(requests[index]) and "题目1" in requests[index].prompt else None
                yield index, replace(completion, finish="length" if cut else "stop", refused=refused)

    solver = Solver()
    found = with_programs(asked(2), Cutting(writes(lambda r: "西", says("B"))), tmp_path, solver, max_resample=0)
    causes = [{(s.answer, s.cause, s.detail) for s in drawn if s.mode == "program"} for drawn in found.samples]
    assert causes == [{(None, "cut", "")}, {(None, "refused", "不便回答")}] and solver.asked == []
    assert not any("cut" in str(s.cause) for drawn in found.samples for s in drawn if s.mode == "steps")


def test_a_question_that_does_not_fit_gets_empty_programs(tmp_path: Path) -> None:
    tight = replace(PROGRAMS, window=FakeWindow(100))
    solver = Solver()
    found = with_programs(
        asked(1, problem="长" * 90), FakeEngine(says("B")), tmp_path, solver, tight, programs=1, max_resample=0
    )
    program, *_ = found.samples[0]
    assert (program.mode, program.text, program.cause, solver.asked) == ("program", "", "cut", [])


def test_options_of_programs_are_shuffled_and_mapped_back(tmp_path: Path) -> None:
    shuffled = replace(PROGRAMS, shuffle_options=True)
    engine = FakeEngine(writes(lambda r: "北", answer_north))
    found = with_programs(asked(4), engine, tmp_path, sampling=shuffled)
    assert {s.answer for drawn in found.samples for s in drawn} == {"D"}, "北 is option D of the question itself"
    assert len({tuple(shown_options(r.prompt)) for r in engine.asked if is_program(r)}) > 3


def test_prompts_for_reasonings_and_for_programs_have_their_own_examples(tmp_path: Path) -> None:
    examples = [("例一。", QuestionItem("问？", ["1", "2"], "想。\n答案是：A", "A"))]
    worked = [("例二。", QuestionItem("问？", ["1", "2"], answer="A", program="answer(1)."))]
    engine = FakeEngine(writes(lambda r: "西", says("B")))
    [question] = asked(1)
    with_programs([question], engine, tmp_path, examples=[examples], worked=[worked])
    assert {r.prompt for r in engine.asked if is_program(r)} == {
        program_prompt("写程序。", "题目0。", question.item, worked)
    }
    assert {r.prompt for r in engine.asked if not is_program(r)} == {
        solve_prompt("解答。", "题目0。", question.item, examples)
    }


def test_programs_are_ranked_among_programs(tmp_path: Path) -> None:
    def logprob(request: Request) -> float:
        number = int(re.findall(r"题目(\d)", request.prompt)[0])
        return -5.0 - number if is_program(request) else -0.1 * (4 - number)

    engine = FakeEngine(writes(lambda r: "西", says("B")), logprob)
    found = with_programs(asked(2), engine, tmp_path)
    assert [[s.logprob_rank for s in drawn] for drawn in found.samples] == [[75, 75, 25, 25], [25, 25, 75, 75]]


def test_adaptive_draws_programs_first_and_reasonings_where_they_abstain(tmp_path: Path) -> None:
    engine = FakeEngine(writes(lambda r: "西" if "题目0" in r.prompt else "？", says("B")), lambda r: -1.0)
    sparing: dict[str, Any] = {"adaptive": True, "certainty": 0.8, "voters": 3}
    found = with_programs(asked(2), engine, tmp_path, program_weight=3.0, **sparing)
    assert places(found.samples[0]) == [("program", 1, 0)]
    modes = [mode for mode, _, _ in places(found.samples[1])]
    assert modes.count("program") == 4 and modes.count("steps") == 2
    assert found.codes("dev") == [1, 1] and found.unanswered == 0

    worthless = with_programs(asked(2), FakeEngine(says("B")), tmp_path, program_weight=0.0, **sparing)
    assert {s.mode for drawn in worthless.samples for s in drawn} == {"steps"}


def test_programs_and_reasonings_of_a_round_are_sent_together(tmp_path: Path) -> None:
    calls: list[int] = []

    class Counting(FakeEngine):
        def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
            calls.append(len(requests))
            return super().generate(requests)

    with_programs(asked(3), Counting(writes(lambda r: "？", says("B"))), tmp_path)
    assert calls == [12, 6]


def test_a_program_outvotes_reasonings_by_its_weight(tmp_path: Path) -> None:
    engine = FakeEngine(writes(lambda r: "北", says("B")))
    for weight, letter in ((2.0, "D"), (0.5, "B"), (0.0, "B")):
        found = with_programs(asked(1), engine, tmp_path, program_weight=weight)
        assert found.codes("dev") == ["ABCD".index(letter)]
    silent = with_programs(
        asked(1), FakeEngine(writes(lambda r: "北", lambda r: "想。")), tmp_path / "x", program_weight=0.0
    )
    assert (silent.codes("dev"), silent.unanswered) == ([0], 1), "an answer without weight is none"


def test_a_line_of_a_program_says_what_became_of_it(tmp_path: Path) -> None:
    found = with_programs(asked(1), FakeEngine(writes(lambda r: "？", says("B"))), tmp_path, programs=1, max_resample=0)
    program, *_ = map(json.loads, lines(found.samples))
    assert {name: program[name] for name in ("mode", "slot", "answer", "score", "accepted", "cause", "detail")} == {
        "mode": "program",
        "slot": 1,
        "answer": None,
        "score": None,
        "accepted": False,
        "cause": "syntax",
        "detail": "unknown: ？",
    }


@pytest.mark.parametrize("changes", [{}, {"adaptive": True, "certainty": 0.8}, {"resample": "question"}])
def test_blocks_make_no_difference(changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks are those among all questions, and samples are in their order, however few are drawn together."""

    def drawn(folder: str) -> tuple[list[list[Sample]], list[int]]:
        engine = FakeEngine(
            writes(lambda r: "北?东"[r.seed % 3], varied), lambda r: -(r.seed % 7) / 7 if r.seed % 5 else None
        )
        found = with_programs(asked(11), engine, tmp_path / folder, voters=4, max_resample=2, **changes)
        assert found.count == len(list(found.every_sample)) == sum(map(len, found.samples))
        return found.samples, found.codes("dev")

    together = drawn("together")
    assert len({sample.logprob_rank for own in together[0] for sample in own}) > 3
    monkeypatch.setattr("augen.answering.rounds.BLOCK", 3)
    monkeypatch.setattr("augen.answering.rounds.READ", 2)
    monkeypatch.setattr("augen.answering.kept.READ", 50)
    assert drawn("in blocks") == together


# --- what programs are worth, and what is said about them


def test_the_weight_is_given_guessed_or_learned(tmp_path: Path) -> None:
    engine = FakeEngine(writes(lambda r: "北", says("B")))
    truth = [Entry(q.problem, [replace(q.item, answer="D")], q.problem_id) for q in asked(8)]
    tried = with_programs(asked(8), engine, tmp_path)
    assert weight_of(tried, truth, 7.5) == Weight(7.5, "given")
    assert weight_of(with_programs([], engine, tmp_path), [], None) == Weight(3.0, "assumed")
    assert weight_of(with_programs([], engine, tmp_path, programs=0), [], None) == Weight(1.0, "unused")
    found = weight_of(tried, truth, None)
    assert (found.source, found.program, found.programs_right) == ("learned", HIGHEST, 16)


def said(weight: Weight, samples: Sequence[Sample]) -> list[str]:
    tally = ProgramTally()
    assert list(tally.of(samples)) == list(samples) and tally.samples == len(samples)
    return program_lines(weight, tally)


def test_what_is_said_about_programs() -> None:
    samples = [Sample("A", mode="program", tokens=5)] * 2 + [Sample("B", 0.9, tokens=70)]
    samples += [Sample(None, mode="program", cause=cause, tokens=1_000) for cause in ("several", "syntax", "syntax")]
    assert said(Weight(1.0, "unused"), samples) == []
    drawn, given = said(Weight(2.5, "given"), samples)
    assert drawn == "2 of 5 programs have an answer; the others: 2 syntax, 1 several"
    assert given == "one program counts as 2.5 votes: infer.program_weight says so"
    assert said(Weight(3.0, "given"), samples[:3])[0] == "2 of 2 programs have an answer"
    _, learned = said(Weight(0.0, "learned", 40, 9, 120, 30, 8), samples)
    assert learned == (
        "programs do not help and do not vote: of 120 programs for 40 held-out questions 30 have an answer and 8 the "
        "right one; all of this run took 5 samples and 3,010 tokens: set infer.programs to 0, or teach the generator "
        "to write them"
    )


# --- what the engine and the scorer are shown


def test_the_prompt_holds_the_examples_and_is_wrapped(tmp_path: Path) -> None:
    example = ("别的题目。", QuestionItem("问？", ["1", "2"], "想。\n答案是：A", "A"))
    engine = FakeEngine(says("B"))
    [question] = asked(1)
    wrapping = replace(SAMPLING, window=FakeWindow(before="<user>", after="<assistant>"))
    run([question], engine, tmp_path, sampling=wrapping, examples=[[example]])
    expected = solve_prompt("解答。", "题目0。", question.item, [example])
    assert {r.prompt for r in engine.asked} == {f"<user>{expected}<assistant>"}


def test_examples_that_do_not_fit_are_dropped_the_least_similar_first(tmp_path: Path) -> None:
    examples = [(f"例{i}。", QuestionItem("问？", ["1", "2"], "想。\n答案是：A", "A")) for i in range(3)]
    [question] = asked(1)
    two = solve_prompt("解答。", "题目0。", question.item, examples[1:])
    for room, kept in ((len(two), examples[1:]), (len(two) - 1, examples[2:])):
        engine = FakeEngine(says("B"))
        tight = replace(SAMPLING, window=FakeWindow(room + SAMPLING.max_tokens))
        run([question], engine, tmp_path, sampling=tight, examples=[examples])
        assert {r.prompt for r in engine.asked} == {solve_prompt("解答。", "题目0。", question.item, kept)}


def test_a_question_that_does_not_fit_gets_empty_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = [*asked(1), *asked(1, id="long#1", problem="长" * 500)]
    engine = FakeEngine(says("B"))
    tight = replace(SAMPLING, window=FakeWindow(300))
    found = answering(
        both, engine, tmp_path, constant(0.9), sampling=tight, voters=2, max_resample=1, method="weighted", fallback="C"
    )
    short, long = found.samples
    assert [(d.slot, d.round, d.answer) for d in short] == [(1, 0, "B"), (2, 0, "B")]
    assert [(d.slot, d.round) for d in long] == [(1, 0), (2, 0), (1, 1), (2, 1)]
    assert {(d.text, d.answer, d.accepted(0.5), d.tokens, d.finish) for d in long} == {("", None, False, 0, "length")}
    assert len(engine.asked) == 2
    assert (found.codes("dev"), found.unanswered) == ([1, 2], 1)
    assert "1 questions are too long for engine.max_model_len" in capsys.readouterr().out


def shown_options(prompt: str) -> list[str]:
    return re.findall(r"^[A-D]: (.+)$", prompt, re.MULTILINE)


def answer_north(request: Request) -> str:
    """Finds the option 北 wherever it stands."""
    return f"往北。\n答案是：{'ABCD'[shown_options(request.prompt).index('北')]}"


def test_shuffled_options_are_mapped_back(tmp_path: Path) -> None:
    engine = FakeEngine(answer_north)
    scored: list[Solution] = []

    def score(samples: Sequence[Solution]) -> list[float]:
        scored.extend(samples)
        return [0.9] * len(samples)

    history = run(asked(4), engine, tmp_path, score, sampling=replace(SAMPLING, shuffle_options=True))
    assert {d.answer for drawn in history for d in drawn} == {"D"}, "北 is option D of the question itself"
    orders = {tuple(shown_options(r.prompt)) for r in engine.asked}
    assert len(orders) > 5 and all(sorted(order) == sorted(OPTIONS) for order in orders)
    assert len({d.text for drawn in history for d in drawn}) > 1, "the text itself keeps the letter of the prompt"
    for sample in scored:
        letter = sample.reasoning[-1]
        assert sample.question.options["ABCD".index(letter)] == "北", "the scorer sees the order that was shown"


def test_all_prompts_of_a_question_begin_alike(tmp_path: Path) -> None:
    """Instruction, examples and problem come first, so that an engine with prefix caching computes them once."""
    example = ("别的题目。", QuestionItem("问？", ["1", "2"], "想。\n答案是：A", "A"))
    engine = FakeEngine(says("B"))
    [question] = asked(1)
    run([question], engine, tmp_path, sampling=replace(SAMPLING, shuffle_options=True), examples=[[example]])
    assert len({r.prompt for r in engine.asked}) > 1
    head = solve_prompt("解答。", "题目0。", question.item, [example]).split("A: 东")[0]
    assert head.endswith("### 题目\n题目0。\n\n### 问题\n往哪走？\n")
    assert all(r.prompt.startswith(head) for r in engine.asked)


def test_a_slot_keeps_its_order_of_options_in_every_round() -> None:
    shuffled = replace(SAMPLING, shuffle_options=True)
    [question] = asked(1)
    one, again = (shuffled.request(question, (), 3, round_) for round_ in (0, 1))
    assert one and again and one.prompt == again.prompt and one.seed != again.seed
    assert [shuffled.order(question, slot) for slot in range(1, 6)] != [[0, 1, 2, 3]] * 5


def test_unshuffled_options_stand_as_they_are() -> None:
    [question] = asked(1)
    assert SAMPLING.order(question, 3) == [0, 1, 2, 3]
    assert SAMPLING.shown(question, 3) == question.item


@given(slot=st.integers(1, 50), position=st.integers(0, 3), shuffle=st.booleans())
def test_the_letter_maps_back_to_the_option_that_was_shown(slot: int, position: int, shuffle: bool) -> None:
    sampling = replace(SAMPLING, shuffle_options=shuffle)
    [question] = asked(1)
    chosen = sampling.shown(question, slot).options[position]
    letter = sampling.answer(question, slot, f"答案是：{'ABCD'[position]}")
    assert letter and question.item.options["ABCD".index(letter)] == chosen


def test_a_letter_beyond_the_options_is_no_answer() -> None:
    [question] = asked(1, item=QuestionItem("往哪走？", ["东", "西"]))
    shuffled = replace(SAMPLING, shuffle_options=True)
    assert SAMPLING.answer(question, 1, "答案是：C") is None
    assert shuffled.answer(question, 1, "答案是：C") is None


# --- from samples to files


def drawn(question: str, slot: int, answer: str | None, score: float | None = 0.9, round_: int = 0) -> Sample:
    return Sample(answer, score, slot, round_, split="dev", question=question, seed=1, text="…", tokens=3)


def test_samples_are_written_by_question_round_and_slot(tmp_path: Path) -> None:
    text = "".join(lines(run(asked(3), FakeEngine(varied), tmp_path, by_text)))
    rows = [json.loads(line) for line in text.splitlines()]
    assert list(rows[0]) == [
        "split", "question", "slot", "round", "seed", "text", "answer", "score", "accepted", "tokens", "finish",
        "logprob_rank", "mode", "cause", "detail", "thinking",
    ]  # fmt: skip
    ids = [q.id for q in asked(3)]
    order = [(ids.index(row["question"]), row["round"], row["slot"]) for row in rows]
    assert order == sorted(order) and len(set(order)) == len(order)
    assert max(row["round"] for row in rows) > 0
    assert text.endswith("\n") and lines([]) == []


def test_the_same_run_writes_the_same_bytes(tmp_path: Path) -> None:
    first = lines(run(asked(4), FakeEngine(varied), tmp_path / "one", by_text))
    assert lines(run(asked(4), FakeEngine(varied), tmp_path / "two", by_text)) == first
    assert lines(run(asked(4), FakeEngine(says("A")), tmp_path / "one", by_text)) == first, "from the store"


def test_chinese_is_written_as_it_is() -> None:
    assert "…" in "".join(lines([[drawn("p#1", 1, "A")]]))


def decided(questions: list[Question], history: list[list[Sample]], **changes: Any) -> Answering:
    settings = replace(ROUNDS, **changes)
    grid = SampleGrid.empty(len(questions), settings)
    for number, own in enumerate(history):
        grid.add([number] * len(own), own, settings.threshold)
    return Answering(questions, history, grid, settings)


def test_decisions_by_question() -> None:
    history = [[drawn("p0#1", 1, "B"), drawn("p0#1", 2, "B"), drawn("p0#1", 3, "C")], [drawn("p1#1", 1, "A", 0.1)]]
    found = decided(asked(2), history)
    assert (found.codes("dev"), found.codes("test"), found.unanswered) == ([1, 0], [], 0)


@pytest.mark.parametrize(
    ("fallback", "options", "answer"), [("A", 2, "A"), ("B", 4, "B"), ("E", 3, "C"), ("Z", 2, "B")]
)
def test_a_fallback_beyond_the_options_is_their_last_letter(fallback: str, options: int, answer: str) -> None:
    short = asked(1, item=QuestionItem("往哪走？", OPTIONS[:options]))
    found = decided(short, [[drawn("p0#1", 1, None)]], method="weighted", fallback=fallback)
    assert (found.codes("dev"), found.unanswered) == (["ABCD".index(answer)], 1)


def entries() -> list[Entry]:
    items = [QuestionItem("问？", OPTIONS), QuestionItem("再问？", OPTIONS)]
    return [Entry(f"题目{i}。", items, f"p{i}") for i in range(2)]


def test_questions_in_order() -> None:
    found = questions(entries(), "test")
    assert [q.id for q in found] == ["p0#1", "p0#2", "p1#1", "p1#2"]
    assert {q.split for q in found} == {"test"} and found[3].problem == "题目1。"


def test_every_question_has_its_own_examples(tmp_path: Path) -> None:
    examples = [[(f"例{i}。", QuestionItem("？", ["1", "2"], "想。"))] for i in range(3)]
    engine = FakeEngine(says("B"))
    run(asked(3), engine, tmp_path, examples=examples, voters=1)
    for i in range(3):
        assert [r for r in engine.asked if f"例{i}。" in r.prompt] == [
            r for r in engine.asked if f"题目{i}。" in r.prompt
        ]


def test_answers_are_filled_in_and_nothing_else() -> None:
    filled = list(answered(entries(), [0, 1, 2, 3]))
    assert [q.answer for e in filled for q in e.questions] == ["A", "B", "C", "D"]
    assert [replace(e, questions=[replace(q, answer=None) for q in e.questions]) for e in filled] == entries()


def test_examples_are_written_for_every_question() -> None:
    solved = QuestionItem("谁高？", ["丙", "丁"], "丙高。\n答案是：A", "A", "solver")
    programmed = QuestionItem("谁高？", ["丙", "丁"], answer="A", program='answer("丙").')
    with_one, without = asked(2)
    found, worked = [[("丙比丁高。", solved)], []], [[("丙比丁高。", programmed)], []]
    first, second = map(json.loads, example_lines([with_one, without], found, worked))
    assert first["examples"] == [
        {
            "problem": "丙比丁高。",
            "question": "谁高？",
            "options": ["丙", "丁"],
            "reasoning": "丙高。\n答案是：A",
            "answer": "A",
        }
    ]
    assert (first["question"], second["question"]) == (with_one.id, without.id)
    [program] = first["programs"]
    assert (program["program"], program["problem"], "reasoning" in program) == ('answer("丙").', "丙比丁高。", False)
    assert second["examples"] == second["programs"] == []
