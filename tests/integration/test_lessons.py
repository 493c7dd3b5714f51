"""Which reasonings of the real generator become lessons: the tiny model on a few of the default questions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from augen.answers import parse_answer
from augen.entries import Entry, QuestionItem, questions
from augen.entries.jsonl import read_jsonl
from augen.generation.base import Completion, IndexedRequest, Sampler
from augen.generation.open import Generator, open_sampler
from augen.reasoning.write import Writer, explain_right
from tests.params import params

ROOT = Path(__file__).parents[2]
ATTEMPTS = 3
CHANGES = {
    "model.generator": str(ROOT / "models/tiny/generator"),
    "reason_true.attempts": ATTEMPTS,
    "reason_true.max_tokens": 160,
}


class Watched:
    """A sampler that remembers what was drawn, attempt by attempt, for each prompt."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self.drawn: dict[str, list[Completion]] = {}

    def draw(self, requests: list[IndexedRequest], label: str) -> list[Completion]:
        completions = self.sampler.draw(requests, label)
        for (request, _), completion in zip(requests, completions, strict=True):
            self.drawn.setdefault(request.prompt, []).append(completion)
        return completions

    def close(self) -> None:
        self.sampler.close()


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return read_jsonl(ROOT / "data/raw/train.jsonl", answers="required")[:4]


@pytest.fixture(scope="module")
def sampler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampler]:
    p = params(CHANGES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUGEN_CACHE", str(tmp_path_factory.mktemp("lessons") / "responses.sqlite"))
        with open_sampler("reason_true", "transformers", Generator(p.model, p.engine, p.prompt)) as sampler:
            yield sampler


def lessons(entries: list[Entry], sampler: Sampler, **how: Any) -> tuple[list[QuestionItem], list[list[Completion]]]:
    """The items of `entries` with their lessons, and for each what was drawn."""
    p = params(CHANGES)
    writer = Writer(p.prompt, p.reason_true, Generator(p.model, p.engine, p.prompt).window("local"), "tiny", p.seed)
    watched = Watched(sampler)
    done, _ = explain_right(entries, writer, watched, hinted=False, **how)
    return [question.item for question in questions(done)], list(watched.drawn.values())


def right(item: QuestionItem, drawn: list[Completion]) -> list[Completion]:
    return [c for c in drawn if parse_answer(c.text, len(item.options)) == item.answer]


def test_the_generator_is_surest_of_the_one_that_is_kept(entries: list[Entry], sampler: Sampler) -> None:
    items, drawn = lessons(entries, sampler, choose="likeliest")
    assert all(len(attempts) == ATTEMPTS for attempts in drawn)
    changed = 0
    for item, attempts in zip(items, drawn, strict=True):
        texts = right(item, attempts)
        assert all(text.logprob is not None for text in texts)
        means = {text.text.strip(): text.logprob for text in texts}
        assert (item.reasoning is None) == (not texts)
        if item.reasoning:
            assert means[item.reasoning] == max(means.values(), key=lambda mean: mean or 0.0)
            changed += item.reasoning != texts[0].text.strip()
    assert changed, "somewhere the first right one is not the likeliest"


def test_lessons_of_uncertain_questions_alone(entries: list[Entry], sampler: Sampler) -> None:
    items, drawn = lessons(entries, sampler, only_uncertain=True)
    counts = [len(right(item, attempts)) for item, attempts in zip(items, drawn, strict=True)]
    assert [item.reasoning is not None for item in items] == [0 < count < ATTEMPTS for count in counts]
    assert {0 < count < ATTEMPTS for count in counts} == {True, False}


def test_the_default_stops_at_the_first_right_one(entries: list[Entry], sampler: Sampler) -> None:
    items, drawn = lessons(entries, sampler)
    for item, attempts in zip(items, drawn, strict=True):
        assert [right(item, [attempt]) != [] for attempt in attempts[:-1]] == [False] * (len(attempts) - 1)
        assert item.reasoning == (attempts[-1].text.strip() if right(item, attempts) else None)
    assert sum(map(len, drawn)) < ATTEMPTS * len(items)
