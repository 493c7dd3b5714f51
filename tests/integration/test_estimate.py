"""The bill before it comes against the bill: each stage's estimate, then the real stage at a server on this machine."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from augen.core import params
from augen.core.errors import AugenError
from augen.entries.jsonl import write_jsonl
from augen.entries.pickles import dump_pickle
from augen.store.responses import Store, default_path
from demo.base import Settings
from demo.chat import MODELS, OpenAIServer, QianfanServer
from demo.tencent import TencentServer
from stages import reason_false, reason_true, translate
from tests.integration.paid import KEYS, Repository, answer_served, chat_changes, problems
from tools import account
from tools.estimate import Estimate, estimate, main, page
from tools.forecast import Range, total

ROOT = Path(__file__).parents[2]
PRICES = [{"model": model, "prompt": 20.0, "reply": 80.0} for model in MODELS]
STAGES: dict[str, Callable[[], None]] = {
    "translate": translate.main,
    "reason_true": reason_true.main,
    "reason_false": reason_false.main,
    "infer": lambda: answer_served(params.load(*params.Params.model_fields)),
}
TRIAL, ALL = 25, 40  # problems, of two questions each
MANY = 60  # where chance has its part


@pytest.fixture(autouse=True)
def _no_other_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUGEN_CACHE", "DVC_ROOT", *KEYS):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    with OpenAIServer(Settings()) as server:
        yield server


class Place:
    """A repository in which estimates and stages run, in this process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, changes: Mapping[str, Any]) -> None:
        self.repository = Repository(folder, problems(MANY), changes)
        self.monkeypatch = monkeypatch
        monkeypatch.chdir(folder)

    def problems(self, count: int) -> None:
        dump_pickle("data/entries_raw.pkl", problems(count))

    def estimate(self, stage: str) -> Estimate:
        p = params.load(*params.Params.model_fields)
        with Store(default_path()) as store:
            return estimate(stage, p, store)

    def run(self, stage: str) -> dict[str, Any]:
        """Run the stage, with keys; returns what reports/usage.json has of it."""
        with self.monkeypatch.context() as environment:
            for name, value in KEYS.items():
                environment.setenv(name, value)
            STAGES[stage]()
        found: dict[str, Any] = json.loads(Path("reports/usage.json").read_text())[stage]
        return found


def chat(server: OpenAIServer | QianfanServer, stage: str = "reason_true", /, **more: Any) -> dict[str, Any]:
    provider = f"providers.{server.name}"
    priced = {f"{provider}.prices": PRICES, f"{provider}.timeout_s": 60.0, "reason_false.limit": None, **more}
    return chat_changes(server.name, server.url, stage, **priced)


def sums(found: Estimate) -> tuple[Range, Range, Range, Range]:
    """Requests, tokens or characters in, tokens out, cost."""
    lines = found.lines
    costs = [line.cost for line in lines if line.cost]
    return (
        total([line.requests for line in lines]),
        total([line.sent for line in lines]),
        total([line.replied for line in lines]),
        total(costs),
    )


def assert_within(found: Estimate, used: dict[str, Any], exact: bool) -> None:
    """All figures within 5 % of what was `used`, or else within their own range."""
    paid = used["paid"]
    sent = paid["characters"] or paid["prompt_tokens"]
    for estimated, taken in zip(sums(found), (used["requests"], sent, paid["tokens"], paid["cost"]), strict=True):
        if exact:
            assert estimated.likely == pytest.approx(taken, rel=0.05), (estimated, taken)
        else:
            assert estimated.low <= taken <= estimated.high, (estimated, taken)


def test_reasonings_that_need_no_second_attempt(
    openai: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(tmp_path / "repo", monkeypatch, chat(openai))
    place.problems(TRIAL)
    unseen = place.estimate("reason_true")
    assert openai.arrivals == [] and sums(unseen)[0].low == 2 * TRIAL
    assert_within(unseen, place.run("reason_true"), exact=False)

    place.problems(ALL)
    seen = place.estimate("reason_true")
    used = place.run("reason_true")
    assert round(sums(seen)[0].likely) == sums(seen)[0].low == used["requests"] == 2 * (ALL - TRIAL)
    assert sum(line.stored for line in seen.lines) == used["from_store"]["answers"] == 2 * TRIAL
    assert_within(seen, used, exact=True)

    capsys.readouterr()
    assert main(["reason_true"]) == 0
    assert "everything is stored, nothing is to be sent" in capsys.readouterr().out

    # Of a model that was seen, what another stage takes is known from there.
    place.repository.configure(chat(openai, "reason_false", **{"reason_false.attempts": 1}))
    other = place.estimate("reason_false")
    assert {line.known for line in other.lines} == {"expected from replies in reason_true"}
    assert_within(other, place.run("reason_false"), exact=True)


@pytest.mark.parametrize("negatives", ["hinted", "sampled"])
def test_attempts_come_from_the_stage_s_own_success(
    openai: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, negatives: str
) -> None:
    openai.wrong, openai.mute = 0.15, 0.05
    changes = chat(openai, "reason_false", **{"reason_false.negatives": negatives})
    place = Place(tmp_path / "repo", monkeypatch, changes)
    place.problems(MANY // 2)  # chance has its part in how often they succeed
    assert_within(place.estimate("reason_false"), place.run("reason_false"), exact=False)
    place.problems(MANY)
    seen = place.estimate("reason_false")
    used = place.run("reason_false")
    assert_within(seen, used, exact=False)
    assert_within(seen, used, exact=True)
    if negatives == "sampled":
        assert sums(seen)[0].low >= 2 * 2 * (MANY - MANY // 2), "a wrong text and a right one are never the same"


def test_translation_there_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TencentServer(Settings()) as server:
        limits = {"providers.tencent.requests_per_second": None, "providers.tencent.characters_per_request": 400}
        changes = {"translate.backend": "tencent", "translate.limit": TRIAL, **limits}
        place = Place(tmp_path / "repo", monkeypatch, {**changes, "providers.tencent.base_url": server.url})
        assert_within(place.estimate("translate"), place.run("translate"), exact=False)
        place.repository.configure({**changes, "translate.limit": None, "providers.tencent.base_url": server.url})
        seen = place.estimate("translate")
        used = place.run("translate")
        assert seen.currency == "CNY" and sums(seen)[0].likely == used["requests"]
        assert_within(seen, used, exact=True)


@pytest.mark.parametrize("method", ["paraphrase", "round_trip"])
def test_rewriting_by_a_chat_model(
    openai: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    changes: dict[str, Any] = {
        "translate.backend": "llm",
        "translate.llm.method": method,
        "translate.llm.models": [MODELS[0]],
    }
    changes |= {"providers.openai.base_url": f"{openai.url}/v1", "providers.openai.prices": PRICES}
    place = Place(tmp_path / "repo", monkeypatch, {**changes, "translate.limit": TRIAL})
    assert_within(place.estimate("translate"), place.run("translate"), exact=False)
    place.repository.configure({**changes, "translate.limit": ALL})
    seen = place.estimate("translate")
    used = place.run("translate")
    assert_within(seen, used, exact=True)
    assert round(sums(seen)[0].likely) == used["requests"]


def test_copies_that_are_not_there_yet_are_estimated_and_may_not_come(
    openai: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path / "repo", monkeypatch, chat(openai, **{"translate.limit": 10}))
    Path("data/entries_aug.pkl").unlink()
    place.problems(TRIAL)
    found = place.estimate("reason_true")
    assert sums(found)[0].low == 2 * TRIAL and sums(found)[0].high == 3 * 2 * (TRIAL + 10)
    assert "translate has not run yet" in found.notes[0]
    Path("data/entries_raw.pkl").unlink()
    assert place.estimate("reason_true").notes == [
        "data/entries_raw.pkl is not there yet: run `dvc repro prepare` first"
    ]


def served(server: OpenAIServer, **more: Any) -> dict[str, Any]:
    """Answers by one chat model, without examples."""
    return {
        "providers.openai.base_url": f"{server.url}/v1", "providers.openai.prices": PRICES,
        "infer.engine": "openai", "infer.models": [MODELS[0]], "infer.adapter": False, "prompt.chat_template": True,
        "rag.k": 0, "voters": 3, "max_resample": 1, "prepare.test": "data/test.jsonl", **more,
    }  # fmt: skip


def asked(dev: int) -> None:
    for name, count in (("dev", dev), ("test", 1), ("votes", 1)):
        write_jsonl(f"data/{name}.jsonl", problems(count + 1)[1:] if name == "dev" else problems(1))


def test_served_answers_of_a_model_never_asked(
    openai: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots and redraws, before there is a scorer; programs are another kind of text."""
    by_program = {"infer.programs": 1, "infer.program_weight": 3.0, "providers.openai.prices": []}
    place = Place(tmp_path / "repo", monkeypatch, served(openai, **by_program))
    asked(9)
    found = place.estimate("infer")
    by_kind = {line.kind: line.requests for line in found.lines}
    assert by_kind == {"texts": Range(60, 90, 120), "programs": Range(20, 30, 40)}
    assert all(line.cost is None for line in found.lines)
    text = page([found], params.load(*params.Params.model_fields))
    assert "no price" in text and "no price is known" in text


@pytest.mark.parametrize("adaptive", [False, True])
def test_served_answers(openai: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adaptive: bool) -> None:
    """Redraws; slots that are drawn only where those before them do not agree, with programs among them."""
    openai.wrong, openai.mute = 0.2, 0.1
    more = {"infer.adaptive": adaptive, "infer.shuffle_options": True, "infer.program_weight": 2.0}
    place = Place(tmp_path / "repo", monkeypatch, served(openai, **more, **{"infer.programs": int(adaptive)}))
    asked(TRIAL)
    unseen = place.estimate("infer")
    assert sums(unseen)[0].low == 2 * (TRIAL + 1) * (1 if adaptive else 3)
    assert_within(unseen, place.run("infer"), exact=False)
    asked(MANY if adaptive else ALL)
    seen = place.estimate("infer")
    used = place.run("infer")
    assert_within(seen, used, exact=False)
    assert_within(seen, used, exact=True)
    assert place.estimate("infer").lines[0].requests == Range(0, 0, 0)


def test_a_generator_here_and_a_served_one_share_the_slots(
    openai: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four slots two are paid for. What is drawn here costs nothing, and is said."""
    both = {"model.generator": str(ROOT / "models/tiny/generator"), "infer.engine": "transformers", "voters": 4}
    other = {"generator": MODELS[0], "engine": "openai", "chat_template": True}
    more = {"infer.others": [other], "infer.models": [], "prompt.chat_template": False}
    place = Place(tmp_path / "repo", monkeypatch, served(openai) | both | more | {"max_resample": 0})
    asked(9)
    write_jsonl("data/votes.jsonl", problems(MANY)[-1:])  # by which the two are weighed
    found = place.estimate("infer")
    assert [line.requests for line in found.lines] == [Range(44, 44, 44)]
    assert found.notes[-1] == "44 further samples are to be drawn on this machine"
    assert_within(found, place.run("infer"), exact=False)
    again = place.estimate("infer")
    assert [line.requests for line in again.lines] == [Range(0, 0, 0)]
    assert "on this machine" not in " ".join(again.notes)


# --- the screens, and a budget, with the real stage


def test_a_budget_ends_the_stage_and_the_account_says_what_it_cost(
    openai: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slots = {"providers.openai.concurrency": 4, "providers.openai.currency": "CNY"}
    place = Place(tmp_path / "repo", monkeypatch, chat(openai, **slots, **{"providers.openai.budget": 0.1}))
    place.problems(TRIAL)
    with pytest.raises(AugenError, match=r"of 50 are done; .* of 0\.1 CNY are spent.*are left and would cost about"):
        place.run("reason_true")
    first = len(openai.arrivals)
    each = json.loads(Path("reports/usage.json").read_text())["reason_true"]["paid"]["cost"] / first
    assert 0.1 - each <= first * each <= 0.1
    with pytest.raises(AugenError, match=r"providers\.openai\.budget"):
        place.run("reason_true")
    assert len(openai.arrivals) == first
    place.repository.configure(chat(openai, **slots, **{"providers.openai.budget": 10.0}))
    used = place.run("reason_true")
    assert used["requests"] == 2 * TRIAL - first and set(openai.answered.values()) == {1}

    capsys.readouterr()
    assert account.main([]) == 0
    said = capsys.readouterr().out
    cost = f"{each * 2 * TRIAL:.2f}"
    assert f"openai: {cost} CNY spent" in said and "reason_true" in said and MODELS[0] in said


def test_several_currencies_are_never_added_up(
    openai: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    qianfan = {
        "reason_false.backend": "qianfan",
        "reason_false.models": list(MODELS),
        "providers.qianfan.prices": PRICES,
    }
    place = Place(tmp_path / "repo", monkeypatch, chat(openai, **qianfan, **{"reason_false.negatives": "hinted"}))
    place.problems(TRIAL)
    assert main([]) == 0
    said = capsys.readouterr().out
    [line] = [line for line in said.splitlines() if line.startswith("All together")]
    assert " CNY and " in line and line.endswith(" USD")
    assert "On this machine:" in said and "infer" in said and "run `dvc repro prepare` first" in said
