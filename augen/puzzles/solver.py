"""Proves the answer of a question with clingo, and returns the steps that lead to it.

A puzzle is an answer-set program. Its question adds rules for two predicates:

``answer(V)``          the answer; every stable model must give the same single one
``step(I, …)``         the I-th step of the reasoning

An answer is *proved* by enumerating all stable models. A value that holds in only some of them is possible but not
certain, and such a question is refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import clingo

Value = str | int


class NotProved(Exception):
    """The facts admit no answer, several answers, or no model at all."""


@dataclass(frozen=True)
class Proof:
    answer: Value
    steps: tuple[tuple[Value, ...], ...]  # the arguments of step/n, sorted


def prove(program: str, *, max_models: int = 64) -> Proof:
    """The only answer of `program`, with its steps; raises NotProved if there is none or more than one."""
    proofs = {_read(model) for model in _models(program, max_models)}
    if len(proofs) != 1:
        raise NotProved(f"{len(proofs)} different answers or derivations instead of 1")
    return proofs.pop()


def _models(program: str, max_models: int) -> Iterator[list[clingo.Symbol]]:
    control = clingo.Control([str(max_models + 1), "--warn=none"])
    control.add("base", [], program + "\n#show answer/1. #show step/2. #show step/3.")
    control.ground([("base", [])])
    count = 0
    with control.solve(yield_=True) as handle:
        for model in handle:
            count += 1
            if count > max_models:
                raise NotProved(f"more than {max_models} models")
            yield list(model.symbols(shown=True))


def _read(symbols: list[clingo.Symbol]) -> Proof:
    answers = [_value(s.arguments[0]) for s in symbols if s.name == "answer"]
    if len(answers) != 1:
        raise NotProved(f"{len(answers)} answers in one model instead of 1")
    steps = sorted((s for s in symbols if s.name == "step"), key=lambda s: s.arguments)
    return Proof(answers[0], tuple(tuple(_value(a) for a in s.arguments) for s in steps))


def _value(symbol: clingo.Symbol) -> Value:
    return symbol.number if symbol.type == clingo.SymbolType.Number else symbol.string


def fact(name: str, *arguments: Value | Sequence[Value]) -> str:
    """A fact, or where an argument is several values, one for each of them.

    >>> fact("over", "甲", 2), fact("helps", "红药", ["头痛", "失眠"])
    ('over("甲",2).', 'helps("红药",("头痛";"失眠")).')
    """
    return f"{name}({','.join(_quoted(a) for a in arguments)})."


def _quoted(value: Value | Sequence[Value]) -> str:
    if not isinstance(value, str | int):
        return ";".join(map(_quoted, value)) if len(value) == 1 else f"({';'.join(map(_quoted, value))})"
    return str(value) if isinstance(value, int) else '"' + value.replace('"', '\\"') + '"'
