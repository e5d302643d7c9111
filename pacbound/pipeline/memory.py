"""Bytes that a run needs beside the program, and bytes that this process may have."""

import contextlib
import ctypes
import functools
import math
import os
import platform

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..networks.passes import asked_at_once, largest_result
from ..subspace import ekfac
from ..subspace.curvature import CHUNK_ELEMENTS, LARGE, MAX_CHUNK
from ..subspace.subspace import Subspace
from ..threads import control_groups
from ..training.fit import Sample
from ..training.refine import JUDGED, NEAR

LIMITS = ("memory.max", "memory.limit_in_bytes")  # of a control group, version 2 and 1
FLOAT_BYTES = 4
LIBRARIES = 300 << 20  # what torch's tracing, scipy and the heap come to hold in any run
# of the length of theta: theta0, scale, signs of the projector, theta, and three of the gradient on its way back
VECTORS = 7
KEPT = 3  # copies of what is frozen: in the base, in the subspace, and in the network that is counted
MATRICES = 56  # bytes for each entry of a d x d matrix: curvature, eigenvectors and workspace, precision, factors
ROW_COPIES = 4  # of the rows of a chunk, in the adjoint
NOISE_COPIES = 3  # of all images of noise: as a sum, as one of its terms, and scaled
LIVING = 4  # how many outputs as large as the largest live at one time


def limit_bytes() -> int:
    """Return how much memory this process may have: that of the machine, or of a control group where that is less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in (group / name for group in control_groups("memory") for name in LIMITS):
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
            found.append(int(path.read_text("ascii")))
    return min(found)


def refuse_too_large(module: nn.Module, data_bytes: int) -> None:
    """Refuse a network that cannot be trained in a subspace within the memory of this process. Raises: ModelError."""
    sizes = {True: 0, False: 0}
    for parameter in module.parameters():
        sizes[parameter.requires_grad] += parameter.numel()
    needed = LIBRARIES + FLOAT_BYTES * (VECTORS * sizes[True] + KEPT * sizes[False]) + data_bytes
    if needed > limit_bytes():
        raise ModelError(
            f"certify: a network of {sizes[True]:,} trained and {sizes[False]:,} other parameters needs {needed:,} "
            f"bytes of memory with its sample, this process may have {limit_bytes():,}. Train a part of it (--train), "
            "choose a smaller network, or a larger machine."
        )


def give_back_freed() -> None:
    """Give what was freed back to the system: glibc keeps it, in pieces which the next large tensor does not fit into.

    After the checks of a large network that is more than twice its size.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def peak_bytes(subspace: Subspace, sample: Sample, batch: int, rounded: bool) -> int:
    """Return the most that training and counting need at once, the sample left out. rounded: by a d x d precision.

    What a step keeps for its way back is that of a whole batch; what it does not keep, as features that are computed
    anew, is that of the half which one of its two draws sees.
    """
    D, d = subspace.layout.D, subspace.d
    with torch.no_grad():
        largest = largest_result(functools.partial(subspace.call_at, subspace.theta0), sample.x)
    seen = min(batch, sample.n)
    rows = 0 if D > LARGE else min(MAX_CHUNK, max(1, CHUNK_ELEMENTS // D))  # one alone is among the vectors
    stages = [
        seen * _saved(subspace, sample),
        math.ceil(seen / 2) * LIVING * largest,
        min(asked_at_once(largest), sample.n) * LIVING * largest,
    ]
    if rounded:
        near, one = min(sample.n, NEAR), (sample.x if isinstance(sample.x, Tensor) else sample.x.x)[:1].nbytes
        copied = (min(sample.n, JUDGED) + near) * one  # examples near the boundary, as the sample holds them
        stages += [ROW_COPIES * rows * D * FLOAT_BYTES, MATRICES * d * d + 2 * near * d * FLOAT_BYTES + copied]
    frozen = sum(value.numel() for value in subspace.frozen.values())
    return LIBRARIES + FLOAT_BYTES * (VECTORS * D + KEPT * frozen) + max(stages)


def directions_bytes(module: nn.Module, x: Tensor, D: int) -> int:
    """Return the most that finding leading directions needs, before training begins. x: inputs like those of noise."""
    with torch.no_grad():
        largest = 2 * largest_result(module, x)  # float64
    together = max(1, min(ekfac.EXAMPLES, ekfac.CHUNK_ELEMENTS // D))
    noise = ekfac.EXAMPLES * 2 * x[:1].nbytes
    return LIBRARIES + NOISE_COPIES * noise + together * (LIVING * largest + 2 * ROW_COPIES * FLOAT_BYTES * D)


def _saved(subspace: Subspace, sample: Sample) -> int:
    """Bytes that one more example of a batch keeps for the backward pass."""
    w = torch.zeros(subspace.d, requires_grad=True)
    kept: list[dict[int, int]] = []
    for count in (1, 2):
        seen: dict[int, int] = {}

        def note(value: Tensor, seen: dict[int, int] = seen) -> Tensor:
            seen[value.data_ptr()] = value.nbytes
            return value.detach()  # an output that its own graph kept would never be freed

        with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
            held = subspace.approximate(w, sample.x[torch.arange(count) % sample.n])
        kept.append(seen)
        del held
    return max(sum(kept[1].values()) - sum(kept[0].values()), 0)
