"""The beginning that several texts share is read once. Pure; texts are rows of token ids.

The samples of one question differ only in their reasonings, which are short compared with problem, question and
options. A causal model can read those once and reuse the KV cache for all samples::

    groups = groups_of(rows, questions)    # which rows share how many tokens
    batches(groups, rows, 16_384)          # which groups are read together
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import takewhile

Row = list[int]
WORTHWHILE = 16  # tokens; reading fewer twice costs less than a second call of the model


@dataclass(frozen=True)
class Group:
    """Rows, by index, that begin with the same `shared` tokens; each has at least one token more."""

    shared: int
    members: tuple[int, ...]

    def tail(self, rows: Sequence[Row]) -> int:
        """How many tokens the longest member has after the shared ones."""
        return max(len(rows[i]) for i in self.members) - self.shared


def shared_by(rows: Sequence[Row]) -> int:
    """The length of the prefix that all `rows` share, but less than the length of the shortest.

    >>> shared_by([[1, 2, 3, 4], [1, 2, 5]]), shared_by([[1, 2], [1, 2]]), shared_by([[1], [2, 3]])
    (2, 1, 0)
    """
    low, high = min(rows), max(rows)  # as lists are ordered, the prefix of these two is that of all
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False)))
    return min(same, min(map(len, rows)) - 1)


def groups_of(rows: Sequence[Row], keys: Sequence[Hashable]) -> list[Group]:
    """Groups of rows with the same key, if they share a prefix worth reading once; every other row on its own.

    >>> start = list(range(20))
    >>> groups_of([[*start, 1], [*start, 2, 3], [7, 8]], ["a", "a", "b"])
    [Group(shared=20, members=(0, 1)), Group(shared=0, members=(2,))]
    """
    by_key: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        by_key.setdefault(key, []).append(index)
    groups = []
    for members in by_key.values():
        shared = shared_by([rows[i] for i in members]) if len(members) > 1 else 0
        if shared >= WORTHWHILE:
            groups.append(Group(shared, tuple(members)))
        else:
            groups += [Group(0, (i,)) for i in members]
    return groups


def batches(groups: Sequence[Group], rows: Sequence[Row], batch_tokens: int) -> list[list[Group]]:
    """`groups` in batches of similar lengths, long ones first, each of at most `batch_tokens` tokens with padding.

    Groups with a shared prefix and rows without one are not mixed. Too large a group is split over several batches;
    too long a row has a batch of its own.

    >>> rows = [[1] * 30, [1] * 30, [2] * 9, [3] * 4, [4]]
    >>> batches([Group(20, (0, 1)), Group(0, (2,)), Group(0, (3,)), Group(0, (4,))], rows, batch_tokens=10)
    [[Group(shared=20, members=(0,))], [Group(shared=20, members=(1,))], [Group(shared=0, members=(2,))], \
[Group(shared=0, members=(3,)), Group(shared=0, members=(4,))]]
    """
    found: list[list[Group]] = []
    shared = tail = count = 0
    for group in sorted(_parts(groups, rows, batch_tokens), key=lambda g: (-g.shared, -g.tail(rows), g.members)):
        wider = max(tail, group.tail(rows))
        more = count + len(group.members)
        if found and bool(shared) == bool(group.shared) and (shared + wider) * more <= batch_tokens:
            found[-1].append(group)
            tail, count = wider, more
        else:
            found.append([group])
            shared, tail, count = group.shared, group.tail(rows), len(group.members)
    return found


def _parts(groups: Sequence[Group], rows: Sequence[Row], batch_tokens: int) -> list[Group]:
    """`groups`, with those that exceed `batch_tokens` split into parts that do not."""
    parts = []
    for group in groups:
        size = max(1, batch_tokens // (group.shared + group.tail(rows)))
        parts += [Group(group.shared, group.members[at : at + size]) for at in range(0, len(group.members), size)]
    return parts
