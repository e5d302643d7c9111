"""The first 20,000 training images: enough to tell designs apart, few enough for 13 designs on one thread."""

from dataclasses import replace

import pacbound as pb

SIZE = 20_000


def mnist() -> pb.Examples:
    return _first("mnist")


def fashion_mnist() -> pb.Examples:
    return _first("fashion-mnist")


def _first(name: str) -> pb.Examples:
    return replace(pb.load(name).subset(range(SIZE)), note=f"the first {SIZE:,} training examples")
