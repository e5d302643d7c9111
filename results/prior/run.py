"""A data-dependent prior: theta0 from a share of the sample, the statement about the rest, beside no share at all.

Every share is certified and kept; each certificate pays for its own share and permutation. Where w = 0 wins, the bound
is that of theta0 on examples it has not seen: a test set taken from the sample. That is what happens, so the encoder
gets ten epochs only.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

SHARES = (0.25, 0.5, 0.75)
COMMANDS = {
    f"{data}_{round(64 * share)}": ["--data", data, "--prior-share", str(share), "--epochs", "10"]
    for data in ("digits", "mnist", "fashion-mnist", "cifar10")
    for share in SHARES
}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
