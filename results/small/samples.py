"""Small samples: pictures of 16 x 16 made from MNIST, as many as USPS has, and two tables of scikit-learn.

Means and deviations of columns come from rows that are in no sample here: the rows that `constants` takes away.
"""

import json
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_wine
from torch import Tensor

import pacbound as pb
from pacbound.subspace.random import permutation

USPS = 7291, 2007  # its examples for training and test
KEPT = 24  # rows and columns in the middle of 28, of which 3 become 2
APART = {"breast_cancer": 150, "wine": 48}  # rows for the constants
LOADERS = {"breast_cancer": load_breast_cancer, "wine": load_wine}


def usps_like() -> pb.Examples:
    """The first 7,291 of MNIST at 16 x 16."""
    return _smaller("train", USPS[0])


def usps_like_test() -> pb.Examples:
    """The first 2,007 of MNIST's test set at 16 x 16."""
    return _smaller("test", USPS[1])


def _smaller(part: str, count: int) -> pb.Examples:
    """Each pixel is the mean over its area, rounded: of 3 pixels on a side the first of 2 has one and a half."""
    whole = pb.load("mnist", split=part)
    off = (whole.x.shape[-1] - KEPT) // 2
    x = whole.x[:count, ..., off:-off, off:-off].to(torch.int64)
    for _ in range(2):  # along one side, then the other
        a, b, c = x.unflatten(-1, (KEPT // 3, 3)).unbind(-1)
        x = torch.stack([2 * a + b, b + 2 * c], -1).flatten(-2).mT
    pixels = ((2 * x + 9) // 18).to(torch.uint8)  # of weight 9
    return pb.Examples(name="mnist.16x16", x=pixels, y=whole.y[:count], classes=10, preprocess="ink")


def breast_cancer() -> tuple[Tensor, Tensor]:
    """419 rows of 30 columns, 2 classes."""
    return _rows("breast_cancer")[1]


def wine() -> tuple[Tensor, Tensor]:
    """130 rows of 13 columns, 3 classes."""
    return _rows("wine")[1]


def breast_cancer_whole() -> tuple[Tensor, Tensor]:
    """All 569 rows."""
    return _table("breast_cancer")


def wine_whole() -> tuple[Tensor, Tensor]:
    """All 178 rows."""
    return _table("wine")


def wine_logarithms() -> tuple[Tensor, Tensor]:
    """All 178 rows, log(1 + x) in the place of each number x: a fixed map, which brings columns to one order."""
    x, y = wine_whole()
    return x.log1p(), y


def write_constants(folder: Path) -> None:
    """Write constants/NAME.json for each table, from the rows that are taken away."""
    for name in APART:
        x = _rows(name)[0][0].numpy()
        found = {"mean": [round(m, 4) for m in x.mean(0).tolist()], "std": [round(s, 4) for s in x.std(0).tolist()]}
        (folder / f"{name}.json").write_text(json.dumps(found) + "\n", "utf-8")


def _rows(name: str) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The rows for the constants, and the sample."""
    x, y = _table(name)
    order = torch.from_numpy(permutation(0, f"results/small/{name}", len(x)).astype(np.int64))
    apart, kept = order[: APART[name]], order[APART[name] :]
    return (x[apart], y[apart]), (x[kept], y[kept])


def _table(name: str) -> tuple[Tensor, Tensor]:
    found = LOADERS[name]()
    return torch.from_numpy(found.data), torch.from_numpy(found.target.astype(np.int64))
