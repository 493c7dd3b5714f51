"""Several generators share the slots of a question: they take turns, from the first slot on.

Which generator draws a slot depends on its number alone (`VotingSettings.generator`), so a redraw is by the same one,
and every sample is stored under its generator's own identity: the first generator's are those that it draws when alone.
What is asked together (a round) goes to one generator after the other, so where engines take turns on a device, each
is opened at most once for it, and only if samples of it are missing.
"""

from collections.abc import Sequence

from augen.generation.base import Completion, IndexedRequest, Sampler


class SharedSampler:
    """The `Sampler` of all slots, whose indices name theirs; `samplers` are those of each generator."""

    def __init__(self, samplers: Sequence[Sampler]) -> None:
        self._samplers = samplers

    def draw(self, requests: Sequence[IndexedRequest], label: str) -> list[Completion]:
        """See ``Sampler.draw``."""
        found: dict[int, Completion] = {}
        for number, sampler in enumerate(self._samplers):
            own = [n for n, (_, index) in enumerate(requests) if (index["slot"] - 1) % len(self._samplers) == number]
            if own:
                drawn = sampler.draw([requests[n] for n in own], f"{label}, generator {number + 1}: {len(own):,}")
                found |= zip(own, drawn, strict=True)
        return [found[n] for n in range(len(requests))]

    def close(self) -> None:
        """See ``Sampler.close``."""
        for sampler in self._samplers:
            sampler.close()
