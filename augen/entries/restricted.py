"""The part of the pickle format that entry files use: a canonical writer, a reader that runs nothing.

Writing goes through the standard pickler, so anyone with ``augen`` importable can also ``pickle.load``
such a file. Reading does not go through the standard unpickler: a pickle is a program, and that machine
imports and calls what the program names. `loads` is a machine of its own for the few instructions that
dataclasses of text need. It builds plain lists, texts and `Record` dictionaries, knows no instruction
that calls anything, allocates nothing that the file does not hold, and never recurses.

A pickle of very many entries is written and read in blocks (`parts_of`, `items_of`), so that only one of them is in
memory. It is one ordinary pickle of one list all the same.
"""

import io
import pickle
import pickletools
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, BinaryIO

PROTOCOL = 4  # the newest that every supported Python writes by default or can read
PROTOCOL_OF_BLOCKS = 3  # the newest that numbers what it remembers, so that each block can begin again with 0
START_OF_BLOCK = 5  # bytes of a pickled list before its items: protocol, empty list, remember as 0
READ = 1 << 16  # bytes at a time
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
    return _dumped(value, classes, PROTOCOL)


def parts_of(blocks: Iterable[list[Any]], classes: Sequence[type]) -> Iterator[bytes]:
    """Pickles the list that consists of `blocks`, one after the other; equal blocks give equal bytes.

    A single block is pickled as `dumps` does it. Several are written without references from one to another, so
    whoever reads them can forget each before the next.
    """
    waiting: list[Any] = []
    single = True
    for number, block in enumerate(blocks):
        if number == 1:
            single = False
            yield pickle.PROTO + bytes([PROTOCOL_OF_BLOCKS]) + pickle.EMPTY_LIST
        if number:
            yield _items(waiting, classes)
        waiting = block
    yield dumps(waiting, classes) if single else _items(waiting, classes) + pickle.STOP


def _items(block: list[Any], classes: Sequence[type]) -> bytes:
    """The instructions that append the items of `block` to a list."""
    return _dumped(block, classes, PROTOCOL_OF_BLOCKS)[START_OF_BLOCK:-1]


def _dumped(value: Any, classes: Sequence[type], protocol: int) -> bytes:
    # The pickler also writes these names: a text that equals one of them must be that very object.
    names = [name for cls in classes for name in (cls.__module__, cls.__qualname__, *_field_names(cls))]
    buffer = io.BytesIO()
    pickle.Pickler(buffer, protocol).dump(_rebuilt(value, {name: name for name in names}))
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
    machine = _machine(io.BytesIO(data), len(data), classes)
    with _explained(machine):
        for _ in machine.run():
            pass
        return machine.result()


def items_of(file: BinaryIO, size: int, classes: Sequence[type]) -> Iterator[list[Any]]:
    """The items of the list pickled in `file`, which has `size` bytes: as in `loads`, but some at a time.

    A standard pickler lets 1,000 items at most follow each other. What it remembers for later references stays in
    memory: of an ordinary pickle all of it, of `parts_of` one block.

    Raises:
        PickleRefused: as `loads`, when it comes to that place; or if the value is no list.
    """
    machine = _machine(file, size, classes, outermost=True)
    with _explained(machine):
        yield from machine.run()
        left = machine.result()
    if type(left) is not list:
        raise NoList(left)
    if machine.given is not None and (left or left is not machine.given):
        raise PickleRefused("is damaged: what was appended to its list is not all that it holds")
    if left:
        yield left


class NoList(PickleRefused):
    """A whole pickle, but its `value` is no list."""

    def __init__(self, value: Any) -> None:
        super().__init__("is no list")
        self.value = value


def _machine(file: BinaryIO, size: int, classes: Sequence[type], outermost: bool = False) -> "_Machine":
    names = {f"{module}.{cls.__name__}" for cls in classes for module in (cls.__module__, "__main__")}
    machine = _Machine(file, size, names, outermost)
    if machine.peek() != pickle.PROTO:
        raise PickleRefused(
            "is not a pickle, or was saved with an old pickle protocol (0 or 1); "
            "save it again with pickle.dump(entries, file, protocol=4)"
        )
    return machine


@contextmanager
def _explained(machine: "_Machine") -> Iterator[None]:
    try:
        yield
    except (LookupError, ValueError, TypeError, AttributeError, struct.error) as error:
        raise PickleRefused(f"is damaged near byte {machine.place}: not a valid pickle") from error


class _Class:
    """Stands on the stack where the standard unpickler would have the imported class."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Machine:
    """The state of one reading: what is read, stack, marks (stack heights) and memo.

    With `outermost`, what is appended to a list that stands alone on the stack is given away instead.
    """

    def __init__(self, file: BinaryIO, size: int, classes: Set[str], outermost: bool = False) -> None:
        self.file, self.size = file, size
        self.data = b""  # a part of the file,
        self.start = 0  # which begins here;
        self.at = 0  # the next byte in it
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.classes = classes
        self.outermost = outermost
        self.ready: list[Any] = []
        self.given: list[Any] | None = None  # the list whose items were given away

    @property
    def place(self) -> int:
        """The number of the next byte."""
        return self.start + self.at

    def run(self) -> Iterator[list[Any]]:
        steps, stop = _STEPS, pickle.STOP[0]
        while self.at < len(self.data) or self.more(1):
            code = self.data[self.at]
            self.at += 1
            if code == stop:
                return
            step = steps.get(code)
            if step is None:
                raise PickleRefused(_refusal(code, self.place - 1))
            step(self)
            if self.ready:
                ready, self.ready = self.ready, []
                yield ready
        raise PickleRefused(f"ends too early, at byte {self.size}: it was cut off")

    def result(self) -> Any:
        [value] = self.stack
        if self.place != self.size:
            raise PickleRefused(f"goes on after its end at byte {self.place}: it must hold one pickle")
        return value

    def peek(self) -> bytes:
        self.more(1)
        return self.data[:1]

    def more(self, size: int) -> bool:
        """Whether there are `size` more bytes; `data` then has them."""
        if size > self.size - self.place:
            return False
        rest = self.data[self.at :]
        self.start += self.at
        self.data, self.at = rest + self.file.read(max(READ, size - len(rest))), 0
        return len(self.data) >= size

    def take(self, size: int) -> bytes:
        """The next `size` bytes; a size beyond the end of the file is refused before anything is copied."""
        if self.at + size > len(self.data) and not self.more(size):
            raise PickleRefused(
                f"ends too early: {size} more bytes are announced at byte {self.place}, {self.size} exist"
            )
        taken = self.data[self.at : self.at + size]
        self.at += size
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def line(self) -> str:
        while (end := self.data.find(b"\n", self.at)) < 0:
            if len(self.data) - self.at > READ or not self.more(len(self.data) - self.at + 1):
                raise ValueError("a name without end")
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
        if (size := self.number(8)) > self.size - self.place:
            raise PickleRefused(f"ends too early: a frame of {size} bytes is announced at byte {self.place}")

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def append(self) -> None:
        self.extend([self.stack.pop()])

    def appends(self) -> None:
        self.extend(self.since_mark())

    def extend(self, items: list[Any]) -> None:
        last = self.stack[-1]
        if type(last) is not list:
            raise TypeError("append to something that is not a list")
        if self.outermost and len(self.stack) == 1 and not self.marks:
            self.given, self.ready = last, items
        else:
            last.extend(items)

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
                f"names {name[:100]!r} near byte {self.place}; only {allowed} may be named, nothing was run"
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
                f"holds an object near byte {self.place} that is not a plain dataclass (one with slots, perhaps)"
            )
        if len(state) > MAX_FIELDS:
            raise PickleRefused(
                f"holds an object near byte {self.place} with {len(state)} fields: no entry has so many"
            )
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
