"""Fixed maps of an image that no parameter enters: they cost the word of their layer and no other bit.

Each is a function of one image. Grey ones read it stretched to [0, 1] by its own least and largest value, so that it
does not matter how pixels were scaled before.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 28.0  # of the images whose sizes in pixels stand below; others are measured in proportion
USUAL_HEIGHT, USUAL_WIDTH = 5.8, 4.2  # standard deviations of the ink
LEAST_HEIGHT, MOST_HEIGHT = 0.7, 1.5  # a ratio of standard deviations
LEAST_WIDTH, MOST_WIDTH = 0.6, 1.6
TURNS, SPREAD = 8, 1.25  # directions of edges; standard deviation of their window, in places
FINE_SPREAD, BAR_WIDTH = 0.8, 0.75  # standard deviation of the window of fine bars; half the width of a bar, in these
EDGE_GAIN, SURROUND, FLOOR = 4.0, 0.2, 0.05
WIDE, NARROW = 3.0, 0.3  # of a colour image: standard deviation of a neighbourhood, least contrast
BAR_GAINS, CENTRE = (2.0, 3.0), 0.1  # of bars, wide and fine; about the mean of every map
EDGE_GAINS, SPOT_GAINS, SMOOTH_GAINS = (1.75, 2.5), (2.0, 3.5, 5.0), (0.5, 0.8, 1.25)  # of two colours, of three
SMALL_SIDE = 16  # below it, maps keep every place
TINY = 1e-6
Filters = tuple[tuple[float, ...], ...]  # each of 25 numbers, row by row


class Moments(nn.Module):
    """Set the ink of a grey image upright, in the middle, and to one size: (batch, 1, h, w) -> the same shape.

    With v the stretched image and (dy, dx) places about its centre of mass: a = sum v dy dx / sum v dy^2, at most 1 in
    magnitude, is sheared away, and the centre of mass goes to the middle (deskewing, LeCun et al. 1998). Then, sy and
    sx being standard deviations about the middle, the image is sampled at (ry y, rx x), ry = sy / (5.8 h / 28) in
    [0.7, 1.5], rx = sqrt(sx / (4.2 w / 28) in [0.6, 1.6]). Bilinear, zeros outside; no ink, no change.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Resample a batch."""
        v = stretched(x)
        high, wide = v.shape[-2:]
        y, x = (torch.arange(side, dtype=v.dtype, device=v.device) - (side - 1) / 2 for side in (high, wide))
        y, x = y.view(1, -1, 1), x.view(1, 1, -1)  # about the middle
        ink = _ink(v)
        cy, cx = _mean(ink, y), _mean(ink, x)
        dy, dx = y - cy, x - cx
        shear = (_mean(ink, dy * dx) / _mean(ink, dy * dy).clamp(min=TINY)).clamp(-1, 1)
        v = _sampled(v, (y + cy).expand(len(v), high, wide), cx + x + shear * y)
        ink = _ink(v)
        sy, sx = _mean(ink, y * y).sqrt(), _mean(ink, x * x).sqrt()
        some = ink.sum((1, 2), keepdim=True) > TINY
        ry = (sy / (USUAL_HEIGHT * high / SIDE)).clamp(LEAST_HEIGHT, MOST_HEIGHT)
        rx = (sx / (USUAL_WIDTH * wide / SIDE)).clamp(LEAST_WIDTH, MOST_WIDTH).sqrt()
        ry, rx = (torch.where(some, ratio, 1.0) for ratio in (ry, rx))
        return _sampled(v, (ry * y).expand(len(v), high, wide), (rx * x).expand(len(v), high, wide))


class Edges(nn.Module):
    """Eight maps of oriented edges of a grey image: (batch, 1, h, w) -> (batch, 8 or 9, h', w').

    Filter j is g (x cos t + y sin t), t = 2 pi j / 8, on 5 x 5 places, g a Gaussian of standard deviation 1.25, minus
    its mean, divided by the sum of its magnitudes. Half-rectified, averaged over 3 x 3 places, every second one of
    them (every one where an image has a side below 16), times 4. Normalised: z <- 0.2 z / (e + 0.05), e being the mean
    of all eight over 5 x 5 places. Intensity: a ninth map, 2 v - 0.5, v the stretched image averaged like the others.
    """

    def __init__(self, normalised: bool, intensity: bool) -> None:
        """Args: whether the surroundings divide, and whether there is a ninth map."""
        super().__init__()
        self.normalised, self.intensity = normalised, intensity
        self.channels = TURNS + intensity

    def forward(self, x: Tensor) -> Tensor:
        """Filter a batch."""
        v = stretched(x)
        return _pooled(v, F.conv2d(v, _kernels(_edges(), v), padding=2), self.normalised, self.intensity)


class Opponent(nn.Module):
    """Twenty maps of a colour image: (batch, 3, h, w) -> (batch, 20, h', w').

    Colours become o = (r + g + b) / sqrt 3, (r - b) / sqrt 2, (r - 2 g + b) / sqrt 6, and each of these half of
    (o - m) / (s + 0.3), with mean m and standard deviation s over the image, plus half of the same with m, and the root
    of the mean of (o - m)^2 for s, over a Gaussian neighbourhood of standard deviation 3, the border's values going on
    outside. Then 5 x 5 filters: of the first one the eight of `Edges`; of each one a spot, a Gaussian of standard
    deviation 1 minus one of 2, and a Gaussian of 1.25; edges half-rectified, the others so with both signs. Averaged
    over 3 x 3 places, every second one of them.
    """

    channels = 20

    def forward(self, x: Tensor) -> Tensor:
        """Filter a batch."""
        v = _even_colours(x)
        return _beside_edges(v, F.conv2d(v, _kernels(_spots(), x).repeat(3, 1, 1, 1), padding=2, groups=3))


class Bars(nn.Module):
    """Sixteen maps of oriented edges and bars of a grey image: (batch, 1, h, w) -> (batch, 16 or 17, h', w').

    The eight of `Edges`, normalised, and among them eight of bars, by filters g (1 - (x cos t + y sin t)^2 / (0.75
    s)^2), t = pi j / 4 for j < 4, g a Gaussian of standard deviation s = 1.25, minus their mean, divided by the sum of
    their magnitudes, with both signs. Intensity: a last map, as that of `Edges`.
    """

    def __init__(self, intensity: bool) -> None:
        """Args: whether there is a last map, of intensity."""
        super().__init__()
        self.intensity = intensity
        self.channels = TURNS + 2 * len(_bars(SPREAD)) + intensity

    def forward(self, x: Tensor) -> Tensor:
        """Filter a batch."""
        v = stretched(x)
        edges, bars = (F.conv2d(v, _kernels(filters, v), padding=2) for filters in (_edges(), _bars(SPREAD)))
        return _pooled(v, torch.cat([edges, bars, -bars], 1), normalised=True, intensity=self.intensity)


class ColourBars(nn.Module):
    """Maps of edges, bars, spots and colours of a colour image: (batch, 3, h, w) -> (batch, 46 or 52, h', w').

    The colours of `Opponent`. Of the first one its eight edges; then, with both signs, the bars of `Bars` and fine ones
    (s = 0.8) and a spot of the first, and four edges and a spot of each of the others; smooth: a smooth patch of each,
    too. All have gains, by which they vary alike. Half-rectified and averaged as there, less 0.1, which leaves a mean
    near 0: a constant part would be one more bias, that of every filter.
    """

    def __init__(self, smooth: bool) -> None:
        """Args: whether there are maps of smooth patches."""
        super().__init__()
        self.smooth = smooth
        self.channels = TURNS + 2 * sum(map(len, _filters_of_colours(smooth)))

    def forward(self, x: Tensor) -> Tensor:
        """Filter a batch."""
        v, filters = _even_colours(x), _filters_of_colours(self.smooth)
        every = [F.conv2d(v[:, k : k + 1], _kernels(own, x), padding=2) for k, own in enumerate(filters)]
        return _beside_edges(v, torch.cat(every, 1)) - CENTRE


def stretched(x: Tensor) -> Tensor:
    """Stretch each image of a batch (batch, 1, h, w) to [0, 1] by its least and largest value; a flat one is 0."""
    least, most = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return (x - least) / (most - least).clamp(min=TINY)


def edge_stride(sides: tuple[int, ...]) -> int:
    """Return how many places apart the maps of `Edges` are taken."""
    return 1 if min(sides) < SMALL_SIDE else 2


def _pooled(v: Tensor, maps: Tensor, normalised: bool, intensity: bool) -> Tensor:
    """Half-rectify and average maps of a stretched image v, and divide them by their surroundings."""
    stride = edge_stride(v.shape[-2:])
    z = EDGE_GAIN * F.avg_pool2d(F.relu(maps), 3, stride, 1)
    if normalised:
        z = SURROUND * z / (F.avg_pool2d(z.mean(1, keepdim=True), 5, 1, 2) + FLOOR)
    return torch.cat([z, 2 * F.avg_pool2d(v, 3, stride, 1) - 0.5], 1) if intensity else z


def _even_colours(x: Tensor) -> Tensor:
    """Opponent colours of colour images (batch, 3, h, w), half against their image, half against what is near."""
    mixed = torch.einsum("oc,bchw->bohw", _kernels(_opponents(), x), x)
    mean = mixed.mean((2, 3), keepdim=True)
    spread = (mixed - mean).square().mean((2, 3), keepdim=True).sqrt()
    local = mixed - _blurred(mixed)
    contrast = _blurred(local.square()).sqrt()
    return ((mixed - mean) / (spread + NARROW) + local / (contrast + NARROW)) / 2


def _beside_edges(v: Tensor, both: Tensor) -> Tensor:
    """Half-rectify and average the edges of the first of even colours v, and other maps with both signs."""
    edges = F.conv2d(v[:, :1], _kernels(_edges(), v), padding=2)
    return F.avg_pool2d(F.relu(torch.cat([edges, both, -both], 1)), 3, 2)


def _ink(v: Tensor) -> Tensor:
    """What is measured, (batch, h, w): in float64, whose rounding is far below that of pixels."""
    return v[:, 0].double()


def _mean(ink: Tensor, of: Tensor) -> Tensor:
    """Mean of something over the ink of each image, (batch, 1, 1); 0 where there is none."""
    return (ink * of).sum((1, 2), keepdim=True) / ink.sum((1, 2), keepdim=True).clamp(min=TINY)


def _sampled(v: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Read images between their places, at (y, x) about the middle, each (batch, h, w)."""
    high, wide = v.shape[-2:]
    grid = torch.stack([2 * x / wide, 2 * y / high], -1).to(v.dtype)  # edges of the image are -1 and 1
    return F.grid_sample(v, grid, "bilinear", "zeros", align_corners=False)


def _blurred(x: Tensor) -> Tensor:
    """Average over a Gaussian neighbourhood, along one side and then the other."""
    down, right = (_neighbourhoods(side).to(x) for side in x.shape[-2:])
    return down @ x @ right.mT


def _neighbourhoods(side: int) -> Tensor:
    """Weights of all places in the neighbourhood of each: (side, side), every row of sum 1."""
    reach = int(3 * WIDE)
    steps = torch.arange(-reach, reach + 1)
    window = torch.exp(-steps.double().square() / (2 * WIDE**2))
    places = (torch.arange(side)[:, None] + steps).clamp(0, side - 1)  # beyond the border stands what is at it
    return torch.zeros(side, side).double().scatter_add(1, places, (window / window.sum()).expand(side, -1))


def _kernels(values: tuple[tuple[float, ...], ...], like: Tensor) -> Tensor:
    """Numbers as a tensor: filters (count, 1, 5, 5), or a matrix."""
    tensor = torch.tensor(values, dtype=torch.float64).to(like)
    return tensor.view(-1, 1, 5, 5) if tensor.shape[1] == 25 else tensor


@lru_cache(maxsize=1)
def _edges() -> Filters:
    """The filters of `Edges`."""
    return _oriented(TURNS, SPREAD, lambda across: across)


@lru_cache(maxsize=2)
def _bars(spread: float) -> Filters:
    """Four bars of a width."""
    return _oriented(TURNS // 2, spread, lambda across: 1 - (across / (BAR_WIDTH * spread)) ** 2)


def _oriented(count: int, spread: float, profile: Callable[[float], float]) -> Filters:
    """A profile across each of the first directions, under a Gaussian window."""
    found = []
    for turn in range(count):
        angle = 2 * math.pi * turn / TURNS
        values = [
            math.exp(-(x * x + y * y) / (2 * spread**2)) * profile(x * math.cos(angle) + y * math.sin(angle))
            for y, x in _places()
        ]
        found.append(_balanced(values))
    return tuple(found)


@lru_cache(maxsize=2)
def _filters_of_colours(smooth: bool) -> tuple[Filters, ...]:
    """Filters of each colour whose answers stand there with both signs, times their gains."""
    spot, patch = _spots()
    edges = _edges()[: TURNS // 2]
    bars = _scaled(_bars(SPREAD), BAR_GAINS[0]) + _scaled(_bars(FINE_SPREAD), BAR_GAINS[1])
    found = []
    for colour, own in enumerate([bars, *(_scaled(edges, gain) for gain in EDGE_GAINS)]):
        patches = _scaled((patch,), SMOOTH_GAINS[colour]) if smooth else ()
        found.append(own + _scaled((spot,), SPOT_GAINS[colour]) + patches)
    return tuple(found)


@lru_cache(maxsize=1)
def _spots() -> Filters:
    """A spot and a smooth patch."""
    one, two, smooth = (_gaussian(spread) for spread in (1.0, 2.0, SPREAD))
    return _balanced([a - b for a, b in zip(one, two, strict=True)]), smooth


def _opponents() -> tuple[tuple[float, ...], ...]:
    light, red, green = 1 / math.sqrt(3), 1 / math.sqrt(2), 1 / math.sqrt(6)
    return (light, light, light), (red, 0.0, -red), (green, -2 * green, green)


def _scaled(filters: Filters, gain: float) -> Filters:
    return tuple(tuple(gain * value for value in one) for one in filters)


def _balanced(values: list[float]) -> tuple[float, ...]:
    """Subtract the mean, and divide by the sum of magnitudes."""
    mean = math.fsum(values) / len(values)
    total = math.fsum(abs(value - mean) for value in values)
    return tuple((value - mean) / total for value in values)


def _gaussian(spread: float) -> tuple[float, ...]:
    values = [math.exp(-(x * x + y * y) / (2 * spread**2)) for y, x in _places()]
    return tuple(value / math.fsum(values) for value in values)


def _places() -> list[tuple[int, int]]:
    return [(y, x) for y in range(-2, 3) for x in range(-2, 3)]
