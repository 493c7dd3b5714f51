"""Programs for real problems, by a served model that writes some of every quality; the real sandbox runs them.

The model does not solve anything: it knows the answers and states them as programs, right ones or damaged ones. What is
tested is everything around it.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from augen.core.seeds import seed_of
from augen.entries import Entry, Question, QuestionItem, letter_of, questions
from augen.entries.jsonl import write_jsonl
from augen.entries.pickles import load_pickle
from augen.programs.options import verdict
from augen.programs.solver import Limits, Solver
from augen.prompts.sections import PROGRAM, REASONING, query_text, question_block
from augen.retrieval.index import Embedder, rows_of, write_index
from demo.base import Reply
from demo.chat import MODELS, OpenAIServer
from tests.integration.paid import Repository
from tests.integration.test_infer_stage import TINY, Project
from tests.integration.test_program_stage import NO_SOLVER
from tests.real import real_entries

SEED = 42
Quality = Callable[[Question, int], str]  # of a text for the question with this seed


def right(item: QuestionItem) -> str:
    return f"holds. pick({str(item.answer).lower()}) :- holds."


def another(item: QuestionItem) -> str:
    return next(letter for i in range(len(item.options)) if (letter := letter_of(i)) != item.answer)


# How a text is made from the question, and what becomes of it: None if it is kept.
QUALITIES: dict[str, tuple[Callable[[QuestionItem], str], str | None]] = {
    "plain": (right, None),
    "fenced": (lambda item: f"先分析题目。\n```prolog\n{right(item)}\n```\n以上就是程序。", None),
    "corrected": (lambda item: f"```\nanswer(\n```\n改正：\n```clingo\n{right(item)}\n```", None),
    "wrong": (lambda item: right(replace(item, answer=another(item))), "another answer"),
    "ampersands": (lambda item: right(item).replace(":-", "&&"), "syntax"),
    "talk": (lambda item: f"答案是{item.answer}，因为其余选项都不成立。", "syntax"),
    "nothing": (lambda item: "```\n```", "syntax"),
    "forbidden": (lambda item: f"#script (python)\nimport os\n#end.\n{right(item)}", "forbidden"),
    "several": (lambda item: f"1 {{ pick({str(item.answer).lower()}; {another(item).lower()}) }} 1.", "several"),
    "contradiction": (lambda item: f"{right(item)} :- holds.", "no_model"),
    "no option": (lambda item: 'answer("四十二个苹果").', "no_option"),
    "endless": (lambda item: f"n(1..3000). p(X,Y,Z) :- n(X), n(Y), n(Z). {right(item)}", "time"),
    "crash": (lambda item: f"answer({'-' * 20_000}1).", "crash"),
    "cut": (right, "cut"),
    "silent": (lambda item: "", "refused"),
}
REPEATED = [name for name in QUALITIES if name != "silent"]  # an empty reply is no answer, and is asked for again


class KnowingServer(OpenAIServer):
    """Writes programs for `asked` in the quality that `quality` says; reasonings for them say `letter`."""

    def __init__(self, asked: Sequence[Question], quality: Quality) -> None:
        super().__init__()
        self.asked = {question_block(question.problem, question.item): question for question in asked}
        assert len(self.asked) == len(asked), "each question is known by its text"
        self.quality = quality
        self.letter: Callable[[Question], str] = lambda question: str(question.item.answer)
        self.prompts: list[str] = []

    def answer(self, request: BaseHTTPRequestHandler, body: Any) -> Reply:
        reply = super().answer(request, body)
        prompt = body["messages"][-1]["content"]
        if prompt.endswith(f"{PROGRAM}\n") and self.quality(self._question(prompt), body["seed"]) == "cut":
            reply.body["choices"][0]["finish_reason"] = "length"
        return reply

    def text(self, prompt: str, body: Any) -> str:
        self.prompts.append(prompt)
        question = self._question(prompt)
        if prompt.endswith(f"{PROGRAM}\n"):
            return QUALITIES[self.quality(question, body["seed"])][0](question.item)
        return f"想一想。\n答案是：{self.letter(question)}"

    def _question(self, prompt: str) -> Question:
        last = prompt[prompt.rindex("### 题目") :]
        return self.asked[last.removesuffix(f"{PROGRAM}\n").removesuffix(f"{REASONING}\n")]


def distinct(entries: Sequence[Entry]) -> list[Entry]:
    """The real problems without questions that another one has word for word."""
    seen = Counter(question_block(q.problem, q.item) for q in questions(entries))
    return [e for e in entries if all(seen[question_block(e.problem, item)] == 1 for item in e.questions)]


@pytest.fixture(scope="module")
def real() -> list[Entry]:
    return distinct(real_entries())


@pytest.fixture
def serve() -> Iterator[Callable[[Sequence[Entry], Quality], KnowingServer]]:
    servers: list[KnowingServer] = []

    def start(entries: Sequence[Entry], quality: Quality) -> KnowingServer:
        servers.append(KnowingServer(questions(entries), quality))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


Serve = Callable[[Sequence[Entry], Quality], KnowingServer]


def test_reason_true_keeps_the_programs_that_compute_the_known_answer(
    real: list[Entry], serve: Serve, tmp_path: Path
) -> None:
    entries = real[:24]
    asked = questions(entries)
    names = list(QUALITIES)
    first = {question.id: names[n % len(names)] for n, question in enumerate(asked)}
    saved = {question.id for n, question in enumerate(asked) if n // len(names) % 2}  # by their second attempt
    second = {seed_of(SEED, "programs", id, 1) for id in saved}
    server = serve(entries, lambda question, seed: "plain" if seed in second else first[question.id])
    settings = {
        "seed": SEED,
        "rag.embedder": str(TINY / "embedder"),
        "reason_true.programs": True,
        "reason_true.program_examples": 2,
        "reason_true.attempts": 2,
        "reason_true.backend": "openai",
        "reason_true.models": [MODELS[0]],
        "providers.openai.base_url": f"{server.url}/v1",
    }
    repository = Repository(tmp_path / "repository", entries, settings)
    command = (sys.executable, "-m", "stages.reason_true")
    done = repository.run(*command, timeout_s=2400)
    assert done.returncode == 0, done.stdout + done.stderr

    kept = load_pickle(repository.path / "data/reasoned/entries.pkl")
    known = [question for question in questions(kept) if question.item.program]
    right_at_once = {id for id, name in first.items() if QUALITIES[name][1] is None}
    assert {question.id for question in known} == right_at_once | saved
    with Solver(Limits(), workers=2) as solver:
        results = solver.run([str(question.item.program) for question in known])
    letters = [verdict(result, q.item.options).letter for q, result in zip(known, results, strict=True)]
    assert letters == [question.item.answer for question in known]

    lines = (repository.path / "reports/failed.jsonl").read_text(encoding="utf-8").splitlines()
    failed = {record["request"]: record["cause"].split(": ") for record in map(json.loads, lines)}
    expected = {id: QUALITIES[name][1] for id, name in first.items() if id not in right_at_once | saved}
    assert {id: cause[1] for id, cause in failed.items()} == expected
    assert set(expected.values()) == {cause for _, cause in QUALITIES.values()} - {None}
    assert all(len(cause) > 2 for cause in failed.values() if cause[1] not in ("cut", "several")), "what clingo said"
    assert f"programs: for {len(known):,} of the {len(asked):,} questions that needed one" in done.stdout
    told = ", ".join(f"{count:,} {cause}" for cause, count in Counter(expected.values()).most_common(1))
    assert f"the others, by what became of the last attempt: {told}" in done.stdout

    programs = [prompt for prompt in server.prompts if prompt.endswith(f"{PROGRAM}\n")]
    assert {prompt.count(f"{PROGRAM}\n") for prompt in programs} == {3}, "two worked programs in each"
    examples = {prompt[: prompt.rindex("### 题目")] for prompt in programs}
    assert len(examples) > 10, "those of different problems differ"
    assert not any("#use" in prompt or "答案是" in prompt for prompt in examples), "they need no library"

    answers, outs = Counter(server.answered), [path.read_bytes() for path in repository.path.glob("data/reasoned/*")]
    assert repository.run(*command, timeout_s=2400).returncode == 0
    assert [path.read_bytes() for path in repository.path.glob("data/reasoned/*")] == outs
    again = server.answered - answers
    silent = {question_block(q.problem, q.item) for q in asked if first[q.id] == "silent"}
    assert all(any(block in json.loads(body)["messages"][0]["content"] for block in silent) for body in again)


def infer_project(path: Path, server: KnowingServer, parts: dict[str, list[Entry]], **changes: Any) -> Project:
    """A repository that infers on real problems: `parts` are dev, votes and test."""
    settings = {
        "seed": SEED,
        "infer.engine": "openai",
        "infer.models": [MODELS[0]],
        "prompt.chat_template": True,
        "engine.max_model_len": 8192,
        "providers.openai.base_url": f"{server.url}/v1",
        "infer.programs": 2,
        "voters": 2,
        **changes,
    }
    project = Project(path, settings)
    for name, entries in parts.items():
        write_jsonl(project.path / f"data/{name}.jsonl", entries)
    return project


def test_infer_runs_programs_of_every_quality_beside_reasonings(
    real: list[Entry], serve: Serve, tmp_path: Path
) -> None:
    parts = {"dev": real[:10], "votes": real[10:16], "test": real[16:18]}
    library = real[18:40]

    def quality(question: Question, seed: int) -> str:
        return "plain" if question.problem_id in held_out else REPEATED[seed % len(REPEATED)]

    held_out = {entry.id for entry in parts["votes"]}
    server = serve([entry for part in parts.values() for entry in part], quality)
    project = infer_project(tmp_path / "repository", server, parts, **{"rag.k": 2, "max_resample": 1})
    kinds = (("想。", None), (None, "answer(1)."), ("想。", "answer(1)."))
    for number, entry in enumerate(library):
        reasoning, program = kinds[number % len(kinds)]
        library[number] = replace(
            entry, questions=[replace(i, reasoning=reasoning, program=program) for i in entry.questions]
        )
    rows = list(rows_of(library))
    texts = [query_text(row.problem, QuestionItem(row.question, row.options)) for row in rows]
    write_index(project.path / "models/index", rows, [Embedder(str(TINY / "embedder")).embed(texts)], len(texts))
    done = project.infer()

    samples = list(map(json.loads, project.samples))
    programs = [sample for sample in samples if sample["mode"] == "program"]
    items = {q.id: q for part in parts.values() for q in questions(part)}
    causes = {sample["cause"] for sample in programs}
    assert causes == {QUALITIES[name][1] for name in REPEATED} - {"another answer"}
    for sample in programs:
        name = quality(items[sample["question"]], sample["seed"])
        cause = QUALITIES[name][1]
        truth = items[sample["question"]].item.answer
        if cause == "another answer":
            assert sample["answer"] not in (None, truth)
        else:
            assert (sample["cause"], sample["answer"]) == (cause, None if cause else truth), name
    for prompt in server.prompts:
        own = PROGRAM if prompt.endswith(f"{PROGRAM}\n") else REASONING
        assert [prompt.count(f"{kind}\n") for kind in (PROGRAM, REASONING)] == ([3, 0] if own == PROGRAM else [0, 3])
    lines = (project.path / "data/examples.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(len(found["examples"]) == len(found["programs"]) == 2 for found in map(json.loads, lines))
    weight = json.loads((project.path / "data/vote_weights.json").read_text())
    assert weight["source"] == "learned" and weight["programs_right"] == weight["programs_answered"] > 0
    assert f"{sum(s['answer'] is not None for s in programs)} of {len(programs)} programs have an answer" in done.stdout

    asked, stored = len(server.arrivals), project.samples
    project.infer(sys.executable, "-c", NO_SOLVER)
    assert project.samples == stored and len(server.arrivals) == asked, "neither the model nor the solver is asked"


def test_a_generator_that_cannot_write_programs_does_no_harm(real: list[Entry], serve: Serve, tmp_path: Path) -> None:
    """Of 72 programs 18 answer, 8 of them right, where the reasonings are right as well."""
    votes: list[Entry] = []
    while len(questions(votes)) < 36:
        entry = real[len(votes)]
        room = 36 - len(questions(votes))
        votes.append(replace(entry, questions=entry.questions[:room]))
    used = len(votes)
    parts = {"dev": real[used : used + 2], "votes": votes, "test": real[used + 2 : used + 6]}
    number = {question.id: n for n, question in enumerate(questions(votes))}
    first_slots = {seed_of(SEED, "program", id, 1, 0): id for id in number}

    def quality(question: Question, seed: int) -> str:
        n = number.get(first_slots.get(seed, ""), 36)
        if n < 16:
            return "talk" if n % 2 else "plain"
        if n < 26:
            return "wrong"
        return ("ampersands", "nothing", "wrong")[seed % 3] if question.id not in number else "ampersands"

    server = serve([entry for part in parts.values() for entry in part], quality)
    server.letter = lambda q: another(q.item) if number.get(q.id, 0) % 2 else str(q.item.answer)
    project = infer_project(tmp_path / "repository", server, parts, max_resample=0)
    done = project.infer()
    weight = json.loads((project.path / "data/vote_weights.json").read_text())
    assert (weight["programs_drawn"], weight["programs_answered"], weight["programs_right"]) == (72, 18, 8)
    assert (weight["source"], weight["program"]) == ("learned", 0.0)
    programs = [sample for sample in map(json.loads, project.samples) if sample["mode"] == "program"]
    tokens = sum(sample["tokens"] for sample in programs)
    assert "programs do not help and do not vote: of 72 programs for 36 held-out questions 18 have" in done.stdout
    assert f"took {len(programs)} samples and {tokens:,} tokens: set infer.programs to 0" in done.stdout

    upload = (project.path / "data/upload.jsonl").read_bytes()
    project.set(**{"infer.programs": 0})
    project.infer()
    assert (project.path / "data/upload.jsonl").read_bytes() == upload
