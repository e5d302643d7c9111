"""Published checkpoints coded directly: what each quantizer costs, and what pruning and fine-tuning under the code buy.

    python run.py [ARM ...]     certificates that exist are skipped; results/table.py --write makes the tables

PACBOUND_DATA names the folder of the data sets, with the checkpoints in its folder `checkpoints`. Minutes for the
LeNet, longer for the residual networks, which are only evaluated.
"""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pacbound.methods.direct.certify import DirectPlan, certify_direct
from pacbound.methods.direct.training import FineTuning
from pacbound.quantize.rates import QUANTIZERS
from pacbound.request.request import Request

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Arm:
    """One certificate: a checkpoint, its data, and how it is coded."""

    model: str
    data: str
    checkpoint: str
    plan: DirectPlan


LENET = ("lenet-mnist", "mnist", "lenet5-mnist/mnist_lenet5_clntrained.pt")
RESNET20 = ("resnet20-bn", "cifar10", "resnet-cifar10/resnet20-12fca82f.th")
RESNET32 = ("resnet32-bn", "cifar10", "resnet-cifar10/resnet32-d509ac18.th")
PRECISE = (1e-5,)  # the Fisher of a confident network vanishes: already at 1e-3 three quarters of the answers are wrong
RATES = dict.fromkeys(("int8", "nf4", "fp4"), (0.1, 1.0))  # which choose nothing but the size of blocks
TUNED = {keep: FineTuning(keep=keep, epochs=(1, 4), beta=2.0, rate=0.004) for keep in (0.125, 0.25)}
ARMS = {
    **{
        f"lenet_{kind.replace(' ', '_')}": Arm(*LENET, DirectPlan((kind,), rates=RATES.get(kind, PRECISE)))
        for kind in QUANTIZERS
        if kind != "zero"
    },
    "lenet_mixed": Arm(*LENET, DirectPlan(rates=PRECISE)),
    **{f"lenet_tuned_{keep:g}": Arm(*LENET, DirectPlan(rates=(), tuning=(plan,))) for keep, plan in TUNED.items()},
    "resnet20_mixed": Arm(*RESNET20, DirectPlan(("zero", "lattice", "row lattice"), rates=PRECISE)),
    "resnet32_mixed": Arm(*RESNET32, DirectPlan(("zero", "lattice", "row lattice"), rates=PRECISE)),
}


def main() -> None:
    root = Path(os.environ["PACBOUND_DATA"])
    for name in sys.argv[1:] or ARMS:
        if (FOLDER / f"{name}.json").exists():
            print(f"{name}: finished, skipped", flush=True)
            continue
        arm, started = ARMS[name], time.monotonic()
        request = Request(checkpoint=str(root / "checkpoints" / arm.checkpoint))
        certificate = certify_direct(arm.model, arm.data, test=arm.data, request=request, plan=arm.plan)
        certificate.save(FOLDER / f"{name}.json")
        print(f"{name}: {certificate.bound.value:.4f} in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
