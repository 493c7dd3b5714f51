"""The picture of a result: drawn from reports/, with every step that was measured and nothing that was not."""

import csv
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from augen.core.errors import AugenError
from tests.params import write_params
from tools.picture import STEPS, main, picture, specification

CURVE = [
    {"k": 1, "pass": 0.6, "majority": 0.6, "weighted": 0.6, "best": 0.6, "configured": 0.6},
    {"k": 2, "pass": 0.7, "majority": 0.61, "weighted": 0.62, "best": 0.64, "configured": 0.62},
]
ACCURACIES = {
    "random": 0.351,
    "always_a": 0.321,
    "best_constant": 0.362,
    "plain": 0.503,
    "single": 0.604,
    "voting": 0.705,
}


def metrics(**steps: float) -> dict[str, Any]:
    numbers = {key: {"accuracy": value, "accuracy_se": 0.03} for key, value in steps.items()}
    return {"questions": 1224, "steps": numbers}


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    folder = tmp_path / "reports"
    (folder / "plots").mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(metrics(**ACCURACIES)))
    with (folder / "plots/accuracy_over_k.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(CURVE[0]))
        table.writeheader()
        table.writerows(CURVE)
    return folder


def shown(svg: str) -> list[str]:
    return [text for node in ElementTree.fromstring(svg).iter() if (text := (node.text or "").strip())]


def test_it_shows_what_was_measured(reports: Path) -> None:
    texts = shown(picture(reports, "adapter", "majority"))
    assert [text for text in texts if text in {*STEPS.values(), "+ adapter"}] == [
        "random option",
        "best constant letter",
        "plain model, one sample",
        "+ adapter",
        "+ majority vote",
    ]
    assert {"0.351", "0.362", "0.503", "0.604", "0.705"} <= {*texts}
    assert "0.321" not in texts  # answering A is not shown beside the best constant
    assert any(text.startswith("1,224 held-out questions") for text in texts)
    assert "majority" in texts and "as configured" in texts


def test_a_step_of_another_name_is_shown_in_its_place() -> None:
    steps = {key: {"accuracy": 0.5, "accuracy_se": 0.1} for key in ("plain", "by_length", "redraw")}
    [left, _] = specification({"questions": 9, "steps": steps}, CURVE, "adapter", "weighted")["hconcat"]
    assert [row["step"] for row in left["data"]["values"]] == [STEPS["plain"], "+ by length", STEPS["redraw"]]


@pytest.mark.parametrize(
    ("vote", "name"),
    [
        ("majority", "+ majority of accepted"),
        ("likelihood", "+ likelihood vote"),
        ("weighted", "+ weighted vote"),
        ("best", "+ best score"),
    ],
)
def test_the_vote_of_accepted_samples_has_the_name_of_the_one_that_was_asked_for(
    vote: str, name: str, reports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (reports / "metrics.json").write_text(json.dumps(metrics(**ACCURACIES, scorer=0.806)))
    write_params(reports.parent / "params.yaml", {"infer.vote": vote})
    monkeypatch.chdir(reports.parent)
    monkeypatch.setattr("sys.argv", ["picture", "result.svg"])
    main()
    texts = shown((reports.parent / "result.svg").read_text(encoding="utf-8"))
    after = texts[texts.index("+ majority vote") + 1 :]
    assert after[0] == name


def test_no_role_is_left_where_a_colour_belongs(reports: Path) -> None:
    svg = picture(reports, "adapter", "majority")
    assert "series-" not in svg and '"muted"' not in svg
    assert '"#2f6bd0"' in svg
    assert "http" not in svg.replace("http://www.w3.org/", "")  # loads nothing


def test_a_run_without_votes_and_without_an_error_is_drawn() -> None:
    steps = {"plain": {"accuracy": 0.5, "accuracy_se": None}}
    [left, _] = specification({"questions": 1, "steps": steps}, CURVE[:1], "adapter", "weighted")["hconcat"]
    [row] = left["data"]["values"]
    assert (row["low"], row["accuracy"], row["high"]) == (0.5, 0.5, 0.5)


def test_a_run_that_was_cut_short_has_no_curve(reports: Path) -> None:
    (reports / "plots/accuracy_over_k.csv").write_text(",".join(CURVE[0]) + "\n")
    texts = shown(picture(reports, "adapter", "majority"))
    assert "Accuracy after each step" in texts and "0.705" in texts
    assert "Accuracy over samples per question" not in texts


def test_the_command(reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_params(reports.parent / "params.yaml")
    monkeypatch.chdir(reports.parent)
    monkeypatch.setattr("sys.argv", ["picture", "docs/result.svg"])
    main()
    assert (reports.parent / "docs/result.svg").read_text(encoding="utf-8") == picture(reports, "adapter", "majority")
    assert capsys.readouterr().out == "docs/result.svg\n"

    monkeypatch.setattr("sys.argv", ["picture", "result.png"])
    with pytest.raises(SystemExit):
        main()
    assert "name it …result.svg" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["metrics.json", "plots/accuracy_over_k.csv"])
def test_without_a_run(name: str, reports: Path) -> None:
    (reports / name).unlink()
    with pytest.raises(AugenError, match=f"{name}.*dvc repro"):
        picture(reports, "adapter", "majority")
