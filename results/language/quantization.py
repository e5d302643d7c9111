"""How much stories260K loses by quantization, on text that no network saw: certified bits a byte at each width.

    python results/language/quantization.py [SYMBOLS]     all of the held-out text by default

Each bound holds with probability .95 by itself (alone), and all of them together (together). Text: the last tenth of
tinyshakespeare, as tokens of tok512.bin; both networks are mixed with alpha = .1 of the uniform distribution.
"""

import json
import math
import sys
from pathlib import Path

from pacbound.bounds.language import stream
from pacbound.data.roots import data_root
from pacbound.data.texts import byte_range, map_tokens
from pacbound.models.llama import read_llama2c
from pacbound.networks.differences import difference_sums
from pacbound.quantize.versions import quantized_version
from pacbound.specs.language import ALPHAS, FIRST_CONTEXT, PredictionSpec

ALPHA, WINDOW, DELTA = 0.1, 256, 0.05
QUANTIZERS = ("int8", "nf4", "fp4", *(f"lattice@{steps}" for steps in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)))


def main(most: int | None) -> None:
    """Print a row for each quantizer, and write all of them beside this file."""
    root = data_root(None)
    folder = root / "checkpoints" / "stories260K"
    begin, count = byte_range("tinyshakespeare", root, (0.9, 1.0))
    text = map_tokens("tinyshakespeare", folder / "tok512.bin", root, begin, count, progress=False)
    network = read_llama2c(folder / "stories260K.bin")
    context = WINDOW.bit_length() - 1 - FIRST_CONTEXT
    prediction = PredictionSpec(alpha=ALPHAS.index(ALPHA), kappa=0, context=context, stride=4)
    rows = []
    for quantizer in QUANTIZERS:
        version = quantized_version(network, quantizer)
        sums = difference_sums(version.network, network, text, prediction, progress=False, most=most)
        a_byte = text.n / text.bytes_in_all  # symbols a byte
        alone, together = (stream(sums, bits, DELTA).value for bits in (0.0, math.log2(len(QUANTIZERS))))
        row = {
            "quantizer": quantizer, "bits_a_weight": version.bits_a_weight, "symbols": sums.n,
            "measured": sums.losses / sums.n * a_byte, "alone": alone * a_byte, "together": together * a_byte,
        }  # fmt: skip
        rows.append(row)
        print(
            "  ".join(f"{value:.4f}" if isinstance(value, float) else f"{value}" for value in row.values()), flush=True
        )
    if most is None:
        Path(__file__).with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else None)
