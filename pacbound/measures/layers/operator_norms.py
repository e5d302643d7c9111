"""Certified operator norms of linear maps, as intervals.

A convolution on a torus is block diagonal in the Fourier basis (Sedghi, Gupta and Long 2019, arXiv:1805.10408): one
small matrix per frequency. Stride t keeps every t-th output, so t aliased frequencies share a block (polyphase).
Zero padding is the torus map between an embedding and a crop, both of norm 1, so the torus gives an upper bound.
Upper ends hold for the map that the record describes; lower ends from iteration are attained by a vector, and are
diagnostics that no theorem reads.
"""

import math
from collections.abc import Callable
from itertools import product
from typing import Final, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from ...errors import ModelError
from ...records import Record
from ...subspace.random import normals
from .linear_maps import LayerRecord

SLACK: Final = 1e-6  # relative; float64 transforms and eigenvalues err by less than 1e-10 at these sizes
CHUNK_NUMBERS: Final = 1 << 21  # complex numbers per batch of frequencies, 32 MiB
KRYLOV_STEPS: Final = 10
DENSE_SIDE: Final = 1024  # smaller side of a map that is written out as a matrix
DENSE_NUMBERS: Final = 1 << 22


class Interval(Record):
    """lower <= norm <= upper."""

    lower: float = Field(ge=0)
    upper: float = Field(ge=0)

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.lower > self.upper:
            raise ValueError(f"an interval has lower <= upper, got {self.lower} and {self.upper}")
        return self

    @classmethod
    def around(cls, value: float) -> Self:
        """The interval of a norm computed in float64."""
        return cls(lower=value * (1 - SLACK), upper=value * (1 + SLACK))


def operator_norm(record: LayerRecord) -> Interval:
    """Bound the norm ||A|| = max ||A x|| / ||x|| of a layer at its input size, without its bias.

    Dense layers, circular convolutions of the same size whose stride divides their sides, and small maps with reflect
    or replicate padding: exact up to `SLACK`. Others (zero padding; crops; larger maps): upper end from a torus on
    which the map is a part of the torus map, lower end from a few Lanczos steps on the map itself.
    Raises: ModelError for an unknown padding mode or weights that are not finite.
    """
    if not bool(torch.isfinite(record.weight).all()):
        raise ModelError(f"operator_norm: weights are finite, {record.name} holds NaN or infinity. Repair them.")
    if record.kind == "dense":
        return Interval.around(_top(record.weight[None]))
    if _mode(record) in ("reflect", "replicate"):
        entering = record.in_channels * math.prod(record.input_size)
        leaving = record.out_channels * math.prod(record.output_size)
        if min(entering, leaving) <= DENSE_SIDE and entering * leaving <= DENSE_NUMBERS:
            columns = torch.eye(entering, dtype=torch.float64).reshape(entering, record.in_channels, *record.input_size)
            return Interval.around(_top(apply(record, columns).reshape(1, entering, leaving)))
    sides, strides, factor, exact = _torus(record)
    value = factor * torus_norm(record, sides, strides)
    if exact:
        return Interval.around(value)
    return Interval(lower=min(_attained(record), value) * (1 - SLACK), upper=value * (1 + SLACK))


def torus_norm(record: LayerRecord, sides: tuple[int, ...], strides: tuple[int, ...]) -> float:
    """Norm of the kernel as a circular convolution on a torus, stride t keeping outputs 0, t, 2t, ...

    For each coarse frequency u (u_i < N_i / t_i) the block (1 / sqrt(prod t)) [K(u + a N / t)]_a of shape
    (out, prod t * in), a running over the aliases; the norm is the largest singular value over all u.
    Args: sides: N per dimension, multiples of the strides.
    """
    groups = record.groups
    out, entering = record.out_channels // groups, record.weight.shape[1]
    aliases = math.prod(strides)
    taps = record.weight.reshape(groups * out * entering, -1).T.to(torch.complex128)  # (taps, g * o * c)
    coarse = tuple(n // t for n, t in zip(sides, strides, strict=True))
    frequencies = _half_spectrum(coarse)
    shifts = torch.tensor(list(product(*(range(t) for t in strides)))) * torch.tensor(coarse)  # (aliases, dims)
    chunk = max(1, CHUNK_NUMBERS // (record.weight.numel() * aliases))
    best = 0.0
    for start in range(0, len(frequencies), chunk):
        rows = frequencies[start : start + chunk, None] + shifts[None]  # (f, aliases, dims)
        symbol = _waves(record, rows.reshape(-1, len(sides)), sides) @ taps
        blocks = symbol.reshape(-1, aliases, groups, out, entering)  # (f, a, g, o, c)
        blocks = blocks.permute(0, 2, 3, 1, 4).reshape(-1, out, aliases * entering)
        best = max(best, _top(blocks))
    return best / math.sqrt(aliases)


def _half_spectrum(sides: tuple[int, ...]) -> Tensor:
    """Frequencies (f, dims) up to conjugation, which keeps singular values since the kernel is real."""
    last = sides[-1] // 2 + 1
    return torch.tensor(list(product(*(range(n) for n in sides[:-1]), range(last))))


def _waves(record: LayerRecord, frequencies: Tensor, sides: tuple[int, ...]) -> Tensor:
    """exp(-2 pi i <frequency, place of tap> / N), shape (f, taps); integers are reduced before the angle."""
    places = torch.tensor(list(product(*(range(k) for k in record.kernel_size))))  # (taps, dims)
    places = places * torch.tensor(record.dilation)
    angle = torch.zeros(len(frequencies), len(places), dtype=torch.float64)
    for dimension, n in enumerate(sides):
        turns = (frequencies[:, None, dimension] * places[None, :, dimension]) % n
        angle += turns.to(torch.float64) * (2 * math.pi / n)
    return torch.polar(torch.ones_like(angle), -angle)


def _top(blocks: Tensor) -> float:
    """Largest singular value over a batch (b, m, n), from the smaller Gram matrix.

    Squaring costs accuracy only for small singular values: the largest eigenvalue errs by a multiple of the machine
    epsilon times itself, far inside `SLACK`. Blocks are scaled so that squares neither overflow nor vanish.
    """
    if blocks.numel() == 0:
        return 0.0
    scale = float(blocks.abs().max())
    if scale == 0:
        return 0.0
    blocks = blocks / scale
    gram = blocks @ blocks.mH if blocks.shape[1] <= blocks.shape[2] else blocks.mH @ blocks
    if gram.shape[-1] == 1:
        return scale * math.sqrt(float(gram.real.max()))
    return scale * math.sqrt(max(0.0, float(torch.linalg.eigvalsh(gram).max())))


def _torus(record: LayerRecord) -> tuple[tuple[int, ...], tuple[int, ...], float, bool]:
    """Choose a torus: its sides, the strides on it, a factor for the padding, and whether it is the map itself."""
    plans = [_PLANS[_mode(record)](record, dimension) for dimension in range(len(record.kernel_size))]
    sides, strides = tuple(p[0] for p in plans), tuple(p[1] for p in plans)
    return sides, strides, math.sqrt(math.prod(p[2] for p in plans)), all(p[3] for p in plans)


def _mode(record: LayerRecord) -> str:
    if record.padding_mode not in _PLANS:
        raise ModelError(
            f"operator_norm: padding is one of {', '.join(_PLANS)}, got {record.padding_mode!r} in {record.name}."
        )
    return record.padding_mode


Plan = tuple[int, int, int, bool]  # side, stride, how often one torus row or input entry can occur, exact


def _zeros(record: LayerRecord, dimension: int) -> Plan:
    """The torus holds the input and as many zeros as the padding needs; both ends may share them."""
    size, stride, (low, high) = record.input_size[dimension], record.stride[dimension], record.padding[dimension]
    needed = max(size + max(low, high), size + low + high - _reach(record, dimension) + 1)
    return _multiple(needed, stride), stride, 1, False


def _circular(record: LayerRecord, dimension: int) -> Plan:
    """The map itself where outputs tile the circle; else a part of it, or rows that repeat."""
    size, stride, outputs = record.input_size[dimension], record.stride[dimension], record.output_size[dimension]
    if size % stride == 0:
        return size, stride, math.ceil(outputs * stride / size), outputs * stride == size
    return size, 1, math.ceil(((outputs - 1) * stride + 1) / size), False


def _repeated(record: LayerRecord, dimension: int) -> Plan:
    """Padding copies entries, at the edge (replicate) or mirrored (reflect); counted on a row of places."""
    size, stride, (low, high) = record.input_size[dimension], record.stride[dimension], record.padding[dimension]
    row = F.pad(torch.arange(size, dtype=torch.float64).reshape(1, 1, size), (low, high), mode=record.padding_mode)
    copies = int(torch.bincount(row.flatten().long()).max())
    return _multiple(size + low + high, stride), stride, copies, False


_PLANS: dict[str, Callable[[LayerRecord, int], Plan]] = {
    "zeros": _zeros, "circular": _circular, "replicate": _repeated, "reflect": _repeated,
}  # fmt: skip


def _reach(record: LayerRecord, dimension: int) -> int:
    return (record.kernel_size[dimension] - 1) * record.dilation[dimension] + 1


def _multiple(size: int, stride: int) -> int:
    return -(-size // stride) * stride


def apply(record: LayerRecord, x: Tensor) -> Tensor:
    """Apply the linear map without bias to (batch, in, *input_size) float64; dense: (batch, *input_size, in)."""
    if record.kind == "dense":
        return x @ record.weight.T
    amounts = [side for low_high in reversed(record.padding) for side in low_high]
    if any(amounts):
        mode = "constant" if record.padding_mode == "zeros" else record.padding_mode
        x = F.pad(x, amounts, mode=mode)
    convolve = (F.conv1d, F.conv2d, F.conv3d)[len(record.kernel_size) - 1]
    result: Tensor = convolve(x, record.weight, None, record.stride, 0, record.dilation, record.groups)
    return result


def _attained(record: LayerRecord) -> float:
    """||A x|| / ||x|| for the best x of a Krylov space (Golub and Kahan 1965): a lower bound whatever rounding does."""
    shape = (1, record.in_channels, *record.input_size)
    start = normals(0, "measures/operator_norm", math.prod(shape)).astype("float64")
    vector = torch.from_numpy(start).reshape(shape)
    basis: list[Tensor] = []
    images: list[Tensor] = []
    for _ in range(min(KRYLOV_STEPS, vector.numel())):
        for old in basis * 2:  # twice is enough to stay orthogonal
            vector = vector - (old * vector).sum() * old
        size = float(vector.norm())
        if size < 1e-12:
            break
        basis.append(vector / size)
        image, vector = _forth_and_back(record, basis[-1])
        images.append(image)
        size = float(vector.norm())
        if size == 0:
            break
        vector = vector / size
    stacked = torch.stack([image.reshape(-1) for image in images])
    _, combinations = torch.linalg.eigh(stacked @ stacked.T)
    best = torch.einsum("s,s...->...", combinations[:, -1], torch.stack(basis))
    return float(apply(record, best).norm() / best.norm())


def _forth_and_back(record: LayerRecord, x: Tensor) -> tuple[Tensor, Tensor]:
    """A x and A^T A x."""
    entering = x.detach().requires_grad_()
    with torch.enable_grad():
        image = apply(record, entering)
        (back,) = torch.autograd.grad(image, entering, image.detach())
    return image.detach(), back
