"""Operator norms against dense matrices built entry by entry, and against published and closed-form values."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from pacbound.errors import ModelError
from pacbound.measures.layers.layers import layers_of
from pacbound.measures.layers.linear_maps import LayerRecord, squared_frobenius
from pacbound.measures.layers.operator_norms import SLACK, Interval, apply, operator_norm, torus_norm


def read_place(place: int, size: int, mode: str) -> int | None:
    """Which input entry stands at a place of the padded input; None for a zero."""
    if 0 <= place < size:
        return place
    if mode == "zeros":
        return None
    if mode == "circular":
        return place % size
    if mode == "replicate":
        return 0 if place < 0 else size - 1
    return -place if place < 0 else 2 * (size - 1) - place  # reflect


def dense(record: LayerRecord) -> np.ndarray:
    """The matrix of the map, (out * places, in * places), by loops over every output, tap and channel."""
    weight = record.weight.numpy()
    out, per_group = weight.shape[:2]
    sides_in, sides_out = record.input_size, record.output_size
    matrix = np.zeros((out * math.prod(sides_out), record.in_channels * math.prod(sides_in)))
    for o, c in itertools.product(range(out), range(per_group)):
        channel = (o // (out // record.groups)) * per_group + c
        for place in itertools.product(*map(range, sides_out)):
            for tap in itertools.product(*map(range, record.kernel_size)):
                read = [
                    read_place(i * t + k * d - low, n, record.padding_mode)
                    for i, t, k, d, (low, _), n in zip(
                        place, record.stride, tap, record.dilation, record.padding, sides_in, strict=True
                    )
                ]
                if None not in read:
                    row = np.ravel_multi_index((o, *place), (out, *sides_out))
                    column = np.ravel_multi_index((channel, *read), (record.in_channels, *sides_in))
                    matrix[row, column] += weight[(o, c, *tap)]
    return matrix


def conv(weight, size, *, padding=0, stride=1, dilation=1, groups=1, mode="zeros") -> LayerRecord:
    """A convolution record; numbers apply to every dimension."""
    weight = torch.as_tensor(weight, dtype=torch.float64)
    sides = weight.ndim - 2
    every = lambda v: (v,) * sides if isinstance(v, int) else tuple(v)  # noqa: E731
    padding, stride, dilation = every(padding), every(stride), every(dilation)
    output = tuple(
        (n + 2 * p - (k - 1) * d - 1) // t + 1
        for n, p, k, d, t in zip(size, padding, weight.shape[2:], dilation, stride, strict=True)
    )
    pads = tuple((p, p) for p in padding)
    return LayerRecord("c", "conv", weight, weight, None, size, output, stride, pads, dilation, groups, mode)


@st.composite
def small_convs(draw) -> LayerRecord:
    sides = draw(st.integers(1, 2))
    each = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(sides))  # noqa: E731
    size, kernel, stride = each(2, 6), each(1, 4), each(1, 3)
    dilation, padding = each(1, 2), each(0, 2)
    mode = draw(st.sampled_from(["zeros", "circular", "replicate", "reflect"]))
    limit = [n - 1 if mode == "reflect" else n if mode == "circular" else 2 for n in size]
    padding = tuple(min(p, m) for p, m in zip(padding, limit, strict=True))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = tuple(max(n, r - 2 * p) for n, r, p in zip(size, reach, padding, strict=True))
    groups = draw(st.integers(1, 2))
    shape = (groups * draw(st.integers(1, 2)), draw(st.integers(1, 2)), *kernel)
    weight = np.random.default_rng(draw(st.integers(0, 2**32))).normal(size=shape)
    if draw(st.booleans()):
        weight = np.abs(weight)  # positive kernels are where padding matters most
    return conv(weight, size, padding=padding, stride=stride, dilation=dilation, groups=groups, mode=mode)


@settings(max_examples=150, deadline=None)
@given(small_convs())
def test_interval_holds_the_norm_of_the_dense_matrix(record):
    true = float(np.linalg.norm(dense(record), 2))
    found = operator_norm(record)
    assert found.lower <= true <= found.upper
    if math.prod(record.input_size) * record.in_channels <= 10:
        assert found.lower >= true * (1 - 1e-5)  # ten Krylov steps are then all of the space


@settings(max_examples=25, deadline=None)
@given(small_convs())
def test_apply_is_multiplication_by_the_dense_matrix(record):
    x = torch.randn(3, record.in_channels, *record.input_size, generator=torch.Generator().manual_seed(0)).double()
    expected = x.reshape(3, -1).numpy() @ dense(record).T
    np.testing.assert_allclose(apply(record, x).reshape(3, -1).numpy(), expected, atol=1e-10)


@settings(max_examples=25, deadline=None)
@given(small_convs())
def test_frobenius_norm_counts_what_the_dense_matrix_holds(record):
    if record.padding_mode in ("zeros", "circular"):
        assert squared_frobenius(record) == pytest.approx(float((dense(record) ** 2).sum()), rel=1e-9)
    else:
        with pytest.raises(ModelError, match=record.padding_mode):
            squared_frobenius(record)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.integers(0, 999)
)
def test_circular_strides_that_divide_the_sides_are_exact(t_rows, t_columns, taps, out, entering, seed):
    """Polyphase blocks give the norm itself, also where the kernel is larger than the map."""
    weight = np.random.default_rng(seed).normal(size=(out, entering, 2 * taps - 1, 3))
    size = (2 * t_rows if taps < 3 else 3 * t_rows, 3 * t_columns)
    padding = (min(taps - 1, size[0]), 1)
    record = conv(weight, size, padding=padding, stride=(t_rows, t_columns), mode="circular")
    true = float(np.linalg.norm(dense(record), 2))
    found = operator_norm(record)
    assert found.lower <= true <= found.upper
    assert found.upper <= true * (1 + 3 * SLACK)


def test_known_norms_of_small_kernels():
    ones = np.ones((1, 1, 3, 3))
    assert operator_norm(conv(ones, (8, 8), padding=1, mode="circular")).upper == pytest.approx(9, rel=2e-6)
    zero_padded = operator_norm(conv(ones, (8, 8), padding=1))
    assert zero_padded.lower == pytest.approx(8.290859, abs=1e-4)
    assert 8.290859 < zero_padded.upper <= 9 * (1 + 2e-6)
    difference = [[[-1.0, 0.0, 1.0]]]
    assert operator_norm(conv(difference, (8,), padding=1, mode="circular")).upper == pytest.approx(2, rel=2e-6)
    found = operator_norm(conv(difference, (8,), padding=1))
    assert found.lower <= 2 * math.cos(math.pi / 9) <= found.upper <= 2 * (1 + 2e-6)
    kernel = [[[[1, 2], [0, -1]], [[0, 1], [1, 0]]], [[[2, 0], [0, 1]], [[-1, 0], [0, 3]]]]
    circular = LayerRecord("c", "conv", torch.tensor(kernel).double(), torch.tensor(kernel).double(), None, (4, 4),
                           (4, 4), (1, 1), ((0, 1), (0, 1)), (1, 1), 1, "circular")  # fmt: skip
    assert operator_norm(circular).upper == pytest.approx(5, rel=2e-6)


def test_taps_that_would_cancel_on_too_small_a_torus_do_not():
    """(-1, 0, 1) on two places with zeros around is a rotation of norm 1; on a circle of two it is 0."""
    found = operator_norm(conv([[[-1.0, 0.0, 1.0]]], (2,), padding=1))
    assert found.lower <= 1 <= found.upper


def test_outputs_that_repeat_around_the_circle_count_each_time():
    """One tap read nine times on a circle of three; and with stride 2 five times on a circle of three."""
    found = operator_norm(conv([[[2.0]]], (3,), padding=3, mode="circular"))
    assert found.lower <= 2 * math.sqrt(3) <= found.upper
    strided = operator_norm(conv([[[2.0]]], (3,), padding=3, stride=2, mode="circular"))
    assert strided.lower <= 2 * math.sqrt(2) <= strided.upper


def test_dense_layers_have_their_largest_singular_value():
    weight = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    found = operator_norm(LayerRecord("d", "dense", weight, weight, None, (), ()))
    assert found.lower <= 5.464985704219043 <= found.upper <= 5.464985704219043 * (1 + 2 * SLACK)


def test_norms_scale_without_overflow_and_zero_maps_have_norm_zero():
    weight = torch.tensor([[3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    for scale in (1e-180, 1e180):
        found = operator_norm(LayerRecord("d", "dense", weight * scale, weight, None, (), ()))
        assert found.upper == pytest.approx(4 * scale, rel=2e-6)
    assert operator_norm(conv(np.zeros((2, 1, 3, 3)), (4, 4), padding=1)) == Interval(lower=0, upper=0)


def test_upper_end_holds_against_gradient_ascent_on_a_strided_layer():
    torch.manual_seed(3)
    layer = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False).double()
    record = conv(layer.weight.detach(), (7, 5), padding=1, stride=2)
    found = operator_norm(record)
    x = torch.randn(1, 3, 7, 5, dtype=torch.float64, requires_grad=True)
    for _ in range(60):
        ratio = layer(x).norm() / x.norm()
        (gradient,) = torch.autograd.grad(ratio, x)
        x = (x + gradient * x.norm()).detach().requires_grad_()
    assert float(ratio.detach()) <= found.upper
    assert float(ratio.detach()) >= 0.95 * found.lower  # the ascent was a fair opponent


def test_torus_norm_of_a_depthwise_layer_is_that_of_its_worst_channel():
    weight = np.zeros((3, 1, 1, 1))
    weight[:, 0, 0, 0] = [1, -7, 2]
    assert torus_norm(conv(weight, (4, 4), groups=3), (4, 4), (1, 1)) == pytest.approx(7)


def test_unfit_records_are_refused():
    with pytest.raises(ModelError, match="NaN"):
        operator_norm(conv(np.full((1, 1, 1, 1), np.nan), (2, 2)))
    with pytest.raises(ModelError, match="'mirror'"):
        operator_norm(conv(np.ones((1, 1, 1, 1)), (2, 2), mode="mirror"))
    with pytest.raises(ValidationError, match="lower <= upper"):
        Interval(lower=2, upper=1)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
@pytest.mark.parametrize("size", [(4, 4), (3, 9), (6, 6)])
def test_padding_that_repeats_entries_is_exact_on_small_maps(mode, size):
    torch.manual_seed(sum(size))
    layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode=mode, bias=False).double()
    record = layers_of(layer, torch.zeros(1, 2, *size).double()).records[0]
    columns = torch.autograd.functional.jacobian(layer, torch.zeros(1, 2, *size, dtype=torch.float64))
    true = float(torch.linalg.matrix_norm(columns.reshape(-1, 2 * math.prod(size)), 2))
    assert true <= operator_norm(record).upper <= true * (1 + 1e-5)


@pytest.mark.parametrize(("mode", "factor"), [("reflect", 2.0), ("replicate", 2.0)])
def test_the_bound_of_large_maps_counts_each_copy_once(monkeypatch, mode, factor):
    layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode=mode, bias=False).double()
    record = layers_of(layer, torch.zeros(1, 1, 7, 7).double()).records[0]
    exact = operator_norm(record).upper
    monkeypatch.setattr("pacbound.measures.layers.operator_norms.DENSE_SIDE", 0)
    assert exact <= operator_norm(record).upper <= factor * torus_norm(record, (9, 9), (1, 1)) * (1 + 1e-5)
