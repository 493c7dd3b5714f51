"""Hostile and damaged entry files and replies, each drawn from a seed, and the limits of what reading one may do.

Every case is drawn from its seed alone, so that a failure can be repeated: ``pickle_case(seed)``, ``jsonl_case(seed)``,
``reply_case(seed)``.
`Watch` sees what Python does meanwhile: imports, code, files, processes and sockets raise audit events
(https://docs.python.org/3/library/audit_events.html). Reading an entry file may raise only one: opening that file.
"""

import io
import json
import pickle
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from augen.answers import parse_answer
from augen.core.errors import AugenError
from augen.entries import Entry, QuestionItem
from augen.entries.jsonl import read_jsonl, write_jsonl
from augen.entries.pickles import CLASSES, dump_pickle, load_pickle
from augen.entries.restricted import parts_of
from augen.generation.served.chat import answer, body_of, json_or_text
from augen.generation.served.errors import CallError, Misconfigured
from augen.generation.served.replies import Endpoint, classified, read_error
from augen.programs.language import Fault, library_rules, program_of, read
from augen.store.texts import storable

BASE_BYTES, PER_BYTE = 4_000_000, 1_000  # of memory for reading n bytes: BASE_BYTES + n * PER_BYTE at most
BASE_S, PER_MB_S = 2.0, 20.0  # of processor time, likewise

GADGETS = [
    ("os", "system"),
    ("posix", "system"),
    ("os", "popen"),
    ("subprocess", "Popen"),
    ("subprocess", "check_output"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "compile"),
    ("builtins", "__import__"),
    ("builtins", "getattr"),
    ("builtins", "open"),
    ("__builtin__", "eval"),
    ("importlib", "import_module"),
    ("runpy", "run_path"),
    ("pickle", "loads"),
    ("shutil", "rmtree"),
    ("pathlib", "Path"),
    ("socket", "create_connection"),
    ("functools", "partial"),
    ("operator", "attrgetter"),
    ("copyreg", "_reconstructor"),
    ("ctypes", "CDLL"),
    ("torch", "load"),
    ("augen.entries", "os.system"),  # a name with a dot: what the allowed module has imported
    ("augen.entries", "Entry.__init__"),
    ("augen.entries", "write_jsonl"),
    ("augen.entries.Entry", "__init__.__globals__"),
    ("__main__", "os.system"),
]


# --- pickles


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def named(module: str, name: str, rng: Random) -> bytes:
    """Instructions that put a class or function on the stack."""
    if rng.random() < 0.5:
        return f"c{module}\n{name}\n".encode()
    return text(module) + text(name) + b"\x93"


ENTRY, ITEM = ("augen.entries", "Entry"), ("augen.entries", "QuestionItem")


def sound(rng: Random) -> list[Entry]:
    def item() -> QuestionItem:
        options = [f"选项{rng.randrange(9)}" for _ in range(rng.randint(2, 5))]
        reasoning = "因为" * rng.randrange(9) + "。\n答案是：A" if rng.random() < 0.5 else None
        return QuestionItem("谁最高？", options, reasoning, rng.choice(["A", "B", None]), rng.choice(["solver", None]))

    return [
        Entry(f"甲比乙高{i}。", [item() for _ in range(rng.randint(1, 3))], f"p{i}") for i in range(rng.randint(1, 4))
    ]


def saved(rng: Random) -> bytes:
    """A sound pickle: protocols 2 to 5, with and without the objects that share memory; or as stages write it."""
    entries = sound(rng)
    if rng.random() < 0.3:
        size = rng.randint(1, 4)  # entries in a block
        return b"".join(parts_of((entries[at : at + size] for at in range(0, len(entries), size)), CLASSES))
    return pickle.dumps(entries + rng.choice([[], entries]), rng.randint(2, 5))


def mutated(data: bytes, rng: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at, size = rng.randrange(len(changed) + 1), rng.randint(1, 9)
        match rng.randrange(6):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(changed):
                changed[at] = rng.randrange(256)
            case 2:
                del changed[at : at + size]
            case 3:
                changed[at:at] = rng.randbytes(size)
            case 4:
                changed[at:at] = changed[rng.randrange(len(changed) + 1) :][: rng.randint(1, 60)]
            case 5 if rng.random() < 0.2:
                del changed[at:]
    return bytes(changed)


def gadget(rng: Random, marker: str) -> bytes:
    """A program that makes the standard unpickler call something, alone or inside sound entries."""
    module, name = rng.choice(GADGETS)
    function = named(module, name, rng)
    argument = text(rng.choice([f"touch {marker}", f"__import__('os').mkdir({marker!r})", marker]))
    program = rng.choice(
        [
            function + argument + b"\x85R",  # REDUCE
            b"(" + argument + f"i{module}\n{name}\n".encode(),  # INST
            b"(" + function + argument + b"o",  # OBJ
            function + argument + b"\x85\x81",  # NEWOBJ
            function + argument + b"\x85}\x92",  # NEWOBJ_EX
            function + b")R" + argument + b"b",  # BUILD
            named(*ENTRY, rng) + b")\x81" + b"}" + text("__setstate__") + function + b"s" + b"b" + argument + b"b",
            named(*ENTRY, rng) + argument + b"\x85R",  # a call of the allowed class
            named(*ENTRY, rng) + b")\x81}" + text("__class__") + function + b"sb",
            function + b"0",  # named only
            b"\x82" + rng.randbytes(1),  # EXT1
            b"\x83" + rng.randbytes(2),  # EXT2
            b"\x84" + rng.randbytes(4),  # EXT4
            b"P" + marker.encode() + b"\n",  # PERSID
            argument + b"Q",  # BINPERSID
            b"\x97",  # NEXT_BUFFER
            b"\x97\x98",  # READONLY_BUFFER
        ]
    )
    if rng.random() < 0.5:
        return b"\x80\x04" + program + b"."
    whole = saved(rng)
    return whole[:-1] + rng.choice([program, b"0" + program, program + b"a"]) + b"."


def program(rng: Random) -> bytes:
    """Random instructions with arguments that fit, allowed and forbidden ones."""
    pieces = [
        lambda: text(rng.choice(["problem", "questions", "id", "options", "甲", ""])),
        lambda: named(*rng.choice([ENTRY, ITEM]), rng),
        lambda: b"h" + rng.randbytes(1),
        lambda: b"q" + rng.randbytes(1),
        lambda: b"j" + rng.randbytes(4),
        lambda: b"r" + rng.randbytes(4),
        lambda: b"K" + rng.randbytes(1),
        lambda: b"J" + rng.randbytes(4),
        lambda: b"G" + rng.randbytes(8),
        lambda: bytes([rng.choice(b"]})(aesu0N\x85\x86\x87\x88\x89\x94tb\x81")]),
        lambda: bytes([rng.choice(b"]})(aesu0N\x85\x86\x87\x88\x89\x94tb\x81")]),
        lambda: bytes([rng.choice(b"dlo12RQ\x8f\x90\x91\x92\x97\x98")]) if rng.random() < 0.05 else b"]",
    ]
    steps = [rng.choice(pieces)() for _ in range(rng.randint(1, 60))]
    return b"\x80" + bytes([rng.choice([2, 3, 4, 4, 4, 5, 6])]) + b"".join(steps) + b"."


def lengths(rng: Random) -> bytes:
    """Announces more than there is: 2 GiB, 2^63, nothing."""
    size = rng.choice([0, 1, 255, 2**16, 2**31 - 1, 2**32 - 1])
    four, eight = size.to_bytes(4, "little"), rng.choice([size, 2**63 - 1, 2**63, 2**64 - 1]).to_bytes(8, "little")
    announced = rng.choice(
        [b"X" + four, b"B" + four, b"T" + four, b"\x8b" + four, b"j" + four, b"r" + four]
        + [code + eight for code in (b"\x8d", b"\x8e", b"\x95", b"\x96")]
    )
    return b"\x80\x04" + rng.choice([b"", b"]"]) + announced + rng.randbytes(rng.randrange(20)) + b"."


def nested(rng: Random) -> bytes:
    depth = rng.choice([10, 100, 1_000, 2_000, 3_000])
    if rng.random() < 0.002:
        depth = 100_000
    inside, outside = rng.choice(
        [
            (b"]" * depth, b"a" * (depth - 1)),
            (b")", b"\x85" * depth),
            (b"(" * depth, b"t" * depth),
            (b"(" * depth, b""),
            ((b"}" + text("a")) * depth + b"N", b"s" * depth),
            ((b"}" + b")") * depth + b"N", b"s" * depth),
        ]
    )
    return b"\x80\x04" + inside + outside + b"."


def shared(rng: Random) -> bytes:
    """A few objects with many references: written out, they would be quadratic or exponential in the file's size."""
    n = rng.choice([10, 50, 200])
    if rng.random() < 0.005:
        n = 5_000
    entry, item = named(*ENTRY, rng), named(*ITEM, rng)
    fields = b"".join(text(f"{rng.choice(['x', 'problem', 'answer'])}{i}") + b"N" for i in range(n))
    options = b"(" + (text("甲") + b"q\x05") + b"h\x05" * rng.choice([1, n]) + b"e"
    question = item + b")\x81}(" + text("question") + text("谁" * n) + text("options") + b"]" + options + b"ub"
    questions = text("questions") + b"](" + question + b"q\x07" + b"h\x07" * n + b"e"
    one = entry + b")\x81}(" + text("problem") + text("题" * n) + questions + b"ub"
    return rng.choice(
        [
            b"\x80\x04](" + one + b"q\x08" + b"h\x08" * n + b"e.",  # one entry, n times, with n questions
            b"\x80\x04}(" + fields + b"uq\x01](" + (entry + b")\x81h\x01b") * n + b"e.",  # one state for n objects
            b"\x80\x04](" + entry + b")\x81}(" + fields + b"ub" + b"q\x01" + b"h\x01" * n + b"e.",
            b"\x80\x04]q\x00" + b"(h\x00h\x00e" * n + b".",  # a list in itself
            b"\x80\x04]q\x00" + b"](h\x00h\x00eq\x00" * n + b"h\x00.",  # 2 to the power of n
            b"\x80\x04" + text("x" * n * 10) + b"q\x00](" + b"h\x00" * n + b"e.",
            b"\x80\x04]" + b"\x94" * n + b"(" + b"h\x00" * n + b"e.",
            b"\x80\x04](" + (entry + b")\x81h\x00b") * n + b"e.",
        ]
    )


def pickle_case(seed: int, marker: str) -> tuple[str, bytes]:
    """``(kind, bytes)`` of one pickle; `marker` is a path that must never be created."""
    rng = Random(f"pickle {seed}")
    kinds: dict[str, Callable[[], bytes]] = {
        "random": lambda: rng.choice([b"", b"\x80\x04", b"\x80\x02"]) + rng.randbytes(rng.randrange(200)),
        "mutated": lambda: mutated(saved(rng), rng),
        "mutated gadget": lambda: mutated(gadget(rng, marker), rng),
        "gadget": lambda: gadget(rng, marker),
        "program": lambda: program(rng),
        "lengths": lambda: lengths(rng),
        "nested": lambda: nested(rng),
        "shared": lambda: shared(rng),
        "sound": lambda: saved(rng),
    }
    kind = rng.choices(list(kinds), weights=[10, 30, 10, 20, 20, 10, 5, 5, 2])[0]
    return kind, kinds[kind]()


# --- JSON Lines

ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1e308,
    "",
    " ",
    "\x00",
    "\ud800",
    "𝕏" * 50,
    "F",
    "Ａ",
    [],
    {},
    [[]],
    [{}],
    "A" * 999,
]
RAW = [b"NaN", b"-Infinity", b"1e999", b"1" * 5_000, b"[" * 5_000, b'{"a":' * 3_000, b'"\\ud800"', b"\xff", b"\x00"]


def changed(value: Any, rng: Random) -> Any:
    """`value` with one of its parts replaced, left out, renamed or given twice."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        name = rng.choice(list(value))
        match rng.randrange(6):
            case 0:
                return {k: v for k, v in value.items() if k != name}
            case 1:
                return {(k + rng.choice(["s", " ", "\u200b"]) if k == name else k): v for k, v in value.items()}
            case _:
                return value | {name: changed(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], *rng.choice([[], [changed(value[at], rng)], [value[at]] * 12]), *value[at + 1 :]]
    return rng.choice(ODD)


def jsonl_line(rng: Random, number: int) -> bytes:
    entry = sound(rng)[0]
    value: Any = {"problem": entry.problem, "questions": [vars(q) for q in entry.questions], "id": f"p{number}"}
    whole = json.dumps(value, ensure_ascii=False).encode()
    match rng.randrange(8):
        case 0:
            return rng.randbytes(rng.randrange(80)).replace(b"\n", b" ")
        case 1:
            return mutated(whole, rng).replace(b"\n", b" ")
        case 2:
            return whole.replace(b'"A"', rng.choice(RAW)).replace(b'"B"', rng.choice(RAW))
        case 3:
            return json.dumps(value, ensure_ascii=False).encode(rng.choice(["utf-16", "gb18030"])).replace(b"\n", b" ")
        case 4:
            return whole
        case 5:
            return rng.choice([b"", b"\xef\xbb\xbf"]) + rng.choice(RAW) + rng.choice([b"", whole])
        case _:
            for _ in range(rng.randint(1, 3)):
                value = changed(value, rng)
            return json.dumps(value).encode()


def jsonl_case(seed: int) -> tuple[int, bytes]:
    """``(lines, bytes)`` of one file of 1 to 10 lines."""
    rng = Random(f"jsonl {seed}")
    count = rng.randint(1, 10)
    return count, b"".join(jsonl_line(rng, number) + rng.choice([b"\n", b"\n", b"\r\n"]) for number in range(count))


# --- replies of a chat server

library_rules()  # are read once, when first needed: before anything is watched
NUMBERS: list[Any] = [-1, 2**63, 10**400, 1e308, 0.5, True, "7", None, [], {}]
_WORDS = [
    "答案是：B",
    "故选A。",
    "<think>",
    "</think>",
    "```asp\nanswer(1).\n```",
    "\\boxed{C}",
    "**",
    "\n",
    "不对，",
    "### 题目\n",
    "甲",
    "A",
    "{",
    '"answer": "B"',
    "\ud800",
    "\0",
    "\x1b[2J",
    "如果",
    "（",
    "是" * 50,
    "a.",
    "data: ",
    "#use roads.",
]


def words(rng: Random) -> str:
    """What a model could write, with signs that no file can hold."""
    return "".join(rng.choice(_WORDS) * rng.choice([1, 1, 1, 2, 200]) for _ in range(rng.randint(0, 12)))


def chat_reply(rng: Random) -> dict[str, Any]:
    """The parts of a sound reply of a chat or a completion server, thinking and log-probabilities among them."""
    content: Any = words(rng)
    if rng.random() < 0.2:
        content = [{"type": rng.choice(["text", "thinking"]), "text": words(rng)} for _ in range(rng.randint(0, 3))]
    token = {"logprob": rng.choice([-0.5, *NUMBERS])}
    choice = {
        "message": {"role": "assistant", "content": content, "reasoning_content": rng.choice(["", words(rng)])},
        "text": words(rng),
        "finish_reason": rng.choice(["stop", "length", "content_filter", "error", None]),
        "logprobs": rng.choice([None, {"content": [token] * 3}, {"token_logprobs": [-0.5, rng.choice(NUMBERS)]}]),
    }
    usage = {"prompt_tokens": rng.choice([9, *NUMBERS]), "completion_tokens": rng.choice([9, *NUMBERS])}
    error = {"error": {"code": rng.choice(["rate_limit", 7, None]), "message": words(rng)}}
    return {"choices": [choice], "usage": usage} | (error if rng.random() < 0.1 else {})


def reply_case(seed: int) -> tuple[int, str]:
    """``(status of HTTP, body)`` of one reply: sound, changed, damaged, streamed, or something else altogether."""
    rng = Random(f"reply {seed}")
    value: Any = chat_reply(rng)
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        value = changed(value, rng)
    body = json.dumps(value)
    match rng.randrange(8):
        case 0:
            body = mutated(body.encode(), rng).decode(errors="replace")
        case 1:
            chunk = json.dumps(changed(value, rng)).replace('"message"', '"delta"')
            body = "\n\n".join(
                f"data: {part}" for part in rng.choices([body, chunk, "[DONE]", "{"], k=rng.randint(1, 4))
            )
        case 2:
            body = rng.choice([b"<html><title>x", b"", b"null", b"[]", *RAW]).decode(errors="replace")
        case 3:
            part = rng.choice([b'{"a":', b"[", b'{"content":['])
            deep = (part * rng.choice([100, 900, 3_000])).decode()
            body = body.replace('"content"', f'"content": {deep}, "x"', 1)
        case 4:
            depth = rng.choice([50, 300, 800])
            body = json.dumps({"choices": [{"message": {"content": nest(words(rng), depth, rng)}}]})
    return rng.choice([200, 200, 200, 200, 400, 401, 404, 429, 500, 529]), body


def nest(value: Any, depth: int, rng: Random) -> Any:
    """`value` within so many lists, or parts with parts."""
    in_parts = rng.random() < 0.5
    for _ in range(depth):
        value = {"type": "text", "content": value} if in_parts else [value]
    return value


def check_reply(status: int, body: str) -> bool:
    """Read a reply as `infer` does, parse what its model wrote; return whether there is an answer.

    There is an answer that can be stored and written, or an error that the runner knows, in time in proportion.
    """
    started = time.thread_time()
    endpoint = Endpoint("openai", "OPENAI_API_KEY", "http://127.0.0.1:1/v1")
    payload = {"model": "m", "messages": []} if len(body) % 4 else {"model": "m", "prompt": "x"}
    try:
        if status == 200:
            found = storable(answer(endpoint, payload, body_of(endpoint, body)))
        else:
            fault = read_error("m", status, json_or_text(body), None)
            raise classified(endpoint, fault) if fault else AssertionError("a status without a fault")
    except (CallError, Misconfigured) as error:
        assert str(error) and len(str(error)) < 2_000
        str(error).encode()
        return False
    finally:
        assert (spent := time.thread_time() - started) < BASE_S + PER_MB_S * len(body) / 1e6, f"{spent:.1f} s"
    json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    assert 0 <= found["tokens"] < 2**53 and 0 <= found["prompt_tokens"] < 2**53
    assert parse_answer(found["text"], 4) in (None, "A", "B", "C", "D")
    with suppress(Fault):
        read(program_of(found["text"]))
    assert time.thread_time() - started < BASE_S + PER_MB_S * len(body) / 1e6
    return True


# --- what reading may do


class Watch:
    """Records every audit event inside ``with armed(file)``, except opening that file for reading.

    An audit hook cannot be removed, so one hook serves the whole process.
    """

    def __init__(self) -> None:
        self.file: str | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.file is None or event == "builtins.id":
            return
        if event == "open" and str(arguments[0]) == self.file and arguments[1] in ("r", "rb"):
            return
        self.seen.append(f"{event} {arguments!r}"[:200])

    @contextmanager
    def armed(self, file: Path) -> Iterator[list[str]]:
        """Yields the list to which events are added."""
        self.seen, self.file = [], str(file)
        try:
            yield self.seen
        finally:
            self.file = None


def check(watch: Watch, file: Path, data: bytes, traced: bool = True) -> bool:
    """Write `data` to `file` (a pickle, or JSON Lines by its suffix) and read it; return whether it held entries.

    Reading must return entries or raise an error for the user, and do nothing else. Its time, and if `traced` its
    memory, must stay in proportion to the file; tracing doubles the time.
    """
    file.write_bytes(data)
    entries: list[Entry] | None = None
    message = ""
    if traced:
        tracemalloc.start()
    started = time.thread_time()
    with watch.armed(file) as events:
        try:
            entries = read_jsonl(file, answers="optional") if file.suffix == ".jsonl" else load_pickle(file)
        except AugenError as error:
            message = str(error)
    seconds, peak = time.thread_time() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not events, events
    assert peak < BASE_BYTES + PER_BYTE * len(data), f"{peak:,} bytes of memory for {len(data):,} bytes"
    assert seconds < BASE_S + PER_MB_S * len(data) / 1e6, f"{seconds:.1f} s for {len(data):,} bytes"
    if entries is None:
        assert message, "an error without a word"
        assert all(line.startswith((str(file), "… and ")) for line in message.split("\n")), message
        assert max(map(len, message.split("\n"))) < len(str(file)) + 600, message
        assert message.isprintable() or message.replace("\n", "").isprintable(), message
        return False
    again = file.with_name(f"again{file.suffix}")
    if file.suffix == ".jsonl":
        write_jsonl(again, entries)
        assert read_jsonl(again, answers="optional") == entries
    else:
        dump_pickle(again, entries)
        assert load_pickle(again) == entries
    return True


def standard_loads(data: bytes) -> None:
    """Unpickle as this project never does, to show that the gadgets are real."""
    pickle.Unpickler(io.BytesIO(data)).load()
