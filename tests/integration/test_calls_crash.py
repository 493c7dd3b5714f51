"""kill -9 in the middle of a stage, again and again; and two DVC workers at once.

What had been answered is never asked for again (except what was in flight), and the outs are those of an undisturbed
run, byte for byte.
"""

import re
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from augen.entries import Entry, QuestionItem
from augen.entries.pickles import load_pickle
from demo.base import Settings
from demo.tencent import TencentServer
from tests.integration.paid import Repository

CONCURRENCY = 4
KILLS = 20


def entries(count: int) -> list[Entry]:
    """Problems whose texts are all different and so long that no two fit into a request of 40 characters."""

    def text(*parts: object) -> str:
        return "如果盒子" + "，".join(map(str, parts)) + "那么所有其余的盒子都是空的盒子。"

    return [
        Entry(text(n), [QuestionItem(text(n, "谁"), [text(n, "甲"), text(n, "乙")], answer="A")], id=f"train_{n:03d}")
        for n in range(count)
    ]


def changes(server: TencentServer, **more: Any) -> dict[str, Any]:
    return {
        "translate.backend": "tencent",
        "providers.tencent.base_url": server.url,
        "providers.tencent.requests_per_second": None,
        "providers.tencent.characters_per_request": 40,
        "providers.tencent.concurrency": CONCURRENCY,
        **more,
    }


def kill_in_the_middle(process: "subprocess.Popen[str]", server: TencentServer, moment: float) -> bool:
    """Let the stage begin to ask, wait `moment` seconds, kill it; False if it had ended before."""
    asked = sum(server.outcomes.values())
    while process.poll() is None and sum(server.outcomes.values()) == asked:
        time.sleep(0.005)
    time.sleep(moment)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return alive


def test_kill_9_at_twenty_moments_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    random = Random(7)
    with TencentServer(Settings(latency_s=0.05)) as server:
        repository = Repository(tmp_path / "disturbed", entries(75), changes(server))
        out = repository.path / "data/entries_aug.pkl"
        out.unlink()
        for kill in range(KILLS):
            before = Counter(server.answered)
            assert kill_in_the_middle(repository.start("translate"), server, random.uniform(0.0, 0.35)), kill
            assert not out.exists()
            repeated = sum((server.answered - before)[text] for text in before)
            assert repeated <= CONCURRENCY  # what was in flight at the kill before
        done = repository.stage("translate")
        assert done.returncode == 0, done.stderr
        assert max(server.sizes) <= 40
        assert 100 < sum(server.answered.values()) <= len(server.answered) + KILLS * CONCURRENCY

    with TencentServer(Settings()) as server:
        undisturbed = Repository(tmp_path / "undisturbed", entries(75), changes(server))
        assert undisturbed.stage("translate").returncode == 0
        assert set(server.answered.values()) == {1}
    assert load_pickle(out)
    # The two servers have two base URLs, so nothing was shared.
    assert out.read_bytes() == (undisturbed.path / "data/entries_aug.pkl").read_bytes()


def test_ctrl_c_waits_for_what_is_in_flight(tmp_path: Path) -> None:
    with TencentServer(Settings(latency_s=0.5)) as server:
        repository = Repository(tmp_path / "repo", entries(40), changes(server))
        stage = repository.start("translate")
        while len(server.arrivals) < 3:
            time.sleep(0.01)
        stage.send_signal(signal.SIGINT)
        output, _ = stage.communicate(timeout=90)
        assert stage.returncode == 130, output
        assert "nothing is lost" in output or "stored" in output
        server.settings.latency_s = 0.0
        assert repository.stage("translate").returncode == 0
        assert set(server.answered.values()) == {1}


DVC = """
stages:
  translate:
    cmd: python -m stages.translate
    deps: [data/entries_raw.pkl]
    params: [providers, translate]
    outs: [data/entries_aug.pkl]
"""


def dvc_repository(path: Path, problems: list[Entry], settings: dict[str, Any]) -> Repository:
    """A git repository with one stage under DVC (what `dvc init` makes, in less than its several seconds)."""
    repository = Repository(path, problems, settings)
    (path / "data/entries_aug.pkl").unlink()
    (path / ".dvc").mkdir()
    files = {
        "dvc.yaml": DVC,
        ".dvc/config": "[core]\n    analytics = false\n",
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        ".gitignore": ".augen/\nreports/\n",
    }
    for name, text in files.items():
        (path / name).write_text(text, encoding="utf-8")
    for command in ("git init -q", "git add .", "git -c user.name=t -c user.email=t@t commit -q -m start"):
        done = repository.run(*command.split(), timeout_s=60)
        assert done.returncode == 0, done.stderr
    return repository


def test_a_quota_used_up_half_way_then_dvc_repro_asks_only_for_the_rest(tmp_path: Path) -> None:
    with TencentServer(Settings(quota=100)) as server:
        repository = dvc_repository(tmp_path / "repo", entries(25), changes(server))
        stopped = repository.run("dvc", "repro", timeout_s=60)
        assert stopped.returncode != 0
        message = "translate: tencent: the quota is used up"
        [line] = [line for line in (stopped.stdout + stopped.stderr).splitlines() if message in line]
        assert "100 of 200 are done; what arrived is stored; run `dvc repro` again to go on" in line
        assert not (repository.path / "data/entries_aug.pkl").exists()
        assert server.answered.total() == 100

        server.settings.quota = None
        assert repository.run("dvc", "repro", timeout_s=60).returncode == 0
        assert len(load_pickle(repository.path / "data/entries_aug.pkl")) == 25
        assert server.answered.total() == 200 and set(server.answered.values()) == {1}


def test_two_queue_workers_share_the_store_and_pay_for_nothing_twice(tmp_path: Path) -> None:
    """Both experiments ask for the same (their params differ in what does not change a request)."""
    with TencentServer(Settings(latency_s=0.3)) as server:
        repository = dvc_repository(tmp_path / "repo", entries(60), changes(server))
        queue = ["dvc", "exp", "run", "--queue", "-S", "providers.tencent.retries=5,6"]
        queued = repository.run(*queue, timeout_s=60)
        assert queued.returncode == 0, queued.stderr
        # The workers inherit stdout and stderr and outlive the command: it must not be waited for at a pipe's end.
        subprocess.run(
            ["dvc", "queue", "start", "-j", "2"],
            cwd=repository.path,
            env=repository.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )
        try:
            assert wait_for_experiments(repository, 2, timeout_s=90) == 2
        finally:
            repository.run("dvc", "queue", "stop", "--kill", timeout_s=60)
        assert server.answered.total() == 480 and set(server.answered.values()) == {1}
        assert most_at_once(server) > CONCURRENCY  # both were at it at the same time
        assert (repository.path / ".augen/responses.sqlite").exists()


def wait_for_experiments(repository: Repository, count: int, timeout_s: float) -> int:
    """How many experiments have succeeded, once there are `count` of them or the time is up."""
    deadline = time.monotonic() + timeout_s
    while True:
        # A successful one becomes a git ref. (`dvc queue status` would take as long as the experiment.)
        refs = repository.run("git", "for-each-ref", "--format=%(refname)", "refs/exps", timeout_s=60).stdout
        succeeded = len(re.findall(r"^refs/exps/../\w{38}/.+$", refs, re.MULTILINE))
        if succeeded >= count or time.monotonic() > deadline:
            return succeeded
        time.sleep(0.5)


def most_at_once(server: TencentServer) -> int:
    """The largest number of requests that arrived within one latency of each other."""
    return max(sum(a <= b < a + server.settings.latency_s for b in server.arrivals) for a in server.arrivals)
