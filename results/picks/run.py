"""Picks on four data sets: seeds of theta0, order and learner, all that were run, none selected.

cifar10_features needs what features.py writes, cifar10-lite0.npz, in the data root (PACBOUND_DATA).
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

PICKS = ["--method", "picks"]
SMALL = ["--model", "V1-r64-L", "--pick-growth", "2"]
LARGE = ["--pick-growth", "8", "--pick-steps", "100"]
CLOTHES = [
    "--model", "flip-edges2-c128k3-B-M2-R-c256k3-B-R-G-L", "--augmentation", "flip_crop",
    "--pick-first", "256", *LARGE, "--pick-epochs", "32", "--max-picks", "3000",
]  # fmt: skip
COLOURS = ["--pick-first", "1024", *LARGE, "--pick-epochs", "16", "--max-picks", "8000"]
INK = "moments-edges1-c128k3-M2-R-c128k3-R-G-L"
FEW = ["--model", INK, "--pick-first", "64", "--max-picks", "600"]
FEATURES = str(Path(os.environ.get("PACBOUND_DATA", ".")) / "cifar10-lite0.npz")
COMMANDS = {
    **{f"digits_{s}": ["--data", "digits", *PICKS, "--seed", str(s), *SMALL] for s in range(3)},
    **{f"mnist_{s}": ["--data", "mnist", *PICKS, "--seed", str(s), *FEW] for s in range(3)},
    **{f"fashion-mnist_{s}": ["--data", "fashion-mnist", *PICKS, "--seed", str(s), *CLOTHES] for s in range(3)},
    "cifar10_0": ["--data", "cifar10", *PICKS, *COLOURS],
    "cifar10_features": ["--data", FEATURES, *PICKS, "--model", "L"],
}  # fmt: skip

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
