"""The neural tangent kernel of a network on some points, and what it predicts of training.

Theta = J J^T with J the derivatives of the logits by the trainable parameters (Jacot, Gabriel and Hongler 2018,
arXiv:1806.07572). Jacobians are made in blocks of examples, one logit at a time, and never kept.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ...bounds.claims import Measure
from ...errors import ModelError, first_line
from ...models.others import private_copy
from ...progress import hidden, tqdm
from ...subspace.random import normals
from .. import Sample
from ..layers.altered import blame

REFERENCE: Final = "Jacot et al. 2018, arXiv:1806.07572; Georgiev et al. 2021, arXiv:2110.02333"
MEMORY_BYTES: Final = 1 << 29  # for the two blocks of Jacobian rows that are alive at a time
MAX_POINTS, MIN_POINTS = 500, 8
SEED: Final = 0  # of the examples that are taken

Kind = Literal["trace", "sum", "full"]


@dataclass(frozen=True, eq=False)
class Kernel:
    """An empirical tangent kernel, float64.

    kind: trace, (n, n), the sum over logits of J_k J_k^T; sum, (n, n), the kernel of the sum of logits; full,
    (n K, n K), row i K + k being logit k of example i. trace_of: the part of the trace due to each parameter.
    """

    kind: Kind
    matrix: Tensor
    trace_of: dict[str, float]


def empirical_ntk(model: nn.Module, x: Tensor, kind: Kind = "trace") -> Kernel:
    """Compute the empirical kernel of a network on x, in evaluation mode and float64, on the CPU.

    Args: x: (n, ...) as the network reads it; the network maps it to (n, K) or (n,).
    Raises: ModelError where a batch normalisation is in training mode, the network has no trainable parameter, or
        torch.func cannot differentiate it.
    """
    rows = _Rows.of(model, x, kind)
    matrix = torch.zeros(rows.n * rows.kept, rows.n * rows.kept, dtype=torch.float64)
    trace = dict.fromkeys(rows.parameters, 0.0)
    for first in tqdm(list(rows.blocks()), desc="tangent kernel", unit="block", delay=2, disable=hidden(), leave=False):
        left = rows.jacobian(first)
        _add_trace(trace, rows, left)
        for second in rows.blocks():
            if second.start < first.start:
                continue
            right = left if second == first else rows.jacobian(second)
            # trace and sum: (b, q D) rows; full: (b q, D) rows
            part = left.reshape(len(first) * rows.kept, -1) @ right.reshape(len(second) * rows.kept, -1).T
            here, there = (slice(b.start * rows.kept, b.stop * rows.kept) for b in (first, second))
            matrix[here, there] = part
            matrix[there, here] = part.T
    return Kernel(kind, matrix, trace)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of the Jacobian on demand."""

    network: nn.Module
    parameters: dict[str, Tensor]
    x: Tensor
    kind: Kind
    outputs: int

    @classmethod
    def of(cls, model: nn.Module, x: Tensor, kind: Kind) -> "_Rows":
        running = [name for name, m in model.named_modules() if isinstance(m, _BatchNorm) and m.training]
        if running:
            raise ModelError(
                f"empirical_ntk: logits depend on one example each, but {running[0]} is a batch normalisation in "
                "training mode. Call eval() on the network first."
            )
        network = private_copy(model).to("cpu", torch.float64)
        if blame(model):  # a hook of the copy may still write to the original, and the copy read what is stale
            raise ModelError(f"empirical_ntk: a copy of the network is differentiated, but {blame(model)}.")
        parameters = {name: p.detach() for name, p in network.named_parameters() if p.requires_grad}
        if not parameters:
            raise ModelError("empirical_ntk: a network has trainable parameters, got none. Set requires_grad.")
        x = x.detach().to("cpu", torch.float64)
        try:
            with torch.no_grad():
                logits = network(x[:1])
        except Exception as why:  # networks of others raise anything
            raise ModelError(
                f"empirical_ntk: the network runs on one example, {tuple(x[:1].shape)}, in float64: {first_line(why)}. "
                "Give inputs of the size it reads, and let forward keep their dtype."
            ) from None
        if not isinstance(logits, Tensor) or logits.ndim > 2 or not bool(torch.isfinite(logits).all()):
            got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ModelError(
                f"empirical_ntk: logits are finite and have shape (n, K) or (n,), got {got}. "
                "Let forward return them alone; a training that diverged leaves NaN."
            )
        return cls(network, parameters, x, kind, logits.numel())

    @property
    def n(self) -> int:
        return len(self.x)

    @property
    def kept(self) -> int:
        """Rows of the kernel per example."""
        return self.outputs if self.kind == "full" else 1

    @property
    def size(self) -> int:
        """Number of trainable parameters, D."""
        return sum(p.numel() for p in self.parameters.values())

    def blocks(self) -> Iterator[range]:
        """Ranges of examples, so short that two blocks of their Jacobian rows fit in memory."""
        functions = 1 if self.kind == "sum" else self.outputs
        length = max(1, MEMORY_BYTES // (2 * 8 * functions * self.size))
        return (range(start, min(start + length, self.n)) for start in range(0, self.n, length))

    def jacobian(self, block: range) -> Tensor:
        """Derivatives of the logits, or of their sum, shape (b, q, D)."""
        chosen: list[int | None] = [None] if self.kind == "sum" else list(range(self.outputs))
        x = self.x[block.start : block.stop]
        result = torch.empty(len(block), len(chosen), self.size, dtype=torch.float64)
        for position, logit in enumerate(chosen):
            try:
                parts = vmap(grad(self._logit), in_dims=(None, 0, None))(self.parameters, x, logit)
            except Exception as why:  # networks of others raise anything
                raise ModelError(
                    f"empirical_ntk: torch.func differentiates the network, {type(self.network).__name__}: "
                    f"{first_line(why)}. Keep branches on values out of forward."
                ) from None
            torch.cat([part.reshape(len(block), -1) for part in parts.values()], dim=1, out=result[:, position])
        return result

    def _logit(self, parameters: dict[str, Tensor], example: Tensor, logit: int | None) -> Tensor:
        logits = functional_call(self.network, parameters, (example[None],)).reshape(-1)
        return logits.sum() if logit is None else logits[logit]


def _add_trace(trace: dict[str, float], rows: _Rows, jacobian: Tensor) -> None:
    start = 0
    for name, parameter in rows.parameters.items():
        trace[name] += float(jacobian[:, :, start : start + parameter.numel()].square().sum())
        start += parameter.numel()


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of a kernel in brief. effective_rank: tr^2 / ||.||_F^2. max_stable_step: 2 / lambda_max."""

    lambda_max: float
    lambda_min: float
    condition: float
    effective_rank: float
    max_stable_step: float


def spectrum_of(kernel: Tensor) -> Spectrum:
    """Summarise a symmetric positive semidefinite kernel (n, n).

    The condition number has lambda_min floored at n times the machine epsilon times lambda_max.
    Raises: ModelError for the zero kernel.
    """
    values = torch.linalg.eigvalsh(kernel)
    top, bottom = float(values[-1]), max(0.0, float(values[0]))
    if not top > 0:
        raise ModelError(f"spectrum_of: a kernel has a positive eigenvalue, the largest found is {top}.")
    floor = len(kernel) * torch.finfo(torch.float64).eps * top
    rank = float(kernel.trace() ** 2 / kernel.square().sum())
    return Spectrum(top, bottom, top / max(bottom, floor), rank, 2 / top)


def alignment(kernel: Tensor, targets: Tensor) -> float:
    """tr(Y^T Theta Y) / (||Theta||_F ||Y||^2) for targets (n,) or (n, K); at most 1 (Cauchy and Schwarz)."""
    y = targets.to(torch.float64).reshape(len(kernel), -1)
    return float((y * (kernel @ y)).sum() / (kernel.norm() * y.square().sum()))


def linear_dynamics(kernel: Tensor, start: Tensor, targets: Tensor, rate: float, times: Tensor) -> Tensor:
    """Predict outputs under gradient flow on half the squared error: f_t = y + exp(-rate Theta t) (f_0 - y).

    Lee et al. 2019 (arXiv:1902.06720), eq. (10). Args: start, targets: (n,) or (n, K). times: (T,).
    Returns: (T, n) or (T, n, K).
    """
    values, vectors = torch.linalg.eigh(kernel)
    rest = vectors.T @ (start - targets).to(torch.float64).reshape(len(kernel), -1)  # (n, K)
    decay = torch.exp(-rate * times.to(torch.float64)[:, None] * values[None])  # (T, n)
    moved = torch.einsum("ij,tj,jk->tik", vectors, decay, rest)
    return targets.to(torch.float64) + moved.reshape(len(times), *targets.shape)


def expected_ntk(widths: tuple[int, ...], ranks: tuple[float, ...], scales: tuple[float, ...]) -> tuple[float, ...]:
    """Terms of E Theta(x, x) / ||x||^2 of a ReLU net of Haar layers with readout a ~ N(0, I / n_L), leading order.

    prod_k a_k for the readout, then for layer l = L .. 1: prod_{k<l} a_k * (1/2) prod_{k>l} beta_k / 2, with
    a_k = r_k s_k^2 / (2 n_{k-1}) and beta_k = r_k s_k^2 / n_k: linear in each other layer's stable rank.
    Args: widths: n_0 .. n_L. ranks, scales: of the L layers.
    Returns: (readout, layer L, ..., layer 1). Derived here to leading order in the widths; not a theorem of the paper.
    """
    gains = [r * s**2 for r, s in zip(ranks, scales, strict=True)]
    forward = [gain / (2 * n) for gain, n in zip(gains, widths[:-1], strict=True)]
    backward = [gain / (2 * n) for gain, n in zip(gains, widths[1:], strict=True)]
    depth = len(gains)
    layers = [math.prod(forward[:k]) * 0.5 * math.prod(backward[k + 1 :]) for k in reversed(range(depth))]
    return (math.prod(forward), *layers)


def infinite_width_ntk(cosine: float, depth: int, factor: float = 1.0) -> tuple[tuple[float, float], ...]:
    """Covariance K_l and tangent kernel Theta_l of a wide ReLU net for two unit inputs, after 1 .. depth layers.

    K_l = c q k1(rho), Theta_l = K_l + c k0(rho) Theta_{l-1}, Theta_0 = K_0 = cosine, q the common variance, rho the
    correlation so far, c = r s^2 / (2 n_out), k0(u) = (pi - arccos u) / pi, k1(u) = (sqrt(1 - u^2) + u (pi -
    arccos u)) / pi (Cho and Saul 2009). Fails where stable ranks stay bounded, below 16 say, as widths grow.
    """
    covariance = tangent = cosine
    variance = 1.0
    found = []
    for _ in range(depth):
        rho = min(1.0, max(-1.0, covariance / variance))
        angle = math.pi - math.acos(rho)
        covariance = factor * variance * (math.sqrt(1 - rho * rho) + rho * angle) / math.pi
        tangent = covariance + factor * angle / math.pi * tangent
        variance *= factor
        found.append((covariance, tangent))
    return tuple(found)


def measure_ntk(model: nn.Module, example_input: Tensor, data: Sample | None = None) -> tuple[Measure, ...]:
    """Measure the trace kernel (sum over logits) on a part of the data, or on the example input.

    At most `MAX_POINTS` examples, fewer where their Jacobian would outgrow `MEMORY_BYTES`, at least `MIN_POINTS`: of
    more, as many of each class as its share, drawn with a fixed seed (`stratified`). The units tell how many, the
    reference which. With labels of at least two classes also the alignment of the kernel with one-hot labels of which
    the mean over classes is taken away.
    Raises: ModelError.
    """
    x, labels, drawn = example_input[: _points(model, example_input)], None, ""
    if data is not None:
        x, labels = data
        points = _points(model, x)
        if points < len(x):
            chosen = stratified(labels, points)
            x, labels = x[chosen], labels[chosen]
            drawn = f"; {points} of {len(data[0])} examples, stratified by class, seed {SEED}"
    kernel = empirical_ntk(model, x)
    brief = spectrum_of(kernel.matrix)
    points_read = f"on {len(x)} points"
    found = [
        ("ntk_trace", sum(kernel.trace_of.values()), points_read, kernel.trace_of),
        ("ntk_lambda_max", brief.lambda_max, points_read, {}),
        ("ntk_lambda_min", brief.lambda_min, points_read, {}),
        ("ntk_condition", brief.condition, f"ratio, {points_read}", {}),
        ("ntk_effective_rank", brief.effective_rank, f"rank, {points_read}", {}),
        ("ntk_max_stable_step", brief.max_stable_step, f"step, {points_read}", {}),
    ]
    if data is not None and labels is not None and len(torch.unique(labels)) > 1:
        targets = F.one_hot(labels, int(data[1].max()) + 1).to(torch.float64)
        targets = targets - targets.mean(dim=1, keepdim=True)
        found.append(("ntk_alignment", alignment(kernel.matrix, targets), f"cosine, {points_read}", {}))
    return tuple(
        Measure(name=name, value=value, unit=unit, per_layer=parts, reference=REFERENCE + drawn, verified=True)
        for name, value, unit, parts in found
    )


def stratified(labels: Tensor, points: int) -> Tensor:
    """Choose examples, each class in proportion (largest remainders) and at random within, in the order of the sample.

    Args: labels: (n,). points: how many, at most n. Returns: (points,) indices.
    """
    order = torch.from_numpy(normals(SEED, "measures/ntk/points", len(labels))).argsort()
    shares: list[tuple[float, Tensor]] = []  # of each class: the remainder, and its examples in random order
    taken: list[Tensor] = []
    for value in torch.unique(labels):
        own = order[labels[order] == value]
        exact = points * len(own) / len(labels)
        whole = int(exact)
        taken.append(own[:whole])
        shares.append((exact - whole, own[whole : whole + 1]))
    rest = points - sum(len(part) for part in taken)
    taken += [part for _, part in sorted(shares, key=lambda share: -share[0])[:rest]]
    return torch.cat(taken).sort().values


def _points(model: nn.Module, x: Tensor) -> int:
    rows = _Rows.of(model, x, "trace")
    return max(MIN_POINTS, min(MAX_POINTS, MEMORY_BYTES // (8 * rows.outputs * rows.size)))


measure = measure_ntk
