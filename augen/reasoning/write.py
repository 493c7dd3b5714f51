"""Reasonings for right and for wrong answers, written by a model that draws through a `Sampler`.

Right, hinted: the model is given the right answer and explains it, until its text ends in that answer.
Right, not hinted: it solves the question until it finds the right answer (rejection sampling, as in STaR, Zelikman
et al. 2022, https://arxiv.org/abs/2203.14465). A model that was told the answer can end in it by steps that do not
lead there.
Wrong, ``hinted``: it is given a wrong answer, drawn by seed from all the others, and explains that.
Wrong, ``sampled``: it solves the question without any hint, and a text that ends in a wrong answer is kept. From the
same draws a right text of each question is kept too. So right and wrong texts have one author, and a scorer cannot
learn who wrote a text (Cobbe et al. 2021, https://arxiv.org/abs/2110.14168).

A question for which no attempt gave a usable text keeps ``reasoning=None``, and the filter counts it. It is also among
the failures that are returned beside the entries, with what was wrong in each attempt.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from augen.answers import parse_answer
from augen.core import params
from augen.core.seeds import seed_of
from augen.entries import Entry, Question, QuestionItem, letter_of, questions, with_items
from augen.generation.base import Completion, Request, Sampler
from augen.generation.served.failures import Failure
from augen.prompts.sections import explain_prompt, solve_prompt
from augen.prompts.window import Window

Negatives = Literal["hinted", "sampled"]


@dataclass(frozen=True)
class Writer:
    """How texts are asked for, and who is named as their author."""

    prompt: params.Prompt
    settings: params.Reason
    window: Window | None  # of the generator; None: a provider wraps prompts itself, and says what is too long
    author: str  # of completions that do not name their own
    seed: int

    def request(self, prompt: str, purpose: str, question: str, attempt: int) -> Request:
        return Request(
            prompt=prompt,
            seed=seed_of(self.seed, purpose, question, attempt),
            temperature=self.settings.temperature,
            top_p=1.0,
            max_tokens=self.settings.max_tokens,
        )

    def fitting(self, tasks: Sequence["Task"]) -> list["Task"]:
        """`tasks` with their prompts wrapped for the generator, without those that are too long for it."""
        if self.window is None:
            return list(tasks)
        wrapped = [replace(task, prompt=self.window.wrap(task.prompt)) for task in tasks]
        return [task for task in wrapped if self.window.fits(task.prompt, self.settings.max_tokens)]


@dataclass(frozen=True)
class Task:
    """One question that needs reasonings, and its prompt. One text is sought for each of the sets of answers."""

    id: str
    item: QuestionItem
    prompt: str
    accepted: tuple[AbstractSet[str], ...]


def explain_right(
    entries: Sequence[Entry], writer: Writer, sampler: Sampler, hinted: bool
) -> tuple[list[Entry], list[Failure]]:
    """Every question with a reasoning that ends in its own answer, if one of the attempts gave it.

    Questions that already have a reasoning (solver-verified puzzles) keep it.
    """
    tasks = []
    for question in questions(entries):
        item = question.item
        if item.answer and not item.reasoning:
            prompt = (
                explain_prompt(writer.prompt.explain, question.problem, item, item.answer)
                if hinted
                else solve_prompt(writer.prompt.solve, question.problem, item)
            )
            tasks.append(Task(question.id, item, prompt, ({item.answer},)))
    (written, *_), failures = _write(tasks, writer, sampler, "right reasonings")

    def explained(question: Question) -> QuestionItem:
        return question.item if question.item.reasoning else _with_text(question, written, writer)

    return with_items(entries, explained), failures


def explain_wrong(
    entries: Sequence[Entry], writer: Writer, sampler: Sampler, negatives: Negatives
) -> tuple[list[Entry], list[Entry], list[Failure]]:
    """Every question with a reasoning that ends in a wrong answer; its ``answer`` is then that wrong letter.

    For ``sampled`` there is a second list: the same questions with right reasonings by the same author, and their own
    ``answer``. For ``hinted`` it is empty.
    """
    tasks = []
    for question in questions(entries):
        item = question.item
        wrong = wrong_letters(item)
        if not wrong or item.answer is None:
            continue
        if negatives == "hinted":
            letter = Random(seed_of(writer.seed, "wrong letter", question.id)).choice(wrong)
            prompt = explain_prompt(writer.prompt.explain, question.problem, item, letter)
            tasks.append(Task(question.id, item, prompt, ({letter},)))
        else:
            prompt = solve_prompt(writer.prompt.solve, question.problem, item)
            tasks.append(Task(question.id, item, prompt, (set(wrong), {item.answer})))
    (written, *right), failures = _write(tasks, writer, sampler, "wrong reasonings")

    def argued(question: Question) -> QuestionItem:
        wrong = _with_text(question, written, writer)
        return replace(wrong, answer=parse_answer(wrong.reasoning, len(wrong.options)))

    own = with_items(entries, lambda question: _with_text(question, right[0], writer)) if right else []
    return with_items(entries, argued), own, failures


def wrong_letters(item: QuestionItem) -> list[str]:
    """The letters of the wrong options. An option with the same text as the right one is right too.

    >>> wrong_letters(QuestionItem("…", ["3", "4", "3"], answer="A"))
    ['B']
    """
    if item.answer is None:
        return []
    right = item.options[ord(item.answer) - ord("A")]
    return [letter_of(i) for i, option in enumerate(item.options) if option != right]


def _write(
    tasks: Sequence[Task], writer: Writer, sampler: Sampler, label: str
) -> tuple[list[dict[str, Completion]], list[Failure]]:
    """For each of the sets of answers that tasks accept: the first text of each task that ends in one, by task id.

    A task that lacks a text is tried again, up to `attempts` times in all. Failures lack a text of the first set.
    """
    attempts = writer.settings.attempts
    sets = max((len(task.accepted) for task in tasks), default=1)
    written: list[dict[str, Completion]] = [{} for _ in range(sets)]
    causes: dict[str, list[str]] = {task.id: [] for task in tasks}
    open_tasks = writer.fitting(tasks)
    too_long = {task.id for task in tasks} - {task.id for task in open_tasks}
    if too_long:
        print(f"{label}: {len(too_long):,} questions are too long for engine.max_model_len")
    for attempt in range(attempts):
        if not open_tasks:
            break
        requests = [(writer.request(t.prompt, label, t.id, attempt), {"attempt": attempt}) for t in open_tasks]
        completions = sampler.draw(requests, f"{label}, attempt {attempt + 1} of {attempts}")
        for task, completion in zip(open_tasks, completions, strict=True):
            answer = parse_answer(completion.text, len(task.item.options))
            for found, answers in zip(written, task.accepted, strict=False):
                if answer in answers:
                    found.setdefault(task.id, completion)
            if answer not in task.accepted[0]:
                causes[task.id].append(_cause(completion, answer))
        open_tasks = [t for t in open_tasks if any(t.id not in found for found in written[: len(t.accepted)])]
    print(f"{label}: for {len(written[0]):,} of the {len(tasks):,} questions that needed one")
    failures = [
        Failure(id, "; ".join(causes[id]) or "too long for engine.max_model_len", len(causes[id]))
        for id in causes
        if id not in written[0]
    ]
    return written, failures


def _cause(completion: Completion, answer: str | None) -> str:
    """Why an attempt failed."""
    if completion.refused:
        return f"refused: {completion.refused}"
    if answer is not None:
        return f"answer {answer}"
    return "no answer, cut off at max_tokens" if completion.finish == "length" else "no answer"


def _with_text(question: Question, written: Mapping[str, Completion], writer: Writer) -> QuestionItem:
    """The question's item with the text `written` for it (by id) and its author, both None where there is none."""
    if (completion := written.get(question.id)) is None:
        return replace(question.item, reasoning=None, author=None)
    return replace(question.item, reasoning=completion.text.strip(), author=completion.author or writer.author)
