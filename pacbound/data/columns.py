"""Rows of numbers standardised by constants, known by their SHA-256.

They come from a file that was fixed before the sample, or from the share of it that theta0 was trained on.
"""

import hashlib
import json
import math
from pathlib import Path

import torch
from torch import Tensor

from ..errors import DataError, without_file
from ..specs.preprocess import PreprocessSpec
from .mapped import chunks
from .mixed import Pictures, Raw, of_one_shape

NEAR = 1e-4  # means this near to the sample's own, in its standard deviations, are taken for them
OWN_SCALE = (
    "every column has mean 0 and standard deviation 1 in this sample: where its own statistics scaled it, the network "
    "with that scaler is a function of the whole sample, which nothing here pays for"
)
WHY_NOT = (
    "a network that is standardised by statistics of the sample is a function of the whole sample, which no bit of its "
    "message pays for. Take constants from other data, or from what is known of the columns; or learn them on a share "
    "that the statement is not about: --prior-share P --standardise share."
)

_loaded: dict[str, tuple[Tensor, Tensor]] = {}  # SHA-256 of a file -> mean and std, (features,) float64 each


def load_constants(path: str | Path) -> str:
    """Load a JSON object with lists `mean` and `std`, a number for each column; return the SHA-256 of the file.

    Raises: DataError where there is none, or its numbers are not finite, or a std is not above 0.
    """
    file = Path(path)
    try:
        raw = file.read_bytes()
        found = json.loads(raw)
        mean, std = ([float(value) for value in found[name]] for name in ("mean", "std"))
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as cause:
        why = f"no {cause}" if isinstance(cause, KeyError) else without_file(cause)
        raise DataError(
            f'load: constants of columns are a JSON file {{"mean": [...], "std": [...]}}, got {file.name!r}: {why}. '
            f"There is no other way: {WHY_NOT}"
        ) from None
    if len(mean) != len(std) or not all(map(math.isfinite, mean)) or not all(0 < one < math.inf for one in std):
        raise DataError(f"load: {file.name} has as many finite means as finite std above 0. Mend it.")
    sha256 = hashlib.sha256(raw).hexdigest()
    _loaded[sha256] = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
    return sha256


def learn_constants(x: Raw) -> str:
    """Load the means and standard deviations of rows x (n, features), which no statement is about; return a SHA-256.

    Sums are exact and rounded once (math.fsum), so that every machine finds the same; a column that is constant has
    std 1. The digest is of a JSON object with lists `mean` and `std`, as Python writes it.
    Raises: DataError where x are no rows of numbers.
    """
    if x.ndim != 2 or not x.dtype.is_floating_point:
        raise DataError(
            f"load: constants are learned on rows of numbers (n, features) in floating point, got {x.dtype} in shape "
            f"{tuple(x.shape)}. Leave --standardise out."
        )
    columns = of_one_shape(x, "standardised").to(torch.float64).T.contiguous().numpy()
    mean = [math.fsum(column) / len(x) for column in columns]
    std = [math.sqrt(math.fsum((column - m) ** 2) / len(x)) or 1.0 for column, m in zip(columns, mean, strict=True)]
    sha256 = hashlib.sha256(json.dumps({"mean": mean, "std": std}).encode()).hexdigest()
    _loaded[sha256] = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
    return sha256


def standardised(x: Raw, spec: PreprocessSpec) -> Tensor:
    """Return (x - mean) / std in float64, rounded to float32. x: (n, features). Raises: DataError."""
    constants = _loaded.get(spec.sha256 or "")
    if constants is None:
        raise DataError(
            f"preprocess: the constants with SHA-256 {(spec.sha256 or '')[:12]} are at hand, got none. Give their file "
            "with --standardise."
        )
    x = of_one_shape(x, "standardised")
    mean, std = (one.to(x.device) for one in constants)
    if x.ndim != 2 or x.shape[1] != len(mean):
        raise DataError(
            f"preprocess: constants of {len(mean)} columns go with rows of as many numbers, got {tuple(x.shape[1:])}."
        )
    return ((x.to(torch.float64) - mean) / std).to(torch.float32)


def refuse_own_statistics(x: Raw, spec: PreprocessSpec) -> None:
    """Refuse constants that are the means of the sample x (n, features) itself. Raises: DataError."""
    scaled = standardised(x, spec).to(torch.float64)
    spread = scaled.std(0, correction=0).clamp(min=1e-30)
    if x.shape[0] > 1 and bool(((scaled.mean(0) / spread).abs() < NEAR).all()):
        raise DataError(f"certify: constants of columns are no statistics of the sample, got its own means: {WHY_NOT}")


def scaled_by_itself(x: Raw) -> bool:
    """Whether every column of rows x (n, features) that varies has mean 0 and standard deviation 1: of numbers that
    were not scaled by their own statistics, constants of other rows are off by some 1 / sqrt(n).
    """
    if isinstance(x, Pictures) or x.ndim != 2 or not x.dtype.is_floating_point or len(x) < 2:
        return False
    total, squares = torch.zeros(2, x.shape[1], dtype=torch.float64)
    for part in chunks(x):
        rows = part.to(torch.float64)
        total, squares = total + rows.sum(0), squares + rows.square().sum(0)
    mean, power = total / len(x), squares / len(x)  # the latter is the variance where the mean is 0
    still = power == 0.0
    near = torch.minimum((power - 1).abs(), (power * len(x) / (len(x) - 1) - 1).abs()) < NEAR  # by n, or by n - 1
    return bool(((mean.abs() < NEAR) & (near | still)).all()) and not bool(still.all())
