"""Make the table of tuned data again, from their files below PACBOUND_DATA: `python -m pacbound.data.tuned_rows`."""

import base64
import json

import numpy as np
from torch import Tensor

from .likeness import COARSE, KEPT_BELOW, KEPT_BYTES, TABLE, WHOLLY_KEPT, coarse_fingerprints, levels, scales, shortened
from .mixed import of_one_shape
from .registry import DATA_SETS, load_inputs


def table_of(samples: dict[str, list[Tensor]]) -> str:
    """Return the table as it is kept: JSON, for each name the base64 of its fingerprints, 5 bytes each, ascending.

    samples: the inputs of each data set that defaults were chosen on, (n, ...) as they are stored.
    """
    texts = {}
    for name, parts in samples.items():
        found = [coarse_fingerprints(level) for x in parts for level in levels(next(scales(x, False)), COARSE)]
        words = np.concatenate(found)
        kept = np.unique(shortened(words if name in WHOLLY_KEPT else words[words < KEPT_BELOW]))
        raw = kept.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - KEPT_BYTES :].tobytes()
        texts[name] = base64.b64encode(raw).decode("ascii")
    return json.dumps(texts, indent=1) + "\n"


if __name__ == "__main__":
    splits = ("train", "test")
    found = {name: [load_inputs(f"{name}:{split}").x for split in splits] for name in DATA_SETS}
    stored = {name: [of_one_shape(x, "tabled") for x in parts] for name, parts in found.items()}
    TABLE.write_text(table_of(stored), "ascii")
