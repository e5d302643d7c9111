"""Projections of a kernel on the (2,1) ball around its start, the spectral ball, and both (Dykstra).

Kernels are (out, in, *taps), float. Graf et al. 2022, arXiv:2202.08070, train with these after every few steps.
Projections end slightly outside after finitely many sweeps: norms are measured afterwards, never taken from here.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ...errors import RequestError
from .capacity import group_norm, joined

Projection = Callable[[Tensor], Tensor]


def shrink_groups(difference: Tensor, radius: float) -> Tensor:
    """Nearest point of the (2,1) ball: every group norm q becomes max(q - lam, 0), lam found by sorting.

    Args: difference: (out, in, taps); groups run over `in`. radius: of the ball, >= 0.
    """
    norms = difference.norm(dim=1, keepdim=True)  # (out, 1, taps)
    sizes = norms.flatten().to(torch.float64).sort(descending=True).values
    if float(sizes.sum()) <= radius:
        return difference
    levels = (sizes.cumsum(0) - radius) / torch.arange(1, len(sizes) + 1)  # lam if the largest k groups remain
    kept = int((sizes > levels).sum())  # a prefix: sizes - levels changes sign once
    lam = float(levels[max(kept, 1) - 1])
    factor = torch.where(norms > lam, 1 - lam / norms.clamp_min(torch.finfo(norms.dtype).tiny), 0.0)
    return difference * factor.to(difference.dtype)


def project_distance(kernel: Tensor, start: Tensor, radius: float) -> Tensor:
    """Nearest kernel within (2,1) distance `radius` of `start`. Raises: RequestError."""
    if not radius >= 0:
        raise RequestError(f"project_distance: a radius is >= 0, got {radius!r}.")
    if kernel.shape != start.shape:
        raise RequestError(
            f"project_distance: kernel and start have one shape, got {tuple(kernel.shape)} and {tuple(start.shape)}."
        )
    return start + shrink_groups(joined(kernel - start, None), radius).reshape(kernel.shape)


def project_spectrum(kernel: Tensor, sides: Sequence[int], radius: float) -> Tensor:
    """Nearest kernel of full support whose circular convolution with stride 1 on `sides` has norm <= radius.

    Per frequency the singular values are clipped. A matrix (out, in) has sides ().
    Args: kernel: (out, in, *taps), no more taps than `sides`.
    Returns: (out, in, *sides). Raises: RequestError.
    """
    taps = kernel.shape[2:]
    if len(taps) != len(sides) or any(tap > side for tap, side in zip(taps, sides, strict=True)):
        raise RequestError(f"project_spectrum: {tuple(taps)} taps fit on a torus with as many sides, got {sides}.")
    if not radius >= 0:
        raise RequestError(f"project_spectrum: a radius is >= 0, got {radius!r}.")
    full = embed(kernel, sides)
    if not sides:
        return _clip(full, radius)
    dims = tuple(range(2, full.ndim))
    waves = torch.fft.rfftn(full, dim=dims)  # the kernel is real: half of the frequencies tell all
    blocks = waves.permute(*dims, 0, 1)  # (*frequencies, out, in)
    back = _clip(blocks, radius).permute(-2, -1, *range(len(sides)))
    return torch.fft.irfftn(back, s=tuple(sides), dim=dims)


def embed(kernel: Tensor, sides: Sequence[int]) -> Tensor:
    """Put the taps in the corner of a torus of zeros: (out, in, *taps) -> (out, in, *sides)."""
    full = torch.zeros(*kernel.shape[:2], *sides, dtype=kernel.dtype)
    full[_corner(kernel.shape[2:])] = kernel
    return full


def crop(full: Tensor, taps: Sequence[int]) -> Tensor:
    """Take the taps from the corner of a torus: (out, in, *sides) -> (out, in, *taps)."""
    return full[_corner(taps)].clone()


def project_both(
    kernel: Tensor,
    start: Tensor,
    distance: float,
    lipschitz: float,
    sides: Sequence[int],
    sweeps: int = 1,
    bias: Tensor | None = None,
    start_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """(kernel, bias) near the nearest pair within both balls, by Dykstra's algorithm over distance, spectrum, support.

    Args: kernel, start: (out, in, *taps). sides: of the torus. sweeps: rounds over the three sets. bias: (out,),
        one more input channel at the first tap, which counts in the distance only.
    Raises: RequestError.
    """
    taps, channels = tuple(kernel.shape[2:]), kernel.shape[1]
    if (bias is None) != (start_bias is None) or kernel.shape != start.shape:
        raise RequestError(
            f"project_both: kernel and start have one shape, got {tuple(kernel.shape)} and {tuple(start.shape)}, "
            "and both a bias or none."
        )
    origin = _whole(start, start_bias, sides)
    support = _whole(torch.ones_like(start), None if bias is None else torch.ones_like(bias), sides)

    def spectrum(full: Tensor) -> Tensor:
        clipped = project_spectrum(full[:, :channels], sides, lipschitz)
        return torch.cat([clipped, full[:, channels:]], dim=1)

    sets = (lambda full: project_distance(full, origin, distance), spectrum, lambda full: full * support)
    near = dykstra(_whole(kernel, bias, sides), sets, sweeps)
    return crop(near[:, :channels], taps), None if bias is None else near[:, channels].reshape(len(near), -1)[
        :, 0
    ].clone()


def _whole(kernel: Tensor, bias: Tensor | None, sides: Sequence[int]) -> Tensor:
    """Kernel and bias on the torus: (out, in or in + 1, *sides)."""
    if bias is None:
        return embed(kernel, sides)
    extra = bias.reshape(-1, 1, *[1] * len(sides))
    return torch.cat([embed(kernel, sides), embed(extra, sides)], dim=1)


def dykstra(point: Tensor, sets: Sequence[Projection], sweeps: int) -> Tensor:
    """Approach the nearest point of an intersection of convex sets: x_i = P_i(x + p_i), p_i keeps what was removed.

    Boyle and Dykstra 1986. Without the p_i (alternating projections) it finds a point of the intersection only.
    Raises: RequestError for no sweep.
    """
    if sweeps < 1:
        raise RequestError(f"dykstra: at least one sweep, got {sweeps}.")
    removed = [torch.zeros_like(point) for _ in sets]
    for _ in range(sweeps):
        for index, project in enumerate(sets):
            shifted = point + removed[index]
            point = project(shifted)
            removed[index] = shifted - point
    return point


def shrink_radially(kernel: Tensor, start: Tensor, radius: float) -> Tensor:
    """Move a kernel towards its start until its (2,1) distance is at most `radius`."""
    found = group_norm(kernel - start)
    return kernel if found <= radius else start + (kernel - start) * (radius / found)


def _clip(blocks: Tensor, radius: float) -> Tensor:
    """Clip singular values of (..., out, in) at `radius`."""
    u, values, vh = torch.linalg.svd(blocks, full_matrices=False)
    return (u * values.clamp(max=radius).unsqueeze(-2)) @ vh


def _corner(taps: Sequence[int]) -> tuple[slice, ...]:
    return (slice(None), slice(None), *(slice(tap) for tap in taps))


def torus_sides(input_size: Sequence[int], taps: Sequence[int], circular: bool) -> tuple[int, ...]:
    """Sides on which the spectral ball lies inside the true one: the input's, with room for zeros as padding.

    A kernel with dilation is embedded at its taps, which has the norm of the dilated one only where the sides share
    no factor with the dilation; callers measure afterwards.
    """
    if circular:
        return tuple(max(size, tap) for size, tap in zip(input_size, taps, strict=True))
    return tuple(size + math.ceil(tap / 2) for size, tap in zip(input_size, taps, strict=True))
