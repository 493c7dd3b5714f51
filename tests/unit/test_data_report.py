"""reports/data.md from a few entries: every section, by its lines."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from augen.entries import Entry, QuestionItem, origin
from augen.entries.reasoned import FILES
from augen.filtering.causes import CAUSES, FilterAccount, Rules, filter_entries, right_answers
from augen.filtering.report import PAIRS, SYNTHETIC, Chosen, Data, Passed, page, with_originals

WRITTEN = QuestionItem("谁最高？", ["甲", "乙"], "甲比乙高。\n答案是：A", "A", "a model")


def entry(id: str, *items: QuestionItem, problem: str = "甲比乙高。\n乙喜欢苹果。") -> Entry:
    return Entry(problem, list(items) or [WRITTEN], id)


def data(**changes: object) -> Data:
    problems = [
        entry("p"),
        entry("q", replace(WRITTEN, reasoning=None, author=None)),
        entry("synthetic_0", replace(WRITTEN, reasoning="乙比甲矮。\n答案是：A", author="solver")),
    ]
    reasoned = {
        "entries": problems,
        "entries_aug": [entry("p~1", problem="甲比乙高。\n乙喜爱苹果。")],
        "entries_false": [entry("p", replace(WRITTEN, reasoning="乙高。\n答案是：B", answer="B"))],
        "entries_aug_false": [entry("p~1", replace(WRITTEN, reasoning="根据给定的答案`|\n答案是：B", answer="B"))],
        "entries_own": [],
    }
    kept, accounts = {}, {}
    for name, entries in reasoned.items():
        right = right_answers(problems + reasoned["entries_aug"]) if "false" in name else None
        accounts[name] = FilterAccount()
        kept[name] = list(filter_entries(entries, Rules(set(CAUSES), 2000, None), accounts[name], right))
    rewriting = {
        "counts": {"kept": 1, "unchanged": 1, "number_changed": 1},
        "examples": {
            "number_changed": {"problem": "q", "text": "problem", "before": "有三个\n甲", "after": "有四个\n甲"},
            "unchanged": {"problem": "q", "text": "problem", "before": "甲\n乙", "after": ""},
        },
    }
    dev = [entry("d", replace(WRITTEN, options=["甲", "乙", "丙"], reasoning=None, answer="C"))]
    test = [entry("t", replace(WRITTEN, reasoning=None, answer=None))]
    settings: dict[str, Any] = {"reasoned": reasoned, "kept": kept, "accounts": accounts, "dev": dev, "test": test}
    settings |= {"rewriting": rewriting, "shuffling": Counter()} | changes
    problems, copies = (settings["reasoned"][name] for name in ("entries", "entries_aug"))
    settings["synthetic"] = passed([entry for entry in problems if entry.id.startswith(SYNTHETIC)])
    settings["copies"] = with_originals(chosen(copies, {entry.id for entry in problems}), problems)
    for name in ("dev", "test"):
        settings[name] = passed(settings[name])
    for name in ("reasoned", "kept"):
        settings[name] = {file: passed(entries) for file, entries in settings[name].items()}
    return Data(**settings)


def chosen(copies: Sequence[Entry], ids: set[str]) -> Chosen:
    found = Chosen()
    for copy in copies:
        if origin(copy.id) in ids:
            found.add(copy)
    return found


def passed(entries: Sequence[Entry]) -> Passed:
    counted = Passed(pairs=True)
    assert list(counted.of(entries)) == list(entries)
    return counted


def cells(text: str) -> list[list[str]]:
    """The rows of the tables of a page, without the blanks that align them."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_every_section_by_its_rows() -> None:
    rows = cells(page(data()))
    for row in (
        ["to train on", "3", "3", "2: 3"],
        ["of these, solver-verified puzzles that were added", "1", "1", "2: 1"],
        ["dev", "1", "1", "3: 1"],
        ["test", "1", "1", "2: 1"],
        ["to train on", "3", "100.0%", "0.0%", "0.0%"],
        ["dev", "1", "0.0%", "0.0%", "100.0%"],
        ["problem", "12", "12", "12"],
        ["right, problems", "3", "2", "66.7%", "2", "100.0%"],
        ["wrong, rewritten", "1", "1", "100.0%", "0", "0.0%"],
        ["a model", "2", "1", "1"],
        ["solver", "1", "0", "0"],
        ["no_reasoning", "1", "0", "0", "0", "0"],
        ["leaks_hint", "0", "0", "0", "1", "0"],
        ["number_changed", "1"],
    ):
        assert row in rows, row


def test_a_question_that_kept_its_program_alone_has_no_kept_answer() -> None:
    alone = entry("r", replace(WRITTEN, reasoning=None, author=None, answer="B", program="p."))
    kept: dict[str, list[Entry]] = {name: [] for name in FILES}
    rows = cells(page(data(kept=kept | {"entries": [entry("p"), alone]})))
    assert ["kept: right, problems", "1", "100.0%", "0.0%", "0.0%"] in rows


def test_drops_are_shown_with_an_example() -> None:
    text = page(data())
    assert "- `no_reasoning`, q#1: `no text`" in text
    assert "- `leaks_hint`, p~1#1: `` 根据给定的答案`| 答案是：B ``" in text
    assert "`number_changed`, q, problem\n\n```diff\n- 有三个\n+ 有四个\n```" in text
    assert "`unchanged`, q, problem: `甲 乙`\n\n" in text


def test_rewritten_problems_stand_beside_their_originals() -> None:
    assert "p~1\n\n```diff\n- 乙喜欢苹果。\n+ 乙喜爱苹果。\n```\n" in page(data())


def test_at_most_so_many_pairs_spread_over_the_file_and_long_lines_cut() -> None:
    originals = [entry(f"p{i}", problem="甲" * 500 + "乙" + "甲" * 500) for i in range(3 * PAIRS)]
    copies = [entry(f"p{i}~1", problem="甲" * 500 + "丙" + "甲" * 500) for i in range(3 * PAIRS)]
    plain: dict[str, list[Entry]] = {name: [] for name in FILES}
    shown = page(data(reasoned=plain | {"entries": originals, "entries_aug": copies}))
    assert shown.count("```diff") == PAIRS + 1
    assert f"p{3 * PAIRS - 4}~1\n" in shown and "p1~1\n" not in shown
    assert max(map(len, shown.splitlines())) < 300
    assert "\n- …甲" in shown and "丙甲" in shown


def test_what_was_not_asked_for_is_said() -> None:
    nothing = page(data(rewriting={"counts": {}, "examples": {}}))
    assert "Not asked for (`translate.backend`)." in nothing and "Not asked for (`filter.shuffled`)." in nothing
    assert ["letters", "2"] in cells(page(data(shuffling=Counter({"shuffled": 5, "letters": 2}))))


def test_texts_of_strangers_stay_texts() -> None:
    """HTML, Markdown and what ends a block, in each place where the page shows what came with the data."""
    odd = "<img src=x onerror=alert(1)>|[a](javascript:1)``\r```\r<b>"
    told = replace(WRITTEN, author=odd)
    problems = [entry(odd, told, problem=f"甲{odd}"), entry("q", told)]
    copies = [entry(f"{odd}~1", told, problem=f"乙{odd}")]
    wrong = [entry(odd, replace(told, reasoning=f"根据给定的答案{odd}\n答案是：B", answer="B"), problem=f"甲{odd}")]
    reasoned = {"entries": problems, "entries_aug": copies, "entries_false": wrong}
    reasoned |= {"entries_aug_false": [], "entries_own": []}
    kept, accounts = {}, {}
    for name, entries in reasoned.items():
        right = right_answers(problems + copies) if "false" in name else None
        accounts[name] = FilterAccount()
        kept[name] = list(filter_entries(entries, Rules(set(CAUSES), 2000, None), accounts[name], right))
    example = {"problem": odd, "text": "problem", "before": f"有三个{odd}", "after": f"有四个{odd}"}
    rewriting = {"counts": {"kept": 1}, "examples": {"number_changed": example, "unchanged": example | {"after": ""}}}
    made = page(data(reasoned=reasoned, kept=kept, accounts=accounts, rewriting=rewriting))
    assert odd.partition("\r")[0] in made  # all of it is shown
    assert "\r" not in made
    shown = MarkdownIt("commonmark").enable("table").render(made)
    assert "<img" not in shown and "<b>" not in shown and "href" not in shown
    assert "&lt;img" in shown
    assert {len(row) for row in cells(_between(made, "## Authors", "## Dropped"))} == {4, 5}


def _between(text: str, begin: str, end: str) -> str:
    return text.partition(begin)[2].partition(end)[0]


def test_the_same_data_give_the_same_page() -> None:
    assert page(data()) == page(data())


def test_nothing_at_all() -> None:
    empty: dict[str, list[Entry]] = {name: [] for name in FILES}
    accounts = {name: FilterAccount() for name in empty}
    text = page(data(reasoned=empty, kept=empty, accounts=accounts, dev=[], test=[]))
    assert "Nothing." in text


@given(st.integers(0, 12 * PAIRS))
def test_chosen_entries_are_spread_over_all_that_passed(count: int) -> None:
    found = Chosen()
    for i in range(count):
        found.add(entry(str(i)))
    places = [int(one.id) for one in found]
    assert len(places) == min(count, PAIRS)
    steps = [after - before for before, after in pairwise([-1, *places, count])]
    assert all(0 < step <= 1 + 2 * count / PAIRS for step in steps)
    assert not count or places[0] == 0


def test_originals_are_read_until_the_last_is_found() -> None:
    left = iter([entry("p0"), entry("p1"), entry("p2"), entry("p3")])
    copies = [entry("p2~1"), entry("p0~1")]
    assert [(a.id, b.id) for a, b in with_originals(copies, left)] == [("p2~1", "p2"), ("p0~1", "p0")]
    assert next(left).id == "p3"
    assert with_originals([], left) == [] and list(left) == []


def test_a_copy_with_another_reasoning_alone_shows_that() -> None:
    problems = [entry("p", replace(WRITTEN, reasoning="顺序：甲，乙。\n答案是：A"))]
    copies = [entry("p~1", replace(WRITTEN, reasoning="次序：甲，乙。\n答案是：A"))]
    plain: dict[str, list[Entry]] = {name: [] for name in FILES}
    text = page(data(reasoned=plain | {"entries": problems, "entries_aug": copies}))
    assert "- 顺序：甲，乙。\n+ 次序：甲，乙。\n```" in text
