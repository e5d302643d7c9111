"""Every weight by the posterior encoder in ways that no message has: what each would give, priced as a code would be.

Prior scales and step curves of their own for groups of coefficients, other orders and axes of all weights, and a
posterior that is block diagonal where one matrix would be too large. Training, rounding and refinement are those of the
package with these parts exchanged; what a header would hold is priced by the integer codes that headers are made of,
symbols by the tables of the trellis. Nothing is decoded, so that these are estimates and no certificates. Rows are
added to tried.csv: python results/every_weight/tried.py [CASE [WAY,... [SEED ...]]]
"""

import csv
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "small"))

import pacbound as pb  # noqa: E402
from pacbound.bits.coder import TOTAL, Encoder  # noqa: E402
from pacbound.bits.message import _projector_tree, _quantizer, pack  # noqa: E402
from pacbound.bits.profile import GRID, _grid_table, code_near  # noqa: E402
from pacbound.bits.trellis import USUAL, _shifted_table, state_after  # noqa: E402
from pacbound.bounds.table import theorem  # noqa: E402
from pacbound.certificate.accounting import complete  # noqa: E402
from pacbound.pipeline.capturing import with_captured  # noqa: E402
from pacbound.pipeline.encoding import plan_of  # noqa: E402
from pacbound.pipeline.preparation import Setup, prepare, sample_of  # noqa: E402
from pacbound.quantize.beam import Rounded, beam, lower_factor  # noqa: E402
from pacbound.quantize.profile import fit_profile  # noqa: E402
from pacbound.specs.specs import PROFILE_CODE, PROFILE_REACH, ProjectorSpec, TrellisSpec  # noqa: E402
from pacbound.subspace.curvature import Draw, Rows, for_each_chunk  # noqa: E402
from pacbound.subspace.ekfac import LEAST, Ekfac, Start, _gradients  # noqa: E402
from pacbound.subspace.projector import Projector  # noqa: E402
from pacbound.subspace.subspace import Subspace, layer_scale  # noqa: E402
from pacbound.threads import one_thread  # noqa: E402
from pacbound.training.fit import Sample  # noqa: E402
from pacbound.training.joint import batch_loss  # noqa: E402
from pacbound.training.phases import one_cycle  # noqa: E402
from pacbound.training.plain import Candidate  # noqa: E402
from pacbound.training.posterior import ROUND_STEPS, Stage, bound_beta, generator_of  # noqa: E402
from pacbound.training.progressive import _matching_factor, _stages  # noqa: E402
from pacbound.training.refine import best_point, refine  # noqa: E402
from pacbound.training.rounding import WARM_NOISE, Prices  # noqa: E402
from pacbound.training.settings import PosteriorSettings  # noqa: E402
from pacbound.training.state import Checkpoint  # noqa: E402

Integers = NDArray[np.int32]
AT_ONCE = 256  # coefficients of one beam
SCALE_GRID = 4  # sixteenths of an octave: the scale of a group beside that of the one before
NUMBER_OF_GROUPS = 2  # bits
ALL = 2  # bits of the dimension where every weight is coded: a flag, and 0 in the place of d


class Case(NamedTuple):
    """The options of a request, the ways that were tried, from how many seeds, and the examples of a curvature."""

    options: dict[str, object]
    ways: str
    seeds: int = 3
    examples: int = 8000


class Outcome(NamedTuple):
    """Risk and bits of the posterior before anything is rounded, and what is left of it: errors of n, bits, bound."""

    posterior_risk: str
    posterior_bits: str
    errors: int
    n: int
    bits: int
    bound: str


class Way(NamedTuple):
    """How coefficients are made of weights, and what each group of them has for itself.

    axes: `default` and `leading`, the subspaces of --projector fastfood and of ekfac; `weights`, `stiff`, sorted by the
    curvature on noise, and `kronecker`, along all leading directions, are all weights; `lattices` is --encoder weights,
    certified. groups: those with a scale of
    their own: tensors, or doubling parts of the coefficients. curves: whether each has a step curve of its own too.
    block: most coefficients of one block of the covariance.
    """

    axes: str
    groups: str = "one"
    curves: bool = False
    block: int = 1 << 13


WINE = str(HERE.parent / "small" / "constants" / "wine.json")
CASES = {
    "wine": Case(
        {"data": "samples:wine", "standardise": WINE, "model": "L", "epochs": 115},
        "subspace leading weights_tensors stiff kronecker",
    ),
    "digits": Case(
        {"data": "digits", "model": "L"},
        "subspace leading leading_scales weights weights_tensors stiff stiff_tensors kronecker kronecker_tensors",
    ),
    "digits_short": Case({"data": "digits", "model": "L", "epochs": 25}, "subspace leading kronecker blocks_of_256"),
    "mnist": Case(
        {"data": "mnist", "model": "moments-edges1-c8k5-R-A4s3-L", "epochs": 11},
        "subspace leading weights_tensors stiff kronecker",
        1,
    ),
    "cifar10": Case(
        {"data": "cifar10", "model": "flip-opponent-c16k3p1-R-A3-c32k3p1-R-A3-L", "epochs": 4},
        "subspace lattices blocks_of_2048",
        1,
        2000,
    ),
}
WAYS = {
    "subspace": Way("default"),
    "leading": Way("leading"),
    "leading_scales": Way("leading", "doubling"),
    "weights": Way("weights"),
    "weights_tensors": Way("weights", "tensors", True),
    "stiff": Way("stiff"),
    "stiff_tensors": Way("stiff", "tensors", True),
    "kronecker": Way("kronecker"),
    "kronecker_tensors": Way("kronecker", "tensors", True),
    "blocks_of_256": Way("kronecker", block=256),
    "blocks_of_2048": Way("kronecker", block=2048),
    "lattices": Way("lattices"),
}


class Axes(Projector):
    """Chosen weights, or chosen directions of a Kronecker basis, in an order."""

    def __init__(self, spec: ProjectorSpec, chosen: Tensor, basis: Ekfac | None) -> None:
        """Keep them. chosen: (d,) places among all D."""
        self.spec, self._chosen, self._basis = spec, chosen, basis

    def _times(self, w: Tensor) -> Tensor:
        along = w.new_zeros(len(w), self.spec.D)
        along[:, self._chosen] = w
        return along if self._basis is None else self._basis._turned(along, forward=True)

    def _transposed(self, v: Tensor) -> Tensor:
        return (v if self._basis is None else self._basis._turned(v, forward=False))[:, self._chosen]


@dataclass(frozen=True)
class Coordinates:
    """A subspace with the group of each coefficient (d,), and the bits of dimension and projector."""

    subspace: Subspace
    group: Tensor
    header_bits: int


def coordinates(setup: Setup, way: Way) -> Coordinates:
    """Make the coefficients of a way. Groups are runs of the index."""
    plain = setup.subspace()
    if way.axes in ("default", "leading"):
        group = torch.zeros(plain.d, dtype=torch.int64)
        if way.groups == "doubling":
            group = 3 - torch.log2(plain.d / (torch.arange(plain.d) + 0.5)).floor().long().clamp(max=3)
        return Coordinates(plain, group, 0)
    layout, spec = setup.base.layout, setup.projector
    shape = tuple(setup.train.x.shape[1:]) if spec.shape is None else spec.shape
    turned = ProjectorSpec(kind="ekfac", D=layout.D, d=1, seed=spec.seed, shape=shape)
    start = Start(setup.base.module, setup.base.theta0, layer_scale(layout))
    basis = Ekfac(turned, layout, start) if way.axes == "kronecker" else None
    weight = torch.zeros(layout.D, dtype=torch.float64)
    for rows in _gradients(turned, layout, start):
        weight += (rows if basis is None else basis._turned(rows.float(), forward=False)).double().square().sum(0)
    tensor = torch.cat([torch.full((slot.stop - slot.start,), k) for k, slot in enumerate(layout.slots)])
    order = torch.arange(layout.D) if way.axes == "weights" else weight.argsort(descending=True, stable=True)
    if basis is not None:
        order = order[: int((weight > LEAST * weight.max()).sum())]
    if way.groups == "tensors":
        order = order[tensor[order].argsort(stable=True)]
    kind = "identity" if way.axes == "weights" else "ekfac"
    sent = turned.model_copy(update={"kind": kind, "shape": None if kind == "identity" else shape, "d": len(order)})
    encoder = Encoder()
    _projector_tree(encoder, sent.D, sent.d, sent)
    projector = Axes(sent, order, basis)
    subspace = Subspace(
        setup.captured.part if setup.captured else setup.base.module, layout, setup.base.theta0, projector, start.scale
    )
    group = tensor[order] if way.groups == "tensors" else torch.zeros(len(order), dtype=torch.int64)
    return Coordinates(subspace, group, ALL + encoder.account.ledger().bits)


@dataclass(frozen=True)
class Blocks:
    """N(mean, block diagonal of V diag(e^{2 log_std}) V^T) on the last m coefficients, prior N(0, diag of s_g^2)."""

    mean: Tensor
    bases: tuple[Tensor, ...]
    log_std: Tensor
    log_s: Tensor  # (groups,)
    group: Tensor  # (m,)

    @property
    def sizes(self) -> list[int]:
        """Coefficients of each block."""
        return [len(basis) for basis in self.bases]

    def turned(self, x: Tensor, forward: bool = True) -> Tensor:
        """Return V x, or V^T x."""
        parts = zip(self.bases, x.split(self.sizes), strict=True)
        return torch.cat([(basis if forward else basis.T) @ part for basis, part in parts])

    def draw(self, generator: Generator) -> Tensor:
        """Return one w (m,)."""
        return self.mean + self.turned(self.log_std.exp() * torch.randn(len(self.mean), generator=generator))

    def precisions(self) -> Iterator[Tensor]:
        """Return the inverse covariance of each block, float64."""
        return map(inverse, self.bases, self.log_std.split(self.sizes))

    def shares(self) -> Tensor:
        """Return how much of each eigenvector lies in each group, (groups, m)."""
        squares = [
            torch.stack([basis[group == g].square().sum(0) for g in range(len(self.log_s))])
            for basis, group in zip(self.bases, self.group.split(self.sizes), strict=True)
        ]
        return torch.cat(squares, 1)


def inverse(basis: Tensor, log_std: Tensor) -> Tensor:
    """Return the inverse of V diag(e^{2 log_std}) V^T, float64."""
    return (basis.double() * (-2 * log_std.double()).exp()) @ basis.double().T


class Moving:
    """Blocks while they are trained by Adam."""

    def __init__(self, start: Blocks) -> None:
        """Begin."""
        self.start, self.unit, self.shares = start, start.log_std.exp(), start.shares()
        self.centre = start.turned(start.mean, forward=False)
        self.trained = [torch.zeros_like(start.mean), start.log_std.clone(), start.log_s.clone()]
        for value in self.trained:
            value.requires_grad_()
        self.adam = torch.optim.Adam([{"params": [value]} for value in self.trained], lr=0.0)

    def mean(self) -> Tensor:
        """Return the mean, differentiable."""
        return self.start.turned(self.centre + self.unit * self.trained[0])

    def nats(self, mean: Tensor) -> Tensor:
        """Return KL(Q||P), differentiable."""
        _, log_std, log_s = self.trained
        tightness = (-2 * log_s).exp()
        spread = ((2 * log_std).exp() * (tightness @ self.shares)).sum()
        return 0.5 * (
            spread + (mean**2 * tightness[self.start.group]).sum() - len(mean)
            + (2 * log_s[self.start.group]).sum() - (2 * log_std).sum()
        )  # fmt: skip

    def end(self) -> Blocks:
        """Return them as they stand."""
        _, log_std, log_s = (value.detach().clone() for value in self.trained)
        return replace(self.start, mean=self.mean().detach(), log_std=log_std, log_s=log_s)


@dataclass(frozen=True)
class Code:
    """Curves with their scales on the grid, and what they cost: prices of all coefficients, bits of the quantizer."""

    prices: Prices
    log_s: Tensor
    header_bits: int


def fitted(blocks: Blocks, way: Way, kap: float) -> Code:
    """Fit scales and curves to a posterior on all coefficients.

    The header is that of a trellis; then the scale of each group beside that of the one before, and its curve beside
    the usual one, its level beside that before. One curve for all starts from the largest scale.
    """
    precisions = np.concatenate([1 / np.diag(lower_factor(one.numpy())) ** 2 for one in blocks.precisions()])
    scales, groups = blocks.log_s.exp().double().numpy(), range(len(blocks.log_s))
    everywhere = np.arange(len(precisions))
    places = [np.flatnonzero(blocks.group.numpy() == g) for g in groups]
    shared = fit_profile(precisions, float(scales.max()), kap, TrellisSpec)
    own = fit_profile(precisions[places[0]], float(scales[0]), kap, TrellisSpec)
    curve, encoder = own if way.curves else shared, Encoder()
    _quantizer(encoder, None, curve)
    index, level, s = curve.scale_index, curve.c0, np.zeros(len(scales))
    steps = curve_steps(curve, len(places[0]) if way.curves else len(everywhere))
    for g in groups:
        if len(scales) > 1 and not (way.curves and g == 0):
            away = round((-16 * math.log2(scales[g]) - index) / SCALE_GRID)
            index += SCALE_GRID * code_near(encoder, "quantizer", "", 0, away)
        s[g] = 2.0 ** (-index / 16)
        if way.curves and g:
            curve = fit_profile(precisions[places[g]], float(s[g]), kap, TrellisSpec)
            for usual, value in ((level, curve.c0), (USUAL[1], curve.c1), (USUAL[2], curve.c2)):
                code_near(encoder, "quantizer", "", usual, value)
            steps, level = np.concatenate([steps, curve_steps(curve, len(places[g]))]), curve.c0
    header_bits = encoder.account.ledger().bits + (NUMBER_OF_GROUPS if way.groups == "doubling" else 0)
    return Code(priced(steps, s[blocks.group.numpy()]), torch.from_numpy(np.log(s)).float(), header_bits)


def curve_steps(curve: TrellisSpec, d: int) -> NDArray[np.float64]:
    """Return the steps of a curve, (d,)."""
    t = np.linspace(-1, 1, d) if d > 1 else np.zeros(1)
    u = (curve.c0 + curve.c1 * t + curve.c2 * (2 * t * t - 1)) / 8
    return 2.0 ** (-curve.scale_index / 16) * curve.kap / 10 * np.exp(-u / 2)


def priced(steps: NDArray[np.float64], s: NDArray[np.float64]) -> Prices:
    """Return the prices of a trellis by steps and scales (d,): profile.py and trellis.py say how."""
    tau = s * np.sqrt(1 - np.minimum((steps / s) ** 2 / 12, 0.8))
    grid = np.maximum(1, np.floor(GRID * steps / tau + 0.5)).astype(int).tolist()
    tables = np.stack([[_grid_table(g) for g in grid], [_shifted_table(g) for g in grid]])
    return Prices(steps, -np.log(tables / TOTAL))


class Run:
    """One training: the stages of progressive.py on blocks and groups."""

    def __init__(self, at: Coordinates, sample: Sample, settings: PosteriorSettings, way: Way, seed: int) -> None:
        """Keep what is trained and how."""
        self.subspace, self.sample, self.settings, self.way, self.seed = at.subspace, sample, settings, way, seed
        d, scale = at.subspace.d, settings.first_scale
        bounds = range(0, d, -(-d // -(-d // way.block)))
        sizes = [min(d, start + bounds.step) - start for start in bounds]
        log_s = torch.full((int(at.group.max()) + 1,), math.log(scale))
        noise = torch.full((d,), math.log(WARM_NOISE * scale))
        self.blocks = Blocks(torch.zeros(d), tuple(torch.eye(size) for size in sizes), noise, log_s, at.group)
        self.group, self.beta = at.group.numpy(), 1.0
        self.integers: Integers = np.zeros(0, np.int32)
        self.code: Code | None = None
        self.posterior = 0.0, 0.0  # risk and bits when all is trained, before the first block is rounded
        self.edges = sorted({round(d * (1 - (1 - j / settings.blocks) ** 2)) for j in range(settings.blocks + 1)})

    def whole(self) -> tuple[list[Integers], Code]:
        """Train, round, and return survivors."""
        for k, stage in enumerate(_stages(self.settings, len(self.edges) - 2)):
            if stage.name == "smooth":
                self.bend(k, lambda _: self.blocks.mean, False)
            elif stage.name.startswith("bounded"):
                self.bend(k, self.blocks.draw, True)
            elif k > 2:
                self.round(self.edges[k - 2] - self.edges[k - 3], 1)
            self.train(k, stage)
        survivors = self.round(len(self.blocks.mean), self.settings.survivors)
        assert self.code is not None
        return survivors, self.code

    def bend(self, k: int, draw: Draw, rescale: bool) -> None:
        """Give each block the eigenbasis of its part of a fresh Fisher."""
        b, n = self.blocks, self.sample.n
        totals = [torch.zeros(size, size, dtype=torch.float64) for size in b.sizes]

        def add(left: Tensor, _: Tensor) -> None:
            for total, part in zip(totals, left.double().split(b.sizes, 1), strict=True):
                total.addmm_(part.T, part)

        rows, examples = Rows(self.subspace, self.sample.x, draw), self.settings.fisher_examples
        for_each_chunk(rows, examples, generator_of(self.seed, k, 1 << 20), "fisher", add, False)
        found = [torch.linalg.eigh(total / examples) for total in totals]
        values = torch.cat([values for values, _ in found]).clamp(min=0) * n
        own = (-2 * b.log_s.double()).exp()[b.group]
        prior, wanted = float(own.log().mean().exp()), -2 * float(b.log_std.double().mean())
        factor = _matching_factor(values, prior, wanted) if rescale else 1 / self.settings.smooth_beta
        if len(b.log_s) > 1:
            parts = zip(totals, own.split(b.sizes), strict=True)
            found = [torch.linalg.eigh(factor * n * total / examples + torch.diag(part)) for total, part in parts]
            precisions = torch.cat([values for values, _ in found])
        else:
            precisions = factor * values + prior
        bases = tuple(basis.float() for _, basis in found)
        self.blocks = replace(b, bases=bases, log_std=(-0.5 * precisions.log()).float())

    def train(self, k: int, stage: Stage) -> None:
        """Run a stage in rounds."""
        moving, n, settings = Moving(self.blocks), self.sample.n, self.settings
        batch = min(settings.batch, n)
        known, known_nats = torch.zeros(0), 0.0
        if self.code is not None:
            known, known_nats = self.code.prices.coefficients(self.integers), self.code.prices.total(self.integers)
        beta, done, per_pass = (1.0 if k <= 2 else self.beta) if stage.beta is None else stage.beta, 0, n // batch
        while done < stage.steps:
            generator, risk = generator_of(self.seed, k, done), 0.0
            order = torch.empty(0, dtype=torch.int64)
            count = min(per_pass * -(-ROUND_STEPS // per_pass), stage.steps - done)
            for _ in range(count):
                if len(order) < batch:
                    order = torch.randperm(n, generator=generator)
                mean, log_std = moving.mean(), moving.trained[1]
                noise = moving.start.turned(log_std.exp() * torch.randn(len(mean), generator=generator))
                loss, halves = torch.zeros(()), order[:batch].chunk(2)
                for sign, part in zip((1, -1), halves, strict=False):
                    w = torch.cat([known, mean + sign * noise])
                    value, errors = batch_loss(self.subspace, self.sample, w, part, stage.surrogate)
                    loss, risk = loss + value * (len(part) / batch), risk + errors / (count * batch)
                nats = moving.nats(mean)
                rate, momentum = one_cycle(done / stage.steps)
                for group, peak in zip(moving.adam.param_groups, stage.rates, strict=True):
                    group["lr"], group["betas"] = peak * rate, (momentum, 0.999)
                moving.adam.zero_grad()
                (loss + beta * nats / n).backward()
                moving.adam.step()
                order, done = order[batch:], done + 1
            if stage.beta is None:
                beta = stage.beta_scale * bound_beta(risk, float(nats.detach()) + known_nats, n)
        self.blocks, self.beta = moving.end(), beta
        if stage.name.startswith("bounded"):
            self.posterior = risk, float(nats.detach()) / math.log(2)

    def round(self, count: int, survivors: int) -> list[Integers]:
        """Fix the next `count` coefficients; return some survivors of the last beam with what stood before."""
        if self.code is None:
            self.code = fitted(self.blocks, self.way, self.settings.kap)
            self.blocks = replace(self.blocks, log_s=self.code.log_s)
        b, whole = self.blocks, [self.integers]
        means, bases, stds, place = [], [], [], 0
        for mean, log_std, basis in zip(b.mean.split(b.sizes), b.log_std.split(b.sizes), b.bases, strict=True):
            wanted, free = min(count, len(mean)), mean
            if wanted:
                precision = inverse(basis, log_std)
                whole, rest = self.block(whole[0], mean, lower_factor(precision.numpy()), wanted, survivors)
                values, basis = torch.linalg.eigh(precision[wanted:, wanted:])
                free, basis, log_std = torch.from_numpy(rest).float(), basis.float(), (-0.5 * values.log()).float()
            if wanted < len(mean):
                means, bases, stds = [*means, free], [*bases, basis], [*stds, log_std]
            count, place = count - wanted, place + wanted
        self.integers = whole[0]
        if means:
            self.blocks = Blocks(torch.cat(means), tuple(bases), torch.cat(stds), b.log_s, b.group[place:])
        return whole

    def block(
        self, fixed: Integers, mean: Tensor, lower: NDArray[np.float64], count: int, survivors: int
    ) -> tuple[list[Integers], NDArray[np.float64]]:
        """Round the first of a block of the covariance; return integers from the first on, and where the rest belongs.

        By one beam, or where there are several blocks by beams of at most AT_ONCE.
        """
        whole, free = [fixed], mean.double().numpy()
        while count:
            here = min(count, AT_ONCE if len(self.blocks.bases) > 1 else count)
            found = self.beam(whole[0], free, lower, here)
            whole = [np.concatenate([whole[0], one]) for one in found.integers[:survivors]]
            free, lower, count = found.rest[0], lower[here:, here:], count - here
        return whole, free

    def beam(self, fixed: Integers, mean: NDArray[np.float64], lower: NDArray[np.float64], count: int) -> Rounded:
        """Round `count` coefficients after those that are fixed; the share of the prior is taken out of the price."""
        assert self.code is not None
        prices, rows = self.code.prices, slice(len(fixed), len(fixed) + len(mean))
        tightness = (-2 * self.code.log_s.double()).exp().numpy()[self.group[rows]]
        k = np.arange(-PROFILE_REACH, PROFILE_REACH + 1)
        x = (k + np.array([0, 0.5])[:, None, None]) * prices.steps[rows, None]  # (2, m, 41)
        nats = prices.nats[:, rows] - 0.5 * tightness[:, None] * x**2
        return beam(mean, lower, prices.steps[rows], nats, count, self.settings.beam, None, state_after(fixed))


def tried(case: Case, way: Way, seed: int) -> Outcome:
    """Return what one run came to."""
    request = pb.Request.model_validate({**case.options, "seed": seed})
    if way.axes == "lattices":
        made = pb.certify(request=request.model_copy(update={"encoder": "weights"}), progress=False)
        return Outcome("", "", made.risk.errors, made.risk.n, made.ledger.bits, f"{made.bound.value:.5f}")
    request = request.model_copy(update={"projector": "ekfac" if way.axes == "leading" else "fastfood"})
    setup = prepare(str(request.model), request.data, None, request, "zero_one")
    setup = with_captured(setup, None, progress=False)
    settings = plan_of(setup, Checkpoint(None, ""))
    assert isinstance(settings, PosteriorSettings)
    examples = min(settings.fisher_examples, case.examples)
    settings = settings.model_copy(update={"fisher_examples": examples, "refreshes": 1})  # as the rows were made
    sample, at = sample_of(setup), coordinates(setup, way)
    run = Run(at, sample, settings, way, request.encoder_seed)
    survivors, code = run.whole()
    first = best_point(at.subspace, sample, survivors, code.prices, settings.overhead_bits)
    best = refine(at.subspace, sample, first, code.prices, settings, progress=False)
    bits = header_bits(setup, at) + code.header_bits + math.ceil(best.nats / math.log(2))
    bound = theorem(setup.theorem)(best.errors, sample.n, bits, request.delta).value
    risk, nats = run.posterior
    return Outcome(f"{risk:.4f}", f"{nats:.0f}", best.errors, sample.n, bits, f"{bound:.5f}")


def header_bits(setup: Setup, at: Coordinates) -> int:
    """Return what a certificate would charge but for quantizer and symbols."""
    nothing = np.full(setup.projector.d, PROFILE_REACH, np.int32)
    spec = setup.spec(Candidate(nothing, TrellisSpec(scale_index=48, kap=44, c0=8, c1=6, c2=2), PROFILE_CODE))
    _, coded = pack(spec, nothing)
    whole = complete(coded, spec, setup.train.name, setup.digest, like=setup.data.like, repeats=setup.data.repeats)
    left_out = {"quantizer", "symbols"} | ({"dimension", "projector"} if at.header_bits else set())
    return at.header_bits + sum(entry.bits for entry in whole.entries if entry.item not in left_out)


if __name__ == "__main__":
    with one_thread(True):
        for name in sys.argv[1:2] or CASES:
            case = CASES[name]
            for seed in sys.argv[3:] or range(case.seeds):
                for way in sys.argv[2].split(",") if sys.argv[2:] else case.ways.split():
                    started = time.process_time()
                    row = (name, way, seed, *tried(case, WAYS[way], int(seed)), round(time.process_time() - started))
                    print(*row, flush=True)
                    with open(HERE / "tried.csv", "a", encoding="utf-8", newline="") as file:
                        csv.writer(file).writerow(row)
