"""Small samples with default settings, three seeds each, none selected; samples.py says what they are.

`_before`: by the defaults of before, lenet1 for pictures of 16 x 16 and d near 5.6 sqrt(n) whatever n is. `_bars`:
behind `bars2`; `_moments`: behind moment normalisation. `_share`: theta0, and the constants of the columns, from half
of all rows, the statement about the other half; `_quarter`: from a quarter. `wine_all`: all 178 rows are the sample,
and no other row gives constants: each number's logarithm is read; `_picks`: picks teach a linear layer behind a batch
norm, whose statistics are then those of the picks.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from experiment import run  # noqa: E402

PICTURES = ["--data", "samples:usps_like", "--test", "samples:usps_like_test"]
SHARE = ["--prior-share", "0.5", "--standardise", "share"]
QUARTER = ["--prior-share", "0.25", "--standardise", "share"]
PICKS = ["--method", "picks", "--model", "B-L", "--pick-first", "8", "--pick-growth", "2"]
BREAST_CANCER = ["--data", "samples:breast_cancer", "--standardise", "constants/breast_cancer.json"]
WINE = ["--data", "samples:wine", "--standardise", "constants/wine.json"]
WAYS = {
    "usps_like_before": [*PICTURES, "--model", "lenet1"],
    "usps_like": [*PICTURES, "--model", "edges2-c12k3-R-A2-L"],
    "usps_like_bars": [*PICTURES, "--model", "bars2-c12k3-R-A2-L"],
    "usps_like_moments": [*PICTURES, "--model", "moments-edges2-c12k3-R-A2-L"],
    "breast_cancer_before": [*BREAST_CANCER, "--d", "128"],
    "breast_cancer": BREAST_CANCER,
    "breast_cancer_share": ["--data", "samples:breast_cancer_whole", *SHARE],
    "wine_before": [*WINE, "--d", "64"],
    "wine": WINE,
    "wine_share": ["--data", "samples:wine_whole", *SHARE],
    "wine_quarter": ["--data", "samples:wine_whole", *QUARTER],
    "wine_all": ["--data", "samples:wine_logarithms"],
    "wine_all_picks": ["--data", "samples:wine_whole", *PICKS],
}
COMMANDS = {
    f"{name}-seed_{seed}": [*options, "--seed", str(seed)] for name, options in WAYS.items() for seed in range(3)
}

if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    run(HERE, COMMANDS)
