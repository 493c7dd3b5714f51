"""What the generator is fine-tuned on: prompts as inference builds them, each with a right reasoning or program.

The examples in a prompt never come from its own problem. With `finetune.target: answer` a lesson is the line with the
answer alone, where else it is the reasoning that ends in that line.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from augen.core import params
from augen.entries import Entry, Question, origin, questions
from augen.prompts.sections import answer_line, program_prompt, solve_prompt
from augen.prompts.window import Window
from augen.retrieval.examples import Kind, Retriever


@dataclass(frozen=True)
class Lesson:
    """A prompt, and what the generator should write after it."""

    problem_id: str
    prompt: str
    text: str
    kind: Kind = "reasoning"


def copies_behind_their_origins(entries: Iterable[Entry]) -> list[Entry]:
    """`entries` in their order, but every rewritten copy stands behind the problem that it comes from.

    >>> made = [Entry("", [], name) for name in ("train_0", "train_1", "synthetic_0", "train_1~1", "train_0~1")]
    >>> [entry.id for entry in copies_behind_their_origins(made)]
    ['train_0', 'train_0~1', 'train_1', 'train_1~1', 'synthetic_0']
    """
    listed = list(entries)
    place: dict[str, int] = {}
    for entry in listed:
        place.setdefault(origin(entry.id), len(place))
    return sorted(listed, key=lambda entry: place[origin(entry.id)])


def lessons(
    entries: Sequence[Entry],
    retriever: Retriever,
    k: int,
    prompt: params.Prompt,
    window: Window,
    section: params.Finetune,
) -> list[Lesson]:
    """A lesson per program, and per reasoning up to `section.reasonings`; the prompts are those of inference.

    As in inference, examples that do not fit into `window` are dropped, and examples for a program have programs. A
    lesson that does not fit even without examples is left out.
    """
    asked = questions(entries)
    steps = partial(solve_prompt, prompt.solve)
    reasoned = _answers(asked) if section.target == "answer" else [q for q in asked if q.item.reasoning]
    reasoned = reasoned[: section.reasonings]
    taught = _taught(reasoned, "reasoning", steps, retriever, k, window)
    write = partial(program_prompt, prompt.program)
    programs = _taught([q for q in asked if q.item.program], "program", write, retriever, k, window)
    return taught + programs


def _answers(asked: Sequence[Question]) -> list[Question]:
    """The questions whose answer is known, with that alone for a reasoning."""
    print("finetune.target is answer: what is learned of a reasoning is its last line", flush=True)
    return [replace(q, item=replace(q.item, reasoning=answer_line(q.item.answer))) for q in asked if q.item.answer]


def _taught(
    asked: Sequence[Question], kind: Kind, prompt: Callable[..., str], retriever: Retriever, k: int, window: Window
) -> list[Lesson]:
    """The lessons whose text is the field `kind` of a question's item."""
    taught = []
    for question, examples in zip(asked, retriever.examples(asked, k, kind), strict=True):
        text = getattr(question.item, kind)
        room = window.length(text) + 1  # and the end-of-text token
        if (fitted := window.fitted(partial(prompt, question.problem, question.item), examples, room)) is not None:
            taught.append(Lesson(question.problem_id, fitted, text, kind))
    too_long = len(asked) - len(taught)
    print(
        f"{len(taught):,} lessons with a {kind}"
        + (f"; {too_long:,} questions are too long for finetune.max_length" if too_long else "")
    )
    return taught
