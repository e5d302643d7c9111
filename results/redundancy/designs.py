"""Networks of one depth and K = 64 output channels that differ in the design of their three blocks.

Stem (3x3, stride 2) - pool - three blocks on maps of 7 x 7 - mean over places - readout. Every convolution is followed
by a GroupNorm, and by ReLU except at the end of inverted bottlenecks. In separable networks C_out/C_in is that of each
block, so the widths before the last block grow; all others have 64 channels from the stem on.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

CHANNELS = 64
BLOCKS = 3
CLASSES = 10
RATIOS = {"bottleneck": (1, 2, 4, 8), "ghost": (1, 2, 4, 8), "separable": (1, 2, 4), "inverted": (2, 6)}
NAMES = tuple(f"{family}_{ratio}" for family, ratios in RATIOS.items() for ratio in ratios)


def bottleneck_1() -> nn.Module:
    return _network([CHANNELS] * 4, lambda before, after: _bottleneck(before, after, 1))


def bottleneck_2() -> nn.Module:
    return _network([CHANNELS] * 4, lambda before, after: _bottleneck(before, after, 2))


def bottleneck_4() -> nn.Module:
    return _network([CHANNELS] * 4, lambda before, after: _bottleneck(before, after, 4))


def bottleneck_8() -> nn.Module:
    return _network([CHANNELS] * 4, lambda before, after: _bottleneck(before, after, 8))


def ghost_1() -> nn.Module:
    """No cheap maps: a plain 3x3 convolution."""
    return _network([CHANNELS] * 4, lambda before, after: _normed(before, after, 3))


def ghost_2() -> nn.Module:
    return _network([CHANNELS] * 4, lambda before, after: Ghost(before, after, 2))


def ghost_4() -> nn.Module:
    return _network([CHANNELS] * 4, lambda before, after: Ghost(before, after, 4))


def ghost_8() -> nn.Module:
    return _network([CHANNELS] * 4, lambda before, after: Ghost(before, after, 8))


def separable_1() -> nn.Module:
    return _network([64, 64, 64, 64], _separable)


def separable_2() -> nn.Module:
    return _network([8, 16, 32, 64], _separable)


def separable_4() -> nn.Module:
    return _network([1, 4, 16, 64], _separable)


def inverted_2() -> nn.Module:
    return _network([CHANNELS] * 4, lambda before, after: _inverted(before, after, 2))


def inverted_6() -> nn.Module:
    return _network([CHANNELS] * 4, lambda before, after: _inverted(before, after, 6))


class Ghost(nn.Module):
    """after / s maps by a 3x3 convolution, the other channels by depthwise 3x3 ones from these (Han et al. 2020)."""

    def __init__(self, before: int, after: int, s: int) -> None:
        super().__init__()
        few = after // s
        self.primary = _normed(before, few, 3)
        self.cheap = _normed(few, few * (s - 1), 3, groups=few)

    def forward(self, x: Tensor) -> Tensor:
        primary = self.primary(x)
        return torch.cat([primary, self.cheap(primary)], dim=1)


def _bottleneck(before: int, after: int, ratio: int) -> nn.Module:
    inner = after // ratio
    return nn.Sequential(_normed(before, inner, 1), _normed(inner, inner, 3), _normed(inner, after, 1))


def _separable(before: int, after: int) -> nn.Module:
    return nn.Sequential(_normed(before, before, 3, groups=before), _normed(before, after, 1))


def _inverted(before: int, after: int, t: int) -> nn.Module:
    wide = t * before
    narrow = nn.Conv2d(wide, after, 1, bias=False)
    return nn.Sequential(
        _normed(before, wide, 1), _normed(wide, wide, 3, groups=wide), nn.Sequential(narrow, _norm(after))
    )  # fmt: skip


def _network(widths: list[int], block: Callable[[int, int], nn.Module]) -> nn.Module:
    first, second, third = (block(before, after) for before, after in pairwise(widths))
    return nn.Sequential(
        _normed(1, widths[0], 3, stride=2), nn.MaxPool2d(2), first, second, third,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], CLASSES),
    )  # fmt: skip


def _normed(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, _norm(after), nn.ReLU())


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(max(1, channels // 8), channels)
