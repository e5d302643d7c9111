"""One network drawn from the posterior, beside the decodable message: digits, three seeds of theta0 and P.

Draws were evaluated on digits while this was written: 50 are counted as earlier looks, and each seed as one more.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

EARLIER = 50
COMMANDS = {
    f"seed_{seed}": f"--data digits --posterior draw --seed {seed} --earlier-draws {EARLIER + seed}".split()
    for seed in range(3)
}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
