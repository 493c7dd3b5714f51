"""Measures that batches survive anything: make bench PART=batches

`reason_true` asks by batches for reasonings of the real training questions (1,421; those of data/raw without them),
with three attempts, at a server on this machine whose batches are validated, run, expire and fail by halves. The stage
is killed (SIGKILL) at 20 random moments and started again. Then the same requests go out one by one, from a store of
their own. Prints how often a line was paid for twice (never), and whether the outs are the same bytes. Takes about
three minutes, mostly for starting the stage.
"""

import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from augen.core.run import no_arguments
from augen.entries.jsonl import read_jsonl
from demo.base import Settings
from demo.batches import BatchServer, Fates
from demo.chat import MODELS, OpenAIServer
from tests.integration.paid import ROOT, Repository, chat_changes
from tests.real import REAL_DATA

KILLS = 20
LONGEST_S = 1200.0  # of a run that nobody kills, on a machine with much else to do
LINES = 60  # in a batch
FATES = ["expired", "full", "half", "failed"] * 3  # of the first batches, so that others are running beside a full one
OUTS = ("entries.pkl", "entries_aug.pkl")


def main() -> None:
    source = REAL_DATA if REAL_DATA.is_file() else ROOT / "data/raw/train.jsonl"
    entries = read_jsonl(source, answers="optional")
    questions = sum(len(entry.questions) for entry in entries)
    fates = Fates(validating_s=0.3, running_s=1.5, next=list(FATES))
    with tempfile.TemporaryDirectory() as folder:
        with BatchServer(Settings(latency_s=0.05), fates=fates, wrong=0.4, mute=0.1) as server:
            batched = Repository(Path(folder, "batched"), entries, changes(server, batch=True))
            started = time.monotonic()
            kills = killed(server, batched)
            finish(batched)
            seconds = time.monotonic() - started
        with OpenAIServer(wrong=0.4, mute=0.1) as single_server:
            single = Repository(Path(folder, "single"), entries, changes(single_server, batch=False))
            finish(single)
        outs = [[(r.path / "data/reasoned" / out).read_bytes() for out in OUTS] for r in (batched, single)]
    print(f"{questions:,} questions, killed {kills} times, {len(server.batches)} batches, {seconds:.0f} s")
    ends = Counter(batch.fate for batch in server.batches.values())
    print(f"  {', '.join(f'{count} {fate}' for fate, count in sorted(ends.items()))}")
    print(f"  {server.answered.total():,} lines paid for, {twice(server):,} of them twice")
    print(f"  one by one {single_server.answered.total():,} requests; the outs are {_same(outs[0] == outs[1])}")


def changes(server: OpenAIServer, batch: bool) -> dict[str, object]:
    own: dict[str, Any] = {"batch": batch, "batch_lines": LINES, "batch_poll_s": 0.2, "timeout_s": 30.0}
    named = {f"providers.openai.{name}": value for name, value in own.items()}
    return chat_changes("openai", server.url, **named | {"reason_true.models": [MODELS[0]]})


def killed(server: BatchServer, repository: Repository) -> int:
    """Start the stage and kill it, so many times; how often it was still running."""
    random, kills = Random(7), 0
    for _ in range(KILLS):
        seen = sum(server.outcomes.values())
        stage = repository.start("reason_true")
        while stage.poll() is None and sum(server.outcomes.values()) == seen:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 2))
        kills += stage.poll() is None
        stage.kill()
        stage.communicate()
    return kills


def finish(repository: Repository) -> None:
    done = repository.run(sys.executable, "-m", "stages.reason_true", timeout_s=LONGEST_S)
    assert done.returncode == 0, done.stdout + done.stderr


def twice(server: BatchServer) -> int:
    return sum(count - 1 for count in server.answered.values())


def _same(same: bool) -> str:
    return "the same, byte for byte" if same else "NOT the same"


if __name__ == "__main__":
    no_arguments(main)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
