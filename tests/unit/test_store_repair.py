"""Damage of every kind, at places from fixed seeds: never a wrong answer, no silent loss, and the rest saved."""

import random
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from augen.core.errors import AugenError
from augen.store.__main__ import main
from augen.store.database import VERSION
from augen.store.repair import check, repair
from augen.store.responses import Store
from tests.unit.test_store_damage import ROOT, WRITER, change, filled, responses, version_0

Kept = dict[str, dict[str, object]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "responses.sqlite"


def found(path: Path, keys: Kept) -> Kept:
    with Store(path) as store:
        return store.get_many(keys)


def flip(path: Path, seed: int, bits: int, start: int = 0) -> None:
    chance = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(bits):
        data[chance.randrange(start, len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def assert_saved(path: Path, kept: Kept, at_least: float) -> None:
    """After `repair`: sound, nothing wrong, and at least this share of all."""
    assert check(path).unsound == []
    left = found(path, kept)
    assert all(kept[key] == value for key, value in left.items())
    assert len(left) >= at_least * len(kept), len(left)
    with Store(path) as store:
        store.put_many(kept)  # and it goes on
    assert found(path, kept) == kept


# --- check


def test_a_sound_store(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(path)
    before = path.read_bytes()
    assert main(["check", str(path)]) == main(["repair", str(path)]) == 0
    said = capsys.readouterr()
    assert said.out == (
        f"{path}: sound, version {VERSION}, 300 responses\n{path}: sound, 300 responses; there is nothing to repair\n"
    )
    assert said.err == "" and path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_check_reads_what_another_process_has_in_its_log(path: Path) -> None:
    with Store(path) as store:
        store.put_many(responses(3))
        store.put_many({"late": {}})
        assert check(path).responses == 4


def test_check_leaves_version_0_as_it_is(path: Path) -> None:
    version_0(path, {"good": "{}", "bad": "{"})
    before = path.read_bytes()
    seen = check(path)
    assert (seen.version, seen.responses, seen.unsound) == (0, 1, ["the response bad is damaged"])
    assert path.read_bytes() == before


def test_the_default_is_the_store_of_the_repository(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(path)
    monkeypatch.setenv("AUGEN_CACHE", str(path))
    assert main(["check"]) == 0 and "300 responses" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["check", "repair"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file or directory"),
        (b"", "is empty (0 bytes)"),
        (b"<html>" * 1000, "file is not a database"),
    ],
)
def test_what_is_no_store(
    path: Path, command: str, content: bytes | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        path.write_bytes(content)
    assert main([command, str(path)]) == 1
    assert f"{path}: {says}" in capsys.readouterr().err
    assert (path.read_bytes() if path.exists() else None) == content
    assert [file.name for file in path.parent.iterdir() if file != path] == []


def test_the_database_of_another_program_is_not_repaired(path: Path) -> None:
    change(path, "CREATE TABLE songs (title TEXT, text TEXT)", "INSERT INTO songs VALUES ('a', 'b')")
    before = path.read_bytes()
    assert main(["repair", str(path)]) == 1
    assert path.read_bytes() == before


def test_a_newer_version_is_neither_checked_nor_repaired(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(path)
    change(path, "PRAGMA user_version = 2")
    before = path.read_bytes()
    assert main(["check", str(path)]) == main(["repair", str(path)]) == 1
    assert capsys.readouterr().err.count("a response store of version 2") == 2
    assert path.read_bytes() == before


# --- repair


def test_a_damaged_row_is_asked_for_again_after_the_repair(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = filled(path, 50)
    first = next(iter(kept))
    change(path, f"UPDATE responses SET value = replace(value, 'x\"', 'y\"') WHERE key = '{first}'")
    damaged = path.read_bytes()
    assert main(["check", str(path)]) == 1
    assert f"49 responses are sound; not sound:\n  the response {first} is damaged" in capsys.readouterr().err
    assert main(["repair", str(path)]) == 0
    said = capsys.readouterr().out
    old = path.with_name("responses.damaged-1.sqlite")
    assert f"49 responses were saved; the damaged file is kept as {old}" in said
    assert said.endswith(f"lost, and asked for again when needed:\n  {first}\n")
    assert old.read_bytes() == damaged
    assert found(path, kept).keys() == kept.keys() - {first}


def test_a_row_of_an_older_program_gets_its_checksum(path: Path) -> None:
    filled(path, 5)
    change(path, "INSERT INTO responses (key, value) VALUES ('old', '{}')")
    assert repair(path).responses == 6
    [[without]] = sqlite3.connect(path).execute("SELECT count(*) FROM responses WHERE checksum IS NULL")
    assert without == 0


def one_by_one(store: Store, key: str, value: dict[str, object]) -> bool:
    """Whether the store has the response or refuses it by name."""
    try:
        answer = store.get_many([key])
    except AugenError as error:
        assert "repair" in str(error), error
        return True
    assert answer in ({key: value}, {})
    return bool(answer)


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bits(path: Path, seed: int) -> None:
    """Small and long values: 10 kB lie on several pages."""
    kept = filled(path, 300, size=60 if seed % 2 else 10_000)
    flip(path, seed, bits=1 + seed % 4 * 10)
    absent = []
    try:
        with Store(path) as store:
            for key, value in kept.items():
                absent += [] if one_by_one(store, key, value) else [key]
    except AugenError as error:
        assert re.search(r"repair|AUGEN_CACHE", str(error)), error
    if main(["check", str(path)]) == 0:
        assert not absent, "lost without a word"
        return
    old = path.read_bytes()
    if main(["repair", str(path)]) == 0:
        assert path.with_name("responses.damaged-1.sqlite").read_bytes() == old
        assert_saved(path, kept, at_least=0.5)
    else:
        pytest.fail("nothing was saved")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(path: Path, share: float) -> None:
    kept = filled(path, 1000)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(AugenError, match="repair"), Store(path) as store:
        store.get_many(kept)
    assert main(["check", str(path)]) == 1
    assert main(["repair", str(path)]) == 0
    assert_saved(path, kept, at_least=0.5 * share)


@pytest.mark.parametrize(("start", "end"), [(0, 100), (0, 4096), (4096, 12288)])
def test_overwritten_beginnings(path: Path, start: int, end: int) -> None:
    """The header, the schema, the roots of the table and of its index."""
    kept = filled(path, 2000)
    data = bytearray(path.read_bytes())
    data[start:end] = b"\xff" * (end - start)
    path.write_bytes(data)
    assert main(["check", str(path)]) == 1
    assert main(["repair", str(path)]) == 0
    assert_saved(path, kept, at_least=0.95)


def test_the_log_of_a_killed_writer_is_saved_and_kept(path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert writer.stdout
    for line in writer.stdout:
        if line.startswith("300 "):
            break
    writer.kill()
    writer.communicate()
    data = bytearray(path.read_bytes())
    data[:100] = b"\0" * 100
    path.write_bytes(data)
    assert repair(path).responses > 300
    assert path.with_name("responses.damaged-1.sqlite-wal").exists()
    assert not path.with_name("responses.sqlite-wal").exists()
    with Store(path) as store:
        assert len(store.get_many(f"w-{i}" for i in range(301))) == 301


def test_damage_in_the_log(path: Path) -> None:
    """SQLite passes over frames whose own checksum does not fit, and all after them: never a wrong answer."""
    store = Store(path)
    kept = responses(200)
    for key, value in kept.items():
        store.put_many({key: value})
    copy = path.with_name("copy.sqlite")
    copy.write_bytes(path.read_bytes())
    log = path.with_name("copy.sqlite-wal")
    log.write_bytes(path.with_name("responses.sqlite-wal").read_bytes())
    store.close()
    flip(log, seed=1, bits=5, start=32)
    left = found(copy, kept)
    assert all(kept[key] == value for key, value in left.items())


def test_a_store_in_use_is_not_repaired(path: Path) -> None:
    program = "import sys, pathlib; from augen.store.responses import Store; s = Store(pathlib.Path(sys.argv[1]))"
    user = subprocess.Popen(
        [sys.executable, "-c", f"{program}; print(flush=True); input()", str(path)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert user.stdout and user.stdout.readline()
    with pytest.raises(AugenError, match=r"responses\.sqlite: another process has it open; wait for that one"):
        repair(path)
    user.communicate("\n")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("columns", [0, 1, 2, 3])
def test_a_row_that_claims_fewer_columns(path: Path, columns: int) -> None:
    """A record begins with the length of its header: that number, then the type of each column (2, 2 and 1 bytes)."""
    kept = filled(path)
    data, key = bytearray(path.read_bytes()), next(iter(kept))
    of_a_key = b"\x81\x0d"  # the type of a text of 64 characters
    place = data.rindex(of_a_key, 0, data.index(key.encode() + b'{"text"')) - 1
    assert data[place] == 1 + 2 + 2 + 1
    data[place] = 1 + [0, 2, 4, 5][columns]
    path.write_bytes(data)
    assert key in repair(path).lost or columns == 3
    assert_saved(path, kept, at_least=0.99)


def test_each_repair_keeps_its_old_file(path: Path) -> None:
    filled(path)
    assert repair(path).kept_as.name == "responses.damaged-1.sqlite"
    assert repair(path).kept_as.name == "responses.damaged-2.sqlite"


def test_damage_of_random_pages_never_hangs(path: Path) -> None:
    """Whole pages of noise, and pages exchanged."""
    for seed in range(10):
        path.unlink(missing_ok=True)
        kept = filled(path, 500, size=3000)
        chance = random.Random(seed)
        data = bytearray(path.read_bytes())
        for _ in range(5):
            one, two = (4096 * chance.randrange(len(data) // 4096) for _ in range(2))
            data[one : one + 4096] = data[two : two + 4096] if seed % 2 else chance.randbytes(4096)
        path.write_bytes(data)
        if main(["check", str(path)]) == 1:
            assert main(["repair", str(path)]) == 0
        assert_saved(path, kept, at_least=0.8)
