"""The part of the pickle format that entry files use: a canonical writer, a reader that runs nothing.

Writing goes through the standard pickler, so anyone with ``augen`` importable can also ``pickle.load``
such a file. Reading does not go through the standard unpickler: a pickle is a program, and that machine
imports and calls what the program names. `loads` is a machine of its own for the few instructions that
dataclasses of text need. It builds plain lists, texts and `Record` dictionaries, knows no instruction
that calls anything, allocates nothing that the file does not hold, and never recurses.
"""

import io
import pickle
import pickletools
import struct
import sys
from collections.abc import Callable, Sequence, Set
from dataclasses import fields
from typing import Any

PROTOCOL = 4  # the newest that every supported Python writes by default or can read
MAX_FIELDS = 16  # of one object; otherwise one large state, used for many objects, is copied into each


class PickleRefused(Exception):
    """The bytes are damaged, or hold something else than the allowed classes; the message says what."""


class Record(dict[str, Any]):
    """The fields of one pickled dataclass instance; `kind` is the name of its class."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind


def dumps(value: Any, classes: Sequence[type]) -> bytes:
    """Pickle lists, texts, None and instances of the dataclasses `classes`; equal values give equal bytes.

    An ordinary pickle depends on which objects are the *same*, since every later mention of an object
    becomes a reference to the first. Here the value is first rebuilt so that equal texts are always one
    object and containers never are; linear in the size of the value.
    """
    # The pickler also writes these names: a text that equals one of them must be that very object.
    names = [name for cls in classes for name in (cls.__module__, cls.__qualname__, *_field_names(cls))]
    buffer = io.BytesIO()
    pickle.Pickler(buffer, PROTOCOL).dump(_rebuilt(value, {name: name for name in names}))
    return buffer.getvalue()


def _field_names(cls: Any) -> list[str]:
    return [sys.intern(field.name) for field in fields(cls)]  # as they are in an instance's ``__dict__``


def _rebuilt(value: Any, texts: dict[str, str]) -> Any:
    if isinstance(value, str):
        return texts.setdefault(value, value)
    if isinstance(value, list):
        return [_rebuilt(item, texts) for item in value]
    if value is None:
        return None
    return type(value)(**{name: _rebuilt(text, texts) for name, text in vars(value).items()})


def loads(data: bytes, classes: Sequence[type]) -> Any:
    """The pickled value as plain data: each instance of one of `classes` is a `Record` of its fields.

    Understands protocols 2 to 5. Instances count by the name of their class, and also when that was
    defined in a notebook or script (module ``__main__``).

    Raises:
        PickleRefused: any other class or function is named, an instruction is not one of those that plain
            dataclasses need, or the bytes are not one whole pickle.
    """
    if data[:1] != pickle.PROTO:
        raise PickleRefused(
            "is not a pickle, or was saved with an old pickle protocol (0 or 1); "
            "save it again with pickle.dump(entries, file, protocol=4)"
        )
    names = {f"{module}.{cls.__name__}" for cls in classes for module in (cls.__module__, "__main__")}
    machine = _Machine(data, names)
    try:
        return machine.run()
    except (LookupError, ValueError, TypeError, AttributeError, struct.error) as error:
        raise PickleRefused(f"is damaged near byte {machine.at}: not a valid pickle") from error


class _Class:
    """Stands on the stack where the standard unpickler would have the imported class."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Machine:
    """The state of one `loads`: position, stack, marks (stack heights) and memo."""

    def __init__(self, data: bytes, classes: Set[str]) -> None:
        self.data = data
        self.at = 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.classes = classes

    def run(self) -> Any:
        data, steps, stop = self.data, _STEPS, pickle.STOP[0]
        while self.at < len(data):
            code = data[self.at]
            self.at += 1
            if code == stop:
                return self.result()
            step = steps.get(code)
            if step is None:
                raise PickleRefused(_refusal(code, self.at - 1))
            step(self)
        raise PickleRefused(f"ends too early, at byte {len(data)}: it was cut off")

    def result(self) -> Any:
        [value] = self.stack
        if self.at != len(self.data):
            raise PickleRefused(f"goes on after its end at byte {self.at}: it must hold one pickle")
        return value

    def take(self, size: int) -> bytes:
        """The next `size` bytes; a size beyond the end of the file is refused before anything is copied."""
        end = self.at + size
        if end > len(self.data):
            raise PickleRefused(
                f"ends too early: {size} more bytes are announced at byte {self.at}, {len(self.data)} exist"
            )
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def line(self) -> str:
        end = self.data.index(b"\n", self.at)
        return self.take(end + 1 - self.at)[:-1].decode()

    def since_mark(self) -> list[Any]:
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def proto(self) -> None:
        if (version := self.number(1)) not in range(2, 6):
            raise PickleRefused(f"has pickle protocol {version}; protocols 2 to 5 can be read")

    def frame(self) -> None:
        if (size := self.number(8)) > len(self.data) - self.at:
            raise PickleRefused(f"ends too early: a frame of {size} bytes is announced at byte {self.at}")

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def append(self) -> None:
        self.extend([self.stack.pop()])

    def appends(self) -> None:
        self.extend(self.since_mark())

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise TypeError("append to something that is not a list")
        self.stack[-1].extend(items)

    def setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update([key, value])

    def setitems(self) -> None:
        self.update(self.since_mark())

    def update(self, items: list[Any]) -> None:
        keys = items[::2]
        # Other keys are refused before they are hashed: hashing deeply nested tuples overflows the C stack.
        if type(self.stack[-1]) is not dict or not all(type(key) is str for key in keys):
            raise TypeError("a state whose keys are not texts")
        self.stack[-1].update(zip(keys, items[1::2], strict=True))

    def global_(self) -> None:
        module, name = self.line(), self.line()
        self.push_class(f"{module}.{name}")

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise TypeError("a class name that is not text")
        self.push_class(f"{module}.{name}")

    def push_class(self, name: str) -> None:
        if name not in self.classes:
            allowed = ", ".join(sorted(self.classes))
            raise PickleRefused(
                f"names {name[:100]!r} near byte {self.at}; only {allowed} may be named, nothing was run"
            )
        self.stack.append(_Class(name.rpartition(".")[2]))

    def newobj(self) -> None:
        arguments, made = self.stack.pop(), self.stack.pop()
        if arguments != () or not isinstance(made, _Class):
            raise TypeError("an object made with arguments")
        self.stack.append(Record(made.name))

    def build(self) -> None:
        state, record = self.stack.pop(), self.stack[-1]
        if type(state) is not dict or not isinstance(record, Record):
            raise PickleRefused(
                f"holds an object near byte {self.at} that is not a plain dataclass (one with slots, perhaps)"
            )
        if len(state) > MAX_FIELDS:
            raise PickleRefused(f"holds an object near byte {self.at} with {len(state)} fields: no entry has so many")
        record.update(state)

    def put(self, size: int) -> None:
        self.memo[self.number(size)] = self.stack[-1]

    def memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, size: int) -> None:
        self.stack.append(self.memo[self.number(size)])

    def text(self, size: int) -> None:
        # Lone surrogates pass, as in the standard unpickler: whoever checks the values names the field.
        self.stack.append(self.take(self.number(size)).decode("utf-8", "surrogatepass"))

    def tuple_(self, size: int) -> None:
        items = [self.stack.pop() for _ in range(size)]
        self.stack.append(tuple(reversed(items)))


_Step = Callable[[_Machine], None]

# Numbers, truth values and tuples have no place in an entry; they are read so that a fault can name the
# field that holds one.
_STEPS: dict[int, _Step] = {
    opcode[0]: step
    for opcode, step in {
        pickle.PROTO: _Machine.proto,
        pickle.FRAME: _Machine.frame,
        pickle.MARK: _Machine.mark,
        pickle.POP: lambda m: m.stack.pop(),
        pickle.NONE: lambda m: m.stack.append(None),
        pickle.NEWTRUE: lambda m: m.stack.append(True),
        pickle.NEWFALSE: lambda m: m.stack.append(False),
        pickle.BININT: lambda m: m.stack.append(int.from_bytes(m.take(4), "little", signed=True)),
        pickle.BININT1: lambda m: m.stack.append(m.number(1)),
        pickle.BININT2: lambda m: m.stack.append(m.number(2)),
        pickle.BINFLOAT: lambda m: m.stack.append(struct.unpack(">d", m.take(8))[0]),
        pickle.SHORT_BINUNICODE: lambda m: m.text(1),
        pickle.BINUNICODE: lambda m: m.text(4),
        pickle.BINUNICODE8: lambda m: m.text(8),
        pickle.EMPTY_LIST: lambda m: m.stack.append([]),
        pickle.APPEND: _Machine.append,
        pickle.APPENDS: _Machine.appends,
        pickle.EMPTY_DICT: lambda m: m.stack.append({}),
        pickle.SETITEM: _Machine.setitem,
        pickle.SETITEMS: _Machine.setitems,
        pickle.EMPTY_TUPLE: lambda m: m.stack.append(()),
        pickle.TUPLE1: lambda m: m.tuple_(1),
        pickle.TUPLE2: lambda m: m.tuple_(2),
        pickle.TUPLE3: lambda m: m.tuple_(3),
        pickle.TUPLE: lambda m: m.stack.append(tuple(m.since_mark())),
        pickle.BINPUT: lambda m: m.put(1),
        pickle.LONG_BINPUT: lambda m: m.put(4),
        pickle.MEMOIZE: _Machine.memoize,
        pickle.BINGET: lambda m: m.get(1),
        pickle.LONG_BINGET: lambda m: m.get(4),
        pickle.GLOBAL: _Machine.global_,
        pickle.STACK_GLOBAL: _Machine.stack_global,
        pickle.NEWOBJ: _Machine.newobj,
        pickle.BUILD: _Machine.build,
    }.items()
}


_NAMES = {opcode.code: opcode.name for opcode in pickletools.opcodes}


def _refusal(code: int, at: int) -> str:
    name = _NAMES.get(chr(code))
    if name is None:
        return f"is damaged: byte {at} (0x{code:02x}) is not a pickle instruction"
    return f"holds more than plain entries: instruction {name} at byte {at} is refused, nothing was run"
