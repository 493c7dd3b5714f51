"""Votes and the round loop's draws: the worked examples, and what must hold for any samples."""

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc
from scipy.stats import betabinom

from augen.voting.samples import Sample
from augen.voting.settings import Method, Resample, VotingSettings
from augen.voting.stopping import decided, votes_to_decide
from tests.oracles import VOTES, decide, next_draws, weight

METHODS: tuple[Method, ...] = get_args(Method)
RESAMPLES: tuple[Resample, ...] = get_args(Resample)

MAJORITY = VotingSettings(5, threshold=0.5, fallback="Z")

timeless = settings(max_examples=60, deadline=None)
letters = st.sampled_from("ABCD")
# Few distinct scores, so that ties are common.
scores = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.9, 1.0])
ranks = st.none() | st.integers(0, 100)
samples = st.builds(Sample, answer=st.none() | letters, score=st.none() | scores, logprob_rank=ranks)
Answers = Callable[[int, int], Sample]


def answers_by_place(seed: int) -> Answers:
    """A question whose sample in (slot, round) is always the same, as in a run that is repeated."""

    def sample(slot: int, round_: int) -> Sample:
        number = hash((seed, slot, round_)) % 1000
        answer = [None, "A", "A", "A", "B", "C"][number % 6]
        return Sample(answer, (number // 6 % 11) / 10, slot, round_)

    return sample


def run(
    sample: Answers, voters: int, max_resample: int, resample: Resample, adaptive: bool
) -> tuple[list[Sample], list[list[tuple[int, int]]]]:
    """The round loop as inference runs it: all samples, and the draws of each round."""
    history: list[Sample] = []
    rounds = []
    settings = VotingSettings(voters, max_resample, 0.5, resample, adaptive=adaptive)
    while draws := next_draws(history, settings):
        rounds.append(draws)
        history += [sample(slot, round_) for slot, round_ in draws]
        assert len(rounds) <= voters * (max_resample + 1), "the loop does not end"
    return history, rounds


@pytest.mark.parametrize("method", METHODS)
class TestVotes:
    @timeless
    @given(drawn=st.lists(samples), data=st.data())
    def test_the_order_of_samples_changes_nothing(
        self, method: Method, drawn: list[Sample], data: st.DataObject
    ) -> None:
        shuffled = data.draw(st.permutations(drawn))
        vote = VOTES[method](drawn)
        assert VOTES[method](shuffled) == vote
        assert list(VOTES[method](shuffled).tally) == list(vote.tally)

    @timeless
    @given(letter=letters, given=st.lists(st.none() | scores, min_size=1))
    def test_unanimous_wins(self, method: Method, letter: str, given: list[float | None]) -> None:
        vote = VOTES[method]([Sample(letter, score) for score in given])
        assert vote.answer == letter
        assert list(vote.tally) == [letter]

    @timeless
    @given(drawn=st.lists(samples))
    def test_none_never_wins(self, method: Method, drawn: list[Sample]) -> None:
        vote = VOTES[method](drawn)
        parsed = [sample for sample in drawn if sample.answer is not None]
        assert vote == VOTES[method](parsed)
        assert (vote.answer is None) == (not parsed)
        assert None not in vote.tally

    @timeless
    @given(drawn=st.lists(samples, min_size=1))
    def test_the_winner_has_the_highest_tally_and_ties_go_as_documented(
        self, method: Method, drawn: list[Sample]
    ) -> None:
        vote = VOTES[method](drawn)
        if vote.answer is None:
            return

        def score_sum(letter: str) -> int:
            return sum(weight(sample, method) for sample in drawn if sample.answer == letter)

        tied = [letter for letter, got in vote.tally.items() if got == max(vote.tally.values())]
        strongest = [letter for letter in tied if score_sum(letter) == max(map(score_sum, tied))]
        assert vote.answer == min(strongest)

    @timeless
    @given(answers=st.lists(st.none() | letters))
    def test_without_scores_every_method_is_the_majority(self, method: Method, answers: list[str | None]) -> None:
        unscored = [Sample(answer) for answer in answers]
        assert VOTES[method](unscored).answer == VOTES["majority"](unscored).answer

    @timeless
    @given(drawn=st.lists(samples), threshold=scores)
    def test_decide_asks_the_accepted_then_the_parsed_then_falls_back(
        self, method: Method, drawn: list[Sample], threshold: float
    ) -> None:
        decision = decide(drawn, VotingSettings(5, threshold=threshold, method=method, fallback="Z"))
        accepted = [sample for sample in drawn if sample.accepted(threshold)]
        expected = VOTES[method](accepted or drawn)
        basis = "accepted" if accepted else "parsed" if expected.answer else "fallback"
        assert (decision.basis, decision.tally) == (basis, expected.tally)
        assert decision.answer == (expected.answer or "Z")


def test_methods_differ_where_they_should() -> None:
    """B is given most often, A has the higher sum, C the highest score, D is the likeliest."""
    drawn = [Sample("B", 0.1, logprob_rank=10)] * 3 + [Sample("A", 0.7, logprob_rank=10)] * 2
    drawn += [Sample("C", 0.8, logprob_rank=10), Sample("D", 0.2, logprob_rank=80)]
    assert {method: VOTES[method](drawn).answer for method in METHODS} == {
        "majority": "B",
        "likelihood": "D",
        "weighted": "A",
        "best": "C",
    }


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_a_score_that_is_no_probability_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match="slot 3, round 1"):
        Sample("A", score, slot=3, round=1)


class TestDecided:
    @timeless
    @given(
        top=st.integers(0, 12),
        second=st.integers(0, 12),
        left=st.integers(0, 12),
        rank=ranks,
    )
    def test_equals_the_beta_binomial_of_the_posterior(
        self, top: int, second: int, left: int, rank: int | None
    ) -> None:
        """Every vote to come goes to the leader with a probability drawn from Beta(a, b)."""
        trust = (0, 0) if rank is None else (rank / 25, 4 - rank / 25)
        others = betabinom(left, trust[1] + second + 1, trust[0] + top + 1)
        chance = sum(others.pmf(x) for x in range(left + 1) if second + x < top + left - x)
        for certainty in (0.95, 0.99) if rank is None else (0.6, 0.8, 0.95, 0.99):
            if abs(chance - certainty) > 1e-6:
                assert decided(top, second, left, certainty, rank) == (top > second and chance > certainty)

    def test_without_a_rank_it_must_be_rather_certain(self) -> None:
        """Of five votes 1 to 0 is as good as 0.8 by the votes alone, and that is too often wrong."""
        assert not decided(1, 0, left=4, certainty=0.6)
        assert decided(1, 0, left=4, certainty=0.6, rank=50)

    @timeless
    @given(top=st.integers(0, 20), second=st.integers(0, 20))
    def test_with_endless_votes_it_is_adaptive_consistency(self, top: int, second: int) -> None:
        posterior = 1 - betainc(top + 1, second + 1, 0.5)
        if abs(posterior - 0.95) > 0.01:
            assert decided(top, second, left=1501) == (posterior >= 0.95)

    @timeless
    @given(second=st.integers(0, 20), lead=st.integers(1, 20), data=st.data())
    def test_a_lead_that_nothing_can_change_is_decided(self, second: int, lead: int, data: st.DataObject) -> None:
        left = data.draw(st.integers(0, lead - 1))
        assert decided(second + lead, second, left)

    @timeless
    @given(votes=st.integers(0, 60), left=st.integers(0, 60))
    def test_a_tie_is_never_decided(self, votes: int, left: int) -> None:
        assert not decided(votes, votes, left)

    @timeless
    @given(
        top=st.integers(0, 20),
        second=st.integers(0, 20),
        left=st.integers(0, 20),
        rank=ranks,
    )
    def test_needs_exactly_the_votes_that_it_names(self, top: int, second: int, left: int, rank: int | None) -> None:
        more = votes_to_decide(top, second, left, 0.8, rank)
        assert 0 <= more <= left
        assert more == left or decided(top + more, second, left - more, 0.8, rank)
        assert more == 0 or not decided(top + more - 1, second, left - more + 1, 0.8, rank)


class TestNextDraws:
    @timeless
    @given(
        seed=st.integers(0, 10**6),
        voters=st.integers(1, 12),
        max_resample=st.integers(0, 3),
        resample=st.sampled_from(RESAMPLES),
        adaptive=st.booleans(),
    )
    def test_ends_and_never_repeats_itself(
        self, seed: int, voters: int, max_resample: int, resample: Resample, adaptive: bool
    ) -> None:
        history, rounds = run(answers_by_place(seed), voters, max_resample, resample, adaptive)
        places = [(sample.slot, sample.round) for sample in history]
        assert len(set(places)) == len(places) <= voters * (max_resample + 1)
        assert all(draws == sorted(draws) for draws in rounds)
        # A slot's rounds follow each other without a gap, and slots are opened from the first on.
        for slot, round_ in places:
            assert round_ == 0 or (slot, round_ - 1) in places
            assert slot == 1 or (slot - 1, 0) in places

    @timeless
    @given(
        seed=st.integers(0, 10**6),
        fewer=st.integers(1, 6),
        more=st.integers(1, 6),
        max_resample=st.integers(0, 3),
    )
    def test_more_voters_only_add_slots(self, seed: int, fewer: int, more: int, max_resample: int) -> None:
        sample = answers_by_place(seed)
        few, _ = run(sample, fewer, max_resample, "slot", adaptive=False)
        many, _ = run(sample, fewer + more, max_resample, "slot", adaptive=False)
        assert [kept for kept in many if kept.slot <= fewer] == few

    @timeless
    @given(seed=st.integers(0, 10**6), max_resample=st.integers(0, 3))
    def test_a_slot_is_drawn_until_it_is_accepted(self, seed: int, max_resample: int) -> None:
        sample = answers_by_place(seed)
        history, _ = run(sample, 5, max_resample, "slot", adaptive=False)
        for slot in range(1, 6):
            own = [drawn for drawn in history if drawn.slot == slot]
            assert not any(drawn.accepted(0.5) for drawn in own[:-1])
            assert own[-1].accepted(0.5) or len(own) == max_resample + 1

    @timeless
    @given(seed=st.integers(0, 10**6), max_resample=st.integers(0, 3))
    def test_a_question_is_drawn_whole_until_anything_is_accepted(self, seed: int, max_resample: int) -> None:
        history, rounds = run(answers_by_place(seed), 3, max_resample, "question", adaptive=False)
        assert rounds == [[(1, n), (2, n), (3, n)] for n in range(len(rounds))]
        assert not any(drawn.accepted(0.5) for drawn in history if drawn.round < len(rounds) - 1)
        assert len(rounds) == max_resample + 1 or any(drawn.accepted(0.5) for drawn in history)

    @timeless
    @given(
        seed=st.integers(0, 10**6),
        voters=st.integers(1, 30),
        max_resample=st.integers(0, 2),
        resample=st.sampled_from(RESAMPLES),
    )
    def test_adaptive_draws_a_part_and_stops_no_later_than_decided(
        self, seed: int, voters: int, max_resample: int, resample: Resample
    ) -> None:
        sample = answers_by_place(seed)
        history, rounds = run(sample, voters, max_resample, resample, adaptive=True)
        drawn = 0
        for draws in rounds:
            # Before the last draw of a batch the question cannot have been decided, had all of the batch been accepted.
            batch = history[drawn : drawn + len(draws)]
            before = [kept.answer for kept in history[: drawn + len(draws) - 1] if kept.accepted(0.5)]
            counts = sorted((before.count(letter) for letter in "ABC"), reverse=True)
            left = (
                len(
                    next_draws(
                        history[:drawn], replace(MAJORITY, voters=voters, max_resample=max_resample, resample=resample)
                    )
                )
                - len(draws)
                + 1
            )
            if all(kept.accepted(0.5) for kept in batch) and drawn:
                assert not decided(counts[0], counts[1], left)
            drawn += len(draws)
        if resample == "slot":
            whole, _ = run(sample, voters, max_resample, resample, adaptive=False)
            assert {(kept.slot, kept.round) for kept in history} <= {(kept.slot, kept.round) for kept in whole}

    @pytest.mark.parametrize(("voters", "needed"), [(1, 1), (3, 2), (5, 2), (7, 3), (9, 3), (15, 3), (40, 4)])
    def test_how_many_equal_answers_adaptive_needs(self, voters: int, needed: int) -> None:
        history, rounds = run(lambda slot, n: Sample("A", 0.9, slot, n), voters, 2, "slot", adaptive=True)
        first, others = [(1, 0)], [(slot, 0) for slot in range(2, needed + 1)]
        assert rounds == ([first, others] if others else [first])
        assert decide(history, VotingSettings(voters, threshold=0.5, fallback="B")).tally == {"A": float(needed)}

    @timeless
    @given(seed=st.integers(0, 10**6), voters=st.integers(1, 12), max_resample=st.integers(0, 2))
    def test_what_adaptive_calls_decided_for_certain_is_so(self, seed: int, voters: int, max_resample: int) -> None:
        """Where the lead is larger than what was saved, all the votes together have the same winner."""
        sample = answers_by_place(seed)
        whole, _ = run(sample, voters, max_resample, "slot", adaptive=False)
        part, _ = run(sample, voters, max_resample, "slot", adaptive=True)
        if decide(part, MAJORITY).basis != "accepted":
            return
        tally = list(decide(part, MAJORITY).tally.values())
        saved = sum(kept.accepted(0.5) for kept in whole) - sum(kept.accepted(0.5) for kept in part)
        if tally[0] - (tally[1] if len(tally) > 1 else 0) > saved:
            assert decide(whole, MAJORITY).answer == decide(part, MAJORITY).answer

    @pytest.mark.parametrize(("rank", "needed"), [(95, 1), (60, 1), (50, 2), (10, 3)])
    def test_the_less_sure_the_generator_the_more_votes(self, rank: int, needed: int) -> None:
        history: list[Sample] = []
        while draws := next_draws(history, VotingSettings(5, 2, 0.5, adaptive=True, certainty=0.8)):
            history += [Sample("A", 0.9, *place, rank) for place in draws]
        assert len(history) == needed

    def test_rejected_everything_draws_everything(self) -> None:
        """In few rounds: the models may be loaded anew for each."""
        _, rounds = run(lambda slot, n: Sample("A", 0.1, slot, n), 5, 2, "slot", adaptive=True)
        assert len(rounds) <= 10
        history, _ = run(lambda slot, n: Sample("A", 0.1, slot, n), 3, 2, "slot", adaptive=True)
        assert sorted((kept.slot, kept.round) for kept in history) == [(s, n) for s in (1, 2, 3) for n in (0, 1, 2)]
