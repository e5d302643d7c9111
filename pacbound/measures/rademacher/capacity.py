"""Classes of networks near an initialisation: what each layer may do, and how large that makes the class.

A class lets layer i have operator norm at most s_i and (2,1) distance at most b_i to its start. The scaled capacity
of a layer is how far its displacements move the loss, relative to the size of the sample:

    Ct_i = (c / gamma) (norm entering layer i / sqrt n) b_i (product of all Lipschitz constants behind layer i)

which for a chain is (c / gamma) (||X|| / sqrt n) (prod s) b_i / s_i. Graf et al. 2022, arXiv:2202.08070, sec. 3;
blocks, fixed maps between layers and biases as derived there and in the docstrings below. Exact in fractions.
"""

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from ...errors import BoundError, ModelError
from ...progress import hidden, tqdm
from ..layers.layers import Branch, LayerRecord, Layers
from ..layers.operator_norms import operator_norm

ROUNDING = 1e-12  # relative, for norms summed in float64
ROOT_BITS = 80


@dataclass(frozen=True)
class Limit:
    """What a class allows one layer.

    lipschitz: largest operator norm s > 0. distance: largest (2,1) distance b >= 0 to the start, bias included.
    parameters: numbers in kernel and bias. places: entries of one output map where there is a bias, else 0.
    start_bias: norm of the initial bias.
    """

    name: str
    lipschitz: float
    distance: float
    parameters: int
    places: int = 0
    start_bias: float = 0.0


@dataclass(frozen=True)
class Path:
    """Layers in a row; `before` and `after` are Lipschitz constants of the fixed maps, `after` one for each layer."""

    limits: tuple[Limit, ...]
    after: tuple[float, ...]
    before: float = 1.0


@dataclass(frozen=True)
class Stage:
    """after . (main + shortcut); no shortcut in a plain layer, a path without layers for a fixed one.

    joins: the outputs of the two stand side by side; as a sum they fit the same class, but the constant is smaller.
    """

    main: Path
    shortcut: Path | None = None
    after: float = 1.0
    joins: bool = False


@dataclass(frozen=True)
class NetworkClass:
    """A chain of stages behind fixed maps of Lipschitz constant `before`."""

    stages: tuple[Stage, ...]
    before: float = 1.0

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits of all layers in the order of computation, shortcuts after their block."""
        paths = (path for stage in self.stages for path in (stage.main, stage.shortcut) if path is not None)
        return tuple(limit for path in paths for limit in path.limits)


@dataclass(frozen=True)
class Covered:
    """One layer that needs a cover: its name, its number of parameters W, and Ct squared."""

    name: str
    parameters: int
    squared: Fraction


@dataclass(frozen=True)
class _Norm:
    """An upper bound gain * (norm of the input) + offset, norms divided by sqrt n."""

    gain: Fraction
    offset: Fraction


def chain_class(limits: tuple[Limit, ...], after: tuple[float, ...] | None = None) -> NetworkClass:
    """Make the class of a plain chain; `after` is the constant of activation and pooling behind each layer."""
    gaps = after or (1.0,) * len(limits)
    return NetworkClass(tuple(Stage(Path((limit,), (gap,))) for limit, gap in zip(limits, gaps, strict=True)))


def norms_of(network: Layers) -> NetworkClass:
    """Measure the certified norms of all layers and let none of them move: enough for the Lipschitz constant.

    Raises: ModelError where the network is no chain of layers whose constants are known, or differs from its trace.
    """
    if network.refusal:
        raise ModelError(f"class_of: theorems are about chains of layers and residual blocks, but {network.refusal}.")

    def path(branch: Branch) -> Path:
        limits = tuple(Limit(r.name, operator_norm(r).upper, 0.0, r.parameters) for r in branch.layers)
        return Path(limits, branch.after, branch.before)

    shown = tqdm(network.blocks, desc="operator norms", unit="block", delay=2, disable=hidden(), leave=False)
    stages = tuple(
        Stage(path(b.main), None if b.shortcut is None else path(b.shortcut), b.after, b.joins) for b in shown
    )
    return NetworkClass(stages, network.before)


def class_of(trained: Layers, initial: Layers | None = None, norms: NetworkClass | None = None) -> NetworkClass:
    """Measure the smallest class that holds a network: certified norms, distances to its start.

    Args: trained: the network. initial: the same network at its start, which must not depend on the sample;
        None measures distances to 0. norms: of `norms_of`, where they are measured already.
    Raises: ModelError where the network is no chain, where a layer cannot be covered, or the start is another network.
    """
    measured = norms_of(trained) if norms is None else norms
    lipschitz = {limit.name: limit.lipschitz for limit in measured.limits}
    if trained.slopes:
        raise ModelError(
            f"class_of: activations are fixed, but the slopes of {', '.join(trained.slopes)} (PReLU) are learned. "
            "Use LeakyReLU for a class; the Lipschitz constant of the network is measured all the same."
        )
    if trained.offsets:
        raise ModelError(
            f"class_of: operations between layers map 0 to 0, {', '.join(trained.offsets)} do not. Use ReLU or tanh."
        )
    starts = {} if initial is None else {record.name: record for record in initial.records}
    stages = tuple(
        Stage(
            _path(block.main, starts, initial is None, lipschitz),
            None if block.shortcut is None else _path(block.shortcut, starts, initial is None, lipschitz),
            block.after,
            block.joins,
        )
        for block in trained.blocks
    )
    return NetworkClass(stages, trained.before)


def _path(branch: Branch, starts: dict[str, LayerRecord], from_zero: bool, lipschitz: dict[str, float]) -> Path:
    limits = tuple(
        _limit(record, starts.get(record.name), from_zero, lipschitz[record.name]) for record in branch.layers
    )
    return Path(limits, branch.after, branch.before)


def _limit(record: LayerRecord, start: LayerRecord | None, from_zero: bool, lipschitz: float) -> Limit:
    if record.folded:
        raise ModelError(
            f"class_of: the distance of {record.name} to its start would depend on the sample, since {record.folded} "
            "is folded into it. Fuse the two (torch.nn.utils.fusion.fuse_conv_bn_eval, fuse_linear_bn_eval) and "
            "measure the fused network: its distances are those to 0."
        )
    if record.kind == "conv" and record.padding_mode not in ("zeros", "circular"):
        raise ModelError(
            f"class_of: padding reads an entry once for each tap, so it is zeros or circular; {record.name} pads with "
            f"{record.padding_mode}."
        )
    if not from_zero and (start is None or start.kernel.shape != record.kernel.shape):
        raise ModelError(f"class_of: the start has a layer {record.name} of the same shape. Give the same network.")
    sizes = record.output_size if record.kind == "conv" else record.input_size
    return Limit(
        record.name,
        lipschitz,
        distance(record, start),
        record.parameters,
        0 if record.bias is None else math.prod(sizes),
        0.0 if start is None or start.bias is None else float(start.bias.norm()) * (1 + ROUNDING),
    )


def distance(record: LayerRecord, start: LayerRecord | None) -> float:
    """(2,1) distance of a layer to its start, or to 0, rounded up."""
    kernel, bias = record.kernel, record.bias
    if start is not None:
        kernel = kernel - start.kernel
        bias = None if bias is None or start.bias is None else bias - start.bias
    return group_norm(kernel, bias) * (1 + ROUNDING)


def group_norm(kernel: Tensor, bias: Tensor | None = None) -> float:
    """||K||_{2,1}: sum over output channels and taps of the Euclidean norm over input channels.

    Args: kernel: (out, in, *taps), or a matrix (out, in). bias: (out,), one more input channel at the first tap.
    """
    return float(joined(kernel, bias).norm(dim=1).sum())


def joined(kernel: Tensor, bias: Tensor | None) -> Tensor:
    """Kernel with the bias as one more input channel of ones at the first tap: (out, in + 1, taps)."""
    flat = kernel.reshape(*kernel.shape[:2], -1)
    if bias is None:
        return flat
    extra = torch.zeros(flat.shape[0], 1, flat.shape[2], dtype=flat.dtype)
    extra[:, 0, 0] = bias
    return torch.cat([flat, extra], dim=1)


def covered_layers(
    network: NetworkClass, data_norm: float, n: int, gamma: float, constant_squared: Fraction
) -> tuple[Covered, ...]:
    """Ct squared of each layer with b > 0, rounded up; exact where no layer has a bias.

    constant_squared: c^2, 16 as published, 2 in the form proved here.
    Raises: BoundError outside the ranges.
    """
    _check(network, data_norm, n, gamma)
    sample = Fraction(data_norm) ** 2 / n
    front = constant_squared / Fraction(gamma) ** 2
    found = []
    for limit, norm, behind in _sensitivities(network):
        if limit.distance == 0:
            continue
        cross = 0 if norm.offset == 0 else 2 * norm.gain * norm.offset * root_up(sample)
        entering = norm.gain**2 * sample + cross + norm.offset**2 + limit.places
        found.append(Covered(limit.name, limit.parameters, front * entering * (Fraction(limit.distance) * behind) ** 2))
    return tuple(found)


def log10_capacity(network: NetworkClass) -> float:
    """log10 of (prod s) (sum_i (b_i / s_i)^(2/3))^(3/2), the part of the bound that training can change.

    In residual networks b_i / s_i carries the share of its block, as in Ct_i; biases count in b_i only.
    Graf et al. 2022, sec. 4; -inf where nothing may move.
    """
    logs = [
        2 / 3 * (_log(norm.gain) + math.log(limit.distance) + _log(behind))
        for limit, norm, behind in _sensitivities(network)
        if limit.distance > 0
    ]
    if not logs:
        return -math.inf
    top = max(logs)
    return 1.5 * (top + math.log(math.fsum(math.exp(log - top) for log in logs))) / math.log(10)


def log10_lipschitz(network: NetworkClass) -> float:
    """log10 of the Lipschitz constant that the class allows the whole network."""
    gains = (_stage_gain(stage) for stage in network.stages)
    return (_log(Fraction(network.before)) + math.fsum(_log(gain) for gain in gains)) / math.log(10)


def _sensitivities(network: NetworkClass) -> Iterator[tuple[Limit, _Norm, Fraction]]:
    """For each layer: the norm entering it, and the product of the Lipschitz constants behind it."""
    norm, behind = _Norm(Fraction(network.before), Fraction(0)), Fraction(1)
    gains = [_stage_gain(stage) for stage in network.stages]
    for gain in gains:
        behind *= gain
    for stage, gain in zip(network.stages, gains, strict=True):
        behind /= gain
        out = _Norm(Fraction(0), Fraction(0))
        for path in (stage.main, stage.shortcut):
            if path is not None:
                leaving = yield from _walk(path, norm, Fraction(stage.after) * behind)
                out = _Norm(out.gain + leaving.gain, out.offset + leaving.offset)
        norm = _Norm(out.gain * Fraction(stage.after), out.offset * Fraction(stage.after))


def _walk(path: Path, entering: _Norm, behind: Fraction) -> Generator[tuple[Limit, _Norm, Fraction], None, _Norm]:
    """Yield each layer of a path; return the norm leaving it. Biases add (||beta0|| + b) sqrt(places)."""
    norm = _Norm(entering.gain * Fraction(path.before), entering.offset * Fraction(path.before))
    rest = behind * _path_gain(path) / Fraction(path.before)
    for limit, after in zip(path.limits, path.after, strict=True):
        s, gap = Fraction(limit.lipschitz), Fraction(after)
        rest /= s
        yield limit, norm, rest
        rest /= gap
        added = (Fraction(limit.start_bias) + Fraction(limit.distance)) * root_up(Fraction(limit.places))
        norm = _Norm(gap * s * norm.gain, gap * (s * norm.offset + added))
    return norm


def _path_gain(path: Path) -> Fraction:
    gain = Fraction(path.before)
    for limit, after in zip(path.limits, path.after, strict=True):
        gain *= Fraction(limit.lipschitz) * Fraction(after)
    return gain


def _stage_gain(stage: Stage) -> Fraction:
    shortcut = Fraction(0) if stage.shortcut is None else _path_gain(stage.shortcut)
    main = _path_gain(stage.main)
    both = root_up(main**2 + shortcut**2) if stage.joins else main + shortcut
    return Fraction(stage.after) * both


def root_up(value: Fraction) -> Fraction:
    """A fraction at or above the square root, by less than 2^-80; exact for perfect squares of integers."""
    scaled = -(-(value.numerator << (2 * ROOT_BITS)) // value.denominator)
    root = math.isqrt(scaled)
    return Fraction(root if root * root == scaled else root + 1, 1 << ROOT_BITS)


def _log(value: Fraction) -> float:
    return math.log(value.numerator) - math.log(value.denominator)


def _check(network: NetworkClass, data_norm: float, n: int, gamma: float) -> None:
    if n < 2:
        raise BoundError(f"covered_layers: a sample has at least 2 examples, got n = {n}.")
    for what, value in (("data_norm", data_norm), ("gamma", gamma)):
        if not (math.isfinite(value) and value > 0):
            raise BoundError(f"covered_layers: {what} is finite and > 0, got {value!r}.")
    for limit in network.limits:
        if not (math.isfinite(limit.lipschitz) and limit.lipschitz > 0):
            raise BoundError(
                f"covered_layers: the Lipschitz limit of {limit.name} is finite and > 0, got {limit.lipschitz!r}. "
                "A layer that is 0 makes the network constant."
            )
        if not (math.isfinite(limit.distance) and limit.distance >= 0):
            raise BoundError(
                f"covered_layers: the distance of {limit.name} is finite and >= 0, got {limit.distance!r}."
            )
