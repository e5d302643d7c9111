"""From a posterior to integers: fit a step profile, round a block by a beam, move the rest to where it then belongs."""

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..bits.coder import TOTAL
from ..bits.profile import profile_steps, profile_tables
from ..bits.trellis import halves, state_after, trellis_tables
from ..quantize.beam import Rounded, beam, lower_factor
from ..quantize.profile import fit_profile, points
from ..specs.specs import ProfileSpec, StepSpec, TrellisSpec
from .posterior import Posterior, State
from .settings import PosteriorSettings

WARM_NOISE = 0.1  # of the scale of the prior
PROFILE_FIELDS = ("scale_index", "kap", "c0", "c1", "c2")


@dataclass(frozen=True)
class Prices:
    """What integers in -Q..Q stand for and what they cost: steps (d,), nats (1, d, 2 Q + 1) with q in column q + Q.

    Under a trellis nats are (2, d, 2 Q + 1), for h = 0 and 1.
    """

    steps: NDArray[np.float64]
    nats: NDArray[np.float64]

    @property
    def reach(self) -> int:
        """Q."""
        return self.nats.shape[-1] // 2

    @property
    def trellis(self) -> bool:
        """Whether symbols depend on those before them."""
        return len(self.nats) > 1

    def coefficients(self, integers: NDArray[np.int32]) -> Tensor:
        """Return the first k coefficients, float32, of the first k integers."""
        return torch.from_numpy(points(integers, self.steps[: len(integers)], self.trellis))

    def each(self, integers: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the nats of the first k integers (k,)."""
        h = halves(integers) if self.trellis else 0
        return self.nats[h, np.arange(len(integers)), integers + self.reach]

    def total(self, integers: NDArray[np.int32]) -> float:
        """Return the nats of the first k integers together."""
        return float(self.each(integers).sum())


@functools.lru_cache(maxsize=2)
def prices_of(profile: StepSpec, d: int) -> Prices:
    """Return steps and prices by the integer tables that will be charged."""
    tables = trellis_tables(profile, d) if isinstance(profile, TrellisSpec) else profile_tables(profile, d)[None]
    return Prices(profile_steps(profile, d), -np.log(tables / TOTAL))


@dataclass(frozen=True)
class Standing:
    """Where the encoder stands between two stages: the posterior of what is free, integers (k,) of what is fixed.

    profile: None until the first block is rounded. beta: the last one used.
    """

    posterior: Posterior
    integers: NDArray[np.int32]
    profile: StepSpec | None
    beta: float

    @classmethod
    def start(cls, d: int, scale: float, beta: float) -> "Standing":
        """Return d coefficients near 0, under a prior of a scale."""
        log_std = torch.full((d,), math.log(WARM_NOISE * scale))
        posterior = Posterior(torch.zeros(d), torch.eye(d), log_std, torch.tensor(math.log(scale)))
        return cls(posterior, np.zeros(0, np.int32), None, beta)

    @property
    def d(self) -> int:
        """Coefficients, fixed and free."""
        return len(self.integers) + len(self.posterior.mean)

    def known(self) -> tuple[Tensor, float]:
        """Return the fixed coefficients (k,) and their price in nats."""
        if self.profile is None:
            return torch.zeros(0), 0.0
        prices = prices_of(self.profile, self.d)
        return prices.coefficients(self.integers), prices.total(self.integers)

    def tensors(self) -> State:
        """Return everything by name, for saving."""
        saved = {f"posterior/{name}": value for name, value in self.posterior.tensors().items()}
        saved["integers"] = torch.from_numpy(self.integers)
        saved["beta"] = torch.tensor(self.beta, dtype=torch.float64)
        if self.profile is not None:
            saved[self.profile.kind] = torch.tensor([getattr(self.profile, name) for name in PROFILE_FIELDS])
        return saved

    @classmethod
    def of(cls, saved: State) -> "Standing":
        """Read what `tensors` wrote."""
        posterior = Posterior(**{name: saved[f"posterior/{name}"] for name in ("mean", "basis", "log_std", "log_s")})
        profile = None
        for kind, record in (("profile", ProfileSpec), ("trellis", TrellisSpec)):
            if kind in saved:
                profile = record.model_validate(dict(zip(PROFILE_FIELDS, saved[kind].tolist(), strict=True)))
        return cls(posterior, saved["integers"].numpy(), profile, float(saved["beta"]))


def with_profile(now: Standing, settings: PosteriorSettings) -> Standing:
    """Fit the step profile where there is none yet, and put the prior's scale on its grid. Raises: QuantizeError."""
    if now.profile is not None:
        return now
    lower = lower_factor(_precision(now.posterior, settings))
    kind = TrellisSpec if settings.trellis else ProfileSpec
    profile = fit_profile(1 / np.diag(lower) ** 2, math.exp(float(now.posterior.log_s)), settings.kap, kind=kind)
    log_s = torch.tensor(-profile.scale_index / 16 * math.log(2))
    return replace(now, profile=profile, posterior=replace(now.posterior, log_s=log_s))


def rounded(now: Standing, count: int, settings: PosteriorSettings) -> Rounded:
    """Survivors of a beam on the next `count` coefficients, best first. Raises: QuantizeError where none can follow."""
    assert now.profile is not None
    prices, start = prices_of(now.profile, now.d), len(now.integers)
    return beam(
        now.posterior.mean.double().numpy(), lower_factor(_precision(now.posterior, settings)), prices.steps[start:],
        prices.nats[:, start:], count, settings.beam, 2 ** (-now.profile.scale_index / 16),
        state_after(now.integers) if prices.trellis else None,
    )  # fmt: skip


def with_block(now: Standing, count: int, settings: PosteriorSettings) -> Standing:
    """Fix the next `count` coefficients and move the rest to its conditional distribution. Raises: QuantizeError."""
    now = with_profile(now, settings)
    result = rounded(now, count, settings)
    values, basis = torch.linalg.eigh(now.posterior.precision()[count:, count:])
    mean = torch.from_numpy(result.rest[0]).float()
    posterior = Posterior(mean, basis.float(), (-0.5 * values.log()).float(), now.posterior.log_s)
    return replace(now, posterior=posterior, integers=np.concatenate([now.integers, result.integers[0]]))


def _precision(posterior: Posterior, settings: PosteriorSettings) -> NDArray[np.float64]:
    precision = posterior.precision().numpy()
    return np.diag(np.diag(precision)) if settings.identity else precision
