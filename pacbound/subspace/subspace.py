"""A network on an affine subspace: theta = theta0 + scale * (P w), called without touching the caller's module."""

import copy
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..errors import SubspaceError
from ..specs.powers import eighth_power
from .layout import Layout, Slot
from .projector import Projector

_VECTOR_STD = Fraction(1, 10)  # stands for the He value of biases and other vectors


class Subspace:
    """A network as a function of its coefficients w, shape (d,).

    Coefficients, theta and projector are on the CPU; the network runs on the device of its inputs, see `call_at`.
    It always runs in eval mode, on a private copy of the module: dropout is off, normalisation uses the
    frozen statistics, and buffers are cloned for every call, so that a call leaves nothing behind.
    """

    def __init__(
        self, module: nn.Module, layout: Layout, theta0: Tensor, projector: Projector, scale: Tensor | None = None
    ) -> None:
        """Bind a network, its base and its projector.

        Args:
            module: the network; copied, never changed. Its frozen parameters and buffers are part of the base.
            layout: Layout.of(module).
            theta0: base parameters, float32, shape (D,); kept, not copied, for a large one is dear.
            projector: of the layout's D.
            scale: factor of each coordinate of P w, shape (D,), usually layer_scale(layout); None for 1. Kept too.

        Raises:
            SubspaceError: a shape or dtype disagrees with the layout.
        """
        layout.check(module)
        if projector.spec.D != layout.D:
            raise SubspaceError(f"Subspace: the projector has the layout's D = {layout.D}, got {projector.spec.D}.")
        for name, vector in (("theta0", theta0), ("scale", scale)):
            if vector is not None and (vector.shape != (layout.D,) or vector.dtype != torch.float32):
                raise SubspaceError(
                    f"Subspace: {name} is float32 of shape ({layout.D},), got {vector.dtype} of shape "
                    f"{tuple(vector.shape)}. Use Layout.flatten and layer_scale."
                )
        self.layout = layout
        self.projector = projector
        self.theta0 = theta0.detach()
        self.scale = None if scale is None else scale.detach()
        # every call brings parameters of its own: those of the copy are views of theta0
        own, views = dict(module.named_parameters()), layout.pieces(self.theta0)
        stand_ins = {id(own[slot.name]): nn.Parameter(view) for slot, view in zip(layout.slots, views, strict=True)}
        self._network = copy.deepcopy(module, stand_ins).requires_grad_(False)
        self._network.eval()
        self._buffers = dict(self._network.named_buffers())
        trained = layout.unflatten(theta0)
        self._frozen: dict[str, Tensor] = {
            name: value for name, value in self._network.named_parameters() if name not in trained
        }

    @property
    def frozen(self) -> dict[str, Tensor]:
        """Parameters that are not trained, by name."""
        return self._frozen

    @property
    def d(self) -> int:
        """Number of coefficients."""
        return self.projector.spec.d

    def theta(self, w: Tensor) -> Tensor:
        """Return theta0 + scale * (P w), shape (D,), differentiable in w, shape (d,)."""
        return moved(self.theta0, self.projector.project(w), self.scale)

    def call(self, w: Tensor, x: Tensor) -> Tensor:
        """Return the network's output at w for a batch x; differentiable in w (and x)."""
        return self.call_at(self.theta(w), x)

    def approximate(self, w: Tensor, x: Tensor) -> Tensor:
        """Return `call(w, x)` in float32, computed the fast way: for gradients, never for counting.

        Images lie channels-last, and matrix products run in bfloat16 where the processor has them. On a LeNet a
        gradient step takes about a third of the time.
        """
        theta = self.theta(w).to(x.device)
        parameters = {name: channels_last(value) for name, value in self.layout.unflatten(theta).items()}
        with torch.autocast(x.device.type, torch.bfloat16, enabled=has_bfloat16(x.device)):
            output = functional_call(self._network, {**parameters, **self._fixed(x.device)}, (channels_last(x),))
        return output.float().to(w.device)

    def call_at(self, theta: Tensor, x: Tensor) -> Tensor:
        """Return the network's output at flat parameters theta, shape (D,), for a batch x.

        The network runs where x is: theta goes there, and the output comes back to the device of theta.
        """
        return self.call_with(self.layout.unflatten(theta.to(x.device)), x).to(theta.device)

    def call_with(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        """Return the network's output at parameters by name, as `Layout.unflatten` returns them, where x is."""
        return functional_call(self._network, {**parameters, **self._fixed(x.device)}, (x,))

    def _fixed(self, device: torch.device) -> dict[str, Tensor]:
        """What the network needs beside theta: fresh buffers, and frozen parameters."""
        buffers = {name: buffer.to(device, copy=True) for name, buffer in self._buffers.items()}
        return {**buffers, **{name: value.to(device) for name, value in self._frozen.items()}}


def moved(theta0: Tensor, step: Tensor, scale: Tensor | None) -> Tensor:
    """Return theta0 + scale * step, shape (D,); a scale of None is 1."""
    return theta0 + step if scale is None else torch.addcmul(theta0, scale, step)


def channels_last(value: Tensor) -> Tensor:
    """Return a copy whose channels lie last where it holds images or their kernels."""
    # clone, not contiguous: a tensor of one channel counts as contiguous in both orders and would keep its strides
    return value.clone(memory_format=torch.channels_last) if value.ndim == 4 else value


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies matrices in bfloat16."""
    if device.type == "cpu":
        return bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def layer_scale(layout: Layout) -> Tensor:
    """Return a scale for each coordinate, shape (D,), so that w moves every layer in proportion to its He value.

    For a layer of He standard deviation h = sqrt(2 / fan_in) (0.1 for biases and other vectors) it is the 2^(k/8),
    k an integer, nearest in the logarithm to h sqrt(D): coordinates of P w have size |w| / sqrt(D), so a layer
    moves by about |w| times its He value. k is found in integers; the factor is the same double everywhere.
    """
    scale = torch.empty(layout.D)
    for slot in layout.slots:
        scale[slot.start : slot.stop] = eighth_power(scale_index(slot, layout.D))
    return scale


def scale_index(slot: Slot, D: int) -> int:
    """Return k of a slot's scale 2^(k/8): the integer nearest to 8 log2(h sqrt(D))."""
    he_squared = Fraction(2, slot.fan_in) if len(slot.shape) >= 2 else _VECTOR_STD**2
    # k - 1/2 <= 8 log2 sqrt(h^2 D) = 4 log2 r  <=>  2k <= log2(2 r^8) with r = h^2 D; never a tie, r is rational
    power = 2 * (he_squared * D) ** 8
    return _floor_log2(power) // 2


def _floor_log2(value: Fraction) -> int:
    """Return the largest integer m with 2^m <= value, for value > 0."""
    m = value.numerator.bit_length() - value.denominator.bit_length()
    below = value < (Fraction(1 << m) if m >= 0 else Fraction(1, 1 << -m))
    return m - 1 if below else m
