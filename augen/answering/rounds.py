"""The round loop: draw samples for all open slots of all questions at once, score them, vote.

Decisions are `augen.voting.scalar`'s (which slots to draw, which answer wins); here data only move::

    asked → draws (voting.next_draws) → prompts → completions (Sampler) → answers, scores → draws …
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from augen.answers import parse_answer
from augen.core.seeds import seed_of
from augen.entries import Entry, QuestionItem, Solution, letter_of, question_id
from augen.generation.base import Completion, Request, Sampler
from augen.prompts.sections import Example, solve_prompt
from augen.prompts.window import Window
from augen.voting.scalar import UNKNOWN_CERTAINTY, Decision, Sample, decide, next_draws
from augen.voting.vote import Method, Resample

Split = Literal["dev", "test"]


@dataclass(frozen=True)
class Asked:
    """A question to be answered, with the worked examples of its prompt."""

    id: str
    split: Split
    problem: str
    item: QuestionItem
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Drawn:
    """One line of ``samples.jsonl``."""

    split: Split
    question: str
    slot: int
    round: int
    seed: int
    text: str
    answer: str | None
    score: float | None
    accepted: bool
    tokens: int
    finish: Literal["stop", "length"]
    confidence: int | None = None  # augen.voting.scalar.Sample says what it is


@dataclass(frozen=True)
class Sampling:
    """How one sample is asked for."""

    instruction: str
    window: Window
    seed: int
    temperature: float
    top_p: float
    max_tokens: int
    adapter: bool
    shuffle_options: bool = False

    def order(self, asked: Asked, slot: int) -> list[int]:
        """Which option stands at each position in the prompt of `slot`: the identity unless options are shuffled."""
        order = list(range(len(asked.item.options)))
        if self.shuffle_options:
            Random(seed_of(self.seed, "options", asked.id, slot)).shuffle(order)
        return order

    def shown(self, asked: Asked, slot: int) -> QuestionItem:
        """The question as the prompt of `slot` shows it."""
        return replace(asked.item, options=[asked.item.options[i] for i in self.order(asked, slot)])

    def request(self, asked: Asked, slot: int, round_: int) -> Request | None:
        """The request for one sample, with as many of the examples as fit; None if the question alone does not."""
        shown = self.shown(asked, slot)
        prompt = self.window.fitted(
            lambda examples: solve_prompt(self.instruction, asked.problem, shown, examples),
            asked.examples,
            self.max_tokens,
        )
        if prompt is None:
            return None
        return Request(
            prompt=prompt,
            seed=self.seed_of(asked, slot, round_),
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            adapter=self.adapter,
        )

    def seed_of(self, asked: Asked, slot: int, round_: int) -> int:
        return seed_of(self.seed, asked.id, slot, round_)

    def answer(self, asked: Asked, slot: int, text: str) -> str | None:
        """The parsed letter, mapped back to the question's own order of options."""
        letter = parse_answer(text, len(asked.item.options))
        return letter_of(self.order(asked, slot)[ord(letter) - ord("A")]) if letter else None


@dataclass(frozen=True)
class Rounds:
    """How many samples a question gets, and which of them count."""

    voters: int
    max_resample: int
    threshold: float
    resample: Resample
    adaptive: bool
    certainty: float = UNKNOWN_CERTAINTY


ScoreMany = Callable[[Sequence[Solution]], Sequence[float | None]]


def unscored(samples: Sequence[Solution]) -> list[None]:
    """No scorer: every sample with an answer is accepted."""
    return [None] * len(samples)


def questions_of(
    entries: Sequence[Entry], split: Split, examples: Sequence[Sequence[Example]] | None = None
) -> list[Asked]:
    """The questions of `entries` in order; ``examples[i]`` belong to the i-th of them."""
    flat = [(question_id(e, i), e.problem, item) for e in entries for i, item in enumerate(e.questions)]
    shots = examples if examples is not None else [()] * len(flat)
    return [
        Asked(key, split, problem, item, tuple(found)) for (key, problem, item), found in zip(flat, shots, strict=True)
    ]


def run_rounds(
    questions: Sequence[Asked], sampling: Sampling, rounds: Rounds, sampler: Sampler, score: ScoreMany
) -> list[list[Drawn]]:
    """All samples of every question, in the order of `questions`, by round and slot.

    A question that is too long for the generator, even without examples, gets empty samples, which have no answer.
    """
    history: list[list[Drawn]] = [[] for _ in questions]
    firsts: list[float] = []  # log-probabilities of the first sample of each question, in ascending order
    number = 0
    while draws := _open_draws(history, rounds):
        number += 1
        completions = _complete(questions, draws, sampling, sampler, f"round {number}: {len(draws):,} samples")
        reasonings = [
            Solution(questions[q].problem, sampling.shown(questions[q], slot), completion.text)
            for (q, slot, _), completion in zip(draws, completions, strict=True)
        ]
        scores = score(reasonings)
        if number == 1:
            drawn = zip(draws, completions, strict=True)
            logprobs = [c.logprob for (_, slot, _), c in drawn if slot == 1]
            firsts = _comparable(logprobs)
            if rounds.adaptive and None in logprobs:
                print(
                    f"{logprobs.count(None):,} of {len(logprobs):,} questions have a first sample without "
                    f"log-probability: they stop at a certainty of {max(rounds.certainty, UNKNOWN_CERTAINTY)}"
                )
        for (q, slot, round_), completion, value in zip(draws, completions, scores, strict=True):
            history[q].append(_drawn(questions[q], slot, round_, sampling, completion, value, rounds.threshold, firsts))
    return [sorted(drawn, key=lambda d: (d.round, d.slot)) for drawn in history]


def _complete(
    questions: Sequence[Asked], draws: Sequence[tuple[int, int, int]], sampling: Sampling, sampler: Sampler, label: str
) -> list[Completion]:
    """The completion of each ``(question, slot, round)``; an empty one where the question does not fit."""
    requests = [sampling.request(questions[q], slot, round_) for q, slot, round_ in draws]
    fitting = [
        (request, {"slot": slot, "round": round_})
        for request, (_, slot, round_) in zip(requests, draws, strict=True)
        if request
    ]
    drawn = iter(sampler.draw(fitting, label))
    if too_long := len({q for request, (q, _, _) in zip(requests, draws, strict=True) if not request}):
        print(f"{too_long} questions are too long for engine.max_model_len and get no sample")
    return [next(drawn) if request else Completion("", 0, "length") for request in requests]


def _drawn(
    asked: Asked,
    slot: int,
    round_: int,
    sampling: Sampling,
    completion: Completion,
    score: float | None,
    threshold: float,
    firsts: Sequence[float],
) -> Drawn:
    answer = sampling.answer(asked, slot, completion.text)
    return Drawn(
        split=asked.split,
        question=asked.id,
        slot=slot,
        round=round_,
        seed=sampling.seed_of(asked, slot, round_),
        text=completion.text,
        answer=answer,
        score=score,
        accepted=Sample(answer, score).accepted(threshold),
        tokens=completion.tokens,
        finish=completion.finish,
        confidence=confidence_of(completion.logprob, firsts),
    )


def confidence_of(logprob: float | None, firsts: Sequence[float]) -> int | None:
    """How sure a sample is beside the first ones of all questions: the percentage of `firsts`, in ascending order, that
    are below its own `logprob`, an equal one counting half. None where either is not known.

    How sure a model is depends on the model and the kind of text, so only its own texts are compared.

    >>> confidence_of(-0.3, [-0.9, -0.4, -0.2, -0.1]), confidence_of(-0.9, [-0.9]), confidence_of(None, [-0.9])
    (50, 50, None)
    """
    if logprob is None or not firsts:
        return None
    return 100 * (bisect_left(firsts, logprob) + bisect_right(firsts, logprob)) // (2 * len(firsts))


def _comparable(logprobs: Sequence[float | None]) -> list[float]:
    """Those that are known, in ascending order; none where they are fewer than half: they would be no fair sample."""
    known = sorted(logprob for logprob in logprobs if logprob is not None)
    return known if 2 * len(known) >= len(logprobs) else []


def _open_draws(history: Sequence[Sequence[Drawn]], rounds: Rounds) -> list[tuple[int, int, int]]:
    """``(question, slot, round)`` of every sample to be drawn now."""
    return [
        (q, slot, round_)
        for q, drawn in enumerate(history)
        for slot, round_ in next_draws(_votes(drawn), **vars(rounds))
    ]


def _votes(drawn: Sequence[Drawn]) -> list[Sample]:
    return [Sample(d.answer, d.score, d.slot, d.round, d.confidence) for d in drawn]


def decisions(
    history: Sequence[Sequence[Drawn]],
    questions: Sequence[Asked],
    method: Method,
    fallback: str,
    threshold: float,
) -> dict[str, Decision]:
    """The answer to every question by id. A fallback beyond a question's options becomes its last letter."""
    return {
        asked.id: decide(_votes(drawn), method, min(fallback, letter_of(len(asked.item.options) - 1)), threshold)
        for asked, drawn in zip(questions, history, strict=True)
    }


def answered(entries: Sequence[Entry], answers: dict[str, Decision]) -> list[Entry]:
    """`entries` with the answers filled in: what is handed in."""
    return [
        replace(
            entry,
            questions=[
                replace(item, answer=answers[question_id(entry, i)].answer) for i, item in enumerate(entry.questions)
            ],
        )
        for entry in entries
    ]


def samples_jsonl(history: Sequence[Sequence[Drawn]]) -> Iterator[str]:
    """The lines of ``samples.jsonl``: one per sample, questions in their order, then rounds, then slots."""
    return (json.dumps(vars(drawn), ensure_ascii=False) + "\n" for samples in history for drawn in samples)


def examples_jsonl(questions: Sequence[Asked]) -> Iterator[str]:
    """The lines of ``examples.jsonl``: one per question with its worked examples, the most similar last."""
    return (
        json.dumps(
            {"split": asked.split, "question": asked.id, "examples": _solved(asked.examples)}, ensure_ascii=False
        )
        + "\n"
        for asked in questions
    )


def _solved(examples: Sequence[Example]) -> list[dict[str, object]]:
    return [
        {"problem": problem, **{name: getattr(item, name) for name in ("question", "options", "reasoning", "answer")}}
        for problem, item in examples
    ]
