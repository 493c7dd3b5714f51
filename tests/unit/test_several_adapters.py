"""What several adapters bring, for two questions whose every number is worked out by hand; and who draws which slot."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from augen.answering.questions import Prompting
from augen.core.models import UNCHANGED, adapters_in, tuned_adapters
from augen.entries import Question, QuestionItem
from augen.evaluation.sharing import Sharers, sharing_numbers, sharing_section, sharing_sentences
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions
from augen.voting.settings import VotingSettings
from tests.fakes import FakeWindow

TWO = Sharers("adapters", ["Adapter 0", "Adapter 1"])
QUESTIONS = DevQuestions(["p#1", "q#1"], np.array([0, 1]), np.array([2, 2]), ["p", "q"])
LETTERS = np.array([[0, 0, 0, 1], [0, 1, 0, 1]])[:, :, None]  # slots 1 and 3 are those of adapter 0


def grid_of(letters: np.ndarray) -> SampleGrid:
    return SampleGrid(letters, np.ones_like(letters), np.full_like(letters, -1), letters >= 0, letters >= 0)


def test_each_adapter_alone_and_both_at_equal_samples() -> None:
    """A tie goes to A: that makes adapter 1 right in the first question, and every mixed pair wrong in the second."""
    found = sharing_numbers(grid_of(LETTERS), QUESTIONS, VotingSettings(4), TWO)
    shares = {number: (own["accuracy"], own["votes"], own["vote"]) for number, own in found["each"].items()}
    assert shares == {"0": (0.5, 2, 0.5), "1": (0.75, 2, 1.0)}
    assert found["differ"] == 0.5
    sharing = found["sharing"]
    assert (sharing["votes"], sharing["alone"], sharing["mixed"], sharing["gain"]) == (2, 0.75, 0.5, -0.25)
    assert sharing["gain_se"] == pytest.approx(0.25), "the differences are 0 and -1/2"
    sentences = sharing_sentences(found)
    assert (sharing["best"], sharing["gain_over_best"]) == ("Adapter 1", -0.5), "in both questions it is right"
    assert sentences[-1].startswith("2 votes of one alone 0.750") and "-0.250" in sentences[-1].replace("−", "-")
    assert sharing_section({"adapters": found}).count("\n- ") == 4 and sharing_section({}) == ""


def test_what_the_samples_do_not_tell_is_left_out() -> None:
    settings = VotingSettings(3)
    few = sharing_numbers(grid_of(LETTERS[:, :3]), QUESTIONS, settings, TWO)
    assert "sharing" not in few and "needs voters: 4" in sharing_sentences(few)[-1]
    stopped = LETTERS.copy()
    stopped[0, 3] = -1
    open_slot = replace(grid_of(stopped), drawn=stopped >= 0)
    assert sharing_numbers(open_slot, QUESTIONS, VotingSettings(4), TWO) == {"count": 2}
    assert "set infer.adaptive to false" in sharing_section({"adapters": {"count": 2}})


def test_slots_take_turns_with_the_adapters_and_keep_theirs_when_they_are_redrawn() -> None:
    prompting = Prompting("解答。", FakeWindow(), seed=7, temperature=1.0, top_p=1.0, max_tokens=32, adapters=3)
    question = Question("p#1", "p", "甲比乙高。", QuestionItem("谁高？", ["甲", "乙"]))

    def adapters(prompting: Prompting) -> list[list[int]]:
        requests = [[prompting.request(question, (), slot, round_) for slot in range(1, 6)] for round_ in (0, 1)]
        return [[request.adapter for request in row if request] for row in requests]

    assert adapters(prompting) == [[1, 2, 3, 1, 2]] * 2
    assert adapters(replace(prompting, adapters=1)) == [[1] * 5] * 2
    assert adapters(replace(prompting, adapters=0)) == [[0] * 5] * 2


def test_a_folder_of_adapters_is_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    assert adapters_in(tmp_path) == (tmp_path,)
    for name in ("10", "2", "0", "notes"):
        (tmp_path / name).mkdir()
    assert adapters_in(tmp_path) == tuple(tmp_path / name for name in ("0", "2", "10"))


def test_preferred_adapters_stand_in_for_those_they_were_trained_from(tmp_path: Path) -> None:
    adapter, preferred = tmp_path / "adapter", tmp_path / "preferred"
    assert tuned_adapters(adapter, preferred) == (adapter,), "the stage prefer has not run"
    (preferred / "0").mkdir(parents=True)
    (preferred / "1").mkdir()
    assert tuned_adapters(adapter, preferred) == (preferred / "0", preferred / "1")
    (preferred / UNCHANGED).touch()
    assert tuned_adapters(adapter, preferred) == (adapter,)
