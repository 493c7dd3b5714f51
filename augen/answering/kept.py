"""Samples on their way from the rounds into the file, on the disk: by round in the order of drawing, then by question.

Each round has a file without a name in the working directory, which vanishes with the process. The rank of a sample is
known at the end of its round only; it is in the grid.
"""

import json
import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import IO

from augen.voting.grid import SampleGrid
from augen.voting.samples import Sample, place_of

READ = 1 << 20  # bytes at once
FIELDS = [field.name for field in fields(Sample)]
SLOT, ROUND, MODE, RANK = map(FIELDS.index, ("slot", "round", "mode", "logprob_rank"))


class KeptSamples:
    """The samples of each question of `grid`, ordered by round, mode and slot; as often as they are asked for."""

    def __init__(self, grid: SampleGrid) -> None:
        self._grid = grid
        self._rounds: list[IO[bytes]] = []

    def begin_round(self) -> None:
        file = tempfile.TemporaryFile(dir=".")  # noqa: SIM115 (open as long as this object lives)
        weakref.finalize(self, file.close)
        self._rounds.append(file)

    def add(self, questions: Sequence[int], samples: Sequence[Sample]) -> None:
        """`samples` of the round, each of the question with that number, which only grows within a round."""
        self._rounds[-1].writelines(
            json.dumps([number, *vars(sample).values()], ensure_ascii=False).encode() + b"\n"
            for number, sample in zip(questions, samples, strict=True)
        )
        self._rounds[-1].flush()

    def __iter__(self) -> Iterator[list[Sample]]:
        rounds = [self._of(file) for file in self._rounds]
        heads = [next(samples, None) for samples in rounds]
        for question in range(len(self._grid.drawn)):
            own: list[Sample] = []
            for number, samples in enumerate(rounds):
                while (head := heads[number]) and head[0] == question:
                    own.append(head[1])
                    heads[number] = next(samples, None)
            yield sorted(own, key=place_of)

    def _of(self, file: IO[bytes]) -> Iterator[tuple[int, Sample]]:
        """The samples of a round, each with the number of its question."""
        for line in _lines(file.fileno()):
            question, *values = json.loads(line)
            column = values[SLOT] - 1 + (0 if values[MODE] == "program" else self._grid.program_slots)
            rank = int(self._grid.ranks[question, column, values[ROUND]])
            values[RANK] = None if rank < 0 else rank
            yield question, Sample(*values)


def _lines(file: int) -> Iterator[bytes]:
    """The lines of an open file. Its position stays as it is, so several may read it at once."""
    position, rest = 0, b""
    while part := os.pread(file, READ, position):
        position += len(part)
        *lines, rest = (rest + part).split(b"\n")
        yield from lines
