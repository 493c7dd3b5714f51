"""A model that thinks when its chat template says so, behind vLLM's OpenAI server, through the real stages.

The model is the tiny generator, taught in some seconds to write between ``<think>`` and ``</think>`` first. Its
template opens the thinking, or, told not to think, closes it at once, as those of Qwen3 and later do.
"""

import importlib.util
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from augen.entries import questions
from augen.entries.jsonl import read_jsonl
from augen.entries.pickles import dump_pickle, load_pickle
from augen.prompts.sections import solve_prompt, user_message
from tests.integration.test_infer_stage import ROOT, TINY, Project
from tests.integration.vllm_server import KEY, NAME, served
from tests.params import params

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("vllm"), reason="vllm is not installed")

MAX_MODEL_LEN = 700
TEMPLATE = (
    "{{ messages[-1]['content'] }}"
    "{%- if enable_thinking is defined and enable_thinking %}{{ '<think>\\n' }}"
    "{%- else %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}"
)
THOUGHT = "先想：答案是：A？还要再看。\n"
STEPS = 160


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of the model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(TINY / "generator")
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.chat_template = TEMPLATE
    model: Any = AutoModelForCausalLM.from_pretrained(TINY / "generator", dtype="float32")
    model.resize_token_embeddings(len(tokenizer))
    solve = params().prompt.solve
    asked = questions(read_jsonl(ROOT / "data/raw/train.jsonl", answers="required"))[40 : 40 + STEPS]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for question in asked:
        prompt = user_message(solve_prompt(solve, question.problem, question.item))
        for thinks in (True, False):
            begun = prompt + ("<think>\n" if thinks else "<think>\n\n</think>\n\n")
            text = (f"{THOUGHT}</think>\n\n" if thinks else "") + f"看选项。\n答案是：{question.item.answer}"
            given, ids = len(tokenizer(begun).input_ids), tokenizer(begun + text + tokenizer.eos_token).input_ids
            labels = torch.tensor([[-100] * given + ids[given:]])
            model(torch.tensor([ids]), labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    path = tmp_path_factory.mktemp("models") / "thinker"
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def server(thinker: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("served") / "log.txt"
    with served(thinker, MAX_MODEL_LEN, log, "--reasoning-parser", "qwen3") as url:
        yield url


def body(thinks: bool) -> dict[str, Any]:
    return {"chat_template_kwargs": {"enable_thinking": thinks}}


@pytest.fixture
def project(server: str, tmp_path: Path) -> Project:
    changes = {
        "infer.engine": "openai",
        "infer.models": [NAME],
        "infer.programs": 0,
        "infer.adaptive": True,
        "infer.certainty": 0.75,
        "prompt.chat_template": True,
        "providers.openai.base_url": server,
        "providers.openai.concurrency": 8,
        "providers.openai.logprobs": True,
        "reason_true.backend": "openai",
        "reason_true.models": [NAME],
        "reason_true.attempts": 4,
        "rag.k": 0,
    }
    project = Project(tmp_path / "repository", changes)
    project.environment_changes = {"OPENAI_API_KEY": KEY}
    return project


def answers(project: Project) -> list[dict[str, Any]]:
    with sqlite3.connect(project.path / ".augen/responses.sqlite") as store:
        found = [json.loads(value) for (value,) in store.execute("SELECT value FROM responses")]
    return [answer for answer in found if "author" in answer]


def samples(project: Project) -> list[dict[str, Any]]:
    lines = (project.path / "data/samples.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("thinks", [True, False])
def test_questions_are_answered_with_and_without_thinking(project: Project, thinks: bool) -> None:
    project.set(**{"providers.openai.extra_body": body(thinks)})
    done = project.infer()
    drawn = samples(project)
    assert all("think" not in sample["text"] and "先想" not in sample["text"] for sample in drawn)
    assert sum(sample["answer"] is not None for sample in drawn) > 0.7 * len(drawn)
    kept = answers(project)
    assert len(kept) == len(drawn)
    thoughtful = [answer for answer in kept if answer.get("thinking", "").strip()]
    assert len(thoughtful) > 0.8 * len(kept) if thinks else not thoughtful
    usual = median(answer["tokens"] for answer in kept)
    assert (usual > 12) == thinks, "tokens of thinking count"

    # Adaptive stopping knows how sure the model is: one sample where it is, several where it is not.
    assert "without log-probability" not in done.stdout
    assert all(answer["logprob"] <= 0 for answer in kept)
    assert all(sample["logprob_rank"] is not None for sample in drawn)
    slots = Counter((sample["split"], sample["question"]) for sample in drawn if sample["round"] == 0)
    assert min(slots.values()) == 1 and max(slots.values()) > 1


def test_without_log_probabilities_it_stops_later_and_what_was_paid_for_stays_valid(project: Project) -> None:
    project.set(**{"providers.openai.extra_body": body(False), "providers.openai.logprobs": False})
    done = project.infer()
    first = {(s["question"], s["slot"]): s["text"] for s in samples(project) if s["round"] == 0}
    assert "have a first sample without log-probability: they stop at a certainty of 0.95" in done.stdout
    assert all(sample["logprob_rank"] is None for sample in samples(project))
    project.set(**{"providers.openai.logprobs": True, "infer.adaptive": False})
    project.infer()
    usage = json.loads((project.path / "reports/usage.json").read_text())["infer"]
    assert usage["from_store"]["answers"] >= len(first)
    again = {(s["question"], s["slot"]): s["text"] for s in samples(project) if s["round"] == 0}
    assert len(again) > len(first) and again | first == again


@pytest.mark.parametrize("thinks", [True, False])
def test_reasonings_have_no_thinking_in_them(project: Project, thinks: bool) -> None:
    entries = read_jsonl(ROOT / "data/raw/train.jsonl", answers="required")[10:18]
    dump_pickle(project.path / "data/entries_raw.pkl", entries)
    project.set(**{"providers.openai.extra_body": body(thinks)})
    done = project.stage("reason_true", **project.environment_changes)
    assert done.returncode == 0, done.stdout + done.stderr
    items = [item for e in load_pickle(project.path / "data/reasoned/entries.pkl") for item in e.questions]
    written = [item.reasoning for item in items if item.reasoning]
    assert len(written) > len(items) / 2
    assert not [text for text in written if "think" in text or "先想" in text]
    assert any(answer.get("thinking") for answer in answers(project)) == thinks


def test_thinking_that_is_cut_off_has_no_answer(project: Project) -> None:
    project.set(**{"providers.openai.extra_body": body(True), "infer.max_tokens": 4, "infer.adaptive": False})
    done = project.run("python", "-m", "stages.infer", timeout_s=600, **project.environment_changes)
    assert done.returncode == 1
    assert "holds a text; they hold nothing but thinking: raise max_tokens" in done.stderr
    assert {answer["finish"] for answer in answers(project)} == {"length"}
