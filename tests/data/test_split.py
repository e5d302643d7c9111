import numpy as np
import pytest
import torch

from pacbound.data.split import certified_part, split_examples
from pacbound.errors import DataError
from pacbound.specs.specs import SplitSpec
from pacbound.subspace.random import raw_words
from tests.tiny import examples


@pytest.mark.parametrize(("n", "seed", "parts", "first"), [(120, 0, 32, 60), (121, 5, 32, 60), (100, 1, 63, 98)])
def test_a_split_is_the_order_of_random_words_cut_at_so_many_64ths(n: int, seed: int, parts: int, first: int) -> None:
    whole = examples(n)
    split = split_examples(whole, seed, parts)
    words = [int(word) for word in raw_words(seed, "data/split", n)]
    order = sorted(range(n), key=lambda index: words[index])
    assert torch.equal(split.first.y, whole.y[order[:first]])
    assert torch.equal(split.rest.x, whole.x[order[first:]])
    assert (split.first.n, split.rest.n, split.whole) == (first, n - first, whole.digest())


def test_both_sides_together_hold_every_example_once() -> None:
    whole = examples(130)
    split = split_examples(whole, 3, 20)
    both = np.concatenate([split.first.x.numpy(), split.rest.x.numpy()])
    assert np.array_equal(both[np.lexsort(both.T)], whole.x.numpy()[np.lexsort(whole.x.numpy().T)])


def test_an_empty_side_is_refused() -> None:
    with pytest.raises(DataError, match="both sides of a split have examples, got 0 and 40"):
        split_examples(examples(40), 0, 1)


def test_the_certified_part_is_the_rest_or_everything() -> None:
    whole = examples(128)
    spec = SplitSpec(seed=2, parts=16, whole=128, digest=whole.digest(), size=0)
    assert certified_part(whole, spec).digest() == split_examples(whole, 2, 16).rest.digest()
    assert (spec.first, spec.rest) == (32, 96)
    assert certified_part(whole, None) is whole
