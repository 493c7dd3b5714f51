"""Stores of other versions and damaged ones: what is sound is kept, what is not is named, nothing is taken for new."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from augen.core.errors import AugenError
from augen.store import responses as responses_module
from augen.store.database import APPLICATION_ID, VERSION
from augen.store.responses import Store, request_key

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "responses.sqlite"


def responses(count: int, size: int = 60) -> dict[str, dict[str, object]]:
    return {request_key({"prompt": i}): {"text": f"答{i} " + "x" * size, "tokens": i} for i in range(count)}


def filled(path: Path, count: int = 300, size: int = 60) -> dict[str, dict[str, object]]:
    kept = responses(count, size)
    with Store(path) as store:
        store.put_many(kept)
    return kept


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def version_0(path: Path, rows: dict[str, str]) -> None:
    """A store as it was made before there were versions."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("CREATE TABLE IF NOT EXISTS responses (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executemany("INSERT INTO responses (key, value) VALUES (?, ?)", rows.items())
    connection.close()


# --- versions


def test_a_store_of_version_0_keeps_everything(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = responses(500)
    version_0(path, {key: json.dumps(value) for key, value in kept.items()})
    with Store(path) as store:
        assert store.fill(dict.fromkeys(kept), lambda missing: pytest.fail(f"paid again: {missing}")) == kept
        store.put_many({"new": {}})
    with Store(path) as store:
        assert store.get_many([*kept, "new"]) == kept | {"new": {}}
    assert capsys.readouterr().err == f"{path}: 500 responses of an older version get checksums, once\n"
    [[version]] = sqlite3.connect(path).execute("PRAGMA user_version")
    assert version == VERSION
    [[without]] = sqlite3.connect(path).execute("SELECT count(*) FROM responses WHERE checksum IS NULL")
    assert without == 0


def test_processes_that_bring_a_store_up_to_date_together(path: Path) -> None:
    kept = responses(2000)
    version_0(path, {key: json.dumps(value) for key, value in kept.items()})
    program = "import sys, pathlib; from augen.store.responses import Store; Store(pathlib.Path(sys.argv[1])).close()"
    started = [subprocess.Popen([sys.executable, "-c", program, str(path)], cwd=ROOT) for _ in range(4)]
    assert [process.wait(timeout=60) for process in started] == [0] * 4
    with Store(path) as store:
        assert store.get_many(kept) == kept


def test_a_damaged_value_of_version_0_is_named(path: Path) -> None:
    version_0(path, {"good": "{}", "bad": '{"text": "cut o'})
    with Store(path) as store:
        assert store.get_many(["good"]) == {"good": {}}
        with pytest.raises(AugenError, match=r"responses\.sqlite: the response bad is damaged"):
            store.get_many(["good", "bad"])


def test_an_older_program_may_go_on_writing(path: Path) -> None:
    filled(path, 3)
    change(path, "INSERT INTO responses (key, value) VALUES ('old', '{\"text\": \"好\"}')")
    with Store(path) as store:
        assert store.get_many(["old"]) == {"old": {"text": "好"}}


def test_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    filled(path)
    change(path, "PRAGMA user_version = 2")
    before = path.read_bytes()
    with pytest.raises(AugenError, match=r"responses\.sqlite: a response store of version 2, .* up to 1; update the"):
        Store(path)
    assert path.read_bytes() == before


# --- nothing is taken for a new store


def test_an_empty_file_is_no_new_store(path: Path) -> None:
    path.touch()
    with pytest.raises(AugenError, match=r"responses\.sqlite: is empty \(0 bytes\), so what it held is lost; restore"):
        Store(path)
    assert path.read_bytes() == b""


def test_a_database_without_the_table_is_no_new_store(path: Path) -> None:
    change(path, "CREATE TABLE t (x)", "DROP TABLE t")
    with pytest.raises(AugenError, match=r"not a response store; move it away"):
        Store(path)
    change(path, f"PRAGMA application_id = {APPLICATION_ID}")
    with pytest.raises(AugenError, match=r"its table of responses is not that of version 0; the file is damaged"):
        Store(path)


def test_a_log_without_its_store_is_kept(path: Path) -> None:
    """SQLite would delete it, with all that is in it."""
    log = path.with_name("responses.sqlite-wal")
    log.write_bytes(b"commits")
    with pytest.raises(AugenError, match=r"responses\.sqlite: is gone, but its log responses\.sqlite-wal is there"):
        Store(path)
    assert log.read_bytes() == b"commits" and not path.exists()


@pytest.mark.parametrize("links", [True, False])
def test_a_first_run_leaves_nothing_but_the_store(path: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")  # a file system without hard links

    if not links:
        monkeypatch.setattr(os, "link", refused)
    with Store(path) as store:
        store.put_many({"key": {}})
    assert [file.name for file in path.parent.iterdir()] == ["responses.sqlite"]


def test_a_first_run_killed_at_any_moment_does_not_block_the_next(path: Path) -> None:
    """strace would show each call; here the process dies right before each call of the file system that matters."""
    program = """
import os, pathlib, signal, sqlite3, sys, tempfile
from augen.store import database
from augen.store.responses import Store
module, name = sys.argv[2].split(".")
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
setattr({"os": os, "sqlite3": sqlite3, "tempfile": tempfile, "database": database}[module], name, die)
Store(pathlib.Path(sys.argv[1]))
"""
    for call in ("tempfile.TemporaryDirectory", "sqlite3.connect", "os.link", "database.refuse_empty"):
        killed = subprocess.run([sys.executable, "-c", program, str(path), call], cwd=ROOT)
        assert killed.returncode == -signal.SIGKILL
        assert call == "database.refuse_empty" or not path.exists()
    with Store(path) as store:
        store.put_many({"key": {}})


# --- rows


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE responses SET value = replace(value, '答', '问')",
        "UPDATE responses SET value = replace(value, 'x\"', 'y\"')",
        "UPDATE responses SET value = CAST(value AS BLOB) || x'ff'",
        "UPDATE responses SET value = 7",
        "UPDATE responses SET checksum = checksum + 1",
        "UPDATE responses SET checksum = 'x'",
        "UPDATE responses SET checksum = NULL, value = '[1]'",
    ],
)
def test_a_damaged_row_is_named_and_not_asked_for_again(path: Path, statement: str) -> None:
    first, second = filled(path, 2)
    change(path, f"{statement.replace('答', json.dumps('答')[1:-1])} WHERE key = '{first}'")
    with Store(path) as store:
        assert store.get_many([second]).keys() == {second}
        with pytest.raises(AugenError) as said:
            store.fill(dict.fromkeys([first, second]), lambda missing: pytest.fail(f"paid again: {missing}"))
    assert str(said.value) == (
        f"{path}: the response {first} is damaged (it is not what was stored); "
        f"`python -m augen.store repair {path}` saves what is sound, and only damaged ones will be asked for again"
    )


# --- the log


WRITER = """
import sys, time
from pathlib import Path
from augen.store.responses import Store
with Store(Path(sys.argv[1])) as store:
    for i in range(100_000):
        store.put_many({f"w-{i}": {"text": "x" * 50}})
        print(i, time.monotonic(), flush=True)
        time.sleep(0.002)
"""


def test_a_lost_log_takes_little_with_it(path: Path) -> None:
    """After kill -9 of a writer its log is lost: what was put more than some seconds before is still there."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert writer.stdout
    times: list[float] = []
    for line in writer.stdout:
        times.append(float(line.split()[1]))
        if times[-1] > times[0] + 2.5 * responses_module.CHECKPOINT_S:
            break
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    path.with_name("responses.sqlite-wal").unlink()
    with Store(path) as store:
        found = store.get_many(f"w-{i}" for i in range(len(times)))
    early = [i for i, at in enumerate(times) if at < times[-1] - responses_module.CHECKPOINT_S - 0.5]
    assert early and {f"w-{i}" for i in early} <= found.keys()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_slow_writer_loses_nothing_with_the_log(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses_module, "CHECKPOINT_S", 0.0)  # every response comes later than that after the last
    store = Store(path)
    for i in range(5):
        store.put_many({f"k{i}": {"i": i}})
    copy = path.with_name("copy.sqlite")
    copy.write_bytes(path.read_bytes())  # without the log
    with Store(copy) as other:
        assert len(other.get_many(f"k{i}" for i in range(5))) == 5
    store.close()


# --- the disk


LIMITED = """
import resource, signal, sys
from pathlib import Path
from augen.core.errors import AugenError
from augen.store.responses import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Store(Path(sys.argv[1])) as store:
    store.put_many({"before": {"text": "kept"}})
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    try:
        for i in range(100):
            store.put_many({f"k{i}": {"text": "x" * 5_000}})
    except AugenError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    store.put_many({"after": {}})
"""


def test_a_disk_that_takes_no_more(path: Path) -> None:
    """No file may grow beyond 100 kB: the operating system then refuses to write, in the midst of a commit."""
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path}: disk I/O error; look for a full or failing disk, or a limit"), done.stdout
    with Store(path) as store:
        assert store.get_many(["before", "after"]).keys() == {"before", "after"}


def test_a_full_disk(path: Path) -> None:
    with Store(path) as store:
        store.put_many({"before": {}})
        [[pages]] = store._connection.execute("PRAGMA page_count")
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(AugenError) as said:
            store.put_many({f"k{i}": {"text": "x" * 5_000} for i in range(100)})
        assert store.get_many(["before", "k0"]) == {"before": {}}
        store._connection.execute("PRAGMA max_page_count = 1000000")
        store.put_many({"after": {}})
    assert str(said.value).startswith(f"{path}: database or disk is full; make room on its disk and run again")
