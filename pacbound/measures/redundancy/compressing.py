"""Replace a convolution by a row of smaller ones that compute its Tucker-2 or CP approximation."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ...errors import ModelError
from .ranks import cp_factors, hooi, tensorly_on_torch

LayerForm = Literal["tucker2", "cp"]


def compress_conv(conv: nn.Conv2d, form: LayerForm, ranks: Sequence[int], iterations: int = 100) -> nn.Sequential:
    """Return a network of plain convolutions close to `conv`, from and to the same shapes.

    tucker2: 1x1 (in -> R_in), the kernel (R_in -> R_out), 1x1 (R_out -> out). cp: 1x1 (in -> R), a column and a row of
    one tap per channel, 1x1 (R -> out). Stride, padding, dilation and padding mode stay; the bias goes to the last
    layer. At full rank tucker2 is the same map up to rounding. The factors come from HOOI and alternating least
    squares; train on afterwards.

    Args: conv: one group; it is not changed. ranks: (R_out, R_in) for tucker2, (R,) for cp. iterations: of the search.
    Returns: a module of the dtype, device and mode of `conv`, whose parameters are copies.
    Raises: ModelError for another layer, more than one group, or ranks out of range.
    """
    if type(conv) is not nn.Conv2d or conv.groups != 1:
        found = f"{type(conv).__name__}" + (f" of {conv.groups} groups" if isinstance(conv, nn.Conv2d) else "")
        raise ModelError(f"compress_conv: it takes a torch.nn.Conv2d of one group, got {found}.")
    weight = conv.weight.detach().to("cpu", torch.float64)
    if not bool(torch.isfinite(weight).all()):
        raise ModelError("compress_conv: the kernel is finite, got NaN or infinite entries.")
    if form == "tucker2":
        _check_ranks(ranks, tuple(weight.shape[:2]))
        with tensorly_on_torch():
            core, (outer, inner) = hooi(weight, ranks, (0, 1), iterations)
        layers = _tucker_layers(conv, core, outer, inner)
    else:
        _check_ranks(ranks, (_largest_cp_rank(weight),))
        with tensorly_on_torch():
            factors = cp_factors(weight, ranks[0], iterations)
        layers = _cp_layers(conv, *_balanced(factors))
    return nn.Sequential(*layers).to(conv.weight.device, conv.weight.dtype).train(conv.training)


def _tucker_layers(conv: nn.Conv2d, core: Tensor, outer: Tensor, inner: Tensor) -> list[nn.Module]:
    """core: (R_out, R_in, kh, kw); outer: (out, R_out); inner: (in, R_in)."""
    middle = nn.Conv2d(
        core.shape[1],
        core.shape[0],
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        conv.dilation,  # type: ignore[arg-type]
        bias=False,
        padding_mode=conv.padding_mode,
    )
    _set(middle, core)
    return [_pointwise(inner.T), middle, _pointwise(outer, conv.bias)]


def _cp_layers(conv: nn.Conv2d, outer: Tensor, inner: Tensor, rows: Tensor, columns: Tensor) -> list[nn.Module]:
    """Factors of size (out, R), (in, R), (kh, R), (kw, R)."""
    rank = rows.shape[1]
    layers: list[nn.Module] = [_pointwise(inner.T)]
    for dimension, taps in enumerate((rows, columns)):
        along = nn.Conv2d(
            rank, rank, _only(dimension, conv.kernel_size, 1), _only(dimension, conv.stride, 1),
            conv.padding if isinstance(conv.padding, str) else _only(dimension, conv.padding, 0),
            _only(dimension, conv.dilation, 1), groups=rank, bias=False, padding_mode=conv.padding_mode,
        )  # fmt: skip
        _set(along, taps.T.reshape(rank, 1, *_only(dimension, conv.kernel_size, 1)))  # (R, 1, kh, 1) or (R, 1, 1, kw)
        layers.append(along)
    return [*layers, _pointwise(outer, conv.bias)]


def _only(dimension: int, pair: tuple[int, ...], other: int) -> tuple[int, int]:
    """Keep the value of one dimension of two."""
    return (pair[0], other) if dimension == 0 else (other, pair[1])


def _pointwise(matrix: Tensor, bias: Tensor | None = None) -> nn.Conv2d:
    """A 1x1 convolution by a matrix (out, in)."""
    layer = nn.Conv2d(matrix.shape[1], matrix.shape[0], 1, bias=bias is not None)
    _set(layer, matrix[:, :, None, None])
    if bias is not None and layer.bias is not None:
        layer.bias = nn.Parameter(bias.detach().to("cpu", torch.float64).clone())
    return layer


def _set(layer: nn.Conv2d, weight: Tensor) -> None:
    layer.weight = nn.Parameter(weight.contiguous().clone())


def _balanced(factors: Sequence[Tensor]) -> list[Tensor]:
    """Share the norm of each component equally among the factors, so that one learning rate suits them all."""
    norms = [factor.norm(dim=0) for factor in factors]
    share = torch.stack(norms).clamp_min(1e-300).log().mean(dim=0).exp()  # geometric mean
    return [factor * (share / norm.clamp_min(1e-300)) for factor, norm in zip(factors, norms, strict=True)]


def _largest_cp_rank(weight: Tensor) -> int:
    """No tensor has a larger CP rank than the product of all sizes but the largest."""
    return math.prod(weight.shape) // max(weight.shape)


def _check_ranks(ranks: Sequence[int], largest: tuple[int, ...]) -> None:
    if len(ranks) != len(largest) or any(not 1 <= rank <= most for rank, most in zip(ranks, largest, strict=True)):
        raise ModelError(
            f"compress_conv: it takes {len(largest)} rank(s), each from 1 to {' and '.join(map(str, largest))}, "
            f"got {tuple(ranks)}."
        )
