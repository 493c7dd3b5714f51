"""Which reasonings of the real generator become lessons: the tiny model on a few of the default questions.

And one more round: lessons that a generator writes with the adapter of an earlier run.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from augen.answers import parse_answer
from augen.core.errors import AugenError
from augen.entries import Entry, QuestionItem, questions
from augen.entries.jsonl import read_jsonl
from augen.generation.base import Completion, IndexedRequest, Sampler
from augen.generation.open import Generator, open_sampler
from augen.generation.sampler import EngineSampler
from augen.reasoning.write import Wanted, Writer, explain_right
from augen.reasoning.writer import open_writer
from augen.store.identity import content_hash
from tests.integration.paid import Repository
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

    def draw(self, requests: Sequence[IndexedRequest], label: str) -> list[Completion]:
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
    done, _ = explain_right(entries, writer, watched, hinted=False, wanted=Wanted(**how))
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


# --- with the adapter of an earlier run


def test_the_generator_writes_with_the_adapter(
    tiny_model: Path, tiny_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGEN_CACHE", str(tmp_path / "responses.sqlite"))
    p = params({"model.generator": str(tiny_model), "engine.max_model_len": 512, "prompt.solve": "解答。"})
    settings = p.reason_true.model_copy(update={"attempts": 2, "max_tokens": 12})
    question = [Entry("甲比乙高。", [QuestionItem("谁最高？", ["乙", "甲"], answer="B")], "p")]
    texts = []
    for adapter in (None, tiny_adapter, tiny_adapter):
        generator = Generator(p.model, p.engine, p.prompt, (adapter,) if adapter else ())
        writer = Writer(p.prompt, settings, generator.window("local"), "tiny", p.seed, adapter is not None)
        with open_sampler("reason_true", "transformers", generator) as sampler:
            watched = Watched(sampler)
            explain_right(question, writer, watched, hinted=False)
            assert isinstance(sampler, EngineSampler)
            texts.append(([c.text for c in watched.drawn[next(iter(watched.drawn))]], sampler.usage.drawn))
    (plain, first), (tuned, second), (again, third) = texts
    assert plain != tuned and tuned == again
    assert (first, second, third) == (2, 2, 0), "its samples are stored, apart from those of the plain generator"


def test_open_writer_names_the_adapter_as_part_of_the_author(
    tiny_model: Path, tiny_adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGEN_CACHE", str(tmp_path / "responses.sqlite"))
    p = params({"model.generator": str(tiny_model)})
    with open_writer("reason_true", p.reason_true, p, str(tiny_adapter)) as (writer, sampler):
        assert (writer.author, writer.adapter) == (f"{tiny_model} with {tiny_adapter}", True)
        assert isinstance(sampler, EngineSampler) and sampler.identity.adapters[0].startswith("sha256:")
    with open_writer("reason_true", p.reason_true, p) as (writer, _):
        assert (writer.author, writer.adapter) == (str(tiny_model), False)
    with (
        pytest.raises(AugenError, match=r"params.yaml: reason_true.adapter: no adapter in models/none; keep one of"),
        open_writer("reason_true", p.reason_true, p, "models/none"),
    ):
        raise AssertionError("opened")


def test_an_adapter_is_kept_and_versioned_by_the_commands_of_the_readme(tiny_adapter: Path, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository", [], {})
    folder = repository.path
    for name in ("dvc.yaml", ".dvcignore", ".dvc/config"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    shutil.copytree(tiny_adapter, folder / "models/adapter")
    for command in (("cp", "-rL", "models/adapter", "models/adapter_1"), ("dvc", "add", "models/adapter_1")):
        done = repository.run(*command, timeout_s=120)
        assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "models/adapter_1.dvc").is_file()
    assert content_hash(folder / "models/adapter_1") == content_hash(tiny_adapter)
    assert "/adapter_1" in (folder / "models/.gitignore").read_text(encoding="utf-8").splitlines()
