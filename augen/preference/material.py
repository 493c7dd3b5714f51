"""What preference training learns from, with the prompts of inference: pairs of texts (DPO), or tasks (GRPO).

As in inference, worked examples that do not fit into the window are dropped. What does not fit even without them is
left out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from augen.core import params
from augen.core.arrays import Ints
from augen.core.errors import AugenError
from augen.core.seeds import seed_of
from augen.entries import SOLVER, Entry, Question, questions
from augen.prompts.sections import program_prompt, solve_prompt
from augen.prompts.window import Window
from augen.retrieval.examples import Kind, Retriever
from augen.training.labelled import LabelledTexts
from augen.training.spilled import Spilled

BLOCK = 10_000  # pairs whose prompts are built together


@dataclass(frozen=True)
class Pair:
    """A prompt and two reasonings: the right one is to become likelier than the wrong one."""

    problem_id: str
    prompt: str
    right: str
    wrong: str


@dataclass(frozen=True)
class Task:
    """A prompt, and what the solver knows about its question: the letter and, if it proved them, the steps."""

    problem_id: str
    prompt: str
    kind: Kind
    options: tuple[str, ...]
    answer: str
    steps: str | None


@dataclass(frozen=True)
class Prompts:
    """Builds the prompts, each with `k` worked examples."""

    texts: params.Prompt
    window: Window
    retriever: Retriever
    k: int

    def of(self, asked: Sequence[Question], kind: Kind, room: Callable[[int], int]) -> list[str | None]:
        """The prompt of each question for a text of that kind; None where no ``room(number)`` new tokens are left."""
        instruction = {"reasoning": self.texts.solve, "program": self.texts.program}[kind]
        build = {"reasoning": solve_prompt, "program": program_prompt}[kind]
        shown = self.retriever.examples(asked, self.k, kind)
        return [
            self.window.fitted(partial(build, instruction, q.problem, q.item), examples, room(number))
            for number, (q, examples) in enumerate(zip(asked, shown, strict=True))
        ]


@dataclass(frozen=True)
class _Written:
    """A question with a reasoning that is known to be right or wrong."""

    asked: Question
    text: str
    right: bool

    @property
    def problem_id(self) -> str:
        return self.asked.problem_id

    @property
    def question(self) -> tuple[str, str, tuple[str, ...]]:
        return self.asked.problem_id, self.asked.item.question, tuple(self.asked.item.options)


def pairs(right: Iterable[Entry], wrong: Iterable[Entry], prompts: Prompts) -> Spilled[Pair]:
    """Every reasoning of a question that has right and wrong ones is in a pair; AugenError if there is none."""
    written = LabelledTexts(
        _Written,
        (
            _Written(asked, asked.item.reasoning, of_right)
            for entries, of_right in ((right, True), (wrong, False))
            for asked in _questions(entries)
            if asked.item.reasoning
        ),
    )
    two = written.pairs()
    found = Spilled(Pair, _pairs(written, two, prompts))
    if not found:
        why = "none fits into finetune.max_length: raise it" if len(two) else "a higher reason_false.limit makes some"
        raise AugenError(
            f"prefer.method dpo: data/filtered has {len(two):,} pairs of a right and a wrong reasoning of the same "
            f"question; {why}, or set prefer.method to grpo, which needs none, or to none"
        )
    print(f"{len(found):,} pairs of a right and a wrong reasoning of the same question", flush=True)
    return found


def _pairs(written: Sequence[_Written], two: Ints, prompts: Prompts) -> Iterator[Pair]:
    """Those of the pairs `two` of places in `written` that have a prompt."""

    def room(number: int) -> int:
        return max(prompts.window.length(w.text) for w in block[number]) + 1  # and the end-of-text token

    for start in range(0, len(two), BLOCK):
        block = [(written[a], written[b]) for a, b in two[start : start + BLOCK]]
        built = prompts.of([w.asked for w, _ in block], "reasoning", room)
        for (a, b), prompt in zip(block, built, strict=True):
            if prompt is not None:
                yield Pair(a.asked.problem_id, prompt, a.text, b.text)


def _questions(entries: Iterable[Entry]) -> Iterator[Question]:
    return (question for entry in entries for question in questions([entry]))


def tasks(entries: Iterable[Entry], prompts: Prompts, section: params.Prefer, seed: int) -> Spilled[Task]:
    """Tasks of `section.questions` of the questions whose answer is known, drawn by `seed`; AugenError if none.

    For each of them a reasoning is to be written, and a program where the question has one; there is room for
    `section.max_tokens`.
    """
    known = Spilled(Question, (question for question in _questions(entries) if question.item.answer))
    order = list(range(len(known)))
    Random(seed_of(seed, "tasks")).shuffle(order)
    asked = list(known.those(order[: section.questions]))
    programs = [question for question in asked if question.item.program]
    wanted: list[tuple[Kind, list[Question]]] = [("reasoning", asked), ("program", programs)]
    found = Spilled(
        Task,
        (
            Task(q.problem_id, prompt, kind, tuple(q.item.options), str(q.item.answer), _steps(q, kind))
            for kind, own in wanted
            for q, prompt in zip(own, prompts.of(own, kind, lambda _: section.max_tokens), strict=True)
            if prompt is not None
        ),
    )
    if not found:
        full = "none leaves room for prefer.max_tokens in finetune.max_length: raise that"
        why = full if known else "let prepare.synthetic add puzzles"
        raise AugenError(
            f"prefer.method grpo: data/filtered/entries.pkl has {len(known):,} questions with an answer; {why}, "
            "or set prefer.method to none"
        )
    print(f"{len(found):,} tasks, of {len(asked):,} questions; {len(programs):,} have a program", flush=True)
    return found


def _steps(question: Question, kind: Kind) -> str | None:
    """The solver's own reasoning, where it wrote one."""
    item = question.item
    return item.reasoning.strip() if kind == "reasoning" and item.author == SOLVER and item.reasoning else None
