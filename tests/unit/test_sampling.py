"""Sampling through the store, with an engine that only pretends: what is asked for, stored, and returned."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augen.generation.base import Completion, IndexedRequest, Request
from augen.generation.sampler import EngineSampler, Identity, Usage, sample_key, telling
from augen.store.responses import Store

IDENTITY = Identity("fake", "sha256:generator", "float32", None, ("sha256:adapter",))
REQUEST = Request("### 题目\n…", seed=7, temperature=1.0, top_p=1.0, max_tokens=5)


def answer(request: Request) -> Completion:
    return Completion(f"{request.prompt} {request.seed} {request.adapter}", tokens=3, finish="stop")


class FakeEngine:
    """Answers at once, the last request first; `fails_after` so many it breaks down."""

    def __init__(self, name: str = "fake", fails_after: int | None = None) -> None:
        self.name = name
        self.fails_after = fails_after
        self.asked: list[Request] = []
        self.opened = 0
        self.closed = 0

    def open(self) -> "FakeEngine":
        self.opened += 1
        return self

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        self.asked += requests
        for done, index in enumerate(reversed(range(len(requests)))):
            if done == self.fails_after:
                raise RuntimeError("out of memory")
            yield index, answer(requests[index])

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "responses.sqlite") as store:
        yield store


def numbered(count: int, adapter: int = 0) -> list[IndexedRequest]:
    return [(replace(REQUEST, seed=seed, adapter=adapter), {"slot": seed, "round": 0}) for seed in range(count)]


def draw(store: Store, engine: FakeEngine, requests: Sequence[IndexedRequest]) -> tuple[list[Completion], Usage]:
    with EngineSampler(store, engine.open, IDENTITY) as sampler:
        return sampler.draw(requests, "test"), sampler.usage


# --- what a sample's key is made of

fields = st.fixed_dictionaries(
    {
        "prompt": st.sampled_from(["甲", "乙"]),
        "seed": st.integers(0, 1),
        "temperature": st.sampled_from([0.0, 1.0]),
        "top_p": st.sampled_from([0.9, 1.0]),
        "max_tokens": st.integers(1, 2),
        "adapter": st.integers(0, 2),
    }
)
identities = st.builds(
    Identity,
    engine=st.sampled_from(["vllm", "transformers"]),
    generator=st.sampled_from(["one", "two"]),
    dtype=st.sampled_from(["float32", "bfloat16"]),
    quantization=st.sampled_from([None, "fp8"]),
    adapters=st.sampled_from([("one", "two"), ("two", "one"), ("one", "three")]),
    extra=st.sampled_from([{}, {"kv_cache_dtype": "fp8"}, {"hf_overrides": {"rope_theta": 1}}]),
)
indices = st.fixed_dictionaries({"slot": st.integers(1, 2), "round": st.integers(0, 1)})
samples = st.tuples(st.builds(lambda f: Request(**f), fields), indices, identities)


@settings(max_examples=200, deadline=None)
@given(samples, samples)
def test_two_samples_share_a_key_only_if_nothing_differs(
    one: tuple[Request, dict[str, int], Identity], two: tuple[Request, dict[str, int], Identity]
) -> None:
    def with_its_adapter(request: Request, index: dict[str, int], identity: Identity) -> tuple[object, ...]:
        """The adapter that draws it, not its number nor the others."""
        own = identity.adapters[request.adapter - 1] if request.adapter else None
        return replace(request, adapter=0), index, replace(identity, adapters=()), own

    same = with_its_adapter(*one) == with_its_adapter(*two)
    assert (sample_key(*one) == sample_key(*two)) == same


def test_a_plain_sample_is_the_same_whichever_adapter_there_is() -> None:
    other = replace(IDENTITY, adapters=("sha256:other",))
    assert sample_key(REQUEST, {}, IDENTITY) == sample_key(REQUEST, {}, other)
    tuned = replace(REQUEST, adapter=1)
    assert sample_key(tuned, {}, IDENTITY) != sample_key(tuned, {}, other)


@pytest.mark.parametrize(
    ("adapter", "key"),
    [
        (0, "ce23aec12950a0f23a2841cbbb6cb2e2cda0db5233027a6eb630e59effac6b47"),
        (1, "8bd2001b129892c2a1930a2b4c2b216275bf4bfd6b6e8dfcc93aca1d2bd78699"),
    ],
)
def test_keys_are_those_of_the_time_when_there_was_one_adapter(adapter: int, key: str) -> None:
    """Else everything in a store would be drawn, or paid for, again."""
    assert sample_key(replace(REQUEST, adapter=adapter), {"slot": 1, "round": 0}, IDENTITY) == key
    if adapter:
        further = replace(IDENTITY, adapters=("sha256:other", *IDENTITY.adapters))
        assert sample_key(replace(REQUEST, adapter=2), {"slot": 1, "round": 0}, further) == key


def test_without_further_options_keys_are_those_from_before_there_were_any() -> None:
    """Written down then. What costs hours of a GPU must not be drawn again."""
    plain = Identity("vllm", "sha256:generator", "float32", None, ("sha256:adapter",), telling({"max_num_seqs": 9}))
    assert sample_key(REQUEST, {"slot": 1, "round": 0}, plain) == (
        "4d20cea967ea1835d3cc4e88b9036b123eb25ff0f69f6e8272adc0e4bb99563a"
    )
    hub = Identity("transformers", "Qwen/Qwen2-7B-Instruct@main", "bfloat16", "fp8")
    assert sample_key(replace(REQUEST, adapter=1), {"attempt": 0}, hub) == (
        "2807934f9cef36acfb5d2a7bbf21821f1dd4b823ca87c91be2df1e6b97b0d5a2"
    )


# --- drawing


def test_completions_come_back_in_the_order_of_the_requests(store: Store) -> None:
    requests = numbered(20)
    completions, usage = draw(store, FakeEngine(), requests)
    assert completions == [answer(request) for request, _ in requests]
    assert (usage.from_store, usage.drawn, usage.tokens) == (0, 20, 60)


def test_no_engine_is_opened_when_all_is_stored(store: Store) -> None:
    first, _ = draw(store, FakeEngine(), numbered(5))
    engine = FakeEngine()
    again, usage = draw(store, engine, numbered(5))
    assert again == first
    assert (engine.opened, engine.closed) == (0, 0)
    assert usage == Usage(from_store=5)


def test_nothing_to_draw(store: Store) -> None:
    engine = FakeEngine()
    assert draw(store, engine, []) == ([], Usage())
    assert engine.opened == 0


def test_raising_the_number_of_voters_draws_only_the_new_ones(store: Store) -> None:
    draw(store, FakeEngine(), numbered(5))
    engine = FakeEngine()
    completions, usage = draw(store, engine, numbered(7))
    assert [request.seed for request in engine.asked] == [5, 6]
    assert (usage.from_store, usage.drawn) == (5, 2)
    assert completions == [answer(request) for request, _ in numbered(7)]


def test_what_arrived_before_the_engine_broke_is_not_asked_for_again(store: Store) -> None:
    broken = FakeEngine(fails_after=3)
    with EngineSampler(store, broken.open, IDENTITY) as sampler:
        with pytest.raises(RuntimeError, match="out of memory") as raised:
            sampler.draw(numbered(8), "test")
        assert "3 of 8 samples of this round had arrived" in raised.value.__notes__[0]
        assert sampler.usage.drawn == 3
        assert sampler.usage.tokens == 9
    assert broken.closed == 1

    engine = FakeEngine()
    completions, usage = draw(store, engine, numbered(8))
    assert [request.seed for request in engine.asked] == [0, 1, 2, 3, 4]
    assert (usage.from_store, usage.drawn) == (3, 5)
    assert completions == [answer(request) for request, _ in numbered(8)]


def test_equal_requests_with_another_index_are_other_samples(store: Store) -> None:
    engine = FakeEngine()
    draw(store, engine, [(REQUEST, {"slot": 1}), (REQUEST, {"slot": 2}), (REQUEST, {"slot": 1})])
    assert len(engine.asked) == 2


def test_the_engine_stays_open_from_draw_to_draw(store: Store) -> None:
    engine = FakeEngine()
    with EngineSampler(store, engine.open, IDENTITY) as sampler:
        sampler.draw(numbered(2), "round 0")
        sampler.draw(numbered(4), "round 1")
        assert (engine.opened, engine.closed) == (1, 0)
        sampler.close()
        assert (engine.opened, engine.closed) == (1, 1)
        sampler.draw(numbered(5), "round 2")
        assert sampler.usage.from_store == 2 + 4
        assert sampler.usage.drawn == 5
    assert (engine.opened, engine.closed) == (2, 2)


def test_samples_of_another_engine_than_expected_are_kept_apart(store: Store) -> None:
    """`auto` promised one engine and had to open another: its samples must not pass for the first one's."""
    expected = FakeEngine()
    draw(store, expected, numbered(2))
    fallback = FakeEngine(name="fallback")
    with EngineSampler(store, fallback.open, IDENTITY) as sampler:
        sampler.draw(numbered(4), "test")
        assert sampler.identity.engine == "fallback"
    assert [request.seed for request in fallback.asked] == [0, 1, 2, 3]
    with EngineSampler(store, fallback.open, replace(IDENTITY, engine="fallback")) as sampler:
        sampler.draw(numbered(4), "test")
        assert sampler.usage == Usage(from_store=4)


def test_an_engine_that_loses_a_request_is_noticed(store: Store) -> None:
    class Loses(FakeEngine):
        def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
            yield from list(super().generate(requests))[1:]

    with pytest.raises(RuntimeError, match="fake returned 3 completions for 4 requests"):
        draw(store, Loses(), numbered(4))


def test_progress_says_what_it_is_and_how_much_came_from_the_store(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(store, FakeEngine(), numbered(3))
    capsys.readouterr()
    with EngineSampler(store, FakeEngine().open, IDENTITY) as sampler:
        sampler.draw(numbered(5), "infer, round 0")
    shown = capsys.readouterr()
    assert shown.out == ""
    last = shown.err.rsplit("\r", 1)[-1]
    assert "infer, round 0" in last
    assert "5/5" in last
    assert "3 from the store" in last
    assert "tokens/s" in last
