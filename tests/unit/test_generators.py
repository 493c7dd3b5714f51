"""Several generators share the slots: whose each is, what their votes are worth, how these count, what is refused."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augen.answering.answer import Answers
from augen.answering.questions import Prompting
from augen.answering.rounds import Drawer, Ranks, Rounds, unscored
from augen.answering.weighing import generator_lines, generator_weights_of
from augen.core.arrays import Floats
from augen.core.errors import AugenError
from augen.entries import Question, QuestionItem
from augen.evaluation.sharing import Sharers, sharers_of, sharing_numbers, sharing_sentences
from augen.generation.base import Completion, IndexedRequest, Request
from augen.generation.open import sources_of
from augen.generation.sharing import SharedSampler
from augen.voting.generators import SPREAD, GeneratorWeights, fitted, learned, read_generator_weights, scaled, votes_of
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions, Sample, SampleFile, read_samples, sample_lines
from augen.voting.settings import Method, VotingSettings
from augen.voting.stopping import decided, next_slots
from augen.voting.vote import likelihoods_of
from augen.voting.weights import PRIOR, Weight
from tests.fakes import FakeWindow
from tests.params import params

ADAPTERS = Path("models/adapter"), Path("models/preferred")
TWO = VotingSettings(4, max_resample=1, threshold=0.5, generators=2)
QUESTION = Question("p#1", "p", "甲比乙高。", QuestionItem("谁高？", ["甲", "乙"]))


def drawn(letters: str, rule: VotingSettings = TWO, **given: Sequence[Any]) -> list[Sample]:
    """Reasonings in the slots 1, 2, …; a point has no answer. `given` are further fields of each."""
    return [
        Sample(
            None if letter == "." else letter,
            slot=slot,
            generator=rule.generator(slot),
            **{name: values[slot - 1] for name, values in given.items()},
        )
        for slot, letter in enumerate(letters, start=1)
    ]


def grid_of(*questions: Sequence[Sample], rule: VotingSettings = TWO) -> SampleGrid:
    grid = SampleGrid.empty(len(questions), rule)
    for number, samples in enumerate(questions):
        grid.add([number] * len(samples), samples, rule.threshold)
    return grid


def asked(truth: str, per_problem: int = 1) -> DevQuestions:
    codes = np.array(["ABCD".index(letter) for letter in truth])
    names = [f"p{number // per_problem}" for number in range(len(truth))]
    return DevQuestions([f"q{number}" for number in range(len(truth))], codes, np.full(len(truth), 4), names)


# --- whose slot it is


def test_a_slot_has_its_own_window_and_adapter_and_the_seed_that_it_has_alone() -> None:
    plain = Prompting("解答。", FakeWindow(), seed=7, temperature=1.0, top_p=1.0, max_tokens=32, adapters=1)
    both = replace(plain, others=((FakeWindow(before="<user>"), 2), (FakeWindow(before="<b>"), 0)))

    def requests(prompting: Prompting, slots: int = 9) -> list[Request]:
        found = [prompting.request(QUESTION, (), slot, 0) for slot in range(1, slots + 1)]
        assert all(found)
        return [request for request in found if request]

    shared, alone = requests(both), requests(plain)
    assert [request.adapter for request in shared] == [1, 1, 0, 1, 2, 0, 1, 1, 0]
    assert [request.prompt[:2] for request in shared] == [alone[0].prompt[:2], "<u", "<b"] * 3
    assert shared[::3] == alone[::3], "those of the first generator are what it is asked alone"
    assert [request.seed for request in shared] == [request.seed for request in alone]


class Author:
    """A sampler that signs what it writes, and notes how often it is asked."""

    def __init__(self, name: str) -> None:
        self.name, self.asked, self.closed = name, list[list[int]](), 0

    def draw(self, requests: Sequence[IndexedRequest], label: str) -> list[Completion]:
        self.asked.append([index["slot"] for _, index in requests])
        return [Completion(f"{self.name}{index['slot']}", 1, "stop") for _, index in requests]

    def close(self) -> None:
        self.closed += 1


def test_a_round_goes_to_each_generator_once() -> None:
    authors = [Author("a"), Author("b"), Author("c")]
    sampler = SharedSampler(authors)
    request = Request("题", 1, 1.0, 1.0, 8)
    requests = [(request, {"slot": slot, "round": 1}) for slot in (5, 1, 2, 4, 5)]
    assert [completion.text for completion in sampler.draw(requests, "round 1")] == ["b5", "a1", "b2", "a4", "b5"]
    assert [author.asked for author in authors] == [[[1, 4]], [[5, 2, 5]], []]
    sampler.close()
    assert [author.closed for author in authors] == [1, 1, 1]


def test_every_sample_says_who_drew_it_only_where_there_are_several(tmp_path: Path) -> None:
    lines = list(sample_lines(drawn("AB"), 0.5))
    assert [json.loads(line)["generator"] for line in lines] == [1, 2]
    assert "generator" not in "".join(sample_lines([Sample("A")], 0.5))

    rule = VotingSettings(3, generators=2)
    file = SampleFile(tmp_path / "samples.jsonl", "infer", rule)
    lines = list(sample_lines([replace(s, split="dev", question="q") for s in drawn("ABA")], 0.0))
    file.path.write_text("".join(lines), encoding="utf-8")
    assert len(read_samples(file, ["dev"])["dev"].rows) == 3
    with pytest.raises(AugenError, match=r"line 3: slot 3 is of generator 1, by infer.others of 3"):
        read_samples(replace(file, settings=replace(rule, generators=3)), ["dev"])
    with pytest.raises(AugenError, match=r"line 1: slot 1 is of generator 1, by infer.others of 0"):
        read_samples(replace(file, settings=VotingSettings(3)), ["dev"])


# --- the vote


def made(seed: int, rule: VotingSettings, questions: int = 6) -> SampleGrid:
    random = np.random.default_rng(seed)
    grid = SampleGrid.empty(questions, rule)
    for number in range(questions):
        samples = [
            Sample(
                random.choice(["A", "B", "C", None]),  # type: ignore[arg-type]
                random.choice([0.25, 0.5, 0.75]),
                slot,
                round_,
                int(random.choice([0, 30, 80, 100])),
            )
            for slot in range(1, rule.voters + 1)
            for round_ in range(random.integers(1, rule.max_resample + 2))
        ]
        grid.add([number] * len(samples), samples, rule.threshold)
    return grid


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    method=st.sampled_from(get_args(Method)),
    generators=st.integers(2, 4),
    adaptive=st.booleans(),
)
def test_equal_weights_give_the_vote_and_the_draws_of_one_generator(
    seed: int, method: Method, generators: int, adaptive: bool
) -> None:
    one = VotingSettings(5, 1, 0.5, method=method, adaptive=adaptive, certainty=0.8)
    several = replace(one, generators=generators, generator_weights=(1.0,) * generators)
    alone, shared = made(seed, one), made(seed, several)
    for before, now in zip(alone.tallies(one), shared.tallies(several), strict=True):
        assert np.array_equal(before, now)
    some = alone.drawn & (np.random.default_rng(seed).random(alone.drawn.shape) < 0.5)
    some[:, :, 1] &= some[:, :, 0]
    assert np.array_equal(next_slots(alone, some, one), next_slots(shared, some, several))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32), method=st.sampled_from(get_args(Method)), weights=st.tuples(*[st.integers(1, 3)] * 2)
)
def test_a_generator_of_weight_n_votes_as_n_would(seed: int, method: Method, weights: tuple[int, int]) -> None:
    """For `best` a higher weight makes its scores higher instead."""
    rule = replace(TWO, method=method, generator_weights=tuple(map(float, weights)))
    grid = made(seed, rule)
    answers, own = grid.votes, np.repeat(np.array(grid.generators), 2)
    counted = grid.weighed(method)
    expected = np.zeros((len(answers), 4))
    for column, letters in enumerate(answers.T):
        for number, letter in enumerate(letters):
            if letter >= 0:
                votes = weights[own[column] - 1] * (1 if method == "majority" else counted[number, column] / 1e9)
                before = expected[number, letter]
                expected[number, letter] = max(before, votes) if method == "best" else before + votes
    totals, _ = grid.tallies(rule)
    assert np.allclose(np.maximum(totals, 0) / 1e9, expected[:, : totals.shape[1]], atol=1e-6)


def test_weights_turn_a_vote() -> None:
    """A is said by generator 1 in slots 1 and 3, B by generator 2, whose votes come to 2 · 1.5."""
    grid = grid_of(drawn("ABAB"))
    votes = {w: grid.voted(replace(TWO, generator_weights=w)).tolist() for w in ((1.0, 1.0), (0.5, 1.5), (1.5, 0.5))}
    assert votes == {(1.0, 1.0): [0], (0.5, 1.5): [1], (1.5, 0.5): [0]}
    swapped = grid[:, [1, 0, 3, 2]]
    assert swapped.generators == (2, 1, 2, 1), "a slot keeps its generator wherever it stands"
    assert swapped.voted(replace(TWO, generator_weights=(0.5, 1.5))).tolist() == [1]


def test_a_generator_without_log_probabilities_counts_as_an_average_one() -> None:
    """Else its votes, of which each weighs 1, would outweigh the others', which weigh 0.34 on average."""
    rule = replace(TWO, method="likelihood")
    sure = drawn("ABA", logprob_rank=[70, None, 60])
    assert grid_of(sure, rule=rule).voted(rule).tolist() == [0]
    unsure = drawn("ABA", logprob_rank=[20, None, 10])
    assert grid_of(unsure, rule=rule).voted(rule).tolist() == [1]
    unknown = drawn("ABB", logprob_rank=[None] * 3)
    worth = grid_of(unknown, rule=rule).worth(rule)
    assert worth is not None and worth.tolist() == [1.0] * 8, "where none is known, none is average"
    assert float(likelihoods_of(np.arange(101)).mean()) / 1e9 == pytest.approx(0.34, abs=0.005)


# --- when a question stops


def test_votes_count_as_what_they_are_worth_when_a_question_may_stop() -> None:
    """Five votes; the first two agree. Where they are worth little, the third alone can still turn the vote."""
    rule = VotingSettings(5, 0, 0.5, adaptive=True, generators=3)

    def more(letters: str, weights: tuple[float, ...]) -> list[int]:
        grid = grid_of(drawn(letters, rule), rule=rule)
        return np.flatnonzero(next_slots(grid, grid.drawn, replace(rule, generator_weights=weights))[0]).tolist()

    assert more("AA", (1.0, 1.0, 1.0)) == more("AA", ()) == []
    assert more("AA", (0.3, 0.3, 2.4)) == [2], "0.6 for A, 3 to come; the third would make it 3 against 0.6 to come"
    assert more("AAA", (0.3, 0.3, 2.4)) == []
    assert more("AAB", (0.3, 0.3, 2.4)) == [], "2.4 for B against 0.6, and 0.6 to come"
    assert more("AAB", (1.0, 1.0, 1.0)) == [3]


@pytest.mark.parametrize("each", [0.1, 0.5, 1.0, 2.0])
def test_what_is_decided_follows_the_worth_of_the_votes_to_come(each: float) -> None:
    """A lead that all the votes to come cannot turn is certain; a smaller one is less so the more each is worth."""
    assert decided(2.5, 0.0, left=int(2.4 / each), certainty=0.99, each=each) == (each * int(2.4 / each) < 2.5)
    chances = [decided(1.5, 0.0, left=3, certainty=c / 100, rank=50, each=each) for c in range(51, 100)]
    assert chances == sorted(chances, reverse=True), "the more certainty is asked for, the less is decided"


# --- what they are worth


def voting(seed: int, accuracies: Sequence[float], problems: int = 45, alike: float = 0.5) -> tuple[SampleGrid, str]:
    """Three questions a problem, two votes of each generator; a share `alike` of a generator's second votes repeats."""
    random = np.random.default_rng(seed)
    truth = "".join(random.choice(list("ABCD"), 3 * problems))
    rule = replace(TWO, voters=2 * len(accuracies), generators=len(accuracies))
    questions = []
    for letter in truth:
        wrong = [other for other in "ABCD" if other != letter]
        first = [letter if random.random() < share else random.choice(wrong) for share in accuracies]
        second = [
            old if random.random() < alike else letter if random.random() < share else random.choice(wrong)
            for old, share in zip(first, accuracies, strict=True)
        ]
        questions.append(drawn("".join([*first, *second]), rule))
    return grid_of(*questions, rule=rule), truth


def weights_for(seed: int, *accuracies: float) -> GeneratorWeights:
    grid, truth = voting(seed, accuracies)
    return learned(grid, asked(truth, 3), replace(TWO, voters=2 * len(accuracies), generators=len(accuracies)))


def test_a_much_better_generator_weighs_more() -> None:
    for seed in range(8):
        found = weights_for(seed, 0.85, 0.45)
        assert found.votes[0] > 1.2 and found.votes[1] < 0.8
        assert np.mean(found.votes) == pytest.approx(1, abs=0.01)
        assert found.log_likelihood is not None and found.log_likelihood_equal is not None
        assert found.log_likelihood > found.log_likelihood_equal
    three = weights_for(0, 0.5, 0.9, 0.5)
    assert max(three.votes) == three.votes[1] and len(three.votes) == 3


@pytest.mark.parametrize("count", [2, 3])
def test_equal_generators_get_nearly_equal_weights(count: int) -> None:
    found = np.array([weights_for(seed, *[0.7] * count).votes for seed in range(12)])
    assert np.abs(found - 1).max() < 0.4 and np.abs(found.mean(axis=0) - 1).max() < 0.15


def test_generators_that_always_agree_cannot_be_told_apart() -> None:
    rule = replace(TWO, voters=2)
    grid = grid_of(*[drawn(pair, rule) for pair in ("AA", "BB", "AA", "CC")], rule=rule)
    found = learned(grid, asked("ABCC"), rule)
    assert (found.votes, found.right, found.drawn) == ([1.0, 1.0], [3, 3], [4, 4])
    silent = learned(grid_of([], [], rule=rule), asked("AB"), rule)
    assert (silent.votes, silent.right, silent.drawn) == ([1.0, 1.0], [0, 0], [0, 0])


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_the_fit_is_the_most_probable_one(seed: int) -> None:
    grid, truth = voting(seed, (0.8, 0.5), problems=6)
    votes = votes_of(grid, asked(truth, 3), replace(TWO, voters=4))

    def probable(w: Floats) -> float:
        logs = np.log(w)
        return votes.log_likelihood(w) - ((logs - logs.mean()) ** 2).sum() / (2 * SPREAD**2) - w @ w / (2 * PRIOR**2)

    weights = fitted(votes)
    for change in (0.97, 1.03):
        for number in range(2):
            other = weights.copy()
            other[number] *= change
            assert probable(other) <= probable(weights) + 1e-6


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=5))
def test_weights_are_bounded_with_a_mean_of_one(weights: list[float]) -> None:
    found = scaled(weights)
    assert np.mean(found) == pytest.approx(1, abs=0.02)
    assert min(found) >= 0.07 and max(found) <= len(found)


def test_where_the_weights_come_from_is_said(tmp_path: Path) -> None:
    grid, truth = voting(1, (0.9, 0.4))
    rule = replace(TWO, voters=4)
    rounds = Rounds([], [], Prompting("。", FakeWindow(), 1, 1.0, 1.0, 8, 0), rule)
    tried = replace(rounds.run(SharedSampler([Author("a"), Author("b")]), unscored), grid=grid)
    assert generator_weights_of(replace(tried, settings=VotingSettings(4)), [], None) is None
    given = generator_weights_of(tried, [], [3, 1])
    assert given == GeneratorWeights([1.5, 0.5], "given")
    assumed = generator_weights_of(tried, [], None)
    assert assumed == GeneratorWeights([1.0, 1.0], "assumed")
    assert "infer.generator_weights" in generator_lines(given, "ab")[-1]
    assert "prepare.vote_fraction" in generator_lines(assumed, "ab")[-1]
    found = learned(grid, asked(truth, 3), rule)
    assert generator_lines(found, ["first", "second"])[0].startswith(
        f"first: one reasoning counts as {found.votes[0]:g}"
    )

    file = SampleFile(tmp_path / "vote_weights.json", "infer", rule)
    answers = Answers(tried, tried, Weight(1.0, "unused"), found)
    file.path.write_text(json.dumps(answers.weights), encoding="utf-8")
    assert read_generator_weights(file).applied(rule).generator_weights == tuple(found.votes)
    assert Answers(tried, tried, Weight(1.0, "unused")).weights.keys() == {*vars(Weight(1.0, "unused"))}
    with pytest.raises(AugenError, match=r"no weights for the 3 generators of params.yaml"):
        read_generator_weights(replace(file, settings=replace(rule, generators=3)))
    file.path.write_text("{}", encoding="utf-8")
    with pytest.raises(AugenError, match=r"no weights of generators \('generators'\)"):
        read_generator_weights(file)


# --- ranks


class Sure:
    """A sampler whose log-probabilities come from its scale and the seed."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def draw(self, requests: Sequence[IndexedRequest], label: str) -> list[Completion]:
        return [
            Completion("答案是：A", 1, "stop", logprob=-self.scale * (1 + request.seed % 97)) for request, _ in requests
        ]

    def close(self) -> None:
        pass


def test_a_sample_is_ranked_among_those_of_its_own_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second generator is ten times less sure of everything; that says nothing of its answers."""
    monkeypatch.chdir(tmp_path)
    questions = [replace(QUESTION, id=f"p{number}#1") for number in range(60)]
    prompting = Prompting("。", FakeWindow(), 1, 1.0, 1.0, 8, 0, others=((FakeWindow(), 0),))
    sampler = SharedSampler([Sure(0.01), Sure(0.1)])
    rule = VotingSettings(2, generators=2)
    found = Rounds(questions, [()] * 60, prompting, rule).run(sampler, unscored)
    for slot in (1, 2):
        ranks = [sample.logprob_rank for drawn in found.drawn for sample in drawn if sample.slot == slot]
        assert 40 <= np.mean([rank for rank in ranks if rank is not None]) <= 60
    assert {drawer: len(ranks.known) for drawer, ranks in found.ranks.items()} == {
        Drawer("steps", 1): 60,
        Drawer("steps", 2): 60,
    }

    # With adaptive stopping the second one sees what the first could not settle; others' samples say how sure it is.
    sparing = replace(rule, adaptive=True, certainty=0.99)
    before = {Drawer("steps", 2): Ranks(np.sort(np.full(9, -1000.0)), 0)}
    later = Rounds(questions, [()] * 60, prompting, sparing, None, before).run(sampler, unscored)
    second = {sample.logprob_rank for drawn in later.drawn for sample in drawn if sample.slot == 2}
    assert second == {100}, "all are surer than those"


# --- params


def faults(changes: dict[str, Any]) -> str:
    with pytest.raises(AugenError) as error:
        sources_of(params(changes), *ADAPTERS)
    return str(error.value)


def test_what_is_no_set_of_generators_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    base = {"generator": "models/tiny/generator"}
    assert "params.yaml: infer.others.0: models/tiny/generator + models/adapter is there already, as generator 1" in (
        faults({"infer.others": [base | {"adapter": "models/adapter"}]})
    )
    assert "infer.others.1: m is there already, as generator 2" in (
        faults({"infer.others": [{"generator": "m", "engine": "openai"}] * 2})
    )
    assert "infer.others.0.adapter: models/none has no adapter_config.json" in (
        faults({"infer.others": [base | {"adapter": "models/none"}]})
    )
    assert "infer.others.0.template_args: arguments of the chat template" in (
        faults({"infer.others": [base | {"template_args": {"enable_thinking": False}}]})
    )
    assert "infer.others.0.adaptor: unknown key; did you mean 'adapter'?" in (
        faults({"infer.others": [base | {"adaptor": "models/none"}]})
    )
    assert "infer.others.0: engine openai cannot load an adapter" in (
        faults({"infer.others": [base | {"engine": "openai", "adapter": str(tmp_path)}]})
    )
    assert "infer: models: beside others name one model" in (
        faults({"infer.engine": "openai", "infer.adapter": False, "infer.models": ["a", "b"], "infer.others": [base]})
    )
    assert "infer: generator_weights: give 2" in faults({"infer.others": [base], "infer.generator_weights": [1.0]})


def test_a_further_generator_has_what_it_sets_and_else_what_the_first_has(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    others = [
        {"generator": "a/b", "adapter": str(tmp_path), "dtype": "bfloat16", "chat_template": True, "max_model_len": 64},
        {"generator": "served", "engine": "openai"},
    ]
    first, local, served = sources_of(params({"infer.others": others}), *ADAPTERS)
    assert first.generator and local.generator and served.generator
    assert (first.by, local.by, served.by, served.models) == ("auto", "auto", "openai", ("served",))
    assert local.generator.adapters == (tmp_path,) and (first.adapters, local.adapters, served.adapters) == (1, 1, 0)
    assert (local.generator.model.generator, local.generator.model.dtype) == ("a/b", "bfloat16")
    assert (local.window.chat_template, local.window.max_model_len) == (True, 64)
    assert (first.window.chat_template, first.window.max_model_len) == (False, 1024)
    assert [source.name for source in (first, local, served)] == [
        "models/tiny/generator + models/adapter", f"a/b + {tmp_path}", "served"
    ]  # fmt: skip
    assert sharers_of(params({"infer.others": others})) == Sharers("generators", [first.name, local.name, "served"])
    assert sharers_of(params()) is None


def test_what_each_generator_is_worth_is_reported() -> None:
    grid = grid_of(drawn("ABAB"), drawn("BBBB"))
    rule = replace(TWO, generator_weights=(0.5, 1.5))
    found = sharing_numbers(grid, asked("BB"), rule, Sharers("generators", ["one", "two"]))
    assert [own["weight"] for own in found["each"].values()] == [0.5, 1.5]
    assert (found["sharing"]["mixed"], found["sharing"]["best"]) == (1.0, "two"), "two always wins, by its weight"
    assert "two: one sample 1.000" in sharing_sentences(found)[1] and "counts as 1.5" in sharing_sentences(found)[1]
