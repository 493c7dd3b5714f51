"""The infer stage with slots of programs: a served model writes some of every quality, the real sandbox runs them."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from augen.entries import Entry, QuestionItem
from augen.entries.jsonl import read_jsonl, write_jsonl
from demo.base import Reply
from demo.chat import MODELS, OpenAIServer
from tests.integration.test_infer_stage import Project

ANSWER = "answer(X) :- X = 3 + 4."
# What the model writes for the problem that is named so, and the cause of its abstention.
PROGRAMS = {
    "right": (ANSWER, None),
    "fenced": (f"程序如下：\n```asp\n{ANSWER}\n```", None),
    "syntax": ("answer(7", "syntax"),
    "forbidden": ("#script (python)\nimport os\n#end.\nanswer(7).", "forbidden"),
    "no_model": (f"{ANSWER} :- answer(7).", "no_model"),
    "several": ("1 { answer(5; 7) } 1.", "several"),
    "no_option": ("answer(99).", "no_option"),
    "time": ("n(1..2000). p(X,Y,Z) :- n(X), n(Y), n(Z). answer(7).", "time"),
    "crash": (f"answer({'-' * 20_000}1).", "crash"),
    "cut": (ANSWER, "cut"),
}
# In a process where the solver cannot start, no program is run.
NO_SOLVER = (
    "import runpy\n"
    "import augen.programs.solver\n"
    "augen.programs.solver._Worker.run = None\n"
    "runpy.run_module('stages.infer', run_name='__main__')\n"
)


class ProgramServer(OpenAIServer):
    """Reasonings always say A; a program is that of the problem's name."""

    def answer(self, request: BaseHTTPRequestHandler, body: Any) -> Reply:
        reply = super().answer(request, body)
        if "（cut）" in body["messages"][-1]["content"] and reply.status == 200:
            reply.body["choices"][0]["finish_reason"] = "length"
        return reply

    def text(self, prompt: str, body: Any) -> str:
        if not prompt.rstrip().endswith("### 程序"):
            return super().text(prompt, body)
        [name] = [name for name in PROGRAMS if f"（{name}）" in prompt]
        return PROGRAMS[name][0]


def problems(*names: str) -> list[Entry]:
    """One problem for each of `names`; the answer is 7, option B."""
    item = QuestionItem("盒子里一共有几个球？", ["5", "7", "12", "30"], answer="B")
    return [
        Entry(f"盒子（{name}）里先放了3个球，又放了4个球。", [item], f"p_{number}") for number, name in enumerate(names)
    ]


@pytest.fixture
def server() -> Iterator[ProgramServer]:
    with ProgramServer() as server:
        yield server


@pytest.fixture
def project(server: ProgramServer, tmp_path: Path) -> Project:
    changes = {
        "infer.engine": "openai",
        "infer.models": [MODELS[0]],
        "prompt.chat_template": True,
        "providers.openai.base_url": f"{server.url}/v1",
        "infer.programs": 2,
        "voters": 2,
    }
    project = Project(tmp_path / "repository", changes)
    write_jsonl(project.path / "data/dev.jsonl", problems(*PROGRAMS))
    write_jsonl(project.path / "data/votes.jsonl", problems(*["right"] * 8))
    write_jsonl(project.path / "data/test.jsonl", problems("right", "syntax"))
    return project


def test_programs_of_every_quality(project: Project, server: ProgramServer) -> None:
    done = project.infer()
    samples = list(map(json.loads, project.samples))
    programs = [sample for sample in samples if sample["mode"] == "program" and sample["split"] == "dev"]
    for number, (name, (_, cause)) in enumerate(PROGRAMS.items()):
        own = [sample for sample in programs if sample["question"] == f"p_{number}#1"]
        drawn = [(sample["round"], sample["slot"]) for sample in own]
        assert drawn == [(n, slot) for n in range(2 if cause else 1) for slot in (1, 2)], name
        assert {sample["cause"] for sample in own} == {cause}, own
        assert {sample["answer"] for sample in own} == {None if cause else "B"}, name
        assert all(sample["accepted"] == (not cause) and sample["score"] is None for sample in own)
    assert Counter(sample["split"] for sample in samples if sample["mode"] == "program")["votes"] == 16

    weight = json.loads((project.path / "data/vote_weights.json").read_text())
    assert (weight["source"], weight["program"]) == ("learned", 100.0), "no reasoning is ever right"
    assert (weight["questions"], weight["programs_answered"], weight["programs_right"]) == (8, 16, 16)
    right, syntax = read_jsonl(project.path / "data/upload.jsonl", answers="required")
    assert (right.questions[0].answer, syntax.questions[0].answer) == ("B", "A")
    assert "22 of 58 programs have an answer; the others: 8 syntax, 4 " in done.stdout
    assert "one program counts as 100 votes: of 16 programs for 8 held-out questions 16" in done.stdout

    asked, stored = len(server.arrivals), project.samples
    project.infer(sys.executable, "-c", NO_SOLVER)
    assert project.samples == stored and len(server.arrivals) == asked, "neither the model nor the solver is asked"

    project.set(**{"infer.programs": 0})
    project.infer()
    reasonings = [line for line in stored if json.loads(line)["mode"] == "steps"]
    assert project.samples == [line for line in reasonings if json.loads(line)["split"] != "votes"]
    assert len(server.arrivals) == asked
    assert json.loads((project.path / "data/vote_weights.json").read_text())["source"] == "unused"


def test_with_adaptive_stopping_a_program_saves_reasonings(project: Project, server: ProgramServer) -> None:
    project.set(**{"infer.adaptive": True, "infer.program_weight": 3.0})
    write_jsonl(project.path / "data/dev.jsonl", problems("right", "syntax"))
    done = project.infer()
    samples = [sample for sample in map(json.loads, project.samples) if sample["split"] == "dev"]
    drawn = {name: [s["mode"] for s in samples if s["question"] == name] for name in ("p_0#1", "p_1#1")}
    assert drawn["p_0#1"] in (["program"], ["program"] * 2), "without log-probabilities one may be too few"
    assert drawn["p_1#1"].count("program") == 4 and drawn["p_1#1"].count("steps") >= 2
    assert "one program counts as 3 votes: infer.program_weight says so" in done.stdout
