"""The response store: keys, places, several writers at once, kill -9, and files that are no store."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augen.core.errors import AugenError
from augen.store import database
from augen.store.responses import KEYS_PER_QUERY, Store, default_path, request_key

ROOT = Path(__file__).parents[2]

names = st.text(st.characters(codec="utf-8"), max_size=5)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names
requests = st.dictionaries(names, scalars | st.lists(scalars, max_size=2), max_size=3)
few = settings(max_examples=40, deadline=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "responses.sqlite"


# --- keys


@few
@given(requests)
def test_the_order_of_fields_does_not_change_the_key(request: dict[str, Any]) -> None:
    assert request_key(request) == request_key(dict(reversed(request.items())))


@few
@given(requests, requests)
def test_two_requests_share_a_key_only_if_they_are_the_same(one: dict[str, Any], two: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (request_key(one) == request_key(two)) == same


def test_the_key_of_a_request_stays_what_it_was() -> None:
    """Stored responses are found by it in later versions: to change it is to throw them all away."""
    assert request_key({"prompt": "谁最高？", "seed": 1, "top_p": 1.0}) == (
        "5969d16b454fd3915de37e10f8d162fc43f123c20dc0184feabf6789403854ee"
    )


def test_a_request_that_json_cannot_hold_has_no_key() -> None:
    with pytest.raises(ValueError, match="JSON"):
        request_key({"temperature": float("nan")})


# --- what goes in comes out


@few
@given(responses=st.dictionaries(names, requests, max_size=5))
def test_what_was_put_is_found(responses: dict[str, dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as directory, Store(Path(directory) / "s.sqlite") as store:
        store.put_many(responses)
        assert store.get_many([*responses, "absent" * 20]) == responses


def test_half_a_surrogate_pair_survives(path: Path) -> None:
    with Store(path) as store:
        store.put_many({"key": {"text": "\ud83d"}})
        assert store.get_many(["key"]) == {"key": {"text": "\ud83d"}}


def test_the_first_response_under_a_key_stands(path: Path) -> None:
    with Store(path) as store:
        store.put_many({"key": {"text": "first"}})
        store.put_many({"key": {"text": "second"}})
        assert store.get_many(["key"]) == {"key": {"text": "first"}}


def test_more_keys_than_one_statement_can_take(path: Path) -> None:
    responses = {f"k{i}": {"i": i} for i in range(2 * KEYS_PER_QUERY + 1)}
    with Store(path) as store:
        store.put_many(responses)
        assert store.get_many([*responses, *responses]) == responses


def test_put_many_keeps_all_or_nothing(path: Path) -> None:
    with Store(path) as store:
        with pytest.raises(TypeError):
            store.put_many({"good": {}, "bad": {"value": object()}})
        assert store.get_many(["good"]) == {}
        store.put_many({"later": {}})
        assert store.get_many(["later"]) == {"later": {}}


def test_fill_computes_only_what_is_missing(path: Path) -> None:
    asked: list[dict[str, int]] = []

    def compute(missing: dict[str, int]) -> Iterator[dict[str, dict[str, int]]]:
        asked.append(missing)
        for key, item in missing.items():
            yield {key: {"double": 2 * item}}

    with Store(path) as store:
        store.put_many({"b": {"double": 0}})
        assert store.fill({"c": 3, "b": 2, "a": 1}, compute) == {
            "a": {"double": 2}, "b": {"double": 0}, "c": {"double": 6}
        }  # fmt: skip
        assert store.fill({"a": 1, "c": 3}, compute) == {"a": {"double": 2}, "c": {"double": 6}}
        assert store.fill({}, compute) == {}
    assert [list(missing.items()) for missing in asked] == [[("c", 3), ("a", 1)]]


def test_fill_keeps_what_arrived_before_it_broke(path: Path) -> None:
    def broken(missing: dict[str, int]) -> Iterator[dict[str, dict[str, int]]]:
        yield {"a": {"value": 1}, "b": {"value": 2}}
        with Store(path) as other:  # committed before the next is asked for
            assert other.get_many(missing) == {"a": {"value": 1}, "b": {"value": 2}}
        yield {}
        raise LookupError("out of memory")

    with Store(path) as store:
        with pytest.raises(LookupError):
            store.fill({"a": 1, "b": 2, "c": 3}, broken)
        assert store.fill({"b": 2, "c": 3}, lambda missing: [{key: {"value": 0} for key in missing}]) == {
            "b": {"value": 2}, "c": {"value": 0}
        }  # fmt: skip


def test_a_reopened_store_still_has_everything(path: Path) -> None:
    with Store(path) as store:
        store.put_many({"key": {"text": "好"}})
    with Store(path) as store:
        assert store.get_many(["key"]) == {"key": {"text": "好"}}


# --- several at once


def test_threads_share_one_store(path: Path) -> None:
    with Store(path) as store:

        def write(name: int) -> None:
            for i in range(50):
                store.put_many({f"{name}-{i}": {"i": i}})

        threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store.get_many(f"{t}-{i}" for t in range(4) for i in range(50))) == 200


def test_a_forked_process_gets_its_own_connection(path: Path) -> None:
    with Store(path) as store:
        store.put_many({"parent": {}})
        if (pid := os.fork()) == 0:
            store.put_many({"child": {}})
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert store.get_many(["parent", "child"]) == {"parent": {}, "child": {}}


WRITER = """
import sys
from pathlib import Path
from augen.store.responses import Store
path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
with Store(path) as store:
    for i in range(count):
        store.put_many({f"{name}-{i}": {"text": "字" * 50}})
        print(i, flush=True)
"""


def start_writer(path: Path, name: str, count: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_start_together_and_write_at_once(path: Path) -> None:
    writers = [start_writer(path, f"w{n}", 100) for n in range(6)]  # the file is not there yet: all make it
    for writer in writers:
        writer.communicate(timeout=60)
    assert [writer.returncode for writer in writers] == [0] * 6
    with Store(path) as store:
        assert len(store.get_many(f"w{n}-{i}" for n in range(6) for i in range(100))) == 600


def test_kill_9_loses_nothing_that_was_put(path: Path) -> None:
    writer = start_writer(path, "w", 1_000_000)
    assert writer.stdout
    for line in writer.stdout:  # it is in the middle of writing when it dies
        if int(line) == 200:
            break
    os.kill(writer.pid, signal.SIGKILL)
    reported = [200, *(int(line) for line in writer.stdout if line.endswith("\n"))][-1]
    assert writer.wait(timeout=10) == -signal.SIGKILL

    with Store(path) as store:
        keys = [f"w-{i}" for i in range(reported + 1)]
        assert list(store.get_many(keys)) and store.get_many(keys).keys() == set(keys)
        store.put_many({"after": {}})  # and the store goes on
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


# --- files that cannot be used


def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "responses.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(AugenError, match=r"responses\.sqlite: .*not a database; move it away"):
        Store(path)
    assert path.read_bytes().startswith(b"this is no database")


def test_damage_in_the_middle_is_named_when_it_is_read(path: Path) -> None:
    with Store(path) as store:
        store.put_many({f"k{i}": {"text": "x" * 100} for i in range(1000)})
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\xff" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    with (
        pytest.raises(
            AugenError, match=r"responses\.sqlite: .*malformed.*`python -m augen.store repair /.*responses\.sqlite`"
        ),
        Store(path) as store,
    ):
        store.get_many(f"k{i}" for i in range(1000))


@pytest.mark.parametrize("statement", ["CREATE TABLE songs (title TEXT)", "PRAGMA application_id = 7"])
def test_the_database_of_another_program_is_left_alone(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "responses.sqlite"
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(AugenError, match=r"responses\.sqlite: a SQLite file, but not a response store"):
        Store(path)
    assert path.read_bytes() == before


def test_a_place_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AugenError, match=r"file/responses\.sqlite: .*; make it and its directory writable"):
        Store(tmp_path / "file" / "responses.sqlite")


def test_a_directory_in_the_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(AugenError, match=f"{tmp_path}: unable to open"):
        Store(tmp_path)


def test_a_store_that_may_not_be_written() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "responses.sqlite"
        Store(path).close()
        path.chmod(0o444)
        Path(directory).chmod(0o555)
        with (
            not_root(),
            pytest.raises(AugenError, match=r"responses\.sqlite: .*; make it and its directory writable"),
        ):
            Store(path)
        Path(directory).chmod(0o755)


@contextmanager
def not_root() -> Iterator[None]:
    """Root may write everywhere: be nobody for a moment."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_store_that_stays_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    with Store(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(AugenError, match="locked; another process"):
            store.put_many({"key": {}})
        other.close()
        store.put_many({"key": {}})


# --- where it lies


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("AUGEN_CACHE", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    return tmp_path


def test_the_store_lies_in_the_repository(repository: Path) -> None:
    assert default_path() == repository / ".augen" / "responses.sqlite"


def test_dvc_says_which_repository_a_stage_belongs_to(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", "/elsewhere")
    assert default_path() == Path("/elsewhere/.augen/responses.sqlite")


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ("/shared/cache.db", "/shared/cache.db"),
        ("/shared/cache", "/shared/cache/responses.sqlite"),
        ("a", "{repository}/a/responses.sqlite"),
        ("../cache.sqlite", "{repository}/../cache.sqlite"),
    ],
)
def test_augen_cache_comes_first(repository: Path, monkeypatch: pytest.MonkeyPatch, cache: str, expected: str) -> None:
    monkeypatch.setenv("AUGEN_CACHE", cache)
    assert default_path() == Path(expected.format(repository=repository))


def test_outside_any_repository(repository: Path) -> None:
    (repository / "dvc.yaml").unlink()
    with pytest.raises(AugenError, match="AUGEN_CACHE"):
        default_path()
