"""Training of the scorer on a tiny random model: what moves and what does not; what is saved is what was trained."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    TrainingArguments,
)

from augen.core.errors import AugenError
from augen.entries import Entry, QuestionItem, Solution
from augen.scorer.pairwise import one_label, two_labels
from augen.scorer.report import LabelledReasoning, Reasonings, labelled
from augen.scorer.score import Scorer
from augen.scorer.shared_prefix import Group
from augen.scorer.train import Patience, Trained, class_weights, save_scorer, train_scorer
from augen.training.trainer import split_by_problem, training_arguments
from tests.trainings import entry, item, moved, scorer_section, weights


def spilled(*items: LabelledReasoning) -> Reasonings:
    return Reasonings(LabelledReasoning, items)


def reasonings() -> Reasonings:
    """Of ten problems one right and one wrong reasoning each, of different lengths, and copies of two of them."""
    entries = [entry(n) for n in range(10)] + [entry(0, "p0~1"), entry(1, "p1~1")]
    wrong = [
        Entry(e.problem, [QuestionItem("谁高？", ["甲", "乙"], "乙高，" * (n % 4) + "\n答案是：B", "B", "model")], e.id)
        for n, e in enumerate(entries)
    ]
    return spilled(*labelled(entries, right=True), *labelled(wrong, right=False))


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
    items = spilled(*(r for r in reasonings() if r.right == right))
    with pytest.raises(AugenError, match=r"(\d+ right and 0|0 right and \d+) wrong reasonings to train on: both kinds"):
        train_scorer(items, scorer_section(tiny_model), seed=1, scratch=tmp_path)


def test_a_held_out_part_of_one_kind_measures_nothing(tiny_model: Path, tmp_path: Path) -> None:
    wrong_of = {f"p{n}" for n in range(10)} - {"p3"}
    mixed = spilled(*(r for r in reasonings() if r.right or r.problem_id in wrong_of))
    lone = [seed for seed in range(40) if _held_out(mixed, seed) == {"p3"}]
    with pytest.raises(AugenError, match="1 right and 0 wrong reasonings held out"):
        train_scorer(mixed, scorer_section(tiny_model, held_out=0.05), seed=lone[0], scratch=tmp_path)


def _held_out(items: Reasonings, seed: int) -> set[str]:
    _, held_out = split_by_problem(items.origins, 0.05, seed)
    return {items[place].problem_id for place in held_out}


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
    lone = spilled(*(r for n, r in enumerate(reasonings()) if r.right == bool(n % 2)))
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
    weight = class_weights(np.array(right))
    total = [sum(float(weight[label]) for r in right if r == bool(label)) for label in (0, 1)]
    assert total == pytest.approx([len(right) / 2, len(right) / 2])


@pytest.mark.parametrize(("warmup", "steps"), [(0.0, 0), (0.05, 2), (0.5, 15), (1.0, 30)])
def test_warmup_is_a_share_of_the_steps(warmup: float, steps: int, tiny_model: Path, tmp_path: Path) -> None:
    section = scorer_section(tiny_model, warmup=warmup, epochs=3)
    arguments = TrainingArguments(**training_arguments(section, 1, tmp_path, examples=40))
    assert arguments.get_warmup_steps(30) == steps
