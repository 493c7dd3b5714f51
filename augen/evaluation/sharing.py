"""What several adapters or generators bring: each alone, how often they disagree, their common vote at equal samples.

Of the reasonings, before any redraw. Slot s has the sharer (s - 1) mod K. Shapes: K sharers, Q questions, V slots.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from augen.core.arrays import Floats
from augen.core.params import Params, generator_names
from augen.metrics.stats import Estimate, cluster_mean, numbered, paired_difference, with_error
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions
from augen.voting.settings import VotingSettings

Kind = Literal["adapters", "generators"]


@dataclass(frozen=True)
class Sharers:
    """Those that take turns with the slots, at least 2, by name."""

    kind: Kind
    names: Sequence[str]


def sharers_of(p: Params) -> Sharers | None:
    """Those of a run: the generators where there are several, else the adapters where there are several, else None."""
    if p.infer.others:
        return Sharers("generators", generator_names(p.model, p.infer))
    if p.infer.adapter and p.finetune.adapters > 1:
        return Sharers("adapters", [f"Adapter {number}" for number in range(p.finetune.adapters)])
    return None


def sharing_numbers(
    grid: SampleGrid, questions: DevQuestions, settings: VotingSettings, sharers: Sharers
) -> dict[str, Any]:
    """The numbers of reports/metrics.json about `sharers`.

    What the samples do not tell is left out: anything where adaptive stopping left a slot open, ``sharing`` where none
    has two votes of its own.
    """
    first, count = grid.steps[:, :, :1], len(sharers.names)
    slots = first.drawn.shape[1]
    if not first.drawn.all() or slots < count:
        return {"count": count}
    own = [first[:, number::count] for number in range(count)]

    def right(part: SampleGrid) -> Floats:
        return np.asarray(part.voted(settings) == questions.truth, dtype=np.float64)

    numbers: dict[str, Any] = {"count": count, "each": {}}
    for number, (part, name) in enumerate(zip(own, sharers.names, strict=True)):
        single = np.asarray((part.answers == questions.truth[:, None, None]).mean(axis=(1, 2)))
        numbers["each"][str(number)] = {
            "name": name,
            **({"weight": settings.generator_weights[number]} if settings.generator_weights else {}),
            **numbered("accuracy", cluster_mean(single, questions.clusters)),
            "votes": part.drawn.shape[1],
            **numbered("vote", cluster_mean(right(part), questions.clusters)),
        }
    votes = np.stack([part.voted(settings) for part in own])  # (K, Q)
    differ = np.asarray((votes != votes[0]).any(axis=0), dtype=np.float64)
    numbers |= numbered("differ", cluster_mean(differ, questions.clusters))
    if (size := slots // count) > 1:
        alone = np.array([right(part[:, :size]) for part in own])  # (K, Q)
        best = int(np.argmax(alone.mean(axis=1)))
        mixed = np.mean([right(first[:, at : at + size]) for at in range(slots - size + 1)], axis=0)
        numbers["sharing"] = {
            "votes": size,
            **numbered("alone", cluster_mean(alone.mean(axis=0), questions.clusters)),
            **numbered("mixed", cluster_mean(mixed, questions.clusters)),
            **numbered("gain", paired_difference(mixed, alone.mean(axis=0), questions.clusters)),
            "best": sharers.names[best],
            **numbered("gain_over_best", paired_difference(mixed, alone[best], questions.clusters)),
        }
    return numbers


def sharing_sentences(found: Mapping[str, Any] | None) -> list[str]:
    """`found`, as in reports/metrics.json, in words; nothing for a run in which one draws all slots."""
    if not found:
        return []
    if "each" not in found:
        return [
            f"What each of {found['count']} is worth needs a vote of each for every question: raise voters, or set "
            "infer.adaptive to false."
        ]

    def estimate(numbers: Mapping[str, Any], name: str, sign: str = "") -> str:
        return with_error(Estimate(numbers[name], numbers[f"{name}_se"]), sign)

    lines = [
        f"{own['name']}: one sample {estimate(own, 'accuracy')}; its {own['votes']} votes {estimate(own, 'vote')}"
        + (f"; one vote counts as {own['weight']:g}." if "weight" in own else ".")
        for own in found["each"].values()
    ]
    lines.append(f"Their own votes differ for a share of {estimate(found, 'differ')} of the questions.")
    if sharing := found.get("sharing"):
        lines.append(
            f"{sharing['votes']} votes of one alone {estimate(sharing, 'alone')}, as many of several "
            f"{estimate(sharing, 'mixed')}: {estimate(sharing, 'gain', '+')} at equal samples, "
            f"{estimate(sharing, 'gain_over_best', '+')} over {sharing['best']}, the best on these questions."
        )
    else:
        lines.append(f"What several gain at equal samples needs voters: {2 * found['count']} or more.")
    return lines


def sharing_section(metrics: Mapping[str, Any]) -> str:
    """The section of reports/gains.md about several adapters or generators; empty for a run with one."""
    kinds: Sequence[Kind] = ("adapters", "generators")
    for kind in kinds:
        if lines := [f"- {sentence}" for sentence in sharing_sentences(metrics.get(kind))]:
            return "\n".join([f"\n## {kind.capitalize()}\n", "Reasonings alone, before redraws.\n", *lines, ""])
    return ""
