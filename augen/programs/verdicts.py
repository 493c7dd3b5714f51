"""What a model wrote is run in the sandbox, and its result chosen among the options of its question."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from augen.core import params
from augen.core.cores import cores
from augen.programs.language import program_of
from augen.programs.options import Verdict, verdict
from augen.programs.solver import Limits, Solver, stored_results
from augen.store.responses import Store

# Texts with a program in each, and the options of the question of each, as its prompt showed them.
SolveMany = Callable[[Sequence[str], Sequence[Sequence[str]]], Sequence[Verdict]]


@contextmanager
def stored_verdicts(store: Store, section: params.Programs) -> Iterator[SolveMany]:
    """A function that runs what a model wrote, in processes that end with the context.

    The store keeps the results, so nothing is run twice.
    """
    with Solver(Limits(section.seconds, section.memory_mib, section.max_answers), cores()) as solver:

        def solve(texts: Sequence[str], options: Sequence[Sequence[str]]) -> list[Verdict]:
            results = stored_results([program_of(text) for text in texts], store, solver)
            return [verdict(result, own) for result, own in zip(results, options, strict=True)]

        yield solve
