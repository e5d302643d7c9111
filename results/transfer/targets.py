"""Data sets that a CIFAR-10 network can read: the first 10,000 training images at 32 x 32 in three equal channels."""

from dataclasses import replace

import torch
from torch.nn.functional import interpolate

import pacbound as pb

SIZE = 10_000
NOTE = f"the first {SIZE:,} training examples, enlarged to 32 x 32 pixels in three equal channels"


def mnist() -> pb.Examples:
    return _enlarged("mnist")


def fashion_mnist() -> pb.Examples:
    return _enlarged("fashion-mnist")


def _enlarged(name: str) -> pb.Examples:
    first = pb.load(name).subset(range(SIZE))
    grey = interpolate(first.x.float(), size=32, mode="bilinear", align_corners=False)
    x = grey.round().to(torch.uint8).expand(-1, 3, -1, -1).contiguous()
    return replace(first, x=x, preprocess="photo", note=NOTE)
