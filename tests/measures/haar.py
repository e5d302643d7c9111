"""Random layers with given singular values."""

import numpy as np


def haar_layers(rng: np.random.Generator, nets: int, n_out: int, n_in: int, values: np.ndarray) -> np.ndarray:
    """Many layers U diag(values) V^T at once, (nets, n_out, n_in), by batched QR."""
    sides = []
    for side in (n_out, n_in):
        q, r = np.linalg.qr(rng.normal(size=(nets, side, len(values))))
        sides.append(q * np.sign(np.einsum("nii->ni", r))[:, None])
    return (sides[0] * values) @ sides[1].transpose(0, 2, 1)
