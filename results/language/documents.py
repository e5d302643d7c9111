"""Headlines as documents: the expected loss on the beginning of a new one from the same source, in half a minute.

    python results/language/documents.py FILE     writes the headlines into FILE, documents.json beside this file

Half of them are of news sites, half of pages that ask to be clicked at (text/clickbait in the data root); in an order
that a seed fixed.
"""

import gzip
import random
import sys
from pathlib import Path

from pacbound.data.roots import data_root
from pacbound.methods.language import certify_language
from pacbound.request.request import Request

FILES = ("clickbait_data.gz", "non_clickbait_data.gz")
OPTIONS = {
    "task": "lm", "statement": "documents", "separator": "\\n", "model": "E8-W4-h16-tanh-L", "d": 256, "epochs": 1,
    "context": 64,
    "name": "headlines",
}  # fmt: skip


def write(path: Path, seed: int = 0) -> None:
    """Write all headlines, one a line."""
    folder = data_root(None) / "text" / "clickbait"
    lines = [line for file in FILES for line in gzip.decompress((folder / file).read_bytes()).split(b"\n") if line]
    random.Random(seed).shuffle(lines)
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def main(path: Path) -> None:
    """Write the headlines and the certificate."""
    write(path)
    certificate = certify_language(Request.model_validate({**OPTIONS, "data": str(path)}))
    certificate.save(Path(__file__).with_suffix(".json"))
    print(certificate.statement)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
