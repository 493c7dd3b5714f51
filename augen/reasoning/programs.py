"""Programs for right answers, written by a model that draws through a `Sampler`.

The model writes an answer-set program (`augen.programs.language`) until the answer that the solver finds with it is
the known one. Nothing in the prompt gives that answer away, and nobody reads the program: running it is the filter.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from augen.entries import Entry, Question, QuestionItem, questions, with_items
from augen.generation.base import Completion, Sampler
from augen.generation.served.failures import Failure
from augen.programs.language import program_of
from augen.programs.verdicts import SolveMany
from augen.prompts.sections import Example, program_prompt
from augen.reasoning.write import TOO_LONG, Reading, Task, Writer, chosen, write_texts


def lacking_program(entries: Sequence[Entry]) -> list[Question]:
    """The labelled questions without a program."""
    return [question for question in questions(entries) if question.item.answer and not question.item.program]


def write_programs(
    entries: Sequence[Entry], examples: Sequence[Sequence[Example]], writer: Writer, sampler: Sampler, solve: SolveMany
) -> tuple[list[Entry], list[Failure]]:
    """Every labelled question with a program whose answer is its own, if one of the attempts gave it.

    Questions that already have a program keep it. `examples` has the worked examples, which have programs, of each
    question of `lacking_program(entries)`. A failure says what became of the last attempt.
    """
    tasks = [
        Task(
            question.id,
            question.item,
            partial(program_prompt, writer.prompt.program, question.problem, question.item),
            ({question.item.answer or ""},),
            own,
        )
        for question, own in zip(lacking_program(entries), examples, strict=True)
    ]
    (right, *_), wrong = write_texts(tasks, writer, sampler, "programs", partial(_read, solve))
    last = {id: readings[-1] if readings else Reading(None, TOO_LONG) for id, readings in wrong.items()}
    if last:
        counts = Counter(reading.cause for reading in last.values()).most_common()
        print("the others, by what became of the last attempt: " + ", ".join(f"{n:,} {cause}" for cause, n in counts))
    failures = [
        Failure(id, ": ".join(filter(None, ("program", reading.cause, reading.detail))), len(wrong[id]))
        for id, reading in last.items()
    ]

    def programmed(question: Question) -> QuestionItem:
        texts = right.get(question.id)
        return replace(question.item, program=program_of(chosen(texts).text)) if texts else question.item

    return with_items(entries, programmed), failures


def _read(solve: SolveMany, tasks: Sequence[Task], completions: Sequence[Completion]) -> list[Reading]:
    """What each program answers. What was cut off, or refused by a provider, is not run."""
    whole = [i for i, c in enumerate(completions) if c.finish == "stop" and not c.refused]
    verdicts = solve([completions[i].text for i in whole], [tasks[i].item.options for i in whole])
    readings = [Reading(None, "refused", c.refused) if c.refused else Reading(None, "cut") for c in completions]
    for i, verdict in zip(whole, verdicts, strict=True):
        cause, detail = (verdict.cause, verdict.message) if verdict.cause else ("another answer", verdict.letter or "")
        readings[i] = Reading(verdict.letter, cause, detail)
    return readings
