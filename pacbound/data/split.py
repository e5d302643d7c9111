"""One sample in two: the first examples of a permutation, which may train theta0, and the rest, which are certified."""

from dataclasses import dataclass

from ..errors import DataError
from ..specs.specs import SPLIT_PARTS, SplitSpec
from ..subspace.random import permutation
from .examples import Examples

STREAM = "data/split"


@dataclass(frozen=True)
class Split:
    """first: what theta0 may see. rest: what the statement is about. whole: SHA-256 digest of the whole sample."""

    first: Examples
    rest: Examples
    seed: int
    parts: int
    whole: str


def split_examples(examples: Examples, seed: int, parts: int) -> Split:
    """Split a sample by our own permutation: the first n * parts // 64 of it, and the rest, in its order.

    Args: seed: of the permutation, in 0 .. 2^63 - 1. parts: in 1 .. 63.
    Raises: DataError where one side would be empty.
    """
    first = examples.n * parts // SPLIT_PARTS
    if not 1 <= first < examples.n:
        raise DataError(
            f"split_examples: both sides of a split have examples, got {first} and {examples.n - first} of "
            f"{examples.n} ({parts}/{SPLIT_PARTS}). Bring more examples, or choose another share."
        )
    order = permutation(seed, STREAM, examples.n).tolist()
    return Split(examples.subset(order[:first]), examples.subset(order[first:]), seed, parts, examples.digest())


def certified_part(examples: Examples, split: SplitSpec | None) -> Examples:
    """Return the examples that a statement is about: the rest of a split, all of them where there is none."""
    return examples if split is None else split_examples(examples, split.seed, split.parts).rest
