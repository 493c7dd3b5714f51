"""How the questions of a run are answered: the one record of it."""

from dataclasses import dataclass
from typing import Literal

from augen.core import params

Method = Literal["majority", "weighted", "best"]
Resample = Literal["slot", "question"]


@dataclass(frozen=True)
class VotingSettings:
    """How often a question is sampled, which samples are accepted, how they are counted, when a question stops.

    params.yaml explains each.
    """

    voters: int
    max_resample: int = 0
    threshold: float = 0.0
    resample: Resample = "slot"
    method: Method = "majority"
    fallback: str = "A"
    adaptive: bool = False
    certainty: float = 0.95

    @classmethod
    def of(cls, p: params.Params) -> "VotingSettings":
        """Those of the stage `infer`: the params ``voters``, ``max_resample`` and ``infer``."""
        i = p.infer
        return cls(p.voters, p.max_resample, i.threshold, i.resample, i.vote, i.fallback, i.adaptive, i.certainty)
