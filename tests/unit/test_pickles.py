"""The canonical writer and the machine that reads without running anything."""

import copy
import copyreg
import io
import os
import pickle
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augen.entries import Entry, QuestionItem
from augen.entries import restricted as pickles

CLASSES = (Entry, QuestionItem)


def entry() -> Entry:
    item = QuestionItem("谁最高？", ["甲", "乙"], "甲最高。\n答案是：A", "A", "solver")
    return Entry("甲比乙高。", [item, QuestionItem("谁最矮？", ["甲", "乙"])], "train_1")


def plain(value: Any) -> Any:
    """What `loads` should make of entries: the same fields in dictionaries."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {name: plain(item) for name, item in vars(value).items()} if hasattr(value, "__dict__") else value


# Texts that also stand in the pickle as names of classes, modules and fields are the hard case.
TEXTS = st.sampled_from(["A", "question", "options", "id", "Entry", "augen.entries", "甲"]) | st.text(max_size=4)
ITEMS = st.builds(QuestionItem, TEXTS, st.lists(TEXTS, max_size=3), st.none() | TEXTS, st.none() | TEXTS)
ENTRIES = st.lists(st.builds(Entry, TEXTS, st.lists(ITEMS, max_size=3), TEXTS), max_size=4)


@given(ENTRIES)
def test_round_trip_here_and_through_pickle(entries: list[Entry]) -> None:
    data = pickles.dumps(entries, CLASSES)
    assert pickle.loads(data) == entries
    assert pickles.loads(data, CLASSES) == plain(entries)


def shared(value: Any, made: dict[Any, Any]) -> Any:
    """A copy in which all equal objects are one object, lists and dataclasses too."""
    if isinstance(value, list):
        value = [shared(item, made) for item in value]
    elif hasattr(value, "__dict__"):
        value = type(value)(**{name: shared(item, made) for name, item in vars(value).items()})
    return made.setdefault(repr(value), value)


def unshared(value: Any) -> Any:
    """A copy in which no two objects are one object, as far as Python lets texts be different objects."""
    if isinstance(value, str):
        return "".join(list(value))
    if isinstance(value, list):
        return [unshared(item) for item in value]
    if hasattr(value, "__dict__"):
        return type(value)(**{name: unshared(item) for name, item in vars(value).items()})
    return value


def interned(value: Any) -> Any:
    """A copy whose texts are the very objects that name fields, classes and modules."""
    if isinstance(value, str):
        return Entry.__module__ if value == Entry.__module__ else sys.intern(value)
    if isinstance(value, list):
        return [interned(item) for item in value]
    if hasattr(value, "__dict__"):
        return type(value)(**{name: interned(item) for name, item in vars(value).items()})
    return value


@given(ENTRIES)
def test_equal_values_give_equal_bytes(entries: list[Entry]) -> None:
    data = pickles.dumps(entries, CLASSES)
    for same in (shared(entries, {}), unshared(entries), interned(entries), copy.deepcopy(entries)):
        assert same == entries
        assert pickles.dumps(same, CLASSES) == data


def test_field_order_of_the_instance_does_not_matter() -> None:
    backwards = Entry.__new__(Entry)
    backwards.__dict__ = dict(reversed(vars(entry()).items()))
    assert pickles.dumps([backwards], CLASSES) == pickles.dumps([entry()], CLASSES)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_ordinary_pickles_can_be_read(protocol: int) -> None:
    one = entry()
    entries = [one, one, Entry("", one.questions)]  # shared objects make memo instructions
    assert pickles.loads(pickle.dumps(entries, protocol), CLASSES) == plain(entries)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_notebook_classes_can_be_read(protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    item = make_dataclass("QuestionItem", ["question", "options", "answer"])
    old = make_dataclass("Entry", ["problem", "questions"])
    for cls in (item, old):
        cls.__module__ = "__main__"
        monkeypatch.setattr(sys.modules["__main__"], cls.__name__, cls, raising=False)
    data = pickle.dumps([old("甲", [item("谁？", ["甲", "乙"], "A")])], protocol)
    [record] = pickles.loads(data, CLASSES)
    assert record == {
        "problem": "甲",
        "questions": [{"question": "谁？", "options": ["甲", "乙"], "answer": "A"}],
    }
    assert (record.kind, record["questions"][0].kind) == ("Entry", "QuestionItem")


def test_large_containers_and_texts() -> None:
    entries = [Entry(str(number), [], "长" * number) for number in range(3000)]
    for data in (pickles.dumps(entries, CLASSES), pickle.dumps(entries, 2)):
        assert pickles.loads(data, CLASSES) == plain(entries)


@pytest.mark.parametrize("protocol", [0, 1])
def test_old_protocols_are_refused_with_advice(protocol: int) -> None:
    with pytest.raises(pickles.PickleRefused, match=r"old pickle protocol.*protocol=4"):
        pickles.loads(pickle.dumps([entry()], protocol), CLASSES)


class Calls:
    """Pickles as a call of `function`, which the standard unpickler would make."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("function", [os.mkdir, eval, Path, copyreg._reconstructor])  # type: ignore[attr-defined]
def test_other_names_are_refused_and_nothing_runs(function: Callable[..., Any], protocol: int, tmp_path: Path) -> None:
    made = tmp_path / "made"
    argument = f"__import__('os').mkdir({str(made)!r})" if function is eval else str(made)
    data = pickle.dumps([entry(), Calls(function, argument)], protocol)
    with pytest.raises(pickles.PickleRefused, match=f"{function.__name__}.*nothing was run"):
        pickles.loads(data, CLASSES)
    assert not made.exists()


def with_persistent_id() -> bytes:
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            return "elsewhere" if isinstance(obj, Entry) else None

    buffer = io.BytesIO()
    Pickler(buffer, 4).dump([entry()])
    return buffer.getvalue()


@dataclass(slots=True)
class Slotted:
    text: str


ENTRY = b"\x8c\x0daugen.entries\x8c\x05Entry\x93"
REFUSED = {
    "no pickle at all": (b'{"problem": "x"}\n', "is not a pickle"),
    "empty": (b"", "is not a pickle"),
    "compressed": (b"\x1f\x8b\x08\x00", "is not a pickle"),
    "later protocol": (b"\x80\x06N.", "protocol 6"),
    "no stop": (b"\x80\x04]", "cut off"),
    "two pickles in one file": (b"\x80\x04].\x80\x04].", "goes on after its end"),
    "unknown instruction": (b"\x80\x04\xff.", "0xff"),
    "persistent id": (with_persistent_id(), "BINPERSID"),
    "persistent id as text": (b"\x80\x04Pelsewhere\n.", "PERSID"),
    "extension registry": (b"\x80\x04\x82\x01.", "EXT1"),
    "extension registry, four bytes": (b"\x80\x04\x84\x01\x00\x00\x00.", "EXT4"),
    "call of an entry": (b"\x80\x04" + ENTRY + b")R.", "REDUCE"),
    "old way to make instances": (b"\x80\x04(iaugen.entries\nEntry\n.", "INST"),
    "made with arguments": (b"\x80\x04" + ENTRY + b"N\x85\x81.", "damaged"),
    "made of a text": (b"\x80\x04\x8c\x01a)\x81.", "damaged"),
    "slots": (b"\x80\x04" + ENTRY + b")\x81N}\x86b.", "plain dataclass"),
    "state for the class itself": (b"\x80\x04" + ENTRY + b"}b.", "plain dataclass"),
    "state with other keys than texts": (b"\x80\x04}K\x01K\x02s.", "damaged"),
    "odd number of keys and values": (b"\x80\x04}(\x8c\x01au.", "damaged"),
    "append to nothing": (b"\x80\x04Na.", "damaged"),
    "append to an empty stack": (b"\x80\x04a.", "damaged"),
    "items without a mark": (b"\x80\x04]e.", "damaged"),
    "nothing at the stop": (b"\x80\x04.", "damaged"),
    "two values at the stop": (b"\x80\x04NN.", "damaged"),
    "memo entry that was never made": (b"\x80\x04j\xff\xff\xff\x7f.", "damaged"),
    "class name that is not text": (b"\x80\x04NN\x93.", "damaged"),
    "class name without end": (b"\x80\x04caugen.entries", "damaged"),
    "broken UTF-8": (b"\x80\x04\x8c\x01\xff.", "damaged"),
    "huge text": (b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f", "ends too early"),
    "large text": (b"\x80\x04X\xff\xff\xff\x7f", "ends too early"),
    "huge frame": (b"\x80\x04\x95" + b"\xff" * 8, "frame"),
    "huge integer": (b"\x80\x04\x8b\xff\xff\xff\x7f", "LONG4"),
    "huge bytes": (b"\x80\x04\x8e" + b"\xff" * 8, "BINBYTES8"),
    "huge bytearray": (b"\x80\x05\x96" + b"\xff" * 8, "BYTEARRAY8"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_without_allocating(data: bytes, message: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(pickles.PickleRefused, match=message):
            pickles.loads(data, CLASSES)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_class_with_slots_is_refused() -> None:
    with pytest.raises(pickles.PickleRefused, match="plain dataclass"):
        pickles.loads(pickle.dumps([Slotted("甲")], 4), (Slotted,))


def test_one_large_state_is_not_copied_into_many_objects() -> None:
    """A kilobyte of fields, given to a thousand objects of seven bytes each."""
    fields = b"".join(b"\x8c\x03" + f"{i:03d}".encode() + b"N" for i in range(200))
    data = b"\x80\x04}(" + fields + b"uq\x01](" + (ENTRY + b")\x81h\x01b") * 1000 + b"e."
    with pytest.raises(pickles.PickleRefused, match="200 fields"):
        pickles.loads(data, CLASSES)


def test_a_huge_memo_index_costs_nothing() -> None:
    assert pickles.loads(b"\x80\x04]r\xff\xff\xff\xff.", CLASSES) == []


@pytest.mark.parametrize(
    "data",
    [b"\x80\x04" + b"]" * 200_000 + b"a" * 199_999 + b".", b"\x80\x04)" + b"\x85" * 200_000 + b"."],
    ids=["lists", "tuples"],
)
def test_deep_nesting_does_not_recurse(data: bytes) -> None:
    assert len(pickles.loads(data, CLASSES)) == 1


def test_deeply_nested_keys_are_refused_before_they_are_hashed() -> None:
    with pytest.raises(pickles.PickleRefused, match="damaged"):
        pickles.loads(b"\x80\x04})" + b"\x85" * 200_000 + b"Ns.", CLASSES)


WHOLE = pickle.dumps([entry()], 4)


@pytest.mark.parametrize("protocol", [2, 4])
def test_every_truncation_is_refused(protocol: int) -> None:
    data = pickle.dumps([entry()], protocol)
    for end in range(len(data)):
        with pytest.raises(pickles.PickleRefused):
            pickles.loads(data[:end], CLASSES)


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_damage_is_refused_or_harmless(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(WHOLE)
    for position, byte in changes:
        damaged[position] = byte
    refused_or_plain(bytes(damaged))


INSTRUCTIONS = [*(bytes([byte]) for byte in pickles._STEPS), b".", ENTRY, b"\x8c\x02id", b"}", b"h\x00"]


@given(st.lists(st.sampled_from(INSTRUCTIONS), max_size=30))
def test_any_program_is_refused_or_harmless(program: list[bytes]) -> None:
    refused_or_plain(b"\x80\x04" + b"".join(program) + b".")


def refused_or_plain(data: bytes) -> None:
    try:
        pickles.loads(data, CLASSES)
    except pickles.PickleRefused as error:
        assert str(error)
