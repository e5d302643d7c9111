"""The network that a certificate is about: exactly what a receiver rebuilds from the message.

`Hypothesis.unpack` is the only way to make one, and only a Hypothesis can be evaluated: what is measured is
what was decoded.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ..bits.coder import Symbols
from ..bits.ledger import Ledger
from ..bits.message import unpack
from ..certificate.draw import draw
from ..data.mixed import Raw
from ..data.preprocess import preprocessed
from ..errors import ModelError
from ..models.others import private_copy
from ..models.reference import initialise
from ..quantize import dequantize
from ..quantize.tensors import dequantize_tensors
from ..specs.picks import PicksSpec
from ..specs.specs import BaseOrigin, DrawSpec, HypothesisSpec, PreprocessSpec, ProjectorSpec, TensorsSpec
from ..specs.tensors import DirectSpec
from ..subspace.ekfac import Start
from ..subspace.layout import NORM_BUFFERS, Layout, frozen_digest, tensors_digest
from ..subspace.projector import Projector
from ..subspace.projectors import make_projector
from ..subspace.subspace import Subspace, layer_scale, moved
from .frozen import thaw_network
from .hidden import refuse_hidden

_UNPACKED = object()


@dataclass(frozen=True)
class Base:
    """theta0 and the architecture around it: a private copy of the caller's module, its layout and origin.

    notes: what a reader should know of how a checkpoint was read.
    """

    module: nn.Module
    layout: Layout
    origin: BaseOrigin
    notes: tuple[str, ...] = ()

    @property
    def theta0(self) -> Tensor:
        """Parameters before training, shape (D,); those of the module are views of it."""
        return self.layout.gathered(self.module)


def make_base(module: nn.Module, seed: int | None, frozen_buffers: tuple[str, ...] = ()) -> Base:
    """Copy a module in float32 and fix its theta0: drawn from a seed, or (seed None) the values it holds.

    A seed leaves nothing of what the module held: running statistics go back to those of a new network, and what is
    held outside parameters and buffers is refused (hidden.py; what a forward computes with, `rebuilt.check_promise`).

    Raises: SubspaceError where the module has no layout; ModelError where it has statistics that cannot be renewed, or
        holds anything but parameters and buffers.
    """
    copied = private_copy(module)
    Layout.of(copied, frozen_buffers)  # refuses by name what could not be converted
    refuse_hidden(module)
    copied = copied.float()
    layout = Layout.of(copied, frozen_buffers)
    if seed is not None:
        initialise(copied, seed)
        constants = _renew_statistics(copied, frozen_buffers)
        return Base(copied, layout, BaseOrigin(seed=seed, constants=constants))
    return Base(copied, layout, BaseOrigin(kind="values", sha256=values_digest(copied, layout)))


def make_zero_base(module: nn.Module, frozen_buffers: tuple[str, ...] = ()) -> Base:
    """Copy a module in float32 with every parameter 0 and fresh running statistics: where a direct code starts.

    Raises: SubspaceError where the module has no layout; ModelError where a parameter would not be coded, or where it
        has statistics that cannot be renewed.
    """
    base = make_base(module, None, frozen_buffers)
    constants = _renew_statistics(base.module, frozen_buffers)
    for name, parameter in base.module.named_parameters():
        if not parameter.requires_grad:
            raise ModelError(
                f"make_zero_base: a direct code carries every parameter, but {name} is frozen. Leave "
                "--train out, or set requires_grad on it."
            )
        parameter.detach().zero_()
    return Base(base.module, base.layout, BaseOrigin(kind="zero", constants=constants))


def _renew_statistics(module: nn.Module, constants: tuple[str, ...]) -> str | None:
    """Set running statistics back to those of a new network; `constants` are the user's word and stay.

    Returns: SHA-256 of every buffer that stays, None where there is none. Raises: ModelError for one that is not
    listed, of whatever type: training may have left there what nobody pays for.
    """
    known: set[int] = set()
    for part in module.modules():
        if isinstance(part, _NormBase):  # by hand: a subclass has a reset and buffers of its own
            for name in NORM_BUFFERS:
                if (buffer := part._buffers.get(name)) is not None:
                    buffer.fill_(1 if name == "running_var" else 0)
                    known.add(id(buffer))
    kept = [(name, buffer) for name, buffer in module.named_buffers() if id(buffer) not in known]
    for name, _ in kept:
        if name not in constants:
            raise ModelError(
                f"make_base: running statistics go back to those of a new network, but {name} belongs to a layer of "
                f"its author's own. If it is a constant fixed before the data, list it: frozen_buffers=({name!r},), "
                "in Python or in a file for --config."
            )
    return tensors_digest(kept) if kept else None


def values_digest(module: nn.Module, layout: Layout) -> str:
    """SHA-256 over the float32 values of theta0 and everything frozen."""
    hasher, parameters = hashlib.sha256(), dict(module.named_parameters())
    for slot in layout.slots:
        values = parameters[slot.name].detach().to("cpu", torch.float32).contiguous().reshape(-1).numpy()
        hasher.update(values.astype("<f4", copy=False).data)
    hasher.update(frozen_digest(module).encode())
    return hasher.hexdigest()


def make_subspace(base: Base, spec: ProjectorSpec, scaled: bool, part: nn.Module | None = None) -> Subspace:
    """Span theta0 + scale * P w around a base. part: of its module, with all that is trained under the same names."""
    theta0, projector, scale = spanned(base, spec, scaled)
    return Subspace(part or base.module, base.layout, theta0, projector, scale)


def spanned(base: Base, spec: ProjectorSpec, scaled: bool) -> tuple[Tensor, Projector, Tensor | None]:
    """Return theta0 (D,), P, and the scale of each coordinate (D,), None where it is 1.

    Raises: SubspaceError where there is no such P.
    """
    scale = layer_scale(base.layout) if scaled else None
    theta0 = base.theta0
    return theta0, make_projector(spec, base.layout, Start(base.module, theta0, scale)), scale


class Hypothesis:
    """A decoded network. Call it on raw inputs (batch, ...) to get logits (batch, classes)."""

    def __init__(
        self,
        token: object,
        base: Base,
        spec: HypothesisSpec,
        symbols: Symbols,
        beside: bytes | None,
        ledger: Ledger,
    ) -> None:
        """Use `Hypothesis.unpack`."""
        if token is not _UNPACKED:
            raise ModelError("Hypothesis: a hypothesis is made by Hypothesis.unpack from a message, not directly.")
        self.spec = spec
        self.ledger = ledger
        self.preprocess: PreprocessSpec = spec.preprocess
        self._module = private_copy(base.module)
        if isinstance(spec.quantizer, PicksSpec):
            thaw_network(self._module, _file_of(spec.quantizer, beside))
            return
        own = dict(self._module.named_parameters(remove_duplicate=False))
        with torch.no_grad():
            for name, value in _decoded(base, spec, symbols, beside).items():
                own[name].copy_(value)

    @classmethod
    def unpack(cls, payload: bytes, declared: HypothesisSpec, base: Base, beside: bytes | None = None) -> "Hypothesis":
        """Decode a message on top of a base; a draw is drawn again from its posterior file.

        A network made from picks is read from its file: that the learner makes it is seen by replay alone.

        Raises:
            MessageError: the payload is not a message.
            ModelError: the base is not the one the message names, a draw or a picked network lacks its file, or the
                file holds another network.
            CertificateError: the posterior file is not the one declared.
        """
        spec, symbols, ledger = unpack(payload, declared)
        if base.layout.digest != spec.layout_digest:
            raise ModelError(
                f"Hypothesis: the message is for a network with layout {spec.layout_digest[:12]}, "
                f"got {base.layout.digest[:12]}. Give the architecture that was certified."
            )
        if base.origin != spec.base:
            raise ModelError(f"Hypothesis: the message starts from {spec.base}, got {base.origin}. Give that theta0.")
        return cls(_UNPACKED, base, spec, symbols, beside, ledger)

    def network(self) -> nn.Module:
        """Return a copy of the decoded module, in eval mode; it reads preprocessed inputs."""
        return private_copy(self._module)

    @torch.no_grad()
    @torch.autocast("cpu", enabled=False)
    def __call__(self, x: Raw) -> Tensor:
        """Return float32 logits (batch, classes) of raw inputs (batch, ...), in eval mode on the CPU, not autocast."""
        return self._module(preprocessed(x, self.preprocess)).float()


def _file_of(spec: PicksSpec, beside: bytes | None) -> bytes:
    if beside is None or hashlib.sha256(beside).hexdigest() != spec.sha256:
        raise ModelError(f"Hypothesis: a network made from picks is the file {spec.file}, got none or another.")
    return beside


def _decoded(base: Base, spec: HypothesisSpec, symbols: Symbols, posterior: bytes | None) -> dict[str, Tensor]:
    """Return the decoded parameters by name; none where they stay those of the base."""
    if isinstance(spec.quantizer, DirectSpec):
        _check_tensors(base.layout, spec.quantizer)
        arrays = dequantize_tensors(spec.quantizer, symbols)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}
    if isinstance(spec.quantizer, TensorsSpec):
        _check_sizes(base.layout, spec.quantizer)
    w = _coefficients(spec, symbols, posterior)
    if spec.projector is None or w is None:
        return {}
    theta0, projector, scale = spanned(base, spec.projector, spec.layer_scale)  # not the copy that a subspace makes
    step = projector.project(torch.from_numpy(np.ascontiguousarray(w)))
    return base.layout.unflatten(moved(theta0.detach(), step, scale))


def _check_tensors(layout: Layout, spec: DirectSpec) -> None:
    """Refuse a direct code of other tensors than the network's. Raises: ModelError."""
    own = [(slot.name, slot.shape) for slot in layout.slots]
    sent = [(tensor.name, tensor.shape) for tensor in spec.tensors]
    if own != sent:
        differ = next((pair for pair in zip(own, sent, strict=False) if pair[0] != pair[1]), (len(own), len(sent)))
        raise ModelError(
            f"Hypothesis: a direct code holds the parameters of the network in their order, got {differ[1]} for "
            f"{differ[0]}. Give the architecture that was certified."
        )


def _check_sizes(layout: Layout, spec: TensorsSpec) -> None:
    """Refuse lattices of other tensors than the network's. Raises: ModelError."""
    own = [slot.stop - slot.start for slot in layout.slots]
    sent = [lattice.size for lattice in spec.lattices]
    if own != sent:
        raise ModelError(
            f"Hypothesis: lattices are those of the network's tensors, of sizes {own[:5]}, got {sent[:5]}. "
            "Give the architecture that was certified."
        )


def _coefficients(spec: HypothesisSpec, symbols: Symbols, posterior: bytes | None) -> NDArray[np.float32] | None:
    """Return w (d,), or None for w = 0. Raises: ModelError or CertificateError where a draw lacks its file."""
    if spec.projector is None or spec.quantizer is None:
        return None
    if isinstance(spec.quantizer, DrawSpec):
        if posterior is None:
            raise ModelError("Hypothesis: a draw needs its posterior file, got none. Give the bytes of the sidecar.")
        return draw(posterior, spec.quantizer, spec.projector.d).coefficients
    assert not isinstance(spec.quantizer, DirectSpec | PicksSpec)
    return dequantize(symbols, 0 if spec.code is None else spec.code.levels, spec.quantizer)
