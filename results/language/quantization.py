"""How much stories260K loses by quantization, on text that no network saw: certified bits a byte at each width.

    python results/language/quantization.py          the certificate, and its curve as an image
    python results/language/quantization.py --draw   the image alone, from the certificate

Text: the last tenth of tinyshakespeare, as tokens of tok512.bin; both networks are mixed with alpha = .1 of the uniform
distribution, and all bounds hold at once with probability .95.
"""

import sys
from pathlib import Path

import pacbound as pb
from pacbound.data.roots import data_root
from pacbound.reports.difference import draw_curve
from pacbound.reports.image_files import save_figure

CERTIFICATE = Path(__file__).with_name("quantization_stories260K.json")
QUANTIZERS = ("int8", "nf4", "fp4", *(f"lattice@{steps}" for steps in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)))


def certified() -> pb.DifferenceCertificate:
    """Measure and certify every version."""
    root = data_root(None)
    folder = root / "checkpoints" / "stories260K"
    request = pb.Request(
        method="quantization-loss",
        reference=str(folder / "stories260K.bin"),
        tokenizer=str(folder / "tok512.bin"),
        data="tinyshakespeare",
        held_out=0.1,
        quantize=QUANTIZERS,
        disjoint=True,
    )
    return pb.certify_quantization(request, data_dir=root)


def main(draw: bool) -> None:
    """Write the certificate and the image beside this file."""
    if not draw:
        certified().save(CERTIFICATE)
    found = pb.DifferenceCertificate.load(CERTIFICATE)
    for row in found.versions:
        width = row.bits_a_weight or 0.0
        print(f"{row.name:<11} {width:6.3f} bits a weight  <= {found.a_byte(row.value):.4f} bits a byte")
    save_figure(lambda figure: draw_curve(figure.subplots(), found), (5.2, 3.6), CERTIFICATE.with_suffix(".svg"))


if __name__ == "__main__":
    main("--draw" in sys.argv[1:])
