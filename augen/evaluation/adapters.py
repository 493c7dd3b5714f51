"""What several adapters bring: each by itself, how often they disagree, and their common vote at equal samples.

Of the reasonings, before any redraw. Slot s has the adapter (s - 1) mod K. Shapes: K adapters, Q questions, V slots.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from augen.core.arrays import Floats
from augen.metrics.stats import Estimate, cluster_mean, numbered, paired_difference, with_error
from augen.voting.grid import SampleGrid
from augen.voting.samples import DevQuestions
from augen.voting.settings import VotingSettings


def adapter_numbers(
    grid: SampleGrid, questions: DevQuestions, settings: VotingSettings, adapters: int
) -> dict[str, Any]:
    """The numbers of reports/metrics.json about `adapters`, at least 2.

    What the samples do not tell is left out: anything where adaptive stopping left a slot open, ``bagging`` where no
    adapter has two votes of its own.
    """
    first = grid.steps[:, :, :1]
    slots = first.drawn.shape[1]
    if not first.drawn.all() or slots < adapters:
        return {"count": adapters}
    own = [first[:, number::adapters] for number in range(adapters)]

    def right(part: SampleGrid) -> Floats:
        return np.asarray(part.voted(settings) == questions.truth, dtype=np.float64)

    numbers: dict[str, Any] = {"count": adapters, "each": {}}
    for number, part in enumerate(own):
        single = np.asarray((part.answers == questions.truth[:, None, None]).mean(axis=(1, 2)))
        numbers["each"][str(number)] = {
            **numbered("accuracy", cluster_mean(single, questions.clusters)),
            "votes": part.drawn.shape[1],
            **numbered("vote", cluster_mean(right(part), questions.clusters)),
        }
    votes = np.stack([part.voted(settings) for part in own])  # (K, Q)
    differ = np.asarray((votes != votes[0]).any(axis=0), dtype=np.float64)
    numbers |= numbered("differ", cluster_mean(differ, questions.clusters))
    if (size := slots // adapters) > 1:
        alone = np.mean([right(part[:, :size]) for part in own], axis=0)
        mixed = np.mean([right(first[:, at : at + size]) for at in range(slots - size + 1)], axis=0)
        numbers["bagging"] = {
            "votes": size,
            **numbered("alone", cluster_mean(alone, questions.clusters)),
            **numbered("mixed", cluster_mean(mixed, questions.clusters)),
            **numbered("gain", paired_difference(mixed, alone, questions.clusters)),
        }
    return numbers


def adapter_sentences(found: Mapping[str, Any] | None) -> list[str]:
    """`found`, as in reports/metrics.json, in words; nothing for a run with one adapter."""
    if not found:
        return []
    if "each" not in found:
        return [
            f"What each of {found['count']} adapters is worth needs a vote of each for every question: raise voters, "
            "or set infer.adaptive to false."
        ]

    def estimate(numbers: Mapping[str, Any], name: str, sign: str = "") -> str:
        return with_error(Estimate(numbers[name], numbers[f"{name}_se"]), sign)

    lines = [
        f"Adapter {number}: one sample {estimate(own, 'accuracy')}; its {own['votes']} votes {estimate(own, 'vote')}."
        for number, own in found["each"].items()
    ]
    lines.append(f"Their own votes differ for a share of {estimate(found, 'differ')} of the questions.")
    if bagging := found.get("bagging"):
        lines.append(
            f"{bagging['votes']} votes of one adapter {estimate(bagging, 'alone')}, as many of several "
            f"{estimate(bagging, 'mixed')}: {estimate(bagging, 'gain', '+')} at equal samples."
        )
    else:
        lines.append(f"What several gain at equal samples needs voters: {2 * found['count']} or more.")
    return lines


def adapters_section(found: Mapping[str, Any] | None) -> str:
    """The section of reports/gains.md about several adapters; empty for a run with one."""
    lines = [f"- {sentence}" for sentence in adapter_sentences(found)]
    return "\n".join(["\n## Adapters\n", "Reasonings alone, before redraws.\n", *lines, ""]) if lines else ""
