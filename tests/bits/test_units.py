"""The orbit saving against brute force over all permutations, by code that shares nothing with the package's."""

import itertools
import math
import tracemalloc
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest

from pacbound.bits.tensors import frequencies
from pacbound.bits.units import coded_arrays, coded_shapes, orbit_saving, unit_positions
from pacbound.errors import MessageError
from pacbound.specs.tensors import BlockTensor, DirectSpec, TableSpec, TensorSpec, UnitAxis, UnitGroup
from tests.direct_cases import chain, count, random_symbols, residual, sent_bits, ternary

Net = tuple[np.ndarray, ...]


def permuted_chain(net: Net, orders: tuple[tuple[int, ...], ...]) -> Net:
    """Weights of a chain without biases after permuting the hidden layers."""
    arrays = list(net)
    for layer, order in enumerate(orders):
        arrays[layer] = arrays[layer][list(order)]
        arrays[layer + 1] = arrays[layer + 1][:, list(order)]
    return tuple(arrays)


def permuted_residual(net: Net, orders: tuple[tuple[int, ...], ...]) -> Net:
    stem, inside, outside, head = net
    stream, inner = (list(order) for order in orders)
    return stem[stream], inside[inner][:, stream], outside[stream][:, inner], head[:, stream]


def flat(net: Net) -> tuple[int, ...]:
    return tuple(int(v) for array in net for v in array.reshape(-1))


def nets(spec: DirectSpec, levels: int) -> list[Net]:
    shapes = [tensor.shape for tensor in spec.tensors]
    sizes = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    every = itertools.product(range(levels), repeat=sum(math.prod(shape) for shape in shapes))
    return [
        tuple(part.reshape(shape) for part, shape in zip(np.split(np.array(v, np.int32), sizes), shapes, strict=True))
        for v in every
    ]


def orders_of(spec: DirectSpec, net: Net) -> int:
    """Orders claimed for a net, 0 where it is not the one that may be sent."""
    try:
        return coded_arrays(spec, np.array(flat(net), np.int32)).orders()
    except MessageError:
        return 0


@pytest.mark.parametrize(("widths", "levels"), [((1, 2, 2, 1), 2), ((1, 3, 1), 3)])
def test_masses_of_what_may_be_sent_sum_to_the_mass_of_each_orbit_and_to_one_in_all(
    widths: tuple[int, ...], levels: int
) -> None:
    spec = chain(widths, bias=False)
    frequency = [int(f) for f in frequencies(ternary().table)]
    group = list(itertools.product(*(itertools.permutations(range(width)) for width in widths[1:-1])))
    orbit_sum: dict[tuple[int, ...], Fraction] = defaultdict(Fraction)
    class_mass: dict[tuple[int, ...], Fraction] = defaultdict(Fraction)
    sent_mass = Fraction(0)
    for net in nets(spec, levels):
        name = min(flat(permuted_chain(net, orders)) for orders in group)
        mass = Fraction(math.prod(frequency[v] for v in flat(net)), sum(frequency[:levels]) ** len(flat(net)))
        claimed = orders_of(spec, net)
        orbit_sum[name] += mass * claimed
        class_mass[name] += mass
        if claimed:
            sent_mass += mass * 2 ** (claimed.bit_length() - 1)
    assert all(orbit_sum[name] == class_mass[name] for name in class_mass)
    assert sum(orbit_sum.values()) == 1
    assert Fraction(1, 2) < sent_mass <= 1


def test_residual_streams_are_eliminated_in_order_and_never_overclaim() -> None:
    spec = residual()
    rng = np.random.default_rng(0)
    group = list(itertools.product(itertools.permutations(range(2)), repeat=2))
    for _ in range(150):
        drawn = rng.integers(0, 2, 12).astype(np.int32)
        net = drawn[:2].reshape(2, 1), drawn[2:6].reshape(2, 2), drawn[6:10].reshape(2, 2), drawn[10:].reshape(1, 2)
        orbit = {flat(permuted_residual(net, orders)) for orders in group}
        shapes = [tensor.shape for tensor in spec.tensors]
        sizes = [2, 6, 10]
        members = [np.split(np.array(name, np.int32), sizes) for name in orbit]
        nets_of = [tuple(p.reshape(s) for p, s in zip(parts, shapes, strict=True)) for parts in members]
        assert sum(orders_of(spec, member) for member in nets_of) == len(orbit)


def test_equal_stem_rows_with_identity_blocks_claim_one_order_of_the_two_that_concatenation_would() -> None:
    identity = np.array([2, 1, 1, 2], np.int32)  # 1 is zero
    symbols = np.concatenate([[2, 2], identity, identity, [2, 2]]).astype(np.int32)
    found = coded_arrays(residual(), symbols)
    found.sort()
    assert found.orders() == 2  # stream: equal signatures, 2!/2! = 1; inner given the stream: 2


def test_duplicated_units_save_less() -> None:
    spec = chain((3, 4, 1), bias=False)
    distinct = np.array([[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 0]], np.int32)
    twins = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 2], [0, 1, 0]], np.int32)
    readers = np.ones(4, np.int32)
    assert coded_arrays(spec, np.concatenate([distinct.reshape(-1), readers])).orders() == 24
    assert coded_arrays(spec, np.concatenate([twins.reshape(-1), readers])).orders() == 12  # log2 12 = 3.584963
    assert orbit_saving(spec, np.concatenate([twins.reshape(-1), readers])) == 3


def test_units_that_differ_only_in_what_they_write_to_are_told_apart() -> None:
    spec = chain((3, 2, 1), bias=False)
    symbols = np.array([1, 1, 1, 1, 1, 1, 0, 2], np.int32)
    assert coded_arrays(spec, symbols).orders() == 2


@pytest.mark.parametrize("rows", [False, True])
def test_messages_of_one_orbit_have_the_same_bits(rows: bool) -> None:
    spec = chain((3, 5, 4, 2), ternary(rows=rows))
    symbols = random_symbols(spec, 3)
    bits = sent_bits(spec, symbols)
    coded = coded_arrays(spec, symbols)
    coded._permute(0, np.array([4, 2, 0, 1, 3]))
    coded._permute(1, np.array([1, 0, 3, 2]))
    assert not np.array_equal(coded.symbols(), symbols)
    assert sent_bits(spec, coded.symbols()) == bits
    with pytest.raises(MessageError, match="order of their signatures"):
        coded.orders()
    coded.sort()
    assert np.array_equal(coded.symbols(), symbols)


def test_blocks_have_no_saving_since_their_scales_belong_to_places() -> None:
    block = BlockTensor(kind="nf4", block_log2=6, table=TableSpec(kind="static", levels=16, counts=(0,) * 15 + (15,)))
    spec = chain((3, 5, 2))
    first = spec.tensors[0].model_copy(update={"coding": block})
    mixed = spec.model_copy(update={"tensors": (first, *spec.tensors[1:])})
    coded = coded_arrays(mixed, np.zeros(count(mixed), np.int32))
    assert coded.movable == [False]
    assert coded.orders() == 1


def test_dropped_units_are_not_coded_anywhere() -> None:
    spec = chain((3, 5, 2))
    dropped = spec.model_copy(update={"groups": (spec.groups[0].model_copy(update={"kept": 2}),)})
    assert coded_shapes(dropped) == [(2, 3), (2,), (2, 2), (2,)]


def test_runs_and_widths_name_every_position_of_a_unit() -> None:
    axis = UnitAxis(tensor=0, axis=0, width=3, runs=((2, 2), (11, 1)))
    assert unit_positions(axis).tolist() == [[2, 3, 4], [5, 6, 7], [11, 12, 13]]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"runs": ((0, 6),)}, "within their axis|same units"),
        ({"tensor": 9}, "one of a tensor"),
        ({"width": 1 << 20}, "within their axis"),
    ],
)
def test_units_outside_their_tensor_are_refused(change: dict[str, object], complaint: str) -> None:
    document = chain((3, 5, 2)).model_dump()
    document["groups"][0]["axes"][0].update(change)
    with pytest.raises(ValueError, match=complaint):
        DirectSpec.model_validate(document)


def test_a_position_of_two_units_is_refused() -> None:
    document = chain((3, 5, 2)).model_dump()
    document["groups"] = (document["groups"][0], document["groups"][0])
    with pytest.raises(ValueError, match="one unit at most"):
        DirectSpec.model_validate(document)


def test_symbols_too_few_or_too_many_are_refused() -> None:
    spec = chain((3, 5, 2))
    symbols = random_symbols(spec)
    for wrong in (symbols[:-1], np.append(symbols, np.int32(0))):
        with pytest.raises(MessageError, match=r"takes? \d+ symbols"):
            orbit_saving(spec, wrong.astype(np.int32))


def test_a_signature_copies_its_own_units_and_not_whole_tensors_so_that_many_groups_cost_no_more_than_one() -> None:
    sides = 600
    axes = [UnitAxis(tensor=0, axis=1, runs=((start, 2),)) for start in range(0, sides, 2)]
    groups = tuple(UnitGroup(axes=(axis,), kept=2) for axis in axes)
    spec = DirectSpec(tensors=(TensorSpec(name="w", shape=(sides, sides), coding=ternary()),), groups=groups)
    coded = coded_arrays(spec, np.zeros(sides * sides, np.int32))
    tracemalloc.start()
    signature = coded.signatures(0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert signature.shape == (2, sides)
    assert peak < 4 * sides * sides / 4  # bytes; the tensor has 4 an entry
