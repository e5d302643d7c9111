"""Certificates of every design at the same d after the same epochs; --quick tries all of it on the digits.

python results/redundancy/run.py            all, MNIST first
python results/redundancy/run.py NAME...    some, such as mnist_bottleneck_4_d256
python results/redundancy/run.py --quick    tiny runs in a temporary folder, analysed and thrown away

Epochs are equal, not minutes: minutes on a busy machine cannot be repeated, and would give the wide designs fewer
steps. What each took is in the certificates and in the table. The rate is that of the plain encoder for short
training; it was tried on separable_2 alone.
"""

import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from designs import NAMES  # noqa: E402
from experiment import run  # noqa: E402

DATA = {"mnist": "subset:mnist", "fashion-mnist": "subset:fashion_mnist"}
DIMENSIONS = (64, 256)  # two, so that bits can be read off at one training error
TRAINING = ["--encoder", "plain", "--epochs", "6", "--batch", "64", "--rate", "0.02"]
QUICK_NAMES = ("bottleneck_8", "ghost_4", "separable_2")
QUICK_DIMENSIONS = (32, 96)


def commands() -> dict[str, list[str]]:
    """Name of the certificate -> options; MNIST first, the smaller d of all designs first."""
    return {
        f"{name}_{design}_d{d}": _options(source, design, d, TRAINING)
        for name, source in DATA.items()
        for d in DIMENSIONS
        for design in NAMES
    }


def quick_commands() -> dict[str, list[str]]:
    """The same in miniature."""
    return {
        f"digits_{name}_d{d}": _options("digits", name, d, ["--epochs", "4"])
        for d in QUICK_DIMENSIONS
        for name in QUICK_NAMES
    }


def _options(data: str, name: str, d: int, training: list[str]) -> list[str]:
    return ["--data", data, "--model", f"designs:{name}", "--base", "seeded", "--d", str(d), *training]


def main() -> None:
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    if "--quick" not in sys.argv:
        run(HERE, commands())
        return
    from analyse import draw, report

    sys.argv.remove("--quick")
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), quick_commands())
        draw(Path(folder))
        print(report(Path(folder)))


if __name__ == "__main__":
    main()
