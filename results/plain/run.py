"""The plain encoder (rate-aware lattice, no curvature) on MNIST and Fashion-MNIST, one seed each."""

from pathlib import Path

from experiment import run

COMMANDS = {name: ["--data", name, "--encoder", "plain"] for name in ("mnist", "fashion-mnist")}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
