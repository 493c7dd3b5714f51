"""What the generator is fine-tuned on: prompts as inference builds them, each with a right reasoning or program.

The examples in a prompt never come from its own problem. With `finetune.target: answer` a lesson is the line with the
answer alone, where else it is the reasoning that ends in that line.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from augen.core import params
from augen.entries import Entry, Question, in_blocks, origin, questions
from augen.prompts.sections import answer_line, program_prompt, solve_prompt
from augen.prompts.window import Window
from augen.retrieval.examples import Kind, Retriever
from augen.training.spilled import Spilled


@dataclass(frozen=True)
class Lesson:
    """A prompt, and what the generator should write after it."""

    problem_id: str
    prompt: str
    text: str
    kind: Kind = "reasoning"


def copies_behind_their_origins(entries: Iterable[Entry]) -> Sequence[Entry]:
    """`entries` in their order, but every rewritten copy stands behind the problem that it comes from.

    >>> made = [Entry("", [], name) for name in ("train_0", "train_1", "synthetic_0", "train_1~1", "train_0~1")]
    >>> [entry.id for entry in copies_behind_their_origins(made)]
    ['train_0', 'train_0~1', 'train_1', 'train_1~1', 'synthetic_0']
    """
    spilled = Spilled(Entry, entries)
    place: dict[str, int] = {}
    places = array("q", (place.setdefault(origin(entry.id), len(place)) for entry in spilled))
    return spilled.those(sorted(range(len(spilled)), key=places.__getitem__))


def lessons(
    entries: Iterable[Entry],
    retriever: Retriever,
    k: int,
    prompt: params.Prompt,
    window: Window,
    section: params.Finetune,
) -> Spilled[Lesson]:
    """A lesson per reasoning up to `section.reasonings`, then one per program; the prompts are those of inference.

    As in inference, examples that do not fit into `window` are dropped, and examples for a program have programs. A
    lesson that does not fit even without examples is left out. Of `entries` some ten thousand are in memory together.
    """
    if section.target == "answer":
        print("finetune.target is answer: what is learned of a reasoning is its last line", flush=True)
    kinds = (
        _Lessons("reasoning", partial(solve_prompt, prompt.solve), section.reasonings, section.target == "answer"),
        _Lessons("program", partial(program_prompt, prompt.program)),
    )
    asked = 0
    of_kind = array("b")  # of each lesson the number of its kind

    def taught() -> Iterator[Lesson]:
        nonlocal asked
        for block in in_blocks(entries):
            own = questions(block)
            asked += len(own)
            for number, kind in enumerate(kinds):
                for lesson in kind.lessons(own, retriever, k, window):
                    of_kind.append(number)
                    yield lesson

    mixed = Spilled(Lesson, taught())
    print(f"{asked:,} questions to learn from")
    for kind in kinds:
        print(kind.told, flush=True)
    return mixed.those(sorted(range(len(mixed)), key=of_kind.__getitem__))


@dataclass
class _Lessons:
    """The lessons of a kind: their text is the field `name` of a question's item, or with `answer` its last line."""

    name: Kind
    prompt: Callable[..., str]
    left: int | None = None  # questions to be taken; None: all
    answer: bool = False
    taught: int = 0
    too_long: int = 0

    def lessons(self, asked: Sequence[Question], retriever: Retriever, k: int, window: Window) -> Iterator[Lesson]:
        """The lessons of the questions `asked`."""
        found = _answers(asked) if self.answer else [q for q in asked if getattr(q.item, self.name)]
        found = found[: self.left]
        if self.left is not None:
            self.left -= len(found)
        for question, examples in zip(found, retriever.examples(found, k, self.name), strict=True):
            text = getattr(question.item, self.name)
            room = window.length(text) + 1  # and the end-of-text token
            fitted = window.fitted(partial(self.prompt, question.problem, question.item), examples, room)
            if fitted is None:
                self.too_long += 1
            else:
                self.taught += 1
                yield Lesson(question.problem_id, fitted, text, self.name)

    @property
    def told(self) -> str:
        """How many there are, in a line."""
        told = f"{self.taught:,} lessons with a {self.name}"
        return told + (f"; {self.too_long:,} questions are too long for finetune.max_length" if self.too_long else "")


def _answers(asked: Sequence[Question]) -> list[Question]:
    """The questions whose answer is known, with that alone for a reasoning."""
    return [replace(q, item=replace(q.item, reasoning=answer_line(q.item.answer))) for q in asked if q.item.answer]
