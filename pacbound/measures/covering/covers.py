"""Covering numbers of feed-forward networks, with and without the permutations of hidden units.

Parameters lie in [-B, B], inputs in [-B_x, B_x], norms are maxima. Hidden units may be reordered without changing the
function, so that biases may be taken as sorted: prod d_l! fewer cells. Shen 2024, "Exploring the complexity of deep
neural networks through functional equivalence", ICML 2024, arXiv:2305.11417; the published constants are reported
with verified = False, the two counts proved here are sound on their own.
"""

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from flint import arb, ctx

from ...bounds.balls import claim, rounded_up
from ...bounds.claims import Bound
from ...errors import BoundError

PRECISION: Final = 256
HALVINGS: Final = 60
ASSUMES: Final = (
    "the n examples are i.i.d.; parameter and input ranges and the radius were fixed before them, or paid for",
    "deterministic predictor: the network itself; loss in [0, 1]",
)


@dataclass(frozen=True)
class Units:
    """One layer: how many units, inputs of each, and the Lipschitz constant (in the maximum norm) behind it.

    row_bound: largest sum of absolute weights of one unit that the class allows; None for B times fan_in.
    A convolution has its output channels as units and in / groups times taps as fan_in. exchangeable: whether the
    units may be reordered, which grouped convolutions behind or before them may forbid.
    """

    units: int
    fan_in: int
    lipschitz: float = 1.0
    row_bound: float | None = None
    exchangeable: bool = True


@dataclass(frozen=True)
class Family:
    """All networks with these layers, parameters (biases included) in [-bound, bound], inputs in [-reach, reach].

    Fixed maps between layers map 0 to 0. The last layer gives the outputs, its units are not exchangeable.
    """

    layers: tuple[Units, ...]
    bound: float = 1.0
    reach: float = 1.0

    def __post_init__(self) -> None:
        """Validate. Raises: BoundError."""
        numbers = [self.bound, self.reach, *(layer.lipschitz for layer in self.layers)]
        numbers += [layer.row_bound for layer in self.layers if layer.row_bound is not None]
        if not self.layers or not all(math.isfinite(value) and value > 0 for value in numbers):
            raise BoundError(f"Family: there is a layer, and ranges and constants are finite and > 0, got {numbers}.")
        if any(layer.units < 1 or layer.fan_in < 1 for layer in self.layers):
            raise BoundError("Family: a layer has at least one unit and one input.")

    @property
    def parameters(self) -> int:
        """S, numbers in weights and biases."""
        return sum(layer.units * (layer.fan_in + 1) for layer in self.layers)

    @property
    def hidden(self) -> tuple[int, ...]:
        """Units of the hidden layers, which may be reordered."""
        return tuple(layer.units for layer in self.layers[:-1] if layer.exchangeable)


@dataclass(frozen=True)
class CoverNats:
    """ln of covering numbers in the maximum norm over inputs and outputs, rounded up.

    volume, sorted_grid, neurons: with permutations, proved; neurons (multisets of whole units) only for one hidden
    layer. grid: without permutations. value: the smallest proved one.
    """

    volume: float
    sorted_grid: float
    grid: float
    neurons: float | None = None

    @property
    def value(self) -> float:
        """The smallest of those with permutations."""
        return min(x for x in (self.volume, self.sorted_grid, self.neurons, self.grid) if x is not None)


def mlp_family(widths: tuple[int, ...], bound: float = 1.0, reach: float = 1.0, lipschitz: float = 1.0) -> Family:
    """Make the family of widths (inputs, hidden..., outputs), activations of constant `lipschitz`."""
    layers = tuple(Units(after, before, lipschitz) for before, after in itertools.pairwise(widths))
    return Family(layers, bound, reach)


def modulus(family: Family, radius: Fraction = Fraction(0)) -> Fraction:
    """Lambda with |f_theta(x) - f_theta'(x)| <= Lambda |theta - theta'|, exactly.

    lam_l = rho_l (a_l lam_{l-1} + d M_{l-1} + 1) and M_l = rho_l (a'_l M_{l-1} + B), with M_0 = B_x, lam_0 = 0,
    d = fan_in, a_l the row bound, and a'_l the row bound of a centre, which may be larger by d times the radius.
    """
    size, slope = Fraction(family.reach), Fraction(0)
    bound = Fraction(family.bound)
    last = len(family.layers) - 1
    for index, layer in enumerate(family.layers):
        free = bound * layer.fan_in
        row = free if layer.row_bound is None else min(free, Fraction(layer.row_bound))
        centre = min(free, row + layer.fan_in * radius)
        gain = Fraction(1) if index == last else Fraction(layer.lipschitz)
        slope, size = gain * (row * slope + layer.fan_in * size + 1), gain * (centre * size + bound)
    return slope


def cover_nats(family: Family, eps: float) -> CoverNats:
    """Bound the ln of the covering number at radius eps, with and without permutations.

    volume: packing argument in the chamber of sorted biases; sorted_grid: sorted biases are multisets of cells.
    Derivation: parameters within r = eps / Lambda give functions within eps.
    Raises: BoundError unless eps > 0.
    """
    if not (math.isfinite(eps) and eps > 0):
        raise BoundError(f"cover_nats: eps is finite and > 0, got {eps!r}.")
    inside = Fraction(eps) / modulus(family)
    cells = _cells(family, _centre_radius(family, Fraction(eps)))
    hidden, total = family.hidden, family.parameters
    rest = total - sum(hidden)
    with ctx.workprec(PRECISION):
        side = _arb(2 * Fraction(family.bound) / inside)  # 2 B / r
        volume = arb(rest) * (1 + side).log()
        for units in hidden:
            free = units * (1 + side).log()
            chamber = units * (units + side).log() - arb(units + 1).lgamma()
            volume += chamber if chamber < free else free
        log_cells = arb(cells).log()
        sorted_grid = rest * log_cells + sum((_multisets(arb(cells), units) for units in hidden), arb(0))
        neurons = None
        if len(family.layers) == 2:
            first, second = family.layers
            kinds = arb(cells) ** (first.fan_in + 1 + second.units)  # incoming, bias, outgoing of one unit
            if second.fan_in == first.units and first.exchangeable:
                neurons = rounded_up(_multisets(kinds, first.units) + second.units * log_cells)
        return CoverNats(rounded_up(volume), rounded_up(sorted_grid), rounded_up(total * log_cells), neurons)


def published_nats(widths: tuple[int, ...], eps: float, bound: float = 1.0, reach: float = 1.0) -> float:
    """ln of the deep form as published, rounded up; not what certificates use. Shen 2024, activations of constant 1.

    S ln( 4 (L + 1)(B_x + 1)(2B)^(L + 2) prod_{j <= L} d_j / eps ) - sum ln d_l!, L hidden layers.
    """
    deep = len(widths) - 2
    with ctx.workprec(PRECISION):
        inner = 4 * (deep + 1) * (arb(reach) + 1) * (2 * arb(bound)) ** (deep + 2) * math.prod(widths[:-1])
        total = _parameters(widths) * (inner / arb(eps)).log()
        return rounded_up(total - sum((arb(d + 1).lgamma() for d in widths[1:-1]), arb(0)))


def published_shallow_nats(inputs: int, hidden: int, eps: float, bound: float = 1.0, reach: float = 1.0) -> float:
    """ln of the form for one hidden layer and one output as published, rounded up; activations of constant 1.

    S ln( 16 B^2 (B_x + 1) sqrt(d_0) d_1 / eps ) - ln d_1!.
    """
    with ctx.workprec(PRECISION):
        inner = 16 * arb(bound) ** 2 * (arb(reach) + 1) * arb(inputs).sqrt() * hidden / arb(eps)
        return rounded_up(_parameters((inputs, hidden, 1)) * inner.log() - arb(hidden + 1).lgamma())


def log_volume_nats(family: Family) -> float:
    """ln of the effective parameter volume (2B)^S / prod d_l!."""
    orders = math.fsum(math.lgamma(units + 1) for units in family.hidden)
    return family.parameters * math.log(2 * family.bound) - orders


def covering_risk(
    losses: float, n: int, nats: float, eps: float, loss_lipschitz: float, delta: float, choice_nats: float = 0.0
) -> Bound:
    """Bound the risk by r + 2 lam eps + sqrt((ln N(eps) + ln(1/delta) + choice) / (2n)), r = losses / n.

    Hoeffding for the centres of a cover, fixed before the sample; the two moves to and from a centre cost lam eps.
    Reference: the standard argument (Anthony and Bartlett 1999, ch. 10), with the covers of this module.

    Args: losses: sum of losses in [0, 1]. n: examples. nats: ln N(eps) of the family. eps: radius in the maximum
        norm of the outputs. loss_lipschitz: of the loss in that norm (2 / gamma for the ramp of a margin).
        delta: in (0, 1). choice_nats: ln(1 / p) of ranges and eps chosen after seeing the sample.
    Assumes: see `ASSUMES`. Rounds: up, in ball arithmetic.
    Raises: BoundError outside the ranges.
    """
    numbers = {"losses": losses, "nats": nats, "eps": eps, "loss_lipschitz": loss_lipschitz, "choice": choice_nats}
    for what, number in numbers.items():
        if not (math.isfinite(number) and number >= 0):
            raise BoundError(f"covering_risk: {what} is finite and >= 0, got {number!r}.")
    if n < 1 or losses > n:
        raise BoundError(f"covering_risk: losses lie between 0 and n, got {losses!r} of {n}.")
    if not 0 < delta < 1:
        raise BoundError(f"covering_risk: delta lies in (0, 1), got {delta!r}. The usual one is 0.05.")
    with ctx.workprec(PRECISION):
        tail = ((arb(nats) + arb(choice_nats) - arb(delta).log()) / (2 * n)).sqrt()
        total = arb(losses) / n + 2 * arb(loss_lipschitz) * arb(eps) + tail
        reference = "Shen 2024, arXiv:2305.11417, with covers proved in pacbound; Anthony and Bartlett 1999, ch. 10"
        return claim("covering_risk", total, delta, reference, ASSUMES)


def _centre_radius(family: Family, eps: Fraction) -> Fraction:
    """A radius r with r Lambda(r) <= eps, by bisection; without row bounds Lambda does not depend on r."""
    low, high = Fraction(0), eps / modulus(family)
    if high * modulus(family, high) <= eps:
        return high
    for _ in range(HALVINGS):
        middle = _short((low + high) / 2)
        if middle * modulus(family, middle) <= eps:
            low = middle
        else:
            high = middle
    return low


def _short(value: Fraction) -> Fraction:
    """A fraction near value with a small denominator, so that bisection stays cheap; any value is allowed."""
    shift = 128 + value.denominator.bit_length() - value.numerator.bit_length()
    return Fraction((value.numerator << shift) // value.denominator, 1 << shift)


def _cells(family: Family, radius: Fraction) -> int:
    """Cells of radius at most `radius` that cover [-B, B]. Raises: BoundError where the radius vanished."""
    if radius <= 0:
        raise BoundError("cover_nats: the modulus is too large for a cover. Bound the rows or take a larger eps.")
    return math.ceil(Fraction(family.bound) / radius)


def _multisets(kinds: arb, size: int) -> arb:
    """ln C(kinds + size - 1, size)."""
    total = arb(0)
    for i in range(size):
        total += ((kinds + i) / (i + 1)).log()
    return total


def _parameters(widths: tuple[int, ...]) -> int:
    return sum((before + 1) * after for before, after in itertools.pairwise(widths))


def _arb(value: Fraction) -> arb:
    return arb(value.numerator) / arb(value.denominator)
