"""How flat the loss is around a coded network, in the directions that its subspace has."""

import torch
from torch import Tensor, nn

from ..bounds.claims import Measure
from ..distributed import summed
from ..errors import ModelError
from ..networks.hypothesis import Base, spanned
from ..specs.specs import HypothesisSpec
from ..subspace.curvature import Rows, for_each_chunk
from ..subspace.layout import Layout
from ..subspace.subspace import Subspace

EXAMPLES, SEED = 1000, 0
REFERENCE = "Martens 2020, arXiv:1412.1193v11, sec. 5: the Fisher information matrix"


def measure_flatness(network: nn.Module, start: nn.Module, spec: HypothesisSpec, x: Tensor) -> Measure:
    """Estimate the trace of the Fisher information in the coefficients w, at those that were decoded.

    tr E_x E_{y ~ p(.|x)} [g g^T], g = gradient of ln p(y|x) in w: by how many nats an example's answers change for a
    small step in w, over half its square. Small is flat. It depends on the scale of the subspace, so that only networks
    in the same one are comparable.

    Args: network: decoded; its parameters are theta0 + scale * P w. start: the same at theta0. x: examples as it reads
        them, of which at most EXAMPLES are drawn, labels too.
    Raises: ModelError where the network lies in no subspace.
    """
    if spec.projector is None:
        raise ModelError("flatness: it is that of a subspace, and this network lies in none.")
    layout = Layout.of(start, tuple(dict(start.named_buffers())))
    _, projector, scale = spanned(Base(start, layout, spec.base), spec.projector, spec.layer_scale)
    subspace = Subspace(network, layout, layout.gathered(network), projector, scale)  # around the decoded w
    rows = Rows(subspace, x, lambda _: torch.zeros(subspace.d))
    examples, total = min(EXAMPLES, len(x)), torch.zeros((), dtype=torch.float64)

    def add(left: Tensor, right: Tensor) -> None:
        total.add_((left.double() * right.double()).sum())

    for_each_chunk(rows, examples, torch.Generator().manual_seed(SEED), "fisher", add, progress=False)
    return Measure(
        name="flatness", value=float(summed(total) / examples), unit="nats per squared step in w, trace of the Fisher",
        reference=REFERENCE, verified=False,
    )  # fmt: skip
