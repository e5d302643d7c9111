"""Numerical ranks of kernels, and CP, Tucker and tensor-train decompositions of them (computed by tensorly).

The modes of a convolution kernel are (output channels, input channels, height, width). tensorly is imported when
first needed, and its backends are set for the calling thread and set back.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ...errors import ModelError

THRESHOLD = 1e-3  # singular values above this share of the largest count
ERROR = 0.1  # relative Frobenius error that a rank may leave
RIDGE = 1e-8  # keeps the factors of a CP decomposition from diverging against each other
CP_RESTARTS = 3
NOISE_STEPS = 400
ROUNDING = 1e-6  # of the largest singular value: below is what float32 storage leaves, which is no signal

Form = Literal["cp", "tucker", "tt"]


@dataclass(frozen=True)
class Ranks:
    """The rank of a matrix by three rules, each at least 1.

    threshold: singular values above THRESHOLD times the largest. error: smallest rank that leaves a relative error of
    at most ERROR. vbmf: by variational Bayes, see `vbmf_rank`.
    """

    threshold: int
    error: int
    vbmf: int


@dataclass(frozen=True, eq=False)
class Decomposition:
    """A tensor as factors, in float64.

    ranks: one number for CP, one per mode for Tucker, one per cut for TT. parameters: entries of all factors. error:
    ||T - approximation||_F / ||T||_F, measured. factors: CP, matrices (size, R) with the weights in the first; Tucker,
    the core and then matrices (size, R_m); TT, tensors (R_{m-1}, size, R_m).
    """

    form: Form
    ranks: tuple[int, ...]
    parameters: int
    error: float
    factors: tuple[Tensor, ...]


def unfold(tensor: Tensor, mode: int) -> Tensor:
    """Return the matrix (size of the mode, product of the others)."""
    return tensor.movedim(mode, 0).reshape(tensor.shape[mode], -1)


def output_ranks(weight: Tensor, groups: int = 1) -> Ranks:
    """Ranks of a kernel along its output channels: of the unfolding (out, in * taps), in float64.

    Of a grouped layer the unfolding is block diagonal: singular values are pooled, VBMF ranks are added.

    Args: weight: (out, in / groups, ...).
    Raises: ModelError where it holds NaN or infinities.
    """
    blocks = _finite(weight).reshape(groups, weight.shape[0] // groups, -1)  # (groups, out, in * taps) of each group
    singular = torch.linalg.svdvals(blocks).flatten().sort(descending=True).values
    vbmf = sum(vbmf_rank(block) for block in blocks)
    return Ranks(_above(singular), rank_for_error(singular, ERROR), max(1, vbmf))


def rank_for_error(singular: Tensor, error: float) -> int:
    """Return the smallest rank, at least 1, whose tail sqrt(sum_{i>r} sigma_i^2) is at most error * the whole."""
    squares = singular.double().square()
    tails = squares.flip(0).cumsum(0).flip(0)  # tails[r] = what rank r leaves
    within = tails <= error**2 * tails[0] if len(tails) else tails
    return max(1, int((~within).sum()))


def vbmf_rank(matrix: Tensor) -> int:
    """Return the rank by empirical variational Bayes matrix factorisation with unknown noise, 0 for pure noise.

    For a x b, a <= b, alpha = a/b, t = 2.5129 sqrt(alpha): singular values above sqrt(b s2 (1 + t)(1 + alpha/t)) are
    kept, s2 minimising the free energy. Nakajima, Sugiyama, Babacan, Tomioka 2013, JMLR 14:1-37, Theorems 2 and 3 (from
    memory).
    """
    singular = torch.linalg.svdvals(matrix.double())
    if matrix.shape[0] == 0 or not float(singular[0]) > 0:
        return 0
    a, b = sorted(matrix.shape)
    if a == 1:
        return 1
    alpha = a / b
    limit = (1 + 2.5129 * math.sqrt(alpha)) * (1 + math.sqrt(alpha) / 2.5129)
    squares = (singular / singular[0]).square().clamp_min(ROUNDING**2)  # zeros have infinite free energy
    most = min(a - 1, max(1, math.ceil(a / (1 + alpha)) - 1))  # at most so many can stand out
    low = max(float(squares[most]) / (b * limit), float(squares[most:].mean()) / b)
    high = max(float(squares.sum()) / (a * b), low)
    for _ in range(2):  # the free energy has several valleys: search all of them, then the deepest more finely
        noises = torch.logspace(math.log10(low), math.log10(high), NOISE_STEPS, dtype=torch.float64)
        best = int(_free_energies(squares / (b * noises[:, None]), alpha, limit).argmin())
        low, high = float(noises[max(best - 1, 0)]), float(noises[min(best + 1, NOISE_STEPS - 1)])
    return int((squares > b * float(noises[best]) * limit).sum())


def _free_energies(z: Tensor, alpha: float, limit: float) -> Tensor:
    """Free energy of each noise, up to constants; z[s, i] = sigma_i^2 / (b s2)."""
    signal = z.clamp_min(limit)
    centred = signal - (1 + alpha)
    tau = (centred + (centred.square() - 4 * alpha).sqrt()) / 2
    kept = signal - tau + ((tau + 1) / signal).log() + alpha * (tau / alpha + 1).log()
    return torch.where(z > limit, kept, z - z.log()).sum(dim=1)


def ranks_for_error(tensor: Tensor, form: Literal["tucker", "tt"], error: float = ERROR) -> tuple[int, ...]:
    """Return ranks at which a truncated decomposition leaves a relative error of at most `error`.

    Each of the q truncations may leave error / sqrt(q): HOSVD (De Lathauwer, De Moor, Vandewalle 2000, Property 10; q
    modes) and TT-SVD (Oseledets 2011, Theorem 2.2; q = modes - 1 cuts, here by the unfoldings of the tensor itself).

    Raises: ModelError where the tensor is not finite.
    """
    tensor = _finite(tensor)
    if form == "tucker":
        unfoldings = [unfold(tensor, mode) for mode in range(tensor.ndim)]
    else:
        unfoldings = [tensor.reshape(math.prod(tensor.shape[:cut]), -1) for cut in range(1, tensor.ndim)]
    share = error / math.sqrt(len(unfoldings))
    return tuple(rank_for_error(torch.linalg.svdvals(matrix), share) for matrix in unfoldings)


def decompose(tensor: Tensor, form: Form, ranks: Sequence[int], iterations: int = 100) -> Decomposition:
    """Decompose a tensor: CP by alternating least squares, Tucker by HOOI from HOSVD, TT by successive SVDs.

    CP is a local search: the best of CP_RESTARTS seeded starts, with a ridge of RIDGE. iterations = 0 gives the
    truncated HOSVD for Tucker.

    Args: tensor: finite. ranks: (R,) for CP, one per mode for Tucker, one per cut for TT.
    Raises: ModelError where the ranks do not fit.
    """
    tensor = _finite(tensor)
    expected = {"cp": 1, "tucker": tensor.ndim, "tt": tensor.ndim - 1}[form]
    if len(ranks) != expected or min(ranks) < 1:
        raise ModelError(
            f"decompose: {form} of {tensor.ndim} modes takes {expected} positive rank(s), got {tuple(ranks)}."
        )
    with tensorly_on_torch():
        if form == "cp":
            factors, approximation = _cp(tensor, ranks[0], iterations)
        elif form == "tucker":
            factors, approximation = _tucker(tensor, ranks, iterations)
        else:
            factors, approximation = _tt(tensor, ranks)
    scale = float(tensor.norm())
    error = float((tensor - approximation).norm()) / scale if scale > 0 else 0.0
    return Decomposition(form, _ranks_of(form, factors), sum(f.numel() for f in factors), error, factors)


def hooi(tensor: Tensor, ranks: Sequence[int], modes: Sequence[int], iterations: int) -> tuple[Tensor, list[Tensor]]:
    """Higher-order orthogonal iteration on some modes: core and orthonormal factors (size, rank).

    Starts from HOSVD; call it inside `tensorly_on_torch`.
    """
    from tensorly.decomposition import partial_tucker
    from tensorly.tenalg import multi_mode_dot

    first = [torch.linalg.svd(unfold(tensor, mode), full_matrices=False)[0] for mode in modes]
    factors = [u[:, : min(rank, u.shape[1])].contiguous() for u, rank in zip(first, ranks, strict=True)]
    core = multi_mode_dot(tensor, factors, modes=list(modes), transpose=True)
    if iterations == 0:
        return core, factors
    kept = [factor.shape[1] for factor in factors]
    (core, factors), _ = partial_tucker(
        tensor, kept, modes=list(modes), n_iter_max=iterations, init=(core, factors), tol=1e-12
    )
    return core, list(factors)


@contextmanager
def tensorly_on_torch() -> Iterator[None]:
    """Let tensorly compute with torch and einsum in this thread, and set back what it had."""
    import tensorly

    before, algebra = tensorly.get_backend(), tensorly.tenalg.get_backend()
    tensorly.set_backend("pytorch", local_threadsafe=True)
    tensorly.tenalg.set_backend("einsum", local_threadsafe=True)
    try:
        yield
    finally:
        tensorly.tenalg.set_backend(algebra, local_threadsafe=True)
        tensorly.set_backend(before, local_threadsafe=True)


def cp_factors(tensor: Tensor, rank: int, iterations: int) -> list[Tensor]:
    """Factors (size, R) of the best of some seeded CP searches, weights in the first; inside `tensorly_on_torch`."""
    from tensorly.cp_tensor import cp_to_tensor
    from tensorly.decomposition import parafac

    best: list[Tensor] = []
    least = math.inf
    for seed in range(CP_RESTARTS):
        start = (torch.ones(rank, dtype=tensor.dtype), _cp_start(tensor, rank, seed))
        weights, factors = parafac(tensor, rank, n_iter_max=iterations, init=start, tol=1e-10, l2_reg=RIDGE)
        left = float((tensor - cp_to_tensor((weights, factors))).norm())
        if not best or left < least:
            best, least = [factors[0] * weights, *factors[1:]], left
    return best


def _cp_start(tensor: Tensor, rank: int, seed: int) -> list[Tensor]:
    """Leading singular vectors for seed 0, filled up with normals; normals for every other seed."""
    generator = torch.Generator().manual_seed(seed)
    factors = []
    for mode, size in enumerate(tensor.shape):
        factor = torch.randn(size, rank, generator=generator, dtype=tensor.dtype)
        if seed == 0:
            vectors = torch.linalg.svd(unfold(tensor, mode), full_matrices=False)[0][:, :rank]
            factor[:, : vectors.shape[1]] = vectors
        factors.append(factor)
    return factors


def _cp(tensor: Tensor, rank: int, iterations: int) -> tuple[tuple[Tensor, ...], Tensor]:
    from tensorly.cp_tensor import cp_to_tensor

    factors = cp_factors(tensor, rank, iterations)
    return tuple(factors), cp_to_tensor((None, factors))


def _tucker(tensor: Tensor, ranks: Sequence[int], iterations: int) -> tuple[tuple[Tensor, ...], Tensor]:
    from tensorly.tenalg import multi_mode_dot

    core, factors = hooi(tensor, ranks, range(tensor.ndim), iterations)
    return (core, *factors), multi_mode_dot(core, factors)


def _tt(tensor: Tensor, ranks: Sequence[int]) -> tuple[tuple[Tensor, ...], Tensor]:
    from tensorly.decomposition import tensor_train
    from tensorly.tt_tensor import tt_to_tensor

    train = tensor_train(tensor, [1, *ranks, 1])
    return tuple(train.factors), tt_to_tensor(train)


def _ranks_of(form: Form, factors: tuple[Tensor, ...]) -> tuple[int, ...]:
    if form == "cp":
        return (factors[0].shape[1],)
    if form == "tucker":
        return tuple(factors[0].shape)
    return tuple(factor.shape[2] for factor in factors[:-1])


def _above(singular: Tensor) -> int:
    return max(1, int((singular > THRESHOLD * singular[0]).sum()))


def _finite(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().to("cpu", torch.float64)
    if tensor.numel() == 0 or not bool(torch.isfinite(tensor).all()):
        raise ModelError(
            f"ranks: a kernel is finite and not empty, got shape {tuple(tensor.shape)} with "
            f"{int((~torch.isfinite(tensor)).sum())} NaN or infinite entries. Train with a smaller rate."
        )
    return tensor
