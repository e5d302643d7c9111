"""The first 20,000 training images: enough to tell designs apart, few enough for 13 designs on one thread."""

import pacbound as pb

SIZE = 20_000


def mnist() -> pb.Examples:
    return _first("mnist")


def fashion_mnist() -> pb.Examples:
    return _first("fashion-mnist")


def _first(name: str) -> pb.Examples:
    whole = pb.load(name)
    return pb.Examples(
        name=f"{name}-first-{SIZE}", x=whole.x[:SIZE], y=whole.y[:SIZE], classes=whole.classes,
        preprocess=whole.preprocess,
    )  # fmt: skip
