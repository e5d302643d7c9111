"""What a checkpoint buys as a prior: ResNet-20 trained on CIFAR-10 by others, on other tasks, beside random theta0.

Every arm has the same minutes, dimension and batch. `checkpoint` has a new head and the file's
weights and frozen statistics; `random` is the same network from a seed, whose normalisation statistics are then those
of an untrained network; `random_groupnorm` is our ResNet-20, which needs none. PACBOUND_DATA names the data root.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from experiment import run  # noqa: E402

TASKS = ("fashion_mnist",)
PLAN = ["--d", "256", "--batch", "64", "--budget", "15"]  # minutes


def arms() -> dict[str, list[str]]:
    """Name of the arm -> options."""
    file = Path(os.environ["PACBOUND_DATA"]) / "checkpoints" / "resnet-cifar10" / "resnet20-12fca82f.th"
    return {
        "checkpoint": ["--model", "resnet20-bn", "--checkpoint", str(file), "--disjoint", "--new-head"],
        "random": ["--model", "resnet20-bn"],
        "random_groupnorm": ["--model", "resnet20"],
    }


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    run(
        HERE, {f"{task}_{arm}": ["--data", f"targets:{task}", *PLAN, *o] for task in TASKS for arm, o in arms().items()}
    )
