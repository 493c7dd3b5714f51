"""One contract for everything that `infer` can sample from: vLLM, transformers, and vLLM's OpenAI server.

All of them have the model in models/tiny/generator, get the prompts of real questions through the real store, and must
write the same.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from augen.answering.questions import Prompting
from augen.answering.rounds import Rounds, unscored
from augen.answers import parse_answer
from augen.core.params import Params
from augen.entries import Question
from augen.entries import questions as questions_in
from augen.entries.jsonl import read_jsonl
from augen.generation.base import Completion, IndexedRequest, Request, Sampler
from augen.generation.open import Generator, open_sampler
from augen.prompts.window import Window
from augen.store.responses import Store
from augen.voting.settings import VotingSettings
from tests.integration.vllm_server import KEY, NAME, served
from tests.params import params

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("vllm"), reason="vllm is not installed")

ROOT = Path(__file__).parents[2]
GENERATOR = ROOT / "models/tiny/generator"
MAX_MODEL_LEN = 600
NEW = 48
ONCE = VotingSettings(voters=2)
PLACE = {"slot": 1, "round": 0}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(GENERATOR, MAX_MODEL_LEN, tmp_path_factory.mktemp("served") / "log.txt") as url:
        yield url


@dataclass(frozen=True)
class Setup:
    """An engine as params.yaml names it, and the model that all of them have."""

    name: str
    params: Params

    @property
    def generator(self) -> Generator:
        return Generator(self.params.model, self.params.engine, self.params.prompt)

    @property
    def window(self) -> Window:
        return self.generator.window(self.name)

    def open(self) -> AbstractContextManager[Sampler]:
        return open_sampler("infer", self.name, self.generator, self.params.providers, self.params.infer.models)

    def draw(self, requests: Sequence[IndexedRequest]) -> list[Completion]:
        with self.open() as sampler:
            return sampler.draw(requests, "test")


@pytest.fixture(scope="module", params=["transformers", "vllm", "openai"])
def setup(request: pytest.FixtureRequest) -> Setup:
    changes: dict[str, Any] = {
        "model.generator": str(GENERATOR),
        "engine.max_model_len": MAX_MODEL_LEN,
        "engine.batch_size": 8,
        "infer.engine": request.param,
        "infer.adapter": False,
    }
    if request.param == "openai":
        url = request.getfixturevalue("server")
        changes |= {"infer.models": [NAME], "providers.openai.base_url": url, "providers.openai.concurrency": 8}
        changes["providers.openai.logprobs"] = True
    return Setup(request.param, params(changes))


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUGEN_CACHE", str(tmp_path / "responses.sqlite"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    return questions_in(read_jsonl(ROOT / "data/raw/train.jsonl", answers="required")[:4], "dev")


def sampling(window: Window, **changes: Any) -> Prompting:
    greedy = Prompting("请解答下面的逻辑单选题。", window, 1, temperature=0.0, top_p=1.0, max_tokens=NEW, adapters=0)
    return replace(greedy, **changes)


@pytest.fixture(scope="module")
def requests(questions: list[Question]) -> list[Request]:
    """The greedy prompt of every question."""
    p = params({"model.generator": str(GENERATOR)})
    window = Window(p.model, chat_template=False, max_model_len=MAX_MODEL_LEN)
    found = [sampling(window).request(asked, (), 1, 0) for asked in questions]
    return [request for request in found if request]


@pytest.fixture(scope="module")
def reference(requests: list[Request]) -> list[tuple[str, int]]:
    """What ``model.generate`` writes after each prompt, alone, and how many tokens that are."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(GENERATOR)
    model: Any = AutoModelForCausalLM.from_pretrained(GENERATOR, dtype="float32")
    written = []
    for request in requests:
        prompt = tokenizer(request.prompt, return_tensors="pt")
        out = model.generate(**prompt, do_sample=False, max_new_tokens=request.max_tokens)
        new = out[0, prompt.input_ids.shape[1] :]
        written.append((tokenizer.decode(new, skip_special_tokens=True), len(new)))
    return written


def items(requests: Sequence[Request]) -> list[IndexedRequest]:
    return [(request, PLACE) for request in requests]


def stored() -> int:
    with Store(Path("responses.sqlite").absolute()) as store:
        return int(store._connection.execute("SELECT count(*) FROM responses").fetchone()[0])


def test_greedy_is_what_generate_writes(
    setup: Setup, requests: list[Request], reference: list[tuple[str, int]]
) -> None:
    assert len({text for text, _ in reference}) > 2, "the prompt matters"
    drawn = setup.draw(items(requests))
    assert [(completion.text, completion.tokens) for completion in drawn] == reference
    assert all(completion.logprob is not None and -3 < completion.logprob < 0 for completion in drawn)
    ended = ["length" if tokens == NEW else "stop" for _, tokens in reference]
    assert [completion.finish for completion in drawn] == ended


def test_the_seed_decides_and_a_sample_can_be_drawn_again(
    setup: Setup, requests: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled = [replace(request, temperature=2.0, seed=seed) for request in requests for seed in range(3)]
    first = setup.draw(items(sampled))
    assert len({completion.text for completion in first}) > len(requests), "another seed, another text"
    monkeypatch.setenv("AUGEN_CACHE", str(Path("another.sqlite").absolute()))
    again = setup.draw(items(sampled[::-1]))[::-1]
    differing = sum(one != other for one, other in zip(first, again, strict=True))
    assert differing <= 1, "rounding may tip a token in a batch of another shape; it must stay the exception"


def test_what_is_stored_is_not_drawn_again_and_other_samples_are(setup: Setup, requests: list[Request]) -> None:
    base = replace(requests[0], temperature=1.0, max_tokens=2)
    different: list[IndexedRequest] = [
        (base, PLACE),
        (base, {"slot": 2, "round": 0}),
        (base, {"slot": 1, "round": 1}),
        (replace(base, seed=9), PLACE),
        (replace(base, temperature=0.5), PLACE),
        (replace(base, top_p=0.5), PLACE),
        (replace(base, max_tokens=1), PLACE),
        (replace(base, prompt=requests[1].prompt), PLACE),
    ]
    first = setup.draw(different)
    assert stored() == len(different)
    assert setup.draw(different) == first
    assert stored() == len(different)
    assert [completion.finish for completion in first] == ["length"] * len(different)
    assert [completion.tokens for completion in first] == [2, 2, 2, 2, 2, 2, 1, 2]


def test_the_round_loop_gets_the_same_answers(
    setup: Setup, questions: list[Question], reference: list[tuple[str, int]]
) -> None:
    long = replace(questions[0], id="long#1", problem="甲比乙高。" * 300)
    with setup.open() as sampler:
        asked_for = [*questions, long]
        rounds = Rounds(asked_for, [()] * len(asked_for), sampling(setup.window), ONCE)
        *history, empty = rounds.run(sampler, unscored).samples
    for asked, drawn, (text, tokens) in zip(questions, history, reference, strict=True):
        answer = parse_answer(text, len(asked.item.options))
        assert [(d.slot, d.text, d.tokens, d.answer) for d in drawn] == [(s, text, tokens, answer) for s in (1, 2)]
    assert [(d.text, d.tokens, d.answer) for d in empty] == [("", 0, None)] * 2, "too long for the window"


def test_a_released_sampler_draws_again(
    setup: Setup, requests: list[Request], reference: list[tuple[str, int]]
) -> None:
    """What `infer.share_device: false` does between rounds."""
    with setup.open() as sampler:
        for part in (slice(0, 2), slice(2, 4)):
            drawn = sampler.draw(items(requests[part]), "test")
            assert [(completion.text, completion.tokens) for completion in drawn] == reference[part]
            sampler.close()


def test_a_server_says_that_a_prompt_is_too_long(server: str) -> None:
    """Where a character is more than a token, the server notices what the window does not; the others go on."""
    setup = Setup("openai", params({
        "infer.engine": "openai", "infer.adapter": False, "infer.models": [NAME], "providers.openai.base_url": server,
        "providers.max_refused": 0.5,
    }))  # fmt: skip
    fitting = Request("### 题目\n", 1, 0.0, 1.0, 4)
    good, refused = setup.draw(items([fitting, replace(fitting, prompt="甲比乙高。" * 300)]))
    assert good.tokens == 4 and good.refused is None
    assert refused.text == "" and "HTTP 400" in str(refused.refused)
