"""What a text is worth that was written for a task: what the solver says of it."""

from collections.abc import Sequence

from augen.answers import parse_answer
from augen.preference.material import Task
from augen.programs.verdicts import SolveMany

BY_LUCK = 0.5  # the reward of a right letter after other steps than the solver's; what is right altogether is worth 1


def rewards(tasks: Sequence[Task], texts: Sequence[str], solve: SolveMany) -> list[float]:
    """The reward of each text for its task, from 0 to 1.

    A program is worth 1 if running it, which is what `solve` does, yields the right letter, and else 0. A reasoning is
    worth 1 if its letter is right and its steps are the solver's, `BY_LUCK` if the letter alone is right, and else 0;
    where the solver's steps are not known, a right letter is worth 1.
    """
    programs = [number for number, task in enumerate(tasks) if task.kind == "program"]
    verdicts = solve([texts[number] for number in programs], [tasks[number].options for number in programs])
    by_program = dict(zip(programs, (verdict.letter for verdict in verdicts), strict=True))
    found = list[float]()
    for number, (task, text) in enumerate(zip(tasks, texts, strict=True)):
        letter = by_program[number] if number in by_program else parse_answer(text, len(task.options))
        proved = task.steps is None or text.strip() == task.steps
        found.append(0.0 if letter != task.answer else 1.0 if proved else BY_LUCK)
    return found
