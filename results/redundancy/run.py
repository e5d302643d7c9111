"""Certificates of every design at the same d and the same minutes; --quick tries all of it on the digits.

python results/redundancy/run.py            all
python results/redundancy/run.py NAME...    some, such as mnist_bottleneck_4_d1000
python results/redundancy/run.py --quick    tiny runs in a temporary folder, analysed and thrown away
"""

import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from designs import NAMES  # noqa: E402
from experiment import run  # noqa: E402

DATA = ("mnist", "fashion-mnist")
DIMENSIONS = (500, 1000, 2000)  # several, so that bits can be read off at one training error
MINUTES = 4
QUICK_NAMES = ("bottleneck_8", "ghost_4", "separable_2")
QUICK_DIMENSIONS = (32, 96)


def commands() -> dict[str, list[str]]:
    """Name of the certificate -> options; MNIST first."""
    return {
        f"{data}_{name}_d{d}": _options(data, name, d, ["--budget", str(MINUTES)])
        for data in DATA
        for name in NAMES
        for d in DIMENSIONS
    }


def quick_commands() -> dict[str, list[str]]:
    """The same in miniature."""
    return {
        f"digits_{name}_d{d}": _options("digits", name, d, ["--epochs", "4"])
        for name in QUICK_NAMES
        for d in QUICK_DIMENSIONS
    }


def _options(data: str, name: str, d: int, training: list[str]) -> list[str]:
    return ["--data", data, "--model", f"designs:{name}", "--base", "seeded", "--d", str(d), *training]


def main() -> None:
    if "--quick" not in sys.argv:
        run(HERE, commands())
        return
    from analyse import analyse

    sys.argv.remove("--quick")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), quick_commands())
        print(analyse(Path(folder)))


if __name__ == "__main__":
    main()
