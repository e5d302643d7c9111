"""Problems that train in a second: three clouds of points, a network of 83 parameters, and requests to match."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pacbound.bits.codes import fit_code
from pacbound.bits.message import pack
from pacbound.data.examples import Examples
from pacbound.networks.hypothesis import Base, Hypothesis, make_base
from pacbound.request.request import Request
from pacbound.specs.specs import HypothesisSpec, LatticeSpec, ProjectorSpec

CLASSES = 3
FEATURES = 6


def clouds(n: int = 120, seed: int = 0) -> tuple[Tensor, Tensor]:
    """x (n, 6) float32 and y (n,): class c is centred at 2 on axis c."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % CLASSES
    x = 0.5 * torch.randn(n, FEATURES, generator=generator)
    x[torch.arange(n), y] += 2
    return x, y


def save_clouds(folder: Path, n: int = 120, seed: int = 0) -> Path:
    """Write the same as folder/clouds.npz."""
    x, y = clouds(n, seed)
    np.savez(folder / "clouds.npz", x=x.numpy(), y=y.numpy())
    return folder / "clouds.npz"


def examples(n: int = 120, seed: int = 0) -> Examples:
    """The same as a sample by the name of clouds."""
    return Examples("clouds", *clouds(n, seed), classes=CLASSES)


def network(seed: int = 0) -> nn.Sequential:
    """6 -> 8 -> 3, 83 parameters, from torch's own initialisation at a seed."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(seed)  # torch.manual_seed formats the whole stack, for CUDA
        return nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, CLASSES))


def quick(**options: object) -> Request:
    """A request of a few dozen steps of the plain encoder."""
    chosen: dict[str, object] = {"encoder": "plain", "d": 16, "epochs": 3, "batch": 30, "rate": 0.05, **options}
    return Request.model_validate(chosen)


def lattice_spec(base: Base, d: int, symbols: np.ndarray, **fields: object) -> HypothesisSpec:
    """A user network in a fastfood subspace, its symbols coded over the alphabet 0..8, step 2^-3."""
    return HypothesisSpec.model_validate(
        {
            "model": "user",
            "layout_digest": base.layout.digest,
            "base": base.origin,
            "projector": ProjectorSpec(kind="fastfood", D=base.layout.D, d=d, seed=1),
            "layer_scale": False,
            "quantizer": LatticeSpec(step_index=24),
            "code": fit_code(symbols, 9),
            **fields,
        }
    )


def decoded(module: nn.Module, symbols: np.ndarray | None = None, **fields: object) -> Hypothesis:
    """The hypothesis of a module at given symbols, or at w = 0, through its message."""
    base = make_base(module, None)
    if symbols is None:
        spec = HypothesisSpec.model_validate(
            {"model": "user", "layout_digest": base.layout.digest, "base": base.origin, "layer_scale": False, **fields}
        )
        symbols = np.zeros(0, np.int32)
    else:
        spec = lattice_spec(base, len(symbols), symbols, **fields)
    message, _ = pack(spec, symbols)
    return Hypothesis.unpack(message.payload, spec, base)
