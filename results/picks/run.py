"""Picks on four data sets: seeds of theta0, order and learner, all that were run, none selected.

cifar10_features needs what features.py writes, cifar10-lite0.npz, in the data root (PACBOUND_DATA).
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

PICKS = ["--method", "picks"]
LARGE = ["--pick-growth", "8", "--pick-steps", "100", "--pick-epochs", "16"]
CLOTHES = [
    "--model", "flip-V1-c32k3-B-M2-R-c64k3-B-M2-R-c128k3-B-R-G-L", "--augmentation", "flip_crop",
    "--pick-first", "256", *LARGE, "--max-picks", "3000",
]  # fmt: skip
INK = "moments-edges1-c128k3-M2-R-c128k3-R-G-L"
FEW = ["--model", INK, "--pick-first", "64", "--max-picks", "600"]
FEATURES = str(Path(os.environ.get("PACBOUND_DATA", ".")) / "cifar10-lite0.npz")
COMMANDS = {
    **{f"digits_{s}": ["--data", "digits", *PICKS, "--seed", str(s), "--pick-growth", "2"] for s in range(3)},
    **{f"mnist_{s}": ["--data", "mnist", *PICKS, "--seed", str(s), *FEW] for s in range(3)},
    "fashion-mnist_0": ["--data", "fashion-mnist", *PICKS, "--seed", "0", *CLOTHES],
    "cifar10_0": ["--data", "cifar10", *PICKS, "--pick-first", "1024", *LARGE, "--max-picks", "8000"],
    "cifar10_features": ["--data", FEATURES, *PICKS, "--model", "L"],
}  # fmt: skip

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
