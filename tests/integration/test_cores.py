"""How many cores are used, and work that is spread over them."""

import os
import subprocess
import sys
import time

import pytest
import torch

from augen.core.cores import cores, spread


@pytest.mark.parametrize(("asked", "some"), [("", False), ("1", True), ("1000", False), ("two", False), ("0", False)])
def test_the_user_may_ask_for_fewer(asked: str, some: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    monkeypatch.setattr("augen.core.cores._ASKED", asked)
    assert cores() == (1 if some else there)


def test_what_the_engine_sets_for_itself_is_not_what_the_user_asked_for() -> None:
    """vLLM's module puts OMP_NUM_THREADS=1 into the environment; the scorer shall still use all cores."""
    code = "import os, augen.core.cores; os.environ['OMP_NUM_THREADS'] = '1'; print(augen.core.cores._ASKED == '')"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_results_come_in_order_and_each_thread_has_its_share_of_the_cores() -> None:
    before = torch.get_num_threads()

    def work(number: int) -> tuple[int, int]:
        time.sleep(0.01 * (3 - number % 3))
        return number, torch.get_num_threads()

    with spread(3) as mapped:
        assert list(mapped(work, range(9))) == [(number, max(1, cores() // 3)) for number in range(9)]
    assert torch.get_num_threads() == before


def test_what_has_not_begun_is_dropped_when_the_block_is_left() -> None:
    begun = []

    def work(number: int) -> None:
        begun.append(number)
        time.sleep(0.05)

    with pytest.raises(KeyboardInterrupt), spread(1) as mapped:
        for _ in mapped(work, range(100)):
            raise KeyboardInterrupt
    assert len(begun) < 5
