"""Two processes at one provider keep its limit together; what one of them leaves when it is killed is the other's."""

import signal
import time
from pathlib import Path

from augen.entries import Entry, QuestionItem
from demo.base import Settings
from demo.tencent import TencentServer
from tests.integration.paid import Repository

PER_SECOND = 10


def entries(name: str) -> list[Entry]:
    """300 problems whose texts are all different and too long for two in a request."""

    def text(*parts: object) -> str:
        return f"如果{name}盒子" + "，".join(map(str, parts)) + "那么所有其余的盒子都是空的盒子。"

    return [
        Entry(text(n), [QuestionItem(text(n, "谁"), [text(n, "甲"), text(n, "乙")], answer="A")], id=f"train_{n:03d}")
        for n in range(300)
    ]


def asked_by(server: TencentServer, name: str) -> int:
    return sum(name in text for text in list(server.answered))


def share_of_limit(server: TencentServer, seconds: float) -> float:
    """The requests that arrive in the next `seconds`, as a share of those that are allowed."""
    before, began = len(server.arrivals), time.monotonic()
    time.sleep(seconds)
    return (len(server.arrivals) - before) / ((time.monotonic() - began) * PER_SECOND)


def most_in_a_second(arrivals: list[float]) -> int:
    return max(sum(begin <= at < begin + 1 for at in arrivals) for begin in arrivals)


def test_two_processes_keep_one_limit_and_a_killed_one_leaves_it_to_the_other(tmp_path: Path) -> None:
    with TencentServer(Settings()) as server:
        changes = {
            "translate.backend": "tencent",
            "providers.tencent.base_url": server.url,
            "providers.tencent.requests_per_second": float(PER_SECOND),
            "providers.tencent.characters_per_request": 40,
        }
        names = ("甲号", "乙号")
        stages = [
            Repository(tmp_path / name, entries(name), changes).start("translate", AUGEN_CACHE=str(tmp_path / "store"))
            for name in names
        ]
        try:
            deadline = time.monotonic() + 60
            while not all(asked_by(server, name) > 5 for name in names):
                assert time.monotonic() < deadline and all(stage.poll() is None for stage in stages)
                time.sleep(0.05)
            together = share_of_limit(server, 6)
            # A request that is held up on its way, where others want the cores, lets a later one come too soon.
            assert most_in_a_second(server.arrivals) <= PER_SECOND + 2
            assert all(asked_by(server, name) > 10 for name in names)
            stages[0].send_signal(signal.SIGKILL)
            stages[0].wait()
            time.sleep(1)
            alone = share_of_limit(server, 3)
            assert together >= 0.95 * min(alone, 1.0) - 0.02 and alone >= 0.7
        finally:
            for stage in stages:
                stage.kill()
                stage.communicate()
