"""Published checkpoints coded directly: what each quantizer costs, and what pruning and fine-tuning under the code buy.

    python run.py [ARM ...]     certificates that exist are skipped; table.md is written again after each

PACBOUND_DATA names the folder of the data sets, with the checkpoints in its folder `checkpoints`. Minutes for the
LeNet, longer for the residual networks, which are only evaluated.
"""

import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pacbound.certificate.schema import Certificate, OtherBound
from pacbound.certificate.statement import percent_up
from pacbound.direct.certify import DirectPlan, certify_direct
from pacbound.direct.training import FineTuning
from pacbound.quantize.rates import QUANTIZERS
from pacbound.request import Request
from pacbound.tensors import BlockTensor, CodebookTensor, DirectSpec, LatticeTensor, ZeroTensor

FOLDER = Path(__file__).parent
COLUMNS = (
    "certificate", "bits before entropy coding", "after it", "orbit saving", "all bits", "bits each before", "after",
    "training error", "test error", "bound", "seconds",
)  # fmt: skip


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
TUNED = {keep: FineTuning(keep=keep, epochs=(1, 4), beta=2.0, rate=0.004) for keep in (0.125, 0.25)}
ARMS = {
    **{
        f"lenet_{kind.replace(' ', '_')}": Arm(*LENET, DirectPlan((kind,), rates=(0.1, 1.0)))
        for kind in QUANTIZERS
        if kind != "zero"
    },
    "lenet_mixed": Arm(*LENET, DirectPlan(rates=(0.1, 1.0))),
    **{f"lenet_tuned_{keep:g}": Arm(*LENET, DirectPlan(rates=(), tuning=(plan,))) for keep, plan in TUNED.items()},
    "resnet20_mixed": Arm(*RESNET20, DirectPlan(("zero", "lattice", "row lattice"), rates=(0.3,))),
    "resnet32_mixed": Arm(*RESNET32, DirectPlan(("zero", "lattice", "row lattice"), rates=(0.3,))),
}


def fixed_bits(spec: DirectSpec) -> int:
    """Bits without entropy coding: every element in as many bits as its alphabet needs, 16 for a scale or centroid."""
    total = 0
    for tensor in spec.tensors:
        coding, count = tensor.coding, math.prod(tensor.shape)
        if isinstance(coding, ZeroTensor):
            continue
        total += count * math.ceil(math.log2(max(2, coding.table.levels)))
        if isinstance(coding, BlockTensor):
            total += 16 * -(-count >> coding.block_log2)
        elif isinstance(coding, CodebookTensor):
            total += 16 * len(coding.centroids)
        elif isinstance(coding, LatticeTensor) and coding.rows is not None:
            total += tensor.shape[0] * math.ceil(math.log2(max(2, coding.rows.levels)))
    return total


def row(path: Path) -> str:
    certificate = Certificate.load(path)
    spec = certificate.hypothesis.quantizer
    assert isinstance(spec, DirectSpec)
    saving = -next(e.bits for e in certificate.entries if e.item == "orbit saving")
    count = sum(math.prod(tensor.shape) for tensor in spec.tensors)
    before = fixed_bits(spec)
    test = next((o for o in certificate.also if isinstance(o, OtherBound) and o.sample == "test"), None)
    cells = [
        f"[{path.stem}]({path.name})", f"{before:,}", f"{certificate.message.bits:,}", f"{saving:,}",
        f"{certificate.ledger.bits:,}", f"{before / count:.3f}", f"{certificate.ledger.bits / count:.4f}",
        percent_up(certificate.risk.rate), "" if test is None else percent_up(test.errors / test.n),
        f"**{percent_up(certificate.bound.value)}**", f"{sum(certificate.environment.seconds.values()):.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def layers(path: Path) -> str:
    """Where the bits of a certificate are."""
    certificate = Certificate.load(path)
    lines = [f"\n`{path.stem}`: bits by entry\n\n| entry | bits |\n|---|---|\n"]
    lines += [f"| {e.item} | {e.bits:,} |\n" for e in certificate.entries if e.bits]
    return "".join(lines)


def write_table() -> None:
    done = [FOLDER / f"{name}.json" for name in ARMS if (FOLDER / f"{name}.json").exists()]
    head = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"
    best = min(done, key=lambda path: Certificate.load(path).bound.value)
    (FOLDER / "table.md").write_text(head + "".join(row(path) for path in done) + layers(best), "utf-8")


def main() -> None:
    root = Path(os.environ["PACBOUND_DATA"])
    for name in sys.argv[1:] or ARMS:
        if (FOLDER / f"{name}.json").exists():
            print(f"{name}: finished, skipped", flush=True)
            continue
        arm, started = ARMS[name], time.monotonic()
        request = Request(checkpoint=str(root / "checkpoints" / arm.checkpoint))
        certificate = certify_direct(arm.model, arm.data, request=request, plan=arm.plan)
        certificate.save(FOLDER / f"{name}.json")
        write_table()
        print(f"{name}: {certificate.bound.value:.4f} in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
