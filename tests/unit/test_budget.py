"""A budget holds over runs and processes; what was spent is booked with the answers, and survives repairs."""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from augen.core.errors import AugenError
from augen.core.params import Price
from augen.generation.served.account import Account, Answer
from augen.generation.served.chat import answer
from augen.generation.served.errors import Misconfigured, Unusable
from augen.generation.served.limits import Pace
from augen.generation.served.prices import by_tokens, check_budget
from augen.generation.served.replies import Endpoint
from augen.generation.served.runner import Call, Payload, Runner
from augen.store import spending
from augen.store.repair import check, repair
from augen.store.responses import Store
from augen.store.spending import Heading
from tests.params import params

PRICE = 0.5
SLOTS = 4


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "responses.sqlite") as store:
        yield store


class Provider:
    """Answers everything, and counts what it answered."""

    def __init__(self, latency_s: float = 0.0) -> None:
        self.latency_s = latency_s
        self.sent: Counter[str] = Counter()
        self._lock = threading.Lock()

    def send(self, payloads: Sequence[Payload]) -> list[Answer]:
        time.sleep(self.latency_s)
        with self._lock:
            self.sent.update(payload["text"] for payload in payloads)
        return [{"text": "…", "author": "m", "prompt_tokens": 10, "tokens": 5} for _ in payloads]


def price(answer: Mapping[str, Any]) -> float:
    return PRICE


def fetch(store: Store, provider: Any, count: int, budget: float | None) -> Account:
    account = Account("fake", price, "reason_true", "CNY")
    pace = Pace([], concurrency=SLOTS, retries=2)
    calls = [[Call(f"key {i}", {"text": str(i)}, characters=7)] for i in range(count)]
    with Runner(lambda: provider, store, account, pace, "test", budget) as runner:
        runner.fetch(calls)
    return account


def spent(store: Store) -> float:
    return sum(amounts["cost"] for amounts in store.spending("fake").values())


def test_a_run_ends_at_the_budget_and_goes_on_when_it_is_raised(store: Store) -> None:
    provider = Provider(0.002)
    words = (
        r"20 of 50 are done; 10 of 10 CNY are spent, .* \(providers\.fake\.budget\); 30 are left and would cost about "
        r"15\.00 CNY more; raise providers\.fake\.budget"
    )
    with pytest.raises(AugenError, match=words):
        fetch(store, provider, 50, budget=10.0)
    assert spent(store) == 10.0 and provider.sent.total() == 20
    with pytest.raises(AugenError, match="20 of 50 are done"):
        fetch(store, provider, 50, budget=10.0)
    assert provider.sent.total() == 20, "not one more"
    account = fetch(store, provider, 50, budget=25.0)
    assert (account.paid.answers, account.stored.answers) == (30, 20)
    assert provider.sent.total() == 50 and set(provider.sent.values()) == {1}


def test_no_more_than_a_request_a_slot_goes_beyond_it_whatever_requests_cost(store: Store) -> None:
    """One that costs ten times as much as those before it is not foreseen."""
    provider = Provider(0.01)
    costs = iter([0.01] * 12 + [1.0] * 88)
    account = Account("fake", lambda answer: next(costs), "reason_true", "CNY")
    account.arrived = lambda answer: account.paid.add(answer, 0.01)  # type: ignore[method-assign]
    with (
        Runner(lambda: provider, store, account, Pace([], SLOTS, 0), "test", 2.0) as runner,
        pytest.raises(AugenError, match=r"providers\.fake\.budget"),
    ):
        runner.fetch([[Call(f"key {i}", {"text": str(i)})] for i in range(100)])
    assert 2.0 <= spent(store) <= 2.0 + SLOTS * 1.0 + 0.12


def test_several_runs_share_it(store: Store) -> None:
    """Each has its own slots; what one has spent, the other sees before its next request."""
    providers = [Provider(0.003), Provider(0.004)]
    ends: list[str] = []

    def run(number: int) -> None:
        account = Account("fake", price, f"stage {number}", "CNY")
        with (
            Store(store.path) as own,
            Runner(lambda: providers[number], own, account, Pace([], SLOTS, 0), "test", 20.0) as runner,
        ):
            try:
                runner.fetch([[Call(f"{number} {i}", {"text": f"{number} {i}"})] for i in range(60)])
            except AugenError as error:
                ends.append(str(error))

    threads = [threading.Thread(target=run, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == 2 and all("providers.fake.budget" in end for end in ends)
    assert 20.0 - 2 * SLOTS * PRICE <= spent(store) <= 20.0 + SLOTS * PRICE


def test_the_history_is_read_once_a_run_and_what_others_book_meanwhile_is_seen(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = date.today()
    days = [(today - timedelta(days=n)).isoformat() for n in range(200)]
    store.put_many({}, {Heading(day, "fake", "infer", "m", "CNY", "paid"): {"answers": 1, "cost": 1.0} for day in days})
    read: Counter[str] = Counter()
    sound = spending.sound

    def counted(row: list[Any]) -> Any:
        read[row[0].decode()] += 1
        return sound(row)

    monkeypatch.setattr(spending, "sound", counted)
    assert fetch(store, Provider(), 50, budget=300.0).paid.answers == 50
    assert set(read) == set(days) and all(read[day] <= 2 for day in days[5:])

    class Another(Provider):
        def send(self, payloads: Sequence[Payload]) -> list[Answer]:
            if payloads[0]["text"] == "60":
                with Store(store.path) as other:
                    other.put_many({}, {Heading(days[1], "fake", "a", "b", "CNY", "paid"): {"cost": 100.0}})
            return super().send(payloads)

    with pytest.raises(AugenError, match=r"of 300 CNY are spent"):
        fetch(store, provider := Another(), 200, budget=300.0)
    assert 10 <= provider.sent.total() < 150


def test_another_currency_and_another_provider_are_not_counted(store: Store) -> None:
    for provider, currency in (("fake", "USD"), ("other", "CNY")):
        heading = Heading("2026-11-01", provider, "translate", "m", currency, "paid")
        store.put_many({}, {heading: {"answers": 1, "cost": 1000.0}})
    assert fetch(store, Provider(), 3, budget=5.0).paid.answers == 3


def test_a_model_without_a_price_and_a_budget_do_not_go_together() -> None:
    prices = [{"model": "a", "prompt": 1.0, "reply": 2.0}]
    settings = params({"providers.openai.budget": 3, "providers.openai.prices": prices}).providers.openai
    check_budget("openai", settings, ["a"])
    with pytest.raises(AugenError, match=r"budget is 3 USD, but b has no price.*openai\.prices"):
        check_budget("openai", settings, ["a", "b"])
    check_budget("openai", params().providers.openai, ["b"])


def test_a_reply_without_usage_has_no_price_and_ends_a_run_with_a_budget(store: Store) -> None:
    class Silent(Provider):
        def send(self, payloads: Sequence[Payload]) -> list[Answer]:
            super().send(payloads)
            reply = {"choices": [{"message": {"content": "甲"}, "finish_reason": "stop"}]}
            return [answer(Endpoint("openai", "KEY", "http://…"), {"model": "m", "messages": []}, reply)]

    def fetched(provider: Provider, budget: float | None, reply: float = 8.0) -> Account:
        cost = by_tokens([Price(model="m", prompt=0.0, reply=reply)])
        account = Account("openai", cost, "reason_true", "CNY")
        with Runner(lambda: provider, store, account, Pace([], SLOTS, 0), "test", budget) as runner:
            runner.fetch([[Call(f"key {i}", {"text": str(i)})] for i in range(30)])
        return account

    provider = Silent()
    words = r"no usage.*openai\.budget \(5 CNY\).*stream_options: \{include_usage: true\}.*budget to null"
    with pytest.raises(Misconfigured, match=words):
        fetched(provider, 5.0)
    assert provider.sent.total() == 1 and store.get_many(["key 0"])
    account = fetched(provider, None)
    assert (account.paid.answers, account.paid.unpriced, account.stored.unpriced) == (29, 29, 1)
    assert "30 answers" not in str(account) and "29 answers, 29 without a price" in str(account)
    assert fetched(provider, 5.0).stored.unpriced == 30 and provider.sent.total() == 30
    assert fetched(provider, 5.0, reply=0.0).stored.unpriced == 0


# --- what is booked


def test_what_is_booked_is_what_was_paid_wasted_and_saved(store: Store) -> None:
    class Mute(Provider):
        def send(self, payloads: Sequence[Payload]) -> list[Answer]:
            if payloads[0]["text"] == "1":
                raise Unusable("empty reply", billed={"author": "m", "prompt_tokens": 10, "tokens": 0})
            return super().send(payloads)

    fetch(store, Mute(), 3, None)
    account = fetch(store, Mute(), 3, None)
    booked = {heading.kind: amounts for heading, amounts in store.spending().items()}
    assert booked["paid"]["answers"] == 2 and booked["paid"]["cost"] == 2 * PRICE
    assert (booked["paid"]["asked"], booked["paid"]["prompt_tokens"], booked["paid"]["tokens"]) == (14, 20, 10)
    assert booked["unusable"]["answers"] == 8, "each was tried four times in both runs"
    assert [bill.answers for bill in account.saved.values()] == [2]


@pytest.mark.parametrize(
    ("usage", "cached"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 128}}, 128),
        ({"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 136}, 64),
        ({"prompt_tokens_details": None}, None),
        ({"prompt_tokens_details": {"cached_tokens": "many"}}, None),
        ({}, None),
    ],
)
def test_cached_tokens_are_read_from_the_reply(usage: dict[str, Any], cached: int | None) -> None:
    reply = {
        "choices": [{"message": {"content": "甲"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 200, "completion_tokens": 5, **usage},
    }
    found = answer(Endpoint("openai", "KEY", "http://…"), {"model": "m", "messages": []}, reply)
    assert found.get("cached_tokens") == cached


HEADING = Heading("2026-11-27", "openai", "reason_true", "模型", "CNY", "paid")


def test_amounts_are_added_up_over_bookings_and_days(store: Store) -> None:
    later = HEADING._replace(day="2026-11-28")
    for heading in (HEADING, later, HEADING):
        store.put_many({"k": {}}, {heading: {"answers": 2, "cost": 0.25}})
    assert store.spending() == {HEADING: {"answers": 4, "cost": 0.5}, later: {"answers": 2, "cost": 0.25}}
    assert store.spending("qianfan") == {}


def test_a_store_of_before_has_no_spending_and_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "responses.sqlite"
    with Store(path) as store:
        store.put_many({"old": {"text": "…"}})
        assert store.spending() == {}
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'spending'").fetchone() == (0,)
    with Store(path) as store:
        store.put_many({}, {HEADING: {"answers": 1, "cost": 1.0}})
        assert store.get_many(["old"]) == {"old": {"text": "…"}} and store.spending()


def test_damaged_spending_is_seen_named_and_dropped_by_repair(tmp_path: Path) -> None:
    path = tmp_path / "responses.sqlite"
    sound = HEADING._replace(stage="translate")
    with Store(path) as store:
        store.put_many({"k": {}}, {HEADING: {"answers": 1, "cost": 0.5}, sound: {"answers": 2, "cost": 9.0}})
    assert check(path).unsound == []
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE spending SET amounts = replace(amounts, '0.5', '0.1')")
    assert check(path).unsound == ["the spending of 2026-11-27 at openai for reason_true is damaged"]
    with Store(path) as store, pytest.raises(AugenError, match=r"is damaged .*augen\.store repair"):
        store.spending()
    repair(path)
    assert check(path).unsound == []
    with Store(path) as store:
        assert store.spending() == {sound: {"answers": 2, "cost": 9.0}} and store.get_many(["k"])


def test_repair_keeps_the_latest_amounts(tmp_path: Path) -> None:
    path = tmp_path / "responses.sqlite"
    headings = [HEADING._replace(day=f"2026-{1 + i // 28:02d}-{1 + i % 28:02d}") for i in range(300)]
    with Store(path) as store:
        for _ in range(3):
            for heading in headings:
                store.put_many({f"{heading}": {}}, {heading: {"answers": 1, "cost": 0.5}})
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE responses SET value = '{' WHERE key = (SELECT min(key) FROM responses)")
    repair(path)
    with Store(path) as store:
        assert store.spending() == {heading: {"answers": 3, "cost": 1.5} for heading in headings}
