"""What a plan makes of what the store holds: answers, and refusals, which are none."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from augen.core.params import Price
from augen.entries import QuestionItem
from augen.generation.base import UNASKED
from augen.generation.planning import FEW, Asked, Plan, PlanningRunner, Seen
from augen.generation.served.prices import by_tokens
from augen.generation.served.runner import Call
from augen.prompts.sections import program_prompt, solve_prompt
from augen.store.responses import Store
from tests.params import params
from tools.estimate import Estimate, page, prices_of
from tools.forecast import Forecast, Range, _cost, forecasts

REFUSAL = {"text": "", "finish": "stop", "author": "m", "prompt_tokens": 0, "tokens": 0, "cause": "filtered"}
REPLY = 30  # tokens
LONG = 100  # characters of a prompt, and tokens of it


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "responses.sqlite") as store:
        yield store


def chats(first: int, last: int, model: str = "m") -> list[Call]:
    payload = {"model": model, "messages": [{"role": "user", "content": "问" * LONG}]}
    return [Call(f"key {n}", payload, LONG, LONG + 500, subject=f"prompt {n}") for n in range(first, last)]


def stored(store: Store, answered: int, refused: int) -> list[Call]:
    """Calls whose first ones are answered, the next ones refused, and the last one is open."""
    answer = {"text": "答", "author": "m", "prompt_tokens": LONG, "tokens": REPLY}
    refusal = {**REFUSAL, "refused": "违规"}
    store.put_many({f"key {n}": answer if n < answered else refusal for n in range(answered + refused)})
    return chats(0, answered + refused + 1)


def forecast(plan: Plan) -> Forecast:
    [found] = forecasts(plan, "stage", {}, lambda answer: float(answer["tokens"]), {})
    return found


def test_a_stored_refusal_is_one(store: Store) -> None:
    plan = Plan()
    runner = PlanningRunner(store, plan)
    runner.fetch([[call] for call in stored(store, 2, 1)])
    assert set(runner.answers) == {"key 0", "key 1"} and runner.refused == {"key 2": "违规", "key 3": UNASKED}
    assert forecast(plan).stored == 3 and forecast(plan).requests == (1, 1, 1)


def test_of_refusals_alone_nothing_is_learned(store: Store) -> None:
    plan = Plan()
    PlanningRunner(store, plan).fetch([[call] for call in stored(store, 0, 3 * FEW)])
    assert forecast(plan).known.startswith("never asked so far") and forecast(plan).replied.likely == 500


def test_as_many_requests_as_so_far_will_be_refused_and_cost_nothing(store: Store) -> None:
    plan = Plan()
    PlanningRunner(store, plan).fetch([[call] for call in stored(store, 3 * FEW, FEW)])
    assert forecast(plan).known == "expected from the replies that this stage has already"
    assert forecast(plan).replied.likely == 0.75 * REPLY and forecast(plan).sent.likely == 0.75 * LONG


def test_a_refused_text_has_no_translation(store: Store) -> None:
    """Translations are as long as those that there are, and what is refused is not sent again."""
    plan = Plan()
    runner = PlanningRunner(store, plan)
    texts = [Call(f"text {n}", {"text": "问" * 10}, characters=10) for n in range(3)]
    store.put_many({"text 0": {"text": "ロ" * 20, "characters": 10}, "text 1": {**REFUSAL, "refused": "违规"}})
    runner.look_up(texts)
    assert "text 1" in runner.refused and (plan.packs.before, plan.packs.after, plan.packs.stored) == (10, 20, 2)

    async def both() -> None:
        runner.start([texts[1], texts[2]])
        runner.start([texts[1]])

    runner.run(both, total=3)
    assert (plan.packs.requests, plan.packs.characters) == (1, 10)
    assert runner.answers["text 2"]["text"] == "问" * 10 + "译" * 10


@pytest.mark.parametrize(
    ("seen", "shares"),
    [
        (Seen(), (1.0, 0.0, 0.0)),
        (Seen(answers=100, prompt_tokens=1000, cached_tokens=500), (0.8, 0.5, 0.0)),
        (Seen(answers=100, prompt_tokens=1000), (0.0, 0.0, 0.0)),
    ],
)
def test_prompts_are_taken_to_be_cached_as_far_as_they_were_and_for_the_highest_cost_not_at_all(
    store: Store, seen: Seen, shares: tuple[float, float, float]
) -> None:
    """With 25 requests to come the mean of 125 is off by 3 · √(0.5² · (1/100 + 1/25)) at the most, 0.34."""
    plan = Plan()
    PlanningRunner(store, plan).fetch([[call] for call in chats(0, 25)])
    plan.seen["texts", "m"] = seen
    sent: list[tuple[float, float]] = []

    def cost(answer: Mapping[str, Any]) -> float:
        sent.append((answer["cached_tokens"], answer["prompt_tokens"]))
        return 0.0

    forecasts(plan, "stage", {}, cost, {})
    assert [cached / whole for cached, whole in sent] == pytest.approx(shares, abs=0.04)


def test_rounds_are_counted_in_which_something_is_asked_for(store: Store) -> None:
    plan = Plan()
    runner = PlanningRunner(store, plan)
    *answered, lacking = stored(store, 3, 0)
    for calls in ([*answered, lacking], answered, chats(10, 20)):
        runner.fetch([[call] for call in calls])
    assert plan.rounds == 2


def test_the_cost_is_that_in_batches_where_these_are_sent(store: Store) -> None:
    prices = [{"model": "m", "prompt": 8.0, "reply": 0.0, "batch": 0.5}, {"model": "n", "prompt": 8.0, "reply": 0.0}]
    changes = {"reason_true.backend": "openai", "reason_true.models": ["m", "n"], "providers.openai.prices": prices}
    costs: dict[bool, tuple[float, ...]] = {}
    for batch in (False, True):
        p = params({**changes, "providers.openai.batch": batch})
        plan = Plan()
        PlanningRunner(store, plan).fetch([[call] for call in [*chats(0, 10), *chats(10, 20, "n")]])
        lines = forecasts(plan, "reason_true", {}, prices_of(p.providers.openai), {})
        costs[batch] = tuple(line.cost.high for line in lines if line.cost)
        said = page([Estimate("reason_true", "openai", lines, currency="CNY", rounds=3)], p)
        assert ("m at 50% of its price; n at the whole price" in said) == batch
        assert ("in batches: at most 3 rounds, one after the other, each answered within 24h" in said) == batch
    assert costs[False] == pytest.approx((0.008, 0.008)) and costs[True] == pytest.approx((0.004, 0.008))


def test_slots_that_follow_on_others_are_not_certain_though_their_prompts_are_new() -> None:
    """Options are shuffled anew for every slot, and a program is asked for in other words."""
    item = QuestionItem("谁最高？", ["甲", "乙", "丙"])
    other = QuestionItem("谁最高？", ["丙", "甲", "乙"])
    prompts = [
        solve_prompt("解", "甲高。", item),
        solve_prompt("解", "甲高。", other),
        program_prompt("写", "甲高。", item),
    ]
    assert len({Plan(by_question=True).subject(prompt) for prompt in prompts}) == 1
    assert len({Plan().subject(prompt) for prompt in prompts}) == 3
    elsewhere = solve_prompt("解", "甲高。", QuestionItem("谁最高？", ["甲", "乙", "丁"]))
    assert Plan(by_question=True).subject(elsewhere) != Plan(by_question=True).subject(prompts[0])


def test_what_follows_on_a_first_sample_is_expected_as_often_as_it_was_not_as_it_may_be() -> None:
    """40 questions stopped after 1 sample, 20 after 1 + 2; another one may have 1 + 4 + 4."""
    plan = Plan(by_question=True)

    def draw(subjects: range, slots: int, answer: dict[str, Any] | None) -> None:
        asked = [Asked(str(n), "texts", "m", LONG, 500) for n in subjects for _ in range(slots)]
        plan.wave(asked, [answer] * len(asked))

    draw(range(60), 1, {"tokens": REPLY})
    draw(range(20), 2, {"tokens": REPLY})
    for slots in (1, 4, 4):
        draw(range(60, 61), slots, None)
    found = forecast(plan)
    assert found.requests.low == 1 and found.requests.high == 9
    assert found.requests.likely == pytest.approx(1 + 40 / 60, abs=0.02)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_page_is_no_wider_than_the_screen_and_says_the_same(width: int) -> None:
    prices = [{"model": "ernie-4.5-turbo-128k", "prompt": 8.0, "reply": 8.0, "batch": 0.5}]
    p = params({"providers.openai.prices": prices, "providers.openai.batch": True})
    some = Range(31_234, 64_234, 114_234)
    line = Forecast("ernie-4.5-turbo-128k", "programs", 12, some, "tokens", some, some, Range(0.1, 17.75, 313.72), "…")
    shown = page([Estimate("reason_false", "openai", [line] * 2, ["a note " * 20], "USD", 3)], p, width)
    assert max(map(len, shown.splitlines())) <= width
    for words in (
        "64,234 (31,234 to 114,234)",
        "64.2k tokens",
        "64.2k (at most 114.2k)",
        "0.10 – 17.75 – 313.72 USD",
        "12",
    ):
        assert words in shown


def test_nothing_to_send_costs_nothing_and_no_price_stays_no_price() -> None:
    cost = by_tokens([Price(model="m", prompt=2.0, reply=8.0)])
    amounts = [(0.0, 0.0), (1e6, 0.0), (0.0, 1e6)]
    assert [_cost(cost, "m", sent, replied, 0.0) for sent, replied in amounts] == [0, 2, 8]
    assert _cost(cost, "other", 0.0, 0.0, 0.0) is None
