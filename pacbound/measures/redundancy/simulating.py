"""How fast a low-rank layer is learned: its error falls with d_M / n, whatever its number of output channels.

Draws the linear model of Huang, Si, Zheng and Li 2021 (arXiv:2112.04857), y = <Z, W> + noise with Z standard normal and
W = sum_k A_k (outer) B_k of low rank, and fits W by alternating least squares. The paper's rate is
||West - W||_F <~ sigma sqrt(d_M / n): ln error grows by 1/2 with ln(d_M / n). Its constants are not checked here.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from ...progress import hidden, tqdm
from ...records import Record
from .sample_complexity import Counts, cp_counts, tucker_counts

LowRank = Literal["tucker", "cp"]
Array = NDArray[Any]
NOISE = 0.1  # standard deviation; W has Frobenius norm 1
MULTIPLES = (8, 16, 32, 64, 128)  # sample sizes, in d_M
STARTS = 6  # of the alternation: one spectral, the others random; the best fit of the sample counts
SWEEPS = 100
SETTLED = 1e-9  # relative fall of the residual in one sweep
LARGEST = 4096  # numbers in W


class Point(Record):
    """Error at one sample size: root mean square of ||West - W||_F over the repeats.

    outputs: K. naive, dimension: d# and d_M. n: examples. rate: sigma sqrt(d_M / n), the paper's without its constant.
    """

    outputs: int
    naive: int
    dimension: int
    n: int
    error: float
    rate: float


class Simulation(Record):
    """What was drawn and found. sizes: l_1..l_N of a kernel. slope: of ln error in ln(d_M / n), 1/2 in theory."""

    form: LowRank
    sizes: tuple[int, ...]
    rank: int
    places: int
    repeats: int
    seed: int
    points: tuple[Point, ...]
    slope: float


def simulate(
    form: LowRank = "tucker",
    sizes: Sequence[int] = (3, 3, 4),
    rank: int = 2,
    outputs: Sequence[int] = (4, 16),
    places: int = 4,
    repeats: int = 8,
    seed: int = 0,
) -> Simulation:
    """Draw low-rank layers, fit them at n = 8 d_M .. 128 d_M, and compare the error with d_M / n.

    Args: form: of the stacked kernels, of Tucker ranks min(rank, l_j) and rank, or of CP rank. sizes: l_1..l_N, input
        channels among them. rank: R along the output channels. outputs: K, each simulated by itself; the error should
        not depend on it. places: P. repeats: draws of W and of a sample for each point.
    Raises: ModelError where no tensor has these ranks, or W has more than 4096 numbers.
    """
    shape = (*sizes, places)
    ranks = (*(min(rank, size) for size in sizes), rank)
    _check(form, shape, ranks, outputs, repeats, seed)
    points, generator = [], np.random.default_rng(seed)
    pairs = [(channels, multiple) for channels in outputs for multiple in MULTIPLES]
    for channels, multiple in tqdm(pairs, desc="simulate", unit="size", delay=2, disable=hidden()):
        counts = _counts(form, sizes, ranks, places, channels)
        n = multiple * counts.dimension
        squares = [_squared_error(form, shape, ranks, channels, n, generator) for _ in range(repeats)]
        points.append(
            Point(outputs=channels, naive=counts.naive, dimension=counts.dimension, n=n,
                  error=math.sqrt(math.fsum(squares) / repeats), rate=NOISE * math.sqrt(counts.dimension / n))
        )  # fmt: skip
    ratios = [math.log(point.dimension / point.n) for point in points]
    slope = np.polyfit(ratios, [math.log(point.error) for point in points], 1)[0]
    return Simulation(form=form, sizes=tuple(sizes), rank=rank, places=places, repeats=repeats, seed=seed,
                      points=tuple(points), slope=float(slope))  # fmt: skip


def _counts(form: LowRank, sizes: Sequence[int], ranks: Sequence[int], places: int, outputs: int) -> Counts:
    if form == "cp":
        return cp_counts(sizes, places, outputs, ranks[-1])
    return tucker_counts(sizes, ranks[:-1], places, outputs, ranks[-1])


def _squared_error(
    form: LowRank, shape: Sequence[int], ranks: Sequence[int], outputs: int, n: int, generator: np.random.Generator
) -> float:
    """||West - W||_F^2 for one W and one sample of n."""
    true = _layer(form, shape, ranks, outputs, generator)
    z = generator.standard_normal((n, true.size))
    y = z @ true + NOISE * generator.standard_normal(n)
    return float(np.sum((_fit(form, shape, ranks, z.T @ z / n, z.T @ y / n, generator) - true) ** 2))


def _layer(
    form: LowRank, shape: Sequence[int], ranks: Sequence[int], outputs: int, generator: np.random.Generator
) -> Array:
    """W = sum_k A_k (outer) B_k, A_k = sum_r H[k, r] At_r, flat and of norm 1: K output channels, rank R."""
    mixing, reading = generator.standard_normal((outputs, ranks[-1])), generator.standard_normal((outputs, shape[-1]))
    if form == "cp":
        factors = [generator.standard_normal((size, ranks[-1])) for size in shape[:-1]]
        core = _diagonal(len(shape), ranks[-1])
    else:
        factors = [
            _orthonormal(generator.standard_normal((size, r))) for size, r in zip(shape[:-1], ranks, strict=False)
        ]
        core = generator.standard_normal(tuple(ranks))
    kernels = _product(core, [*factors, mixing])  # l_1 x .. x l_N x K
    whole = (kernels @ reading).ravel()
    return whole / np.linalg.norm(whole)


def _fit(
    form: LowRank,
    shape: Sequence[int],
    ranks: Sequence[int],
    gram: Array,
    moment: Array,
    generator: np.random.Generator,
) -> Array:
    """The W of these ranks that alternation finds with the least residual w^T G w - 2 m^T w; flat."""
    found: list[tuple[float, Array]] = []
    ranks = [ranks[-1]] * len(shape) if form == "cp" else ranks
    spectral = np.linalg.lstsq(gram, moment, rcond=None)[0].reshape(tuple(shape))
    for start in range(STARTS):
        if start == 0 and form == "tucker":
            unfolded = [np.moveaxis(spectral, mode, 0).reshape(size, -1) for mode, size in enumerate(shape)]
            factors = [_left(one, r) for one, r in zip(unfolded, ranks, strict=True)]
            core = _product(spectral, [factor.T for factor in factors])
        else:
            factors = [generator.standard_normal((size, r)) for size, r in zip(shape, ranks, strict=True)]
            core = _diagonal(len(shape), ranks[-1]) if form == "cp" else generator.standard_normal(tuple(ranks))
        found.append(_alternate(form, core, factors, gram, moment))
    return min(found, key=lambda one: one[0])[1]


def _alternate(form: LowRank, core: Array, factors: list[Array], gram: Array, moment: Array) -> tuple[float, Array]:
    """Least squares in one factor after another, in Tucker form in the core too; residual and W."""
    before = math.inf
    for _ in range(SWEEPS):
        for mode, factor in enumerate(factors):
            rest = np.moveaxis(_product(core, factors, leave=mode), mode, 0)  # r x the other modes
            spread = np.einsum("ab,r...->a...br", np.eye(len(factor)), rest)
            design = np.moveaxis(spread, 0, mode).reshape(len(gram), -1)
            factors[mode] = _solve(design, gram, moment).reshape(factor.shape)
            if form == "tucker":  # else the numbers grow without bound over many sweeps
                factors[mode] = _orthonormal(factors[mode])
        if form == "tucker":
            design = _kronecker(factors)
            core = _solve(design, gram, moment).reshape(core.shape)
        whole = _product(core, factors).ravel()
        residual = float(whole @ gram @ whole - 2 * moment @ whole)
        if before - residual <= SETTLED * abs(residual):
            break
        before = residual
    return residual, whole


def _solve(design: Array, gram: Array, moment: Array) -> Array:
    return np.linalg.lstsq(design.T @ gram @ design, design.T @ moment, rcond=None)[0]


def _kronecker(factors: Sequence[Array]) -> Array:
    whole: Array = np.eye(1)
    for factor in factors:
        whole = np.kron(whole, factor)
    return whole


def _product(core: Array, factors: Sequence[Array], leave: int | None = None) -> Array:
    """Multiply each mode of a tensor by its factor, but one."""
    for mode, factor in enumerate(factors):
        if mode != leave:
            core = np.moveaxis(np.tensordot(factor, core, (1, mode)), 0, mode)
    return core


def _diagonal(modes: int, rank: int) -> Array:
    core = np.zeros((rank,) * modes)
    core[(np.arange(rank),) * modes] = 1
    return core


def _orthonormal(matrix: Array) -> Array:
    return np.linalg.qr(matrix)[0]


def _left(matrix: Array, rank: int) -> Array:
    return np.linalg.svd(matrix)[0][:, :rank]


def _check(
    form: str, shape: Sequence[int], ranks: Sequence[int], outputs: Sequence[int], repeats: int, seed: int
) -> None:
    if form not in ("tucker", "cp"):
        raise ModelError(f"simulate: the form is tucker or cp, got {form!r}.")
    if len(shape) < 2 or min(shape) < 1 or repeats < 1 or not outputs or seed < 0:
        raise ModelError(
            "simulate: sizes, places, outputs and repeats are at least 1, none is missing, the seed is >= 0; got sizes "
            f"{tuple(shape[:-1])}, {shape[-1]} places, outputs {tuple(outputs)}, {repeats} repeats, seed {seed}."
        )
    if math.prod(shape) > LARGEST:
        raise ModelError(f"simulate: W has at most {LARGEST} numbers, got {math.prod(shape)}. Take smaller sizes.")
    largest = min(shape[-1], *outputs, *([math.prod(ranks[:-1])] if form == "tucker" else []))
    if not 1 <= ranks[-1] <= largest:
        raise ModelError(
            f"simulate: the rank is from 1 to {largest} here (the least of places, outputs and, in Tucker form, the "
            f"product of the other ranks), got {ranks[-1]}."
        )
