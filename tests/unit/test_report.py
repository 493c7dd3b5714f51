"""What the report page is given: questions with flags and votes, tables, charts, and the page that holds them."""

import base64
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st

from augen.core.errors import AugenError
from augen.core.params import load
from augen.entries import Entry, QuestionItem
from augen.evaluation.programs import CUT_SHORT
from augen.evaluation.report import charts, page, tables
from augen.evaluation.report.flags import FLAGS, chosen, flags_of
from augen.evaluation.report.questions import (
    Decision,
    Drawn,
    decisions,
    question_records,
    read_examples,
    sample_record,
)
from augen.evaluation.steps import Gain
from augen.metrics.stats import Estimate
from augen.voting.grid import SampleGrid
from augen.voting.samples import CODES, ROW, DevQuestions, Sample, SampleFile, Samples
from augen.voting.settings import Method, VotingSettings
from stages import evaluate as stage
from tests.oracles import decide
from tests.params import FILE, write_params
from tests.runs import write_run

ITEM = QuestionItem("谁最高？", ["甲", "乙", "丙"], answer="B")
SETTINGS = VotingSettings(5, 2, threshold=0.5, method="weighted", fallback="D")
DECISION = Decision("B", "accepted", {"B": 0.9}, {"B": 1})
EXAMPLE = {
    "problem": "丙比丁高。",
    "question": "谁高？",
    "options": ["丙", "丁"],
    "reasoning": "答案是：A",
    "answer": "A",
}


def row(slot: int, answer: str | None, score: float | None = 0.9, round_: int = 0, **other: Any) -> Sample:
    text = "想。" if answer is None else f"想。\n答案是：{answer}"
    return replace(Sample(answer, score, slot, round_, text=text, tokens=5), **other)


def asked_of(questions: int) -> DevQuestions:
    ids = [f"p#{number + 1}" for number in range(questions)]
    options = np.full(questions, len(ITEM.options))
    return DevQuestions(ids, np.full(questions, CODES[ITEM.answer]), options, ["p"] * questions)


def grid_of(*questions: list[Sample]) -> SampleGrid:
    grid = SampleGrid.empty(len(questions), SETTINGS)
    for number, samples in enumerate(questions):
        grid.add([number] * len(samples), samples, SETTINGS.threshold)
    return grid


class TestQuestions:
    @pytest.mark.parametrize(
        ("rows", "given", "basis", "votes", "flags"),
        [
            ([row(1, "B"), row(2, "B"), row(3, "B")], "B", "accepted", {"B": 3}, []),
            ([row(1, "B"), row(2, "B"), row(3, "A")], "B", "accepted", {"A": 1, "B": 2}, ["close"]),
            ([row(1, "A"), row(2, "A"), row(3, "A")], "A", "accepted", {"A": 3}, ["wrong"]),
            # B was rejected: the right answer was there and did not vote
            ([row(1, "A"), row(2, "A"), row(3, "B", 0.1)], "A", "accepted", {"A": 2}, ["wrong", "missed"]),
            # fewer votes, but a higher sum of scores
            (
                [row(1, "A", 0.95), row(2, "B", 0.5), row(3, "B", 0.4), row(3, "C", 0.5, 1)],
                "A",
                "accepted",
                {"A": 1, "B": 1, "C": 1},
                ["wrong", "missed", "close"],
            ),
            (
                [row(1, "C", 0.1), row(2, "B", 0.2), row(3, None)],
                "B",
                "parsed",
                {"B": 1, "C": 1},
                ["close", "unaccepted"],
            ),
            # the fallback letter D lies beyond three options
            ([row(1, None), row(2, None)], "C", "fallback", {}, ["wrong", "fallback"]),
        ],
    )
    def test_vote_and_flags(
        self, rows: list[Sample], given: str, basis: str, votes: dict[str, int], flags: list[str]
    ) -> None:
        found = flags_of(grid_of(rows), asked_of(1), SETTINGS)
        assert [*found, "solver"] == list(FLAGS)
        assert [flag for flag, holds in found.items() if holds[0]] == flags

        [decision] = decisions(grid_of(rows), asked_of(1), SETTINGS, ["p#1"]).values()
        assert (decision.answer, decision.basis, decision.votes) == (given, basis, votes)

    @given(
        drawn=st.lists(
            st.lists(
                st.builds(Sample, st.sampled_from([None, "A", "B", "C"]), st.sampled_from([None, 0.1, 0.3, 0.5, 0.9])),
                max_size=5,
            ),
            min_size=1,
            max_size=4,
        ),
        method=st.sampled_from(get_args(Method)),
    )
    def test_decisions_are_those_of_the_rule_for_one_question(self, drawn: list[list[Sample]], method: Method) -> None:
        settings = replace(SETTINGS, method=method, fallback="C")
        placed = [[replace(s, slot=slot) for slot, s in enumerate(own, start=1)] for own in drawn]
        asked = asked_of(len(placed))
        found = decisions(grid_of(*placed), asked, settings, asked.ids)
        for name, own in zip(asked.ids, placed, strict=True):
            expected = decide(own, settings)
            assert (found[name].answer, found[name].basis) == (expected.answer, expected.basis)
            assert list(found[name].tally.items()) == list(expected.tally.items()), "the winner first"

    @pytest.mark.parametrize(
        ("weight", "rows", "basis", "tally", "flags"),
        [
            # 2 · 0.9 for A, 2 · 1.5 for B
            (1.5, "A A - B B", "accepted", {"B": 3.0, "A": 1.8}, ["close", "solver"]),
            (3.0, "A A - B B", "accepted", {"B": 6.0, "A": 1.8}, ["solver"]),
            (0.0, "A A - B B", "accepted", {"A": 1.8}, ["wrong", "missed", "solver"]),
            (1.5, "B B - B .", "accepted", {"B": 3.3}, []),
            (1.5, "a . - B .", "parsed", {"B": 1.5, "A": 0.1}, ["close", "unaccepted", "solver"]),
            (1.5, ". . - B .", "programs", {"B": 1.5}, []),
            (0.0, ". . - B .", "fallback", {}, ["wrong", "missed", "fallback"]),
            (1.5, ". . - . .", "fallback", {}, ["wrong", "fallback"]),
        ],
    )
    def test_programs_vote_and_are_flagged(
        self, weight: float, rows: str, basis: str, tally: dict[str, float], flags: list[str]
    ) -> None:
        """Two reasonings, small letters rejected, then two programs; the right answer is B."""
        settings = replace(SETTINGS, programs=2, program_weight=weight)
        given, solved = (part.split() for part in rows.split("-"))
        samples = [
            row(slot, None if letter == "." else letter.upper(), 0.1 if letter.islower() else 0.9)
            for slot, letter in enumerate(given, start=1)
        ]
        samples += [
            row(slot, None if letter == "." else letter, None, mode="program", cause="cut" if letter == "." else None)
            for slot, letter in enumerate(solved, start=1)
        ]
        grid = SampleGrid.empty(1, settings)
        grid.add([0] * len(samples), samples, settings.threshold)
        found = flags_of(grid, asked_of(1), settings)
        assert [flag for flag, holds in found.items() if holds[0]] == flags
        [decision] = decisions(grid, asked_of(1), settings, ["p#1"]).values()
        assert (decision.basis, list(decision.tally)) == (basis, list(tally))
        assert decision.tally == pytest.approx(tally)
        letters = [letter for letter in solved if letter != "."]
        assert decision.program_votes == ({letter: letters.count(letter) for letter in letters} if weight else {})
        assert decision.answer == decide(samples, replace(settings, fallback="C")).answer

    def test_programs_stand_beside_the_reasonings(self) -> None:
        said = "line 2, column 4: syntax error, unexpected <EOF>"
        broken = Sample(None, slot=2, text="a.\nb :", tokens=9, mode="program", cause="syntax", detail=said)
        drawn = [broken, row(1, "B"), Sample("A", text="answer(1).", tokens=4, mode="program")]
        name = "dev_0_roads#1"
        decision = replace(DECISION, program_votes={"A": 1}, reasoned="B")
        found = Drawn({name: drawn}, {name: []}, {name: []}, {name: decision})
        [record] = question_records([Entry("题", [ITEM], "dev_0_roads")], found, {name: ["solver"]}, 0.5)["questions"]
        assert [sample["answer"] for sample in record["samples"]] == ["B"]
        assert (record["program_votes"], record["reasoned"]) == ({"A": 1}, "B")
        first, second = record["programs"]
        assert (first["answer"], first["text"], first["cause"]) == ("A", "answer(1).", None)
        assert second == {
            "slot": 2, "round": 0, "answer": None, "cause": "syntax", "detail": said, "tokens": 9, "text": "a.\nb :",
            "thinking": "",
        }  # fmt: skip

    def test_samples_stand_by_slot_then_round(self) -> None:
        drawn = [row(1, "B"), row(2, "A", 0.1), row(3, "B"), row(2, "B", round_=1)]
        name = "dev_0_roads#1"
        found = Drawn({name: drawn}, {name: []}, {name: []}, {name: DECISION})
        [record] = question_records([Entry("题", [ITEM], "dev_0_roads")], found, {name: []}, 0.5)["questions"]
        assert [(s["slot"], s["round"]) for s in record["samples"]] == [(1, 0), (2, 0), (2, 1), (3, 0)]

    @given(st.text(max_size=20))
    def test_the_letter_is_found_as_javascript_counts(self, before: str) -> None:
        sample = sample_record(row(1, "B", text=f"{before}。\n答案是：B"), 3, 0.5)
        text = f"{before}。\n答案是：B".encode("utf-16-le", "surrogatepass")
        assert text[2 * sample["at"] :][:2] == "B".encode("utf-16-le")

    def test_thinking_stands_beside_the_text(self) -> None:
        record = sample_record(row(1, "B", text="答案是：B", thinking="先猜答案是：A。"), 3, 0.5)
        assert (record["text"], record["thinking"], record["at"]) == ("答案是：B", "先猜答案是：A。", 4)

    def test_no_answer_has_no_place(self) -> None:
        assert sample_record(row(1, None), 3, 0.5)["at"] is None
        assert sample_record(row(1, None, finish="length"), 3, 0.5)["cut"] is True

    def test_shared_texts_are_kept_once(self) -> None:
        other = EXAMPLE | {"reasoning": "丙。\n答案是：A"}
        entries = [Entry("甲…", [ITEM, ITEM], "dev_0001_roads"), Entry("乙…", [ITEM], "real1")]
        names = ["dev_0001_roads#1", "dev_0001_roads#2", "real1#1"]
        rows = {name: [row(1, "B")] for name in names}
        found = {names[0]: [EXAMPLE, other], names[1]: [EXAMPLE], names[2]: []}
        drawn = Drawn(rows, rows, found, dict.fromkeys(names, DECISION))
        records = question_records(entries, drawn, {name: ["close"] for name in names}, 0.5)
        assert records["problems"] == ["甲…", "乙…"]
        assert records["examples"] == [EXAMPLE, other]
        assert [q["examples"] for q in records["questions"]] == [[1, 0], [0], []], "the most similar first"
        assert [q["problem"] for q in records["questions"]] == [0, 0, 1]
        assert [q["family"] for q in records["questions"]] == ["roads", "roads", None]
        assert records["questions"][0]["plain"] == ["B"]
        assert records["questions"][0]["flags"] == ["close"]

    def test_what_is_not_shown_is_not_carried(self) -> None:
        entries = [Entry(f"题{i}", [ITEM, ITEM], f"dev_{i}_roads") for i in range(3)]
        names = ["dev_1_roads#2", "dev_2_roads#1"]
        rows = {name: [row(1, "B")] for name in names}
        none: dict[str, Any] = {name: [] for name in names}
        records = question_records(entries, Drawn(rows, rows, none, dict.fromkeys(names, DECISION)), none, 0.5)
        assert records["problems"] == ["题1", "题2"]
        assert [(q["id"], q["problem"]) for q in records["questions"]] == [(names[0], 0), (names[1], 1)]

    @given(
        st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=200),
        st.integers(20, 100),
        st.integers(1, 10),
    )
    def test_of_many_questions_some_are_chosen(self, kinds: list[tuple[bool, int]], limit: int, per_flag: int) -> None:
        holds = {"wrong": np.array([wrong for wrong, _ in kinds]), "fallback": np.array([n == 9 for _, n in kinds])}
        ids = [f"p{number}" for number in range(len(kinds))]
        found = chosen(ids, holds, limit, per_flag)
        assert len(found) == min(limit, len(kinds))
        assert list(found) == [name for name in ids if name in found], "in their order"
        for flag, each in holds.items():
            assert sum(flag in flags for flags in found.values()) >= min(per_flag, each.sum())
            assert {name for name, flags in found.items() if flag in flags} <= {ids[i] for i in np.flatnonzero(each)}


NO_EXAMPLES = '{"split": "dev", "question": "p#1", "examples": []}\n'


class TestExamples:
    def read(self, folder: Path, text: str | None, asked: list[str]) -> dict[str, Any]:
        path = folder / "examples.jsonl"
        if text is not None:
            path.write_text(text, encoding="utf-8", errors="surrogateescape")
        return read_examples(SampleFile(path, "infer", SETTINGS), asked, asked)

    def test_reads_what_infer_wrote(self, tmp_path: Path) -> None:
        line = json.dumps({"split": "dev", "question": "p#1", "examples": [EXAMPLE]}) + "\n"
        assert self.read(tmp_path, line, ["p#1"]) == {"p#1": [EXAMPLE]}

    @pytest.mark.parametrize("order", [("votes", "dev", "test"), ("test", "votes", "dev")])
    def test_a_question_of_another_split_may_have_the_same_id(self, tmp_path: Path, order: Sequence[str]) -> None:
        rows = [{"split": split, "question": "p#1", "examples": [EXAMPLE | {"problem": split}]} for split in order]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        assert self.read(tmp_path, text, ["p#1"]) == {"p#1": [EXAMPLE | {"problem": "dev"}]}
        others = "".join(json.dumps(row) + "\n" for row in rows if row["split"] != "dev")
        with pytest.raises(AugenError, match="no line for 1 questions"):
            self.read(tmp_path, others, ["p#1"])

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (None, "not found"),
            ("{", "line 1: no line of examples"),
            (f"{NO_EXAMPLES}{NO_EXAMPLES}{{", "line 3: no line of examples"),
            (f"{NO_EXAMPLES}{NO_EXAMPLES}\udcff\n{NO_EXAMPLES}", "line 3: no line of examples"),
            ('{"split": "dev", "question": "p#1"}', "line 1: no line of examples ('examples')"),
            ('{"question": "p#1", "examples": []}', "line 1: no line of examples ('split')"),
            ('{"split": "dev", "question": "p#1", "examples": [{"problem": "题"}]}', "of examples ('question')"),
            (NO_EXAMPLES.replace("#1", "#2"), "no line for 1 questions of data/dev.jsonl, the first is p#1"),
        ],
    )
    def test_faults_say_what_to_run(self, tmp_path: Path, text: str | None, message: str) -> None:
        with pytest.raises(AugenError) as caught:
            self.read(tmp_path, text, ["p#1"])
        assert message in str(caught.value)
        assert "dvc repro infer" in str(caught.value)


class TestTables:
    def test_families_best_first_with_their_error(self) -> None:
        """roads: right 1, 1 | 0 by problem; mean 2/3, se² = 2/1 · (4/9 + 4/9)/9."""
        problems = ["dev_0000_roads", "dev_0000_roads", "dev_0001_roads", "dev_0002_lists", "real"]
        asked = DevQuestions([f"{n}#1" for n in range(5)], np.zeros(5, int), np.full(5, 4), problems)
        right, plain = np.array([True, True, False, True, True]), np.array([0.5, 1, 0, 1, 1])
        lists, roads = tables.family_rows(asked, right, plain)
        assert (lists["family"], lists["accuracy"], lists["low"], lists["high"]) == ("lists", 1, 1, 1)
        assert roads["accuracy"] == pytest.approx(2 / 3)
        assert roads["low"] == pytest.approx(2 / 3 - (16 / 81) ** 0.5)
        assert roads["high"] == 1, "no accuracy is above 1"
        assert (lists["plain"], roads["plain"]) == (1, pytest.approx((0.5 + 1 + 0) / 3))

    def test_where_the_threshold_lies_on_the_curve(self) -> None:
        """Right: 0.9 and 0.4; wrong: 0.5. Not in it: redraws, unparsed samples, slots that only some questions have."""

        def samples(*rows: tuple[int, int, int, str | None, float]) -> Samples:
            drawn = [
                (q, slot, round_, CODES[letter], score, True, 5, -1, False) for q, slot, round_, letter, score in rows
            ]
            return Samples(["p#1", "q#1"], np.array(drawn, dtype=ROW))

        one = [(0, 1, 0, "B", 0.9), (0, 2, 0, "A", 0.5), (0, 3, 0, "B", 0.1)]
        other = [(1, 1, 0, "B", 0.4), (1, 2, 0, None, 0.9), (1, 1, 1, "B", 0.8)]
        truth = np.array([1, 1])
        point = tables.threshold_point(samples(*one, *other), truth, 0.5)
        assert point == {"threshold": 0.5, "false_positive_rate": 1.0, "true_positive_rate": 0.5}
        nan = float("nan")
        assert tables.threshold_point(samples((0, 1, 0, "B", nan), (1, 1, 0, "A", nan)), truth, 0.5) is None
        assert tables.threshold_point(samples((0, 1, 0, "B", 0.5), (1, 1, 0, "B", 0.5)), truth, 0.5) is None

    @pytest.mark.parametrize(
        ("changes", "line"),
        [
            ({}, "models/tiny/generator with the adapter · 5 votes a question · vote: likelihood · redraws: 2 at most"),
            (
                {"infer.engine": "openai", "infer.models": ["a", "b"], "infer.adapter": False, "rag.k": 2},
                "a, b with 2 worked examples · ",
            ),
            ({"finetune.adapters": 3}, "models/tiny/generator with 3 adapters · 5 votes a question · "),
            ({"infer.programs": 2}, " with the adapter · 5 votes and 2 programs a question · vote: "),
            (
                {"infer.adaptive": True, "rag.k": 1},
                " with the adapter and 1 worked example · 5 votes a question at most, ",
            ),
        ],
    )
    def test_the_line_that_says_who_answered(self, tmp_path: Path, changes: dict[str, Any], line: str) -> None:
        write_params(tmp_path / "params.yaml", changes)
        p = load("finetune", "infer", "model", "rag", "voters", "max_resample", path=tmp_path / "params.yaml")
        assert line in tables.setup_of(p)

    def test_gains_lie_within_their_picture(self) -> None:
        gains = [
            Gain("a", "always A", Estimate(0.34, 0.03), None, 0),
            Gain("b", "voting", Estimate(0.72, 0.03), Estimate(0.38, 0.02), 5),
            Gain("c", "one problem", Estimate(0.5, float("nan")), Estimate(-0.22, float("nan")), 5),
        ]
        rows, span = tables.gains_rows(gains)
        assert span == pytest.approx((0.3, 0.8))
        assert [rows[0][key] for key in ("from", "at", "to")] == ["2.00%", "8.00%", "14.00%"]
        assert (rows[0]["difference"], rows[1]["difference"]) == (None, "+0.380")
        assert (rows[2]["accuracy_se"], rows[2]["from"], rows[2]["difference"]) == ("–", "40.00%", "−0.220")

    def test_cost(self) -> None:
        drawn = np.array(
            [(q, 1, n, q, 0.5, True, tokens, -1, False) for q, n, tokens in ((0, 0, 30), (1, 0, 50), (1, 1, 40))],
            dtype=ROW,
        )
        [dev] = tables.cost_rows({"dev": Samples(["p#1", "p#2"], drawn)}, {"dev": 1.0})
        assert (dev["samples"], dev["per_question"], dev["tokens"]) == ("3", "1.50", "120")
        assert (dev["tokens_per_question"], dev["tokens_per_right"]) == ("60", "120")
        assert tables.cost_rows({"test": Samples(["p#1", "p#2"], drawn)}, {})[0]["tokens_per_right"] == "–"

    def test_settings_are_those_of_params_yaml(self) -> None:
        groups = dict(tables.settings_groups(load(*tables.SHOWN, "voters", "max_resample", "seed", path=FILE)))
        assert [key for key, _ in groups[""]] == ["voters", "max_resample", "seed"]
        assert dict(groups["infer"])["adaptive"] in ("true", "false")
        assert set(groups) == {"", *tables.SHOWN}


CURVE = [
    {"k": k, "pass": 0.6 + k / 50, "majority": 0.6, "weighted": 0.61, "best": 0.62, "configured": 0.63}
    for k in range(1, 8)
]
OVER_SAMPLES = [
    {"voters": 1, "samples": 1.0, "all_votes": 0.5},
    {"voters": 2, "samples": 2.0, "all_votes": 0.55},
    {"voters": 1, "samples": 1.0, "adaptive": 0.5},
    {"voters": 2, "samples": 1.4, "adaptive": 0.54},
]
ROC = [{"false_positive_rate": x, "true_positive_rate": x**0.5} for x in (0, 0.5, 1)]
SPECS = {
    "accuracy_over_k": partial(charts.accuracy_over_k, CURVE),
    "accuracy_over_k, one sample": partial(charts.accuracy_over_k, CURVE[:1]),
    "accuracy_over_k, a curve of another name": partial(
        charts.accuracy_over_k, [row | {"by_length": 0.6} for row in CURVE]
    ),
    "accuracy_over_samples": partial(charts.accuracy_over_samples, OVER_SAMPLES, 0.03),
    "accuracy_over_samples, adaptively drawn": partial(charts.accuracy_over_samples, OVER_SAMPLES[2:], 0.03),
    "accuracy_over_samples, one problem": partial(charts.accuracy_over_samples, OVER_SAMPLES, float("nan")),
    "roc": partial(charts.roc, ROC, {"threshold": 0.5, "false_positive_rate": 0.5, "true_positive_rate": 0.5**0.5}),
    "roc, no threshold": partial(charts.roc, ROC, None),
    "calibration": partial(
        charts.calibration, [{"low": 0.1, "high": 0.2, "samples": 9, "mean_score": 0.15, "share_right": 0.3}]
    ),
    "families": partial(
        charts.families,
        [{"family": "roads", "accuracy": 0.5, "low": 0.4, "high": 0.6, "plain": 0.45, "questions": 12}],
    ),
    "filter": partial(
        charts.filter_yields,
        [{"file": "entries", "outcome": o, "questions": 3} for o in ("kept", "repeated")],
        {"entries": "right"},
    ),
}


@pytest.mark.parametrize("name", SPECS)
def test_charts_compile(name: str) -> None:
    """By Vega-Lite itself; colours are roles that the page's style defines in both schemes."""
    spec = SPECS[name]()
    vega = vl_convert.vegalite_to_vega({"width": 400, **spec})
    assert vega["marks"]
    style = (page.HERE / "page.css").read_text(encoding="utf-8")
    roles = set(re.findall(r'"((?:series|drop)-\d+|muted)"', json.dumps(spec)))
    assert roles
    assert all(style.count(f"--{role}:") == 2 for role in roles)


def test_every_cause_of_dropping_has_a_colour() -> None:
    source = (page.HERE.parents[1] / "filtering/causes.py").read_text(encoding="utf-8")
    causes = re.findall(r"^``(\w+)``", source, flags=re.MULTILINE)
    assert set(causes) | {"kept"} == set(charts.OUTCOMES) == set(tables.MEANINGS) | {"kept"}
    style, script = ((page.HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    [role] = re.findall(r"/(\S+)/\.test\(value\) \? colour\(value\)", script)
    for name in charts.OUTCOMES.values():
        assert style.count(f"--{name}:") == 2, "in the light and in the dark scheme"
        assert re.search(role, name), f"the page's script does not know {name}"


class Elements(HTMLParser):
    """Collects what elements refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value for name, value in attrs if name in ("src", "href") and value]


@given(
    st.recursive(
        st.text() | st.none() | st.floats(allow_nan=False), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_packed_data_cannot_break_out(value: Any) -> None:
    text = page.packed(value)
    assert re.fullmatch(r"[A-Za-z0-9+/]*=*", text)
    clean = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    assert json.loads(zlib.decompress(base64.b64decode(text))) == clean


def test_the_page_names_no_other_place() -> None:
    template = Elements((page.HERE / "page.html").read_text(encoding="utf-8"))
    assert all(source.startswith(("#", "data:")) for source in template.sources)
    style, script = ((page.HERE / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    assert "url(" not in style
    assert "@import" not in style
    assert "innerHTML" not in script
    assert "insertAdjacentHTML" not in script
    assert "</script" not in page.vega_script().lower()


def test_a_run_without_scorer_families_and_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data of other origin have no families; with rag.k 0 there are no examples, and without scores no curves."""
    write_run(tmp_path, questions=6, voters=2, max_resample=0, k=0)
    for name in ("dev", "samples", "baseline", "examples"):
        path = tmp_path / f"data/{name}.jsonl"
        text = re.sub(r"train_(\d+)_[a-z]+", r"real\1", path.read_text(encoding="utf-8"))
        text = re.sub(r'"score": [\d.]+', '"score": null', text)
        text = re.sub(r'("answer": "[A-Z]", "score": null, "accepted"): \w+', r"\1: true", text)
        path.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    stage.main()
    shown = (tmp_path / "reports/report.html").read_text(encoding="utf-8")
    assert "without scores" in shown
    assert "Accuracy by puzzle family" not in shown
    assert "all families" not in shown
    assert "Scorer AUC" not in shown


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_run_with_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adaptive: bool) -> None:
    changes = {"infer.programs": 2, "infer.adaptive": adaptive}
    write_run(tmp_path, questions=30, voters=3, changes=changes)
    monkeypatch.chdir(tmp_path)
    stage.main()
    shown = (tmp_path / "reports/report.html").read_text(encoding="utf-8")
    numbers = json.loads((tmp_path / "reports/metrics.json").read_text())["programs"]
    drawn = sum(numbers["answers"].values()) + sum(numbers["abstentions"].values())
    assert drawn == pytest.approx(30 * numbers["samples_per_question"], abs=1e-4)
    for cause, count in numbers["abstentions"].items():
        assert re.search(rf'<th scope="row">{cause}<small>[^<]+</small></th><td class="n">{count}</td>', shown)
    assert (CUT_SHORT in shown) == adaptive
    assert ('data-chart="accuracy_over_k"' in shown) == (not adaptive)
    assert ("vote precision<small>" in shown) == (not adaptive)
    if not adaptive:
        flagged = re.search(r'data-flag="solver"[^>]*>solver <span>(\d+)</span>', shown)
        assert flagged is not None and int(flagged[1]) == numbers["disagreements"]["questions"] > 0


def test_a_run_of_many_questions_shows_some_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their flags, found in arrays, are what the vote of each question says; counts are of all questions."""
    write_run(tmp_path, questions=40, voters=3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stage, "chosen", partial(chosen, limit=30, per_flag=3))
    stage.main()
    shown = (tmp_path / "reports/report.html").read_text(encoding="utf-8")
    count = json.loads((tmp_path / "reports/metrics.json").read_text())["questions"]
    assert f"30 of {count} questions</h2>" in shown
    assert "Every question" not in shown
    found = re.search(r'<script type="text/plain" id="packed">([^<]*)</script>', shown)
    assert found is not None
    records = json.loads(zlib.decompress(base64.b64decode(found[1])))["questions"]
    assert len(records) == 30
    for record in records:
        votes, truth = dict(record["votes"]), record["truth"]
        own, others = votes.pop(record["given"], 0), max(votes.values(), default=0)
        holds = {
            "wrong": record["given"] != truth,
            "missed": record["given"] != truth and truth in {sample["answer"] for sample in record["samples"]},
            "close": others > 0 and own - others <= 1,
            "unaccepted": record["basis"] == "parsed",
            "fallback": record["basis"] == "fallback",
        }
        assert record["flags"] == [flag for flag, held in holds.items() if held], record["id"]
