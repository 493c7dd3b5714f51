"""How one sample of a question is asked for, and what its text answers. Pure."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Self

from augen.answers import parse_answer
from augen.core import params
from augen.core.seeds import seed_of
from augen.entries import Entry, Question, QuestionItem, letter_of, with_items
from augen.generation.base import Request
from augen.prompts.sections import Example, program_prompt, solve_prompt
from augen.prompts.window import Window
from augen.voting.settings import Mode

Examples = Sequence[Sequence[Example]]  # the worked examples of each question, the most similar last


@dataclass(frozen=True)
class Prompting:
    """What a prompt consists of, and how its completion is sampled: a reasoning or a program, as `mode` says.

    `window` and `adapters` are those of the first generator.
    """

    instruction: str
    window: Window
    seed: int
    temperature: float
    top_p: float
    max_tokens: int
    adapters: int  # that the slots of a mode take in turn; 0: the plain generator
    shuffle_options: bool = False
    keep_thinking: bool = False  # the scorer sees what a model thought before its answer, too
    mode: Mode = "steps"
    others: tuple[tuple[Window, int], ...] = ()  # window and adapters of further generators; slots take turns with all

    @classmethod
    def of(
        cls, p: params.Params, window: Window, adapters: int = 1, others: tuple[tuple[Window, int], ...] = ()
    ) -> Self:
        """How `infer` asks for reasonings, of a generator that has so many `adapters`, and of `others`."""
        return cls(
            instruction=p.prompt.solve,
            window=window,
            seed=p.seed,
            temperature=p.infer.temperature,
            top_p=p.infer.top_p,
            max_tokens=p.infer.max_tokens,
            adapters=adapters if p.infer.adapter else 0,
            others=others,
            shuffle_options=p.infer.shuffle_options,
            keep_thinking=p.prompt.keep_thinking,
        )

    def for_programs(self, p: params.Params) -> "Prompting":
        """How the same generator is asked for programs."""
        return replace(
            self,
            instruction=p.prompt.program,
            temperature=p.infer.program_temperature,
            max_tokens=p.infer.program_max_tokens,
            mode="program",
        )

    def order(self, question: Question, slot: int) -> list[int]:
        """Which option stands at each position in the prompt of `slot`: the identity unless options are shuffled."""
        order = list(range(len(question.item.options)))
        if self.shuffle_options:
            Random(seed_of(self.seed, "options", question.id, slot)).shuffle(order)
        return order

    def shown(self, question: Question, slot: int) -> QuestionItem:
        """The question as the prompt of `slot` shows it."""
        return replace(question.item, options=[question.item.options[i] for i in self.order(question, slot)])

    def request(self, question: Question, examples: Sequence[Example], slot: int, round_: int) -> Request | None:
        """The request for one sample, with as many of `examples` as fit; None if the question alone does not.

        The examples have what is asked for: a reasoning or a program.
        """
        shown = self.shown(question, slot)
        written = program_prompt if self.mode == "program" else solve_prompt
        generators = (self.window, self.adapters), *self.others
        before, number = divmod(slot - 1, len(generators))  # the generator's earlier slots, and which one it is
        window, adapters = generators[number]
        prompt = window.fitted(
            lambda fitting: written(self.instruction, question.problem, shown, fitting), examples, self.max_tokens
        )
        if prompt is None:
            return None
        return Request(
            prompt=prompt,
            seed=self.seed_of(question, slot, round_),
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            adapter=before % adapters + 1 if adapters else 0,
        )

    def seed_of(self, question: Question, slot: int, round_: int) -> int:
        mode = [self.mode] if self.mode == "program" else []
        return seed_of(self.seed, *mode, question.id, slot, round_)

    def answer(self, question: Question, slot: int, text: str) -> str | None:
        """The letter that a reasoning concludes with, in the question's own order of options."""
        return self.own(question, slot, parse_answer(text, len(question.item.options)))

    def own(self, question: Question, slot: int, letter: str | None) -> str | None:
        """The `letter` of an option in the prompt of `slot` as the letter that it has in the question itself."""
        return letter_of(self.order(question, slot)[ord(letter) - ord("A")]) if letter else None


def answered(entries: Iterable[Entry], codes: Iterable[int]) -> Iterator[Entry]:
    """`entries` with their questions' answers, given as letter codes (0 for A), filled in: what is handed in."""
    left = iter(codes)
    for entry in entries:
        yield from with_items([entry], lambda question: replace(question.item, answer=letter_of(next(left))))


def example_lines(questions: Iterable[Question], examples: Examples, programs: Examples) -> Iterator[str]:
    """The lines of ``examples.jsonl``: one per question with its worked examples, the most similar last.

    ``examples`` have reasonings, ``programs`` have programs.
    """
    for question, reasoned, programmed in zip(questions, examples, programs, strict=True):
        record = {
            "split": question.split,
            "question": question.id,
            "examples": [_shown(example, "reasoning") for example in reasoned],
            "programs": [_shown(example, "program") for example in programmed],
        }
        yield json.dumps(record, ensure_ascii=False) + "\n"


def _shown(example: Example, kind: str) -> dict[str, Any]:
    problem, item = example
    return {"problem": problem, **{key: getattr(item, key) for key in ("question", "options", kind, "answer")}}
