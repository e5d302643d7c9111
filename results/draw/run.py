"""One network drawn from the posterior, beside the decodable message: digits with three seeds, MNIST, Fashion-MNIST.

Draws were evaluated on each of them while this was written: 50 are counted as earlier looks, and each seed as one more.
d = 512 keeps the posterior's file, which stands beside the certificate, below a megabyte.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

EARLIER = 50
SEEDS = {
    f"seed_{seed}": f"--data digits --model mlp --posterior draw --seed {seed} --earlier-draws {EARLIER + seed}".split()
    for seed in range(3)
}
IMAGES = {
    name: f"--data {name} --model lenet1 --posterior draw --d 512 --earlier-draws {EARLIER}".split()
    for name in ("mnist", "fashion-mnist")
}
COMMANDS = SEEDS | IMAGES

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
