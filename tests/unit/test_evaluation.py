"""The evaluation of a small run whose every number is worked out by hand, and the faults that it finds."""

import csv
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augen.core.errors import AugenError
from augen.core.files import write_json
from augen.entries import Entry, QuestionItem, question_id
from augen.entries.jsonl import write_jsonl
from augen.evaluation import steps as evaluation
from augen.evaluation.programs import CUT_SHORT, MEANINGS, SHARES, Programs, abstentions
from augen.evaluation.steps import Recorded, Report, evaluate, gains_page, gains_table, rounded
from augen.metrics.stats import Estimate
from augen.programs.language import CAUSES
from augen.voting.samples import DevQuestions, Sample, SampleFile, dev_questions, matched, read_samples
from augen.voting.settings import VotingSettings
from augen.voting.vote import handed_in
from augen.voting.weights import Weight, read_weight
from stages import evaluate as stage
from tests.oracles import decide, next_draws
from tests.params import write_params

DEV = [
    Entry(
        "甲比乙高。",
        [
            QuestionItem("谁更高？", ["甲", "乙"], answer="A"),
            QuestionItem("谁最矮？", ["甲", "丙", "丁", "乙"], answer="B"),
        ],
        "dev_0000_roads",
    ),
    Entry("列表为空。", [QuestionItem("长度？", ["0", "1", "2", "3"], answer="A")], "dev_0001_lists"),
]
SETTINGS = VotingSettings(voters=3, max_resample=1, threshold=0.5, method="weighted")

# question: its samples as (slot, round, answer, score); the threshold is 0.5.
PIPELINE: dict[str, list[tuple[int, int, str | None, float | None]]] = {
    # one of three right; the majority is B, the only accepted one A; so is the redrawn slot 2
    "dev_0000_roads#1": [
        (1, 0, "A", 0.9),
        (2, 0, "B", 0.2),
        (3, 0, "B", 0.3),
        (2, 1, "A", 0.8),
        (3, 1, "B", 0.1),
    ],
    # a tie that B's score decides; nothing accepted; the redraw accepts C, which is wrong
    "dev_0000_roads#2": [
        (1, 0, "B", 0.4),
        (2, 0, None, 0.1),
        (3, 0, "A", 0.3),
        (1, 1, "C", 0.6),
        (2, 1, "C", 0.7),
        (3, 1, None, 0.1),
    ],
    # nothing parsed: the fallback letter happens to be right
    "dev_0001_lists#1": [(slot, round_, None, 0.2) for round_ in (0, 1) for slot in (1, 2, 3)],
}
PLAIN: dict[str, list[tuple[int, int, str | None, float | None]]] = {
    "dev_0000_roads#1": [(1, 0, "A", None), (2, 0, "A", None)],
    "dev_0000_roads#2": [(1, 0, "A", None), (2, 0, "B", None)],
    "dev_0001_lists#1": [(1, 0, None, None), (2, 0, "A", None)],
}
TEST: dict[str, list[tuple[int, int, str | None, float | None]]] = {
    "test_0000_roads#1": [(slot, 0, "A", 0.9) for slot in (1, 2, 3)],
    "test_0000_roads#2": [(slot, round_, None, 0.9) for round_ in (0, 1) for slot in (1, 2, 3)],
}
# question: its programs as (slot, round, answer, cause)
PROGRAMS: dict[str, list[tuple[int, int, str | None, str | None]]] = {
    # slot 2 answers when it is drawn again; programs and reasonings agree
    "dev_0000_roads#1": [(1, 0, "A", None), (2, 0, None, "syntax"), (2, 1, "A", None)],
    # right, while the reasonings say C with 0.6 + 0.7
    "dev_0000_roads#2": [(1, 0, "B", None), (2, 0, None, "syntax"), (2, 1, None, "several")],
    # wrong, where no reasoning was parsed
    "dev_0001_lists#1": [(1, 0, None, "no_option"), (1, 1, None, "time"), (2, 0, "C", None)],
}
BOTH: list[tuple[int, int, str | None, str | None]] = [(1, 0, "A", None), (2, 0, None, "cut")]
WITH_PROGRAMS = replace(SETTINGS, programs=2, program_weight=1.5)
WEIGHT = Weight(1.5, "learned", questions=80, problems=31, programs_drawn=160, programs_answered=90, programs_right=70)
Row = dict[str, Any]
EXAMPLE: Row = {
    "problem": "丙比丁高。",
    "question": "谁高？",
    "options": ["丙", "丁"],
    "reasoning": "答案是：A",
    "answer": "A",
}
SCORER: Row = {
    "texts": 4,
    "accuracy": 0.5,
    "learned_nothing": True,
    "by_author": {"<script>x</script>": {"texts": 4, "right": 4}},
}


def rows_of(split: str, drawn: dict[str, list[tuple[int, int, str | None, float | None]]]) -> Iterator[Row]:
    for question, samples in drawn.items():
        for slot, round_, answer, score in samples:
            yield {
                "split": split,
                "question": question,
                "slot": slot,
                "round": round_,
                "seed": 7,
                "text": "甲>乙\n答案是：A",
                "answer": answer,
                "score": score,
                "accepted": answer is not None and (score is None or score >= 0.5),
                "tokens": 10,
                "finish": "stop",
            }


def pipeline_rows() -> list[Row]:
    return [*rows_of("dev", PIPELINE), *rows_of("test", TEST)]


def program_rows(split: str, drawn: dict[str, list[tuple[int, int, str | None, str | None]]]) -> list[Row]:
    """Programs as they are in `PROGRAMS`."""
    return [
        row | {"mode": "program", "accepted": answer is not None, "cause": cause, "detail": "line 1, column 2: …"}
        for question, programs in drawn.items()
        for slot, round_, answer, cause in programs
        for row in rows_of(split, {question: [(slot, round_, answer, None)]})
    ]


def with_programs(folder: Path, rows: list[Row], settings: VotingSettings = WITH_PROGRAMS) -> Report:
    """The report of a run whose samples are `rows`, some of them programs."""
    questions = dev_questions(DEV)
    infer = replace(infer_source(write(folder / "samples.jsonl", rows)), settings=settings)
    baseline = baseline_source(write(folder / "baseline.jsonl", list(rows_of("dev", PLAIN))))
    drawn = read_samples(infer, ("dev", "test"))
    plain = matched(read_samples(baseline, ("dev",))["dev"], questions, baseline)
    found = Programs(WEIGHT, abstentions(drawn["dev"], infer))
    recorded = Recorded(matched(drawn["dev"], questions, infer), plain, drawn["test"], found)
    return evaluate(questions, recorded, settings, "adapter")


def example_rows() -> Iterator[Row]:
    for entry in DEV:
        for i in range(len(entry.questions)):
            yield {"split": "dev", "question": question_id(entry, i), "examples": [EXAMPLE]}


def write(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def infer_source(path: Path) -> SampleFile:
    return SampleFile(path, "infer", SETTINGS)


def baseline_source(path: Path) -> SampleFile:
    return SampleFile(path, "baseline", VotingSettings(2))


def read(folder: Path, rows: list[Row]) -> tuple[DevQuestions, Recorded]:
    """Questions, and the samples of the pipeline, the plain model and the test split, as the stage reads them."""
    questions = dev_questions(DEV)
    infer = infer_source(write(folder / "samples.jsonl", rows))
    baseline = baseline_source(write(folder / "baseline.jsonl", list(rows_of("dev", PLAIN))))
    drawn = read_samples(infer, ("dev", "test"))
    plain = matched(read_samples(baseline, ("dev",))["dev"], questions, baseline)
    return questions, Recorded(matched(drawn["dev"], questions, infer), plain, drawn["test"])


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return evaluate(*read(tmp_path, pipeline_rows()), SETTINGS, "adapter")


class TestNumbers:
    def test_accuracy_of_every_step(self, report: Report) -> None:
        accuracy = {gain.key: gain.accuracy.value for gain in report.gains}
        assert accuracy == pytest.approx(
            {
                "random": (1 / 2 + 1 / 4 + 1 / 4) / 3,
                "always_a": 2 / 3,
                "best_constant": 2 / 3,
                "plain": (1 + 1 / 2 + 1 / 2) / 3,
                "single": (1 / 3 + 1 / 3 + 0) / 3,
                "voting": (0 + 1 + 0) / 3,
                "scorer": (1 + 1 + 0) / 3,
                "redraw": (1 + 0 + 0) / 3,
                "fallback": (1 + 0 + 1) / 3,
            }
        )

    def test_each_step_is_compared_with_the_one_above(self, report: Report) -> None:
        differences = {gain.key: gain.difference.value for gain in report.gains if gain.difference}
        expected = {
            "plain": 0,
            "single": -4 / 9,
            "voting": 1 / 9,
            "scorer": 1 / 3,
            "redraw": -1 / 3,
            "fallback": 1 / 3,
        }
        assert differences == pytest.approx(expected)

    def test_the_error_of_a_difference_is_paired_and_clustered(self, report: Report) -> None:
        """Scorer over voting: +1, 0 | 0, mean 1/3; deviations 2/3 - 1/3 and -1/3 by problem.

        se² = 2/1 · (1/9 + 1/9)/9 = 4/81.
        """
        by_key = {gain.key: gain for gain in report.gains}
        scorer = by_key["scorer"].difference
        assert scorer is not None
        assert scorer.se == pytest.approx(2 / 9)

    def test_the_headline_is_what_is_handed_in(self, report: Report) -> None:
        numbers = report.metrics
        assert list(numbers)[:6] == [
            "accuracy",
            "accuracy_se",
            "plain_accuracy",
            "plain_accuracy_se",
            "gain",
            "gain_se",
        ]
        assert numbers["accuracy"] == pytest.approx(2 / 3)
        assert numbers["plain_accuracy"] == pytest.approx(2 / 3)
        assert numbers["gain"] == pytest.approx(0)
        assert numbers["no_answer_rate"] == pytest.approx(4 / 9)
        assert numbers["plain_no_answer_rate"] == pytest.approx(1 / 6)
        assert numbers["fallbacks"] == 1
        assert numbers["samples_per_question"] == pytest.approx(17 / 3)
        assert numbers["tokens_per_question"] == pytest.approx(170 / 3)
        assert (numbers["questions"], numbers["problems"]) == (3, 2)

    def test_acceptance_families_and_test_split(self, report: Report) -> None:
        numbers = report.metrics
        assert numbers["acceptance"] == pytest.approx({"round_0": 1 / 9, "round_1": 3 / 8})
        assert numbers["families"] == {"lists": 1.0, "roads": 0.5}
        assert numbers["test"] == pytest.approx(
            {
                "questions": 2,
                "fallbacks": 1,
                "no_answer_rate": 0.5,
                "samples_per_question": 4.5,
                "tokens_per_question": 45,
            }
        )
        assert report.test_fallbacks == ["test_0000_roads#2"]

    def test_the_scorer_is_judged_on_round_0(self, report: Report) -> None:
        """Right: 0.9 and 0.4; wrong: 0.2, 0.3, 0.3. All six pairs are in order."""
        assert report.metrics["scorer"]["auc"] == 1
        assert sum(b["samples"] for b in report.plots["calibration"]) == 5

    def test_the_curve_ends_where_the_table_begins(self, report: Report) -> None:
        curve = {row["k"]: row for row in report.plots["accuracy_over_k"]}
        accuracy = {gain.key: gain.accuracy.value for gain in report.gains}
        assert list(curve) == [1, 2, 3]
        assert curve[1]["majority"] == pytest.approx(accuracy["single"])
        assert curve[1]["pass"] == pytest.approx(accuracy["single"])
        assert curve[3]["majority"] == pytest.approx(accuracy["voting"])
        assert curve[3]["configured"] == pytest.approx(accuracy["scorer"])
        assert curve[3]["pass"] == report.metrics["at_k"]["pass"] == pytest.approx(2 / 3)

    def test_the_order_of_lines_changes_nothing(self, tmp_path: Path, report: Report) -> None:
        rows = pipeline_rows()
        random.Random(0).shuffle(rows)
        again = evaluate(*read(tmp_path, rows), SETTINGS, "adapter")
        assert (again.metrics, again.gains, again.plots) == (report.metrics, report.gains, report.plots)


class TestPrograms:
    @pytest.fixture
    def programs(self, tmp_path: Path) -> Report:
        rows = [*program_rows("dev", PROGRAMS), *program_rows("test", dict.fromkeys(TEST, BOTH))]
        return with_programs(tmp_path, [*rows, *pipeline_rows()])

    def test_the_row_of_the_solver(self, programs: Report, report: Report) -> None:
        """Right after it: 1, 1 | 0; 1.5 for B beats 1.3 for C, and C is wrong. The rows before it are unchanged."""
        assert programs.gains[:8] == report.gains[:8]
        solver, fallback = programs.gains[8:]
        assert (solver.key, solver.name) == ("solver", "+ solver, 2 programs (weight 1.5)")
        assert solver.accuracy.value == pytest.approx(2 / 3)
        assert solver.difference is not None and solver.difference.value == pytest.approx(1 / 3)
        assert solver.samples == fallback.samples == pytest.approx((17 + 9) / 3)
        assert fallback.difference == Estimate(0, 0), "every question has a vote"
        assert programs.metrics["fallbacks"] == programs.metrics["test"]["fallbacks"] == 0
        same = {name: rows for name, rows in report.plots.items() if name != "families"}
        assert programs.plots == same

    def test_the_numbers_about_programs(self, programs: Report) -> None:
        """Precision of the first programs: right 1, 1 | 0, deviations 1/3 + 1/3 and -2/3 by problem.

        se² = 2/1 · (4/9 + 4/9)/9 = 16/81. With redraws 1, 1/2 | 1/2 of the slots answer: mean 2/3, deviations by
        problem 1/6 and -1/6, se² = 2 · (1/36 + 1/36)/9 = 1/81.
        """
        found = programs.metrics["programs"]
        shares = {name: (found[name], found[f"{name}_se"]) for name in SHARES}
        assert shares == {
            "coverage": pytest.approx((1, 0)),
            "answered": pytest.approx((1 / 2, 0)),
            "answered_with_redraws": pytest.approx((2 / 3, 1 / 9)),
            "precision": pytest.approx((2 / 3, 4 / 9)),
            "vote_precision": pytest.approx((2 / 3, 4 / 9)),
            "accuracy": pytest.approx((2 / 3, 4 / 9)),
        }
        assert (found["slots"], found["samples_per_question"], found["tokens_per_question"]) == (2, 3, 30)
        assert (found["weight"], found["weight_source"], found["weight_questions"]) == (1.5, "learned", 80)
        assert found["answers"] == {"right": 3, "wrong": 1}
        assert list(found["abstentions"].items()) == [("syntax", 2), ("no_option", 1), ("several", 1), ("time", 1)]
        only = {"questions": 1, "programs_right": 1, "reasonings_right": 0, "neither_right": 0}
        assert found["disagreements"] == only, "where no reasoning has an answer there is none"

    def test_programs_without_weight_do_not_vote(self, tmp_path: Path) -> None:
        rows = [*program_rows("dev", PROGRAMS), *program_rows("test", dict.fromkeys(TEST, BOTH)), *pipeline_rows()]
        report = with_programs(tmp_path, rows, replace(WITH_PROGRAMS, program_weight=0.0))
        by_key = {gain.key: gain for gain in report.gains}
        assert by_key["solver"].difference == Estimate(0, 0)
        assert by_key["solver"].samples > by_key["redraw"].samples
        assert (report.metrics["fallbacks"], report.metrics["test"]["fallbacks"]) == (1, 1)

    def test_where_programs_settle_questions_reasonings_are_not_measured(self, tmp_path: Path) -> None:
        """Adaptive: the first question has one program and no reasoning."""
        name = "dev_0000_roads#1"
        rows = [*program_rows("dev", PROGRAMS | {name: [(1, 0, "A", None)]}), *pipeline_rows()]
        rows = [row for row in rows if row["question"] != name or row.get("mode")]
        report = with_programs(tmp_path, rows, replace(WITH_PROGRAMS, adaptive=True))
        assert [gain.key for gain in report.gains] == [
            *("random", "always_a", "best_constant", "plain", "solver", "fallback")
        ]
        assert report.gains[4].name == "+ adapter, 2 programs (weight 1.5) and votes"
        assert report.metrics["accuracy"] == pytest.approx(2 / 3)
        assert not {"at_k", "acceptance", "scorer"} & report.metrics.keys()
        assert report.plots["accuracy_over_k"] == report.plots["roc"] == []
        found = report.metrics["programs"]
        assert not {"vote_precision", "accuracy", "disagreements"} & found.keys()
        # Slot 1 is the one that all have: it answers at once in two questions, rightly, and never in the third.
        assert (found["answered"], found["precision"]) == (pytest.approx(2 / 3), 1)
        assert found["answered_with_redraws"] == pytest.approx(2 / 3)
        assert rounded(report.metrics)["no_answer_rate"] is None
        page = gains_page(report)
        assert CUT_SHORT in page
        assert "different winners" not in page

    def test_a_slot_that_was_not_drawn_to_its_end_says_nothing_about_redraws(self, tmp_path: Path) -> None:
        """``resample: question``: once one slot has an answer, the others are not drawn again."""
        once = {name: [row for row in rows if row[1] == 0] for name, rows in PROGRAMS.items()}
        rows = [*program_rows("dev", once), *program_rows("test", dict.fromkeys(TEST, BOTH)), *pipeline_rows()]
        found = with_programs(tmp_path, rows, replace(WITH_PROGRAMS, resample="question")).metrics["programs"]
        assert found["answered"] == 0.5
        assert "answered_with_redraws" not in found

    def test_the_page_of_gains_explains_them(self, programs: Report) -> None:
        page = gains_page(programs)
        assert "\n## Programs\n\n- coverage 1.000 ± 0.000: questions with" in page
        assert "A program weighs 1.5 votes (learned from 80 held-out questions), a reasoning 0.75 on average." in page
        assert "different winners for 1 questions: the programs are right on 1 of these, the reasonings on 0" in page
        assert "- syntax (2): not a program of the language\n" in page
        assert page.endswith("0 of 2 questions have no parsed sample and get the fallback letter.\n")

    def test_every_cause_has_a_meaning(self) -> None:
        assert set(MEANINGS) == {*CAUSES, "refused"}

    def test_an_abstention_without_cause(self, tmp_path: Path) -> None:
        file = infer_source(write(tmp_path / "samples.jsonl", program_rows("dev", {"甲#1": [(1, 0, None, None)]})))
        file = replace(file, settings=replace(WITH_PROGRAMS, adaptive=True))
        with pytest.raises(
            AugenError, match=r"甲#1, program slot 1, round 0: a program has neither answer nor cause\n"
        ):
            abstentions(read_samples(file, ("dev",))["dev"], file)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (None, "cannot be read"),
            ("[1]", "no weight of a program"),
            ('{"program": "3", "source": "given"}', "no weight of a program"),
            ('{"program": 1}', "no weight of a program"),
            ('{"program": 1, "source": "unused"}', "no weight for infer.programs 2: 1 unused"),
            ('{"program": -1, "source": "given"}', "no weight for infer.programs 2: -1 given"),
        ],
    )
    def test_a_weight_that_is_none(self, tmp_path: Path, text: str | None, message: str) -> None:
        path = tmp_path / "vote_weights.json"
        if text:
            path.write_text(text)
        with pytest.raises(AugenError) as caught:
            read_weight(SampleFile(path, "infer", WITH_PROGRAMS))
        assert f"{path}: {message}" in str(caught.value)
        assert "dvc repro" in str(caught.value)


def test_handed_in_answers_are_those_of_the_round_loop(tmp_path: Path) -> None:
    """300 questions drawn by the real loop, adaptively: the table's last rows agree with `decide`."""
    rng = random.Random(5)
    dev = [
        Entry(f"题目{i}", [QuestionItem("问", ["一", "二", "三"], answer=rng.choice("ABC"))], f"real{i}")
        for i in range(300)
    ]
    rows, right, fallbacks = [], 0, 0
    settings = VotingSettings(6, 1, threshold=0.5, method="weighted", adaptive=True)
    for entry in dev:
        history: list[Sample] = []
        while draws := next_draws(history, settings):
            history += [
                Sample(rng.choice([None, None, "A", "B", "C"]), rng.choice([0.1, 0.3, 0.5, 0.6]), *place)
                for place in draws
            ]
        decision = decide(history, settings)
        right += decision.answer == entry.questions[0].answer
        fallbacks += decision.basis == "fallback"
        rows += list(rows_of("dev", {f"{entry.id}#1": [(s.slot, s.round, s.answer, s.score) for s in history]}))
    source = SampleFile(write(tmp_path / "s.jsonl", rows), "infer", settings)
    questions = dev_questions(dev)
    samples = matched(read_samples(source, ("dev",))["dev"], questions, source)
    report = evaluate(questions, Recorded(samples, samples, samples), settings, "adapter")
    assert report.metrics["accuracy"] == pytest.approx(right / 300)
    assert report.metrics["fallbacks"] == fallbacks
    assert "families" not in report.metrics
    # Not every question came to its fifth slot: what follows an early end is left out of the curves.
    assert report.metrics["at_k"]["k"] < 6
    assert len(samples.common.rows) == 300 * report.metrics["at_k"]["k"]


def test_without_a_scorer_all_votes_are_the_majority(tmp_path: Path) -> None:
    rows = pipeline_rows()
    for row in rows:
        row |= {"score": None, "accepted": row["answer"] is not None}
    report = evaluate(*read(tmp_path, rows), SETTINGS, "adapter")
    assert "scorer" not in report.metrics
    assert report.plots["roc"] == report.plots["calibration"] == []
    at_k = report.metrics["at_k"]
    assert at_k["majority"] == at_k["likelihood"] == at_k["weighted"] == at_k["best"] == at_k["configured"]


def test_a_fallback_beyond_a_question_s_options_is_its_last_letter() -> None:
    """As the stage `infer` hands it in."""
    asked = DevQuestions(["p#1", "p#2", "p#3"], np.zeros(3, int), np.array([2, 4, 2]), ["p"] * 3)
    assert handed_in(np.array([-1, -1, 0]), asked.options, "D").tolist() == [1, 3, 0]


def test_verdicts() -> None:
    gain = evaluation.Gain("k", "name", Estimate(0.5, 0.1), None, 1)
    verdict = {
        difference: replace(gain, difference=Estimate(*difference)).verdict
        for difference in [
            (0.02, 0.01),
            (0.019, 0.01),
            (0.009, 0.01),
            (0.0, 0.01),
            (0.0, 0.0),
            (-0.001, 0.01),
            (0.1, float("nan")),
        ]
    }
    assert list(verdict.values()) == ["gained", "not shown", "not shown", "not shown", "no change", "lost", "not shown"]
    assert gain.verdict == ""


class TestFaults:
    """Each says which file, which question, and what to run."""

    def fault(self, tmp_path: Path, rows: list[Row]) -> str:
        with pytest.raises(AugenError) as caught:
            read(tmp_path, rows)
        message = str(caught.value)
        assert f"{tmp_path / 'samples.jsonl'}: " in message
        assert "dvc repro infer" in message
        return message

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"slot": 4}, "slots outside 1…3 (voters): dev_0000_roads#1 (slot 4, round 0)"),
            ({"slot": 0}, "slots outside 1…3 (voters): dev_0000_roads#1 (slot 0, round 0)"),
            ({"round": 2}, "rounds outside 0…1 (max_resample): dev_0000_roads#1 (slot 1, round 2)"),
            ({"slot": 2}, "drawn more than once: dev_0000_roads#1 (slot 2, round 0)"),
            ({"round": 1}, "fewer than 3 samples in round 0: dev_0000_roads#1 (2)"),
            ({"accepted": False}, "accepted contradicts threshold 0.5: dev_0000_roads#1 (slot 1, round 0)"),
            ({"score": 0.1}, "accepted contradicts threshold 0.5: dev_0000_roads#1 (slot 1, round 0)"),
            ({"answer": "D"}, "an answer beyond the question's options: dev_0000_roads#1 (slot 1, round 0)"),
            ({"answer": "答"}, "line 1: missing or unknown: '答'"),
            ({"score": float("nan")}, "line 1: score nan is not within 0…1"),
            ({"score": 1.5}, "line 1: score 1.5 is not within 0…1"),
            ({"logprob_rank": 101}, "line 1: logprob_rank 101 is no whole number from 0 to 100"),
            ({"logprob_rank": 50.5}, "line 1: logprob_rank 50.5 is no whole number from 0 to 100"),
            ({"slot": None}, "line 1: "),
            ({"split": "train"}, "line 1: missing or unknown: 'train'"),
            ({"mode": "poem"}, "line 1: missing or unknown: 'poem'"),
            ({"mode": "program"}, "slots outside 1…3 (voters): dev_0000_roads#1 (program slot 1, round 0)"),
            ({"question": "dev_9#1"}, "samples of questions that are not in data/dev.jsonl: dev_9#1"),
        ],
    )
    def test_a_changed_sample(self, tmp_path: Path, change: Row, message: str) -> None:
        rows = pipeline_rows()
        if "question" in change:
            for row in rows[:5]:
                row |= change
        rows[0] |= change
        assert message in self.fault(tmp_path, rows)

    def test_a_missing_question(self, tmp_path: Path) -> None:
        message = self.fault(tmp_path, pipeline_rows()[5:])
        assert "no samples for questions of data/dev.jsonl: dev_0000_roads#1" in message

    def test_a_missing_field_and_a_cut_line(self, tmp_path: Path) -> None:
        rows = pipeline_rows()
        del rows[2]["tokens"]
        assert "line 3: missing or unknown: 'tokens'" in self.fault(tmp_path, rows)
        path = write(tmp_path / "samples.jsonl", pipeline_rows())
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(AugenError, match=r"line 26: no JSON: Expecting value \(character 149\)"):
            read_samples(infer_source(path), ("dev", "test"))

    def test_a_missing_split_and_a_missing_file(self, tmp_path: Path) -> None:
        assert "no samples of split test" in self.fault(tmp_path, list(rows_of("dev", PIPELINE)))
        with pytest.raises(AugenError, match=r"nowhere\.jsonl: not found\nrebuild it: dvc repro baseline"):
            read_samples(baseline_source(tmp_path / "nowhere.jsonl"), ("dev",))

    def test_text_in_another_encoding(self, tmp_path: Path) -> None:
        (tmp_path / "samples.jsonl").write_bytes('{"split": "dev", "text": "答案"}'.encode("gb18030"))
        with pytest.raises(AugenError, match="not UTF-8"):
            read_samples(infer_source(tmp_path / "samples.jsonl"), ("dev",))

    def test_many_examples_are_cut_short(self, tmp_path: Path) -> None:
        rows = pipeline_rows()
        for row in rows[:5]:
            row["accepted"] = not row["accepted"]
        assert "(slot 3, round 0) and 2 more" in self.fault(tmp_path, rows)

    def test_dev_without_answers_or_questions(self) -> None:
        with pytest.raises(AugenError, match="question p#1 has no answer"):
            dev_questions([Entry("题", [QuestionItem("问", ["一", "二"])], "p")])
        with pytest.raises(AugenError, match="dev_fraction"):
            dev_questions([])


class TestText:
    def test_the_table_names_each_step_and_its_verdict(self, report: Report) -> None:
        lines = gains_table(report.gains, "simple").splitlines()[2:]
        assert len(lines) == len(report.gains) == 9
        assert lines[4].startswith("+ adapter, one sample")
        assert "-0.444 ± " in lines[4]
        assert "lost" in lines[4]
        words = " ".join(lines[6].split())
        assert words == "+ scorer, weighted of accepted 0.667 ± 0.444 +0.333 ± 0.222 not shown 3.00"
        assert "±" not in lines[0].split("±", 1)[1], "a baseline has no difference"

    def test_the_page_lists_the_fallbacks(self, report: Report) -> None:
        page = gains_page(report)
        assert "3 dev questions of 2 problems" in page
        assert page.endswith(
            "1 of 2 questions have no parsed sample and get the fallback letter.\n\n- test_0000_roads#2\n"
        )

    def test_one_problem_alone_has_no_error(self, tmp_path: Path) -> None:
        questions, recorded = read(tmp_path, pipeline_rows())
        one = replace(questions, problems=["p"] * 3)
        report = evaluate(one, recorded, SETTINGS, "adapter")
        assert rounded(report.metrics)["accuracy_se"] is None
        assert "0.667 ± ?" in gains_table(report.gains, "github")


class TestStage:
    def run(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, programs: Sequence[Row] = (), **changes: Any
    ) -> dict[str, bytes]:
        """The files that the stage writes, by path; with samples that are `programs`, and other params."""
        data = folder / "data"
        data.mkdir(exist_ok=True)
        write_jsonl(data / "dev.jsonl", DEV)
        write(data / "samples.jsonl", [*programs, *pipeline_rows()])
        write(data / "baseline.jsonl", list(rows_of("dev", PLAIN)))
        write(data / "examples.jsonl", list(example_rows()))
        write_json(
            folder / "reports/filter.json", {"entries": {"questions": 9, "kept": 7, "dropped": {"no_answer": 2}}}
        )
        write_json(folder / "reports/scorer.json", SCORER)
        write_json(folder / "data/vote_weights.json", asdict(WEIGHT))
        few = {"voters": 3, "max_resample": 1, "baseline.samples": 2, "infer.threshold": 0.5}
        write_params(folder / "params.yaml", few | changes)
        monkeypatch.chdir(folder)
        stage.main()
        files = (path for path in (folder / "reports").rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    def test_writes_its_outs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        files = self.run(tmp_path, monkeypatch)
        assert sorted(files) == [
            "reports/filter.json",
            "reports/gains.md",
            "reports/metrics.json",
            "reports/plots/accuracy_over_k.csv",
            "reports/plots/accuracy_over_samples.csv",
            "reports/plots/calibration.csv",
            "reports/plots/filter.csv",
            "reports/plots/roc.csv",
            "reports/report.html",
            "reports/scorer.json",
        ]
        numbers = json.loads(files["reports/metrics.json"])
        assert numbers["accuracy"] == 0.666667
        curve = list(csv.DictReader(files["reports/plots/accuracy_over_k.csv"].decode().splitlines()))
        assert curve[0] == {"k": "1"} | dict.fromkeys(
            ["pass", "majority", "likelihood", "weighted", "best", "configured"], "0.222222"
        )
        assert files["reports/plots/filter.csv"] == b"file,outcome,questions\nentries,kept,7\nentries,no_answer,2\n"
        page = files["reports/report.html"].decode()
        assert "accuracy 0.667 on 3 questions" in page
        assert "&lt;script&gt;x&lt;/script&gt;" in page
        assert "<script>x" not in page
        printed = capsys.readouterr().out
        assert "+ adapter, one sample" in printed
        assert "test: 1 of 2 questions got the fallback letter" in printed

    def test_programs_change_no_number_of_the_reasonings(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        programs = [
            *program_rows("votes", {"train_0003_roads#1": BOTH}),
            *program_rows("dev", PROGRAMS),
            *program_rows("test", dict.fromkeys(TEST, BOTH)),
        ]
        without = self.run(tmp_path, monkeypatch)
        found = self.run(tmp_path, monkeypatch, programs, **{"infer.programs": 2})
        changed = {name for name in without if found[name] != without[name]}
        assert changed == {
            f"reports/{name}" for name in ("report.html", "gains.md", "metrics.json", "plots/accuracy_over_samples.csv")
        }
        before, after = (json.loads(files["reports/metrics.json"]) for files in (without, found))
        assert {key: after["steps"][key] for key in before["steps"] if key != "fallback"}.items() <= (
            before["steps"].items()
        )
        own = {"at_k", "acceptance", "scorer", "no_answer_rate", "plain_accuracy", "plain_no_answer_rate"}
        assert {key: after[key] for key in own} == {key: before[key] for key in own}
        assert after["programs"]["abstentions"] == {"syntax": 2, "no_option": 1, "several": 1, "time": 1}
        page = found["reports/report.html"].decode()
        assert "What programs are worth" in page and "Program precision" in page and 'data-flag="solver"' in page
        absent = without["reports/report.html"].decode()
        assert "What programs are worth" not in absent and 'data-flag="solver"' not in absent

    def test_questions_that_programs_alone_settled(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        programs = program_rows("test", {"test_0001_roads#1": [(1, 0, "A", None)]})
        programs += program_rows("dev", PROGRAMS)
        found = self.run(tmp_path, monkeypatch, programs, **{"infer.programs": 2, "infer.adaptive": True})
        assert CUT_SHORT in found["reports/report.html"].decode()
        assert "single" not in json.loads(found["reports/metrics.json"])["steps"]

    @pytest.mark.parametrize("adapter", [True, False])
    def test_a_transductive_run_is_called_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adapter: bool
    ) -> None:
        changes: dict[str, Any] = {"finetune.pseudo": "data/pseudo_1.pkl", "infer.adapter": adapter}
        found = self.run(tmp_path, monkeypatch, **changes)
        for name in ("reports/gains.md", "reports/report.html", "reports/metrics.json"):
            assert ("with the answers that an earlier run voted (data/pseudo_1.pkl)" in found[name].decode()) == adapter

    def test_the_same_inputs_give_the_same_bytes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.run(tmp_path, monkeypatch) == self.run(tmp_path, monkeypatch)
