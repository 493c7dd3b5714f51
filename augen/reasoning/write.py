"""Reasoning for right and for wrong answers, written by a model that draws through a `Sampler` or `ChatSampler`.

Right, hinted: the model is given the right answer and explains it, until what it wrote ends in that answer.
Right, not hinted: it solves the question until it finds the right answer (rejection sampling, as in STaR, Zelikman
et al. 2022, https://arxiv.org/abs/2203.14465). Who was told the answer can end in it by steps that do not lead there.
Wrong, ``hinted``: it is given a wrong answer, drawn by seed from all the others, and explains that.
Wrong, ``sampled``: it solves the question without any hint, and what ends in a wrong answer is kept, so that
right and wrong texts come from one pen and a scorer cannot learn who wrote a text (Cobbe et al. 2021,
https://arxiv.org/abs/2110.14168). For that it collects a right one of each question too, in the same draws.

A question for which nothing usable was written keeps ``reasoning=None``; the filter counts it, and it is among
the failures that are returned beside the entries, with what was wrong with each attempt.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from augen.answers import parse_answer
from augen.core.seeds import seed_of
from augen.entries import Entry, QuestionItem, letter_of, question_id
from augen.generation.base import Completion, Request
from augen.generation.sampler import Draws
from augen.generation.served.failures import Failure
from augen.prompts.sections import explain_prompt, solve_prompt
from augen.prompts.window import Window

Negatives = Literal["hinted", "sampled"]


@dataclass(frozen=True)
class Writer:
    """How texts are asked for: instructions, sampling, and who is named as their author."""

    solve: str
    explain: str
    window: Window | None  # of the local generator; None: a provider wraps prompts itself, and says what is too long
    author: str  # of completions that do not name their own
    seed: int
    attempts: int
    temperature: float
    max_tokens: int

    def request(self, prompt: str, purpose: str, question: str, attempt: int) -> Request:
        return Request(
            prompt=prompt,
            seed=seed_of(self.seed, purpose, question, attempt),
            temperature=self.temperature,
            top_p=1.0,
            max_tokens=self.max_tokens,
        )

    def fitting(self, tasks: Sequence["Task"]) -> list["Task"]:
        """`tasks` with their prompts wrapped, without those that are too long for the generator."""
        if self.window is None:
            return list(tasks)
        wrapped = [replace(task, prompt=self.window.wrap(task.prompt)) for task in tasks]
        return [task for task in wrapped if self.window.fits(task.prompt, self.max_tokens)]


@dataclass(frozen=True)
class Task:
    """One question that needs reasonings: what to prompt, and one text for each of these sets of answers."""

    id: str
    item: QuestionItem
    prompt: str
    welcome: tuple[AbstractSet[str], ...]


def explain_right(
    entries: Sequence[Entry], writer: Writer, sampler: Draws, hinted: bool
) -> tuple[list[Entry], list[Failure]]:
    """Every question with a reasoning that ends in its own answer, where `writer.attempts` tries gave one.

    Questions that already carry a reasoning (solver-verified puzzles) keep it.
    """
    tasks = []
    for entry, item, key in _questions(entries):
        if item.answer and not item.reasoning:
            prompt = (
                explain_prompt(writer.explain, entry.problem, item, item.answer)
                if hinted
                else solve_prompt(writer.solve, entry.problem, item)
            )
            tasks.append(Task(key, item, prompt, ({item.answer},)))
    (written, *_), failures = _write(tasks, writer, sampler, "right reasonings")

    def explained(item: QuestionItem, key: str) -> QuestionItem:
        return item if item.reasoning else _signed(item, written.get(key), writer)

    return _mapped(entries, explained), failures


def explain_wrong(
    entries: Sequence[Entry], writer: Writer, sampler: Draws, negatives: Negatives
) -> tuple[list[Entry], list[Entry], list[Failure]]:
    """Every question with a reasoning that ends in a wrong answer; ``answer`` is then that wrong letter.

    Beside them, for ``sampled``, the same questions with the author's own right reasonings (``answer`` as it was);
    none for ``hinted``.
    """
    tasks = []
    for entry, item, key in _questions(entries):
        wrong = wrong_letters(item)
        if not wrong or item.answer is None:
            continue
        if negatives == "hinted":
            letter = Random(seed_of(writer.seed, "wrong letter", key)).choice(wrong)
            prompt = explain_prompt(writer.explain, entry.problem, item, letter)
            tasks.append(Task(key, item, prompt, ({letter},)))
        else:
            prompt = solve_prompt(writer.solve, entry.problem, item)
            tasks.append(Task(key, item, prompt, (set(wrong), {item.answer})))
    (written, *right), failures = _write(tasks, writer, sampler, "wrong reasonings")

    def argued(item: QuestionItem, key: str) -> QuestionItem:
        signed = _signed(item, written.get(key), writer)
        return replace(signed, answer=parse_answer(signed.reasoning, len(item.options)))

    own = _mapped(entries, lambda item, key: _signed(item, right[0].get(key), writer)) if right else []
    return _mapped(entries, argued), own, failures


def wrong_letters(item: QuestionItem) -> list[str]:
    """Letters that argue for another text than the right option's (equal options are equally right).

    >>> wrong_letters(QuestionItem("…", ["3", "4", "3"], answer="A"))
    ['B']
    """
    if item.answer is None:
        return []
    right = item.options[ord(item.answer) - ord("A")]
    return [letter_of(i) for i, option in enumerate(item.options) if option != right]


def _write(
    tasks: Sequence[Task], writer: Writer, sampler: Draws, label: str
) -> tuple[list[dict[str, Completion]], list[Failure]]:
    """The first text of each task that is welcome, by id, for each of the sets of answers that tasks want.

    A task that lacks one is tried again, `writer.attempts` times in all. Failures lack a text of the first set.
    """
    wanted = max((len(task.welcome) for task in tasks), default=1)
    written: list[dict[str, Completion]] = [{} for _ in range(wanted)]
    causes: dict[str, list[str]] = {task.id: [] for task in tasks}
    open_tasks = writer.fitting(tasks)
    too_long = {task.id for task in tasks} - {task.id for task in open_tasks}
    if too_long:
        print(f"{label}: {len(too_long):,} questions are too long for engine.max_model_len")
    for attempt in range(writer.attempts):
        if not open_tasks:
            break
        requests = [(writer.request(t.prompt, label, t.id, attempt), {"attempt": attempt}) for t in open_tasks]
        completions = sampler.draw(requests, f"{label}, attempt {attempt + 1} of {writer.attempts}")
        for task, completion in zip(open_tasks, completions, strict=True):
            answer = parse_answer(completion.text, len(task.item.options))
            for found, welcome in zip(written, task.welcome, strict=False):
                if answer in welcome:
                    found.setdefault(task.id, completion)
            if answer not in task.welcome[0]:
                causes[task.id].append(_cause(completion, answer))
        open_tasks = [t for t in open_tasks if any(t.id not in found for found in written[: len(t.welcome)])]
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


def _signed(item: QuestionItem, completion: Completion | None, writer: Writer) -> QuestionItem:
    """`item` with what was written for it and who wrote it; both None where nothing was."""
    if completion is None:
        return replace(item, reasoning=None, author=None)
    return replace(item, reasoning=completion.text.strip(), author=completion.author or writer.author)


def _questions(entries: Sequence[Entry]) -> Iterator[tuple[Entry, QuestionItem, str]]:
    for entry in entries:
        for index, item in enumerate(entry.questions):
            yield entry, item, question_id(entry, index)


def _mapped(entries: Sequence[Entry], change: Callable[[QuestionItem, str], QuestionItem]) -> list[Entry]:
    return [
        Entry(e.problem, [change(item, question_id(e, i)) for i, item in enumerate(e.questions)], e.id) for e in entries
    ]
