"""The call runner, with providers made of a few lines: nothing twice, nothing lost, clean ends."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import pytest

from augen.core.errors import AugenError
from augen.generation.served import runner as runner_module
from augen.generation.served import waits
from augen.generation.served.account import Account, Answer
from augen.generation.served.chat import answer, body_of
from augen.generation.served.claims import Claims
from augen.generation.served.errors import (
    CallError,
    Filtered,
    Misconfigured,
    QuotaUsedUp,
    Refused,
    SlowDown,
    Transient,
    Unusable,
)
from augen.generation.served.failures import Failure, keep_failures
from augen.generation.served.limits import Limit, Pace
from augen.generation.served.network import check_base_url, required
from augen.generation.served.replies import MOST_WORDS, Endpoint
from augen.generation.served.runner import Call, Payload, Runner
from augen.generation.served.secrets import scrubbed
from augen.store.responses import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "responses.sqlite") as store:
        yield store


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {"FIRST_WAIT_S": 0.001, "LONGEST_WAIT_S": 0.01, "COOL_DOWN_S": 0.001, "LONGEST_COOL_DOWN_S": 0.01}
    for name, value in quick.items():
        monkeypatch.setattr(waits, name, value)
    monkeypatch.setattr(runner_module, "POLL_S", 0.01)


class Provider:
    """Answers after the errors of `script` (None: an answer) are used up."""

    def __init__(self, script: Sequence[CallError | Misconfigured | None] = (), latency_s: float = 0.0) -> None:
        self.script = list(script)
        self.latency_s = latency_s
        self.sent: Counter[str] = Counter()
        self.in_flight = self.most_in_flight = 0
        self._lock = threading.Lock()

    def send(self, payloads: Sequence[Payload]) -> list[Answer]:
        with self._lock:
            error = self.script.pop(0) if self.script else None
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        time.sleep(self.latency_s)
        with self._lock:
            self.in_flight -= 1
            if error:
                raise copy(error)
            self.sent.update(payload["text"] for payload in payloads)
        return [{"text": payload["text"] * 2, "characters": 1} for payload in payloads]


def calls(*texts: str) -> list[Call]:
    return [Call(f"key of {text}", {"text": text}, characters=1) for text in texts]


def a_runner(store: Store, provider: Any, **settings: Any) -> Runner:
    account = Account("fake", lambda answer: answer["characters"] * 0.5)
    pace = Pace(**{"limits": [], "concurrency": 4, "retries": 5, **settings})
    return Runner(lambda: provider, store, account, pace, label="test")


def singles(count: int) -> list[list[Call]]:
    return [[call] for call in calls(*map(str, range(count)))]


def test_every_call_is_answered_and_stored_and_counted_once(store: Store) -> None:
    provider = Provider()
    with a_runner(store, provider) as runner:
        runner.fetch([calls("a", "b"), calls("c")])
        assert {key: answer["text"] for key, answer in runner.answers.items()} == {
            "key of a": "aa",
            "key of b": "bb",
            "key of c": "cc",
        }
        assert runner.account.requests == 2
        assert (runner.account.paid.answers, runner.account.paid.cost) == (3, 1.5)
    assert store.get_many(["key of b"])["key of b"]["text"] == "bb"


def test_what_is_stored_is_not_sent_and_the_provider_not_even_opened(store: Store) -> None:
    with a_runner(store, Provider()) as runner:
        runner.fetch(singles(3))

    def open_provider() -> Provider:
        raise AssertionError("opened")

    account = Account("fake", lambda answer: None)
    with Runner(open_provider, store, account, Pace([], concurrency=2, retries=0), label="") as runner:
        runner.fetch(singles(3))
        assert len(runner.answers) == 3
        assert (account.requests, account.paid.answers, account.stored.answers) == (0, 0, 3)


def test_a_call_that_occurs_in_two_batches_is_sent_once(store: Store) -> None:
    provider = Provider(latency_s=0.02)
    with a_runner(store, provider) as runner:
        runner.fetch([calls("a"), calls("a", "b"), calls("b"), calls("a")])
    assert provider.sent == {"a": 1, "b": 1}


def test_the_first_request_goes_alone_then_no_more_than_concurrency(store: Store) -> None:
    provider = Provider(latency_s=0.02)
    starts: list[int] = []
    with a_runner(store, provider, concurrency=3) as runner:
        send = provider.send

        def watched(payloads: Sequence[Payload]) -> list[Answer]:
            starts.append(provider.in_flight)
            answers = send(payloads)
            if not provider.sent.total() - 1:
                assert len(starts) == 1
            return answers

        provider.send = watched  # type: ignore[method-assign]
        runner.fetch(singles(12))
    assert provider.most_in_flight == 3


@pytest.mark.parametrize("error", [Transient("HTTP 500"), SlowDown("HTTP 429"), Unusable("wrong count")])
def test_what_may_pass_is_sent_again(store: Store, error: CallError) -> None:
    provider = Provider([error, error, None, error])
    with a_runner(store, provider) as runner:
        runner.fetch(singles(4))
        assert runner.account.retries == {error.cause: 3}
        assert runner.account.paid.answers == 4
    assert set(provider.sent.values()) == {1}


def test_slowing_down_is_not_counted_as_a_failed_try(store: Store) -> None:
    provider = Provider([SlowDown("HTTP 429")] * 10)
    with a_runner(store, provider, retries=0) as runner:
        runner.fetch(singles(2))
    assert provider.sent.total() == 2


def test_slowing_down_pauses_everybody_for_as_long_as_the_provider_says(store: Store) -> None:
    provider = Provider([None, SlowDown("HTTP 429", retry_after_s=0.3)])
    start = time.monotonic()
    with a_runner(store, provider) as runner:
        runner.fetch(singles(6))
    assert time.monotonic() - start >= 0.3


@pytest.mark.parametrize("retry_after_s", [None, 3600.0])
def test_slow_down_without_end_ends_the_run(store: Store, retry_after_s: float | None) -> None:
    provider = Provider([None] + [SlowDown("HTTP 429", retry_after_s=retry_after_s)] * 1000)
    with a_runner(store, provider, concurrency=1) as runner, pytest.raises(AugenError, match="1 of 3 are done"):
        runner.fetch(singles(3))
    assert len(provider.script) >= 1000 - waits.MAX_COOL_DOWNS - 1


def test_one_that_gets_no_answer_keeps_nobody_from_theirs_but_the_run_is_no_success(store: Store) -> None:
    class Picky(Provider):
        def send(self, payloads: Sequence[Payload]) -> list[Answer]:
            if payloads[0]["text"] == "3":
                raise Transient("HTTP 500")
            return super().send(payloads)

    with a_runner(store, Picky()) as runner:
        with pytest.raises(AugenError, match=r"1 of 8 got no answer.*HTTP 500.*failed\.jsonl.*dvc repro"):
            runner.fetch(singles(8))
        assert len(runner.answers) == 7
        assert runner.failures == [Failure("key of 3", "HTTP 500", 6)]


def test_a_provider_that_answers_nobody_is_not_asked_for_ever(store: Store) -> None:
    provider = Provider([Transient("HTTP 500")] * 1000)
    with a_runner(store, provider) as runner, pytest.raises(AugenError, match="no answers any more"):
        runner.fetch(singles(500))
    assert 1000 - len(provider.script) <= waits.MAX_COOL_DOWNS + 8


@pytest.mark.parametrize("error", [Refused("content_filter"), Unusable("empty reply")])
def test_one_refused_call_is_found_in_its_batch_and_the_rest_is_answered(store: Store, error: CallError) -> None:
    class Picky(Provider):
        def send(self, payloads: Sequence[Payload]) -> list[Answer]:
            if any(payload["text"] == "c" for payload in payloads):
                raise copy(error)
            return super().send(payloads)

    with a_runner(store, Picky()) as runner:
        runner.fetch([calls(*"abcdef")])
        assert runner.refused == {"key of c": error.cause}
        assert len(runner.answers) == 5
        assert runner.account.refused == {error.cause: 1}
    assert store.get_many(["key of c"]) == {}


def test_a_refusal_of_the_content_is_asked_for_again_only_when_it_is_forgotten(store: Store) -> None:
    with a_runner(store, Provider([None, Filtered("content_filter", "no")]), concurrency=1) as runner:
        runner.fetch(singles(2))
    [(key, words)] = runner.refused.items()
    with a_runner(store, again := Provider()) as runner:
        runner.fetch(singles(2))
        assert (runner.refused, again.sent.total()) == ({key: words}, 0)
        assert runner.account.refused == {"content_filter": 1} and runner.account.stored.answers == 1
        with pytest.raises(AugenError, match=r"1 of 2 prompts were refused .* content_filter: no.*forget-refusals"):
            runner.check_refusals(0.05)
    assert store.forget_refusals() == 1 and store.forget_refusals() == 0
    with a_runner(store, again) as runner:
        runner.fetch(singles(2))
        assert (runner.refused, again.sent.total()) == ({}, 1)


def test_where_the_first_ones_are_all_refused_it_is_not_the_prompts(store: Store) -> None:
    provider = Provider([Refused("HTTP 400 odd", "no such thing")] * 100)
    with a_runner(store, provider) as runner:
        with pytest.raises(AugenError, match="first 10 requests were all refused, the last one: HTTP 400 odd: no such"):
            runner.fetch(singles(50))
        assert runner.account.requests == 10
    with a_runner(store, Provider([None] + [Refused("HTTP 400 odd")] * 20)) as runner:
        runner.fetch(singles(50))
        assert (len(runner.answers), len(runner.refused)) == (30, 20)


@pytest.mark.parametrize(
    ("refused", "answered", "most", "fails"),
    [
        (1, 19, 0.05, False),
        (2, 18, 0.05, True),
        (1, 3, 0.0, True),
        (0, 3, 0.0, False),
        (3, 0, 1.0, True),
        (0, 0, 0, False),
    ],
)
def test_more_refusals_than_allowed_are_an_error(
    store: Store, refused: int, answered: int, most: float, fails: bool
) -> None:
    with a_runner(store, Provider([None] * answered + [Refused("odd", "words")] * refused), concurrency=1) as runner:
        runner.fetch(singles(refused + answered))
        if not fails:
            runner.check_refusals(most)
            return
        with pytest.raises(AugenError, match=f"{refused} of {refused + answered} prompts were refused .* odd: words"):
            runner.check_refusals(most)


def test_a_subject_that_got_an_answer_at_last_was_not_refused(store: Store) -> None:
    attempts = [Call(f"key {n}", {"text": str(n)}, subject="question") for n in range(3)]
    with a_runner(store, Provider([Refused("odd")] * 2)) as runner:
        runner.fetch([[call] for call in attempts])
        assert len(runner.refused) == 2
        runner.check_refusals(0.0)


def test_refusals_count_though_their_answers_are_forgotten(store: Store) -> None:
    with a_runner(store, Provider([Refused("odd", "words"), None] * 2), concurrency=1) as runner:
        for batch in singles(4):
            runner.fetch([batch])
            runner.forget()
            assert (runner.answers, runner.refused) == ({}, {})
        with pytest.raises(AugenError, match=r"2 of 4 prompts were refused .* odd: words"):
            runner.check_refusals(0.4)
        runner.fetch(singles(4)[1:2])
        assert list(runner.answers) == ["key of 1"], "it is in the store"
        runner.check_refusals(0.5)


def test_what_was_billed_and_cannot_be_used_is_in_the_account(store: Store) -> None:
    billed = {"author": "m", "prompt_tokens": 7, "tokens": 2, "characters": 0}
    script = [Unusable("empty reply", billed=billed), None, Refused("content_filter", billed=billed)]
    with a_runner(store, Provider(script), concurrency=1) as runner:
        runner.fetch(singles(2))
        wasted = runner.account.unusable
        assert (wasted.answers, wasted.prompt_tokens, wasted.tokens) == (2, 14, 4)
        assert "billed, but unusable: 2 replies, 14 + 4 tokens" in str(runner.account)


def test_quota_stops_at_once_says_how_far_it_got_and_keeps_what_was_in_flight(store: Store) -> None:
    provider = Provider([None] * 7 + [QuotaUsedUp("NoFreeAmount")] + [None] * 100, latency_s=0.05)
    with a_runner(store, provider) as runner, pytest.raises(AugenError, match="the quota is used up") as stopped:
        runner.fetch(singles(40))
    done = provider.sent.total()
    assert 7 <= done <= 11  # those that were on their way
    assert f"(NoFreeAmount); {done} of 40 are done; what arrived is stored; run `dvc repro` again" in str(stopped.value)
    assert len(store.get_many(f"key of {n}" for n in range(40))) == provider.sent.total()

    again = Provider()
    with a_runner(store, again) as runner:
        runner.fetch(singles(40))
    assert not (again.sent & provider.sent)
    assert (again.sent + provider.sent).total() == 40


def test_a_wrong_key_costs_one_request(store: Store) -> None:
    provider = Provider([Misconfigured("check FAKE_KEY")] * 100)
    with a_runner(store, provider) as runner:
        with pytest.raises(Misconfigured, match="FAKE_KEY"):
            runner.fetch(singles(20))
        assert runner.account.requests == 1


def test_a_count_that_is_not_that_of_the_calls_is_never_taken(store: Store) -> None:
    class Short(Provider):
        def send(self, payloads: Sequence[Payload]) -> list[Answer]:
            return super().send(payloads)[:1]

    with a_runner(store, Short()) as runner:
        runner.fetch([calls(*"abcd")])
        assert {key: answer["text"] for key, answer in runner.answers.items()} == {f"key of {t}": t * 2 for t in "abcd"}


def test_two_runners_at_once_pay_for_nothing_twice(store: Store) -> None:
    provider = Provider(latency_s=0.01)
    done: list[int] = []

    def work() -> None:
        with Store(store.path) as own, a_runner(own, provider) as runner:
            runner.fetch(singles(60))
            done.append(len(runner.answers))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert done == [60, 60, 60]
    assert provider.sent == {str(n): 1 for n in range(60)}


def test_a_claim_of_somebody_who_gave_up_is_taken_over(store: Store) -> None:
    other = Claims(store)
    other.take(["key of 0"])
    provider = Provider()
    timer = threading.Timer(0.3, lambda: Claims(store)._connection.execute("DELETE FROM claims"))
    timer.start()
    with a_runner(store, provider) as runner:
        runner.fetch(singles(3))
    assert provider.sent == {"0": 1, "1": 1, "2": 1}


def test_the_limiter_holds_over_several_fetches(store: Store) -> None:
    provider = Provider()
    start = time.monotonic()
    with a_runner(store, provider, limits=[Limit("requests", 2, 0.2)]) as runner:
        runner.fetch(singles(2))
        runner.fetch(singles(5))
    assert time.monotonic() - start >= 0.4


# --- account and failures


@pytest.mark.parametrize(("taken", "waits"), [(1, False), (0, True)])
def test_a_limit_of_tokens_holds_where_replies_do_not_say_how_many_they_took(
    store: Store, taken: int, waits: bool
) -> None:
    class Counting(Provider):
        def send(self, payloads: Sequence[Payload]) -> list[Answer]:
            return [{**answer, "prompt_tokens": 0, "tokens": taken} for answer in super().send(payloads)]

    start = time.monotonic()
    with a_runner(store, Counting(), limits=[Limit("tokens", 100, 1.5)], concurrency=1) as runner:
        runner.fetch([[Call(f"key {n}", {"text": str(n)}, tokens=60)] for n in range(2)])
    assert (time.monotonic() - start >= 1.5) == waits


def test_accounts_of_stages_stand_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "reports/usage.json"
    account = Account("qianfan", lambda answer: None if answer["author"] == "b" else 0.25)
    account.arrived({"author": "a", "prompt_tokens": 10, "tokens": 5})
    account.found({"author": "b", "prompt_tokens": 1, "tokens": 2})
    account.retries["HTTP 429"] += 2
    account.keep("reason_true", path)
    account.keep("reason_false", path)
    account.keep("reason_true", path)
    kept = json.loads(path.read_text())
    assert list(kept) == ["reason_false", "reason_true"]
    assert kept["reason_true"]["paid"]["cost"] == 0.25
    assert kept["reason_true"]["from_store"] == {
        "answers": 1, "characters": 0, "prompt_tokens": 1, "tokens": 2, "cost": 0.0, "unpriced": 1
    }  # fmt: skip
    assert "2 sent again (2 HTTP 429)" in str(account)


def test_failures_of_a_stage_replace_only_its_own(tmp_path: Path) -> None:
    path = tmp_path / "reports/failed.jsonl"
    keep_failures("translate", [], path)
    assert not path.exists()
    keep_failures("translate", [Failure("train_1", "refused", 1)], path)
    keep_failures("reason_true", [Failure("train_2#1", "answer B; no answer", 2)], path)
    keep_failures("translate", [], path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"stage": "reason_true", "request": "train_2#1", "cause": "answer B; no answer", "attempts": 2}]


def test_a_line_of_failures_may_hold_any_sign_and_one_that_cannot_be_read_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "failed.jsonl"
    odd = Failure("train_1", "refused: one\u2028two\u2029three\x85four\x0cfive", 1)
    keep_failures("translate", [odd], path)
    with path.open("a") as file:
        file.write('{"stage": "tra\n[1]\n"text"\n{"no": 1}\n' + "[" * 100_000 + "\n")
    keep_failures("reason_true", [], path)
    [line] = path.read_text().split("\n")[:-1]
    assert json.loads(line) == {"stage": "translate", "request": "train_1", "cause": odd.cause, "attempts": 1}


# --- secrets


def test_a_missing_key_is_named_with_all_ways_to_give_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "QIANFAN_ACCESS_KEY", "QIANFAN_SECRET_KEY", "QIANFAN_BEARER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QIANFAN_ACCESS_KEY", "only one of the two")
    with pytest.raises(Misconfigured, match="set QIANFAN_BEARER_TOKEN, or QIANFAN_ACCESS_KEY and QIANFAN_SECRET_KEY"):
        required("qianfan", ["QIANFAN_BEARER_TOKEN"], ["QIANFAN_ACCESS_KEY", "QIANFAN_SECRET_KEY"])
    monkeypatch.setenv("QIANFAN_SECRET_KEY", " s ")
    assert required("qianfan", ["QIANFAN_BEARER_TOKEN"], ["QIANFAN_SECRET_KEY"]) == {"QIANFAN_SECRET_KEY": "s"}


def test_a_quoted_key_is_cut_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-123456")
    assert scrubbed("Incorrect API key provided: sk-123456.") == "Incorrect API key provided: $OPENAI_API_KEY."


@pytest.mark.parametrize("error", [Transient, Refused, SlowDown, QuotaUsedUp])
def test_no_error_holds_a_key_wherever_the_server_put_it(
    error: type[CallError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-123456")
    fault = error("HTTP 400 sk-123456", "for sk-123456")
    assert (fault.cause, str(fault)) == ("HTTP 400 $OPENAI_API_KEY", "HTTP 400 $OPENAI_API_KEY: for $OPENAI_API_KEY")
    assert "sk-" not in str(Misconfigured("openai: HTTP 401 sk-123456"))


def test_no_beginning_of_a_key_is_left_where_a_message_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-123456")
    endpoint = Endpoint("openai", "OPENAI_API_KEY", "http://127.0.0.1/v1")
    for cut in range(MOST_WORDS - 9, MOST_WORDS):
        with pytest.raises(Transient) as broken:
            body_of(endpoint, "x" * cut + "sk-123456")
        with pytest.raises(Unusable) as unusable:
            answer(endpoint, {"model": "m"}, {"x": "x" * (cut - 7) + "sk-123456"})
        assert "sk-" not in f"{broken.value}{unusable.value}"


@pytest.mark.parametrize("url", ["http://name:word@127.0.0.1/v1", "http://name@127.0.0.1/v1"])
def test_an_address_with_a_password_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(Misconfigured, match="base_url holds a user name or a password: set OPENAI_API_KEY") as refused:
        check_base_url("openai", url, "OPENAI_API_KEY")
    assert "name:" not in str(refused.value) and "word@" not in str(refused.value)
    check_base_url("openai", "http://127.0.0.1/v1/a@b", "OPENAI_API_KEY")
