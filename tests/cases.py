"""Tables of cases that contract tests run over."""

import functools
from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor, nn

from pacbound.networks.hypothesis import make_base
from pacbound.specs.specs import ProjectorSpec
from pacbound.subspace.ekfac import Start
from pacbound.subspace.projector import Projector
from pacbound.subspace.projectors import make_projector


def small_network() -> nn.Module:
    """A network of D = 2,215 parameters whose slots are partly named fc and norm."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(1, 8, 3),
            norm=nn.GroupNorm(2, 8),
            flat=nn.Flatten(),
            wide=nn.Linear(8 * 6 * 6, 6),
            fc=nn.Linear(6, 55),
        )
    )


@dataclass(frozen=True)
class ProjectorCase:
    """A spec and what its columns promise: largest error of a column norm, and of |P w| / |w| on average."""

    name: str
    spec: ProjectorSpec
    column_error: float
    mean_error: float

    def make(self) -> Projector:
        """Make the projector, on the small network's layout."""
        return _made(self.spec)

    def reseeded(self) -> Projector:
        """Make the same kind from other seeds."""
        parts = tuple(part.model_copy(update={"seed": part.seed + 100}) for part in self.spec.parts)
        spec = self.spec.model_copy(update={"seed": self.spec.seed + 100, "parts": parts})
        return _made(spec)


@functools.cache
def made(case: ProjectorCase) -> Projector:
    """Of a case, once for all tests: the calls of one leave nothing behind for another."""
    return case.make()


@functools.cache
def matrix_of(case: ProjectorCase) -> Tensor:
    return made(case).as_matrix()


def _made(spec: ProjectorSpec) -> Projector:
    base = make_base(small_network(), 0)
    return make_projector(spec, base.layout, Start(base.module, base.theta0, None))


D = 2215


def _spec(kind: str, d: int = 100, seed: int = 5, parts: tuple[ProjectorSpec, ...] = ()) -> ProjectorSpec:
    shape = (1, 8, 8) if kind == "ekfac" else None
    return ProjectorSpec.model_validate({"kind": kind, "D": D, "d": d, "seed": seed, "parts": parts, "shape": shape})


# with d = 83 the Kronecker kinds have 2 leftover coefficients on 6 leftover coordinates: 6-term column norms
PROJECTORS = (
    ProjectorCase("fastfood", _spec("fastfood"), 0.05, 0.01),
    ProjectorCase("fastfood with whole blocks", _spec("fastfood", d=64), 0.05, 0.01),
    ProjectorCase("fastfood of two blocks", _spec("fastfood", d=1100), 0.1, 0.02),
    ProjectorCase("cosine", _spec("cosine"), 1e-5, 1e-5),
    ProjectorCase("sparse", _spec("sparse"), 1e-5, 0.03),
    ProjectorCase("kron", _spec("kron"), 0.6, 0.1),
    ProjectorCase("kron with leftovers", _spec("kron", d=83), 0.8, 0.1),
    ProjectorCase("kron_qr", _spec("kron_qr"), 1e-5, 1e-5),
    ProjectorCase("kron_qr with leftovers", _spec("kron_qr", d=83), 0.6, 0.05),
    ProjectorCase("dense", _spec("dense"), 0.06, 0.01),
    ProjectorCase("film", _spec("film"), 0.2, 0.02),
    ProjectorCase("identity", _spec("identity", d=D), 0.0, 0.0),
    ProjectorCase("sum", _spec("sum", parts=(_spec("fastfood"), _spec("kron_qr"))), 0.1, 0.02),
    ProjectorCase("permuted", _spec("permuted", parts=(_spec("sparse"),)), 1e-5, 0.03),
    ProjectorCase(
        "sum of permuted", _spec("sum", parts=(_spec("permuted", parts=(_spec("kron_qr"),)), _spec("film"))), 0.2, 0.02
    ),
    ProjectorCase("tiled", _spec("tiled"), 0.05, 0.01),
    ProjectorCase("tiled with whole tiles", _spec("tiled", d=64), 0.05, 0.01),
    ProjectorCase("tiled of two tiles", _spec("tiled", d=1100), 0.1, 0.02),
    ProjectorCase("ekfac", _spec("ekfac"), 1e-5, 1e-5),
)
