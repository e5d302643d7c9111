"""One network drawn from a frozen posterior: Q in a file, noise from the file's hash, ln dQ/dP at the draw. No torch.

Q = N(mean, L L^T) on the d coefficients, L lower triangular; P = N(0, s^2 I), s = 2^(-scale_index / 16). The file is
written first; the noise z comes from SHA-256(file | "pacbound-draw-1" | index), so that whoever moves the mean to
mean' = h - L z gets another z. With h = mean + L z,

    ln dQ/dP (h) = ( |h|^2 / s^2 - |z|^2 ) / 2 - sum_i ln L_ii + d ln s.

The hypothesis is that real vector h; the network evaluated rounds its coordinates to float32.
"""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import safetensors.numpy
from flint import arb
from numpy.typing import NDArray
from safetensors import SafetensorError

from ..bounds.balls import rounded_up, working
from ..errors import CertificateError
from ..specs.specs import DrawSpec

DRAW_FORMAT = "pacbound-draw-1"
LARGEST = 2.0**20  # of |mean| and |L|
SMALLEST_STD = 2.0**-40  # of the diagonal of L
_UNIT = 2.0**-53  # relative error of one float64 operation
_TINY = 2.0**-900  # more than all underflows together


@dataclass(frozen=True)
class Drawn:
    """coefficients: float32 (d,). nats: ln dQ/dP there, rounded up. bits: the same over ln 2, up to an integer."""

    coefficients: NDArray[np.float32]
    nats: float
    bits: int


def freeze(mean: NDArray[np.float32], factor: NDArray[np.float32], scale_index: int) -> bytes:
    """Return the posterior file: mean (d,) and the lower triangle of factor (d, d) row by row, as float32."""
    tensors: dict[str, np.ndarray] = {
        "mean": np.ascontiguousarray(mean, np.float32),
        "factor": np.ascontiguousarray(factor[np.tril_indices(len(mean))], np.float32),
        "scale_index": np.array([scale_index], np.int64),
    }
    return _written(tensors)


def _written(tensors: dict[str, np.ndarray]) -> bytes:
    """Write the one file that these tensors have: its hash is the noise, so that no byte of it may be free."""
    return safetensors.numpy.save(tensors, metadata={"format": DRAW_FORMAT})


def draw(raw: bytes, spec: DrawSpec, d: int) -> Drawn:
    """Draw the network number `spec.index` of a posterior file, with ln dQ/dP.

    Raises: CertificateError where the file is not the one that `spec` names, or not a posterior on d coefficients.
    """
    if (len(raw), hashlib.sha256(raw).hexdigest()) != (spec.size, spec.sha256):
        raise CertificateError("draw: the posterior file is not the one declared (size or SHA-256 differ).")
    mean, factor = _thaw(raw, spec.scale_index, d)
    z = noise(raw, spec.index, d)
    h = mean + factor @ z
    # an inner product of k terms errs by less than 2 k units of its absolute value, in whatever order it is summed
    slack = 4 * (d + 2) * _UNIT * (np.abs(mean) + np.abs(factor) @ np.abs(z)) + _TINY
    with working():
        squares = sum((arb(y, e) ** 2 for y, e in zip(h.tolist(), slack.tolist(), strict=True)), arb(0))
        spent = sum((arb(value) ** 2 for value in z.tolist()), arb(0))
        log_det = sum((arb(value).log() for value in np.diag(factor).tolist()), arb(0))
        octaves = arb(spec.scale_index) / 16  # s = 2^-octaves
        nats = (squares * arb(2) ** (2 * octaves) - spent) / 2 - log_det - d * octaves * arb(2).log()
        bits = int((nats / arb(2).log()).upper().ceil().fmpz())
        return Drawn(h.astype(np.float32), rounded_up(nats), bits)


def noise(raw: bytes, index: int, d: int) -> NDArray[np.float64]:
    """Return d standard normals that belong to a file and an index, shape (d,).

    Box-Muller: words w, v of Philox 4x64, keyed by the first 16 bytes of the hash, give u = (w + 1/2) / 2^64 and
    sqrt(-2 ln u) times cos and sin of 2 pi v / 2^64, in ball arithmetic rounded to float64: the same everywhere.
    """
    seed = hashlib.sha256(b"|".join([raw, DRAW_FORMAT.encode(), str(index).encode()])).digest()
    key = np.frombuffer(seed[:16], dtype="<u8").astype(np.uint64)
    words = np.random.Philox(key=key, counter=0).random_raw(2 * (-(-d // 2))).tolist()
    z: list[float] = []
    with working():
        cell = arb(2) ** -64
        for w, v in zip(words[::2], words[1::2], strict=True):
            radius = (-2 * ((arb(w) + 0.5) * cell).log()).sqrt()
            turns = 2 * arb(v) * cell
            z += [float((radius * turns.cos_pi()).mid()), float((radius * turns.sin_pi()).mid())]
    return np.array(z[:d])


def _thaw(raw: bytes, scale_index: int, d: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean (d,) and factor (d, d), checked."""
    try:
        tensors = safetensors.numpy.load(raw)
        metadata = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")]).get("__metadata__")
    except (SafetensorError, ValueError, KeyError) as cause:
        raise CertificateError(f"draw: the posterior file is not a safetensors file ({str(cause)[:100]}).") from None
    found = {name: (str(value.dtype), value.shape) for name, value in tensors.items()}
    wanted = {
        "mean": ("float32", (d,)),
        "factor": ("float32", (d * (d + 1) // 2,)),
        "scale_index": ("int64", (1,)),
    }
    if found != wanted or metadata != {"format": DRAW_FORMAT}:
        raise CertificateError(
            f"draw: a {DRAW_FORMAT} file of {d} coefficients holds {wanted}, got {str(found)[:300]}."
        )
    if _written(tensors) != raw:
        raise CertificateError(
            "draw: the posterior file is byte for byte what its tensors give, got other bytes in its header. "
            "Whoever can choose bytes can choose the noise."
        )
    if int(tensors["scale_index"][0]) != scale_index:
        raise CertificateError(
            f"draw: the posterior file and the message name one prior, got {tensors['scale_index']} and {scale_index}."
        )
    mean, factor = tensors["mean"].astype(np.float64), np.zeros((d, d))
    factor[np.tril_indices(d)] = tensors["factor"]
    small = (np.abs(mean) <= LARGEST).all() and (np.abs(factor) <= LARGEST).all()  # false for NaN
    if not small or not (np.diag(factor) >= SMALLEST_STD).all():
        raise CertificateError(
            "draw: the mean and factor of a posterior are at most 2^20, its diagonal at least 2^-40; these are not."
        )
    return mean, factor
