"""Small direct codes with random symbols, for the tests of units, messages and forgeries."""

import itertools
import math

import numpy as np

from pacbound.bits.message import pack
from pacbound.bits.tensors import symbol_count
from pacbound.bits.units import Coded, coded_arrays, coded_shapes
from pacbound.specs.specs import BaseOrigin, HypothesisSpec
from pacbound.specs.tensors import DirectSpec, LatticeTensor, Quantized, TableSpec, TensorSpec, UnitAxis, UnitGroup

STEP = 128  # step 1


def ternary(ratio_index: int = 64, zero_index: int = 8, rows: bool = False) -> LatticeTensor:
    """Integers -1, 0, 1 under a spike, with offsets of rows in -1, 0, 1 where wanted."""
    table = TableSpec(kind="spike", levels=3, ratio_index=ratio_index, zero_index=zero_index)
    return LatticeTensor(step_index=STEP, rows=table if rows else None, table=table)


def chain(widths: tuple[int, ...], coding: Quantized | None = None, bias: bool = True) -> DirectSpec:
    """Dense layers in a row, every hidden unit interchangeable within its layer."""
    coding = coding or ternary()
    tensors: list[TensorSpec] = []
    groups: list[UnitGroup] = []
    for layer, (before, after) in enumerate(itertools.pairwise(widths)):
        tensors.append(TensorSpec(name=f"{layer}.weight", shape=(after, before), coding=coding))
        if bias:
            tensors.append(TensorSpec(name=f"{layer}.bias", shape=(after,), coding=ternary()))
    stride = 2 if bias else 1
    for layer, width in enumerate(widths[1:-1]):
        places = [(stride * layer, 0), *([(stride * layer + 1, 0)] if bias else []), (stride * (layer + 1), 1)]
        axes = tuple(UnitAxis(tensor=t, axis=a, runs=((0, width),)) for t, a in places)
        groups.append(UnitGroup(axes=axes, kept=width))
    return DirectSpec(tensors=tuple(tensors), groups=tuple(groups))


def residual() -> DirectSpec:
    """x -> stem -> s; s + out(relu(in(s))) -> head: a stream of 2 and an inner width of 2, 1 input, 1 output."""
    shapes = (("stem", (2, 1)), ("in", (2, 2)), ("out", (2, 2)), ("head", (1, 2)))
    tensors = tuple(TensorSpec(name=name, shape=shape, coding=ternary()) for name, shape in shapes)
    stream = tuple(UnitAxis(tensor=t, axis=a, runs=((0, 2),)) for t, a in ((0, 0), (1, 1), (2, 0), (3, 1)))
    inner = tuple(UnitAxis(tensor=t, axis=a, runs=((0, 2),)) for t, a in ((1, 0), (2, 1)))
    return DirectSpec(tensors=tensors, groups=(UnitGroup(axes=stream, kept=2), UnitGroup(axes=inner, kept=2)))


def count(spec: DirectSpec) -> int:
    """Symbols of a message."""
    return sum(symbol_count(t.coding, s) for t, s in zip(spec.tensors, coded_shapes(spec), strict=True))


def random_symbols(spec: DirectSpec, seed: int = 0, levels: int = 3) -> np.ndarray:
    """Symbols in the order that the format asks for."""
    drawn = np.random.default_rng(seed).integers(0, levels, count(spec)).astype(np.int32)
    coded: Coded = coded_arrays(spec, drawn)
    coded.sort()
    return coded.symbols()


def hypothesis_spec(spec: DirectSpec | None, **fields: object) -> HypothesisSpec:
    """A user's network under a direct code; None is the network of zeros."""
    return HypothesisSpec.model_validate(
        {
            "model": "user",
            "layout_digest": "1" * 64,
            "base": BaseOrigin(kind="zero"),
            "layer_scale": False,
            "quantizer": spec,
            **fields,
        }
    )


def sent_bits(spec: DirectSpec, symbols: np.ndarray) -> int:
    """Bits of the message."""
    return pack(hypothesis_spec(spec), symbols)[0].bits


def elements(spec: DirectSpec) -> int:
    """Numbers in all tensors."""
    return sum(math.prod(tensor.shape) for tensor in spec.tensors)
