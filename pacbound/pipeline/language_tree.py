"""A context tree as a hypothesis: its contexts and integers are what a direct code carries of its network."""

import re
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import RequestError
from ..models.sequences import sequence_network
from ..networks.hypothesis import make_zero_base
from ..quantize.rates import fit_static, lattice_coding
from ..quantize.tensors import nearest_step
from ..specs.grammar import MAX_CONTEXTS
from ..specs.specs import HypothesisSpec
from ..specs.tensors import CodebookTensor, DirectSpec, Quantized, TensorSpec, ZeroTensor
from ..training.context_tree import STEP, fit_tree, frequent_contexts
from .language import LanguageSetup, Offer

TREE = re.compile("tree([0-9]{1,3})")
FIRST = "K1-L"  # stands for a tree until it is fitted
MOST_SYMBOLS = 1 << 24  # of a text that a tree is fitted to
FLAGS = (0x0000, 0x3C00)  # 0 and 1 as float16


def tree_order(model: str) -> int | None:
    """Return the order of a context tree that is asked for, None for another network.

    >>> tree_order("tree4"), tree_order("E16-gru32-L")
    (4, None)
    """
    found = TREE.fullmatch(model)
    return None if found is None else int(found[1])


def fit_language_tree(setup: LanguageSetup, order: int) -> tuple[LanguageSetup, Offer]:
    """Return the setup with the network of a tree fitted to the text, and the tree.

    Raises: RequestError where it has more contexts than a network of the grammar or this machine can hold.
    """
    size = setup.text.alphabet.predicted
    root, levels = fit_tree(_fitted_to(setup), size, order)
    most = max((len(level.integers) for level in levels), default=0)
    if most > MAX_CONTEXTS:
        raise RequestError(
            f"certify: a context tree has at most {MAX_CONTEXTS:,} contexts of one length, got {most:,}. Give a "
            "smaller order, or an alphabet of fewer symbols."
        )
    name = "-".join([*(f"K{len(level.integers)}" for level in levels), "L"]) if levels else FIRST
    base = make_zero_base(sequence_network(name, size).eval())
    values: dict[str, NDArray[np.integer]] = {"0.root": root}
    for k, level in enumerate(levels):
        values |= {f"0.branches.{k}": level.children.astype(np.int32), f"0.logits.{k}": level.integers}
    tensors, symbols = [], [np.zeros(0, np.int32)]
    for slot in base.layout.slots:
        tensor = TensorSpec(name=slot.name, shape=slot.shape)
        coding, sent = _coded(slot.name, values.get(slot.name, np.zeros(1, np.int32)))
        tensors.append(tensor.model_copy(update={"coding": coding}))
        symbols.append(sent.reshape(-1).astype(np.int32))
    spec = HypothesisSpec(
        model=name, layout_digest=base.layout.digest, base=base.origin, layer_scale=False,
        quantizer=DirectSpec(tensors=tuple(tensors)),
    )  # fmt: skip
    bare = spec.model_copy(update={"quantizer": None})
    return replace(setup, base=base, spec=bare), Offer(spec, np.concatenate(symbols))


def contexts_looked_at(setup: LanguageSetup, order: int) -> tuple[int, ...]:
    """Return how many contexts of 1, 2, ... symbols a tree is chosen from. Raises: RequestError as fit_tree."""
    return frequent_contexts(_fitted_to(setup), setup.text.alphabet.predicted, order)


def _fitted_to(setup: LanguageSetup) -> NDArray[np.int64]:
    return setup.text.symbols(0, min(setup.text.n, MOST_SYMBOLS))


def _coded(name: str, values: NDArray[np.integer]) -> tuple[Quantized, NDArray[np.int32]]:
    """How a tensor is coded, and its symbols: flags as two levels with their counts, integers on the lattice."""
    if not values.any():
        return ZeroTensor(), np.zeros(0, np.int32)
    integers = values.astype(np.int32)
    if "branches" in name:
        return CodebookTensor(centroids=FLAGS, table=fit_static(integers, 2)), integers
    return lattice_coding(integers, nearest_step(STEP))
