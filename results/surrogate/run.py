"""A bound for a published LeNet as it is: MNIST's training set with labels, half of its test inputs without.

The other half of the test set, with labels, gives the test-set bound beside it. Checkpoint: advertorch's cleanly
trained LeNet (Ding et al. 2019), below the data root in checkpoints/lenet5-mnist.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

from pacbound.data.roots import data_root

CHECKPOINT = data_root() / "checkpoints" / "lenet5-mnist" / "mnist_lenet5_clntrained.pt"
ORIGINAL = ["--method", "surrogate", "--model", "lenet-mnist", "--checkpoint", str(CHECKPOINT)]
COMMANDS = {
    "mnist_lenet": [*ORIGINAL, *["--data", "mnist", "--unlabelled", "mnist:test:1/2", "--test", "mnist:test:2/2"]],
}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
