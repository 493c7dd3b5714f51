"""Reasonings for right and for wrong answers, written by a model that draws through a `Sampler`.

Right, hinted: the model is given the right answer and explains it, until its text ends in that answer.
Right, not hinted: it solves the question until it finds the right answer (rejection sampling, as in STaR, Zelikman
et al. 2022, https://arxiv.org/abs/2203.14465). A model that was told the answer can end in it by steps that do not
lead there. Of several right texts the ``first`` is kept, or the ``likeliest``; questions whose attempts were all right
can be left out, as there is little to learn from them, and so can questions that the plain generator gets right.
Wrong, ``hinted``: it is given a wrong answer, drawn by seed from all the others, and explains that.
Wrong, ``sampled``: it solves the question without any hint, and a text that ends in a wrong answer is kept. From the
same draws a right text of each question is kept too. So right and wrong texts have one author, and a scorer cannot
learn who wrote a text (Cobbe et al. 2021, https://arxiv.org/abs/2110.14168).

A question for which no attempt gave a usable text keeps ``reasoning=None``, and the filter counts it. It is also among
the failures that are returned beside the entries, with what was wrong in each attempt.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from random import Random
from typing import Literal, NamedTuple

from augen.answers import parse_answer
from augen.core import params
from augen.core.seeds import seed_of
from augen.entries import Entry, Question, QuestionItem, letter_of, questions, with_items
from augen.generation.base import Completion, Request, Sampler
from augen.generation.served.failures import Failure
from augen.prompts.sections import Example, explain_prompt, solve_prompt
from augen.prompts.window import Window

Ids = AbstractSet[str]  # of questions
Negatives = Literal["hinted", "sampled"]
Choose = Literal["first", "likeliest"]
TOO_LONG = "too long for engine.max_model_len"


@dataclass(frozen=True)
class Writer:
    """How texts are asked for, and who is named as their author."""

    prompt: params.Prompt
    settings: params.Reason
    window: Window | None  # of the generator; None: a provider wraps prompts itself, and says what is too long
    author: str  # of completions that do not name their own
    seed: int
    adapter: bool = False  # the generator writes with the adapter that its sampler was opened with

    def request(self, prompt: str, purpose: str, question: str, attempt: int) -> Request:
        return Request(
            prompt=prompt,
            seed=seed_of(self.seed, purpose, question, attempt),
            temperature=self.settings.temperature,
            top_p=1.0,
            max_tokens=self.settings.max_tokens,
            adapter=int(self.adapter),
        )

    def prompt_of(self, task: "Task") -> str | None:
        """The prompt of `task` with as many of its examples as fit; None if it is too long for the generator."""
        if self.window is None:
            return task.prompt(task.examples)
        return self.window.fitted(task.prompt, task.examples, self.settings.max_tokens)


@dataclass(frozen=True)
class Task:
    """One question that needs texts, and its prompt. One text is sought for each of the sets of answers."""

    id: str
    item: QuestionItem
    prompt: Callable[[Sequence[Example]], str]
    accepted: tuple[AbstractSet[str], ...]
    examples: Sequence[Example] = ()


class Reading(NamedTuple):
    """The letter that a text answers, and what is wrong with it if that is not the one sought."""

    answer: str | None
    cause: str
    detail: str = ""


@dataclass(frozen=True)
class Wanted:
    """Which questions get a right reasoning, and which of several right ones is kept (see ``chosen``)."""

    choose: Choose = "first"
    only_uncertain: bool = False  # none for questions that all attempts answer right
    among: Ids | None = None  # the ids of the only questions that are asked; None: all


Read = Callable[[Sequence[Task], Sequence[Completion]], Sequence[Reading]]


def explain_right(
    entries: Sequence[Entry],
    writer: Writer,
    sampler: Sampler,
    hinted: bool,
    wanted: Wanted = Wanted(),
) -> tuple[list[Entry], list[Failure]]:
    """Every question with a reasoning that ends in its own answer, if one of the attempts gave it.

    Questions that are not `wanted` get none. Those that already have one (solver-verified puzzles) keep it.
    """
    tasks = []
    for question, answer in _unexplained(entries):
        if wanted.among is None or question.id in wanted.among:
            prompt = _explaining(writer, question, answer) if hinted else _solving(writer, question)
            tasks.append(Task(question.id, question.item, prompt, ({answer},)))
    every = draws_all(wanted.choose, wanted.only_uncertain)
    (right, *_), wrong = write_texts(tasks, writer, sampler, "right reasonings", _read_reasonings, every)
    failures = _failures(wrong)
    if wanted.only_uncertain:
        uncertain = {id: texts for id, texts in right.items() if len(texts) < writer.settings.attempts}
        print(f"{len(right) - len(uncertain):,} of these were right in every attempt and are left out")
        right = uncertain
    written = {id: chosen(texts, wanted.choose) for id, texts in right.items()}

    def explained(question: Question) -> QuestionItem:
        return question.item if question.item.reasoning else _with_text(question, written, writer)

    return with_items(entries, explained), failures


def draws_all(choose: Choose, only_uncertain: bool) -> bool:
    """Whether ``explain_right`` makes all attempts at every question, whatever it gets."""
    return choose == "likeliest" or only_uncertain


def missed(entries: Sequence[Entry], writer: Writer, sampler: Sampler) -> frozenset[str]:
    """The ids of the labelled questions without reasoning that most of `attempts` samples get wrong, or leave open."""
    tasks = [
        Task(question.id, question.item, _solving(writer, question), ({answer},))
        for question, answer in _unexplained(entries)
    ]
    (right, *_), _ = write_texts(tasks, writer, sampler, "samples of the plain generator", _read_reasonings, every=True)
    attempts = writer.settings.attempts
    found = frozenset(task.id for task in tasks if 2 * len(right.get(task.id, ())) < attempts)
    print(f"{len(found):,} of {len(tasks):,} questions are wrong in most of {attempts} samples of {writer.author}")
    return found


def _unexplained(entries: Sequence[Entry]) -> list[tuple[Question, str]]:
    """The labelled questions without a reasoning, each with its answer."""
    return [(q, q.item.answer) for q in questions(entries) if q.item.answer and not q.item.reasoning]


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
            tasks.append(Task(question.id, item, _explaining(writer, question, letter), ({letter},)))
        else:
            tasks.append(Task(question.id, item, _solving(writer, question), (set(wrong), {item.answer})))
    drawn, failed = write_texts(tasks, writer, sampler, "wrong reasonings", _read_reasonings)
    written, *right = [{id: chosen(texts) for id, texts in found.items()} for found in drawn]
    failures = _failures(failed)

    def argued(question: Question) -> QuestionItem:
        wrong = _with_text(question, written, writer)
        return replace(wrong, answer=parse_answer(wrong.reasoning, len(wrong.options)))

    own = with_items(entries, lambda question: _with_text(question, right[0], writer)) if right else []
    return with_items(entries, argued), own, failures


def chosen(texts: Sequence[Completion], choose: Choose = "first") -> Completion:
    """The first of `texts`, or the one whose tokens have the highest mean log-probability.

    Of equally likely ones that is the first. A text whose log-probability is not known yields to any where it is.

    >>> texts = [Completion("答案是：B", 3, "stop", logprob=mean) for mean in (-2.0, None, -0.5)]
    >>> chosen(texts).logprob, chosen(texts, "likeliest").logprob
    (-2.0, -0.5)
    """
    if choose == "first":
        return texts[0]
    return max(texts, key=lambda text: -inf if text.logprob is None else text.logprob)


def wrong_letters(item: QuestionItem) -> list[str]:
    """The letters of the wrong options. An option with the same text as the right one is right too.

    >>> wrong_letters(QuestionItem("…", ["3", "4", "3"], answer="A"))
    ['B']
    """
    if item.answer is None:
        return []
    right = item.options[ord(item.answer) - ord("A")]
    return [letter_of(i) for i, option in enumerate(item.options) if option != right]


def _explaining(writer: Writer, question: Question, letter: str) -> Callable[[Sequence[Example]], str]:
    text = explain_prompt(writer.prompt.explain, question.problem, question.item, letter)
    return lambda _: text


def _solving(writer: Writer, question: Question) -> Callable[[Sequence[Example]], str]:
    return partial(solve_prompt, writer.prompt.solve, question.problem, question.item)


def write_texts(
    tasks: Sequence[Task], writer: Writer, sampler: Sampler, label: str, read: Read, every: bool = False
) -> tuple[list[dict[str, list[Completion]]], dict[str, list[Reading]]]:
    """For each of the sets of answers that tasks accept: the texts of each task that end in one, by task id.

    A task that lacks a text is tried again, up to `attempts` times in all; with `every`, each task is tried that many
    times. Texts are in the order of their attempts, at least one for each id. Beside these, for tasks that lack a text
    of the first set: what `read` found in each attempt, nothing if the prompt is too long.
    """
    attempts = writer.settings.attempts
    sets = max((len(task.accepted) for task in tasks), default=1)
    written: list[dict[str, list[Completion]]] = [{} for _ in range(sets)]
    readings: dict[str, list[Reading]] = {task.id: [] for task in tasks}
    prompts = {task.id: prompt for task in tasks if (prompt := writer.prompt_of(task)) is not None}
    open_tasks = [task for task in tasks if task.id in prompts]
    if too_long := len(readings) - len(prompts):
        print(f"{label}: {too_long:,} questions are too long for engine.max_model_len")
    for attempt in range(attempts):
        if not open_tasks:
            break
        requests = [(writer.request(prompts[t.id], label, t.id, attempt), {"attempt": attempt}) for t in open_tasks]
        completions = sampler.draw(requests, f"{label}, attempt {attempt + 1} of {attempts}")
        for task, completion, reading in zip(open_tasks, completions, read(open_tasks, completions), strict=True):
            for found, answers in zip(written, task.accepted, strict=False):
                if reading.answer in answers:
                    found.setdefault(task.id, []).append(completion)
            readings[task.id].append(reading)
        if not every:
            open_tasks = [t for t in open_tasks if any(t.id not in found for found in written[: len(t.accepted)])]
    print(f"{label}: for {len(written[0]):,} of the {len(tasks):,} questions that needed one")
    return written, {id: found for id, found in readings.items() if id not in written[0]}


def _read_reasonings(tasks: Sequence[Task], completions: Sequence[Completion]) -> list[Reading]:
    return [_reading(c, parse_answer(c.text, len(t.item.options))) for t, c in zip(tasks, completions, strict=True)]


def _reading(completion: Completion, answer: str | None) -> Reading:
    if completion.refused:
        return Reading(None, f"refused: {completion.refused}")
    if answer is not None:
        return Reading(answer, f"answer {answer}")
    return Reading(None, "no answer, cut off at max_tokens" if completion.finish == "length" else "no answer")


def _failures(wrong: Mapping[str, Sequence[Reading]]) -> list[Failure]:
    """Questions without a reasoning, with the cause of each attempt."""
    return [
        Failure(id, "; ".join(reading.cause for reading in found) or TOO_LONG, len(found))
        for id, found in wrong.items()
    ]


def _with_text(question: Question, written: Mapping[str, Completion], writer: Writer) -> QuestionItem:
    """The question's item with the text `written` for it (by id) and its author, both None where there is none."""
    if (completion := written.get(question.id)) is None:
        return replace(question.item, reasoning=None, author=None)
    text = completion.reasoning(writer.prompt.keep_thinking)
    return replace(question.item, reasoning=text.strip(), author=completion.author or writer.author)
