"""Training of an adapter on a tiny random model: what moves and what does not; what is saved is what was trained."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from augen.adapter.lessons import Lesson, lessons
from augen.adapter.train import Adapter, Course, courses, finetune
from augen.core import params
from augen.entries import Entry, QuestionItem
from augen.prompts.sections import Example, completion, program_prompt, solve_prompt
from augen.prompts.window import Window
from augen.retrieval.examples import Kind, Retriever
from augen.training.spilled import Spilled
from tests.trainings import entry, finetune_section, item, moved, weights

END = "<|endoftext|>"
PROMPT = params.Prompt(
    solve="解答。", explain="解释。", program="写程序。", chat_template=False, template_args={}, keep_thinking=False
)


class FixedExamples:
    """A retriever that finds the same examples of a kind for every question."""

    def __init__(self, *examples: Example) -> None:
        self.found = list(examples)

    def examples(self, questions: Sequence[tuple[str, QuestionItem, str]], k: int, kind: Kind) -> list[list[Example]]:
        return [[example for example in self.found if getattr(example[1], kind)][:k] for _ in questions]


def taught(
    base: Path, *examples: Example, max_length: int = 300, entries: Sequence[Entry] = (), **changes: Any
) -> Spilled[Lesson]:
    model = params.Model(generator=str(base), revision=None, dtype="float32")
    window = Window(model, chat_template=False, max_model_len=max_length)
    entries = entries or [entry(n) for n in range(10)]
    retriever = cast(Retriever, FixedExamples(*examples))
    return lessons(entries, retriever, len(examples), PROMPT, window, finetune_section(**changes))


def course(lessons: Spilled[Lesson], section: params.Finetune | None = None) -> Course:
    [only] = courses(lessons, section or finetune_section(), seed=1)
    return only


@pytest.fixture(scope="module")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    model = params.Model(generator=str(tiny_model), revision=None, dtype="float32")
    return finetune(course(taught(tiny_model)), model, finetune_section(), tmp_path_factory.mktemp("scratch"))


def test_only_the_adapter_moves(adapter: Adapter, tiny_model: Path) -> None:
    base = weights(AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32))
    tuned = {
        name.removeprefix("base_model.model.").replace(".base_layer", ""): value
        for name, value in weights(adapter.trainer.model).items()
    }
    lora = {name: tuned.pop(name) for name in list(tuned) if "lora_" in name}
    assert not moved(base, tuned)
    linear = [name for name in base if name.endswith("proj.weight")]
    assert len(lora) == 2 * len(linear), "an A and a B for every linear layer"
    assert all(bool(value.any()) for value in lora.values()), "B begins at zero: each has moved"


def test_the_same_seed_trains_the_same_adapter(adapter: Adapter, tiny_model: Path, tmp_path: Path) -> None:
    model = params.Model(generator=str(tiny_model), revision=None, dtype="float32")
    again = finetune(course(taught(tiny_model)), model, finetune_section(), tmp_path)
    assert not moved(weights(adapter.trainer.model), weights(again.trainer.model))
    assert again.metrics == adapter.metrics
    losses = [[row.get("loss") for row in found.history] for found in (again, adapter)]
    assert losses[0] == losses[1]


def test_the_saved_adapter_is_the_trained_one(adapter: Adapter, tiny_model: Path, tmp_path: Path) -> None:
    adapter.save(tmp_path)
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    tokens = AutoTokenizer.from_pretrained(tiny_model)("### 题目\n甲比乙高。", return_tensors="pt")
    with torch.inference_mode():
        plain = base(**tokens).logits
        loaded = PeftModel.from_pretrained(base, tmp_path).eval()(**tokens).logits
        trained = adapter.trainer.model.eval()(**tokens).logits
    assert torch.allclose(loaded, trained, atol=1e-5)
    assert not torch.allclose(loaded, plain, atol=1e-3)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["r"] == 4 and config["target_modules"] == sorted(config["target_modules"])
    assert {file.name for file in tmp_path.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    assert (tmp_path / "adapter_model.safetensors").is_file()


def test_only_the_completion_is_learned(adapter: Adapter, tiny_model: Path) -> None:
    """The labels are the reasoning and the end of text, token by token as they are sampled after the prompt."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    learned = {completion(lesson.text, END) for lesson in taught(tiny_model)}
    for row in adapter.trainer.train_dataset:
        labels = adapter.trainer.data_collator([row])["labels"][0].tolist()
        assert tokenizer.decode([label for label in labels if label != -100]) in learned
        assert labels[-1] == tokenizer.eos_token_id


def test_lessons_are_what_inference_asks(tiny_model: Path) -> None:
    lesson = taught(tiny_model)[3]
    assert lesson == Lesson("p3", solve_prompt("解答。", "甲比乙高3。", item(3)), "甲甲甲高。\n答案是：A")


def test_the_held_out_loss_is_reported(adapter: Adapter) -> None:
    metrics = adapter.metrics
    assert (metrics["lessons"], metrics["held_out"]) == (8, 2)
    assert 0 < metrics["held_out_loss"] < 10
    assert 0 <= metrics["held_out_token_accuracy"] <= 1
    assert metrics["held_out_loss"] < metrics["held_out_loss_before"] and not metrics["learned_nothing"]
    losses = [row["loss"] for row in adapter.history if "loss" in row]
    assert losses[-1] < losses[0]


def test_the_log_says_what_would_be_written_to_the_letter(tiny_model: Path, tmp_path: Path) -> None:
    """Against the model's own logits, for batches in which lessons of different lengths are padded."""
    model = params.Model(generator=str(tiny_model), revision=None, dtype="float32")
    stated = [Entry(e.problem, [replace(e.questions[0], program="answer(1).")], e.id) for e in map(entry, range(16))]
    named = [replace(e, id=f"train_{n:04d}_{('roads', 'lists')[n % 2]}{'~1' * (n > 8)}") for n, e in enumerate(stated)]
    section = finetune_section(held_out=0.5, epochs=8, learning_rate=1e-2, evaluations=2)
    trained = finetune(course(taught(tiny_model, entries=named), section), model, section, tmp_path)
    expected: dict[tuple[str, str], list[bool]] = {}
    for row in trained.trainer.eval_dataset:
        ids = torch.tensor([row["input_ids"]])
        with torch.inference_mode():
            likeliest = trained.trainer.model.eval()(input_ids=ids).logits[0, :-1].argmax(-1)
        right = bool((likeliest == ids[0, 1:])[torch.tensor(row["labels"][1:]) != -100].all())
        expected.setdefault((row["family"], row["kind"]), []).append(right)
    by_family = trained.metrics["held_out_exact_by_family"]
    assert len(expected) == 4 and by_family.keys() == {"roads", "lists"}
    assert {k: sum(found) / len(found) for k, found in expected.items()} == {k: by_family[k[0]][k[1]] for k in expected}
    reasonings = [right for (_, kind), found in expected.items() if kind == "reasoning" for right in found]
    assert trained.metrics["held_out_exact_reasoning"] == sum(reasonings) / len(reasonings) < 1
    assert trained.metrics["held_out_exact_program"] == 1 > trained.metrics["held_out_exact_program_before"]


def test_examples_that_do_not_fit_are_left_out_of_a_lesson(tiny_model: Path) -> None:
    examples = [("例。", item(1)), ("例子。", item(2))]
    full = solve_prompt("解答。", "甲比乙高0。", item(0), examples)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    room = len(tokenizer(full)["input_ids"]) + len(tokenizer(item(0).reasoning)["input_ids"]) + 1
    one = [entry(0)]
    assert taught(tiny_model, *examples, max_length=room, entries=one)[0].prompt == full
    shorter = taught(tiny_model, *examples, max_length=room - 1, entries=one)[0].prompt
    assert shorter == solve_prompt("解答。", "甲比乙高0。", item(0), examples[1:])


def test_a_lesson_that_does_not_fit_is_left_out(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = Entry("甲" * 400, [item(1)], "long")
    assert [lesson.problem_id for lesson in taught(tiny_model, entries=[entry(0), long])] == ["p0"]
    assert "1 lessons with a reasoning; 1 questions are too long for finetune.max_length" in capsys.readouterr().out


def test_a_question_with_a_program_teaches_it_too(tiny_model: Path) -> None:
    """Examples without a program cannot show how to write one."""
    stated = replace(item(1), program='over("甲","乙").\nanswer(X) :- over(X,_).')
    example = ("例。", replace(item(2), program="answer(1)."))
    both = taught(tiny_model, example, ("例子。", item(3)), entries=[Entry("甲比乙高1。", [stated], "p1")])
    assert [lesson.text for lesson in both] == [stated.reasoning, stated.program]
    assert both[1].prompt == program_prompt("写程序。", "甲比乙高1。", stated, [example])


def test_reasonings_beyond_the_limit_are_not_taught(tiny_model: Path) -> None:
    stated = [Entry(f"甲比乙高{n}。", [replace(item(n), program="answer(1).")], f"p{n}") for n in range(4)]
    found = taught(tiny_model, entries=stated, reasonings=1)
    assert [lesson.text for lesson in found] == [stated[0].questions[0].reasoning, *["answer(1)."] * 4]


def test_the_answer_alone_is_taught_where_that_is_the_target(tiny_model: Path) -> None:
    """Also of a question whose reasoning was never written; programs are taught as ever."""
    stated = Entry("甲比乙高。", [replace(item(1), program="answer(1)."), replace(item(2), reasoning=None)], "p0")
    found = taught(tiny_model, entries=[stated], target="answer")
    assert [(lesson.text, lesson.kind) for lesson in found] == [
        *[("答案是：A", "reasoning")] * 2,
        ("answer(1).", "program"),
    ]
    assert found[0].prompt == solve_prompt("解答。", "甲比乙高。", item(1))


def test_questions_without_reasoning_teach_nothing(tiny_model: Path) -> None:
    unsolved = Entry("甲。", [QuestionItem("谁？", ["1", "2"], answer="A")], "p0")
    assert not taught(tiny_model, entries=[unsolved])


def test_every_adapter_has_a_seed_and_a_share_of_its_own(tiny_model: Path) -> None:
    """A problem and its copies fall together; what is held out, no adapter learns."""
    found = taught(tiny_model, entries=[entry(n, f"p{n % 20}{'~1' * (n > 19)}") for n in range(40)])
    several = courses(found, finetune_section(adapters=3, share=0.75), seed=1)
    held_out = {lesson.problem_id for lesson in several[0].held_out}
    assert len(held_out) == 8 and all(list(part.held_out) == list(several[0].held_out) for part in several)
    learned = [{lesson.problem_id for lesson in part.train} for part in several]
    assert [len(ids) for ids in learned] == [24] * 3, "12 of the 16 problems that are left, each with its copy"
    assert all({f"{id}~1" for id in ids if "~" not in id} < ids and not ids & held_out for ids in learned)
    assert len({part.seed for part in several}) == 3 and len({frozenset(ids) for ids in learned}) == 3
    first, only = courses(found, finetune_section(adapters=3), seed=1)[0], course(found)
    assert (list(only.train), only.seed) == (list(first.train), first.seed), "the first one is the only one"


def test_order_of_lessons_does_not_matter_for_the_split(tiny_model: Path) -> None:
    found = taught(tiny_model)
    shuffled = found.those(Random(1).sample(range(len(found)), len(found)))
    assert {lesson.problem_id for lesson in shuffled} == {lesson.problem_id for lesson in found}
    sides = [
        [{lesson.problem_id for lesson in side} for side in (c.train, c.held_out)]
        for c in map(course, (found, shuffled))
    ]
    assert sides[0] == sides[1] and [len(ids) for ids in sides[0]] == [8, 2]
