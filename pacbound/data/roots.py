"""Where data sets lie: one folder per data set below one root, and the files in each. No torch."""

import os
from pathlib import Path
from typing import Literal

Split = Literal["train", "test"]

IDX_FILES: dict[Split, tuple[str, ...]] = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
CIFAR_FOLDER = "cifar-10-batches-bin"
FILES: dict[str, dict[Split, tuple[str, ...]]] = {
    "digits": {"train": (), "test": ()},
    "mnist": IDX_FILES,
    "fashion-mnist": IDX_FILES,
    "cifar10": {
        "train": tuple(f"{CIFAR_FOLDER}/data_batch_{i}.bin" for i in range(1, 6)),
        "test": (f"{CIFAR_FOLDER}/test_batch.bin",),
    },
}


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder that holds one folder per data set: `root`, else $PACBOUND_DATA, else the user's cache."""
    if root is not None:
        return Path(root)
    named = os.environ.get("PACBOUND_DATA")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pacbound"


def missing_files(name: str, root: Path, split: Split) -> tuple[str, ...]:
    """Return the files of one split of a named data set that are not below root/name."""
    return tuple(file for file in FILES[name][split] if not (root / name / file).is_file())


def is_label_file(file: str) -> bool:
    """Whether a file of FILES holds labels and no inputs."""
    return "-labels-" in file


def layout(name: str) -> str:
    """Return the files that a named data set has below the data root, one per line."""
    return "\n".join(f"  {name}/{file}" for files in FILES[name].values() for file in files)
