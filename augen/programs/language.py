"""The language of programs, and what running one yields.

A program is written in ASP as clingo reads it. Its answer is one of::

    answer(V)        the answer: a number, a string, a constant
    answer(I,V)      the answer is a list, V its I-th element
    pick(a)          the answer is option A; also pick("A")
    yes              of a yes/no question: 是 where it holds, 否 where it does not

Before everything else may stand ``#use NAME.``, which takes in the rules of a module of `augen.programs.library`::

    #use roads.
    road("甲","乙"). road("乙","丙").
    answer(X) :- reach("甲",X), not road(X,_).

Here is what can be told without clingo. Where the program goes wrong is told by line and column, both from 1.
"""

import re
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Self

from augen.programs import library

CAUSES = {
    "syntax": "not a program of the language",
    "forbidden": "uses what a program may not use, such as scripts and files",
    "no_model": "its rules contradict each other: no answer set",
    "several": "its answer sets give different answers",
    "no_option": "its answer is no option of the question",
    "time": "took more than the time allowed",
    "memory": "took more than the memory allowed",
    "crash": "the solver died",
    "cut": "the model's text reached its limit of tokens before the program ended",
}

Scalar = int | str
Value = Scalar | tuple[Scalar, ...]  # a tuple: a list

MAX_CHARS = 1_000_000  # of a program
MAX_NUMBER = 2**31 - 1  # clingo reads larger numbers as other ones, without a word


@dataclass(frozen=True)
class AnswerSet:
    """What one answer set says: its values of ``answer`` (a list is one value) and arguments of ``pick``, sorted."""

    values: tuple[Value, ...]
    picks: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What running a program yielded: distinct answer sets, sorted, or the cause (of `CAUSES`) why there are none.

    `line` and `column` (from 1) say what in the program the message is about, if anything. Without a cause, the
    message is what clingo remarks on the program (an atom that no rule makes, for instance) or empty. `settled` is
    False if something other than the program may be the cause, such as a worker that was killed from outside.
    """

    answer_sets: tuple[AnswerSet, ...]
    cause: str | None = None
    message: str = ""
    line: int | None = None
    column: int | None = None
    settled: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The result that `to_json` made `value` of, also after it was written as JSON."""
        sets = (AnswerSet(tuple(map(_value, s["values"])), tuple(s["picks"])) for s in value["answer_sets"])
        return cls(**value | {"answer_sets": tuple(sets)})


def _value(value: Any) -> Value:
    return tuple(value) if isinstance(value, list) else value


class Fault(Exception):
    """Why a program is not run, as the result that says so."""

    def __init__(self, cause: str, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.result = Result((), cause, message, line, column)


@dataclass(frozen=True)
class Source:
    """A program as clingo gets it: comments and ``#use`` are blanked out, so that lines and columns stay."""

    text: str
    modules: tuple[str, ...]  # that it uses, in order, without repetition

    @property
    def rules(self) -> str:
        """The rules of these modules."""
        return "\n".join(library_rules()[name] for name in self.modules)


_FENCED = re.compile(r"```(?:[\w+-]*[ \t]*\n)?(.*?)(?:```|\Z)", re.DOTALL)


def program_of(text: str) -> str:
    """The program in what a model wrote: the last fenced block of code, or the whole text if there is none.

    >>> program_of("Here it is:\\n```asp\\nanswer(1).\\n```\\nDone.")
    'answer(1).'
    """
    blocks = [block for block in _FENCED.findall(text) if block.strip()]
    return (blocks[-1] if blocks else text).strip()


_STRAY = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_FOREIGN = re.compile(r"[^\x00-\x7f]")
_FORBIDDEN = re.compile(r"#\s*(include|script)", re.IGNORECASE)
_USE = re.compile(r"#use\b\s*+(\w*+)\s*+(\.?)")
_NUMBER = re.compile(r"(?<![\w'])(?:0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+|[0-9]+)")
# A string as clingo reads it, or else a quote that begins none; a comment in one line, or the beginning of a block.
_TOKEN = re.compile(r'(?P<string>"(?:[^"\\\n]|\\["\\n])*+")|(?P<quote>")|(?P<block>%\*)|(?P<comment>%[^\n]*)')
_BLOCK = re.compile(r"%\*|\*%")
_BASES = {"0x": 16, "0o": 8, "0b": 2}


def read(program: str) -> Source:
    """`program` without comments and ``#use``; raises Fault where it cannot be one, or must not be parsed.

    clingo's parser opens the files that it is told to include, so those lines are found here, before it begins.
    """
    if len(program) > MAX_CHARS:
        raise Fault("memory", f"the program has {len(program):,} characters, more than {MAX_CHARS:,}")
    if stray := _STRAY.search(program):
        raise _fault(program, stray.start(), "syntax", f"a stray sign, U+{ord(stray[0]):04X}")
    text, code = _without_comments(program.replace("\r", " "))
    if found := _FORBIDDEN.search(text):
        raise _fault(text, found.start(), "forbidden", f"#{found[1]} is not allowed")
    if foreign := _FOREIGN.search(code):
        sign = foreign[0] if foreign[0].isprintable() else f"U+{ord(foreign[0]):04X}"
        told = f"{sign} outside of quotes: names are written in Latin letters; Chinese text belongs in quotes"
        raise _fault(text, foreign.start(), "syntax", told)
    for number in _NUMBER.finditer(code):
        if len(number[0]) > 40 or int(number[0], _BASES.get(number[0][:2], 10)) > MAX_NUMBER:
            raise _fault(text, number.start(), "syntax", f"a number above {MAX_NUMBER}, the largest that there is")
    return _without_uses(text, code)


@cache
def library_rules() -> dict[str, str]:
    """The rules of the library's modules by name, read once: where programs run, no file can be opened any more."""
    return {name: library.module(name) for name in library.names()}


def _without_comments(text: str) -> tuple[str, str]:
    """`text` with its comments blanked out, and then with its strings blanked out, too."""
    kept, code, place = [], [], 0
    while token := _TOKEN.search(text, place):
        begin, end = token.span()
        if token["quote"]:
            told = 'a string that does not end in its line, or has a backslash other than \\", \\\\ and \\n'
            raise _fault(text, begin, "syntax", told)
        if token["block"]:
            end = _end_of_block(text, begin)
        between, found = text[place:begin], text[begin:end]
        kept += [between, found if token["string"] else _blank(found)]
        code += [between, _blank(found)]
        place = end
    return "".join([*kept, text[place:]]), "".join([*code, text[place:]])


def _end_of_block(text: str, begin: int) -> int:
    """Where the comment ``%* … *%`` ends that begins at `begin`; such comments may contain others."""
    depth = 0
    for sign in _BLOCK.finditer(text, begin):
        depth += 1 if sign[0] == "%*" else -1
        if depth == 0:
            return sign.end()
    raise _fault(text, begin, "syntax", "a comment %* without its *%")


def _without_uses(text: str, code: str) -> Source:
    modules, place = [], 0
    while use := _USE.match(code, place := len(code) - len(code[place:].lstrip())):
        if not (use[1] and use[2]):
            raise _fault(text, place, "syntax", "#use takes the name of a module and a dot: #use NAME.")
        if use[1] not in library_rules():
            raise _fault(text, use.start(1), "syntax", f"no module {use[1]}; there are {', '.join(library_rules())}")
        modules.append(use[1])
        place = use.end()
    if use := _USE.search(code, place):
        raise _fault(text, use.start(), "syntax", "#use stands before everything else")
    return Source(_blank(text[:place]) + text[place:], tuple(dict.fromkeys(modules)))


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _fault(text: str, place: int, cause: str, message: str) -> Fault:
    return Fault(cause, message, text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place))
