"""The families beyond the basic ones: known puzzles, what is refused, readers by example, and which sets there are."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import augen.puzzles.__main__ as command_line
from augen.core.errors import AugenError
from augen.entries.jsonl import read_jsonl
from augen.entries.pickles import load_pickle
from augen.puzzles import BASIC, FAMILIES, WORDINGS, NotProved, World, make
from augen.puzzles.base import around
from augen.puzzles.dataset import SETS, families_named, puzzle_entries
from augen.puzzles.families.baskets import Baskets
from augen.puzzles.families.calendar import Calendar
from augen.puzzles.families.classes import Classes
from augen.puzzles.families.courses import Courses
from augen.puzzles.families.crossing import Crossing
from augen.puzzles.families.grammar import Grammar
from augen.puzzles.families.houses import Houses
from augen.puzzles.families.lexicon import Lexicon
from augen.puzzles.families.stacks import Stacks
from augen.puzzles.families.syllogisms import Syllogisms
from augen.puzzles.families.tolls import Tolls
from augen.puzzles.solver import prove
from stages import prepare
from tests.params import change_params, write_params
from tests.readers import READERS

ROOT = Path(__file__).parents[2]
NEW = sorted(set(FAMILIES) - set(BASIC))


def answer(world: World, question: str) -> str:
    """What the solver proves, as it stands in the options; NotProved where it proves nothing."""
    query = next(q for q in world.queries() if q.text == question)
    return query.value(prove(world.program() + query.rules).answer)


def both(world: World, question: str) -> str:
    """The proved answer, of which the reader must think the same."""
    proved = answer(world, question)
    assert READERS[type(world).__name__.lower()](world.problem()).right(question, proved), (world.problem(), question)
    return proved


# --- properties of every family


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(NEW), st.integers(1, 5), st.integers(0, WORDINGS - 1), st.integers(0, 10**6))
def test_one_option_is_right_and_the_solver_knows_which(family: str, difficulty: int, wording: int, seed: int) -> None:
    entry = make(family, Random(seed), difficulty=difficulty, wording=wording, questions=3).entry
    reader = READERS[family](entry.problem)
    for item in entry.questions:
        right = ["ABCDE"[i] for i, option in enumerate(item.options) if reader.right(item.question, option)]
        assert right == [item.answer]
        assert reader.true("\n".join(str(item.reasoning).splitlines()[:-2])), item.reasoning


@pytest.mark.parametrize("family", NEW)
def test_the_wordings_differ_and_tell_the_same(family: str) -> None:
    worlds = [FAMILIES[family].draw(Random(f"{family} 1"), 2, wording) for wording in range(WORDINGS)]
    assert len({world.problem() for world in worlds}) == WORDINGS
    assert len({world.program() for world in worlds}) == 1


# --- puzzles whose answers everybody can check


CABBAGE = Crossing("农夫", ("狼", "羊", "白菜"), ((0, 1), (1, 2)), 1, ((2, 0, 1, 2, 3, 0, 2), (1, 0, 2)), 0)


def test_the_wolf_the_goat_and_the_cabbage() -> None:
    assert both(CABBAGE, "最少要划船过河几次（来回各算一次）？") == "7"
    assert both(CABBAGE, "第一次必须带什么过河？") == "羊"
    right = "带羊过去，空手回来，带狼过去，带羊回来，带白菜过去，空手回来，带羊过去"
    assert both(CABBAGE, "下面哪个顺序能让大家都平安过河？") == right
    assert both(CABBAGE, "按“带狼过去，空手回来，带羊过去”的顺序能让大家都平安过河吗？") == "否"


def test_two_ways_across_are_no_single_choice() -> None:
    mirrored = (2, 0, 3, 2, 1, 0, 2)
    world = Crossing(CABBAGE.rower, CABBAGE.things, CABBAGE.eats, 1, (*CABBAGE.plans, mirrored), 0)
    with pytest.raises(NotProved):
        answer(world, "下面哪个顺序能让大家都平安过河？")


@pytest.mark.parametrize(
    ("premises", "statement", "verdict"),
    [
        ([("all", "画家", "医生"), ("all", "医生", "司机")], ("all", "画家", "司机"), "一定对"),  # Barbara
        ([("none", "医生", "司机"), ("all", "画家", "医生")], ("none", "画家", "司机"), "一定对"),  # Celarent
        ([("all", "医生", "司机"), ("some", "画家", "医生")], ("some", "画家", "司机"), "一定对"),  # Darii
        ([("none", "医生", "司机"), ("some", "画家", "医生")], ("somenot", "画家", "司机"), "一定对"),  # Ferio
        (
            [("all", "医生", "画家"), ("all", "医生", "司机")],
            ("some", "画家", "司机"),
            "一定对",
        ),  # Darapti: none is empty
        (
            [("all", "画家", "医生"), ("some", "医生", "司机")],
            ("some", "画家", "司机"),
            "不能确定",
        ),  # undistributed middle
        ([("all", "画家", "医生"), ("none", "画家", "司机")], ("none", "医生", "司机"), "不能确定"),  # illicit major
        ([("all", "画家", "医生"), ("none", "医生", "司机")], ("some", "司机", "画家"), "一定错"),
    ],
)
def test_syllogisms_of_the_textbook(
    premises: Sequence[tuple[str, str, str]], statement: tuple[str, str, str], verdict: str
) -> None:
    for wording in range(WORDINGS):
        world = Syllogisms(("画家", "医生", "司机"), tuple(premises), ((statement,),), wording)
        assert both(world, f"“{world._said(statement)}”这句话对吗？") == verdict


def test_a_date_in_the_next_month_and_its_weekday() -> None:
    world = Calendar((5, 30, 4), (("考试", "会议", 5), ("旅行", "考试", -36)), "会议", 0)
    assert both(world, "考试在几月几日？") == "6月4日"
    assert both(world, "考试是星期几？") == "星期三"
    assert both(world, "旅行在几月几日？") == "4月29日"
    assert both(world, "会议和旅行相隔几天？") == "31"
    assert both(world, "哪件事最早？") == "旅行"


def test_a_row_of_houses_needs_all_its_clues() -> None:
    groups = (("张伟", "王芳", "李娜"), ("狗", "猫", "鱼"))
    clues = (("justleft", "张伟", "王芳"), ("same", "李娜", "鱼"), ("at", "猫", 2), ("left", "狗", "猫"))
    world = Houses(groups, ("", "养"), clues, 0)
    assert both(world, "谁养猫？") == "王芳"
    assert both(world, "张伟在第几间？") == "1"
    for i in (0, 1):
        fewer = Houses(groups, ("", "养"), clues[:i] + clues[i + 1 :], 0)
        with pytest.raises(NotProved):
            answer(fewer, "张伟在第几间？")


def test_what_cannot_be_moved_stays() -> None:
    piles = (("红箱", "黄箱"), ("蓝箱",))
    world = Stacks(piles, (("红箱", "蓝箱"), ("黄箱", "蓝箱"), ("红箱", "黄箱")), 1)
    assert both(world, "第1个动作做得到吗？") == "否"
    assert both(world, "有几个动作做不到？") == "1"
    assert both(world, "最后什么直接压在黄箱上面？") == "红箱"
    with pytest.raises(NotProved):  # a move to where the box is: done or not done?
        answer(Stacks(piles, (("黄箱", "红箱"),), 0), "最后一共有几堆？")


def test_the_cheapest_way_may_be_the_longer_one() -> None:
    roads = (("青城", "白城", 9), ("青城", "红城", 2), ("白城", "红城", 3), ("黑城", "金城", 1))
    world = Tolls(("青城", "白城", "红城", "黑城", "金城"), roads, 1)
    assert both(world, "从白城到青城最少要多少元？") == "5"
    assert both(world, "从青城到白城，最便宜的走法在到白城之前最后经过哪里？") == "红城"
    assert both(world, "从青城能到黑城吗？") == "否"
    tied = Tolls(world.places, (("青城", "白城", 5), *roads[1:]), 0)
    with pytest.raises(NotProved):
        answer(tied, "从青城到白城，最便宜的走法在到白城之前最后经过哪里？")


def test_a_tie_has_no_single_answer() -> None:
    world = Baskets((("张伟", ("牛奶",)), ("王芳", ("鸡蛋",))), (("牛奶", 3), ("鸡蛋", 3)), (), 0)
    assert both(world, "张伟一共花了多少元？") == "3"
    with pytest.raises(NotProved):
        answer(world, "谁花的钱最多？")


def test_no_rule_outweighs_a_denial_and_what_no_rule_gives_is_missing() -> None:
    rules = (("风兽", "飞", True), ("水兽", "飞", False), ("水兽", "唱歌", True))
    world = Classes((("水兽", "风兽"),), rules, (("张伟", "水兽"), ("王芳", "风兽")), 2)
    assert both(world, "张伟会飞吗？") == "否"
    assert both(world, "王芳会唱歌吗？") == "否"
    assert both(world, "下面谁会飞？") == "王芳"


def test_requirements_of_requirements_count() -> None:
    before = (("算法", ("编程",)), ("数据库", ("算法", "线代")))
    world = Courses(("数据库", "算法", "线代", "编程"), before, (("张伟", ("编程", "线代")),), 2)
    assert both(world, "要学数据库，一共要先学完几门课（直接或间接）？") == "3"
    assert both(world, "从零开始，每学期课数不限，数据库最早在第几学期学？") == "3"
    assert both(world, "张伟现在可以学哪一门新课？") == "算法"
    assert both(world, "要学数据库，必须先学完编程吗？") == "是"


def test_a_sentence_is_built_by_the_rules_of_its_language() -> None:
    words = (("猫", "mila"), ("狗", "tope"), ("追", "kaku"), ("大", "nuzi"))
    meaning = (("猫", "大", True), ("狗", "", False), ("追", "", True))
    right = ("nuzi", "mila", "-ri", "tope", "seno", "kaku")
    for wording in range(WORDINGS):
        world = Lexicon(words, "SOV", True, True, "ri", "seno", (meaning,), ((right, right[:-1]),), wording)
        assert both(world, "“大猫们不追狗”怎么说？") == "nuzi mila-ri tope seno kaku"


def test_a_part_may_contain_a_part_of_its_own_kind() -> None:
    rules = (("句子", "核心", "动词"), ("核心", "形容词", "核心"), ("核心", "名词", ""))
    words = (("名词", ("ba",)), ("形容词", ("du",)), ("动词", ("ki",)))
    texts = (("du", "du", "ba", "ki"), ("ba", "du", "ki"), ("du", "ki"))
    for wording in range(WORDINGS):
        world = Grammar(rules, words, (texts,), wording)
        assert both(world, "下面哪一串是句子？") == "du du ba ki"
        assert both(world, "“ba du ki”是句子吗？") == "否"


# --- sets of families


def test_the_sets_of_families() -> None:
    assert len(FAMILIES) >= 16 and SETS["all"] == tuple(sorted(FAMILIES))
    assert families_named("basic") == BASIC == tuple(sorted(BASIC))
    assert families_named(["tolls", "dial", "tolls"]) == ("dial", "tolls")
    assert families_named(["basic", "tolls"]) == tuple(sorted((*BASIC, "tolls")))


@pytest.mark.parametrize(
    ("names", "message"),
    [(["tols"], "'tols'; did you mean 'tolls'"), (["zzz"], "'zzz'; there are basic, all, "), ([], "no family")],
)
def test_an_unknown_family_is_named(names: list[str], message: str) -> None:
    with pytest.raises(AugenError, match=message):
        families_named(names)


def ids(path: Path) -> Iterator[str]:
    return (entry.id.rpartition("_")[2] for entry in read_jsonl(path, answers="required"))


def test_the_command_writes_the_families_that_are_named_and_else_all(tmp_path: Path) -> None:
    count = str(len(FAMILIES))
    command_line.main(["--count", count, "--seed", "s", "--out", str(tmp_path / "all.jsonl")])
    assert sorted(ids(tmp_path / "all.jsonl")) == sorted(FAMILIES)
    command_line.main(["--count", "4", "--seed", "s", "--families", "tolls,dial", "--out", str(tmp_path / "two.jsonl")])
    assert list(ids(tmp_path / "two.jsonl")) == ["dial", "tolls", "dial", "tolls"]


@pytest.mark.parametrize("families", ["tols", "", ","])
def test_a_wrong_family_is_a_usage_error(families: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(["--count", "1", "--seed", "s", "--families", families, "--out", str(tmp_path / "x.jsonl")])
    assert ended.value.code == 2 and "--families: no family of puzzles is" in capsys.readouterr().err
    assert not (tmp_path / "x.jsonl").exists()


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params and the raw data, where the prepare stage can run."""
    shutil.copytree(ROOT / "data/raw", tmp_path / "data/raw")
    write_params(tmp_path / "params.yaml", {"prepare.synthetic": 4})
    monkeypatch.chdir(tmp_path)
    return tmp_path / "params.yaml"


def test_the_prepare_stage_adds_puzzles_of_the_named_families(workplace: Path) -> None:
    change_params(workplace, {"prepare.families": ["tolls", "dial"]})
    prepare.main()
    added = [e for e in load_pickle("data/entries_raw.pkl") if e.id.startswith("synthetic_")]
    assert [e.id.rpartition("_")[2] for e in added] == ["dial", "tolls", "dial", "tolls"]
    change_params(workplace, {"prepare.families": "bsic"})
    with pytest.raises(AugenError, match=r"^prepare.families: no family .*'bsic'; did you mean 'basic'"):
        prepare.main()


def test_without_a_word_a_data_set_is_of_the_basic_families() -> None:
    assert puzzle_entries(9, "s", "p") == puzzle_entries(9, "s", "p", BASIC)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 200), st.text(max_size=3), st.none() | st.lists(st.integers(0, 300), min_size=4, max_size=12))
def test_numbers_around_one_hold_it_and_do_not_repeat(number: int, key: str, others: list[int] | None) -> None:
    found = around(number, key, others)
    assert found[0] == str(number)
    assert len(set(found)) == len(found) <= 4
    assert others is None or {int(n) for n in found} <= {number, *others}
    assert {around(number, key) for key in "abcd"} == {around(number, key) for key in "efgh"}


def test_a_number_takes_every_place_among_those_around_it() -> None:
    ranks = {sorted(map(int, around(50, key))).index(50) for key in "abcd"}
    assert ranks == {0, 1, 2, 3}
