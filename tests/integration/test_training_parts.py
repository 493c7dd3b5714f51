"""Both trainings on a tiny random model: what moves and what does not, and that what is saved is what was trained."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    TrainingArguments,
)

from augen.adapter.lessons import Lesson, lessons
from augen.adapter.train import Adapter, Course, courses, finetune
from augen.core import params
from augen.core.errors import AugenError
from augen.entries import Entry, QuestionItem, Solution
from augen.prompts.sections import Example, completion, program_prompt, solve_prompt
from augen.prompts.window import Window
from augen.retrieval.examples import Kind, Retriever
from augen.scorer.pairwise import one_label, two_labels
from augen.scorer.report import LabelledReasoning, labelled
from augen.scorer.score import Scorer
from augen.scorer.shared_prefix import Group
from augen.scorer.train import Patience, Trained, class_weights, save_scorer, train_scorer
from augen.training.pairs import pairs_of
from augen.training.trainer import split_by_problem, training_arguments

END = "<|endoftext|>"
PROMPT = params.Prompt(
    solve="解答。", explain="解释。", program="写程序。", chat_template=False, template_args={}, keep_thinking=False
)
SHARED: dict[str, Any] = {
    "held_out": 0.2,
    "epochs": 3,
    "batch_size": 4,
    "gradient_accumulation": 1,
    "learning_rate": 2e-4,
    "scheduler": "constant",
    "warmup": 0.0,
    "optimizer": "adamw_torch",
    "bf16": False,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "gradient_checkpointing": False,
    "rank": 4,
    "alpha": 8,
    "dropout": 0.0,
    "evaluations": 8,
    "report_to": [],
    "launch": None,
}


def scorer_section(base: Path, **changes: Any) -> params.Scorer:
    own = {"base": str(base), "input": "full", "max_length": 160, "objective": "classify", "tuning": "full"}
    return params.Scorer(**(SHARED | own | {"patience": None} | changes))


def finetune_section(**changes: Any) -> params.Finetune:
    own = {"max_length": 300, "reasonings": None, "copies": True, "target": "reasoning", "pseudo": None}
    return params.Finetune(**(SHARED | own | {"adapters": 1, "share": 1.0} | changes))


def item(number: int) -> QuestionItem:
    return QuestionItem("谁高？", ["甲", "乙"], f"{'甲' * (number % 5)}高。\n答案是：A", "A", "solver")


def entry(number: int, problem_id: str = "") -> Entry:
    return Entry(f"甲比乙高{number}。", [item(number)], problem_id or f"p{number}")


def reasonings() -> list[LabelledReasoning]:
    """Of ten problems one right and one wrong reasoning each, of different lengths, and copies of two of them."""
    entries = [entry(n) for n in range(10)] + [entry(0, "p0~1"), entry(1, "p1~1")]
    wrong = [
        Entry(e.problem, [QuestionItem("谁高？", ["甲", "乙"], "乙高，" * (n % 4) + "\n答案是：B", "B", "model")], e.id)
        for n, e in enumerate(entries)
    ]
    return labelled(entries, right=True) + labelled(wrong, right=False)


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


# --- the scorer


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    scratch = tmp_path_factory.mktemp("scratch")
    return train_scorer(reasonings(), scorer_section(tiny_model), seed=1, scratch=scratch)


@pytest.fixture(scope="module")
def folder(trained: Trained, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scorer")
    save_scorer(trained, scorer_section(tiny_model), folder)
    return folder


def untrained(base: Path, seed: int) -> torch.nn.Module:
    """The classifier as training finds it: its new head is drawn from the seed."""
    torch.manual_seed(seed)
    return AutoModelForSequenceClassification.from_pretrained(base, num_labels=2, dtype=torch.float32)


def model_of(trained: Trained) -> torch.nn.Module:
    assert trained.model is not None
    return cast(torch.nn.Module, trained.model)


def test_every_weight_of_the_scorer_moves(trained: Trained, tiny_model: Path) -> None:
    before = weights(untrained(tiny_model, seed=1))
    assert moved(before, weights(model_of(trained))) == set(before)


def test_the_same_seed_trains_the_same_scorer(trained: Trained, tiny_model: Path, tmp_path: Path) -> None:
    again = train_scorer(reasonings(), scorer_section(tiny_model), seed=1, scratch=tmp_path)
    assert not moved(weights(model_of(trained)), weights(model_of(again)))
    assert again.metrics == trained.metrics


def test_the_scorer_learns_what_tells_right_from_wrong(trained: Trained) -> None:
    assert trained.metrics["auc"] == trained.metrics["accuracy"] == 1.0
    assert trained.metrics["auc_within_questions"] == trained.metrics["auc_within_problems"] == 1.0
    assert trained.metrics["loss"] < 0.5
    assert not trained.metrics["learned_nothing"]
    [*_, last] = [row for row in trained.history if "eval_auc" in row]
    assert (last["eval_auc"], last["eval_accuracy"]) == (1.0, 1.0)


def test_all_reasonings_of_a_problem_are_held_out_together(trained: Trained) -> None:
    metrics = trained.metrics
    assert metrics["trained_on"] + metrics["texts"] == 24
    assert metrics["texts"] in (4, 6, 8)  # 2 of 10 problems, up to 2 of them with a copy; right and wrong
    assert {name: (row["texts"], row["right"]) for name, row in metrics["by_author"].items()} == {
        "model": (metrics["texts"] // 2, 0),
        "solver": (metrics["texts"] // 2, metrics["texts"] // 2),
    }


@pytest.mark.parametrize("right", [True, False])
def test_reasonings_of_one_kind_cannot_train_a_scorer(right: bool, tiny_model: Path, tmp_path: Path) -> None:
    items = [r for r in reasonings() if r.right == right]
    with pytest.raises(AugenError, match=r"(\d+ right and 0|0 right and \d+) wrong reasonings to train on: both kinds"):
        train_scorer(items, scorer_section(tiny_model), seed=1, scratch=tmp_path)


def test_a_held_out_part_of_one_kind_measures_nothing(tiny_model: Path, tmp_path: Path) -> None:
    items = labelled([entry(n) for n in range(10)], right=True)
    wrong_of = {r.problem_id for r in items} - {"p3"}
    mixed = [r for r in reasonings() if r.right or r.problem_id in wrong_of]
    lone = [seed for seed in range(40) if _held_out(mixed, seed) == {"p3"}]
    with pytest.raises(AugenError, match="1 right and 0 wrong reasonings held out"):
        train_scorer(mixed, scorer_section(tiny_model, held_out=0.05), seed=lone[0], scratch=tmp_path)


def _held_out(items: Sequence[LabelledReasoning], seed: int) -> set[str]:
    return {r.problem_id for r in split_by_problem(items, lambda r: r.problem_id, 0.05, seed)[1]}


def test_the_log_has_curves(trained: Trained) -> None:
    assert any("loss" in row for row in trained.history)
    assert any("eval_loss" in row and "eval_auc" in row for row in trained.history)
    [first] = [row for row in trained.history if row["step"] == 0]
    assert first["eval_auc"] == trained.metrics["auc_before"], "how good it was before it was trained"


def direct(folder: Path, sample: Solution) -> float:
    """P(right) by the plain model, without any padding."""
    scorer = Scorer(folder)
    ids = scorer.format.encode(scorer.tokenizer, sample.problem, sample.question, sample.reasoning)
    with torch.inference_mode():
        logits = scorer.model(input_ids=torch.tensor([ids])).logits[0]
    temperature, offset = scorer.format.temperature, scorer.format.offset
    return float(((logits[1] - logits[0] - offset) / temperature).sigmoid())


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_score_does_not_depend_on_the_batch(side: str, folder: Path) -> None:
    samples = [r.sample for r in reasonings()]
    alone, together = Scorer(folder, batch_tokens=1), Scorer(folder)
    alone.tokenizer.padding_side = together.tokenizer.padding_side = side
    scores = together.scores(samples)
    assert scores == pytest.approx(alone.scores(samples), abs=1e-5)
    assert scores[5] == pytest.approx(direct(folder, samples[5]), abs=1e-5)
    assert len({round(score, 4) for score in scores}) > 5, "different texts have different scores"
    assert together.scores(samples[::-1]) == pytest.approx(scores[::-1], abs=1e-5)


@pytest.mark.parametrize("batch_tokens", [100, 10_000])
@pytest.mark.parametrize("side", ["left", "right"])
def test_what_a_question_s_texts_begin_with_is_read_once_and_changes_no_score(
    side: str, batch_tokens: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [
        Solution("甲比乙高。" * times, item(0), f"{'乙' * extra}甲高。\n答案是：{letter}")
        for times, extra, letter in [(9, 0, "A"), (3, 4, "A"), (9, 7, "B"), (9, 2, "A"), (3, 0, "B"), (1, 1, "A")]
    ]
    scorer = Scorer(folder, batch_tokens)
    scorer.tokenizer.padding_side = side
    read, sharing = [], scorer._sharing

    def watched(batch: Sequence[Group], rows: Sequence[list[int]]) -> list[float]:
        read.append(batch)
        return sharing(batch, rows)

    monkeypatch.setattr(scorer, "_sharing", watched)
    scores = scorer.scores([*samples, samples[0]])
    assert read and scores[-1] == scores[0]
    assert scores[:-1] == pytest.approx([direct(folder, sample) for sample in samples], abs=1e-5)


def test_the_saved_scorer_scores_as_the_trained_one(trained: Trained, folder: Path) -> None:
    scorer = Scorer(folder)
    assert not moved(weights(model_of(trained)), weights(scorer.model))
    assert (scorer.format.input, scorer.format.max_length) == ("full", 160)
    scores = scorer.scores([r.sample for r in reasonings()])
    right = [score for score, r in zip(scores, reasonings(), strict=True) if r.right]
    wrong = [score for score, r in zip(scores, reasonings(), strict=True) if not r.right]
    assert min(right) > max(wrong)


def test_nothing_to_score(folder: Path) -> None:
    scorer = Scorer(folder)
    assert scorer.scores([]) == []
    [empty] = scorer.scores([Solution("甲。", QuestionItem("谁？", ["1", "2"]), "")])
    assert 0 <= empty <= 1


@pytest.mark.parametrize("batch_tokens", [1, 10_000])
def test_an_empty_text_alone_can_be_scored(
    batch_tokens: int, trained: Trained, tiny_model: Path, tmp_path: Path
) -> None:
    save_scorer(trained, scorer_section(tiny_model, input="reasoning"), tmp_path)
    samples = [Solution("甲。", QuestionItem("谁？", ["1", "2"]), text) for text in ("", "甲高。", " ")]
    scores = Scorer(tmp_path, batch_tokens).scores(samples)
    assert scores[0] == pytest.approx(scores[2], abs=1e-5) and all(0 <= score <= 1 for score in scores)


def test_a_classifier_with_other_labels_is_refused(folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    three = AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=3)
    three.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path)
    (tmp_path / "scorer.json").write_bytes((folder / "scorer.json").read_bytes())
    with pytest.raises(AugenError, match="a scorer has 2 labels, this model has 3"):
        Scorer(tmp_path)


def test_lomo_trains_every_weight(tiny_model: Path, tmp_path: Path) -> None:
    section = scorer_section(tiny_model, optimizer="lomo", learning_rate=1e-3)
    trained = train_scorer(reasonings(), section, seed=1, scratch=tmp_path)
    before = weights(untrained(tiny_model, seed=1))
    assert moved(before, weights(model_of(trained))) == set(before)
    assert trained.metrics["loss"] < 2


def test_the_pairwise_objective_saves_the_same_kind_of_classifier(tiny_model: Path, tmp_path: Path) -> None:
    section = scorer_section(tiny_model, objective="pairwise", learning_rate=1e-3, epochs=6)
    trained = train_scorer(reasonings(), section, seed=1, scratch=tmp_path / "scratch")
    assert trained.metrics["objective"] == "pairwise" and trained.metrics["auc_within_questions"] == 1.0
    before = weights(untrained(tiny_model, seed=1))
    assert moved(before, weights(model_of(trained))) == set(before)
    save_scorer(trained, section, tmp_path / "scorer")
    scorer = Scorer(tmp_path / "scorer")
    assert scorer.model.config.num_labels == 2
    scores = scorer.scores([r.sample for r in reasonings()])
    assert min(s for s, r in zip(scores, reasonings(), strict=True) if r.right) > max(
        s for s, r in zip(scores, reasonings(), strict=True) if not r.right
    )


def test_pairs_are_of_one_question() -> None:
    items = reasonings()
    found = pairs_of(items)
    assert len(found) == 12 and {i for pair in found for i in pair} == set(range(24))
    assert all(items[a].right and not items[b].right and items[a].question == items[b].question for a, b in found)
    more = [items[0], items[0], items[0], items[12], items[12], items[1]]
    assert pairs_of(more) == [(0, 3), (1, 4), (2, 3)], "each at least once, none without a partner"


def test_a_head_folded_and_unfolded_has_the_same_difference(tiny_model: Path) -> None:
    model = cast(Any, untrained(tiny_model, seed=1))
    tokens = AutoTokenizer.from_pretrained(tiny_model)("甲比乙高。", return_tensors="pt")
    with torch.inference_mode():
        two = model(**tokens).logits[0]
        one = one_label(model)(**tokens).logits[0]
        again = two_labels(model)(**tokens).logits[0]
    assert one.shape == (1,) and again.shape == (2,)
    assert float(one[0]) == pytest.approx(float(two[1] - two[0]), abs=1e-5)
    assert float(again[1] - again[0]) == pytest.approx(float(one[0]), abs=1e-5)


def test_pairs_need_a_question_with_both(tiny_model: Path, tmp_path: Path) -> None:
    lone = [r for n, r in enumerate(reasonings()) if r.right == bool(n % 2)]
    with pytest.raises(AugenError, match="has both a right and a wrong reasoning"):
        train_scorer(lone, scorer_section(tiny_model, objective="pairwise"), seed=1, scratch=tmp_path)


@pytest.mark.parametrize("objective", ["classify", "pairwise"])
def test_lora_is_merged_into_a_plain_classifier(objective: str, tiny_model: Path, tmp_path: Path) -> None:
    section = scorer_section(tiny_model, tuning="lora", objective=objective, gradient_checkpointing=True)
    trained = train_scorer(reasonings(), section, seed=1, scratch=tmp_path / "scratch")
    before = weights(untrained(tiny_model, seed=1))
    adapted = {name for name in before if name.endswith("proj.weight")} | {"score.weight"}
    assert moved(before, weights(model_of(trained))) == adapted, "embeddings and norms stay"
    save_scorer(trained, section, tmp_path / "scorer")
    assert not list((tmp_path / "scorer").glob("adapter*"))
    scorer = Scorer(tmp_path / "scorer")
    assert not moved(weights(model_of(trained)), weights(scorer.model))


def test_the_best_checkpoint_is_kept_and_training_stops_early(tiny_model: Path, tmp_path: Path) -> None:
    """With a rate that ruins the model: no AUC is better than an early one, long before 40 epochs are over."""
    section = scorer_section(tiny_model, learning_rate=0.05, epochs=40, patience=2, evaluations=20)
    trained = train_scorer(reasonings(), section, seed=1, scratch=tmp_path)
    aucs = {row["step"]: row["eval_auc"] for row in trained.history if row["step"] and "eval_auc" in row}
    best = trained.metrics["best_step"]
    assert aucs[best] == max(aucs.values()) == pytest.approx(trained.metrics["auc"])
    later = [step for step in aucs if step > best]
    assert len(later) == 2 and len(aucs) < 20


@pytest.mark.parametrize(
    "changes",
    [{"optimizer": "lomo", "learning_rate": 1e-3}, {"objective": "pairwise", "tuning": "lora", "dropout": 0.2}],
    ids=["lomo", "pairs and lora"],
)
def test_a_stopped_training_goes_on_and_ends_the_same(
    changes: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    section = scorer_section(tiny_model, evaluations=4, **changes)

    def stop(history: list[dict[str, Any]]) -> None:
        if history[-1]["step"] >= 7:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train_scorer(reasonings(), section, seed=1, scratch=tmp_path / "stopped", on_log=stop)
    steps: list[int] = []
    again = train_scorer(
        reasonings(), section, seed=1, scratch=tmp_path / "stopped", on_log=lambda log: steps.append(log[-1]["step"])
    )
    whole = train_scorer(reasonings(), section, seed=1, scratch=tmp_path / "whole")
    assert min(steps) > 1, "it did not begin anew"
    assert again.metrics == whole.metrics
    assert not moved(weights(model_of(again)), weights(model_of(whole)))


def test_patience_knows_from_the_log_alone() -> None:
    def stops(aucs: list[float], patience: int) -> bool:
        log = [{"step": 0, "eval_auc": 0.99}] + [{"step": n, "eval_auc": a} for n, a in enumerate(aucs, start=1)]
        control = SimpleNamespace(should_training_stop=False)
        Patience(patience).on_train_begin(None, SimpleNamespace(log_history=log), control)
        return control.should_training_stop

    assert not stops([], 1) and not stops([0.6, 0.5, 0.7], 1)
    assert stops([0.6, 0.5], 1) and not stops([0.6, 0.5], 2)
    assert stops([0.6, 0.6, 0.6], 2), "no better is not better"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "adamwx"}, "optimizer 'adamwx' is unknown; transformers has adamw_torch, "),
        ({"report_to": ["nothing"]}, "report_to: nothing is not supported, only .*wandb"),
        ({"report_to": ["tensorboard"]}, "report_to: tensorboard is not installed: pip install tensorboard"),
    ],
)
def test_names_that_do_not_exist(changes: dict[str, Any], message: str, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(AugenError, match=message):
        train_scorer(reasonings(), scorer_section(tiny_model, **changes), seed=1, scratch=tmp_path)


def first_step(history: list[dict[str, Any]]) -> tuple[float, float]:
    [step] = [row for row in history if row["step"] == 1 and "loss" in row]
    return step["loss"], step["grad_norm"]


def test_accumulated_batches_are_one_batch(tiny_model: Path, tmp_path: Path) -> None:
    """Two batches of 4 make the step that one batch of 8 makes, with the same loss on the curve."""
    one, two = (
        train_scorer(
            reasonings(),
            scorer_section(tiny_model, batch_size=8 // parts, gradient_accumulation=parts, epochs=1),
            seed=1,
            scratch=tmp_path / str(parts),
        )
        for parts in (1, 2)
    )
    assert first_step(two.history) == pytest.approx(first_step(one.history), rel=1e-3)


@pytest.mark.parametrize("right", [[True, False], [True] * 7 + [False], [False] * 30 + [True] * 2])
def test_each_class_is_half_of_the_loss(right: list[bool]) -> None:
    weight = class_weights(right)
    total = [sum(float(weight[label]) for r in right if r == bool(label)) for label in (0, 1)]
    assert total == pytest.approx([len(right) / 2, len(right) / 2])


@pytest.mark.parametrize(("warmup", "steps"), [(0.0, 0), (0.05, 2), (0.5, 15), (1.0, 30)])
def test_warmup_is_a_share_of_the_steps(warmup: float, steps: int, tiny_model: Path, tmp_path: Path) -> None:
    section = scorer_section(tiny_model, warmup=warmup, epochs=3)
    arguments = TrainingArguments(**training_arguments(section, 1, tmp_path, examples=40))
    assert arguments.get_warmup_steps(30) == steps


# --- the adapter


class FixedExamples:
    """A retriever that finds the same examples of a kind for every question."""

    def __init__(self, *examples: Example) -> None:
        self.found = list(examples)

    def examples(self, questions: Sequence[tuple[str, QuestionItem, str]], k: int, kind: Kind) -> list[list[Example]]:
        return [[example for example in self.found if getattr(example[1], kind)][:k] for _ in questions]


def taught(
    base: Path, *examples: Example, max_length: int = 300, entries: Sequence[Entry] = (), **changes: Any
) -> list[Lesson]:
    model = params.Model(generator=str(base), revision=None, dtype="float32")
    window = Window(model, chat_template=False, max_model_len=max_length)
    entries = entries or [entry(n) for n in range(10)]
    retriever = cast(Retriever, FixedExamples(*examples))
    return lessons(entries, retriever, len(examples), PROMPT, window, finetune_section(**changes))


def course(lessons: list[Lesson], section: params.Finetune | None = None) -> Course:
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
    assert taught(tiny_model, entries=[unsolved]) == []


def test_every_adapter_has_a_seed_and_a_share_of_its_own(tiny_model: Path) -> None:
    """A problem and its copies fall together; what is held out, no adapter learns."""
    found = taught(tiny_model, entries=[entry(n, f"p{n % 20}{'~1' * (n > 19)}") for n in range(40)])
    several = courses(found, finetune_section(adapters=3, share=0.75), seed=1)
    held_out = {lesson.problem_id for lesson in several[0].held_out}
    assert len(held_out) == 8 and all(part.held_out == several[0].held_out for part in several)
    learned = [{lesson.problem_id for lesson in part.train} for part in several]
    assert [len(ids) for ids in learned] == [24] * 3, "12 of the 16 problems that are left, each with its copy"
    assert all({f"{id}~1" for id in ids if "~" not in id} < ids and not ids & held_out for ids in learned)
    assert len({part.seed for part in several}) == 3 and len({frozenset(ids) for ids in learned}) == 3
    assert course(found) == courses(found, finetune_section(adapters=3), seed=1)[0], "the first one is the only one"


def test_order_of_lessons_does_not_matter_for_the_split(tiny_model: Path) -> None:
    found = taught(tiny_model)
    shuffled = Random(1).sample(found, len(found))
    assert {lesson.problem_id for lesson in shuffled} == {lesson.problem_id for lesson in found}
