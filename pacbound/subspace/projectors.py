"""From a ProjectorSpec to its matrix: the table of kinds, and the two kinds that are made of others."""

import math
import re
from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import SubspaceError
from ..specs.specs import PROJECTOR_KINDS, ProjectorKind, ProjectorSpec
from . import random
from .ekfac import Start, leading_directions
from .explicit import Dense, Identity, Sparse
from .kronecker import Kronecker
from .layout import Layout
from .projector import Projector
from .transforms import Cosine, Fastfood, TiledFastfood

# a slot belongs to the FiLM selection where its name holds one of these, in any case
FILM_PATTERN = re.compile("bn|fc|norm|classifier", re.IGNORECASE)


class Sum(Projector):
    """The sum of its parts over the square root of their number; distinct parts are independent."""

    def __init__(self, spec: ProjectorSpec, parts: tuple[Projector, ...]) -> None:
        """Keep the parts.

        Raises:
            SubspaceError: two parts are the same matrix.
        """
        if len(set(spec.parts)) < len(spec.parts):
            raise SubspaceError("sum projector: parts must differ, got one twice. Give them different seeds.")
        self.spec = spec
        self._parts = parts
        self._scale = 1 / math.sqrt(len(parts))

    def _times(self, w: Tensor) -> Tensor:
        return torch.stack([part._times(w) for part in self._parts]).sum(0) * self._scale

    def _transposed(self, v: Tensor) -> Tensor:
        return torch.stack([part._transposed(v) for part in self._parts]).sum(0) * self._scale


class Permuted(Projector):
    """Its part with the D rows in random order."""

    def __init__(self, spec: ProjectorSpec, part: Projector) -> None:
        """Draw the order."""
        self.spec = spec
        self._part = part
        self._order = torch.from_numpy(random.permutation(spec.seed, "permuted/order", spec.D))
        self._reverse = torch.empty_like(self._order)
        self._reverse[self._order] = torch.arange(spec.D)

    def _times(self, w: Tensor) -> Tensor:
        return self._part._times(w).index_select(1, self._order)

    def _transposed(self, v: Tensor) -> Tensor:
        return self._part._transposed(v.index_select(1, self._reverse))


def make_projector(spec: ProjectorSpec, layout: Layout | None = None, start: Start | None = None) -> Projector:
    """Make the matrix that a spec describes; the same spec and layout give the same matrix on every machine.

    The entries of cosine, kron_qr and ekfac, and all products, are reproduced to float32 rounding, the rest exactly.

    Args:
        spec: the matrix as data.
        layout: the network's layout; kind film needs it, and D is checked against it where it is given.
        start: the network at theta0, for kind ekfac, which needs the layout too.

    Raises:
        SubspaceError: d > D, a layout of another D, film without a layout or without a matching slot, or a shape
            that the kind cannot have.
    """
    if spec.d > spec.D:
        raise SubspaceError(f"make_projector: d is at most D, got d = {spec.d} and D = {spec.D}. Choose a smaller d.")
    if layout is not None and layout.D != spec.D:
        raise SubspaceError(f"make_projector: D is the layout's {layout.D}, got {spec.D}. Use the layout's D.")
    return _BUILDERS[spec.kind](spec, layout, start)


def _film(spec: ProjectorSpec, layout: Layout | None, _: Start | None) -> Projector:
    """Restrict a dense matrix to the slots that FILM_PATTERN selects by name."""
    if layout is None:
        raise SubspaceError("film projector: slots are chosen by name. Pass the layout to make_projector.")
    chosen = [slot for slot in layout.slots if FILM_PATTERN.search(slot.name)]
    if not chosen:
        raise SubspaceError(
            f"film projector: some slot's name holds bn, fc, norm or classifier, got "
            f"{', '.join(slot.name for slot in layout.slots[:5])} ... Choose another kind."
        )
    return Dense(spec, tuple(slice(slot.start, slot.stop) for slot in chosen))


def _ekfac(spec: ProjectorSpec, layout: Layout | None, start: Start | None) -> Projector:
    if layout is None or start is None:
        raise SubspaceError(
            "ekfac projector: its directions are those of a network at theta0, which is not known here. Choose "
            "another kind."
        )
    return leading_directions(spec, layout, start)


def _sum(spec: ProjectorSpec, layout: Layout | None, _: Start | None) -> Projector:
    return Sum(spec, tuple(make_projector(part, layout) for part in spec.parts))


def _permuted(spec: ProjectorSpec, layout: Layout | None, _: Start | None) -> Projector:
    return Permuted(spec, make_projector(spec.parts[0], layout))


_BUILDERS: dict[ProjectorKind, Callable[[ProjectorSpec, Layout | None, Start | None], Projector]] = {
    "fastfood": lambda spec, *_: Fastfood(spec),
    "cosine": lambda spec, *_: Cosine(spec),
    "sparse": lambda spec, *_: Sparse(spec),
    "kron": lambda spec, *_: Kronecker(spec),
    "kron_qr": lambda spec, *_: Kronecker(spec),
    "dense": lambda spec, *_: Dense(spec),
    "film": _film,
    "identity": lambda spec, *_: Identity(spec),
    "sum": _sum,
    "permuted": _permuted,
    "tiled": lambda spec, *_: TiledFastfood(spec),
    "ekfac": _ekfac,
}
assert tuple(_BUILDERS) == PROJECTOR_KINDS
