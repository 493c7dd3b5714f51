"""What preference training learns from, and what the solver's reward is."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np
import psutil
import pytest

from augen.answering.questions import Prompting
from augen.core.errors import AugenError
from augen.entries import Entry, QuestionItem, questions
from augen.preference.material import Pair, Prompts, Task, pairs, tasks
from augen.preference.reward import BY_LUCK, rewards
from augen.programs.verdicts import SolveMany, stored_verdicts
from augen.prompts.window import ServedWindow, Window
from augen.puzzles.dataset import puzzle_entries
from augen.retrieval.examples import Retriever
from augen.store.responses import Store
from tests.params import params

P = params()


@pytest.fixture(scope="module")
def solve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SolveMany]:
    with (
        Store(tmp_path_factory.mktemp("store") / "responses.sqlite") as store,
        stored_verdicts(store, P.programs) as solve,
    ):
        yield solve


def prompts(tokens: int = 4096) -> Prompts:
    """Those of a window in which a character is a token, without worked examples."""
    unasked = Retriever([], np.zeros((0, 4), np.float32), cast(Any, None))
    return Prompts(P.prompt, ServedWindow(P.model, False, tokens), unasked, 0)


def asked(text: str | None, answer: str) -> Entry:
    item = QuestionItem("谁高？", ["甲", "乙"], text, answer, "model")
    return Entry("甲比乙高。", [item], "train_0")


def test_the_reward_is_what_the_solver_says(solve: SolveMany) -> None:
    entries = puzzle_entries(3, "reward", "train")
    found = tasks(entries, prompts(), P.prefer, seed=1)
    own = {(q.problem_id, tuple(q.item.options), q.item.answer): q.item for q in questions(entries)}
    items = [own[task.problem_id, task.options, task.answer] for task in found]
    assert {task.kind for task in found} == {"reasoning", "program"}

    said = [str(getattr(item, task.kind)) for task, item in zip(found, items, strict=True)]
    assert rewards(found, said, solve) == [1.0] * len(found), "the solver's own steps and programs"
    assert rewards(found, ["不知道"] * len(found), solve) == [0.0] * len(found)

    other = [replace(task, answer="AB"[task.answer == "A"]) for task in found]
    assert rewards(other, said, solve) == [0.0] * len(found), "run to its end, and another letter than was asked for"
    reasoned = [(task, text) for task, text in zip(found, said, strict=True) if task.kind == "reasoning"]
    lucky = [text.splitlines()[-1] for _, text in reasoned]
    assert rewards([task for task, _ in reasoned], lucky, solve) == [BY_LUCK] * len(reasoned)
    unproved = [replace(task, steps=None) for task, _ in reasoned]
    assert rewards(unproved, lucky, solve) == [1.0] * len(reasoned)


def test_prompts_are_those_of_inference() -> None:
    window = Window(P.model, False, 4096)
    entries = puzzle_entries(2, "prompts", "train")
    found = tasks(entries, replace(prompts(), window=window), P.prefer, seed=1)
    steps = Prompting.of(P, window)
    expected = {
        request.prompt
        for question in questions(entries)
        for prompting in (steps, steps.for_programs(P))
        if (request := prompting.request(question, (), slot=1, round_=0))
    }
    assert {task.prompt for task in found} == expected
    [pair] = pairs([asked("甲。\n答案是：A", "A")], [asked("乙。\n答案是：B", "B")], prompts())
    [request] = [steps.request(q, (), slot=1, round_=0) for q in questions([asked(None, "A")])]
    assert request and pair == Pair("train_0", request.prompt, "甲。\n答案是：A", "乙。\n答案是：B")


def test_the_questions_are_drawn_by_the_seed() -> None:
    entries = puzzle_entries(6, "draw", "train")
    section = P.prefer.model_copy(update={"questions": 3})

    def drawn(seed: int) -> list[Task]:
        return list(tasks(entries, prompts(), section, seed))

    assert len(drawn(1)) == 6 and drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize(
    ("right", "wrong", "tokens", "message"),
    [
        ("甲。\n答案是：A", None, 4096, "has 0 pairs of a right and a wrong reasoning .* a higher reason_false.limit"),
        ("甲。\n答案是：A", "乙。\n答案是：B", 60, "has 1 pairs .* none fits into finetune.max_length: raise it"),
    ],
)
def test_without_pairs_dpo_says_what_to_do(right: str, wrong: str | None, tokens: int, message: str) -> None:
    with pytest.raises(AugenError, match=f"prefer.method dpo: .*{message}"):
        pairs([asked(right, "A")], [asked(wrong, "B")], prompts(tokens))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "has 0 questions with an answer; let prepare.synthetic add puzzles"),
        ([asked("甲。\n答案是：A", "A")], "has 1 questions .* none leaves room for prefer.max_tokens in finetune.max_"),
    ],
)
def test_without_tasks_grpo_says_what_to_do(entries: list[Any], message: str) -> None:
    with pytest.raises(AugenError, match=f"prefer.method grpo: .*{message}"):
        tasks(entries, prompts(P.prefer.max_tokens), P.prefer, seed=1)


def test_what_the_section_does_not_name_is_as_in_finetune() -> None:
    own = P.prefer.training(P.finetune)
    assert (own.learning_rate, own.epochs) == (P.prefer.learning_rate, P.prefer.epochs)
    kept = {"rank", "scheduler", "optimizer", "max_length", "bf16", "launch"}
    assert own.model_dump(include=kept) == P.finetune.model_dump(include=kept)


def test_the_solver_is_started_once(solve: SolveMany) -> None:
    """Its processes go on from one call to the next."""

    def workers() -> set[int]:
        children = psutil.Process().children()
        return {child.pid for child in children if "augen.programs.worker" in " ".join(child.cmdline())}

    task = Task("train_0", "", "program", ("甲", "乙"), "A", None)
    assert rewards([task], ['answer("甲").'], solve) == [1.0]
    before = workers()
    assert rewards([task] * 2, ['answer("乙").', "answer("], solve) == [0.0, 0.0]
    assert before and workers() >= before
