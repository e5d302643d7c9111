"""Every weight coded, on a lattice of its tensor or by the posterior encoder, beside a subspace.

Of the posterior encoder each weight is a coefficient, or there are as many random directions as weights.
Digits and wine by a linear map, three seeds each, none selected; MNIST by lenet1, whose subspace is
results/ablation/11_trellis. Wine is that of results/small.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
SMALL = HERE.parent / "small"
sys.path.insert(0, str(HERE.parent))
from experiment import run  # noqa: E402

WINE = ["--data", "samples:wine", "--standardise", str(Path("..", "small", "constants", "wine.json")), "--model", "L"]
SAMPLES = {"digits": ["--data", "digits", "--model", "L"], "wine": WINE}
WAYS = {
    "subspace": [],
    "tensors": ["--encoder", "weights"],
    "axes": ["--projector", "identity"],
    "whole": ["--d", "8192"],
}  # d is D where it is less
MNIST = ["--data", "mnist", "--model", "lenet1"]
COMMANDS = {
    f"{name}-{way}-seed_{seed}": [*sample, *options, "--seed", str(seed)]
    for name, sample in SAMPLES.items()
    for way, options in WAYS.items()
    for seed in range(3)
} | {f"mnist-{way}-seed_0": [*MNIST, *WAYS[way]] for way in ("tensors", "axes")}

if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join([str(SMALL), os.environ.get("PYTHONPATH", "")])
    run(HERE, COMMANDS)
