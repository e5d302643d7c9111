"""What the certificates of language models, and of their quantized versions, say as tables."""

from pathlib import Path

from pacbound.certificate.difference import DifferenceCertificate
from pacbound.certificate.language import LANGUAGE_VERSION, LanguageCertificate
from pacbound.certificate.language_statement import bits_up

HEADS = (
    "certificate", "certified, bits a byte", "mean", "held out", "Catoni", "Hoeffding", "n-gram", "bits", "minutes"
)  # fmt: skip


def report(folder: Path) -> str:
    """Return a row for each certificate of a language model; all but bits and minutes in bits a byte of the text."""
    found = [(path, LanguageCertificate.load(path)) for path in _paths(folder)]
    lines = [HEADS, ("---", *("---:",) * (len(HEADS) - 1))]
    for path, one in found:
        if one.units.statement == "answers":  # errors, not bits
            continue
        lines.append((f"[{path.stem}](results/{folder.name}/{path.name})", *_cells(one)))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def summary(folder: Path) -> str:
    """Return a row for each quantized version of stories260K, in bits a byte of the text beyond the reference."""
    path = folder / "quantization_stories260K.json"
    found = DifferenceCertificate.load(path)
    lines = [
        f"From [{path.stem}](results/{folder.name}/{path.name}):\n\n| version | bits a weight | certified | measured |"
    ]
    lines.append("|---|---:|---:|---:|")
    for row in found.versions:
        value, mean = (bits_up(found.a_byte(one)) for one in (row.value, row.mean))
        lines.append(f"| {row.name} | {row.bits_a_weight or 0:.3f} | **{value}** | {mean} |")
    return "\n".join(lines) + "\n"


def _paths(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.json")) if f'"{LANGUAGE_VERSION}"' in path.read_text("utf-8")[:200]]


def _cells(one: LanguageCertificate) -> tuple[str, ...]:
    share = one.text.symbols / one.text.bytes
    forms = {other.theorem: other.value for other in one.also if other.kind == "form"}
    beside = {other.name: other for other in one.predictors}
    held = beside.get("held_out")
    return (
        f"**{bits_up(one.bits_a_byte)}**",
        bits_up(one.mean * share),
        "" if held is None or held.text is None else bits_up(held.value * held.text.symbols / held.text.bytes),
        *("" if name not in forms else bits_up(forms[name] * share) for name in ("stream_catoni", "stream_hoeffding")),
        "" if "n-gram" not in beside else bits_up(beside["n-gram"].value * share),
        f"{one.ledger.bits:,}",
        f"{sum(one.environment.seconds.values()) / 60:.1f}",
    )
