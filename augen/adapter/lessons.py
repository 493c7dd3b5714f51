"""What the generator is fine-tuned on: prompts exactly as inference builds them, each with a right reasoning.

The examples in a prompt never come from its own problem.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from augen.entries import Entry, questions
from augen.prompts.sections import solve_prompt
from augen.prompts.window import Window
from augen.retrieval.examples import Retriever


@dataclass(frozen=True)
class Lesson:
    """A prompt, and what the generator should write after it."""

    problem_id: str
    prompt: str
    reasoning: str


def lessons(entries: Sequence[Entry], retriever: Retriever, k: int, instruction: str, window: Window) -> list[Lesson]:
    """One lesson per question with a reasoning; the prompt is the one that inference builds with `k` examples.

    As in inference, examples that do not fit into `window` are dropped. A question that does not fit even without
    examples is left out.
    """
    solved = [question for question in questions(entries) if question.item.reasoning]
    found = retriever.examples(solved, k)
    taught = []
    for question, examples in zip(solved, found, strict=True):
        reasoning = str(question.item.reasoning)
        room = window.length(reasoning) + 1  # and the end-of-text token
        prompt = window.fitted(partial(solve_prompt, instruction, question.problem, question.item), examples, room)
        if prompt is not None:
            taught.append(Lesson(question.problem_id, prompt, reasoning))
    too_long = len(solved) - len(taught)
    print(
        f"{len(taught):,} lessons"
        + (f"; {too_long:,} questions are too long for finetune.max_length" if too_long else "")
    )
    return taught
