"""The process that runs programs: each in a process of its own, with limits that the kernel enforces.

`main` writes an empty line when it is ready. Then it reads a request per line and writes a result per line, both as
JSON. It has clingo loaded and forks for every program, which takes about a millisecond. So a program finds the same
fresh state whatever ran before it, and when it hangs or dies, nothing else is lost. In the fork

* no file can be opened or written, and memory is limited;
* after its processor time (not time on the clock: a busy machine must not change results) the kernel kills it;
* clingo parses the program, and only known kinds of statements are taken over.

This module is imported where nothing else is: it must stay quick to import.
"""

import gc
import json
import os
import re
import resource
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import clingo
from clingo import ast
from clingo.ast import ASTType

from augen.programs.language import AnswerSet, Fault, Result, Scalar, Source, Value, library_rules, read

MAX_ANSWER_CHARS = 50_000  # of all answer sets together, as JSON
WALL_FACTOR, WALL_EXTRA_S = 10, 5  # time on the clock after which a program is killed, beside its processor time
STACK_BYTES = 8 * 2**20
OUT_OF_MEMORY = 3  # exit status
LINKER_DIED = 127  # exit status

_DROPPED = {ASTType.ShowSignature, ASTType.ShowTerm}
_ALLOWED = _DROPPED | {
    ASTType.Program,  # only the one that every program begins with
    ASTType.Rule,
    ASTType.Minimize,
    ASTType.Definition,
    ASTType.Defined,
    # The parts of these:
    ASTType.Id,
    ASTType.Variable,
    ASTType.SymbolicTerm,
    ASTType.UnaryOperation,
    ASTType.BinaryOperation,
    ASTType.Interval,
    ASTType.Function,
    ASTType.Pool,
    ASTType.BooleanConstant,
    ASTType.SymbolicAtom,
    ASTType.Comparison,
    ASTType.Guard,
    ASTType.ConditionalLiteral,
    ASTType.Aggregate,
    ASTType.BodyAggregateElement,
    ASTType.BodyAggregate,
    ASTType.HeadAggregateElement,
    ASTType.HeadAggregate,
    ASTType.Disjunction,
    ASTType.Literal,
}
_CHILDREN: dict[ASTType, list[str]] = {}  # names of the parts of each kind; to ask for them takes long
_SHOWN = "\n#show answer/1. #show answer/2. #show pick/1.\n"
_YES_NO = '\nanswer("是") :- yes. answer("否") :- not yes.\n'
_WORDS = re.compile(r"(?<=Theory)\w+|(?<=Project)\w+")  # TheoryAtom, ProjectSignature: #theory, #project
_MESSAGE = re.compile(r"<(\w+)>:(\d+):(\d+)[-\d:]*: (error|info|warning): (.*)", re.DOTALL)
_PLACE = re.compile(r"<\w+>:(\d+):(\d+)[-\d:]*: ")


def main() -> None:
    """Serve until the input ends."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # whatever clingo may print must not get among the replies
        os.dup2(null, standard)
    os.close(null)
    library_rules()
    run("answer(1).", 1)  # loads what is loaded on first use
    gc.freeze()  # what is here stays: no fork need look at it
    replies.write(b"\n")
    replies.flush()
    for line in requests:
        reply = _isolated(json.loads(line), (requests.fileno(), replies.fileno()))
        replies.write(reply + b"\n")
        replies.flush()


def run(program: str, max_answers: int) -> Result:
    """The answer sets of `program`, projected on what it answers; runs in this process, without limits of time."""
    try:
        source = read(program)
        return _solved(source, max_answers)
    except Fault as fault:
        return fault.result


def _solved(source: Source, max_answers: int) -> Result:
    log = _Log(source.text)
    statements: list[ast.AST] = []
    with log.explained():
        ast.parse_string(source.text, statements.append, logger=log, message_limit=1000)
    for statement in statements:
        _check(statement, log)
    control = clingo.Control(["0", "--project=show", "--opt-mode=optN"], logger=log, message_limit=1000)
    with log.explained():
        with ast.ProgramBuilder(control) as builder:
            for statement in statements:
                if statement.ast_type not in _DROPPED:
                    builder.add(statement)
        control.add("base", [], source.rules + _SHOWN + (_YES_NO if any(map(_makes_yes, statements)) else ""))
        control.ground([("base", [])])
        found = _answer_sets(control, max_answers)
    if not found:
        raise Fault("no_model", "the rules contradict each other: there is no answer set")
    message, line, column = log.remark or ("", None, None)
    return Result(tuple(found), None, message, line, column)


def _check(statement: ast.AST, log: "_Log") -> None:
    """Raise Fault unless `statement` is made of known kinds of nodes."""
    nodes = [statement]
    while nodes:
        node = nodes.pop()
        kind = node.ast_type
        if kind not in _ALLOWED or (kind is ASTType.Program and (node.name != "base" or node.parameters)):
            told = "#" + _WORDS.sub("", kind.name).lower()
            raise log.fault("forbidden", f"{told} is not allowed", statement)
        if kind is ASTType.Function and node.external:
            raise log.fault("forbidden", f"an external function, @{node.name}, is not allowed", node)
        if kind not in _CHILDREN:
            _CHILDREN[kind] = node.child_keys
        for name in _CHILDREN[kind]:
            child = getattr(node, name)
            if isinstance(child, ast.ASTSequence):
                nodes.extend(child)
            elif child is not None:
                nodes.append(child)


def _makes_yes(statement: ast.AST) -> bool:
    """Whether ``yes`` is in the head of this rule."""
    if statement.ast_type is not ASTType.Rule:
        return False
    return any(str(literal) == "yes" for literal in _head_literals(statement.head))


def _head_literals(head: ast.AST) -> Iterator[ast.AST]:
    if head.ast_type is ASTType.Literal:
        yield head
    for element in getattr(head, "elements", ()):
        yield element.condition.literal if element.ast_type is ASTType.HeadAggregateElement else element.literal


def _answer_sets(control: clingo.Control, max_answers: int) -> list[AnswerSet]:
    """All distinct answer sets, the optimal ones if something is minimized; raises Fault if there are too many."""
    found: set[AnswerSet] = set()
    with control.solve(yield_=True) as handle:
        for model in handle:
            if model.cost and not model.optimality_proven:
                continue
            found.add(_answer_set(model.symbols(shown=True)))
            if len(found) > max_answers:
                raise Fault("several", f"more than {max_answers} different answers")
    return sorted(found, key=repr)


def _answer_set(symbols: list[clingo.Symbol]) -> AnswerSet:
    single = sorted({s.arguments[0] for s in symbols if s.match("answer", 1)})
    pairs = sorted(s.arguments for s in symbols if s.match("answer", 2))
    elements = {i.number: value for i, value in pairs if i.type is clingo.SymbolType.Number}
    if len(elements) < len(pairs):
        raise Fault("several", "answer(I,V): every I must be a number and have one V")
    values: list[Value] = [_value(symbol) for symbol in single]
    if elements:
        values.append(tuple(_scalar(value) for value in elements.values()))
    picks = {str(_scalar(s.arguments[0])) for s in symbols if s.match("pick", 1)}
    return AnswerSet(tuple(values), tuple(sorted(picks)))


def _value(symbol: clingo.Symbol) -> Value:
    """``("甲",2)``, a term without a name, is a list like that of ``answer(I,V)``."""
    if symbol.type is clingo.SymbolType.Function and not symbol.name and symbol.arguments:
        return tuple(map(_scalar, symbol.arguments))
    return _scalar(symbol)


def _scalar(symbol: clingo.Symbol) -> Scalar:
    if symbol.type is clingo.SymbolType.Number:
        return symbol.number
    return symbol.string if symbol.type is clingo.SymbolType.String else str(symbol)


_Told = tuple[str, int | None, int | None]  # message, line, column


class _Log:
    """Takes clingo's messages about a program: the first error, and the first remark that is no error."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self.error: _Told | None = None
        self.remark: _Told | None = None

    def __call__(self, code: clingo.MessageCode, message: str) -> None:
        found = _MESSAGE.match(message)
        if not found:
            self.error = self.error or (message.strip(), None, None)
            return
        place, line, column, kind, text = found.groups()
        told = _PLACE.sub("", text).replace(":-[#inc_base].", ".").replace("[#inc_base];", "").strip()
        if place == "string":
            entry: _Told = (told, *self._place(int(line), int(column)))
        else:
            entry = (f"in the library or in how it is used: {told}", None, None)
        if kind == "error":
            self.error = self.error or entry
        elif place == "string":
            self.remark = self.remark or entry

    def fault(self, cause: str, message: str, node: ast.AST) -> Fault:
        begin = node.location.begin
        return Fault(cause, message, *self._place(begin.line, begin.column))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn clingo's exceptions into the fault that its messages tell."""
        try:
            yield
        except RuntimeError as error:
            if "bad_alloc" in str(error):
                raise MemoryError from None
            message, line, column = self.error or (str(error), None, None)
            raise Fault("syntax" if self.error else "crash", message, line, column) from None

    def _place(self, line: int, column: int) -> tuple[int, int]:
        """Line and column in characters; clingo counts bytes, and a line more than there is at the end."""
        if line > len(self._lines):
            return len(self._lines), len(self._lines[-1]) + 1
        before = self._lines[line - 1].encode()[: column - 1]
        return line, len(before.decode(errors="ignore")) + 1


def _isolated(request: dict[str, Any], inherited: tuple[int, ...]) -> bytes:
    """The result of `request` as JSON, from a fork of this process that has ended when this returns."""
    output, input_ = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for other in (output, *inherited):
                os.close(other)
            status = _answer(request, input_)
        finally:
            os._exit(status)
    os.close(input_)
    reply, late = _read_all(output, WALL_FACTOR * request["seconds"] + WALL_EXTRA_S)
    os.close(output)
    if late:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    if status == 0:
        return reply
    result = _death(os.waitstatus_to_exitcode(status), late, usage.ru_maxrss / 1024, request)
    return json.dumps(result.to_json()).encode()


def _answer(request: dict[str, Any], output: int) -> int:
    """Run the program of `request` within its limits and write the result to `output`; returns the exit status."""
    try:
        _limit(request["seconds"], request["memory_mib"])
        result = run(request["program"], request["max_answers"])
        reply = json.dumps(result.to_json()).encode()
        if len(reply) > MAX_ANSWER_CHARS:
            told = f"the answers have {len(reply):,} characters, more than {MAX_ANSWER_CHARS:,}"
            reply = json.dumps(Result((), "several", told).to_json()).encode()
    except MemoryError:
        return OUT_OF_MEMORY
    except Exception as error:
        reply = json.dumps(Result((), "crash", repr(error)[:1000]).to_json()).encode()
    with os.fdopen(output, "wb") as file:
        file.write(reply)
    return 0


def _limit(seconds: float, memory_mib: int) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, memory_mib * 2**20),
        (resource.RLIMIT_STACK, STACK_BYTES),
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _read_all(pipe: int, seconds: float) -> tuple[bytes, bool]:
    """What is written to `pipe` until its end, and whether `seconds` were over before."""
    deadline = time.monotonic() + seconds
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    parts: list[bytes] = []
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        if not (part := os.read(pipe, 2**16)):
            return b"".join(parts), False
        parts.append(part)
    return b"", True


def _death(status: int, late: bool, peak_mib: float, request: dict[str, Any]) -> Result:
    """What it means that the process of a program ended with `status`, negative for a signal."""
    seconds, memory = request["seconds"], request["memory_mib"]
    if late:
        return Result((), "time", "took too long on the clock", settled=False)
    if status == -signal.SIGPROF:
        return Result((), "time", f"took more than {seconds:g} s")
    # An array that grows is copied into a larger one, so memory can run out when a third of it is in use. It may be the
    # dynamic linker that gets none.
    if status == OUT_OF_MEMORY or ((status < 0 or status == LINKER_DIED) and peak_mib > memory / 3):
        return Result((), "memory", f"took more than {memory} MiB", settled=status != -signal.SIGKILL)
    name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return Result((), "crash", f"the solver died: {name}", settled=status != -signal.SIGKILL)
