"""The grid of experiments and its table; the experiments themselves are DVC's."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from augen.core.errors import AugenError
from augen.entries import Entry, QuestionItem
from augen.entries.jsonl import write_jsonl
from benchmarks import ablation, seeds
from benchmarks.ablation import PARTS, Result, changed, experiments, page, result_of, shown
from tests.params import raw_params

RAW = raw_params()
OPTIONS = ["东", "西", "南", "北"]


def test_every_factor_has_an_experiment_beside_the_default_and_valid_params() -> None:
    grid = experiments(RAW, list(PARTS))
    assert {factor for factor, _ in grid} == {factor for settings in PARTS.values() for factor in settings}
    for _, change in grid:
        assert changed(RAW, change) != RAW
        ablation.check(changed(RAW, change), "params.yaml")


def test_a_setting_that_is_the_default_already_is_no_experiment() -> None:
    shuffled = changed(RAW, {"infer.shuffle_options": True})
    assert experiments(shuffled, ["shuffling"]) == [("shuffling", {"infer.shuffle_options": False})]
    assert ("shuffling", {"infer.shuffle_options": False}) in experiments(shuffled, ["inference"])
    assert ("shuffling", {"infer.shuffle_options": True}) not in experiments(shuffled, ["inference"])


def test_changes_are_shown_as_dvc_takes_them() -> None:
    assert shown({"infer.adaptive": True, "voters": 9}) == "infer.adaptive=true voters=9"
    assert shown({}) == "params.yaml"


def line(question: str, slot: int, answer: str | None, score: float, split: str = "dev") -> str:
    accepted = answer is not None and score >= 0.5
    row = {"split": split, "question": question, "slot": slot, "round": 0, "seed": 1, "text": "…", "answer": answer}
    return json.dumps(row | {"score": score, "accepted": accepted, "tokens": 10 * slot, "finish": "stop"})


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two problems of one question each, A and C are right, and two samples of each."""
    dev, samples = tmp_path / "dev.jsonl", tmp_path / "samples.jsonl"
    write_jsonl(
        dev, [Entry(f"题目{i}。", [QuestionItem("？", OPTIONS, answer=a)], f"p{i}") for i, a in enumerate("AC")]
    )
    lines = [
        line("p0#1", 1, "B", 0.6),
        line("p0#1", 2, "A", 0.9),
        line("p1#1", 1, None, 0.9),
        line("p1#1", 2, None, 0.9),
    ]
    lines += [line("t#1", slot, "A", 0.9, "test") for slot in (1, 2)]
    samples.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "vote_weights.json").write_text('{"program": 3.0, "source": "given"}', encoding="utf-8")
    return dev, samples


def measured(files: tuple[Path, Path], change: dict[str, Any], fallback: str = "B", programs: int = 0) -> Result:
    settings = {"voters": 2, "infer.programs": programs, "infer.threshold": 0.5, "infer.vote": "weighted"}
    settings |= {"infer.fallback": fallback}
    return result_of(changed(RAW, settings), "votes", change, *files)


def test_samples_are_voted_as_the_experiment_says(files: tuple[Path, Path]) -> None:
    found = measured(files, {})
    assert found.answers == ["A", "B"], "the higher score, and the fallback letter"
    assert found.right is not None
    assert (list(found.right), found.samples, found.tokens) == ([1.0, 0.0], 2.0, 30.0)
    assert measured(files, {}, fallback="C").answers == ["A", "C"]


def test_programs_vote_beside_the_reasonings(files: tuple[Path, Path]) -> None:
    _, samples = files
    more = [json.loads(line(q, 1, "C", 0.9, split)) for q, split in (("p0#1", "dev"), ("p1#1", "dev"), ("t#1", "test"))]
    more[0]["answer"], more[0]["accepted"], more[0]["cause"] = None, False, "syntax"
    lines = [json.dumps(each | {"mode": "program", "score": None}) for each in more]
    samples.write_text(samples.read_text(encoding="utf-8") + "\n".join(lines) + "\n", encoding="utf-8")
    found = measured(files, {}, programs=1)
    assert (found.answers, found.whole) == (["A", "B"], ["A", "C"])
    assert found.right is not None
    assert (found.right.tolist(), found.whole_right.tolist()) == ([1.0, 0.0], [1.0, 1.0])


def test_the_scorer_is_judged_on_samples_of_any_question_and_within_one(files: tuple[Path, Path]) -> None:
    dev, samples = files
    lines = samples.read_text(encoding="utf-8").splitlines()
    lines[2:4] = [line("p1#1", 1, "C", 0.55), line("p1#1", 2, "A", 0.5)]
    samples.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = measured((dev, samples), {})
    assert (found.auc, found.auc_within) == (0.75, 1.0), (
        "of right 0.9, 0.55 and wrong 0.6, 0.5 one pair is not in order"
    )


def test_samples_that_are_not_of_the_experiment_are_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises(AugenError, match=r"accepted contradicts threshold 0\.7"):
        measured(files, {"infer.threshold": 0.7})


def test_the_page_compares_question_by_question(files: tuple[Path, Path]) -> None:
    default = measured(files, {})
    better = measured(files, {"infer.fallback": "C"})
    rows = page([default, better]).splitlines()
    first, second = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows if row.startswith("| ")][1:3]
    cost = ["2.00", "30", "1.000", "1.000"]
    assert first == ["votes", "`params.yaml`", *["0.500 ± 0.500", ""] * 2, *cost]
    assert second == ["votes", "`infer.fallback=C`", *["1.000 ± 0.000", "+0.500 ± 0.500"] * 2, *cost]
    letters = [row for row in rows if row.startswith("|") and "right answers" in row]
    assert [cell.strip() for cell in letters[0].split("|")[3:-1]] == ["0.500", "0.000", "0.500", "0.000"]


def test_a_difference_is_shown_if_every_seed_shows_it(files: tuple[Path, Path]) -> None:
    """With one problem answered right of two, no gain is two errors from zero; with none of two, a gain of all is."""
    half, all_right = measured(files, {}), measured(files, {"infer.fallback": "C"}, fallback="C")
    [_, gained] = rows_of([[half, all_right], [half, all_right]])
    assert gained[2:8] == ["1.000 (1.000 … 1.000)", "+0.500 (+0.500 … +0.500)", "no"] * 2
    none = replace(half, answers=["B", "B"], whole=["B", "B"])
    first, second = rows_of([[none, all_right], [none, all_right]])
    assert first[2:8] == ["0.000 (0.000 … 0.000)", "", ""] * 2
    assert second[2:8] == ["1.000 (1.000 … 1.000)", "+1.000 (+1.000 … +1.000)", "yes"] * 2
    settled = replace(all_right, answers=None)
    assert rows_of([[none, settled], [none, all_right]])[1][2:5] == ["", "", ""]


def test_every_run_of_a_seed_has_it_and_files_of_its_own(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    dev, samples = files
    ran: list[dict[str, Any]] = []

    def run(change: ablation.Change) -> str:
        ran.append(dict(change))
        return f"run-{len(ran)}"

    def make_from(experiment: str, path: str) -> str:
        return f"{path} of {experiment}"

    lying = {"dev.jsonl": dev, "samples.jsonl": samples, "vote_weights.json": samples.with_name("vote_weights.json")}
    monkeypatch.setattr(ablation, "run", run)
    monkeypatch.setattr(ablation, "make_from", make_from)
    monkeypatch.setattr(ablation, "fetch", lambda name, path, folder: lying[Path(path).name])
    settings = {"voters": 2, "infer.programs": 0, "infer.threshold": 0.5, "infer.vote": "weighted"}
    found = ablation.results(changed(RAW, settings), {"seed": 43}, ["pseudo-labels", "preference"])
    assert ran == [
        {"seed": 43},
        {"seed": 43, "finetune.pseudo": "data/pseudo_43.pkl of run-1"},
        {"seed": 43, "prefer.method": "dpo"},
        {"seed": 43, "prefer.method": "grpo"},
    ]
    assert [result.change for result in found] == [*map(without_seed, ran)]


def without_seed(change: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in change.items() if key != "seed"}


def rows_of(found: list[list[Result]]) -> list[list[str]]:
    lines = [line for line in seeds.parts_page([42, 43], found).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def test_other_questions_cannot_be_compared(files: tuple[Path, Path], tmp_path: Path) -> None:
    default = measured(files, {})
    _, samples = files
    other = tmp_path / "other.jsonl"
    write_jsonl(other, [Entry("题目。", [QuestionItem("？", OPTIONS, answer="A")], "q0")])
    lines = [line("q0#1", slot, "A", 0.9) for slot in (1, 2)] + samples.read_text(encoding="utf-8").splitlines()[-2:]
    (tmp_path / "others.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(AugenError, match="nothing to compare"):
        page([default, measured((other, tmp_path / "others.jsonl"), {})])


def test_an_unknown_part() -> None:
    with pytest.raises(AugenError, match="PART=speed is none of inference, data, adapter"):
        ablation.main(["speed"])
