"""How the questions of a run are answered: the one record of it."""

from dataclasses import dataclass
from typing import Literal

from augen.core import params

Method = Literal["majority", "likelihood", "weighted", "best"]
Resample = Literal["slot", "question"]
Mode = Literal["steps", "program"]  # of a slot: a reasoning in words, or a program that a solver answers


@dataclass(frozen=True)
class VotingSettings:
    """How often a question is sampled, which samples are accepted, how they are counted, when a question stops.

    params.yaml explains each. `voters` are the slots of reasonings; `programs` further slots come before them. One
    program that answers has `program_weight` votes, whatever a reasoning has by `method`; with 0 its answer is only
    recorded. Of the programs that answer, `program_precision` are right; None where that is not known. Where there are
    several `generators`, the slots of either mode take turns with them, and one reasoning of each is worth so many
    votes as `generator_weights` say; empty: one vote.
    """

    voters: int
    max_resample: int = 0
    threshold: float = 0.0
    resample: Resample = "slot"
    method: Method = "majority"
    fallback: str = "A"
    adaptive: bool = False
    certainty: float = 0.95
    programs: int = 0
    program_weight: float = 1.0
    program_precision: float | None = None
    generators: int = 1
    generator_weights: tuple[float, ...] = ()

    @classmethod
    def of(cls, p: params.Params) -> "VotingSettings":
        """Those of the stage `infer`: the params ``voters``, ``max_resample`` and ``infer``.

        What a program or a generator is worth is not among them: see `augen.voting.weights`.
        """
        i = p.infer
        return cls(
            p.voters, p.max_resample, i.threshold, i.resample, i.vote, i.fallback, i.adaptive, i.certainty, i.programs,
            generators=1 + len(i.others),
        )  # fmt: skip

    def generator(self, slot: int) -> int:
        """Which of several generators draws a slot of either mode, counted from 1; 0 where there is only one.

        >>> [VotingSettings(5, generators=2).generator(slot) for slot in range(1, 6)], VotingSettings(5).generator(3)
        ([1, 2, 1, 2, 1], 0)
        """
        return (slot - 1) % self.generators + 1 if self.generators > 1 else 0

    @property
    def programs_settle(self) -> bool:
        """Whether an answer that one program gives is as certain as `adaptive` asks for."""
        return bool(self.program_weight) and (self.program_precision or 0.0) >= self.certainty
