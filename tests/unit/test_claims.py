"""Claims: one asker per key, whatever happens to a process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from augen.core.errors import AugenError
from augen.generation.served.claims import CLAIM_S, Claims
from augen.store.responses import Store

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "responses.sqlite") as store:
        yield store


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_first_one_gets_a_free_key_and_the_second_waits(store: Store) -> None:
    one, two = Claims(store), Claims(store)
    assert one.take(["a", "b"]).mine == ["a", "b"]
    taken = two.take(["b", "c"])
    assert (taken.mine, taken.elsewhere) == (["c"], ["b"])


def test_what_is_stored_is_nobodys_to_ask_for(store: Store) -> None:
    store.put_many({"a": {"text": "好"}})
    taken = Claims(store).take(["a", "b"])
    assert taken.stored == {"a": {"text": "好"}}
    assert taken.mine == ["b"]


def test_a_released_key_is_free_again(store: Store) -> None:
    one, two = Claims(store), Claims(store)
    one.take(["a"])
    two.release(["a"])  # not its own: nothing happens
    assert two.take(["a"]).elsewhere == ["a"]
    one.release(["a"])
    assert two.take(["a"]).mine == ["a"]


def test_closing_gives_everything_up(store: Store) -> None:
    one, two = Claims(store), Claims(store)
    one.take(["a", "b"])
    one.close()
    assert two.take(["a", "b"]).mine == ["a", "b"]


def test_a_claim_runs_out_unless_it_is_renewed(store: Store) -> None:
    clock = Clock()
    one, two = Claims(store, clock), Claims(store, clock)
    one.take(["a"])
    clock.now += 0.9 * CLAIM_S
    one.renew()
    clock.now += 0.9 * CLAIM_S
    assert two.take(["a"]).elsewhere == ["a"]
    clock.now += 0.2 * CLAIM_S
    assert two.take(["a"]).mine == ["a"]


CLAIMER = """
import sys, time
from pathlib import Path
from augen.core.errors import AugenError
from augen.generation.served.claims import Claims
from augen.store.responses import Store
claims = Claims(Store(Path(sys.argv[1])))
print(*claims.take(["a"]).mine, flush=True)
time.sleep(60)
"""


def test_a_killed_process_holds_nothing(store: Store) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIMER, str(store.path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "a\n"
    mine = Claims(store)
    assert mine.take(["a"]).elsewhere == ["a"]
    process.kill()
    process.communicate()
    assert mine.take(["a"]).mine == ["a"]


def test_an_earlier_process_of_the_same_number_holds_nothing(store: Store) -> None:
    earlier, now = Claims(store), Claims(store)
    host, pid, _, number = earlier.owner.split("/")
    assert int(pid) == os.getpid()
    earlier.owner = f"{host}/{pid}/00000000/{number}"
    earlier.take(["a"])
    assert now.take(["a"]).mine == ["a"]


def test_a_process_of_another_machine_holds_its_claim_until_it_runs_out(store: Store) -> None:
    clock = Clock()
    other, mine = Claims(store, clock), Claims(store, clock)
    other.owner = "elsewhere/1/00000000/0"
    other.take(["a"])
    assert mine.take(["a"]).elsewhere == ["a"]
    clock.now += CLAIM_S + 1
    assert mine.take(["a"]).mine == ["a"]


def test_a_wait_for_another_machine_is_said_once_and_has_a_bound(store: Store) -> None:
    clock = Clock()
    said: list[str] = []
    other = Claims(store, clock)
    other.owner = "elsewhere/17/00000000/0"
    mine = Claims(store, clock, max_wait_s=300, say=said.append)
    other.take(["a", "b"])
    for _ in range(30):  # it lives, and answers nothing
        assert mine.take(["a", "b"]).elsewhere == ["a", "b"]
        clock.now += 10
        other.renew()
    assert said == [
        "process 17 on elsewhere is asking for an answer that is needed here too: waiting for it, for at most 300 s, "
        "or until it has shown no sign of life for 60 s"
    ]
    mine.take(["a"])
    clock.now += 1
    with pytest.raises(AugenError, match=r"sqlite: process 17 on elsewhere has been asking .* longer than providers"):
        mine.take(["a"])


def test_a_short_wait_is_not_said_and_its_time_starts_anew(store: Store) -> None:
    clock = Clock()
    said: list[str] = []
    other, mine = Claims(store, clock), Claims(store, clock, max_wait_s=9, say=said.append)
    other.owner = "elsewhere/17/00000000/0"
    for _ in range(5):
        other.take(["a"])
        assert mine.take(["a"]).elsewhere == ["a"]
        clock.now += 4
        assert mine.take(["a"]).elsewhere == ["a"]
        other.release(["a"])
        assert mine.take(["a"]).mine == ["a"]
        mine.release(["a"])
    assert said == []


def test_a_machine_whose_clock_is_ahead_does_not_hold_a_claim_for_longer(store: Store) -> None:
    ahead, clock = Clock(), Clock()
    ahead.now += 86_400
    other, mine = Claims(store, ahead), Claims(store, clock)
    other.owner = "elsewhere/17/00000000/0"
    other.take(["a"])
    assert mine.take(["a"]).elsewhere == ["a"]
    clock.now += 0.9 * CLAIM_S
    ahead.now += 0.9 * CLAIM_S
    other.renew()
    clock.now += 0.9 * CLAIM_S
    assert mine.take(["a"]).elsewhere == ["a"]  # it was alive in between
    clock.now += CLAIM_S
    assert mine.take(["a"]).mine == ["a"]


def test_a_damaged_answer_is_not_asked_for_again(store: Store) -> None:
    store.put_many({"a": {"text": "yes"}})
    claims = Claims(store)
    claims._connection.execute("UPDATE responses SET value = replace(value, 'yes', 'no!')")
    with pytest.raises(AugenError, match="the response a is damaged"):
        claims.take(["a", "b"])
    assert Claims(store).take(["b"]).mine == ["b"]  # nothing stays claimed or locked
