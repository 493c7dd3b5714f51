"""Entries and questions that are read again from their file, and pickles of more than one block."""

import io
import pickle
import tracemalloc
from pathlib import Path

import pytest

from augen.entries import Entry, QuestionItem, pickles, questions, restricted
from augen.entries.jsonl import write_jsonl
from augen.entries.ondisk import EntryFile, Questions
from augen.entries.pickles import CLASSES, dump_pickle, load_pickle, stream_pickle
from augen.entries.records import EntriesError


def entries(count: int, name: str = "p") -> list[Entry]:
    return [
        Entry(
            f"题目{n}。",
            [QuestionItem(f"问{n}#{i}？", ["甲", "乙"], answer="A") for i in range(1 + n % 3)],
            f"{name}{n}",
        )
        for n in range(count)
    ]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, EntryFile]:
    made = {}
    for split, count in (("votes", 2), ("dev", 5), ("test", 4)):
        write_jsonl(tmp_path / f"{split}.jsonl", entries(count, split))
        made[split] = EntryFile(tmp_path / f"{split}.jsonl", answers="optional")
    return made


def test_entries_are_those_of_the_file(files: dict[str, EntryFile]) -> None:
    dev = files["dev"]
    assert list(dev) == entries(5, "dev") == list(dev), "as often as wanted"
    assert list(dev.read(1, 3)) == entries(5, "dev")[1:3]
    assert list(dev.those([False, True, False, False, True])) == [entries(5, "dev")[n] for n in (1, 4)]
    assert (len(dev), dev.questions, dev.ids) == (5, 9, [f"dev{n}" for n in range(5)])


def test_a_limit_is_of_entries_and_the_rest_is_checked(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "x.jsonl", entries(5))
    assert list(EntryFile(tmp_path / "x.jsonl", answers="required", limit=2)) == entries(2)
    with (tmp_path / "x.jsonl").open("a", encoding="utf-8") as file:
        file.write("{}\n")
    with pytest.raises(EntriesError, match=r"x\.jsonl:6: problem: missing"):
        EntryFile(tmp_path / "x.jsonl", answers="required", limit=2)


def test_any_slice_of_the_questions_of_several_files(files: dict[str, EntryFile]) -> None:
    every = [
        q for split, count in (("votes", 2), ("dev", 5), ("test", 4)) for q in questions(entries(count, split), split)
    ]
    asked = Questions(**files)
    assert list(asked) == every and len(asked) == len(every)
    for start in range(len(every) + 1):
        for end in range(start, len(every) + 1):
            assert asked[start:end] == every[start:end]
    assert [asked[n] for n in (0, 4, -1)] == [every[n] for n in (0, 4, -1)]
    with pytest.raises(IndexError):
        asked[len(every)]
    assert list(Questions()) == []


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 15, 16, 17, 40])
def test_blocks_make_one_pickle(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "BLOCK", 8)
    file, made = tmp_path / "x.pkl", entries(count)
    dump_pickle(file, iter(made))
    assert load_pickle(file) == made == pickle.loads(file.read_bytes())
    if count <= 8:
        assert file.read_bytes() == restricted.dumps(made, CLASSES), "as ever"
    for cut in range(0, len(file.read_bytes()), 17):
        (tmp_path / "cut.pkl").write_bytes(file.read_bytes()[:cut])
        with pytest.raises(EntriesError):
            load_pickle(tmp_path / "cut.pkl")


def test_a_block_is_all_that_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "BLOCK", 50)
    file, made = tmp_path / "x.pkl", entries(50)
    peaks = []
    for blocks in (5, 40):
        dump_pickle(file, (entry for _ in range(blocks) for entry in made))
        tracemalloc.start()
        assert sum(1 for _ in stream_pickle(file)) == 50 * blocks
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0], peaks


def test_a_fault_of_a_later_block_comes_with_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "BLOCK", 2)
    monkeypatch.setattr(pickles, "checked", lambda records, *_, **__: records)  # to write it nevertheless
    dump_pickle(tmp_path / "x.pkl", [*entries(5), Entry("", [], "bad"), *entries(3), Entry("", [], "worse")])
    monkeypatch.undo()
    read = []
    with pytest.raises(EntriesError) as caught:
        for entry in stream_pickle(tmp_path / "x.pkl"):
            read.append(entry)
    assert read == entries(5)
    assert [fault.partition(": ")[2].partition(":")[0] for fault in caught.value.faults] == ["entry 6"] * 2 + [
        "entry 10"
    ] * 2


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x03](NNe0].",  # another list than the one that was filled
        b"\x80\x03]q\x00(NNe]h\x00a0h\x00(Ne0.",
        b"\x80\x03]q\x00h\x00Na0(Ne.",  # filled where it does not stand alone, too
    ],
)
def test_a_list_that_is_not_what_was_given_away_is_refused(data: bytes) -> None:
    with pytest.raises(restricted.PickleRefused, match="is damaged"):
        list(restricted.items_of(io.BytesIO(data), len(data), CLASSES))
