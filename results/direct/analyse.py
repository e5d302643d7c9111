"""What the certificates here say: bits of published checkpoints by quantizer, before and after what shortens them.

python results/direct/analyse.py prints the report.
"""

import math
from pathlib import Path

from pacbound.certificate.schema import Certificate
from pacbound.certificate.statement import percent_up, share_up
from pacbound.specs.tensors import BlockTensor, CodebookTensor, DirectSpec, LatticeTensor, ZeroTensor

COLUMNS = (
    "certificate", "bits before entropy coding", "after", "orbit saving", "all bits", "bits a weight before", "after",
    "training error", "test error", "bound", "seconds", "epochs",
)  # fmt: skip


def report(folder: Path) -> str:
    """Table of every certificate, and where the bits of the best one are."""
    done = sorted(folder.glob("*.json"))
    head = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"
    return head + "".join(row(path) for path in done) + (layers(_best(done)) if done else "")


def summary(folder: Path) -> str:
    """The best certificate of each checkpoint, for the pages."""
    lines = []
    for network in ("lenet", "resnet20", "resnet32"):
        done = sorted(folder.glob(f"{network}_*.json"))
        if done:
            best = Certificate.load(_best(done))
            count = sum(math.prod(tensor.shape) for tensor in _spec(best).tensors)
            lines.append(
                f"- {network} on {best.data.name}: {percent_up(best.bound.value)} at {best.ledger.bits:,} bits, "
                f"{best.ledger.bits / count:.3f} a weight, training error {percent_up(best.risk.rate)}.\n"
            )
    return "".join(lines) or "No runs yet: `python results/direct/run.py`.\n"


def _best(paths: list[Path]) -> Path:
    return min(paths, key=lambda path: Certificate.load(path).bound.value)


def _spec(certificate: Certificate) -> DirectSpec:
    spec = certificate.hypothesis.quantizer
    assert isinstance(spec, DirectSpec)
    return spec


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
    spec = _spec(certificate)
    saving = -next(e.bits for e in certificate.entries if e.item == "orbit saving")
    count = sum(math.prod(tensor.shape) for tensor in spec.tensors)
    before = fixed_bits(spec)
    test = certificate.held_out
    cells = [
        f"[{path.stem}](results/direct/{path.name})", f"{before:,}", f"{certificate.message.bits:,}",
        f"{saving:,}", f"{certificate.ledger.bits:,}", f"{before / count:.3f}",
        f"{certificate.ledger.bits / count:.4f}",
        percent_up(share_up(certificate.risk.errors, certificate.risk.n)),
        "" if test is None else percent_up(share_up(test.errors, test.n)),
        f"**{percent_up(certificate.bound.value)}**", f"{sum(certificate.environment.seconds.values()):.0f}",
        "" if certificate.environment.epochs is None else f"{certificate.environment.epochs:.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def layers(path: Path) -> str:
    """Where the bits of a certificate are."""
    certificate = Certificate.load(path)
    lines = [f"\n`{path.stem}`: bits by entry\n\n| entry | bits |\n|---|---|\n"]
    lines += [f"| {e.item} | {e.bits:,} |\n" for e in certificate.entries if e.bits]
    return "".join(lines)


if __name__ == "__main__":
    print(report(Path(__file__).parent))
