"""Which unit every entry of an intermediate tensor belongs to, and in which role: two arrays beside the values.

The invariant that the walk keeps: the value of an entry is f_role(what belongs to its unit), where f_role is the same
function for all units, everything fixed being part of it; entries of unit FIXED with equal roles have equal values.
"""

import itertools
from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor

FIXED = 0  # the unit of what does not move
NOTHING = 0  # the role of a constant 0


@dataclass(frozen=True)
class Labels:
    """unit, role: int64, of the shape of the values."""

    unit: Tensor
    role: Tensor

    def map(self, index: Tensor) -> "Labels":
        """Take entries of the flat arrays by number from 1 on; 0 stands for a constant 0."""
        constant = torch.zeros(1, dtype=torch.int64)
        unit, role = (torch.cat([constant, part.reshape(-1)])[index] for part in (self.unit, self.role))
        return Labels(unit, role)

    def rows(self, dims: int) -> "Labels":
        """As a matrix, one row for each index of the leading `dims` dimensions."""
        count = self.unit.shape[:dims].numel()
        return Labels(self.unit.reshape(count, -1), self.role.reshape(count, -1))


class Roles:
    """Hands out numbers for roles; those of different calls differ."""

    def __init__(self) -> None:
        """Start at 1: NOTHING is 0."""
        self._next = 1
        self._constants: dict[float, int] = {0.0: NOTHING}

    def fresh(self, *parts: Tensor) -> Tensor:
        """Number (shape) that is equal where all parts are, and occurs nowhere else. parts: int64, the same shape."""
        combined = torch.zeros_like(parts[0])
        for part in parts:
            values, place = torch.unique(part, return_inverse=True)
            combined = torch.unique(combined * len(values) + place, return_inverse=True)[1]
        return self._numbered(combined)

    def of_rows(self, rows: Tensor) -> Tensor:
        """The same for rows (count, entries) that are equal as a whole."""
        if rows.shape[1] == 0:
            return self._numbered(torch.zeros(len(rows), dtype=torch.int64))
        return self._numbered(torch.unique(rows, dim=0, return_inverse=True)[1])

    def every(self, shape: torch.Size) -> Tensor:
        """A number of its own for every entry."""
        return self._numbered(torch.arange(shape.numel()).reshape(shape))

    def constants(self, values: Tensor) -> Tensor:
        """Numbers by value, the same in all calls."""
        distinct, place = torch.unique(values.detach().to(torch.float64), return_inverse=True)
        numbers = []
        for value in distinct.tolist():
            if value not in self._constants:
                self._constants[value] = self._next
                self._next += 1
            numbers.append(self._constants[value])
        return torch.tensor(numbers, dtype=torch.int64)[place]

    def _numbered(self, ranks: Tensor) -> Tensor:
        first = self._next
        self._next += int(ranks.max()) + 1 if ranks.numel() else 0
        return ranks + first


class Units:
    """Elementary units, each made by one writer, united where an operation ties them; FIXED is the smallest."""

    def __init__(self) -> None:
        """Start with FIXED alone."""
        self._parents = torch.zeros(1, dtype=torch.int64)
        self._writers = [0]
        self._count = itertools.count(1)

    def new(self, count: int) -> Tensor:
        """Make units of one new writer."""
        first = len(self._parents)
        made = torch.arange(first, first + count)
        self._parents = torch.cat([self._parents, made])
        self._writers += [next(self._count)] * count
        return made

    def roots(self, unit: Tensor) -> Tensor:
        """The smallest of the units that each is united with."""
        while not torch.equal(up := self._parents[self._parents], self._parents):
            self._parents = up
        return self._parents[unit]

    def _root(self, unit: int) -> int:
        while (up := int(self._parents[unit])) != unit:
            unit = up
        return unit

    def unite(self, one: Tensor, other: Tensor) -> None:
        """Make units one, entry by entry."""
        pairs = torch.stack([self.roots(one.reshape(-1)), self.roots(other.reshape(-1))], dim=1)
        for pair in torch.unique(pairs, dim=0).tolist():
            low, high = sorted(map(self._root, pair))
            self._parents[high] = low

    def fix(self, unit: Tensor) -> None:
        """Let units stay where they are."""
        self.unite(unit.reshape(-1), torch.zeros(unit.numel(), dtype=torch.int64))

    def doubled(self) -> set[int]:
        """Roots with two units of the same writer, whose roles cannot be told apart."""
        seen: dict[int, set[int]] = defaultdict(set)
        found = set()
        for unit, root in enumerate(self.roots(torch.arange(len(self._parents))).tolist()):
            if self._writers[unit] in seen[root]:
                found.add(root)
            seen[root].add(self._writers[unit])
        return found
